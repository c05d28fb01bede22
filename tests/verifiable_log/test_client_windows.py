"""Client windows: at most once, judged alike, taken back with the slots: docs/development/testing.md,
scenario 19."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds.cluster import client_id, submission
from verifiable_log import Submission
from verifiable_log.client_windows import DIGESTS_KEPT, ClientWindows, Freshness, Lookup
from verifiable_log.limits import CLIENT_WINDOW
from verifiable_log.merkle import Frontier
from verifiable_log.ordering_state import Snapshot


class Twin:
    """The dumb one: a list of everything, judged from the beginning each time."""

    def __init__(self) -> None:
        self.admitted: list[tuple[int, Submission | bytes]] = []  # or who was dropped

    def judge(self, one: Submission) -> Lookup:
        theirs: list[tuple[int, Submission]] = []
        for slot, what in self.admitted:
            if what == one.client_id:
                theirs = []
            elif isinstance(what, Submission) and what.client_id == one.client_id:
                theirs.append((slot, what))
        highest = max((other.client_seq for _, other in theirs), default=-1)
        if highest >= 0 and one.client_seq <= highest - CLIENT_WINDOW:
            return Lookup(Freshness.EXPIRED)
        for slot, other in theirs:
            if other.client_seq == one.client_seq:
                forgotten = one.client_seq <= highest - DIGESTS_KEPT
                same = forgotten or other.body_digest == one.body_digest
                return Lookup(Freshness.REPEATED if same else Freshness.CONFLICT, slot)
        return Lookup(Freshness.FRESH)

    def admit(self, slot: int, one: Submission) -> bool:
        fresh = self.judge(one).freshness is Freshness.FRESH
        if fresh:
            self.admitted.append((slot, one))
        return fresh

    def drop(self, slot: int, client: bytes) -> None:
        self.admitted.append((slot, client))

    def rollback(self, slot: int) -> None:
        self.admitted = [(at, one) for at, one in self.admitted if at <= slot]


SUBMISSIONS = st.builds(
    lambda client, place, jump, content: submission(client, place + jump, content),
    st.integers(0, 1),
    st.integers(0, 6),
    st.sampled_from([0, DIGESTS_KEPT - 3, CLIENT_WINDOW - 3, 2 * (CLIENT_WINDOW - 3)]),
    st.sampled_from([b"a", b"b"]),
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), SUBMISSIONS),
        st.tuples(st.just("next slot"), st.none()),
        st.tuples(st.just("drop"), st.integers(0, 1)),
        st.tuples(st.just("settle"), st.integers(0, 8)),
        st.tuples(st.just("rollback"), st.integers(0, 8)),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(ACTIONS, st.lists(SUBMISSIONS, min_size=1, max_size=6))
def test_windows_judge_like_the_dumb_twin(
    actions: list[tuple[str, Submission | int | None]], probes: list[Submission]
) -> None:
    """ "a submission decided twice is delivered once; the same sequence number with other content: the first
    decided wins" — also after slots were taken back."""
    windows, twin, slot, settled = ClientWindows(), Twin(), 1, 0
    for action, argument in actions:
        match action, argument:
            case "admit", Submission() as one:
                assert windows.admit(slot, one) == twin.admit(slot, one)
            case "next slot", _:
                slot += 1
            case "drop", int(client):
                slot += 1
                windows.drop(slot, [client_id(client)])
                twin.drop(slot, client_id(client))
            case "settle", int(back):
                settled = max(settled, slot - 1 - back)
                windows.settle(settled)
            case "rollback", int(back):
                slot = max(settled + 1, slot - back)
                windows.rollback(slot - 1)
                twin.rollback(slot - 1)
        before = [windows.judge(probe) for probe in probes]
        assert before == [twin.judge(probe) for probe in probes]
        expected = Twin()
        expected.admitted = list(twin.admitted)
        flags = tuple(expected.admit(slot + 1, probe) for probe in probes)
        assert windows.preview(slot + 1, probes) == flags
        assert [windows.judge(probe) for probe in probes] == before, "a preview changes nothing"
        again = ClientWindows.read(windows.state(), windows.places())
        assert [again.judge(probe) for probe in probes] == before
        assert (again.state(), again.places()) == (windows.state(), windows.places())
        brought = ClientWindows.read(windows.state())  # by others: only the places of old numbers are unknown
        for probe, known in zip(probes, before, strict=True):
            assert brought.judge(probe) in (known, Lookup(known.freshness))


def test_the_window_holds_exactly_so_many_numbers() -> None:
    windows = ClientWindows()
    assert windows.admit(1, submission(1, 0))
    assert windows.admit(2, submission(1, CLIENT_WINDOW - 1))
    assert windows.judge(submission(1, 0)).freshness is Freshness.REPEATED
    assert windows.judge(submission(1, 1)).freshness is Freshness.FRESH
    assert windows.admit(3, submission(1, CLIENT_WINDOW))
    assert windows.judge(submission(1, 0)) == Lookup(Freshness.EXPIRED)
    assert windows.judge(submission(1, 1)).freshness is Freshness.FRESH


def test_the_highest_number_of_all_is_a_number_like_any_other() -> None:
    windows = ClientWindows()
    assert windows.admit(1, submission(1, 3))
    assert windows.admit(1, submission(1, 2**64 - 1))
    assert windows.judge(submission(1, 2**64 - 1)) == Lookup(Freshness.REPEATED, 1)
    assert windows.judge(submission(1, 3)).freshness is Freshness.EXPIRED
    windows.rollback(0)
    assert windows.judge(submission(1, 3)).freshness is Freshness.FRESH


def test_memory_stays_within_the_window_and_what_is_taken_back_leaves_nothing() -> None:
    windows = ClientWindows()
    for seq in range(3 * CLIENT_WINDOW):
        windows.admit(seq + 1, submission(1, seq))
        windows.settle(seq + 1)
    (window,) = windows._windows.values()
    assert (len(window.digests), len(window.slots)) == (DIGESTS_KEPT, CLIENT_WINDOW)
    assert window.used.bit_length() == CLIENT_WINDOW
    assert len(windows._undo) == 0
    windows.preview(9999, [submission(client, 0) for client in range(2, 50)])
    assert len(windows._windows) == 1


def test_of_old_numbers_it_is_known_that_they_are_used_and_no_longer_for_what() -> None:
    windows = ClientWindows()
    for seq in range(DIGESTS_KEPT + 1):
        windows.admit(seq + 1, submission(1, seq, b"a"))
    assert windows.judge(submission(1, 0, b"b")) == Lookup(Freshness.REPEATED, 1)
    assert windows.judge(submission(1, 1, b"b")) == Lookup(Freshness.CONFLICT, 2)
    brought = ClientWindows.read(windows.state())
    assert brought.judge(submission(1, 0, b"a")) == Lookup(Freshness.REPEATED)
    assert brought.judge(submission(1, 1, b"a")) == Lookup(Freshness.REPEATED, 2)


def test_places_of_numbers_that_are_not_used_are_refused() -> None:
    windows = ClientWindows()
    for seq in range(0, 200, 2):
        windows.admit(seq + 1, submission(1, seq))
    (places,) = windows.places()
    for spoilt in (
        places[:-1],
        bytes(7) + b"\x01" + places[8:],
        places[: len(places) // 2 - 8] + bytes(7) + b"\xc6" + places[len(places) // 2 :],
    ):
        with pytest.raises(ValueError, match="place"):
            ClientWindows.read(windows.state(), (spoilt,))


def test_the_item_of_a_client_is_frozen() -> None:
    windows = ClientWindows()
    for slot, seq in ((1, 3), (2, 70), (2, 5), (4, 68)):
        windows.admit(slot, submission(1, seq, b"x"))
    (item,) = windows.state()
    client, digests = submission(1, 0).client_id, [submission(1, n, b"x").body_digest for n in (68, 70)]
    used = (1 | 1 << 2 | 1 << 65 | 1 << 67).to_bytes(128, "big")
    uses = (4).to_bytes(8, "big") + digests[0] + (2).to_bytes(8, "big") + digests[1]
    assert item == b"\x01" + client + (70).to_bytes(8, "big") + used + uses
    numbers = (3, 5, 1, 2)  # the numbers, then where they are
    assert windows.places() == (b"".join(n.to_bytes(8, "big") for n in numbers),)


def test_a_state_that_is_written_little_by_little_is_that_of_its_beginning() -> None:
    """Whatever happens to the clients meanwhile: they go on, new ones come, slots are taken back."""
    for seed in range(40):
        dice, windows, slot = Random(seed), ClientWindows(), 1
        for slot in range(1, 20):
            for _ in range(dice.randrange(4)):
                windows.admit(slot, submission(dice.randrange(8), dice.randrange(200)))
        for client in dice.sample(range(8), 5):
            windows.admit(slot, submission(client, 300))
        state, places = windows.state(), windows.places()
        windows._written = dict(
            dice.sample(sorted(windows._written.items()), 3)
        )  # the others are not written
        writer, turns = windows.begin_state(slot), 1
        while not writer.go_on(1):
            turns += 1
            match dice.randrange(3):
                case 0:
                    windows.admit(slot + 1, submission(dice.randrange(12), dice.randrange(400)))
                case 1:
                    windows.preview(slot + 1, [submission(dice.randrange(12), dice.randrange(400))])
                case _:
                    windows.rollback(slot)
        snapshot = Snapshot.of(Frontier().extend(map(bytes, range(slot))), writer.whole())
        assert (snapshot.state, snapshot.places) == (state, places)
        fresh = Snapshot(snapshot.frontier, state)
        assert (snapshot.leaves, snapshot.statement) == (fresh.leaves, fresh.statement)
        assert turns > 3


def test_a_state_above_a_slot_that_is_taken_back_is_let_go() -> None:
    windows = ClientWindows()
    windows.admit(1, submission(1, 1))
    writer = windows.begin_state(2)
    windows.admit(2, submission(2, 1))
    windows.rollback(1)
    assert windows.admit(2, submission(1, 2))
    assert not writer._written, "it is told of no change any more"
