"""The epochs of a crossing: each a simulated world of its own, and one log through all of them.

In each world but the last a campaign is under way when the log says that the epoch ends. Whoever holds the
checkpoint at the end may go over to the next world, where another campaign begins with other members; each
goes when it likes, some die on the way, some are brought by others, some sleep through a whole epoch, and
the liars of a world stay behind and talk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

from alliance.storage.journal_epochs import EpochRecord
from consensus.control import ControlState, dealing
from consensus.control.changes import ChangeKind
from quorum import AcceptedStatement, InvalidCertificate, QuorumSystem
from tests.campaigns.simulation.campaign import LOOK, PATIENCE_TIMEOUTS, TIMEOUT, Campaign
from tests.campaigns.simulation.crossing_plan import CrossingPlan
from tests.worlds.cluster import client_id
from tests.worlds.control import TinyControl, ending
from tests.worlds.epochs import (
    arrived,
    context_after,
    end_of,
    forger,
    heard_in,
    later_record,
    log_of,
    prepare,
    record_of,
    take_seat,
)
from tests.worlds.government import Governed, Government, governed
from tests.worlds.handing_on import Alliance, handed_on
from tests.worlds.handing_on import renewed as replaced
from tests.worlds.journals import JournalDisk
from tests.worlds.member import Member
from tests.worlds.require import require
from tests.worlds.signed_gate import founded
from tests.worlds.standin import StandInEndorser, StandInScheme
from tests.worlds.timed import MILLISECOND, TimedWorld
from tests.worlds.windows import window_of
from tests.worlds.words import Words
from verifiable_log import Submission

GOVERNOR = 90
"""The client that carries what the log decides of the alliance."""
GOVERNS = 40 * MILLISECOND
RESUBMITTED = 5


class Stage(Campaign):
    """One epoch. ``seats``: where each of its members was in the epoch before; None for those that are new.

    ``alliance`` is who takes part with what real shares, or None where stand-ins do.
    """

    def __init__(
        self,
        crossing: Crossing,
        number: int,
        system: QuorumSystem,
        alliance: Alliance | None,
        **options: Any,
    ) -> None:
        if alliance is not None:
            options["alliance"] = alliance
        super().__init__(crossing.plan.stage(number, system), **options)
        self.number = number
        self.alliance = alliance
        self.seats: tuple[int | None, ...] = (None,) * system.member_count
        self.seated: set[int] = set(range(system.member_count))
        self.left: set[int] = set()
        self.record: EpochRecord | None = None
        self.late: frozenset[int] = frozenset()  # they come when its trouble is over
        self.asleep: frozenset[int] = frozenset()  # or not at all
        self._crossing = crossing
        self._begun: int | None = None
        self.world.words = crossing.words

    @property
    def is_last(self) -> bool:
        return self.number == len(self._crossing.plan.systems) - 1

    @property
    def up(self) -> list[Member]:
        return [member for member in self.world.honest if member.replica is not None]

    # -- what is done to it --------------------------------------------------------------------------

    def _advance(self, until: int) -> None:
        while self.world.now < until:
            self.world.advance(min(until, self.world.now + LOOK))
            self._crossing.look(self)

    def pass_time(self) -> None:
        self._advance(self.world.now + LOOK)

    def _decree(self, where: int, word: bytes, number: int) -> None:
        one = self.world.write(GOVERNOR, number + 5000 * self.number, word)
        up = [member.me for member in self.up]
        if up:
            self.world.submit(where if where in up else up[number % len(up)], one)

    def _want(self, aim: str, system: QuorumSystem | None = None) -> None:
        if self._crossing.stages[-1] is self:  # what an epoch wants ends with it: the last one has no end
            self._crossing.government.want(aim, system)

    def govern(self) -> None:
        """Operators and members look what is decided, and have what is due carried to somebody."""
        if self.is_last and self._calm:
            return
        states = [member.engine.rooms.log.control for member in self.up]
        known = [control.state for control in states if isinstance(control, Governed)]
        if known:
            newest = max(known, key=lambda state: state.slot)
            crossing, up = self._crossing, self.up
            for command in crossing.government.due(newest, self.world.now, hands_on=not self.is_last):
                crossing.carried += 1
                member = crossing.dice.choice(up)
                self.world.submit(member.me, self.world.write(GOVERNOR, crossing.carried, command))
        self.world.later(GOVERNS, self.govern)

    def _restart(self, me: int) -> None:
        if me in self.seated - self.left:
            super()._restart(me)

    def _act(self, me: int) -> None:
        if me in self.seated:
            super()._act(me)

    # -- what becomes of it --------------------------------------------------------------------------

    def begin(self) -> None:
        """From now on there is trouble: enough members are here that something can come of it."""
        self._begun = self.world.now
        self._begin()
        if self._crossing.plan.governed:
            self.world.later(GOVERNS, self.govern)

    def turmoil(self) -> None:
        self._advance(max(self.world.now, (self._begun or 0) + self._length))
        self.world.check()

    def calm(self) -> None:
        """The network is well, and all that have not left are up: the end must come, and its checkpoint."""
        world = self.world
        self._calm = True
        world.be_timely()
        world.cut = set()
        for member in world.members:
            world.doomed.pop(member.me, None)
            if member.replica is None:
                self._restart(member.me)
            world.unpause(member.me)
        if not self.left and end_of(world) is None and not self._crossing.plan.governed:
            self._decree(0, ending(self.number), 2000)
        self._keep_acting()
        doublings = max((m.engine.rooms.view_timer._doublings for m in self.up), default=0)
        since = world.now
        patience = (6 if self._crossing.plan.governed else 2) * PATIENCE_TIMEOUTS * TIMEOUT * 2**doublings
        patience += self._clocks_behind()
        if not self.left:
            require(self._wait(patience, self._over), f"the epoch does not end: {self._standing()}")
        world.recovery = (world.now - since) / (TIMEOUT * 2**doublings)

    def _clocks_behind(self) -> int:
        """How long agreed time stands still: clocks begin at zero in each world, the log's time goes on."""
        controls = [member.engine.rooms.log.control for member in self.up]
        agreed = max((one.state.time_ms for one in controls if isinstance(one, Governed)), default=0)
        return max(0, agreed * MILLISECOND - self.world.now)

    def _over(self) -> bool:
        return bool(self.left) or bool(arrived(self.world, end_of(self.world) or -1))

    def _standing(self) -> str:
        standing = ((m.me, m.engine.status, m.engine.rooms.log.end) for m in self.world.live())
        return "; ".join(f"{me}: {status}, end {end}" for me, status, end in standing)

    def finish(self) -> None:
        """Through the calm behind the last epoch's trouble."""
        self._heal_a_quorum()
        self._heal_all()
        self.world.check_all()


class Crossing:
    """``run`` raises AssertionError when anything is not as it must be."""

    def __init__(self, plan: CrossingPlan) -> None:
        self.plan = plan
        self.words = Words()
        self.government = Government(plan.seed)
        self.carried = 0
        self.dice = Random(f"seats {plan.seed}")
        self.stages: list[Stage] = []
        self.ends: list[int] = []
        self.changes: Counter[str] = Counter()
        self._key = b""
        """The name of the key that stand-in shares are of."""

    def run(self) -> list[TimedWorld]:
        try:
            # Minutes of simulated time, in which leaders may overlook what others deal: longer than a plan.
            with window_of(self.plan.window), patch.object(dealing, "OVERLOOKED_MS", 0):
                self._run()
        finally:
            for stage in self.stages:
                stage.world.close()
        return [stage.world for stage in self.stages]

    def _run(self) -> None:
        system = self.plan.systems[0]
        control = governed(system) if self.plan.governed else TinyControl(alpha=self.plan.window)
        alliance = founded(system) if self.plan.handed_on else None
        stage = Stage(self, 0, system, alliance, founded=control)
        stage.world.names = [f"member {me} of epoch 0" for me in range(system.member_count)]
        self.stages.append(stage)
        stage.begin()
        stage.turmoil()
        while not stage.is_last:
            stage.calm()
            self.look(stage)
            after = self._after(stage)
            if after is None:
                raise AssertionError("the epoch has ended, and none begins")
            self._seat_all(after)
            after.turmoil()
            after.late = frozenset()
            self._seat_all(after)
            stage = after
        stage.finish()
        self._check()

    def _seat_all(self, stage: Stage) -> None:
        while self._to_come(stage):
            for seat in self._to_come(stage):
                self._seat(stage, seat)

    # -- from one to the next ------------------------------------------------------------------------

    def look(self, stage: Stage) -> None:
        """Time has passed in this epoch: so it does in the next, and members may go over."""
        after = None if stage.is_last else self._after(stage) or self._begin(stage)
        if after is None:
            return
        after.pass_time()
        for seat in self._to_come(after):
            if self.dice.random() < self.plan.haste:
                self._seat(after, seat)

    def _after(self, stage: Stage) -> Stage | None:
        return self.stages[stage.number + 1] if len(self.stages) > stage.number + 1 else None

    def _to_come(self, stage: Stage) -> list[int]:
        away = stage.seated | stage.asleep | stage.late
        return [me for me in range(len(stage.seats)) if me not in away]

    def _begin(self, stage: Stage) -> Stage | None:
        """The next epoch, when somebody has come to the end of this one."""
        world, end = stage.world, end_of(stage.world)
        there = arrived(world, end) if end is not None else []
        if end is None or not there:
            return None
        control = there[0].engine.rooms.log.control
        config, renewed = b"those of the next epoch", self.plan.renews(stage.number + 1)
        if isinstance(control, Governed):
            config = control.state.next_epoch().config
            self.changes.update(_told(control.state))
            renewed = control.state.next_epoch().key_changes > control.state.key_changes
            self.government.begin_epoch()
            system, seats = _governed_seats(control)
        else:
            system = self.plan.systems[stage.number + 1]
            seats = self._drawn_seats(stage, system)
        names = [
            world.names[seat] if seat is not None else f"member {me} of epoch {stage.number + 1}"
            for me, seat in enumerate(seats)
        ]
        if renewed:
            self.changes["new keys"] += 1
        after = self._made(stage, system, names, end, renewed=renewed)
        after.world.heard_before = heard_in(world)
        after.world.forge = forger(world) if renewed else world.forge
        after.seats, after.seated, after.world.names = seats, set(), names
        after.record = record_of(world, end, config)
        honest = [member.me for member in after.world.honest]
        away = frozenset(self.dice.sample(honest, system.faulty_max - len(after.world.adversaries)))
        if self.dice.random() < 0.5:
            after.late = away
        elif not after.is_last:
            after.asleep = away
        prepare(world, after.world, end)
        self.ends.append(end)
        self.stages.append(after)
        waiting = [one for one in world.submitted if one.client_id != client_id(GOVERNOR)]
        for one in waiting[-RESUBMITTED:]:  # whoever has no answer asks again, in whatever epoch
            after.world.later(self.dice.randrange(500) * MILLISECOND, self._ask_again, after, one)
        return after

    def _made(
        self, stage: Stage, system: QuorumSystem, names: list[Hashable], end: int, *, renewed: bool
    ) -> Stage:
        world, number = stage.world, stage.number + 1
        if stage.alliance is not None:
            go_on = replaced if renewed else handed_on
            alliance = go_on(stage.alliance, system, [str(name).replace(" ", "-") for name in names], end)
            return Stage(self, number, system, alliance, founded=world.founded)
        if renewed:
            self._key = b"key of epoch %d " % number
        scheme = StandInScheme(system.decision, context_after(world), self._key)
        shares = [StandInEndorser(member, self._key) for member in range(system.member_count)]
        return Stage(self, number, system, None, scheme=scheme, endorsers=shares, founded=world.founded)

    def _ask_again(self, stage: Stage, one: Submission) -> None:
        if stage.up and not stage._calm:
            stage.world.submit(self.dice.choice(stage.up).me, one)

    def _drawn_seats(self, stage: Stage, system: QuorumSystem) -> tuple[int | None, ...]:
        count = system.member_count
        stay = [me for me in range(stage.world.system.member_count) if self.dice.random() < 0.8]
        seats: list[int | None] = [*stay, *[None] * count][:count]
        self.dice.shuffle(seats)
        return tuple(seats)

    def _home(self, stage: Stage, seat: int) -> tuple[Stage, int] | None:
        """Where the member is that takes this seat; None when it is new, or has lied or lost its disk."""
        origin, number = stage.seats[seat], stage.number - 1
        while origin is not None:
            before = self.stages[number]
            if origin in before.world.adversaries:
                return None
            if origin in before.seated:
                return before, origin
            origin, number = before.seats[origin], number - 1
        return None

    def _seat(self, stage: Stage, seat: int) -> None:
        record, home, dice, delay = stage.record, self._home(stage, seat), self.dice, 0
        if record is None:
            raise AssertionError("nobody has brought the end")
        if dice.random() < 0.8:
            record = later_record(stage.world, record)
            stage.world.faults["members that come late"] += record != stage.record
        own = None
        if home is not None:
            before, me = home
            world, own = before.world, before.world.members[me].disk
            match dice.randrange(6):
                case 0:  # it dies before the epoch is in its journal, and comes back where it was
                    world.faults["crashes before the switch"] += 1
                    world.crash(me)
                    world.later(dice.randrange(500) * MILLISECOND, before._restart, me)
                    return
                case 1:
                    world.faults["crashes after the switch"] += 1
                    delay = dice.randrange(2000) * MILLISECOND
                case 2 if isinstance(own, JournalDisk):
                    world.faults["crashes within the switch"] += 1
                    entered = own.tear_epoch(record)
                    world.crash(me)
                    if not entered:
                        world.later(dice.randrange(500) * MILLISECOND, before._restart, me)
                        return
                case _:
                    pass
            before.left.add(me)
            world.crash(me)
            if before.number < stage.number - 1:
                world.faults["members that sleep through an epoch"] += 1
        known = {
            slot: entry
            for one in self.stages[: stage.number + 1]
            for slot, entry in log_of(one.world).items()
        }
        take_seat(stage.world, seat, own, record, known)
        stage.seated.add(seat)
        if len(stage.seated) == stage.world.system.decision:
            stage.begin()
        if seat in stage.world.adversaries:
            stage.world.adversaries[seat].begin_epoch(record)
        stage.world.later(delay, stage._restart, seat)

    # -- the verdict ---------------------------------------------------------------------------------

    def _check(self) -> None:
        roots: dict[int, bytes] = {}
        for stage in self.stages:
            stage.world.check()
            for member in stage.world.honest:
                for slot, entry in member.decisions().items():
                    require(roots.setdefault(slot, entry.root) == entry.root, f"two logs at slot {slot}")
                if not stage.is_last:
                    end = self.ends[stage.number]
                    beyond = [slot for slot in member.disk.entries if slot > end]
                    require(not beyond, f"member {member.me} accepted {beyond} behind the end {end}")
        self._check_chain()

    def _check_chain(self) -> None:
        """Who has followed all keys verifies what each has certified, and nothing behind its last slot."""
        last = self.stages[-1]
        if last.alliance is None or not self.plan.new_keys:
            return
        scheme = last.alliance[0].scheme
        for stage in self.stages:
            for member in stage.world.honest:
                for certificate in member.certificates:
                    certificate.verify(scheme.in_epoch(certificate.epoch))
        for former in scheme.former:
            (old,) = (one for one in self.stages if one.world.scheme.context.epoch == former.epoch)
            beyond = forger(old.world)(AcceptedStatement(0, former.slot + 1, b"f" * 32), former.epoch)
            with suppress(InvalidCertificate):
                beyond.verify(scheme.in_epoch(former.epoch))
                raise AssertionError("a former key is believed behind its last slot")


def _told(state: ControlState) -> Iterator[str]:
    """What the log has decided of the alliance in an epoch that ends."""
    before, after = state.directory, state.next_epoch().directory
    full = any(one.change.kind is ChangeKind.FULL for one in state.scheduled)
    yield "full changes" if full else "light changes"
    yield from ["suspensions"] * len(set(after.suspended) - set(before.suspended))
    yield from ["reinstatements"] * len(set(before.suspended) - set(after.suspended))
    if full and state.dealt_for.attempt:
        yield "second attempts"
    if state.carried is not None:
        yield "changes that begin again"
    yield from ["revisions"] * state.revision


def _governed_seats(control: Governed) -> tuple[QuorumSystem, tuple[int | None, ...]]:
    """Who takes part next, by the log. Who has another identity by a full change has lost its disk."""
    state = control.state
    after = state.next_epoch()
    full = any(one.change.kind is ChangeKind.FULL for one in state.scheduled)
    old = {row.name: (me, row.identity) for me, row in enumerate(state.directory.members)}
    seats: list[int | None] = []
    for row in after.directory.members:
        me, identity = old.get(row.name, (None, b""))
        seats.append(None if full and identity != row.identity else me)
    system = after.directory.system
    suspended = after.directory.suspended
    return (replace(system, leaders=after.eligible) if suspended else system), tuple(seats)
