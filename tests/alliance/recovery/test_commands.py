"""``alliance recover``, step by step within this process: what each says, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from alliance import cli
from alliance.keys import sealing
from tests.alliance.farm import PASSPHRASE
from tests.alliance.recovery.wreck import LOST, SLOTS, SURVIVORS, Wreck


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wreck: Wreck
) -> Run:
    """In a folder with all operators' keys, and a copy of the wreck as ``home``."""
    monkeypatch.chdir(tmp_path)
    wreck.told  # noqa: B018 -- receivers' keys are made with it
    shutil.copytree(wreck.home, tmp_path / "home")
    for name, key in wreck.operators.items():
        (tmp_path / f"{name}.pem").write_bytes(sealing.seal(key, PASSPHRASE))

    def say(*words: str) -> Said:
        monkeypatch.setenv("ALLIANCE_PASSPHRASE", PASSPHRASE.decode())
        monkeypatch.setenv("ALLIANCE_OPERATOR_PASSPHRASE", PASSPHRASE.decode())
        code = cli.run(list(words))
        return Said(code, *capsys.readouterr())

    return say


@pytest.mark.campaign
def test_from_reports_to_members_of_the_next_epoch(run: Run, wreck: Wreck) -> None:
    """One of each step is typed; what the others hand in is made beforehand."""
    concluded, reports = wreck.concluded, [f"{name}.report" for name in SURVIVORS]
    for name, data in zip(SURVIVORS[:3], wreck.told, strict=False):
        Path(f"{name}.report").write_bytes(data)
    told = run("recover", "report", "home/members/member-4", "-o", "json")
    assert (told.code, json.loads(told.out)["slot"]) == (0, SLOTS), told
    replace = [word for name in LOST for word in ("--replace", f"home/new/{name}/{name}.request")]
    planned = run("recover", "plan", "act", *reports, *replace, "-o", "json")
    assert planned.code == 0, planned
    act = json.loads(planned.out)
    assert (act["survivors"], act["lost"], act["report"]) == ([*SURVIVORS], [*LOST], "member-1.report")
    assert Path("act").read_text() == wreck.act.to_toml()
    approve = ("recover", "approve", "act", act["report"], "--operator", "member-1.pem")
    for more, says in [
        ((), "--lost member-5,member-6"),
        (("--lost", "member-5"), "you name others"),
        (("--lost", "member-1,member-5,member-6"), "you name others"),
    ]:
        refused = run(*approve, *more)
        assert (refused.code, says in refused.err) == (2, True), refused
        assert more or "one key has two logs" in refused.out
    assert run(*approve, "--lost", "member-6, member-5").code == 0
    for approval in wreck.approvals()[1:]:
        Path(f"{approval.approval.organisation}.approval").write_text(approval.to_json())
    approvals = [f"{name}.approval" for name in SURVIVORS]
    deal = ("recover", "deal", "home/member-5.backup", act["report"], "act")
    for words, says in [
        ((*deal, *approvals), "a backup needs --operator"),
        ((*deal, *approvals[1:], "--operator", "member-5.pem"), "3 operators approve"),
        (
            (*deal, *approvals, "--operator", "member-4.pem"),
            "opens with the operator key that 'member-5' had",
        ),
    ]:
        refused = run(*words)
        assert (refused.code, says in refused.err) == (2, True), refused
    told = run(*deal, *approvals, "--operator", "member-5.pem", "--to", "another.dealing")
    assert (told.code, "'member-5' has dealt" in told.out) == (0, True), told
    for part in wreck.dealings:
        Path(f"{part.member}.dealing").write_text(part.to_json())
    dealings = [f"{part.member}.dealing" for part in wreck.dealings]
    told = run("recover", "sign", "home/members/member-1", act["report"], *dealings)
    assert (told.code, "'member-1' has signed" in told.out) == (0, True), told
    for holder in list(wreck.holders.values())[1:]:
        share = concluded.share(holder.shares[0])
        Path(f"{share.member}.share").write_text(share.to_json())
    shares = [f"{name}.share" for name in wreck.holders]
    finish = ("recover", "finish", "home/new/member-6", act["report"], *dealings)
    refused = run(*finish, *shares[1:])
    assert (refused.code, "4 members' shares have signed" in refused.err) == (2, True), refused
    for says in ("is now in", "already is in"):
        told = run(*finish, *shares)
        assert (told.code, f"{says} epoch 1, which begins behind slot {SLOTS}" in told.out) == (0, True), told


def test_nothing_is_written_over_and_nothing_foreign_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "member-1.report").write_text("x")
    for words, says in [
        (("report", "home/members/member-1"), "exists: name another file"),
        (("report", "home/new/member-6"), "alliance.toml"),
        (("plan", "act", "member-1.report"), "is no report, or was altered"),
        (
            ("approve", "member-1.report", "member-1.report", "--operator", "member-1.pem"),
            "no act of recovery",
        ),
        (("sign", "home/members/member-1", "absent", "x.dealing"), "cannot be read as a report"),
    ]:
        refused = run("recover", *words)
        assert (refused.code, says in refused.err) == (2, True), refused
