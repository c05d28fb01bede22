"""``alliance init``: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import select
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from alliance import config
from alliance.keys import sealing
from tests.cli.conftest import RUN_SECONDS, Run
from tests.worlds.founding import cheaply
from tests.worlds.processes import PASSPHRASE, command, environment, started


def test_an_alliance_is_founded_and_the_dealer_says_that_it_had_to_be_trusted(
    alliance: Run, tmp_path: Path
) -> None:
    farm = tmp_path / "farm"
    (tmp_path / "secret").write_bytes(b"from a file\n")
    result = alliance(
        *("init", farm, "--base-port", "12000", "--clients", "1", "--passphrase-file", tmp_path / "secret"),
        passphrase=None,
    )
    assert result.code == 0, result.err
    assert "saw every key" in result.text
    assert f"alliance serve {farm}/members/member-1" in result.text
    written = {"alliance.toml", "public.pem", "public-attestation.pem", "members", "clients"}
    assert {path.name for path in farm.iterdir()} == written
    founded = config.load(farm)
    assert [member.address for member in founded.members] == [f"127.0.0.1:{12000 + n}" for n in range(6)]
    shares = ("sealing-0.0.pem", "share-0.0-agreement.pem", "share-0.0-attestation.pem", "share.current")
    for name in ("identity.pem", "tls.pem", *shares):
        mode = (farm / "members" / "member-3" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert not list((farm / "clients" / "client-1").glob("share*"))
    # The passphrase is the file's content without its newline.
    assert alliance("status", farm / "clients" / "client-1", passphrase="from a file").code == 5
    assert alliance("status", farm / "clients" / "client-1", passphrase="from a file\n").code == 2


@pytest.mark.parametrize(
    ("asked", "profile", "decision"),
    [
        (("--members", "4"), "lean", 3),
        (("--members", "5"), "lean", 4),
        (("--members", "6"), "classic", 5),
        (("--members", "6", "--profile", "lean"), "lean", 4),
    ],
)
def test_the_profile_follows_from_the_sizes_unless_it_is_named(
    inside: Run, tmp_path: Path, asked: tuple[str, ...], profile: str, decision: int
) -> None:
    with cheaply():
        result = inside("init", tmp_path / "farm", *asked, "-o", "json")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.text)
    assert (report["profile"], report["decision_quorum"]) == (profile, decision)
    founded = config.load(tmp_path / "farm")
    assert (founded.system.profile, founded.key.threshold) == (profile, decision)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_dealer_sees_what_the_parties_are_to_compare(inside: Run, tmp_path: Path) -> None:
    """As docs/guides/organisations.md tells them to: in each folder, with tools that are not ours."""
    farm = tmp_path / "farm"
    with cheaply():
        result = inside("init", farm)
    home = farm / "members" / "member-4"
    everything = hashlib.sha256((home / "alliance.toml").read_bytes()).hexdigest()
    assert f"SHA-256 of alliance.toml       {everything}\n" in result.text
    assert f"alliance_id in alliance.toml   {config.load(home).alliance_id.hex()}\n" in result.text
    der = ["openssl", "pkey", "-pubin", "-in", home / "public.pem", "-outform", "DER"]
    key = subprocess.run(der, capture_output=True, check=True).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=key, capture_output=True, check=True)
    fingerprint = digest.stdout.split()[0].decode()
    assert len(fingerprint) == 64
    assert f"SHA-256 of public.pem in DER   {fingerprint}\n" in result.text


def test_json_names_everything_that_was_written(inside: Run, tmp_path: Path) -> None:
    farm = tmp_path / "farm"
    names = "anna,bert,carl,dora,emil,fritz"
    addresses = [f"{name}.example:{7000 + n}" for n, name in enumerate(names.split(","))]
    given = [word for address in addresses for word in ("--address", address)]
    asked = ("--names", names, *given, "--name", "farmers", "--purpose", "web:4")
    with cheaply():
        result = inside("init", farm, *asked, "-o", "json")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.text)
    assert [member["address"] for member in report["members"]] == addresses
    assert all(Path(party["folder"]).is_dir() for party in report["members"] + report["clients"])
    assert report["alliance_id"] == config.load(farm).alliance_id.hex()
    assert (report["faults"], report["decision_quorum"], report["key_bits"]) == (1, 5, 2048)
    assert "trusted" in report["note"]
    purposes = {one["name"]: one["threshold"] for one in report["purposes"]}
    assert purposes == {"attestation": 3, "web": 4}
    assert (farm / "public-web.pem").read_text().startswith("-----BEGIN PUBLIC KEY-----")
    assert stat.S_IMODE((farm / "members" / "dora" / "share-0.0-web.pem").stat().st_mode) == 0o600
    assert config.load(farm).purpose_key("web").threshold == 4


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--members", "3"], "n >= 5f-1 = 4 members"),
        (["--members", "5", "--profile", "classic"], "n >= 5f+1 = 6 members"),
        (["--profile", "thin"], "the profile is 'classic' or 'lean'"),
        (["--members", "8", "--faults", "2"], "9 members"),
        (["--faults", "0"], "--faults 1 or more"),
        (["--faults", "-1"], "--faults 1 or more"),
        (["--members", "300"], "255"),
        (["--bits", "1024"], "--bits must be 2048 to 8192"),
        (["--bits", "2049"], "steps of 128"),
        (["--base-port", "65533"], "lower --base-port"),
        (["--names", "a,b,c"], "4 members"),
        (["--names", "a,b,c", "--members", "6"], "--names lists 3"),
        (["--names", "a,b,c,d,e,a"], "same name"),
        (["--names", "a,b,c,d,e,../f"], "is no name"),
        (["--name", "Farm"], "is no name"),
        (["--address", "a:1"], "give one each"),
        ([word for n in range(6) for word in ("--address", "a:1")], "same --address"),
        ([word for n in range(6) for word in ("--address", f"a:x{n}")], "is no address"),
        (["--host", 'a"b'], "is no address"),
        (["--purpose", "web"], "write --purpose NAME:THRESHOLD"),
        (["--purpose", "web:x"], "write --purpose NAME:THRESHOLD"),
        (["--purpose", "web:-2"], "write --purpose NAME:THRESHOLD"),
        (["--purpose", "web:1"], "must be 2 (at least one correct member agrees) to 5"),
        (["--purpose", "web:6"], "not 6"),
        (["--purpose", "Web:3"], "names no purpose"),
        (["--purpose", "../web:3"], "names no purpose"),
        (["--purpose", "attestation:2"], "a key that every alliance has"),
        (["--purpose", "agreement:5"], "a key that every alliance has"),
        (["--purpose", "web:2", "--purpose", "web:3"], "a purpose is there twice"),
        (["--attest", "1"], "the threshold of 'attestation' must be 2"),
        (["--attest", "6"], "to 5 (the correct members suffice), not 6"),
        (["a.request"], "name request files after --from"),
        ([word for n in range(16) for word in ("--purpose", f"p{n}:2")], "more than 15"),
    ],
)
def test_what_cannot_be_founded_is_refused_with_the_reason(
    inside: Run, tmp_path: Path, arguments: list[str], reason: str
) -> None:
    result = inside("init", tmp_path / "farm", *arguments)
    assert result.code == 2
    assert reason in result.error
    assert not (tmp_path / "farm").exists()


def test_an_existing_folder_is_left_alone(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    for folder in (tmp_path, tmp_path / "precious"):
        result = inside("init", folder)
        assert result.code == 2
        assert "exists and is not empty: name a new folder" in result.error
    assert (tmp_path / "precious").read_text() == "keep me"


def test_without_a_passphrase_and_a_terminal_it_says_what_to_set(alliance: Run, tmp_path: Path) -> None:
    result = alliance("init", tmp_path / "farm", passphrase=None)
    assert result.code == 2
    assert "set ALLIANCE_PASSPHRASE, or use --passphrase-file F" in result.error
    assert not (tmp_path / "farm").exists()


def test_an_empty_passphrase_is_refused(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    by_file = inside("init", tmp_path / "farm", "--passphrase-file", tmp_path / "empty")
    by_variable = inside("init", tmp_path / "farm", passphrase="")
    missing = inside("init", tmp_path / "farm", "--passphrase-file", tmp_path / "none")
    assert [result.code for result in (by_file, by_variable, missing)] == [2, 2, 2]
    assert "empty" in by_file.error
    assert "ALLIANCE_PASSPHRASE is empty" in by_variable.error
    assert "cannot be read" in missing.error
    assert not (tmp_path / "farm").exists()


def _at_a_terminal(arguments: list[str], answers: list[bytes]) -> tuple[int, bytes]:
    """Runs a command whose input and error output are a terminal; answers each question when it is asked."""
    ours, theirs = pty.openpty()
    options: dict[str, Any] = {"stdin": theirs, "stdout": subprocess.DEVNULL, "stderr": theirs}
    with started(command(*arguments), env=environment(None), start_new_session=True, **options) as process:
        os.close(theirs)
        said = b""
        try:
            while True:
                readable, _, _ = select.select([ours], [], [], RUN_SECONDS)
                assert readable, f"silent for {RUN_SECONDS:g} s after {said!r}, with {answers} to be given"
                if not (part := os.read(ours, 1024)):
                    break
                said += part
                if answers and said.endswith(b": "):
                    os.write(ours, answers.pop(0) + b"\n")
        except OSError:  # so Linux says that the other side is closed
            pass
        os.close(ours)
        return process.wait(RUN_SECONDS), said


def test_at_a_terminal_it_asks_twice_and_shows_nothing(tmp_path: Path) -> None:
    arguments = ["init", str(tmp_path / "farm")]
    code, said = _at_a_terminal(arguments, [b"one secret", b"another secret"])
    assert code == 2
    assert b"the two passphrases differ" in said
    assert b"secret" not in said
    code, said = _at_a_terminal(arguments, [b""])
    assert code == 2
    assert b"is empty" in said
    assert not (tmp_path / "farm").exists()
    code, said = _at_a_terminal(arguments, [b"one secret", b"one secret"])
    assert code == 0
    assert b"secret" not in said
    assert (tmp_path / "farm" / "alliance.toml").exists()


def test_who_runs_the_members_is_recorded_and_has_one_key_each(inside: Run, tmp_path: Path) -> None:
    names = "anna,bert,carl,dora,emil,fritz"
    run_by = "north,north,south,east,west,south"
    farm = tmp_path / "farm"
    wrong = inside("init", farm, "--names", names, "--organisations", "north,south")
    assert (wrong.code, "6 members need as many organisations, not 2" in wrong.error) == (2, True)
    with cheaply():
        made = inside("init", farm, "--names", names, "--organisations", run_by, "--clients", "0")
    assert made.code == 0
    told = [line for line in made.text.splitlines() if line.startswith("Note:")]
    assert [line.split("'")[1] for line in told] == ["north", "south"]  # more members than one
    founded = config.load(farm)
    assert ",".join(member.organisation for member in founded.members) == run_by
    operators = dict(founded.founding.operators)
    assert list(operators) == ["north", "south", "east", "west"]
    held = {path.parent.name: path for path in farm.glob("members/*/operator.pem")}
    assert set(held) == {"anna", "carl", "dora", "emil"}  # the first of each
    for member in founded.members:
        if member.name in held:
            path = held[member.name]
            key = sealing.unseal_signing(sealing.read(path), path, PASSPHRASE.encode())
            assert key.public_key().public_bytes_raw() == operators[member.organisation]


def test_a_short_passphrase_is_refused_before_anything_is_made(inside: Run, tmp_path: Path) -> None:
    result = inside("init", tmp_path / "farm", passphrase="secret")
    assert result.code == 2
    assert "the new passphrase has 6 bytes: keys need one of 8 or more" in result.error
    assert not (tmp_path / "farm").exists()
