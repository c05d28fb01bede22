"""What the documents say of the code is compared with the code."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import alliance.errors
import alliance.execution.errors
import alliance.signing.errors
import quorum.statement
from alliance.errors import AllianceError
from alliance.evidence.folder import FILES_PER_CULPRIT_MAX
from alliance.evidence.portable import BESIDES, PortableEvidence
from alliance.execution import Command, Outcome, Reply, Status
from alliance.execution.outcome import KEPT_PER_CLIENT
from alliance.net import limits as net_limits
from alliance.pb import client_pb2
from alliance.proofs.receipt import RECEIPT_BYTES_MAX, Receipt
from alliance.signing import Policy
from alliance.signing.desk import OLD_SECONDS_MAX
from alliance.signing.occasion import BACKDATED_SECONDS
from alliance.signing.policy import KINDS
from consensus import limits as control_limits
from fab_paxos import limits as engine_limits
from quorum import PROFILES, Context, QuorumSystem
from quorum.tags import Tag
from tests.docs import documents
from tests.docs.conftest import Archive
from tests.docs.documents import DOCUMENTS, ROOT, anchors, links, table
from tests.worlds.processes import environment
from verifiable_log import limits as log_limits

PROTOCOL = ROOT / "docs" / "concepts" / "protocol.md"
EXECUTION = ROOT / "docs" / "guides" / "execution.md"
ARCHITECTURE = ROOT / "docs" / "development" / "architecture.md"
EVIDENCE = ROOT / "docs" / "concepts" / "evidence.md"
LIMITS = ROOT / "docs" / "reference" / "limits.md"
SIZES = ROOT / "docs" / "reference" / "sizes.md"
STATEMENTS = ROOT / "docs" / "reference" / "statements.md"
EXIT_CODES = ROOT / "docs" / "reference" / "exit_codes.md"
GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"
RECEIPTS = ROOT / "docs" / "guides" / "receipts.md"
SIGNING = ROOT / "docs" / "guides" / "signing.md"
ids = {"ids": lambda path: str(path.relative_to(ROOT))}


# -- form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, **ids)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for link in links(document):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} does not exist"
        assert target.is_relative_to(ROOT), f"{link} leaves the repository"
        if anchor:
            assert anchor in anchors(target), f"{target.name} has no heading for #{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, **ids)
def test_documents_are_plain(document: Path) -> None:
    """No emoji, no paths of somebody's machine, lines that fit beside code."""
    text = document.read_text("utf-8")
    assert not re.search("[\U0001f000-\U0001ffff\u2600-\u2712\u2714-\u27bf\ufe0f]", text)
    assert not re.search(r"/(home|root|work|Users)/", text)
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= 120 or line.startswith("|"), f"line {number} is too long"
        assert line == line.rstrip(), f"line {number} ends with blanks"


def test_every_document_is_reached_from_the_readme() -> None:
    """In three steps at most: the README, a folder's first page, the document, one that belongs to it."""
    reached = {ROOT / "README.md"}
    for _ in range(3):
        pages = [page for page in reached if page.suffix == ".md"]
        reached |= {
            (page.parent / link.partition("#")[0]).resolve() for page in pages for link in links(page)
        }
    assert set(DOCUMENTS) <= reached


@pytest.mark.parametrize("folder", ["start", "guides", "concepts", "reference", "development"])
def test_a_folders_first_page_lists_what_is_in_it(folder: str) -> None:
    first = ROOT / "docs" / folder / "index.md"
    listed = {(first.parent / link).resolve() for link in links(first)}
    (tree,) = re.findall(r"```{toctree}\n:hidden:\n\n(.*?)```", first.read_text("utf-8"), re.S)
    on_the_site = {(first.parent / f"{name}.md").resolve() for name in tree.split()}
    assert set(first.parent.glob("*.md")) - {first} <= on_the_site <= listed


# -- protocol.md and its tables ----------------------------------------------------------------------


def test_the_limits_are_those_of_the_code() -> None:
    rows = table(LIMITS, "constant", "value", "reason")
    written = {name: int(value) for name, value, _ in rows}
    constants = {
        name: value
        for module in (log_limits, control_limits, engine_limits)
        for name, value in vars(module).items()
        if name.isupper()
    }
    assert written == constants
    bounds = {name: float(value) for name, value, _ in table(LIMITS, "bound", "value", "reason")}
    numbers = {name: value for name, value in vars(net_limits).items() if isinstance(value, int | float)}
    assert bounds == {name: numbers[name] for name in numbers if name != "ENVELOPE_BYTES_MAX"}


def test_the_sizes_are_those_of_the_code() -> None:
    heading = ["n", "f", "decision", "report", "forcing", "one_correct"]
    rows = [(profile, *map(int, row)) for profile, *row in table(SIZES, "profile", *heading)]
    assert {profile for profile, *_ in rows} == set(PROFILES)
    assert len(rows) >= 8
    for profile, members, faulty, *sizes in rows:
        system = QuorumSystem(members, faulty, profile)
        assert sizes == [getattr(system, name) for name in heading[2:]]


def test_the_statements_are_those_of_the_code() -> None:
    rows = table(STATEMENTS, "tag", "statement", "signed", "fields", "bytes of fields", "meaning")
    written = {int(row[0], 16): (row[1], _names(row[3]), int(row[4])) for row in rows}
    in_code = {}
    for name, kind in vars(quorum.statement).items():
        tag = getattr(kind, "TAG", None)
        if inspect.isclass(kind) and isinstance(tag, int):
            names = [field.name for field in dataclasses.fields(kind)]
            spelt = re.sub(r"(?<=.)([A-Z])", r"_\1", name.removesuffix("Statement")).upper()
            in_code[tag] = (spelt, names, kind.LAYOUT.size)
    assert written == in_code
    reserved = table(STATEMENTS, "tag", "statement", "signed", "purpose")
    assert [int(row[0], 16) for row in reserved] == [tag for tag in Tag if tag.reserved]


def _names(fields: str) -> list[str]:
    """Field names out of 'view u64, root[32]'."""
    return re.findall(r"(\w+)(?: u64|\[32\])", fields)


def test_the_frame_of_a_statement_has_the_stated_length() -> None:
    length = len(Context(bytes(32), 0).frame(1, b""))
    assert f"which is {length} bytes and then the fields" in PROTOCOL.read_text("utf-8")


def test_the_reasons_of_refusals_are_those_of_the_wire() -> None:
    written = {row[0] for row in table(PROTOCOL, "reason", "meaning")}
    assert written == set(client_pb2.Refusal.Reason.keys()) - {"UNSPECIFIED"}


# -- receipts.md -------------------------------------------------------------------------------------


def test_the_fields_of_a_receipt_are_those_of_the_code(archive: Archive) -> None:
    written = [row[0] for row in table(RECEIPTS, "field", "content")]
    receipt = archive.at(3, 4)
    assert written == list(receipt.to_dict())
    signed = [row[0] for row in table(RECEIPTS, "field of the certificate", "content")]
    assert signed == list(receipt.to_dict()["certificate"])
    assert len(receipt.to_json()) < RECEIPT_BYTES_MAX
    assert Receipt.from_json(receipt.to_json()).to_dict() == receipt.to_dict()


def test_the_signed_message_is_laid_out_as_stated(archive: Archive) -> None:
    rows = next(t for t in documents.tables(RECEIPTS) if t[0] == ["bytes", "content"])[1:]
    receipt = archive.at(3, 4)
    fields: dict[str, Any] = receipt.to_dict()
    fields |= {f"{name} of the certificate": value for name, value in fields["certificate"].items()}
    expected = b""
    for length, content in rows:
        name = content.partition(",")[0]
        if name == "alliance/v1 and a zero byte":
            part = b"alliance/v1\x00"
        elif name == "01":
            part = b"\x01"
        elif isinstance(fields[name], int):
            part = fields[name].to_bytes(8, "big")
        else:
            part = bytes.fromhex(fields[name])
        assert len(part) == int(length)
        expected += part
    assert receipt.message == expected
    assert f"{len(expected)} bytes, numbers big-endian" in RECEIPTS.read_text("utf-8")


# -- execution.md ------------------------------------------------------------------------------------


def test_the_fields_of_commands_and_replies_are_those_of_the_code() -> None:
    outcome = Outcome(bytes(32), 1, 2, 3, 4, bytes(32), Status.DONE, b"")
    reply = Reply(Context(bytes(32), 0), outcome, b"", "0" * 64)
    written = [name for row in table(EXECUTION, "field", "content") for name in row[0].split(", ")]
    assert written == list(reply.to_dict())
    told = [name for row in table(EXECUTION, "field of a command", "content") for name in row[0].split(", ")]
    assert told == [field.name for field in dataclasses.fields(Command)]
    assert f"the latest {KEPT_PER_CLIENT} answers" in EXECUTION.read_text("utf-8")
    for name, _, _ in table(EXECUTION, "error", "meaning", "what to do"):
        assert issubclass(getattr(alliance, name), AllianceError)


# -- evidence.md -------------------------------------------------------------------------------------


def test_the_kinds_of_evidence_and_their_fields_are_those_of_the_code() -> None:
    kinds = [row[0] for row in table(EVIDENCE, "kind", "what was signed", "why no correct party signs it")]
    assert kinds == list(BESIDES)
    more = {kind: tuple(keys.split(", ")) for kind, keys, _ in table(EVIDENCE, "kind", "also has", "content")}
    assert more == {kind: keys for kind, keys in BESIDES.items() if keys}
    piece = PortableEvidence(Context(bytes(32), 0), "two-statements", "member-1", ())
    assert [row[0] for row in table(EVIDENCE, "field", "content")] == list(piece.to_dict())
    assert f"nor more than {FILES_PER_CULPRIT_MAX} against one party" in EVIDENCE.read_text("utf-8")


# -- signing.md --------------------------------------------------------------------------------------


def test_the_policies_and_errors_are_those_of_the_code() -> None:
    """The policies of the page are read, and its table names every key of each kind."""
    named: dict[str, set[str]] = {kind: set() for kind in ("all", *KINDS)}
    for kind, keys, _ in table(SIGNING, "kind", "key of the policy", "what it allows"):
        named[kind] |= set(keys.split(", "))
    shown = [block.body for block in documents.blocks("toml") if block.document == SIGNING]
    assert len(shown) == len(KINDS)
    for text in shown:
        policy = Policy.from_toml(text, "the policy of the page")
        kind = next(name for name, of in KINDS.items() if isinstance(policy.allowed, of))
        given = set(tomllib.loads(text)) - {"purpose", "kind"}
        assert given == named["all"] | named[kind]
        fields = {field.name for field in dataclasses.fields(KINDS[kind])}
        assert fields | {"ca"} >= named[kind] >= fields
    for code, error, _, _ in table(SIGNING, "exit code", "error", "meaning", "what to do"):
        assert getattr(alliance, error).exit_code == int(code)
    text = SIGNING.read_text("utf-8")
    assert (OLD_SECONDS_MAX, BACKDATED_SECONDS) == (3600, 300)
    assert "answers for an hour" in text
    assert "five minutes before the time" in text


# -- exit_codes.md -----------------------------------------------------------------------------------


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = table(EXIT_CODES, "exit code", "error", "what happened", "what to do")
    written = {error: int(code) for code, error, _, _ in rows}
    assert len(written) == len(rows)
    in_code = {
        name: kind.exit_code
        for module in (alliance.errors, alliance.execution.errors, alliance.signing.errors)
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, AllianceError)
    }
    assert written == in_code


# -- architecture.md ---------------------------------------------------------------------------------


def test_the_rooms_of_the_architecture_have_these_modules() -> None:
    rows = [row for row in table(ARCHITECTURE, "room", "modules", "task") if row[1]]
    rooms = {room: set(modules.split(", ")) for room, modules, _ in rows if room != "top floor"}
    assert len(rooms) >= 8
    for room, modules in rooms.items():
        there = {path.stem for path in (ROOT / "alliance" / room).glob("*.py")}
        assert modules == there - {"__init__", "__main__"}, room


# -- glossary.md -------------------------------------------------------------------------------------


def test_each_term_of_the_glossary_is_defined_once_and_lives_where_it_says() -> None:
    rows = table(GLOSSARY, "term", "meaning", "file")
    terms = [term.lower() for term, _, _ in rows]
    assert terms == sorted(set(terms)), "in alphabetical order, each once"
    for term, meaning, file in rows:
        assert (ROOT / file).is_file(), f"{term}: {file}"
        assert meaning.endswith("."), term
        assert 1 <= len(re.findall(r"\.(?= |$)", meaning)) <= 3, term
        if not term.islower():  # a name of the code, and not only of the prose
            assert re.search(rf"\b{term}\b", (ROOT / file).read_text("utf-8")), f"{term}: {file}"


def test_the_glossary_has_the_terms_of_the_protocol() -> None:
    terms = {term.lower() for term, _, _ in table(GLOSSARY, "term", "meaning", "file")}
    assert terms >= {"view", "slot", "propose", "accepted", "report", "newview", "endorsement", "certificate"}
    assert terms >= {"receipt", "culprit", "evidence", "incarnation", "gate", "seal", "journal", "driver"}


# -- generated pages ---------------------------------------------------------------------------------


def test_the_generated_pages_are_current() -> None:
    command = [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
