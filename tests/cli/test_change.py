"""``alliance change``, ``client``, ``epochs``: what needs no server, and what running ones say of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import approval, drafting, followed
from alliance.changes.change_file import ChangeFile
from alliance.cli.change_waiting import Waiting
from alliance.client import Client
from alliance.config.control import founded as founded_state
from alliance.errors import NotInEffect, Unreachable
from consensus.limits import WINDOW_SLOTS
from tests.cli.conftest import Run
from tests.worlds.processes import PASSPHRASE, Cluster

NORTH = "member-1"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text(PASSPHRASE)


@pytest.fixture
def written(founded: Cluster) -> ChangeFile:
    """``x.change``: another policy, which member-1 proposes."""
    state = founded_state(founded.config)
    change = drafting.set_policy(state, NORTH, {"clients_max": 3}, 1_800_000_000_000)
    Path("x.change").write_text(change.to_toml())
    return change


def operator(cluster: Cluster, name: str) -> tuple[str | Path, ...]:
    """The options that name an operator's key."""
    return "--operator", cluster.member(name) / "operator.pem", "--operator-passphrase-file", "secret"


def test_an_operator_reads_and_signs_offline(inside: Run, founded: Cluster, written: ChangeFile) -> None:
    shown = inside("change", "show", "x.change", passphrase=None)
    assert shown.text.startswith(
        "'member-1' proposes a policy change (number 1):\n  policy: faulty 1, clients max 3,"
    )
    assert "until 2027-01-15 08:00:00.000 UTC; asked are member-1, member-2," in shown.text
    assert f"digest   {written.digest.hex()}\n" in shown.text
    told = json.loads(inside("change", "show", "x.change", "-o", "json", passphrase=None).out)
    assert (told["digest"], told["number"], told["from_epoch"]) == (written.digest.hex(), 1, 0)
    for name, says in (("member-1", "sign"), ("member-2", "approve")):
        signed = inside("change", "approve", "x.change", *operator(founded, name), passphrase=None)
        assert signed.code == 0, signed.err
        assert signed.text.startswith(f"'{name}' says '{says}' of x.change:\n  policy: faulty 1, clients max")
        assert f"\n  x.change.{name}.approval   public\n" in signed.text
    arguments = (*operator(founded, "member-2"), "--to", "stop", "-o", "json")
    stop = json.loads(inside("change", "abort", "x.change", *arguments, passphrase=None).out)
    assert stop == {
        "file": "stop",
        "says": "abort",
        "organisation": "member-2",
        "digest": written.digest.hex(),
    }


def test_what_cannot_be_signed_is_refused_and_nothing_is_written(
    inside: Run, founded: Cluster, written: ChangeFile, tmp_path: Path
) -> None:
    key = operator(founded, "member-2")
    Path("there").write_text("")
    before = sorted(tmp_path.iterdir())
    for arguments, reason in (
        (("approve", "none.change", *key), "none.change cannot be read as a change"),
        (("approve", founded.folder / "alliance.toml", *key), "is no change"),
        (("approve", "x.change", "--operator", "none.pem"), "none.pem is missing"),
        (
            ("approve", "x.change", *key, "--organisation", "member-3"),
            "not the key of the operator of 'member-3'",
        ),
        (("approve", "x.change", *key, "--to", "there"), "there exists: name another file"),
        (("abort", "x.change", *key, "--to", "no/folder"), "does not exist: make the folder first"),
        (
            ("propose", founded.client_folder("client-1"), "x.change"),
            "nothing is signed: the operator of 'member-1'",
        ),
        (("propose", founded.client_folder("client-1"), "x.change", "x.change"), "is no approval"),
        (("show", "none.change"), "none.change cannot be read as a change"),
        (("address", founded.client_folder("client-1"), "member-1"), "say what is elsewhere"),
        (
            ("address", founded.client_folder("client-1"), "member-1", "--application", "kv"),
            "write NAME=HOST:PORT",
        ),
        (
            ("policy", founded.client_folder("client-1"), "--organisation", "a"),
            "say what is to be another policy",
        ),
        (
            ("policy", founded.client_folder("client-1"), "--faulty", "0"),
            "say who proposes it: --organisation NAME, or --operator F",
        ),
        (("show", "x.change", "--watch"), "--watch is for a client's folder"),
        (("show", founded.member("member-1")), "is a member's folder: name one such as"),
    ):
        result = inside("change", *arguments)
        assert (result.code, result.out) == (2, b""), arguments
        assert reason in result.error
    assert sorted(tmp_path.iterdir()) == before


def test_a_request_for_an_alliance_that_exists_says_which(inside: Run, founded: Cluster) -> None:
    member = founded.member("member-1")
    asks = ("request", "carola", "--client", "--organisation", NORTH)
    made = json.loads(inside(*asks, "--alliance", founded.folder, "-o", "json").out)
    assert made["alliance_id"] == founded.config.alliance_id.hex()
    assert made["organisation"] == NORTH
    by_id = ("--alliance", founded.config.alliance_id.hex(), "--directory", "other")
    assert "send carola.request to the operator of 'member-1'" in inside(*asks, *by_id).text
    refused = inside("init", "farm", "--from", "carola/carola.request")
    assert "asks to be in an alliance that exists already: 'alliance client add'" in refused.error
    joined = inside("join", "carola", founded.folder)
    assert (
        "has no client 'carola': ask the operator of 'member-1' whether 'alliance client add'" in joined.error
    )
    for arguments, reason in (
        (("request", "d", "--client", "--alliance", member), "--alliance needs --organisation"),
        (
            ("request", "d", "--client", "--alliance", member, "--organisation", "nord"),
            "no organisation 'nord'",
        ),
        (("request", "d", "--alliance", member), "'d' needs --organisation, by which it is run"),
        (("request", "--show", "x", "--alliance", member), "--alliance does not go with --show"),
    ):
        result = inside(*arguments)
        assert (result.code, reason in result.error) == (2, True), result.error


def test_no_server_is_no_change(inside: Run, home: Cluster, written: ChangeFile) -> None:
    for arguments in (
        ("epochs", home.client_folder("client-1")),
        ("client", "remove", home.client_folder("client-1"), "client-2"),
        ("change", "simulate", home.client_folder("client-1"), "x.change"),
    ):
        result = inside(*arguments)
        assert (result.code, "no server can be reached" in result.error) == (5, True), result.error


def test_a_dry_run_says_what_would_happen_and_does_nothing(
    inside: Run, cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "client-1"
    shutil.copytree(cluster.client_folder("client-1"), folder)
    asks = ("request", "carola", "--client", "--organisation", NORTH, "--alliance", cluster.folder)
    assert inside(*asks).code == 0
    before = json.loads(inside("epochs", folder, "-o", "json").out)
    assert [client["name"] for client in before["clients"]] == ["client-1", "client-2"]
    told = inside("client", "add", folder, "carola/carola.request", "--waiting", "7", "--dry-run")
    assert told.code == 0, told.err
    assert told.text.startswith("client carola is new: organisation member-1, identity ")
    assert told.text.endswith("nothing was sent\n")
    assert not list(tmp_path.glob("*.change"))
    made = inside("client", "add", folder, "carola/carola.request", "--to", "carola.change", "-o", "json")
    report = json.loads(made.out)
    assert (report["file"], report["sent"], report["differences"][0]["name"]) == (
        "carola.change",
        False,
        "carola",
    )
    again = inside("client", "add", folder, "carola/carola.request", "--to", "carola.change")
    assert (again.code, "carola.change exists" in again.error) == (2, True)
    wrong = inside("client", "remove", folder, "client-2", *operator(cluster, "member-2"))
    assert (wrong.code, "not the key of the operator of 'member-1'" in wrong.error) == (2, True)
    wrong = inside("change", "approve", "carola.change", *operator(cluster, "member-2"))
    assert (wrong.code, "the change lists no operator with this key" in wrong.error) == (2, True)
    change = ChangeFile.from_toml(Path("carola.change").read_text(), "carola.change")
    forged = approval.sign(change, Ed25519PrivateKey.generate(), NORTH)
    Path("carola.change.member-1.approval").write_text(forged.to_toml())
    arguments = ("carola.change", "carola.change.member-1.approval")
    for command in ("simulate", "propose"):
        refused = inside("change", command, folder, *arguments)
        assert (refused.code, "the signature is not one of 'member-1'" in refused.error) == (6, True)
        assert "nothing was sent" in refused.error
    after = json.loads(inside("epochs", folder, "-o", "json").out)
    assert after | {"slot": 0} == before | {"slot": 0}


def test_who_waits_sees_the_slots_pass_and_nobody_else_does(
    inside: Run, cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "client-1"
    shutil.copytree(cluster.client_folder("client-1"), folder)
    told = inside("change", "show", folder)
    assert (told.code, told.err) == (0, "")
    assert told.text.splitlines()[-1] == "nothing is under way"


@pytest.mark.parametrize("gone", [False, True])
def test_who_waits_in_vain_is_told_where_it_stands(
    founded: Cluster, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    async def follow(*_: object) -> None:
        if gone:
            raise Unreachable("no server gives the log")
        await asyncio.Event().wait()

    monkeypatch.setattr(followed, "follow", follow)
    state = followed.Followed.founded(founded.config)
    wait = Waiting(Path("client-1"), 0.01, cast("Client", None), state, lambda *_: None)
    reason = "no server gives the log" if gone else "it did not get there within 0.01 s"
    expected = rf"taken at slot 7 and is in effect behind slot 135, .* \({reason}\); do not send it again"
    with pytest.raises(NotInEffect, match=expected):
        asyncio.run(wait.until_in_effect(7, 135))


def test_clients_and_policy_change_while_the_servers_run(
    inside: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.complete()
    folder = cluster.client_folder("client-2")
    north, patient = operator(cluster, NORTH), ("--timeout", "120")
    asks = ("request", "carola", "--client", "--organisation", NORTH, "--alliance", cluster.folder)
    assert inside(*asks).code == 0

    added = inside("client", "add", folder, "carola/carola.request", *north, *patient, "-o", "json")
    assert added.code == 0, added.err
    report = json.loads(added.out)
    assert (report["fate"], report["in_effect"], report["file"]) == ("taken", True, None)
    assert report["effective"] == report["slot"] + WINDOW_SLOTS
    assert inside("join", "carola", folder).code == 0
    assert inside("propose", "carola", "open the gate", *patient).code == 0

    # Four of six operators, each in one of the ways that there are.
    wanted = ("--organisation", NORTH, "--clients-max", "7", "--to", "policy.change")
    opened = inside("change", "policy", "carola", *wanted, *north, *patient)
    assert opened.code == 0, opened.err
    assert "member-1 approve, 3 more must\nNext: send policy.change to the other" in opened.text
    assert inside("change", "approve", "policy.change", *operator(cluster, "member-2")).code == 0
    assert inside("change", "propose", folder, "policy.change", "policy.change.member-2.approval").code == 0
    for name, says in (("member-3", "1 more must"), ("member-4", "in effect behind slot")):
        sent = inside(
            "change", "approve", "policy.change", *operator(cluster, name), "--send", folder, *patient
        )
        assert (sent.code, says in sent.text) == (0, True), sent
    told = json.loads(inside("epochs", folder, "-o", "json").out)
    assert (told["revision"], told["policy"]["clients_max"]) == (report["revision"] + 1, 7)

    assert inside("client", "remove", folder, "carola", *north, *patient).code == 0
    refused = inside("propose", "carola", "close the gate", "--timeout", "20")
    assert refused.code in (5, 6), refused.err
    listed = inside("listen", folder).out
    assert b"open the gate" in listed
    assert b"close the gate" not in listed
