"""How many operators decide: a table, and a dumb twin for every size."""

from __future__ import annotations

from itertools import combinations

import pytest

from consensus.control import ControlState
from consensus.control.encoding import MalformedControl
from consensus.control.policy import approvals_needed, faulty_operators_max, suspensions_needed
from consensus.control.rows import ClientRow, MemberRow, OperatorRow, PolicyRow
from consensus.control.state import default_policy
from quorum import QuorumSystem
from tests.consensus.alliance import ALLIANCE, SIX, client_row, found, member_row, public


@pytest.mark.parametrize(
    ("operators", "faulty", "needed"),
    [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 1, 3), (6, 1, 4), (11, 2, 7), (7, 2, 5)],
)
def test_the_sizes_of_the_design(operators: int, faulty: int, needed: int) -> None:
    assert approvals_needed(operators, faulty) == needed
    assert suspensions_needed(faulty) == faulty + 1


def test_approvals_are_as_few_as_they_can_be() -> None:
    """Twin: any two approvals share a correct operator, the faulty decide nothing, and prevent nothing."""
    for operators in range(1, 40):
        for faulty in range(operators + 1):
            sizes = [
                size
                for size in range(1, operators + 1)
                if 2 * size - operators > faulty and size > faulty and size <= operators - faulty
            ]
            if sizes:
                assert approvals_needed(operators, faulty) == sizes[0]
                assert faulty <= faulty_operators_max(operators)
            else:
                assert faulty > faulty_operators_max(operators)
                with pytest.raises(MalformedControl):
                    approvals_needed(operators, faulty)


def test_two_approvals_share_a_correct_operator_by_counting() -> None:
    for operators, faulty in ((4, 1), (5, 1), (6, 1), (7, 2)):
        quorums = [set(one) for one in combinations(range(operators), approvals_needed(operators, faulty))]
        assert min(len(one & other) for one in quorums for other in quorums) > faulty


@pytest.mark.parametrize(("operators", "faulty"), [(0, 0), (3, 1), (6, 2), (1, 1), (6, -1)])
def test_sizes_that_cannot_be_fail_closed(operators: int, faulty: int) -> None:
    with pytest.raises(MalformedControl):
        approvals_needed(operators, faulty)


def test_an_alliance_begins_with_as_many_faulty_operators_as_it_has_room_for() -> None:
    for system, organisations, faulty in (
        (QuorumSystem(6, 1), 6, 1),
        (QuorumSystem(6, 1), 3, 0),
        (QuorumSystem(11, 2), 4, 1),
        (QuorumSystem(11, 1), 11, 1),
    ):
        assert default_policy(system, organisations).faulty == faulty
        assert default_policy(system, organisations).attempt_seconds == 120
    assert default_policy(QuorumSystem(31, 6), 31).attempt_seconds == 160


@pytest.mark.parametrize("limit", ["CLIENT_IDS_MAX", "ORGANISATIONS_MAX"])
def test_more_rows_than_a_checkpoint_holds_found_nothing(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = found()
    rows = state.directory.members, state.directory.operators, state.directory.clients.values()
    monkeypatch.setattr(f"consensus.control.directory.{limit}", 6)
    assert ControlState.founded(ALLIANCE, SIX, *rows) == state
    monkeypatch.setattr(f"consensus.control.directory.{limit}", 5)
    with pytest.raises(MalformedControl, match="an alliance has at most"):
        ControlState.founded(ALLIANCE, SIX, *rows)


def test_rows_that_contradict_each_other_found_nothing() -> None:
    state = found()
    members = list(state.directory.members)
    operators = list(state.directory.operators)
    assert faulty_operators_max(0) == 0
    clients = list(state.directory.clients.values())

    def refuse(
        why: str,
        members: list[MemberRow] = members,
        operators: list[OperatorRow] = operators,
        clients: list[ClientRow] = clients,
        policy: PolicyRow | None = None,
        system: QuorumSystem = SIX,
    ) -> None:
        with pytest.raises(MalformedControl, match=why):
            ControlState.founded(ALLIANCE, system, members, operators, clients, policy)

    refuse("another number of members", system=QuorumSystem(7, 1))
    refuse("two members have one name", members=[*members[:5], members[0]])
    refuse("without an operator", operators=operators[1:])
    refuse("too few for 2 faulty", policy=PolicyRow(2))
    refuse("there is one at least", operators=[])
    refuse("each once", operators=[*operators, operators[0]])
    refuse("which has no operator", clients=[client_row("c", "org-z")])
    refuse("a key or a client's name twice", clients=[client_row("m-a", "org-a")])
    refuse("a key or a client's name twice", clients=[client_row("c", "org-a"), client_row("c", "org-b")])
    refuse("a key or a client's name twice", operators=[*operators[:5], OperatorRow("org-f", public("m-a"))])
    refuse("a key or a client's name twice", members=[*members[:5], member_row("m-f", "org-f", "m-a")])
