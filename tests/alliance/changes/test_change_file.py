"""A change file: one spelling, and what is signed is what was read."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import drafting, operations
from alliance.changes.change_file import FILE_BYTES_MAX, ChangeFile
from alliance.errors import ConfigError
from consensus.control.draft import key_message
from consensus.control.edits import SetAddress
from consensus.control.operations import DropOperator, PutOperator, PutPolicy, SetSystem
from consensus.control.rows import ClientLimits, OperatorRow, PolicyRow, Role
from tests.alliance.changes.operators import NORTH, Operators
from tests.alliance.farm import TIME_MS


@pytest.fixture
def edit(operators: Operators) -> ChangeFile:
    """With all that an organisation does of its own."""
    state = operators.state
    added = drafting.add_client(state, operators.request("carola"), "f", ClientLimits(7, 70_000))
    limited = drafting.limit_client(state, "client-1", {"waiting": 9})
    removed = drafting.remove_clients(state, ["client-2"])
    moved = drafting.set_address(state, "member-1", "a.example:7400", {"kv": "kv.example:7500"})
    parts = (added, limited, removed, moved)
    return drafting.edit(
        state,
        NORTH,
        [operation for part in parts for operation in part.operations],
        limited.names | removed.names,  # type: ignore[operator]
    )


@pytest.fixture
def proposal(operators: Operators) -> ChangeFile:
    """With all that operators do of the policy."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    proof = key.sign(key_message(operators.state.alliance_id, NORTH, Role.OPERATOR, public))
    made = [
        PutOperator(OperatorRow(NORTH, public), proof),
        DropOperator("member-6"),
        PutPolicy(PolicyRow(0, 12, 300, 30)),
    ]
    return drafting.proposal(operators.state, NORTH, made, TIME_MS)


def refuse(text: str, match: str = "") -> None:
    with pytest.raises(ConfigError, match=f"^x.change.*{match}"):
        ChangeFile.from_toml(text, "x.change")


def test_what_is_written_is_read_again(edit: ChangeFile, proposal: ChangeFile) -> None:
    for change in (edit, proposal):
        read = ChangeFile.from_toml(change.to_toml(), "x.change")
        assert read == change
        assert read.digest == change.digest
    assert [name for name, _ in proposal.operators] == [f"member-{number}" for number in range(1, 7)]
    assert f"expires_ms = {TIME_MS} # 2027-01-15 08:00:00 UTC\n" in proposal.to_toml()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_altered_byte_goes_unnoticed(edit: ChangeFile, proposal: ChangeFile) -> None:
    """It is refused, or another change with another digest; or it alters what is only said beside."""
    for change in (edit, proposal):
        text = change.to_toml()
        for at in range(len(text)):
            if at % 19 and text[at] not in '\n"=':
                continue
            altered = text[:at] + ("7" if text[at] != "7" else "8") + text[at + 1 :]
            try:
                read = ChangeFile.from_toml(altered, "x.change")
            except ConfigError:
                continue
            told = (read.alliance_id, read.digest, read.names, read.operators)
            assert told != (change.alliance_id, change.digest, change.names, change.operators), at


def test_what_is_truncated_too_long_or_of_another_kind_is_refused(
    edit: ChangeFile, proposal: ChangeFile
) -> None:
    text = edit.to_toml()
    for end in range(0, len(text), 97):
        refuse(text[:end])
    refuse(text + "#\n", "edited")
    refuse(text.replace("alliance-change/1", "alliance-change/2"), "its format")
    refuse(text.replace('kind = "edit"', 'kind = "full"'), "no change of the kind 'full'")
    refuse(text.replace('kind = "edit"', 'kind = "policy"'), "is missing|of operators and policy")
    refuse(text.replace('"limit-client"', '"limit-clients"'), "did you mean 'limit-client'")
    refuse(text.replace("counter = 1", "counter = -1"), "from 0 to 2")
    refuse(text.replace("counter = 1", f"counter = {2**64}"), "from 0 to 2")
    refuse(text.replace("waiting = 9", "waiting = 0"), "submissions of a client wait")
    refuse(text.replace('name = "client-2"\n', ""), "remove-client: 'name' is missing")
    refuse(text[: text.index("[[operations]]")], "at least one")
    refuse(proposal.to_toml().replace('kind = "policy"', 'kind = "edit"'), "unknown key")
    refuse(proposal.to_toml().replace("faulty = 0", "faulty = 256"), "may be faulty")
    refuse(proposal.to_toml().replace(f"expires_ms = {TIME_MS}", f"expires_ms = {2**64 - 1}"), "ask whoever")
    refuse("a = " + "[" * 5000, "no change")
    assert len(text) < FILE_BYTES_MAX


def test_each_operation_is_said_in_words(edit: ChangeFile, proposal: ChangeFile) -> None:
    told = [
        operations.in_words(one, change.names) for change in (edit, proposal) for one in change.operations
    ]
    for line, expected in zip(
        told,
        (
            "client carola comes",
            "client client-1 (id ",
            "client client-2 (id ",
            "member member-1 is at a.example:7400, kv at kv.example:7500",
            "operator of member-1: the key ",
            "organisation member-6 goes",
            "policy: faulty 0, clients max 12",
        ),
        strict=True,
    ):
        assert line.startswith(expected)
        assert "\n" not in line


def test_what_this_version_has_no_file_for_is_not_written(operators: Operators) -> None:
    change = drafting.proposal(operators.state, NORTH, [SetSystem("lean", 1)], TIME_MS)
    with pytest.raises(ConfigError, match="SetSystem"):
        change.to_toml()
    assert isinstance(drafting.edit(operators.state, NORTH, [SetAddress("member-1", "a:1")]), ChangeFile)
