"""From what somebody wants to a change that the members take; what cannot be is said before it is signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import drafting
from alliance.changes.change_file import ChangeFile
from alliance.config.receiver import Receiver
from alliance.errors import ConfigError
from alliance.founding.request import Seat, request_as_client
from consensus.control.rows import ClientLimits
from tests.alliance.changes.operators import NORTH, SOUTH, Operators
from tests.alliance.farm import TIME_MS

LIMITS = ClientLimits(7, 70_000)
SEAT = Seat(NORTH, "anna.example:7400", bytes(32), bytes(32), Receiver(b"key", b"signature"), b"")


def test_a_client_comes_is_limited_rotated_and_goes(operators: Operators) -> None:
    asked, again = operators.request("carola"), operators.request("carola")
    assert operators.order(*operators.signed(drafting.add_client(operators.state, asked, "f", LIMITS))) == [
        ""
    ]
    added = drafting.client(operators.state, "carola")
    assert (added.organisation, added.identity, added.limits) == (NORTH, asked.identity, LIMITS)
    limited = drafting.limit_client(operators.state, "carola", {"waiting": 9})
    assert operators.order(*operators.signed(limited)) == [""]
    assert drafting.client(operators.state, "carola").limits == ClientLimits(9, 70_000)
    assert operators.order(*operators.signed(drafting.rotate_client(operators.state, again, "f"))) == [""]
    rotated = drafting.client(operators.state, "carola")
    assert (rotated.identity, rotated.limits) == (again.identity, ClientLimits(9, 70_000))
    assert not operators.state.directory.clients[added.client_id].live
    leaves = drafting.remove_clients(operators.state, ["carola", "client-1", "carola"])
    assert operators.order(*operators.signed(leaves)) == [""]
    assert operators.client_names() == {"client-2"}


def test_a_member_moves_and_keeps_the_applications_that_are_not_named(operators: Operators) -> None:
    for place, applications, expected in (
        ("a.example:1", {"kv": "kv.example:2", "lock": "lock.example:3"}, ("a.example:1", ["kv", "lock"])),
        (None, {"kv": None}, ("a.example:1", ["lock"])),
        ("a.example:4", {}, ("a.example:4", ["lock"])),
    ):
        moved = drafting.set_address(operators.state, "member-2", place, applications)  # type: ignore[arg-type]
        assert moved.organisation == SOUTH
        assert operators.order(*operators.signed(moved)) == [""]
        row = drafting.member(operators.state, "member-2")
        assert (row.address, [name for name, _ in row.applications]) == expected


def test_a_policy_is_changed_by_enough_operators(operators: Operators) -> None:
    change = drafting.set_policy(operators.state, NORTH, {"clients_max": 3, "faulty": 0}, TIME_MS)
    operators.carry_out(change)
    policy = operators.state.directory.policy
    assert (policy.clients_max, policy.faulty, policy.attempt_seconds) == (3, 0, 120)


Draft = Callable[[Operators], ChangeFile]


def _policy(**changes: int) -> Draft:
    return lambda them: drafting.set_policy(them.state, NORTH, changes, TIME_MS)


def _add(request: Callable[[Operators], Any]) -> Draft:
    return lambda them: drafting.add_client(them.state, request(them), "its.request", LIMITS)


def _stranger(them: Operators) -> Any:
    return request_as_client("carola", Ed25519PrivateKey.generate(), NORTH, bytes(32))


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (
            _add(lambda them: them.request("client-1")),
            "'member-1' has a client 'client-1' already: 'alliance",
        ),
        (_add(lambda them: them.request("carola", "nord")), "no organisation 'nord'"),
        (
            _add(lambda them: request_as_client("c", Ed25519PrivateKey.generate())),
            "for an alliance to be founded",
        ),
        (_add(_stranger), "asks another alliance, 0000"),
        (_add(lambda them: replace(them.request("c"), seat=SEAT)), "is the request of a member"),
        (lambda them: drafting.rotate_client(them.state, them.request("carola"), "f"), "no client 'carola'"),
        (
            lambda them: drafting.rotate_client(them.state, them.request("client-1", SOUTH), "f"),
            "'client-1' belongs to 'member-1', and asks to belong to 'member-2'",
        ),
        (lambda them: drafting.remove_clients(them.state, ["client-3"]), "did you mean 'client-"),
        (
            lambda them: drafting.limit_client(them.state, "client-1", {"waiting": 0}),
            "submissions of a client",
        ),
        (
            lambda them: drafting.limit_client(them.state, "client-1", {"waiting": 256}),
            "these limits already",
        ),
        (lambda them: drafting.set_address(them.state, "member-9", "a:1", {}), "no member 'member-9'"),
        (lambda them: drafting.set_address(them.state, "member-1", "a", {}), "is no address"),
        (
            lambda them: drafting.set_address(them.state, "member-1", "127.0.0.1:7400", {}),
            "these addresses already",
        ),
        (_policy(clients_max=1024), "this is the policy already"),
        (_policy(faulty=300), "255 operators may be faulty"),
        (lambda them: drafting.set_policy(them.state, "nord", {"faulty": 0}, 1), "no organisation 'nord'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(operators: Operators, draft: Draft, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        draft(operators)


def test_clients_of_two_organisations_do_not_go_by_one_change(operators: Operators) -> None:
    theirs = drafting.add_client(operators.state, operators.request("carola", SOUTH), "f", LIMITS)
    operators.carry_out(theirs)
    with pytest.raises(ConfigError, match="several organisations"):
        drafting.remove_clients(operators.state, ["carola", "client-1"])


def test_a_change_that_calls_a_client_by_anothers_name_is_not_sent(operators: Operators) -> None:
    """Its operator would remove another client than the one that it has read of."""
    change = drafting.remove_clients(operators.state, ["client-1"])
    drafting.require_names(operators.state, change)
    (client_id,) = change.names
    lie = ChangeFile(change.alliance_id, change.command, {client_id: "client-2"})
    assert ChangeFile.from_toml(lie.to_toml(), "lie.change").digest == change.digest
    with pytest.raises(ConfigError, match=r"calls the client .* 'client-2', and it is 'client-1'"):
        drafting.require_names(operators.state, lie)
    operators.carry_out(change)
    with pytest.raises(ConfigError, match="there is no client with the id"):
        drafting.require_names(operators.state, change)
