"""``alliance ceremony``: two dealers found an alliance, and what it says when they do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from alliance import config
from alliance.founding import ceremony_folder
from alliance.keys import sealing
from alliance.keys.files import write_private
from tests.alliance.founding.applicants import applicants, client
from tests.alliance.founding.hall import dealing_from_stock
from tests.cli.conftest import Result, Run
from tests.worlds.founding import cheap_key_files
from tests.worlds.processes import PASSPHRASE

DEALERS = ("anna-ag", "bert-ag")
OPERATORS = "the passphrase of operator keys"


@pytest.fixture(autouse=True)
def _cheap() -> Iterator[None]:
    with cheap_key_files():
        yield


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody's request, and the operator keys of three organisations."""
    folder = tmp_path_factory.mktemp("asked")
    members = applicants()
    for request in (*(one.request for one in members), client("carola")):
        (folder / f"{request.name}.request").write_text(request.to_toml())
    with cheap_key_files():
        for one in members[:3]:
            sealed = sealing.seal(one.operator, OPERATORS.encode())
            write_private(folder / f"{one.organisation}.pem", sealed)
    return folder


class Hands:
    """The commands of all dealers, typed in one folder."""

    def __init__(self, inside: Run, asked: Path, here: Path, environment: pytest.MonkeyPatch) -> None:
        self._inside = inside
        self._environment = environment
        self._asked = asked
        self.here = here

    def plan(self, *options: str) -> Result:
        requests = sorted(self._asked.glob("*.request"))
        return self._inside("ceremony", "plan", self.here / "farm.plan", "--from", *requests, *options)

    def deal(self, dealer: str, *options: str) -> Result:
        plan = ceremony_folder.read_plan(self.here / "farm.plan")
        with dealing_from_stock(plan, dealer):
            return self._typed("deal", dealer, *options)

    def open(self, dealer: str, *given: str | Path) -> Result:
        return self._typed("open", dealer, *given)

    def _typed(self, step: str, dealer: str, *given: str | Path) -> Result:
        operator = self._asked / f"{dealer}.pem"
        self._environment.setenv("ALLIANCE_OPERATOR_PASSPHRASE", OPERATORS)
        place = (self.here / dealer, self.here / "farm.plan")
        return self._inside("ceremony", step, *place, *given, "--operator", operator)

    def files(self, kind: str) -> list[Path]:
        return sorted(self.here.glob(f"*/*.{kind}"))

    def finish(self, *given: str | Path) -> Result:
        return self._inside("ceremony", "finish", self.here / "farm", self.here / "farm.plan", *given)


@pytest.fixture
def hands(inside: Run, asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(inside, asked, tmp_path, monkeypatch)


def test_a_ceremony_step_by_step(hands: Hands) -> None:
    plan = hands.plan("--name", "farm")
    assert (plan.code, plan.err) == (0, "")
    assert "anna-ag, bert-ag deal keys of 4096 bits" in plan.text
    digest = ceremony_folder.read_plan(hands.here / "farm.plan").digest.hex()
    assert digest in plan.text.replace(" ", "")
    for dealer in DEALERS:
        dealt = hands.deal(dealer)
        assert (dealt.code, dealt.err) == (0, "")
        own = hands.here / dealer / f"{dealer}.commitment"
        assert f"alliance ceremony open {own.parent} {hands.here / 'farm.plan'} {own} " in dealt.text
    early = hands.open(DEALERS[0], hands.files("commitment")[0])
    assert (early.code, early.text) == (1, "")
    assert "the commitment of 'bert-ag' is missing: ask for it" in early.error
    for dealer in DEALERS:
        opened = hands.open(dealer, *hands.files("commitment"), "-o", "json")
        report = json.loads(opened.text)
        assert (opened.code, report["dealer"], report["plan_digest"]) == (0, dealer, digest)
        assert Path(report["opening"]).exists()
    half = hands.finish(hands.files("opening")[0], "-o", "json")
    assert (half.code, json.loads(half.err)["exit_code"]) == (1, 1)
    assert not (hands.here / "farm").exists()
    done = hands.finish(*hands.files("opening"), *hands.files("commitment"))
    assert (done.code, done.err) == (0, "")
    founded = config.load(hands.here / "farm")
    assert founded.alliance_id.hex() in done.text
    assert hands.here.joinpath("farm", "anna-ag.opening").exists()
    assert "No dealer knows a key of this alliance" in done.text
    again = hands.finish(*hands.files("opening"))
    assert again.code == 2
    assert "exists and is not empty" in again.error
    shutil.rmtree(hands.here / "farm")
    report = json.loads(hands.finish(*hands.files("opening"), "-o", "json").text)
    assert (report["dealers"], report["key_bits"]) == (list(DEALERS), 4096)
    assert (report["plan_digest"], report["alliance_id"]) == (digest, founded.alliance_id.hex())


def test_a_plan_as_json(hands: Hands) -> None:
    report = json.loads(hands.plan("--purpose", "web:4", "--attest", "2", "-o", "json").text)
    assert (report["dealers"], report["factor_bits"], report["key_bits"]) == (list(DEALERS), 2048, 4096)
    assert [(key["name"], key["threshold"]) for key in report["keys"]] == [
        ("agreement", 5),
        ("attestation", 2),
        ("web", 4),
    ]
    assert [one["name"] for one in report["requests"]][:2] == ["anna", "bert"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--dealers", "anna-ag"), "it takes 2 or more"),
        (("--dealers", "anna-ag,nobody"), "no member is run by 'nobody'"),
        (("--bits", "1024"), "--bits"),
        (("--purpose", "web"), "write --purpose NAME:THRESHOLD"),
    ],
)
def test_plans_that_are_refused(hands: Hands, options: tuple[str, ...], says: str) -> None:
    result = hands.plan(*options)
    assert result.code == 2
    assert says in result.error
    assert not (hands.here / "farm.plan").exists()


def test_what_is_there_is_not_written_again(hands: Hands) -> None:
    hands.plan()
    again = hands.plan()
    assert again.code == 2
    assert "exists: name a new file" in again.error
    other = hands.finish(hands.here / "farm.plan")
    assert other.code == 2
    assert "is named neither ….opening nor ….commitment" in other.error
    stranger = hands._typed("deal", "carl-ag")
    assert stranger.code == 2
    assert "operator key of none of the plan's dealers" in stranger.error
    assert PASSPHRASE not in stranger.error


def test_the_group_says_how_the_steps_follow_each_other(inside: Run) -> None:
    result = inside("ceremony", "--help")
    assert result.code == 0
    for step in ("plan", "deal", "open", "finish"):
        assert f"│ {step} " in result.text
    assert "One honest dealer is enough that nobody knows a key" in " ".join(result.text.split())
