"""The accounting of what others make a server hold: every bound, who is cut off for it, and who is not."""

from __future__ import annotations

import pytest

from alliance.net import budget as module
from alliance.net.budget import Budget, Call, Refused
from alliance.net.limits import (
    BARRED_SECONDS,
    CALLS_PER_HOLDER_MAX,
    CLIENT_BYTES_MAX,
    CONNECTION_BYTES_MAX,
    CONNECTIONS_PER_HOLDER_MAX,
    HANDSHAKE_SECONDS,
    SLACK_BYTES,
    STRANGERS_PER_ADDRESS_MAX,
    STRANGERS_SUSPECT_MAX,
    SUBMISSIONS_BYTES_MAX,
    WINDOW_BYTES,
)

MIB = 1024 * 1024


class World:
    """A budget, a clock that is moved by hand, and connections by number."""

    def __init__(self) -> None:
        self.now = 100.0
        self.budget = Budget(now=lambda: self.now)
        self.received: dict[str, int] = {}

    def call(self, key: str = "a:1", name: str = "client-1", bytes_max: int = SUBMISSIONS_BYTES_MAX) -> Call:
        self.received.setdefault(key, 0)
        return self.budget.open(key, name.encode(), name, member=False, bytes_max=bytes_max)

    def arrive(self, key: str, size: int) -> None:
        """So many bytes come in, and a look sees it."""
        self.received[key] = self.received.get(key, 0) + size
        self.look()

    def look(self) -> None:
        self.budget.present(set(self.received))
        for key, received in self.received.items():
            self.budget.measured(key, received, 0)

    def over(self) -> list[str]:
        return [key for key, _ in self.budget.over()]


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_handed_over_and_handled_is_in_flight_no_longer(world: World) -> None:
    call = world.call()
    for _ in range(100):
        world.arrive("a:1", MIB)
        assert not world.over()
        call.arrived(MIB)
        world.look()
        assert MIB <= world.budget.in_flight < MIB + SLACK_BYTES
        call.done()
    assert world.budget.in_flight < SLACK_BYTES


def test_a_message_that_never_ends_is_cut_off_whatever_length_it_announces(world: World) -> None:
    world.call()
    world.arrive("a:1", SUBMISSIONS_BYTES_MAX)
    assert not world.over()
    world.arrive("a:1", SLACK_BYTES + WINDOW_BYTES + 1024)
    assert world.over() == ["a:1"]


def test_a_method_that_takes_little_gives_its_connection_little(world: World) -> None:
    world.call(bytes_max=0)
    world.arrive("a:1", MIB)
    assert world.over() == ["a:1"]


def test_many_calls_of_one_connection_have_one_bound(world: World) -> None:
    for _ in range(30):
        world.call()
    world.arrive("a:1", CONNECTION_BYTES_MAX - MIB)
    assert not world.over()
    world.arrive("a:1", 2 * MIB)
    assert world.over() == ["a:1"]


def test_many_connections_of_one_client_have_one_bound(world: World) -> None:
    keys = [f"a:{number}" for number in range(32)]
    for key in keys:
        world.call(key)
        world.arrive(key, MIB)
    assert sorted(world.over()) == sorted(keys)
    assert 32 * MIB > CLIENT_BYTES_MAX


def test_of_a_crowd_those_who_hold_most_are_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROCESS_BYTES_MAX", 4 * MIB)
    for number in range(6):
        world.call(f"a:{number}", f"client-{number}")
        world.arrive(f"a:{number}", MIB // 2 + (MIB // 4 if number == 5 else 0))
    assert not world.over()
    world.arrive("a:5", MIB // 4)
    world.arrive("a:0", MIB // 4)
    world.arrive("a:1", MIB // 4)
    world.arrive("a:2", MIB // 4)
    assert world.over() == ["a:5"]


def test_answers_on_their_way_count_as_what_came_in(world: World) -> None:
    calls = [world.call(bytes_max=0) for _ in range(17)]
    for call in calls:
        assert not world.over()
        call.leaves(MIB)
    assert world.over() == ["a:1"]
    calls[0].leaves(0)
    assert not world.over()


def test_who_was_cut_off_is_not_served_for_a_while_and_others_are(world: World) -> None:
    call = world.call()
    world.arrive("a:1", 4 * MIB)
    assert world.over() == ["a:1"]
    call.close()
    with pytest.raises(Refused, match="cut off") as refused:
        world.call("a:2")
    assert refused.value.cut
    world.call("b:1", "client-2")
    world.now += BARRED_SECONDS
    world.call("a:2")


def test_calls_that_have_ended_leave_nothing(world: World) -> None:
    call = world.call()
    world.arrive("a:1", MIB // 2)
    call.close()
    world.look()
    assert not world.budget.in_flight
    assert not world.budget.calls


def test_pings_and_windows_of_a_quiet_connection_do_not_add_up(world: World) -> None:
    world.call()
    for _ in range(3600):
        world.now += 1.0
        world.arrive("a:1", 8 * 1024)
    assert not world.over()
    assert not world.budget.in_flight


def test_a_connection_from_a_port_that_was_used_before_begins_at_nothing(world: World) -> None:
    call = world.call()
    world.arrive("a:1", 3 * MIB)
    call.close()
    world.received["a:1"] = 0
    world.call("a:1", "client-2")
    world.arrive("a:1", MIB)
    assert not world.over()
    assert world.budget.holder_of("a:1") == "client-2"


def test_calls_have_a_bound_for_each_party_and_one_for_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(CALLS_PER_HOLDER_MAX):
        last = world.call()
    with pytest.raises(Refused, match=f"{CALLS_PER_HOLDER_MAX} calls of this party") as refused:
        world.call()
    assert not refused.value.cut
    monkeypatch.setattr(module, "CALLS_MAX", CALLS_PER_HOLDER_MAX)
    world.call("b:1", "client-2")  # it has none
    with pytest.raises(Refused, match="calls are open here"):
        world.call("b:1", "client-2")
    last.close()
    assert world.budget.refused == 2


def test_connections_of_a_party_have_a_bound(world: World) -> None:
    for number in range(CONNECTIONS_PER_HOLDER_MAX):
        world.call(f"a:{number}").close()
    with pytest.raises(Refused, match="connections of this party") as refused:
        world.call("a:5000")
    assert refused.value.cut
    world.received = {"a:1": 0}
    world.look()
    world.now += 2.0
    world.look()
    world.call("a:5001")


def test_who_makes_no_call_is_closed_after_the_time_of_a_handshake(world: World) -> None:
    world.received = {"s:1": 0, "a:1": 0}
    world.look()
    world.call("a:1").close()
    world.now += HANDSHAKE_SECONDS
    assert not world.over()
    world.now += 0.1
    assert world.over() == ["s:1"]


def test_an_address_has_so_many_connections_of_strangers_and_loses_its_oldest(world: World) -> None:
    for number in range(STRANGERS_PER_ADDRESS_MAX + 3):
        world.received[f"s:{number}"] = 0
        world.look()
    for number in range(8):
        world.received[f"t:{number}"] = 0
    world.look()
    assert world.over() == ["s:0", "s:1", "s:2"]


def test_where_somebody_was_cut_off_few_strangers_may_wait_for_a_while(world: World) -> None:
    """It comes again at once, on many connections, and each costs as much as it can bring before a look."""
    call = world.call("a:1")
    world.arrive("a:1", 4 * MIB)
    assert world.over() == ["a:1"]
    call.close()
    del world.received["a:1"]
    for number in range(STRANGERS_SUSPECT_MAX + 2):
        world.received[f"a:{number + 2}"] = world.received[f"b:{number}"] = 0
        world.look()
    assert world.over() == ["a:2", "a:3"]
    world.now += BARRED_SECONDS
    world.received = {f"a:{number}": 0 for number in range(20, 30)}
    world.look()
    assert world.over() == []
    world.received["a:30"] = 0
    world.call("a:30", "client-2")
    world.arrive("a:30", 4 * MIB)  # one more from there is cut off: it begins anew
    assert world.over() == ["a:30"]
    assert len(world.over()) == 1 + 10 - STRANGERS_SUSPECT_MAX


def test_a_party_has_the_part_of_what_it_is_now(world: World) -> None:
    """A client becomes a member on the connection that it has; a former member is none any more."""
    world.received = {"a:1": 0, "a:2": 0}
    for key in world.received:  # as much as a member may hold, and a client may not
        world.budget.open(key, b"m", "m", member=False, bytes_max=CONNECTION_BYTES_MAX)
        world.arrive(key, (CLIENT_BYTES_MAX + MIB) // 2)
    assert sorted(world.over()) == ["a:1", "a:2"]
    world.now += BARRED_SECONDS
    for member in (True, False):
        world.budget.open("a:1", b"m", "m", member=member, bytes_max=CONNECTION_BYTES_MAX)
        assert sorted(world.over()) == ([] if member else ["a:1", "a:2"])
