"""What an organisation changes alone: its members' addresses, its clients, and nobody else's."""

from __future__ import annotations

import pytest

from consensus.control.commands import Edit
from consensus.control.edits import EditOperation, LimitClient, RemoveClient, SetAddress
from consensus.control.rows import ClientLimits, PolicyRow, Role
from consensus.limits import EDIT_MS, EDITS_MAX, WINDOW_SLOTS
from tests.consensus.alliance import Log, add_client, client_id, found
from verifiable_log.limits import POOL_BYTES_MAX, POOL_SUBMISSIONS_MAX


def test_a_client_is_admitted_behind_the_window_and_not_earlier() -> None:
    log = Log()
    assert log.edit("org-a", add_client("new", "org-a")) == ""
    first = log.state.slot + WINDOW_SLOTS + 1
    assert [log.state.admits(client_id("new"), slot) for slot in (first - 1, first)] == [False, True]
    assert log.state.effective == first - 1
    log.to(first - 1)
    assert log.state.effective is None
    assert log.state.revision == 1
    assert log.state.admits(client_id("new"), first)


def test_a_removed_client_is_admitted_for_the_window_and_its_key_never_again() -> None:
    log = Log()
    assert log.edit("org-a", RemoveClient(client_id("c-a"))) == ""
    last = log.state.slot + WINDOW_SLOTS
    assert [log.state.admits(client_id("c-a"), slot) for slot in (last, last + 1)] == [True, False]
    assert "is there already" in log.edit("org-a", add_client("c-a", "org-a"))
    log.to(last + WINDOW_SLOTS)
    assert client_id("c-a") in log.state.directory.clients
    log.to(last + 1 + WINDOW_SLOTS)
    assert client_id("c-a") not in log.state.directory.clients
    assert client_id("c-a") in log.state.past
    assert "no key comes back" in log.edit("org-a", add_client("c-a", "org-a"))
    assert "no key comes back" in log.edit("org-b", add_client("c-a", "org-b"))


def test_the_row_of_each_removed_client_stays_for_its_own_window() -> None:
    log = Log()
    assert log.edit("org-a", RemoveClient(client_id("c-a"))) == ""
    first = log.state.slot + 2 * WINDOW_SLOTS + 1
    log.run(WINDOW_SLOTS // 2)
    assert log.edit("org-b", RemoveClient(client_id("c-b"))) == ""
    second = log.state.slot + 2 * WINDOW_SLOTS + 1
    for slot, left in ((first - 1, {"c-a", "c-b"}), (first, {"c-b"}), (second - 1, {"c-b"}), (second, set())):
        log.to(slot)
        assert {name for name in ("c-a", "c-b") if client_id(name) in log.state.directory.clients} == left


def test_a_client_rotates_its_key_without_a_gap() -> None:
    log = Log()
    rotation = (RemoveClient(client_id("c-a")), add_client("c-a", "org-a", key="other"))
    assert log.edit("org-a", *rotation) == ""
    slots = range(log.state.slot, log.state.slot + 2 * WINDOW_SLOTS)
    keys = client_id("c-a"), client_id("other")
    admitted = {tuple(log.state.admits(key, slot) for key in keys) for slot in slots}
    assert admitted == {(True, False), (False, True)}


def test_limits_and_addresses_change() -> None:
    log = Log()
    moved = SetAddress("m-a", "elsewhere.example:1", (("kv", "elsewhere.example:2"),))
    limits = ClientLimits(3, 4096)
    assert log.edit("org-a", moved, LimitClient(client_id("c-a"), limits)) == ""
    row = log.state.directory.member("m-a")
    assert (row.address, row.applications) == ("elsewhere.example:1", (("kv", "elsewhere.example:2"),))
    assert log.state.directory.clients[client_id("c-a")].limits == limits
    assert log.state.limits(client_id("c-a")) == (3, 4096)
    assert log.state.limits(client_id("c-b")) == (POOL_SUBMISSIONS_MAX, POOL_BYTES_MAX)
    assert log.state.directory.member("m-b") == found().directory.member("m-b")


def test_an_alliance_has_so_many_clients_in_its_life_and_each_organisation_its_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consensus.control.operating.CLIENT_IDS_MAX", 18)
    log = Log()
    assert log.edit("org-a", add_client("a-1", "org-a"), add_client("a-2", "org-a")) == ""
    assert log.edit("org-a", RemoveClient(client_id("a-1"))) == ""
    assert "18 clients in its life" in log.edit("org-a", add_client("a-3", "org-a"))
    for letter in "bcdef":
        own = f"org-{letter}"
        assert log.edit(own, add_client(f"{letter}-1", own), add_client(f"{letter}-2", own)) == ""
    assert "18 clients in its life" in log.edit("org-f", add_client("f-3", "org-f"))


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (SetAddress("m-b", "x:1"), "belongs to 'org-b'"),
        (SetAddress("m-z", "x:1"), "no member 'm-z'"),
        (RemoveClient(client_id("c-b")), "belongs to 'org-b'"),
        (RemoveClient(client_id("nobody")), "no client"),
        (LimitClient(client_id("c-b"), ClientLimits(1, 1)), "belongs to 'org-b'"),
        (add_client("c-b", "org-a", key="other"), "a client 'c-b' already"),
        (add_client("other", "org-a", key="c-b"), "is there already"),
        (add_client("other", "org-a", key="m-b"), "is there already"),
        (add_client("other", "org-a", key="org-b"), "is there already"),
        (add_client("other", "org-b"), "has not signed"),
    ],
)
def test_what_an_organisation_may_not_do_has_no_effect(operation: EditOperation, why: str) -> None:
    log = Log()
    before = log.state.directory
    assert why in log.edit("org-a", SetAddress("m-a", "y:1"), operation)
    assert log.state.directory == before
    assert log.state.revisions == ()


@pytest.mark.parametrize("role", [Role.MEMBER, Role.OPERATOR])
def test_epoch_own_row_role_operator(role: Role) -> None:
    log = Log()
    assert "the role of a user" in log.edit("org-a", add_client("other", "org-a", role))
    assert client_id("other") not in log.state.directory.clients


def test_epoch_operator_flips_its_address() -> None:
    """It may edit some times in a row and has to wait then, in slots or agreed time; others are free."""
    log = Log()
    ports = range(1, EDITS_MAX + 2)
    flips = [log.edit("org-a", SetAddress("m-a", f"m-a.example:{port}")) for port in ports]
    assert flips[:EDITS_MAX] == [""] * EDITS_MAX
    assert "wait some minutes" in flips[EDITS_MAX]
    assert log.edit("org-b", SetAddress("m-b", "m-b.example:1")) == ""
    log.slot(time_ms=EDIT_MS)
    assert log.edit("org-a", SetAddress("m-a", "m-a.example:9")) == ""


def test_an_organisation_edits_again_after_enough_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consensus.control.record.EDIT_SLOTS", 50)
    log = Log()
    for port in range(1, EDITS_MAX + 1):
        assert log.edit("org-a", SetAddress("m-a", f"m-a.example:{port}")) == ""
    log.to(1 + 50 - 2)
    assert "wait" in log.edit("org-a", SetAddress("m-a", "m-a.example:9"))
    assert log.edit("org-a", SetAddress("m-a", "m-a.example:9")) == ""


def test_epoch_client_flood_one_organisation() -> None:
    """An organisation has so many clients as the policy gives it, and the others have theirs."""
    log = Log(found(policy=PolicyRow(1, clients_max=3)))
    flood = [add_client(f"flood-{number}", "org-a") for number in range(3)]
    assert "each organisation 3 clients" in log.edit("org-a", *flood)
    assert log.edit("org-a", *flood[:2]) == ""
    assert log.edit("org-b", add_client("other", "org-b")) == ""
    assert log.edit("org-a", RemoveClient(client_id("c-a")), flood[2]) == ""


def test_of_two_edits_with_one_number_the_first_in_the_log_counts() -> None:
    """An operator that equivocates harms nobody, not even which of its words counts is in doubt."""
    log = Log()
    words = [log.sign(Edit("org-a", 1, (SetAddress("m-a", f"{where}.example:1"),))) for where in "xy"]
    assert [told.accepted for told in log.slot(*words)] == [True, False]
    assert log.state.directory.member("m-a").address == "x.example:1"


def test_an_edit_is_not_repeated() -> None:
    """Who carries a command decides nothing: once it is in the log, it is spent, even if it was refused."""
    log = Log()
    moved = log.sign(Edit("org-a", 1, (SetAddress("m-a", "old.example:1"),)))
    assert [told.accepted for told in log.slot(moved)] == [True]
    assert log.edit("org-a", SetAddress("m-a", "new.example:1")) == ""
    refused = log.sign(Edit("org-a", 3, (add_client("c-b", "org-a", key="other"),)))
    assert [told.accepted for told in log.slot(refused)] == [False]
    assert log.edit("org-b", RemoveClient(client_id("c-b"))) == ""
    for again in (moved, refused):
        assert "has number 4" in log.slot(again)[0].refusal
    assert log.state.directory.member("m-a").address == "new.example:1"
