"""What happens in a run, by its seed: which changes are decided, and who is killed or paused when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from consensus.control import ControlState

NAMES = tuple(f"member-{number}" for number in range(1, 7))


class Kind(StrEnum):
    """A change. A member that is replaced may have been killed before, for good, or run on to its end."""

    REFRESH = "refresh"
    REPLACE = "replace"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"


class Harm(StrEnum):
    """What is done to a member: SIGKILL and started again at once; SIGKILL, and started when the epoch has
    begun; SIGSTOP until then; SIGKILL to all members at once, all started again."""

    KILL = "kill"
    AWAY = "away"
    PAUSE = "pause"
    ALL = "all"


class Moment(StrEnum):
    """When: of the change under way the log has the approval, so many dealings, so many members that are
    ready, the end, all but so many of the last slots, or the next epoch."""

    APPROVED = "approved"
    DEALT = "dealt"
    READY = "ready"
    SCHEDULED = "scheduled"
    ENDING = "ending"
    BEGUN = "begun"


@dataclass(frozen=True, slots=True)
class Blow:
    """``victim`` is a member, or nobody for all. ``delay`` is in seconds, behind the moment."""

    harm: Harm
    victim: str
    moment: Moment
    count: int
    delay: float

    def is_due(self, state: ControlState, epoch: int) -> bool:
        """``epoch``: that in which the change was decided."""
        if state.epoch > epoch:
            return True
        active, end = state.active, state.end
        if self.moment is Moment.APPROVED:
            return True
        if self.moment is Moment.DEALT:
            return end is not None or (active is not None and len(active.dealings) >= self.count)
        if self.moment is Moment.READY:
            return end is not None or (active is not None and len(active.readies) >= self.count)
        if self.moment is Moment.SCHEDULED:
            return end is not None
        return self.moment is Moment.ENDING and end is not None and state.slot >= end - self.count


@dataclass(frozen=True, slots=True)
class Step:
    """One change. ``gone``: who is replaced is killed before, and its address is that of the new one."""

    kind: Kind
    member: str
    blows: tuple[Blow, ...]
    gone: bool = False

    def __str__(self) -> str:
        told = [
            f"{one.harm} {one.victim or 'everybody'} at {one.moment} {one.count} + {one.delay:.2f} s"
            for one in self.blows
        ]
        what = " ".join(filter(None, (self.kind, self.member, "(gone)" if self.gone else "")))
        return f"{what}: {'; '.join(told) or 'in peace'}"


def plan(seed: int) -> tuple[Step, ...]:
    """A replacement, a refreshment, and a suspension that is taken back, in an order of the seed's."""
    dice = Random(f"epochs {seed}")
    led = dice.choice(NAMES)
    kinds = [(Kind.REPLACE, dice.choice(NAMES)), (Kind.REFRESH, ""), (Kind.SUSPEND, led)]
    dice.shuffle(kinds)
    kinds.insert(dice.randint(kinds.index((Kind.SUSPEND, led)) + 1, 3), (Kind.REINSTATE, led))
    return tuple(_step(kind, member, dice) for kind, member in kinds)


def _step(kind: Kind, member: str, dice: Random) -> Step:
    gone = kind is Kind.REPLACE and dice.random() < 0.5
    replaced = kind is Kind.REPLACE
    harms = [dice.choice((*Harm, Harm.KILL)) for _ in range(dice.randint(1, 3))]
    if gone:  # five others decide: nobody is away for long
        harms = [Harm.KILL if harm in (Harm.AWAY, Harm.PAUSE) else harm for harm in harms]
    long = [at for at, harm in enumerate(harms) if harm in (Harm.AWAY, Harm.PAUSE)]
    for at in long[1:]:  # one at a time, as many as may be faulty
        harms[at] = Harm.KILL
    blows = tuple(_blow(harm, kind, member if replaced else "", dice) for harm in harms)
    return Step(kind, member, blows, gone)


def _blow(harm: Harm, kind: Kind, replaced: str, dice: Random) -> Blow:
    moments = list(Moment)
    if kind in (Kind.SUSPEND, Kind.REINSTATE):
        moments = [Moment.APPROVED, Moment.SCHEDULED, Moment.ENDING, Moment.BEGUN]
    if harm in (Harm.AWAY, Harm.PAUSE):
        moments.remove(Moment.BEGUN)
    moment = dice.choice(moments)
    count = dice.randint(1, 5) if moment in (Moment.DEALT, Moment.READY) else 0
    if moment is Moment.ENDING:
        count = dice.randint(0, 20)
    others = [name for name in NAMES if harm is Harm.KILL or name != replaced]
    victim = "" if harm is Harm.ALL else dice.choice(others)
    return Blow(harm, victim, moment, count, dice.choice((0.0, dice.uniform(0.0, 1.0))))
