"""One seed, one world with liars: its plan of trouble, then calm, then the verdict.

Calm comes in two parts. First a quorum is healed: as many correct members as the protocol needs, over timely
links, the rest still cut off; whatever clients of these members want must be decided within
``PATIENCE_TIMEOUTS`` view time-outs. Then all are healed, the liars' clients fall silent, and everybody must
come to know the same log, certified to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from fab_paxos.events import StepDown
from fab_paxos.state import EngineConfig
from fab_paxos.view_timer import TIMEOUT_DOUBLINGS_MAX
from quorum.system import CLASSIC, LEAN
from tests.campaigns.simulation.plan import Plan, Step, make_plan
from tests.worlds.adversaries import KINDS
from tests.worlds.checkers import check_live, lacking
from tests.worlds.end_liars import END_KINDS, LATER_KINDS
from tests.worlds.lean_liars import LEAN_KINDS
from tests.worlds.require import require
from tests.worlds.signed_gate import signed_world
from tests.worlds.timed import MILLISECOND, SECOND, Noise, TimedWorld

KINDS_OF = {CLASSIC: KINDS, LEAN: {**KINDS, **LEAN_KINDS}}
PATIENCE_TIMEOUTS = 10
CATCH_UP = 10 * SECOND
LOOK = 20 * MILLISECOND
ACT = 300 * MILLISECOND
DEFAULTS = EngineConfig(make_plan(0, None, list(KINDS)).system, 0)
TIMEOUT = int(DEFAULTS.view_timeout_seconds * SECOND)
OVERLOOKED = int(DEFAULTS.overlooked_heartbeats * DEFAULTS.heartbeat_seconds * SECOND)


def campaign(
    seed: int, kind: str | None = None, *, plan: Plan | None = None, profile: str = CLASSIC
) -> TimedWorld:
    """A run with all its checks. An error of any kind says how to replay it."""
    try:
        return Campaign(plan or make_plan(seed, kind, list(KINDS_OF[profile]), profile)).run()
    except Exception as error:
        which = f" --kind '{kind}'" if kind is not None else ""
        which += f" --profile {profile}" if profile != CLASSIC else ""
        replay = f"python -m tests.campaigns.simulation.run --seed {seed} --seeds 1{which}"
        raise AssertionError(f"{type(error).__name__}: {error}; replay: {replay}") from error


class Campaign:
    def __init__(self, plan: Plan, **options: Any) -> None:
        """``options`` are further ones of the world."""
        self.plan = plan
        make = signed_world if plan.real_scheme else TimedWorld
        self.world = make(
            plan.system,
            plan.seed,
            delay=plan.delay,
            frame_slots=plan.frame_slots,
            journals=plan.real_journals,
            checkpoint_slots=plan.checkpoint_slots,
            retain_slots=plan.retain_slots,
            **options,
        )
        self.world.pace = dict(plan.pace)
        for me, kind, dice in plan.liars:
            liar = (KINDS_OF[plan.system.profile] | END_KINDS | LATER_KINDS)[kind](
                self.world, me, Random(dice)
            )
            liar.words_max = plan.words_max
            self.world.corrupt(liar)
            if plan.rude_liars:
                self.world.rude.add(me)
            self.world.faults[f"members: {kind}"] += 1
        self._cuts: list[frozenset[tuple[int, int]]] = []
        self._left_behind: list[int] = []
        self._calm = False

    def run(self) -> TimedWorld:
        try:
            self._turmoil()
            self.world.check()
            self._heal_a_quorum()
            self._heal_all()
            self.world.check_all()
            return self.world
        finally:
            self.world.close()

    # -- trouble -------------------------------------------------------------------------------------

    def _turmoil(self) -> None:
        self._begin()
        self._advance(self._length)

    def _begin(self) -> None:
        for step in self.plan.steps:
            self.world.later(step.at, self._do, step)

    @property
    def _length(self) -> int:
        steps = self.plan.steps
        return steps[-1].at + self.plan.delay if steps else 0

    def _advance(self, until: int) -> None:
        self.world.advance(until)

    def _do(self, step: Step) -> None:
        self.world.note(step.what)
        act: Callable[..., None] = getattr(self, "_" + step.what.replace(" ", "_"))
        act(*step.arguments)

    def _submit(self, where: int, client: int, number: int) -> None:
        one = self.world.write(client, number)
        up = [member.me for member in self.world.honest if member.replica is not None]
        if where in up or up:
            self.world.submit(where if where in up else up[number % len(up)], one)

    def _act(self, me: int) -> None:
        self.world.adversaries[me].act()

    def _crash(self, me: int, moment: int | None, down: int) -> None:
        if self.world.members[me].replica is None:
            return
        if moment is not None:
            self.world.doomed[me] = (moment, lambda: self.world.later(down, self._restart, me))
            return
        self.world.faults["crashes"] += 1
        self.world.crash(me)
        self.world.later(down, self._restart, me)

    def _restart(self, me: int) -> None:
        if self.world.members[me].replica is None:
            self.world.restart(me)

    def _power_fails(self, down: int) -> None:
        self.world.faults["power failures of all"] += 1
        for member in self.world.live():
            self.world.crash(member.me)
            self.world.later(down, self._restart, member.me)

    def _step_down(self, me: int) -> None:
        if self.world.members[me].replica is not None:
            self.world.faults["leaders that hand over"] += self.world.members[me].engine.rooms.leading
            self.world.members[me].post(StepDown())

    def _impatience(self) -> None:
        self.world.faults["timers ahead of time"] += 1
        self.world.fire_view_timers()

    def _pause(self, me: int, duration: int) -> None:
        self.world.faults["pauses"] += 1
        self.world.pause(me, duration)

    def _partition(self, cut: frozenset[tuple[int, int]], reconnect: bool, duration: int) -> None:
        self.world.faults["partitions"] += 1
        self._cuts.append(cut)
        self.world.cut = set().union(*self._cuts)
        self.world.later(duration, self._mend, cut, reconnect)

    def _mend(self, cut: frozenset[tuple[int, int]], reconnect: bool) -> None:
        if cut in self._cuts and not self._calm:
            self._cuts.remove(cut)
            self.world.cut = set().union(*self._cuts)
            if reconnect:
                self.world.reconnect(set(cut))

    def _noise(self, noise: Noise, duration: int) -> None:
        self.world.noise = noise
        self.world.later(duration, self._hush, noise)

    def _hush(self, noise: Noise) -> None:
        if self.world.noise is noise:
            self.world.noise = self.world.usual

    # -- calm ----------------------------------------------------------------------------------------

    def _heal_a_quorum(self) -> None:
        """The network and enough members are well; all that their clients want is decided in time."""
        world, dice = self.world, self.world.random
        self._calm = True
        world.be_timely()
        world.cut = set()
        spare = world.system.faulty_max - len(world.adversaries)
        self._left_behind = left_behind = dice.sample([member.me for member in world.honest], spare)
        for me in left_behind:
            world.isolate(me)
        for member in world.members:
            world.doomed.pop(member.me, None)
            if member.replica is None and member.me not in left_behind:
                world.restart(member.me)
            world.unpause(member.me)
        healed = [member for member in world.honest if member.me not in left_behind]
        require(all(member.replica for member in healed), "a correct member does not start")
        for one in list(world.submitted):
            world.resubmit(dice.choice(healed).me, one)
        self._keep_acting()
        since, timeout = world.now, TIMEOUT * 2 ** max(m.engine.rooms.view_timer._doublings for m in healed)
        done = self._wait(PATIENCE_TIMEOUTS * timeout + self._excuse(), lambda: not lacking(world, healed))
        missing = {me: len(lacks) for me, lacks in lacking(world, healed).items()}
        require(
            done, f"members {missing} lack submissions {PATIENCE_TIMEOUTS} time-outs after a quorum healed"
        )
        world.recovery = (world.now - since) / timeout

    def _excuse(self) -> int:
        """A leader that decides something all the time is suspected of censorship only after a while."""
        return OVERLOOKED if self.world.adversaries else 0

    def _heal_all(self) -> None:
        world = self.world
        world.cut = set()
        for member in world.members:
            if member.replica is None:
                world.restart(member.me)
        world.reconnect({(a, b) for a in self._left_behind for b in range(world.system.member_count)})
        world.quiet = True
        self._wait(CATCH_UP + TIMEOUT * 2**TIMEOUT_DOUBLINGS_MAX, self._all_is_told)

    def _all_is_told(self) -> bool:
        try:
            check_live(self.world)
        except AssertionError:
            return False
        return True

    def _wait(self, longest: int, goal: Callable[[], bool]) -> bool:
        end = self.world.now + longest
        while self.world.now < end:
            self._advance(min(end, self.world.now + LOOK))
            if goal():
                return True
        return False

    def _keep_acting(self) -> None:
        for adversary in self.world.adversaries.values():
            adversary.act()
        self.world.later(ACT, self._keep_acting)
