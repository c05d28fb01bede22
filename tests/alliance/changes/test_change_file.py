"""A change file: one spelling, and what is signed is what was read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import drafting, operations
from alliance.changes.change_file import FILE_BYTES_MAX, ChangeFile
from alliance.config.parties import Member
from alliance.config.rows import member_row
from alliance.errors import ConfigError
from consensus.control.changes import ChangeKind
from consensus.control.commands import Propose
from consensus.control.draft import key_message
from consensus.control.edits import EditOperation
from consensus.control.operations import (
    ChangeOperation,
    DropMember,
    DropOperator,
    NewKeys,
    PutMember,
    PutOperator,
    PutPolicy,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.rows import ClientLimits, OperatorRow, PolicyRow, Role
from tests.alliance.changes.operators import NORTH, Operators
from tests.alliance.changes.paper import Paper
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


@pytest.fixture
def light(operators: Operators) -> ChangeFile:
    made = [Suspend("member-6"), Reinstate("member-5")]
    return drafting.proposal(operators.state, NORTH, made, TIME_MS, ChangeKind.LIGHT)


@pytest.fixture
def full(operators: Operators, paper: Paper) -> ChangeFile:
    """Members in all ways that there are: with another identity, or with the one that they have."""
    row = paper.control.directory.members[2]
    moved = replace(row, applications=(("kv", "kv.example:7500"),))
    asked = paper.asks("member-7", NORTH)
    assert asked.admission is not None
    assert isinstance(asked.party, Member)
    new = PutMember(member_row(asked.party), asked.admission.proof)
    keys = NewKeys(b"d" * 32, b"new keys")
    made = [DropMember("member-6"), PutMember(moved), new, SetSystem("lean", 1), keys]
    return drafting.proposal(operators.state, NORTH, made, TIME_MS, ChangeKind.FULL)


def refuse(text: str, match: str = "") -> None:
    with pytest.raises(ConfigError, match=f"^x.change.*{match}"):
        ChangeFile.from_toml(text, "x.change")


def test_what_is_written_is_read_again(
    edit: ChangeFile, proposal: ChangeFile, light: ChangeFile, full: ChangeFile
) -> None:
    for change in (edit, proposal, light, full):
        read = ChangeFile.from_toml(change.to_toml(), "x.change")
        assert read == change
        assert read.digest == change.digest
    assert [name for name, _ in proposal.operators] == [f"member-{number}" for number in range(1, 7)]
    assert f"expires_ms = {TIME_MS} # 2027-01-15 08:00:00 UTC\n" in proposal.to_toml()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_altered_byte_goes_unnoticed(edit: ChangeFile, proposal: ChangeFile, full: ChangeFile) -> None:
    """It is refused, or another change with another digest; or it alters what is only said beside."""
    for change in (edit, proposal, full):
        text = change.to_toml()
        for at in range(len(text)):
            if at % (53 if change is full else 19) and (change is full or text[at] not in '\n"='):
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
    refuse(text.replace('kind = "edit"', 'kind = "fuller"'), "no change of the kind 'fuller'")
    refuse(text.replace('kind = "edit"', 'kind = "policy"'), "in a file of its own")
    refuse(text.replace('"limit-client"', '"limit-clients"'), "did you mean 'limit-client'")
    refuse(text.replace("counter = 1", "counter = -1"), "from 0 to 2")
    refuse(text.replace("counter = 1", f"counter = {2**64}"), "from 0 to 2")
    refuse(text.replace("waiting = 9", "waiting = 0"), "submissions of a client wait")
    refuse(text.replace('name = "client-2"\n', ""), "remove-client: 'name' is missing")
    refuse(text[: text.index("[[operations]]")], "at least one")
    refuse(proposal.to_toml().replace('kind = "policy"', 'kind = "edit"'), "unknown key")
    refuse(proposal.to_toml().replace("faulty = 0", "faulty = 256"), "may be faulty")
    refuse(proposal.to_toml().replace(f"expires_ms = {TIME_MS}", f"expires_ms = {2**64 - 1}"), "ask whoever")
    for field in ("faulty", "clients_max", "attempt_seconds", "refresh_days"):
        refuse(re.sub(rf"\n{field} = \d+", "", proposal.to_toml()), f"'{field}' is missing")
    refuse("a = " + "[" * 5000, "no change")
    assert len(text) < FILE_BYTES_MAX


def test_each_operation_is_said_in_words(
    edit: ChangeFile, proposal: ChangeFile, light: ChangeFile, full: ChangeFile
) -> None:
    changes = (edit, proposal, light, full)
    told = [operations.in_words(one, change.names) for change in changes for one in change.operations]
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
            "member member-6 leads no more",
            "member member-5 may lead again",
            "member member-6 goes",
            "member member-3 of member-3 is at 127.0.0.1:7402, kv at kv.example:7500, with the identity ",
            "member member-7 of member-1 is at 127.0.0.1:7499, with the identity ",
            "profile lean, 1 members may be faulty",
            "all public keys become others, whose digest is 6464",
        ),
        strict=True,
    ):
        assert line.startswith(expected)
        assert "\n" not in line


def test_every_operation_that_there_is_has_its_form(
    edit: ChangeFile, proposal: ChangeFile, light: ChangeFile, full: ChangeFile
) -> None:
    kinds = {type(one) for change in (edit, proposal, light, full) for one in change.operations}
    assert kinds == {*get_args(EditOperation), *get_args(ChangeOperation)}
    assert {form.kind for form in operations._FORMS.values()} == kinds


def test_an_operation_of_another_kind_of_change_is_refused(
    edit: ChangeFile, proposal: ChangeFile, light: ChangeFile, full: ChangeFile
) -> None:
    for change, others in (
        (proposal, {"light": "by a file of their own", "full": "by a file of their own"}),
        (light, {"policy": "is of operators and policy", "edit": "unknown key"}),
        (full, {"policy": "is of operators and policy"}),
    ):
        assert isinstance(change.command, Propose)
        own = change.command.change.kind.name.lower()
        for kind, reason in others.items():
            refuse(change.to_toml().replace(f'kind = "{own}"', f'kind = "{kind}"'), reason)
    text = edit.to_toml()
    foreign = text[text.index("[[operations]]") : text.index("[[operators]]")]
    light_text = light.to_toml()
    at = light_text.index("[[operations]]")
    refuse(light_text[:at] + foreign + light_text[at:], "in a file of its own")
    end = light_text.index("[[operators]]")
    refuse(light_text[:at] + light_text[end:], "changes nothing")


def test_sizes_and_names_of_members_are_bounded(light: ChangeFile, full: ChangeFile) -> None:
    text = full.to_toml()
    refuse(text.replace('profile = "lean"', 'profile = "mean"'), "the profile is 'classic' or 'lean'")
    refuse(text.replace("faulty_max = 1", "faulty_max = 256"), "is a number of members")
    refuse(text.replace("faulty_max = 1", "faulty_max = -1"), "is a number of members")
    refuse(light.to_toml().replace('name = "member-6"', 'name = "Member-6"'), "is no name")
    refuse(re.sub(r'proof = "([0-9a-f]{2})', 'proof = "', text), "128 hex digits")
    refuse(text.replace('receiver_signature = "', 'receiver_signature = "00'), "receiver key")


def test_a_refresh_has_no_operations(operators: Operators) -> None:
    refresh = drafting.proposal(operators.state, NORTH, [], TIME_MS, ChangeKind.FULL)
    assert ChangeFile.from_toml(refresh.to_toml(), "x.change") == refresh
