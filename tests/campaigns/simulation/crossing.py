"""From one epoch to the next in the middle of trouble: two simulated worlds, one log.

In the first world a campaign is under way when the log says that the epoch ends. Whoever holds the checkpoint
at the end may go over to the second, where another campaign begins with other members; each goes when it
likes, some die on the way, some are brought by others, and the liars of the first world stay behind and talk.
``python -m tests.campaigns.simulation.crossing --seeds 1000`` runs many, with small windows.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from random import Random

from quorum.system import CLASSIC, LEAN
from tests.campaigns.simulation.campaign import KINDS_OF, LOOK, PATIENCE_TIMEOUTS, TIMEOUT, Campaign
from tests.campaigns.simulation.plan import NOBODY, Plan, Step, make_plan
from tests.worlds.cluster import client_id
from tests.worlds.control import END, TinyControl, admit
from tests.worlds.disk import Disk
from tests.worlds.end_liars import END_KINDS
from tests.worlds.epochs import arrived, context_after, end_of, log_of, prepare, take_seat
from tests.worlds.require import require
from tests.worlds.standin import StandInScheme
from tests.worlds.timed import MILLISECOND, SECOND, TimedWorld
from tests.worlds.windows import window_of
from verifiable_log import Entry

BLOCK = 20
GOVERNOR = 90
"""The client that says what the log decides of the alliance."""
UNFIT = {"amnesiac", "bit flips"}
"""Kinds of liars that have an old disk: in a later epoch that would be one of another epoch."""


@dataclass(frozen=True)
class CrossingPlan:
    """``origin``: for each member of the ``second`` epoch its number in the ``first``, or None."""

    seed: int
    window: int
    first: Plan
    second: Plan
    origin: tuple[int | None, ...]
    haste: float


def make_crossing(seed: int, kind: str | None = None) -> CrossingPlan:
    """``kind``: what the first liar of the first epoch is; None leaves it to the seed."""
    dice = Random(f"crossing {seed}")
    profiles = dice.choice((CLASSIC, CLASSIC, LEAN)), dice.choice((CLASSIC, CLASSIC, LEAN))
    kinds = [[one for one in KINDS_OF[profile] if one not in UNFIT] for profile in profiles]
    first = make_plan(seed, kind, [*kinds[0], *END_KINDS], profiles[0])
    if kind is None and dice.random() < 0.4:
        others = [dice.choice([*END_KINDS, NOBODY]) for _ in first.liars]
        liars = (
            (me, name, at) for (me, _, at), name in zip(first.liars, others, strict=True) if name != NOBODY
        )
        first = replace(first, liars=tuple(liars))
    second = make_plan(seed + 7_000_000 + dice.randrange(12), None, kinds[1], profiles[1])
    lying = {me for me, _, _ in first.liars}
    kept = [step for step in first.steps if step.what != "act" or step.arguments[0] in lying]
    if dice.random() < 0.3:  # one of the members of the second epoch is suspended
        count = second.system.member_count
        leaders = sorted(dice.sample(range(count), count - 1))
        second = replace(second, system=replace(second.system, leaders=tuple(leaders)))
    steps = sorted([*kept, *_decisions(dice, first)], key=lambda step: step.at)
    first = replace(
        first, steps=tuple(steps), real_scheme=False, checkpoint_slots=dice.choice((2, 3, 5, 1000))
    )
    stay = [me for me in range(first.system.member_count) if dice.random() < 0.8]
    seats: list[int | None] = [*stay, *[None] * second.system.member_count][: second.system.member_count]
    dice.shuffle(seats)
    return CrossingPlan(
        seed,
        dice.choice((8, 8, 12)),
        first,
        replace(second, real_scheme=False, real_journals=False),
        tuple(seats),
        dice.choice((0.02, 0.1, 0.5)),
    )


def _decisions(dice: Random, plan: Plan) -> Iterator[Step]:
    """What the log is told of the alliance: clients that come and go, and the end."""
    liars = {me for me, _, _ in plan.liars}
    honest = [me for me in range(plan.system.member_count) if me not in liars]
    span = max((step.at for step in plan.steps), default=SECOND)
    for number in range(dice.choice((0, 1, 4))):
        word = admit(client_id(30 + dice.randrange(3)), admitted=dice.random() < 0.5)
        yield Step(dice.randrange(span), "decree", (dice.choice(honest), word, number))
    yield Step(dice.randrange(span // 2 + 1), "decree", (dice.choice(honest), END, 1000))


class First(Campaign):
    """The epoch that ends. Members leave it one by one."""

    def __init__(self, crossing: Crossing) -> None:
        super().__init__(crossing.plan.first, founded=TinyControl(alpha=crossing.plan.window))
        self.left: set[int] = set()
        self._crossing = crossing

    def _advance(self, until: int) -> None:
        while self.world.now < until:
            self.world.advance(min(until, self.world.now + LOOK))
            self._crossing.look()

    def _decree(self, where: int, word: bytes, number: int) -> None:
        one = self.world.write(GOVERNOR, number, word)
        up = [member.me for member in self.world.honest if member.replica is not None]
        if up:
            self.world.submit(where if where in up else up[number % len(up)], one)

    def _restart(self, me: int) -> None:
        if me not in self.left:
            super()._restart(me)

    def turmoil(self) -> None:
        self._turmoil()
        self.world.check()

    def calm(self) -> None:
        """The network is well, and all that have not left are up: the end must come, and its checkpoint."""
        world = self.world
        self._calm = True
        world.be_timely()
        world.cut = set()
        for member in world.members:
            world.doomed.pop(member.me, None)
            if member.replica is None and member.me not in self.left:
                world.restart(member.me)
            world.unpause(member.me)
        if not self.left and end_of(world) is None:
            self._decree(0, END, 2000)
        self._keep_acting()
        doublings = max(
            (m.engine.rooms.view_timer._doublings for m in world.honest if m.replica is not None), default=0
        )
        since = world.now
        patience = 2 * PATIENCE_TIMEOUTS * TIMEOUT * 2**doublings
        if not self.left:
            require(self._wait(patience, self._over), f"the epoch does not end: {self._standing()}")
        world.recovery = (world.now - since) / (TIMEOUT * 2**doublings)

    def _over(self) -> bool:
        return bool(self.left) or bool(arrived(self.world, end_of(self.world) or -1))

    def _standing(self) -> str:
        standing = ((m.me, m.engine.status, m.engine.rooms.log.end) for m in self.world.live())
        return "; ".join(f"{me}: {status}, end {end}" for me, status, end in standing)


class Second(Campaign):
    """The epoch that begins, from the log up to ``end``."""

    def __init__(self, crossing: Crossing, first: TimedWorld, end: int) -> None:
        system = crossing.plan.second.system
        scheme = StandInScheme(system.decision, context_after(first))
        super().__init__(crossing.plan.second, scheme=scheme, founded=first.founded)
        self.seated: set[int] = set()
        prepare(first, self.world, end)
        self._begin()

    def _restart(self, me: int) -> None:
        if me in self.seated:
            super()._restart(me)

    def _act(self, me: int) -> None:
        if me in self.seated:
            super()._act(me)

    def seat(self, me: int, donor: Disk, known: dict[int, Entry], delay: int) -> None:
        take_seat(self.world, me, donor, known)
        self.seated.add(me)
        self.world.later(delay, self._restart, me)

    def finish(self) -> None:
        """To the end of its own trouble, and through its calm."""
        self.world.advance(max(self.world.now, self._length))
        self.world.check()
        self._heal_a_quorum()
        self._heal_all()
        self.world.check_all()


class Crossing:
    """``run`` raises AssertionError when anything is not as it must be."""

    def __init__(self, plan: CrossingPlan) -> None:
        self.plan = plan
        self.first = First(self)
        self.second: Second | None = None
        self._dice = Random(f"seats {plan.seed}")
        self._donor: Disk | None = None  # one copy suffices to bring everybody
        self.end = 0

    def run(self) -> tuple[TimedWorld, TimedWorld]:
        try:
            with window_of(self.plan.window):
                return self._run()
        finally:
            self.first.world.close()
            if self.second is not None:
                self.second.world.close()

    def _run(self) -> tuple[TimedWorld, TimedWorld]:
        first = self.first
        first.turmoil()
        first.calm()
        self.look()
        second = self.second
        if second is None:
            raise AssertionError("the epoch has ended, and none begins")
        while len(second.seated) < second.world.system.member_count:
            for seat in range(second.world.system.member_count):
                if seat not in second.seated:
                    self._seat(second, seat)
        second.finish()
        first.world.check()
        self._check_end()
        return first.world, second.world

    def look(self) -> None:
        """Time has passed in the first world: so it does in the second, and members may go over."""
        world = self.first.world
        if self.second is None:
            end = end_of(world)
            there = arrived(world, end) if end is not None else []
            if end is None or not there:
                return
            self.end, self._donor = end, there[0].disk.image()
            self.second = Second(self, world, end)
        self.second.world.advance(self.second.world.now + LOOK)
        for seat in range(self.second.world.system.member_count):
            if seat not in self.second.seated and self._dice.random() < self.plan.haste:
                self._seat(self.second, seat)

    def _seat(self, second: Second, seat: int) -> None:
        world, dice, origin = self.first.world, self._dice, self.plan.origin[seat]
        there = {member.me for member in arrived(world, self.end)}
        donor, delay = self._donor, 0
        if origin is not None and origin in there:
            match dice.randrange(6):
                case 0:  # it dies before the epoch is in its journal, and comes back where it was
                    world.faults["crashes before the switch"] += 1
                    world.crash(origin)
                    world.later(dice.randrange(500) * MILLISECOND, self.first._restart, origin)
                    return
                case 1:
                    world.faults["crashes after the switch"] += 1
                    delay = dice.randrange(2000) * MILLISECOND
                case _:
                    pass
            donor = world.members[origin].disk
            self.first.left.add(origin)
            world.crash(origin)
        if donor is None:
            raise AssertionError("nobody has brought the end")
        second.seat(seat, donor, log_of(world), delay)

    def _check_end(self) -> None:
        world = self.first.world
        for member in world.honest:
            beyond = [slot for slot in member.disk.entries if slot > self.end]
            require(not beyond, f"member {member.me} accepted {beyond} behind the end {self.end}")
        second = self.second
        if second is not None:
            roots = {slot: entry.root for slot, entry in log_of(world).items()}
            for member in second.world.honest:
                for slot, entry in member.decisions().items():
                    require(roots.setdefault(slot, entry.root) == entry.root, f"two logs at slot {slot}")


def cross(seed: int, kind: str | None = None) -> tuple[TimedWorld, TimedWorld]:
    """A run with all its checks. An error of any kind says how to replay it."""
    try:
        return Crossing(make_crossing(seed, kind)).run()
    except Exception as error:
        which = f" --kind '{kind}'" if kind is not None else ""
        replay = f"python -m tests.campaigns.simulation.crossing --seed {seed} --seeds 1{which}"
        raise AssertionError(f"{type(error).__name__}: {error}; replay: {replay}") from error


def run_block(kind: str | None, seeds: range) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    failures = []
    for seed in seeds:
        try:
            first, second = cross(seed, kind)
        except AssertionError as error:
            failures.append(str(error))
            continue
        counts.update(seeds=1, events=first.events + second.events)
        counts["views"] += sum(max(m.engine.view for m in w.live()) for w in (first, second) if w.live())
        counts["decided"] += max(m.engine.status.decided for m in second.honest)
        counts["switch crashes"] += sum(n for what, n in first.faults.items() if "the switch" in what)
    return counts, failures


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.simulation.crossing")
    parser.add_argument("--seeds", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--kind", help="what the first liar of the first epoch is")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.seeds)
    blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
    total, failures, begin = Counter[str](), list[str](), time.process_time()
    with ProcessPoolExecutor(options.workers) as pool:
        for counts, failed in pool.map(run_block, [options.kind] * len(blocks), blocks):
            total += counts
            failures += failed
            for failure in failed:
                sys.stdout.write(f"FAILED {failure}\n")
    told = " ".join(f"{what.replace(' ', '_')}={number}" for what, number in sorted(total.items()))
    sys.stdout.write(f"crossings: {'FAILED' if failures else 'ok'} failures={len(failures)} {told}\n")
    sys.stderr.write(f"{time.process_time() - begin:.1f} s\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
