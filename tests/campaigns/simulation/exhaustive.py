"""Every way in which one slot can go, over any number of views, with f = 1: the engine's own ``select``.

The abstraction: of each correct member only what it accepted last, of the alliance only what has been
decided. In each view the adversary chooses whose Reports count and what the liar reports, and is the leader
itself: it may tell each member another of the values that some choice of Reports allows (every leader does
some of that, so correct leaders are included). A value with ``decision - 1`` correct supporters in one view
counts as decided, because the liar may add its word whenever it likes. Views in which nothing happens lie
between, so that the liar leads as often as it wants. The search ends when no new state is found: there is no
bound on the number of views.
"""

from __future__ import annotations

from itertools import combinations, product

from fab_paxos import selection
from fab_paxos.selection import ReportedEntry
from quorum import QuorumSystem
from tests.worlds.require import require

VALUES = (b"a" * 32, b"b" * 32, b"c" * 32)
Held = tuple[bytes, ...]  # by correct member, sorted: who it is does not matter; b"" is nothing
State = tuple[Held, bytes]


def explore(system: QuorumSystem) -> tuple[int, str | None]:
    """The number of states that can be reached, and the first disagreement found, if any."""
    require(system.faulty_max == 1, "the search knows one liar")
    start: State = ((b"",) * (system.member_count - 1), b"")
    seen, fringe = {start}, [start]
    while fringe:
        state = fringe.pop()
        for following, decided in _views(system, state):
            if state[1] and decided and decided != state[1]:
                return len(seen), f"{state[1][:1]!r} was decided, and then {decided[:1]!r}"
            reached = (following, decided or state[1])
            if reached not in seen:
                seen.add(reached)
                fringe.append(reached)
    return len(seen), None


def _views(system: QuorumSystem, state: State) -> set[tuple[Held, bytes]]:
    """How the members may stand after another view, and what may have been decided in it."""
    held, _ = state
    allowed = _allowed(system, held)
    ends = set()
    for told in product((b"", *allowed), repeat=len(held)):
        after = tuple(sorted(new or old for new, old in zip(told, held, strict=True)))
        winners = [value for value in allowed if told.count(value) >= system.decision - 1]
        ends.add((after, winners[0] if winners else b""))
    return ends


def _allowed(system: QuorumSystem, held: Held) -> tuple[bytes, ...]:
    if not any(held):
        return VALUES  # also view 0, which needs no Reports
    found: set[bytes] = set()
    for lie in (None, b"", *VALUES):
        honest = system.report - (lie is not None)
        for chosen in set(combinations(held, honest)):
            words = chosen if lie is None else (*chosen, lie)
            entries = [(ReportedEntry(1, 0, word),) if word else () for word in words]
            vector = selection.select(system, list(enumerate(entries)), 0)
            if not vector:
                return VALUES
            found.add(vector[0])
    return tuple(sorted(found))
