"""A dry run: what the members would do, without that anything is done."""

from __future__ import annotations

from dataclasses import replace

from alliance.changes import drafting, simulation
from consensus.control.rows import ClientLimits
from tests.alliance.changes.operators import NORTH, SOUTH, Operators
from tests.alliance.farm import TIME_MS


def test_an_edit_is_told_as_it_comes_true(operators: Operators) -> None:
    change = drafting.add_client(operators.state, operators.request("carola"), "f", ClientLimits(7, 70_000))
    before = operators.state
    for commands in ([], operators.signed(change)):
        told = simulation.forecast(operators.state, change, commands)
        assert (told.refusal, told.missing, operators.state) == ("", 0, before)
        (difference,) = told.differences
        assert (difference.what, difference.name, difference.before) == ("client", "carola", None)
        assert difference.line.startswith("client carola is new: organisation member-1, identity ")
    assert operators.order(*operators.signed(change)) == [""]
    assert drafting.client(operators.state, "carola").limits.waiting == 7
    again = simulation.forecast(operators.state, change, operators.signed(change))
    assert again.refusal == "the next command of 'member-1' has number 2, this one has 1"
    assert again.differences == ()


def test_a_proposal_says_how_many_are_missing_and_what_it_does_then(operators: Operators) -> None:
    change = drafting.set_policy(operators.state, NORTH, {"clients_max": 3}, TIME_MS)
    expected = "policy of the alliance: clients max 1024 becomes 3"
    for signed, missing in (((), 3), ((NORTH,), 3), ((NORTH, SOUTH), 2)):
        commands = operators.signed(change, *signed) if signed else []
        told = simulation.forecast(operators.state, change, commands)
        assert (told.refusal, told.missing) == ("", missing)
        assert [one.line for one in told.differences] == [expected]
    operators.order(*operators.signed(change))
    left = operators.signed(change, SOUTH, "member-3", "member-4")
    told = simulation.forecast(operators.state, change, left)
    assert (told.missing, [one.line for one in told.differences]) == (0, [expected])
    withdrawn = simulation.forecast(operators.state, change, operators.signed(change, NORTH, abort=True))
    assert (withdrawn.refusal, withdrawn.missing, withdrawn.differences) == ("", 0, ())


def test_an_approval_without_a_proposal_is_no_approval(operators: Operators) -> None:
    change = drafting.set_policy(operators.state, NORTH, {"clients_max": 3}, TIME_MS)
    told = simulation.forecast(operators.state, change, operators.signed(change, SOUTH))
    assert "no open change" in told.refusal


def test_every_kind_of_difference_has_its_line(operators: Operators) -> None:
    before = operators.state.directory
    operators.carry_out(
        drafting.set_address(operators.state, "member-2", "b.example:1", {"kv": "b.example:2"})
    )
    operators.carry_out(drafting.remove_clients(operators.state, ["client-1"]))
    lines = [one.line for one in simulation.differences(before, operators.state.directory)]
    assert lines[0] == (
        "member member-2: address 127.0.0.1:7401 becomes b.example:1, kv none becomes b.example:2"
    )
    assert lines[1].startswith("client client-1 goes: organisation member-1, ")
    assert simulation.differences(before, before) == ()


def test_who_has_not_signed_yet_is_no_excuse_for_a_key_that_has_not(operators: Operators) -> None:
    """A dry run takes the missing signatures of operators as given, and no other one."""
    change = drafting.add_client(operators.state, operators.request("carola"), "f", ClientLimits())
    (added,) = change.operations
    bare = drafting.edit(operators.state, NORTH, [replace(added, proof=bytes(64))])
    for commands in ([], operators.signed(bare)):
        told = simulation.forecast(operators.state, bare, commands)
        assert "the new key has not signed that it is to be added" in told.refusal
