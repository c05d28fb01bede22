"""``alliance request``, ``init --from``, ``join``: from nothing to an alliance, as people do it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from alliance import config
from alliance.config.file import ATTESTATION
from alliance.founding import party
from alliance.keys.folder import load_credentials
from alliance.keys.shares import load_endorser
from tests.alliance.founding.applicants import NAMES
from tests.cli.conftest import Run
from tests.worlds.founding import cheaply, receiver
from tests.worlds.processes import PASSPHRASE


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Receiver keys that are ready, in a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    stock = map(receiver, (*range(6), *reversed(range(6))))
    with patch.object(party, "generate_receiver", lambda bits: next(stock)), cheaply():
        yield


def ask(inside: Run, name: str, *more: str | Path) -> Path:
    """Its request file."""
    address = f"{name}.example:7400"
    result = inside("request", name, "--organisation", f"{name}-ag", "--address", address, *more)
    assert result.code == 0, result.err
    return Path(name) / f"{name}.request"


def grouped(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return " ".join(digest[at : at + 4] for at in range(0, 64, 4))


def test_six_parties_and_a_client_found_an_alliance(inside: Run) -> None:
    files = [ask(inside, name) for name in NAMES]
    client = inside("request", "carola", "--client")
    files.append(Path("carola/carola.request"))
    assert f"read this out by telephone:\n  {grouped(files[-1])}\n" in client.text
    made = inside("init", "farm", "--from", *files, "--attest", "3", passphrase=None)
    assert made.code == 0, made.err
    assert "saw the alliance's shared keys, and no key of a party" in made.text
    assert all(grouped(file) in made.text for file in files)
    founded = config.load(Path("farm"))
    assert founded.attestation.threshold == 3
    for index, name in enumerate(NAMES):
        joined = inside("join", name, "farm")
        assert joined.code == 0, joined.err
        assert f"alliance_id in alliance.toml   {founded.alliance_id.hex()}\n" in joined.text
        # Clients and addresses, which the alliance_id does not bind:
        everything = hashlib.sha256((Path(name) / "alliance.toml").read_bytes()).hexdigest()
        assert f"SHA-256 of alliance.toml       {everything}\n" in joined.text
        assert f"alliance serve {name}\n" in joined.text
        assert "anna (anna-ag), bert (bert-ag)" in joined.text
        assert "  clients   carola\n" in joined.text
        load_endorser(Path(name), founded, index, PASSPHRASE.encode(), ATTESTATION)
        load_credentials(Path(name), founded.members[index], PASSPHRASE.encode())
    report = json.loads(inside("join", "carola", "farm", "-o", "json").text)
    assert report["alliance_id"] == founded.alliance_id.hex()
    assert report["file_digest"] == hashlib.sha256(Path("farm/alliance.toml").read_bytes()).hexdigest()
    assert (report["name"], report["joined_before"]) == ("carola", False)
    again = inside("join", "anna", "farm")
    assert (again.code, "'anna' already is in 'alliance'" in again.text) == (0, True)
    rekeyed = inside("join", "anna", "farm", passphrase="not the right one")
    assert (rekeyed.code, "wrong passphrase" in rekeyed.error) == (2, True)


def test_json_names_what_is_made_and_what_was_asked(inside: Run) -> None:
    made = inside("request", "anna", "--organisation", "north", "--address", "anna.example:1", "-o", "json")
    report = json.loads(made.text)
    assert report["operator_key"] == "anna/operator.pem"
    shown = json.loads(inside("request", "--show", "anna/anna.request", "-o", "json", passphrase=None).text)
    assert shown | {"folder": "anna", "operator_key": "anna/operator.pem"} == report
    assert shown["fingerprint"] == hashlib.sha256(Path("anna/anna.request").read_bytes()).hexdigest()
    assert (shown["kind"], shown["organisation"], shown["receiver_bits"]) == ("member", "north", 3328)
    text = inside("request", "--show", "anna/anna.request", passphrase=None).text
    assert grouped(Path("anna/anna.request")) in text


def test_members_of_one_organisation_have_one_operator_key(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [ask(inside, name) for name in NAMES[:5]]
    shared = ("--organisation", "anna-ag", "--address", "fritz.example:7400")
    alone = inside("request", "fritz", *shared)
    assert alone.code == 0
    refused = inside("init", "farm", "--from", *files, "fritz/fritz.request")
    assert refused.code == 2
    assert (
        "fritz/fritz.request: 'anna-ag' has another operator key than in anna/anna.request" in refused.error
    )
    assert not Path("farm").exists()
    monkeypatch.setenv("ALLIANCE_OPERATOR_PASSPHRASE", PASSPHRASE)
    more = ("--operator", "anna/operator.pem", "--directory", "second")
    assert inside("request", "fritz", *shared, *more).code == 0
    assert not Path("second/operator.pem").exists()
    files.append(Path("second/fritz.request"))
    made = json.loads(inside("init", "farm", "--from", *files, "-o", "json", passphrase=None).text)
    assert [member["organisation"] for member in made["members"]][::5] == ["anna-ag", "anna-ag"]
    assert made["members"][5]["request"] == "second/fritz.request"
    assert made["dealing"] == "farm/alliance.dealing"
    assert len(config.load(Path("farm")).founding.operators) == 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["request"], "name the party, or a request file with --show"),
        (["request", "anna"], "'anna' needs --organisation"),
        (["request", "anna", "--organisation", "north"], "and --address HOST:PORT"),
        (["request", "anna", "--organisation", "north", "--address", "anna"], "is no address"),
        (["request", "Anna", "--organisation", "north", "--address", "a:1"], "is no name"),
        (["request", "../anna", "--client"], "is no name"),
        (["request", "anna", "--client", "--address", "a:1"], "--address does not go with --client"),
        (["request", "anna", "--client", "--operator", "x"], "--operator does not go with --client"),
        (["request", "anna", "--show", "x.request"], "NAME does not go with --show"),
        (["request", "--show", "none.request"], "none.request cannot be read as a request"),
        (
            ["request", "a", "--organisation", "b", "--address", "a:1", "--key-bits", "1000"],
            "2048 to 8192 bits",
        ),
        (
            ["request", "a", "--organisation", "b", "--address", "a:1", "--operator", "none.pem"],
            "none.pem is missing",
        ),
        (["init", "farm", "--from", "none.request"], "none.request cannot be read as a request"),
        (["init", "farm", "--from", "x", "--clients", "2"], "--clients does not go with --from"),
        (["init", "farm", "--from", "x", "--names", "a"], "--names does not go with --from"),
        (["init", "farm", "--from", "x", "--passphrase-file", "y"], "--passphrase-file does not go with"),
        (["join", "nowhere", "farm"], "nowhere is no member's or client's folder"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.setenv("ALLIANCE_OPERATOR_PASSPHRASE", PASSPHRASE)
    result = inside(*arguments)
    assert (result.code, result.out) == (2, b"")
    assert reason in result.error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_kind_does_not_join(inside: Run) -> None:
    assert inside("init", "farm").code == 0
    result = inside("join", "farm/members/member-1", "farm")
    assert result.code == 2
    assert "has no member-1.request: name a folder that 'alliance request' made" in result.error
    swapped = inside("join", "farm", "farm/members/member-1")
    assert (swapped.code, "is no member's or client's folder" in swapped.error) == (2, True)


@pytest.mark.parametrize("command", ["serve", "rekey", "renew", "share status", "status"])
def test_a_folder_that_has_not_joined_is_told_to_join(inside: Run, command: str) -> None:
    ask(inside, "anna")
    early = inside(*command.split(), "anna")
    assert (early.code, "'alliance join anna ITS-FOLDER'" in early.error) == (2, True)


def test_a_wrong_passphrase_names_where_it_came_from(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(inside, "anna")
    monkeypatch.setenv("ALLIANCE_OPERATOR_PASSPHRASE", "not the right one")
    result = inside(
        "request", "bert", "--organisation", "anna-ag", "--address", "b:1", "--operator", "anna/operator.pem"
    )
    assert result.code == 2
    assert "wrong passphrase (ALLIANCE_OPERATOR_PASSPHRASE, --operator-passphrase-file or" in result.error
