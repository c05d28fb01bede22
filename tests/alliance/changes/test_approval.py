"""What operators sign: for one change, of one alliance, by the organisation whose key it is."""

from __future__ import annotations

import pytest

from alliance.changes import approval, drafting
from alliance.changes.approval import Approval, Says
from alliance.changes.change_file import ChangeFile
from alliance.errors import ConfigError
from tests.alliance.changes.operators import NORTH, SOUTH, Operators
from tests.alliance.farm import TIME_MS


@pytest.fixture
def edit(operators: Operators) -> ChangeFile:
    return drafting.remove_clients(operators.state, ["client-2"])


@pytest.fixture
def proposal(operators: Operators) -> ChangeFile:
    return drafting.set_policy(operators.state, NORTH, {"clients_max": 3}, TIME_MS)


def test_what_is_written_is_read_again_and_the_members_take_it(
    operators: Operators, proposal: ChangeFile
) -> None:
    for organisation, abort, says in (
        (NORTH, False, Says.SIGN),
        (SOUTH, False, Says.APPROVE),
        (SOUTH, True, Says.ABORT),
        (NORTH, True, Says.ABORT),
    ):
        made = approval.sign(proposal, operators.keys[organisation], organisation, abort=abort)
        read = Approval.from_toml(made.to_toml(), "x.approval")
        assert (read, read.says) == (made, says)
        assert operators.order(read.command_on(proposal, "x.approval")) == [""]
    assert operators.state.opened == ()  # who proposed it has withdrawn it


def test_no_altered_byte_is_taken(operators: Operators, proposal: ChangeFile) -> None:
    text = approval.sign(proposal, operators.keys[SOUTH], SOUTH).to_toml()
    for at in range(len(text)):
        altered = text[:at] + ("7" if text[at] != "7" else "8") + text[at + 1 :]
        with pytest.raises(ConfigError, match=r"^x\.approval"):
            Approval.from_toml(altered, "x.approval").command_on(proposal, "x.approval")
    for end in range(0, len(text), 23):
        with pytest.raises(ConfigError, match=r"^x\.approval"):
            Approval.from_toml(text[:end], "x.approval")


def test_it_is_good_for_one_change_of_one_alliance(operators: Operators, proposal: ChangeFile) -> None:
    made = approval.sign(proposal, operators.keys[SOUTH], SOUTH)
    other = drafting.set_policy(operators.state, NORTH, {"clients_max": 4}, TIME_MS)
    elsewhere = ChangeFile(bytes(32), proposal.command, {}, proposal.operators)
    for change in (other, elsewhere):
        with pytest.raises(ConfigError, match="has signed another change than this one"):
            made.command_on(change, "x.approval")


def test_an_edit_is_its_own_organisations_alone(operators: Operators, edit: ChangeFile) -> None:
    with pytest.raises(ConfigError, match="'member-1' changes what is its own: nobody else approves"):
        approval.sign(edit, operators.keys[SOUTH], SOUTH)
    with pytest.raises(ConfigError, match="what is ordered takes effect"):
        approval.sign(edit, operators.keys[NORTH], NORTH, abort=True)
    with pytest.raises(ConfigError, match="its own operator signs it, and not the one of 'member-2'"):
        approval.said(edit, SOUTH, Says.SIGN)
    # With the wrong key it is signed, and the members do not take it.
    assert (
        "signature"
        in operators.order(approval.sign(edit, operators.keys[SOUTH], NORTH).command_on(edit, "x"))[0]
    )


def test_whose_a_key_is_the_change_says_or_a_person(
    operators: Operators, edit: ChangeFile, proposal: ChangeFile
) -> None:
    north, south = operators.keys[NORTH], operators.keys[SOUTH]
    assert approval.organisation_of(proposal, south, None) == SOUTH
    assert approval.organisation_of(proposal, south, SOUTH) == SOUTH
    assert approval.organisation_of(edit, north, None) == NORTH
    assert approval.organisation_of(edit, south, SOUTH) == SOUTH
    with pytest.raises(ConfigError, match="not the key of the operator of 'member-1'"):
        approval.organisation_of(proposal, south, NORTH)
    with pytest.raises(ConfigError, match="lists no operator with this key"):
        approval.organisation_of(edit, south, None)
    unlisted = ChangeFile(proposal.alliance_id, proposal.command, {}, proposal.operators[:1])
    with pytest.raises(ConfigError, match="lists no operator with this key"):
        approval.organisation_of(unlisted, south, None)


def test_no_signature_is_in_a_repr(operators: Operators, edit: ChangeFile) -> None:
    made = approval.sign(edit, operators.keys[NORTH], NORTH)
    assert made.signature.hex() not in repr(made)
