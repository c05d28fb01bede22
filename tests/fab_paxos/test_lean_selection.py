"""The rule of profile lean: against a second one, against random Reports, and against what was decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from random import Random

import pytest

from fab_paxos.lean_selection import EquivocatorReports, select_lean
from fab_paxos.messages import Report
from fab_paxos.rule import choose, vector_of
from fab_paxos.selection import InvalidSelection, ReportedEntry
from quorum import QuorumSystem
from quorum.system import LEAN
from verifiable_log.batch import NOOP

FOUR, FIVE, SIX = (QuorumSystem(n, 1, LEAN) for n in (4, 5, 6))
NINE, TEN = QuorumSystem(9, 2, LEAN), QuorumSystem(10, 2, LEAN)
A, B, C = (letter * 32 for letter in (b"a", b"b", b"c"))
Told = Mapping[int, Sequence[tuple[int, int, bytes]]]


def entries(told: Sequence[tuple[int, int, bytes]]) -> tuple[ReportedEntry, ...]:
    return tuple(ReportedEntry(*entry) for entry in told)


def selected(system: QuorumSystem, told: Told, base: int = 0) -> tuple[bytes, ...]:
    return select_lean(system, [(member, entries(said)) for member, said in told.items()], base)


def outcome(system: QuorumSystem, told: Told, base: int = 0) -> tuple[bytes, ...] | int:
    """The vector, or the leader whose Report is to be left out."""
    try:
        return selected(system, told, base)
    except EquivocatorReports as error:
        return error.member


def reference(system: QuorumSystem, told: Told, base: int) -> list[bytes] | set[int]:
    """The vector, or the leaders of whom one is to be left out: slot by slot, from the text of the rule."""
    vector: list[bytes] = []
    liars: set[int] = set()
    top = max((slot for said in told.values() for slot, _, _ in said), default=base)
    for slot in range(base + 1, top + 1):
        at = [(view, digest) for said in told.values() for place, view, digest in said if place == slot]
        newest = [digest for view, digest in at if view == max(view for view, _ in at)]
        values = sorted(set(newest))
        safe = [value for value in values if len(values) == 1 or newest.count(value) >= system.forcing]
        if len(values) > 1:
            liars |= {system.leader(max(view for view, _ in at))} & set(told)
        vector.append(safe[0] if safe else b"")
    while vector and not vector[-1]:
        vector.pop()
    return liars or [digest or NOOP.digest for digest in vector]


def random_told(dice: Random, system: QuorumSystem, liars: set[int], base: int) -> Told:
    views = dice.sample(range(3 * system.member_count), 3)
    signed: dict[tuple[int, int], bytes] = {}
    told = {}
    for member in dice.sample(range(system.member_count), system.member_count):
        said = []
        for slot in range(base + 1, base + 4):
            view = dice.choice(views)
            digest = dice.choice((A, B, C))
            if system.leader(view) not in liars:
                digest = signed.setdefault((view, slot), digest)  # a correct leader signs one
            if dice.random() < 0.8:
                said.append((slot, view, digest))
        told[member] = said
    return told


def test_it_is_the_rule_in_other_words() -> None:
    dice, excluded = Random(1), 0
    for _ in range(1500):
        system = dice.choice((FOUR, FIVE, SIX, NINE, TEN))
        liars, base = set(dice.sample(range(system.member_count), system.faulty_max)), dice.choice((0, 0, 1))
        every = random_told(dice, system, liars, 0)
        told = {member: every[member] for member in list(every)[: system.report]}
        expected = reference(system, told, base)
        found = outcome(system, told, base)
        if isinstance(expected, set):
            excluded += 1
            assert found in expected
            assert expected <= liars
        else:
            assert found == tuple(expected)
    assert excluded > 100


def test_a_leader_always_finds_reports_and_leaves_out_liars_only() -> None:
    """Whatever liars report or withhold: the Reports of the correct members are enough."""
    dice, excluded = Random(2), 0
    for _ in range(1500):
        system = dice.choice((FOUR, FIVE, NINE, TEN))
        liars = set(dice.sample(range(system.member_count), system.faulty_max))
        told = random_told(dice, system, liars, 0)
        kept = {m: said for m, said in told.items() if m not in liars or dice.random() < 0.7}
        reports = {m: Report(99, None, entries(said)) for m, said in kept.items()}
        me = dice.choice(sorted(set(kept) - liars))
        chosen = choose(system, me, reports, 0)
        assert chosen is not None
        members = [member for member, _ in chosen]
        assert me in members
        assert members == sorted(set(members))
        plain = sorted(reports, key=lambda member: (member != me, member))[: system.report]
        assert set(plain) - set(members) <= liars
        excluded += set(plain) != set(members)
        vector_of(system, chosen, 0)
    assert excluded > 40


def test_it_waits_for_its_own_report_and_for_enough() -> None:
    reports = {member: Report(9, None, ()) for member in range(4)}
    assert choose(FOUR, 1, reports, 0) == tuple((m, reports[m]) for m in (0, 1, 2))
    assert choose(FOUR, 3, reports, 0) == tuple((m, reports[m]) for m in (0, 1, 3))
    assert choose(FOUR, 4, reports, 0) is None  # whoever that is has no Report here
    assert choose(FOUR, 0, {0: reports[0], 1: reports[1]}, 0) is None


# --- against what was decided ------------------------------------------------------------------------------


def histories(system: QuorumSystem) -> Iterator[tuple[bytes, int, dict[int, bytes | None]]]:
    """One view, led by a liar: (what is decided, the liar, what each correct member accepted)."""
    for liar in range(2):
        correct = [member for member in range(system.member_count) if member != liar]
        for accepted in product((A, B, None), repeat=len(correct)):
            for value in (A, B):
                if accepted.count(value) + 1 >= system.decision:  # the liar votes for anything
                    yield value, liar, dict(zip(correct, accepted, strict=True))


def broken(system: QuorumSystem) -> int:
    """In how many cases a new view is not bound to what was decided."""
    wrong = 0
    for value, liar, accepted in histories(system):
        view = liar  # which it leads
        for members in combinations(range(system.member_count), system.report):
            for lie in (A, B, C, None) if liar in members else (None,):
                said = {**accepted, liar: lie}
                told = {m: [(1, view, digest)] if (digest := said[m]) is not None else [] for m in members}
                wrong += outcome(system, told) not in ((value,), liar)
    return wrong


@pytest.mark.parametrize("system", [FOUR, FIVE, SIX])
def test_what_was_decided_is_selected_from_any_reports(system: QuorumSystem) -> None:
    assert broken(system) == 0


@pytest.mark.parametrize(("system", "wrong"), [(FOUR, -1), (FOUR, 1), (FIVE, 1), (SIX, -1), (SIX, 1)])
def test_one_more_or_less_would_lose_it(
    system: QuorumSystem, wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuorumSystem, "forcing", system.forcing + wrong)
    assert broken(system) > 0


def test_a_member_that_equivocated_is_left_out_for_all_slots() -> None:
    """Its Report would hide a decision at another slot, too: Reports are judged as a whole."""
    told = {0: [(1, 0, A), (2, 0, A)], 1: [(1, 0, A)], 2: [(1, 0, B), (2, 0, A)]}
    with pytest.raises(EquivocatorReports) as caught:
        selected(FOUR, told)
    assert caught.value.member == 0
    del told[0]
    assert selected(FOUR, {**told, 3: [(1, 0, B)]}) == (B, A)


def test_reports_that_are_not_reports() -> None:
    told: dict[int, list[tuple[int, int, bytes]]] = {0: [], 1: [], 2: []}
    with pytest.raises(InvalidSelection, match="of 4 members"):
        selected(FOUR, {**told, 3: []})
    with pytest.raises(InvalidSelection, match="of 2 members"):
        select_lean(FOUR, [(0, ()), (1, ())], 0)
    with pytest.raises(InvalidSelection, match="a member reports twice"):
        select_lean(FOUR, [(0, ()), (0, ()), (1, ())], 0)
    with pytest.raises(InvalidSelection, match="twice"):
        selected(FOUR, {**told, 0: [(1, 0, A), (1, 1, A)]})
    assert selected(FOUR, told) == ()
    assert selected(FOUR, {**told, 0: [(2, 0, A), (1, 0, B)]}, base=1) == (A,)


def test_the_newest_view_overrules_the_others() -> None:
    told = {0: [(1, 1, B)], 1: [(1, 0, A)], 2: [(1, 0, A)]}
    assert selected(FOUR, told) == (B,)
    assert selected(FOUR, {**told, 0: [(3, 1, B)]}) == (A, NOOP.digest, B)
