"""``verify-evidence``, and what ``status`` tells of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.cli.status import _accused
from alliance.client import MemberStatus
from alliance.evidence.portable import EVIDENCE_BYTES_MAX, TWO_STATEMENTS, PortableEvidence, SignedBytes
from alliance.keys import folder as keys
from quorum import VoteStatement
from tests.cli.conftest import Run
from tests.worlds.processes import PASSPHRASE, Cluster


@pytest.fixture(scope="module")
def key(founded: Cluster) -> Ed25519PrivateKey:
    """The identity key of member 3."""
    member = founded.config.members[2]
    home = founded.folder / "members" / member.name
    return keys.load_credentials(home, member, PASSPHRASE.encode()).signing_key


@pytest.fixture
def file(founded: Cluster, key: Ed25519PrivateKey, tmp_path: Path) -> Path:
    """Two votes of member 3 for one slot."""
    context = founded.config.context
    statements = [VoteStatement(4, 9, root * 32).encode(context) for root in (b"a", b"b")]
    words = tuple(SignedBytes(statement, key.sign(statement)) for statement in statements)
    path = tmp_path / "e.json"
    path.write_text(PortableEvidence(context, TWO_STATEMENTS, "member-3", words).to_json())
    return path


def test_true_evidence_is_proven(inside: Run, founded: Cluster, file: Path) -> None:
    for folder in (founded.folder, founded.client_folder("client-1")):
        result = inside("verify-evidence", "--alliance", folder, file)
        assert (result.code, result.err) == (0, "")
        assert result.text == (
            "proven: member-3 accepted one log and accepted another for slot 9 of view 4:"
            " root 6161616161616161… and root 6262626262626262…;"
            f" signed by it, in alliance '{founded.config.name}'\n"
        )
    told = json.loads(inside("verify-evidence", "--alliance", founded.folder, file, "-o", "json").text)
    assert (told["valid"], told["culprit"], told["role"]) == (True, "member-3", "member")
    assert (told["kind"], told["alliance_id"]) == (TWO_STATEMENTS, founded.config.alliance_id.hex())


def test_altered_evidence_proves_nothing(inside: Run, founded: Cluster, file: Path) -> None:
    table = json.loads(file.read_text())
    for text in (
        json.dumps(table | {"culprit": "member-4"}),
        json.dumps(table | {"statements": table["statements"][:1] * 2}),
        file.read_text()[:-40],
        "{}",
        " " * (EVIDENCE_BYTES_MAX + 1),
    ):
        file.write_text(text)
        result = inside("verify-evidence", "--alliance", founded.folder, file)
        assert (result.code, result.out) == (1, b"")
        assert result.error.startswith(f"alliance: {file} proves nothing: ")
        as_json = inside("verify-evidence", "--alliance", founded.folder, file, "-o", "json")
        assert json.loads(as_json.error)["exit_code"] == 1


def test_another_alliance_knows_nothing_of_it(inside: Run, stranger: Cluster, file: Path) -> None:
    result = inside("verify-evidence", "--alliance", stranger.folder, file)
    assert result.code == 1
    assert "another alliance" in result.error


def test_what_cannot_be_read_is_named(inside: Run, founded: Cluster, file: Path, tmp_path: Path) -> None:
    for folder, path in (
        (tmp_path, file),
        (founded.folder, tmp_path / "none.json"),
        (founded.folder, tmp_path),
    ):
        result = inside("verify-evidence", "--alliance", folder, path)
        assert result.code == 2
        assert str(folder if folder == tmp_path and path == file else path) in result.error


def test_status_tells_how_much_evidence_a_member_keeps(inside: Run, home: Cluster) -> None:
    with home:  # servers to which nothing has happened: who was late is blamed for as long as they run
        home.start()
        told = json.loads(inside("status", home.client_folder("client-1"), "-o", "json").text)
    assert len(told["members"]) == len(home.names)
    assert all((member["blamed"], member["evidence"]) == ([], {}) for member in told["members"])
    member = MemberStatus(
        "m", "a", True, blamed=("member-2", "member-3"), evidence={"member-3": 2, "client-1": 1}
    )
    assert _accused(member) == "member-2, member-3 (evidence: 2), client-1 (evidence: 1)"


def test_evidence_of_a_later_epoch_needs_its_members(
    inside: Run, founded: Cluster, key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    context = replace(founded.config.context, epoch=4)
    statements = [VoteStatement(4, 9, root * 32).encode(context) for root in (b"a", b"b")]
    words = tuple(SignedBytes(statement, key.sign(statement)) for statement in statements)
    path = tmp_path / "e.json"
    path.write_text(PortableEvidence(context, TWO_STATEMENTS, "member-3", words).to_json())
    result = inside("verify-evidence", "--alliance", founded.folder, path)
    assert result.code == 2
    assert "4.toml does not exist" in result.err
