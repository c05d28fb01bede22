"""``verify`` and ``receipt export``: genuine receipts convince, openssl too; all others do not."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import warnings
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from alliance.client import Client
from alliance.errors import VotesMissing
from alliance.proofs.receipt import Receipt
from tests.cli.conftest import Run
from tests.worlds.processes import Cluster


@pytest.fixture(scope="module")
def receipt(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The receipt of the last one of three commands."""
    path = tmp_path_factory.mktemp("receipt") / "r.json"
    with cluster.client("client-1") as client:
        *_, last = client.propose_all([b"one", b"two", b"open\x1b the gate"])
    path.write_text(last.to_json())
    return path


@pytest.fixture
def key(cluster: Cluster) -> Path:
    return cluster.folder / "public.pem"


def test_propose_writes_the_receipt_of_the_last_command(
    alliance: Run, inside: Run, cluster: Cluster, key: Path, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    folder = cluster.client_folder("client-1")
    proposed = alliance("propose", folder, "one", "two", "--receipt", path)
    assert proposed.code == 0
    assert f"receipt of the last one: {path}" in proposed.text
    assert '"two"' in inside("verify", "--key", key, path).text
    again = alliance("propose", folder, "three", "--receipt", path)
    assert again.code == 2
    assert "--force" in again.error
    assert '"two"' in inside("verify", "--key", key, path).text
    assert alliance("propose", folder, "three", "--receipt", path, "--force").code == 0
    assert '"three"' in inside("verify", "--key", key, path).text


def test_a_receipt_with_votes_is_made_and_judged(
    inside: Run, cluster: Cluster, key: Path, tmp_path: Path
) -> None:
    """Also for a command whose receipt came without them before."""
    path, folder = tmp_path / "r.json", cluster.client_folder("client-1")
    judge = ("verify", "--key", key, path, "--alliance", folder)
    made = inside("propose", folder, "voted", "--receipt", path, "--id", "with votes")
    assert (made.code, inside(*judge).code) == (0, 1)
    report = inside(
        *("propose", folder, "voted", "--receipt", path, "--id", "with votes", "--votes", "--force"),
        *("-o", "json"),
    )
    assert json.loads(report.text)["votes"] == 2
    judged = inside(*judge)
    assert (judged.code, judged.err) == (0, "")
    assert judged.text.endswith("…, and by 2 members' votes\n")
    told = inside("propose", folder, "again", "--receipt", path, "--votes", "--force")
    assert told.text.endswith(f"receipt: {path}, with 2 members' votes\n")
    assert inside(*judge).code == 0
    refused = inside("propose", folder, "voted", "--votes")
    assert refused.code == 2
    assert "--votes without --receipt" in refused.error


def test_a_receipt_whose_votes_do_not_come_is_written_without_them(
    inside: Run, cluster: Cluster, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was ordered is told, and that this is not what was asked for; a newer certificate is tried."""
    asked: list[int] = []

    async def none(_: Client, receipt: Receipt, timeout: float = 0.0) -> Receipt:
        asked.append(receipt.slot)
        raise VotesMissing("too few")

    monkeypatch.setattr(Client, "with_votes", none)
    path = tmp_path / "r.json"
    made = inside("propose", cluster.client_folder("client-1"), "alone", "more", "--receipt", path, "--votes")
    assert made.code == 9
    assert f"ordered, and {path} is written without votes: too few" in made.error
    assert made.text.startswith("ordered: ")
    assert len(asked) == 2
    assert len(set(asked)) == 1
    assert '"more"' in inside("verify", "--key", key, path).text
    assert "votes" not in json.loads(path.read_text())


def test_a_genuine_receipt_is_proven(inside: Run, receipt: Path, key: Path) -> None:
    result = inside("verify", "--key", key, receipt)
    assert (result.code, result.err) == (0, "")
    table = json.loads(receipt.read_text())
    assert result.text.startswith(rf'proven: "open\x1b the gate" is at slot {table["slot"]}, position')
    assert f"up to slot {table['certificate']['slot']}" in result.text
    assert f"slot {table['slot']}, position {table['position']}, command 2;" in result.text
    assert len(result.text.splitlines()) == 1
    report = json.loads(inside("verify", "--key", key, receipt, "-o", "json").text)
    assert (report["valid"], report["command"]) == (True, "open\x1b the gate")
    assert (report["slot"], report["position"], report["command_index"]) == (
        table["slot"],
        table["position"],
        2,
    )


def test_votes_that_are_not_checked_are_said_to_be(
    inside: Run, receipt: Path, key: Path, tmp_path: Path
) -> None:
    """Anybody can write them beside a genuine receipt; who reads `proven` is not to take them for it."""
    path = tmp_path / "r.json"
    votes = [{"member": 0, "signature": b64encode(bytes(64)).decode()}]
    path.write_text(json.dumps({**json.loads(receipt.read_text()), "votes": votes}))
    result = inside("verify", "--key", key, path)
    assert result.code == 0
    assert result.text.startswith("proven: ")
    assert "votes of members as well, which were not checked" in result.error


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_checks_what_is_exported(
    inside: Run, receipt: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(key, "public.pem")
    arguments = ("receipt", "export", receipt, "--message", "M.bin", "--signature", "S.bin")
    result = inside(*arguments)
    assert result.code == 0
    assert result.text == "openssl dgst -sha256 -verify public.pem -signature S.bin M.bin\n"
    done = subprocess.run(shlex.split(result.text), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Verified OK\n")
    for name in ("M.bin", "S.bin"):
        genuine = Path(name).read_bytes()
        Path(name).write_bytes(genuine[:-1] + bytes([genuine[-1] ^ 1]))
        assert subprocess.run(shlex.split(result.text), capture_output=True).returncode != 0
        Path(name).write_bytes(genuine)
    refused = inside(*arguments)
    assert refused.code == 2
    assert "M.bin exists" in refused.error
    assert json.loads(inside(*arguments, "--force", "-o", "json").text)["command"] == result.text.strip()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_printed_command_names_the_key_that_was_named_and_says_if_it_is_not_there(
    inside: Run, receipt: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("receipt", "export", receipt, "--message", "M.bin", "--signature", "S.bin")
    named = inside(*arguments, "--key", key)
    assert (named.code, named.err) == (0, "")
    assert subprocess.run(shlex.split(named.text), capture_output=True).returncode == 0
    unnamed = inside(*arguments, "--force")
    assert unnamed.code == 0
    assert unnamed.error.startswith("public.pem is not here")


def test_export_does_not_write_over_itself_or_into_nowhere(
    inside: Run, receipt: Path, tmp_path: Path
) -> None:
    same = inside("receipt", "export", receipt, "--message", tmp_path / "x", "--signature", tmp_path / "x")
    nowhere = inside(
        "receipt", "export", receipt, "--message", tmp_path / "x", "--signature", tmp_path / "no" / "y"
    )
    assert (same.code, nowhere.code) == (2, 2)
    assert "name two" in same.error
    assert "does not exist" in nowhere.error
    assert list(tmp_path.iterdir()) == []


def test_the_receipt_of_another_alliance(inside: Run, receipt: Path, stranger: Cluster) -> None:
    result = inside("verify", "--key", stranger.folder / "public.pem", receipt)
    assert (result.code, result.out) == (1, b"")
    assert "is of another alliance" in result.error
    table = json.loads(receipt.read_text())
    other = stranger.folder / "forged.json"
    # It is not the fingerprint in the file that convinces.
    from alliance.proofs.receipt import key_fingerprint, load_public_key

    fingerprint = key_fingerprint(load_public_key((stranger.folder / "public.pem").read_bytes()))
    other.write_text(json.dumps({**table, "key_fingerprint": fingerprint}))
    result = inside("verify", "--key", stranger.folder / "public.pem", other)
    assert result.code == 1
    assert "signature does not fit" in result.error


@pytest.mark.parametrize("size", [0, 1, 100, 1000, -3])
def test_a_truncated_receipt(inside: Run, receipt: Path, key: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(receipt.read_bytes()[:size])
    for arguments in (
        ("verify", "--key", key, path),
        ("receipt", "export", path, "--message", tmp_path / "M", "--signature", tmp_path / "S"),
    ):
        result = inside(*arguments)
        assert (result.code, result.out) == (1, b"")
        assert "truncated" in result.error
    assert not (tmp_path / "M").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0 a picture",
        b"[]",
        b"{}",
        b"null",
        b'"text"',
        b"1" * 5000,
        b"[" * 100_000,
        b'{"format": "alliance-receipt/99"}',
        b'{"format": "alliance-receipt/2"}',
        b'{"format": "alliance-receipt/3"}',
        b" " * (5 * 1024 * 1024),
    ],
)
def test_a_file_that_is_no_receipt(inside: Run, key: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    result = inside("verify", "--key", key, path)
    assert (result.code, result.out) == (1, b"")
    assert "receipt" in result.error
    assert "column" not in result.error  # what a parser of JSON says helps nobody


def _changed(table: dict[str, Any], field: str) -> list[Any]:
    """Other values for a field: one a little off, and some of other kinds."""
    value = table[field]
    wrong: list[Any] = [None, [], {}, -1, 1.5, True, "x"]
    if isinstance(value, int):
        wrong += [value + 1, 2**80]
    elif isinstance(value, str):
        wrong += [
            value[:-2],
            value + "00",
            value + 43 * "A" + "=",
            ("1" if value[:1] != "1" else "2") + value[1:],
        ]
    else:
        wrong += [value | {name: other} for name in value for other in _changed(value, name)]
        wrong += [{kept: value[kept] for kept in value if kept != name} for name in value]
        wrong.append(value | {"note": 1})
    return [other for other in wrong if other != value]


FIELDS = (
    *("format", "alliance_id", "key_fingerprint", "certificate"),
    *("slot", "position", "batch_size", "time_ms", "batch_path", "log_path"),
    *("client_id", "client_seq", "client_signature"),
    *("command_count", "command_index", "command_group", "command_path", "command"),
)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_matters(inside: Run, receipt: Path, key: Path, tmp_path: Path, field: str) -> None:
    table = json.loads(receipt.read_text())
    assert len(table) == len(FIELDS)
    path = tmp_path / "r.json"
    for value in _changed(table, field):
        path.write_text(json.dumps({**table, field: value}))
        result = inside("verify", "--key", key, path)
        assert result.code == 1, f"{field} = {value!r} is accepted: {result.text}"
        assert result.out == b""
        assert result.error.startswith("alliance: ")
    del table[field]
    path.write_text(json.dumps(table))
    assert inside("verify", "--key", key, path).code == 1


ELLIPTIC = ("secp112r1", "SM2", "prime256v1", "sect113r1", "brainpoolP512t1", "Oakley-EC2N-3")
KEYS = {
    **{curve: ["ecparam", "-genkey", "-name", curve] for curve in ELLIPTIC},
    "explicit curve": ["ecparam", "-genkey", "-name", "prime256v1", "-param_enc", "explicit"],
    **{name: ["genpkey", "-algorithm", name] for name in ("ED25519", "ED448", "X25519", "X448")},
    "DSA": ["dsaparam", "-genkey", "-noout", "1024"],
    "DH": ["genpkey", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"],
    "SM2 by algorithm": ["genpkey", "-algorithm", "SM2"],
    "RSA of 512 bits": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"],
    "RSA-PSS": ["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024"],
}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("name", KEYS)
def test_any_other_key_that_openssl_makes_is_one_line(
    inside: Run, receipt: Path, tmp_path: Path, name: str
) -> None:
    made = subprocess.run(["openssl", *KEYS[name]], capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"this openssl makes no key of the kind {name}")
    public = subprocess.run(
        ["openssl", "pkey", "-pubout"], input=made.stdout, capture_output=True, check=True
    )
    for content in (public.stdout, made.stdout):
        (tmp_path / "key.pem").write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # they would be lines, too
            result = inside("verify", "--key", tmp_path / "key.pem", receipt)
        if name.startswith("RSA") and content == public.stdout:
            assert result.code == 1
            assert "is of another alliance" in result.error
        else:
            assert result.code == 2
            assert "name the alliance's public.pem" in result.error


def test_files_that_cannot_be_read_and_keys_that_are_none(
    inside: Run, receipt: Path, key: Path, tmp_path: Path
) -> None:
    for arguments, says in [
        (("--key", key, tmp_path / "none.json"), "none.json cannot be read"),
        (("--key", tmp_path / "none.pem", receipt), "none.pem cannot be read"),
        (("--key", tmp_path, receipt), "name the alliance's public.pem"),
        (("--key", receipt, receipt), "is no public key in PEM"),
    ]:
        result = inside("verify", *arguments)
        assert (result.code, result.out) == (2, b"")
        assert says in result.error
