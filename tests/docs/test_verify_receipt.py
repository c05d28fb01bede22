"""examples/verify_receipt.py against the library: what one refuses the other refuses, and nothing passes.

The script stands for any third party that implements docs/guides/receipts.md by itself.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import shoup_rsa
from alliance.errors import InvalidReceipt
from alliance.proofs.receipt import Receipt, load_public_key
from tests.docs.conftest import CROWDED, SCRIPT, SIZES, Archive, make_archive

FROZEN = Path(__file__).parent / "frozen"
LINES_MAX = 90
USAGE = "not verified: usage: python verify_receipt.py public.pem receipt.json\n"
Table = dict[str, Any]
CERTIFIED = ("tag", "epoch", "view", "slot of the certificate", "root", "signature")
"""Fields of the certificate; ``flat`` lays them beside the others."""
NUMBERS = ("epoch", "view", "slot of the certificate", "slot", "position", "batch_size", "time_ms")
NUMBERS += ("client_seq", "command_count", "command_index")
DIGITS = ("alliance_id", "key_fingerprint", "root", "client_id")
PACKED = ("signature", "client_signature", "command")
PATHS = ("batch_path", "log_path", "command_group", "command_path")
FIELDS = ("format", "tag", *NUMBERS, *DIGITS, *PACKED, *PATHS)
PLACES = [(3, 4, 0), (6, 0, 0), (6, 5, 9), (6, 5, 19), (1, 0, 0), (7, 0, 0)]
"""Ragged ends, a left edge, a crowded submission, a single leaf at either end of the log."""


@pytest.fixture(scope="module")
def script() -> Callable[[bytes, Table], str]:
    """``verify`` of the script, without its last statement, which reads the files and ends the process."""
    tree = ast.parse(SCRIPT.read_text())
    assert isinstance(tree.body.pop(), ast.Try)
    names: dict[str, Any] = {}
    exec(compile(tree, SCRIPT, "exec"), names)  # noqa: S102
    return lambda pem, table: names["verify"](pem.decode(), table)


def flat(table: Table) -> Table:
    """The receipt's fields, and those of its certificate in the place of that."""
    signed = {("slot of the certificate" if k == "slot" else k): v for k, v in table["certificate"].items()}
    return {key: value for key, value in (table | signed).items() if key != "certificate"}


def nested(fields: Table) -> Table:
    """What was made ``flat``."""
    signed = {field.split()[0]: fields[field] for field in CERTIFIED if field in fields}
    return {key: value for key, value in fields.items() if key not in CERTIFIED} | {"certificate": signed}


def accepted_by_script(verify: Callable[[bytes, Table], str], pem: bytes, table: Table) -> bool:
    try:
        verify(pem, json.loads(json.dumps(table)))
    except SystemExit as end:
        return not str(end.code).startswith("not verified: ")
    except Exception:
        return False
    return True


def accepted_by_library(pem: bytes, table: Table) -> bool:
    try:
        Receipt.from_json(json.dumps(table)).verify(load_public_key(pem))
    except InvalidReceipt:
        return False
    return True


def run(folder: Path, pem: bytes, receipt: str) -> subprocess.CompletedProcess[str]:
    """The script as its user runs it, except that no installed package can be imported."""
    (folder / "public.pem").write_bytes(pem)
    (folder / "receipt.json").write_text(receipt)
    command = [sys.executable, "-I", "-S", str(SCRIPT), "public.pem", "receipt.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


# -- the script itself -------------------------------------------------------------------------------


def test_the_script_has_at_most_ninety_lines() -> None:
    lines = SCRIPT.read_text().splitlines()
    assert len(lines) <= LINES_MAX
    assert max(map(len, lines)) <= 110


def test_the_script_needs_the_standard_library_only() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names


# -- what is true passes -----------------------------------------------------------------------------


def test_every_command_of_the_log_verifies(archive: Archive, script: Callable[[bytes, Table], str]) -> None:
    assert {receipt.slot for receipt in archive.receipts} == set(range(1, len(SIZES) + 1))
    for receipt in archive.receipts:
        line = script(archive.public_pem, receipt.to_dict())
        place = f"slot {receipt.slot}, position {receipt.position}, command {receipt.command_index}"
        assert line == f"verified: {place}: {receipt.command!r}"
        assert accepted_by_library(archive.public_pem, receipt.to_dict())


def test_run_as_a_program_it_prints_place_and_command(archive: Archive, tmp_path: Path) -> None:
    done = run(tmp_path, archive.public_pem, archive.at(3, 2, 1).to_json())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "verified: slot 3, position 2, command 1: b'slot 3, submission 2, command 1'\n"


def test_a_receipt_of_long_ago_verifies(archive: Archive, script: Callable[[bytes, Table], str]) -> None:
    """The format is frozen: this one was written when it was made, and is written to the same bytes today."""
    pem, text = (FROZEN / "public.pem").read_bytes(), (FROZEN / "receipt.json").read_text()
    place = "slot 6, position 5, command 9"
    assert script(pem, json.loads(text)) == f"verified: {place}: b'slot 6, submission 5, command 9'"
    Receipt.from_json(text).verify(load_public_key(pem))
    assert (archive.public_pem, archive.at(*CROWDED, 9).to_json()) == (pem, text)


# -- what is not true fails --------------------------------------------------------------------------


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def flips(data: bytes) -> Iterator[bytes]:
    """One bit changed at the first, a middle and the last byte; one byte less; one byte more."""
    for at in {0, len(data) // 2, len(data) - 1} if data else ():
        yield data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    yield data[1:]
    yield data[:-1]
    yield data + b"\x00"
    yield b"\x00" + data


def tampered_paths(data: bytes) -> Iterator[bytes]:
    path = [data[at : at + 32] for at in range(0, len(data), 32)]
    for at, node in enumerate(path):
        for changed in flips(node):
            yield b"".join([*path[:at], changed, *path[at + 1 :]])
        yield b"".join(path[:at] + path[at + 1 :])
        yield b"".join([*path[:at], node, *path[at:]])
    yield b"".join(path[::-1])
    yield bytes(32) + data
    yield data + bytes(32)


def respelt(text: str) -> Iterator[str]:
    """Base64 that some decoders take for the same bytes, and what is none."""
    yield text.rstrip("=")
    yield text + "="
    yield text[:4] + "\n" + text[4:]
    yield text.replace("+", "-").replace("/", "_")
    if text.endswith("="):
        at = text.index("=") - 1
        yield text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :]  # only a bit that is unused
    yield ""
    yield "no base64"


def tampered(receipt: Receipt) -> Iterator[tuple[str, Table]]:
    """(what was changed, a receipt with that one change)."""
    table = flat(receipt.to_dict())

    def changes() -> Iterator[tuple[str, object]]:
        for field in ("format", "tag"):
            yield from ((field, text) for text in ("alliance-receipt/2", "PROPOSE", "accepted", ""))
        for field in DIGITS:
            yield from ((field, data.hex()) for data in flips(bytes.fromhex(table[field])))
        for field in PACKED:
            yield from ((field, base64(data)) for data in flips(b64decode(table[field])))
        for field in PATHS:
            yield from ((field, base64(data)) for data in tampered_paths(b64decode(table[field])))
        for field in PACKED + PATHS:
            yield from ((field, text) for text in respelt(table[field]))
        for field in NUMBERS:
            others = {table[field] - 1, table[field] + 1, -1, 2**62, 2**64, 10**30}
            yield from ((field, other) for other in sorted(others))
        for field in FIELDS:
            yield from ((field, other) for other in (None, [], {}, 1.5, "x", float("inf")))

    for field, value in changes():
        if value != table[field]:
            yield f"{field} = {value!r:.80}", nested({**table, field: value})
    for field in FIELDS:
        yield f"without {field}", nested({key: value for key, value in table.items() if key != field})


@pytest.mark.parametrize(("slot", "position", "command_index"), PLACES)
def test_a_receipt_with_one_change_is_refused(
    archive: Archive, script: Callable[[bytes, Table], str], slot: int, position: int, command_index: int
) -> None:
    tried = 0
    assert set(flat(archive.at(slot, position, command_index).to_dict())) == set(FIELDS)
    for what, table in tampered(archive.at(slot, position, command_index)):
        assert not accepted_by_script(script, archive.public_pem, table), f"the script accepts {what}"
        assert not accepted_by_library(archive.public_pem, table), f"the library accepts {what}"
        tried += 1
    assert tried > 150


def test_no_other_place_fits_a_receipt(archive: Archive, script: Callable[[bytes, Table], str]) -> None:
    """Position and size of the batch together: a bare Merkle path would fit several pairs of them."""
    for slot, size in enumerate(SIZES, 1):
        for position in range(size):
            table = archive.at(slot, position).to_dict()
            for other_size in range(10):
                for other in range(other_size):
                    changed = {**table, "position": other, "batch_size": other_size}
                    same = (other, other_size) == (position, size)
                    assert accepted_by_script(script, archive.public_pem, changed) is same
                    assert accepted_by_library(archive.public_pem, changed) is same


def test_no_other_command_fits_a_receipt(archive: Archive, script: Callable[[bytes, Table], str]) -> None:
    """Number and count of the commands together, as with the batch."""
    for index in (0, 8, 19):
        table = archive.at(*CROWDED, index).to_dict()
        for count in (12, 16, 17, 19, 20, 21, 24):
            for other in range(count):
                changed = {**table, "command_index": other, "command_count": count}
                same = (other, count) == (index, 20)
                assert accepted_by_script(script, archive.public_pem, changed) is same
                assert accepted_by_library(archive.public_pem, changed) is same


@pytest.mark.parametrize("field", FIELDS)
def test_fields_of_another_alliance_do_not_mix(
    archive: Archive, stranger: Archive, script: Callable[[bytes, Table], str], field: str
) -> None:
    ours, theirs = (flat(kept.at(6, 3).to_dict()) for kept in (archive, stranger))
    mixed = nested({**ours, field: theirs[field]})
    fits = ours[field] == theirs[field]
    assert accepted_by_script(script, archive.public_pem, mixed) is fits
    assert accepted_by_library(archive.public_pem, mixed) is fits
    assert not accepted_by_script(script, stranger.public_pem, mixed)


# -- the signature -----------------------------------------------------------------------------------


def test_a_signature_is_not_taken_modulo_the_key(
    dealing: shoup_rsa.Dealing, script: Callable[[bytes, Table], str]
) -> None:
    """s and s + N have the same power; only the smaller one is the signature."""
    modulus = dealing.public_key.modulus
    archives = (make_archive(dealing, b"alliance %d" % number) for number in range(200))
    archive, larger = next(
        (archive, signature + modulus)
        for archive in archives
        if (signature := int.from_bytes(archive.at(2).signature, "big")) + modulus < 1 << 2048
    )
    table = archive.at(2).to_dict()
    assert accepted_by_script(script, archive.public_pem, table)
    assert accepted_by_library(archive.public_pem, table)
    table["certificate"]["signature"] = base64(larger.to_bytes(256, "big"))
    assert not accepted_by_script(script, archive.public_pem, table)
    assert not accepted_by_library(archive.public_pem, table)


@pytest.mark.parametrize("length", [0, 1, 2, 54, 62, 128, 255, 257, 512])
def test_a_signature_of_another_length_finds_no_smaller_modulus(
    archive: Archive, script: Callable[[bytes, Table], str], length: int
) -> None:
    """The script finds the modulus from the signature's length: it must be all of it."""
    for content in (bytes(length), bytes(length - 1) + b"\x01" if length else b""):
        table = nested(flat(archive.at(2, 1).to_dict()) | {"signature": base64(content)})
        assert not accepted_by_script(script, archive.public_pem, table)
        assert not accepted_by_library(archive.public_pem, table)


# -- as a program ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"receipt"', "{}", '{"format": "alliance-receipt/3"}', "[" * 100_000],
    ids=lambda text: text[:16] or "empty",
)
def test_what_is_no_receipt_is_refused_in_one_line(archive: Archive, tmp_path: Path, text: str) -> None:
    done = run(tmp_path, archive.public_pem, text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("not verified")
    assert done.stderr.count("\n") == 1


def test_a_truncated_receipt_is_refused(archive: Archive, tmp_path: Path) -> None:
    text = archive.at(3, 4).to_json()
    done = run(tmp_path, archive.public_pem, text[: len(text) // 2])
    assert done.returncode == 1
    assert "not verified" in done.stderr


def test_the_receipt_of_another_alliance_is_refused(
    archive: Archive, stranger: Archive, tmp_path: Path
) -> None:
    done = run(tmp_path, stranger.public_pem, archive.at(3, 4).to_json())
    assert (done.returncode, done.stderr) == (1, "not verified: the receipt is of another alliance\n")


def test_what_is_no_key_is_refused(archive: Archive, tmp_path: Path) -> None:
    body = archive.public_pem.split(b"-----")
    for pem in (
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----".join(body[:2]),
    ):
        done = run(tmp_path, pem, archive.at(3, 4).to_json())
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("not verified")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], USAGE),
        (["public.pem"], USAGE),
        (["none.pem", "receipt.json"], "not verified: [Errno 2] No such file or directory: 'none.pem'\n"),
        (["public.pem", "none.json"], "not verified: [Errno 2] No such file or directory: 'none.json'\n"),
        (["public.pem", "."], "not verified: [Errno 21] Is a directory: '.'\n"),
    ],
)
def test_missing_files_and_arguments_are_an_error_in_one_line(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "public.pem").touch()
    command = [sys.executable, "-I", "-S", str(SCRIPT), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, says)


# -- what openssl checks ------------------------------------------------------------------------------


def openssl(folder: Path, pem: bytes, message: bytes, signature: bytes) -> int:
    (folder / "public.pem").write_bytes(pem)
    (folder / "M.bin").write_bytes(message)
    (folder / "S.bin").write_bytes(signature)
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "S.bin", "M.bin"]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode


def test_openssl_checks_the_signature_and_only_the_signature(archive: Archive, tmp_path: Path) -> None:
    """docs/guides/receipts.md says so: a receipt whose path was altered still has a message that openssl
    accepts."""
    receipt = archive.at(6, 5)
    message, signature = receipt.message, receipt.signature
    assert openssl(tmp_path, archive.public_pem, message, signature) == 0
    for at in (0, 12, 13, 45, 53, 61, 69, 100):  # every part of the statement
        changed = bytearray(message)
        changed[at] ^= 1
        assert openssl(tmp_path, archive.public_pem, bytes(changed), signature) != 0
    table = receipt.to_dict()
    table["batch_path"] = base64(bytes(32) + b64decode(table["batch_path"])[32:])
    altered = Receipt.from_json(json.dumps(table))
    assert openssl(tmp_path, archive.public_pem, altered.message, altered.signature) == 0
    with pytest.raises(InvalidReceipt):
        altered.verify(load_public_key(archive.public_pem))
