"""What a seed stands for: an alliance, its liars, and a list of things that are done to it.

The plan is data. It is made before anything runs, so that any of its steps can be left out: that is how a
failing schedule is made smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from quorum import QuorumSystem
from quorum.system import CLASSIC, LEAN
from tests.worlds.cluster import SIX
from tests.worlds.timed import MILLISECOND, PRUNING, WRITING, Noise

ELEVEN = QuorumSystem(11, 2)
LEAN_SYSTEMS = tuple(QuorumSystem(members, 1, LEAN) for members in (4, 5, 6))
LEAN_NINE = QuorumSystem(9, 2, LEAN)
NOBODY = "nobody"
WORST = ("equivocator", "equivocator", "conflicting NewViews", "twin", "report liar", "bad opener")
"""Kinds that find most of the planted bugs come more often."""
LEAN_WORST = (*WORST, "lone reporter", "lone reporter")

REAL_SCHEME_EVERY = 64
"""1.6 % of the seeds use the threshold RSA scheme, Ed25519 signatures, and the gate of the product."""

REAL_JOURNAL_EVERY = 16
LENGTHS = ("usual", "brief", "usual", "long", "usual", "brief")
"""By seed: a brief schedule is a few submissions and one or two troubles within some message delays."""

MOMENTS = (None, WRITING, WRITING, WRITING, PRUNING, 1, 2, 3, 5)
"""Where in a turn a member dies (``tests.worlds.member``); None is between turns."""


WHEN: dict[object, str] = {None: "now", WRITING: "when it writes", PRUNING: "when it prunes"}


@dataclass(frozen=True)
class Step:
    """``what`` is done at a time, in microseconds."""

    at: int
    what: str
    arguments: tuple[object, ...] = ()

    def __str__(self) -> str:
        match self.what, self.arguments:
            case "submit", (where, client, number):
                told = f"client {client} hands submission {number} to member {where}"
            case "act", (me,):
                told = f"the liar {me} acts"
            case "crash", (me, moment, down):
                when = WHEN.get(moment, f"at moment {moment} of a turn")
                told = f"member {me} crashes {when}, for {_ms(down)}"
            case "power fails", (down,):
                told = f"power fails everywhere, for {_ms(down)}"
            case "step down", (me,):
                told = f"member {me}, if it leads, hands over"
            case "impatience", _:
                told = "all view timers that run fire"
            case "partition", (cut, reconnect, duration):
                links = " ".join(f"{a}>{b}" for a, b in sorted(cut))
                told = f"cut for {_ms(duration)}{', then reconnected' if reconnect else ''}: {links}"
            case "pause", (me, duration):
                told = f"member {me} is paused for {_ms(duration)}"
            case "noise", (noise, duration):
                told = f"for {_ms(duration)} {noise}"
            case _:
                told = self.what
        return f"{_ms(self.at):>10}  {told}"


def _ms(microseconds: object) -> str:
    return f"{int(str(microseconds)) / MILLISECOND:.1f} ms"


@dataclass(frozen=True)
class Plan:
    seed: int
    system: QuorumSystem
    liars: tuple[tuple[int, str, int], ...]  # member, kind, seed of its dice
    steps: tuple[Step, ...]
    delay: int = 5 * MILLISECOND
    real_scheme: bool = False
    real_journals: bool = False
    frame_slots: int = 7
    checkpoint_slots: int = 4
    retain_slots: int | None = None
    pace: tuple[tuple[tuple[int, int], int], ...] = ()  # links that are so many times slower
    rude_liars: bool = False  # they take no greeting of a member that comes back
    words_max: int | None = None

    @property
    def is_short(self) -> bool:
        """One of the brief ones, of six members, with stand-in keys and model disks."""
        special = self.real_scheme or self.real_journals or self.system.member_count > SIX.member_count
        return _length(self.seed) == "brief" and not special

    def only(self, kept: Sequence[int]) -> Plan:
        """With these of its steps."""
        return replace(self, steps=tuple(self.steps[at] for at in sorted(set(kept))))


def make_plan(
    seed: int,
    kind: str | None,
    kinds: Sequence[str],
    profile: str = CLASSIC,
    system: QuorumSystem | None = None,
) -> Plan:
    """The plan of a seed; with ``kind`` the first liar is of that kind. ``system``: not one of its choice."""
    return _Planner(seed, kind, kinds, profile, system).plan()


def _length(seed: int) -> str:
    return LENGTHS[seed // 4 % len(LENGTHS)]  # in fours: other residues choose sizes, keys and disks


class _Planner:
    def __init__(
        self,
        seed: int,
        kind: str | None,
        kinds: Sequence[str],
        profile: str,
        system: QuorumSystem | None,
    ) -> None:
        self.dice = dice = Random(seed)
        self.seed = seed
        self.large = seed % 12 == 11 if system is None else system.faulty_max > 1
        small, large = SIX, ELEVEN
        if profile == LEAN:  # in twelves, so that each size meets every length
            small, large = LEAN_SYSTEMS[seed // 12 % len(LEAN_SYSTEMS)], LEAN_NINE
        self.system = system or (large if self.large else small)
        self.length = _length(seed)
        self.delay = dice.choice((5, 20, 20, 60)) * MILLISECOND
        # Much happens within few delays: what is under way when trouble comes is what matters.
        self.span = self.delay * self._by_length((6, 16), (10, 40), (60, 200))
        self.bursts = [dice.randrange(self.span) for _ in range(dice.choice((1, 2, 4)))]
        first = dice.choice(
            (0, 0, 1, 1, 2, dice.randrange(self.system.member_count))
        )  # first leaders do most
        places = [first, (first + dice.choice((1, 3))) % self.system.member_count] if self.large else [first]
        drawn = [dice.choice((*kinds, *(LEAN_WORST if profile == LEAN else WORST), NOBODY)) for _ in places]
        named = [kind, *drawn[1:]] if kind is not None else drawn
        liars = zip(places, named, strict=True)
        self.liars = tuple((me, name, dice.randrange(2**32)) for me, name in liars if name != NOBODY)
        lying = {me for me, _, _ in self.liars}
        self.honest = [me for me in range(self.system.member_count) if me not in lying]

    def plan(self) -> Plan:
        dice = self.dice
        steps = [*self._submissions(), *self._troubles(), *self._acts(), *self._resignations()]
        return Plan(
            self.seed,
            self.system,
            self.liars,
            tuple(sorted(steps, key=lambda step: step.at)),
            self.delay,
            self.seed % REAL_SCHEME_EVERY == 7,
            self.seed % REAL_JOURNAL_EVERY == 3,
            dice.choice((1, 3, 7, 50)),
            dice.choice((3, 20) if self.length == "brief" else (1, 2, 3, 5)),
            dice.choice((0, 0, 1, 4, None)),
            self._leader_monitor(),
            dice.random() < 0.5,
        )

    def _leader_monitor(self) -> tuple[tuple[tuple[int, int], int], ...]:
        """Some links are slow for good, so that some members hear late of what others know."""
        dice, every = self.dice, range(self.system.member_count)
        share = dice.choice((0.0, 0.2, 0.5))
        return tuple(
            ((a, b), dice.choice((4, 10, 30))) for a in every for b in every if dice.random() < share
        )

    def _submissions(self) -> Iterator[Step]:
        dice = self.dice
        count = self._by_length((1, 4), (2, 8), (5, 26))
        for number in range(count):
            where = dice.choice(self.honest)
            yield Step(self._moment(), "submit", (where, dice.randrange(4), number))

    def _troubles(self) -> Iterator[Step]:
        for _ in range(self._by_length((1, 3), (1, 5), (5, 17))):
            yield self._trouble()
        for _ in range(self._by_length((0, 3), (0, 5), (2, 9))):
            yield Step(self._moment(), "impatience")

    def _acts(self) -> Iterator[Step]:
        for me, _, _ in self.liars:
            for _ in range(self._by_length((1, 4), (2, 6), (2, 16))):
                yield Step(self._moment(), "act", (me,))

    def _resignations(self) -> Iterator[Step]:
        """By dice of their own, so that all else in the plan of a seed is as it was before there were any."""
        dice = Random(f"resignations {self.seed}")
        for _ in range(dice.choice((0, 0, 1, 3))):
            yield Step(dice.randrange(self.span), "step down", (dice.choice(self.honest),))

    def _by_length(self, brief: tuple[int, int], usual: tuple[int, int], long: tuple[int, int]) -> int:
        return self.dice.randrange(*{"brief": brief, "usual": usual, "long": long}[self.length])

    def _moment(self) -> int:
        """At any time, or not long after something else."""
        if self.dice.random() < 0.4:
            return self.dice.randrange(self.span)
        return self.dice.choice(self.bursts) + self.dice.randrange(8 * self.delay)

    def _trouble(self) -> Step:
        dice, at = self.dice, self._moment()
        duration = dice.randrange(self.span // 8, self.span)
        match dice.randrange(10):
            case 0 | 1:
                down = dice.choice((5, 50, 500, 3000)) * MILLISECOND
                return Step(at, "crash", (dice.choice(self.honest), dice.choice(MOMENTS), down))
            case 2:
                return Step(at, "power fails", (dice.choice((1, 20, 700)) * MILLISECOND,))
            case 3 | 4 | 5:
                return Step(at, "partition", (self._partition(), dice.random() < 0.5, duration))
            case 6:
                return Step(
                    at, "pause", (dice.choice(self.honest), dice.choice((20, 300, 2000)) * MILLISECOND)
                )
            case _:
                return Step(at, "noise", (self._noise(), duration))

    def _noise(self) -> Noise:
        dice = self.dice
        return Noise(
            loss=dice.choice((0.0, 0.0, 0.05, 0.15, 0.3)),
            twice=dice.choice((0.0, 0.0, 0.1, 0.3)),
            replay=dice.choice((0.0, 0.0, 0.1, 0.5)),
            reorder=dice.choice((0.0, 0.2, 0.5)),
            delay=dice.choice((5, 20, 100, 600)) * MILLISECOND,
        )

    def _partition(self) -> frozenset[tuple[int, int]]:
        """A member cut off, in one direction or both; or two halves; or single links."""
        dice, every = self.dice, range(self.system.member_count)
        match dice.randrange(4):
            case 0:
                victim, both = dice.choice(every), dice.random() < 0.5
                cut = {(a, victim) for a in every} | {(victim, a) for a in every if both}
            case 1:
                half = set(dice.sample(every, len(every) // 2))
                cut = {(a, b) for a in every for b in every if (a in half) != (b in half)}
            case 2:  # one hears nobody, another is heard by nobody
                deaf, mute = dice.sample(every, 2)
                cut = {(a, deaf) for a in every} | {(mute, a) for a in every}
            case _:
                cut = {(dice.choice(every), dice.choice(every)) for _ in range(8)}
        return frozenset((a, b) for a, b in cut if a != b)
