"""The attacks that the demo shows: what it tells of each, and what is to become of the liar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorum import QuorumSystem

_SEAT = (
    "{leader}, the leader, is exchanged: the same keys, the same journal, the same share of the key, but a"
    " program of its owner's making. "
)


@dataclass(frozen=True)
class AttackPlan:
    """``replaced`` and ``blamed`` are what is to become of the liar; ``replaced`` None: either will do."""

    attack: str
    title: str
    text: str
    moral: str
    seconds: float
    replaced: bool | None
    blamed: bool

    def among(self, system: QuorumSystem) -> AttackPlan:
        """The plan for an alliance of these sizes.

        Where the liar and one half of the others are a quorum, as with four members, that half decides, so
        that no time-out ends: a leader that tells two stories is blamed, but may keep its place.
        """
        half = system.member_count // 2  # the larger one, of the others
        if self.attack in (ALL.attack, AttackName.EQUIVOCATE) and half + 1 >= system.decision:
            return replace(self, replaced=None, moral=f"{self.moral} {_HALF_DECIDES}")
        return self


_HALF_DECIDES = (
    "With so few members the liar and one half of the others are enough to decide, so it may go on leading:"
    " one log all the same, with its lies on record."
)


class AttackName(StrEnum):
    EQUIVOCATE = "equivocate"
    SILENT = "silent"
    SLOW = "slow"
    CENSOR = "censor"
    BAD_SHARES = "bad-shares"


ALL = AttackPlan(
    "all",
    "One member lies",
    _SEAT + "As leader it signs two logs and tells each to one half of the others. Replaced, it lies about"
    " what it had accepted, and tries to spoil every signature that the quorum makes.",
    "Two statements of one member that contradict each other, both signed, and an invalid share of a"
    " signature: a correct member makes neither.",
    seconds=4.0,
    replaced=True,
    blamed=True,
)
PLANS = {
    AttackName.EQUIVOCATE: AttackPlan(
        "equivocate",
        "The leader tells two stories",
        _SEAT + "It signs two logs with the same commands in another order, tells each to one half of the"
        " others, and supports both with its share of the key. Then it tries to talk each half over."
        " Replaced, it lies to its successor about what it had accepted.",
        "Neither log could find a quorum. Who was shown both proposals holds two signatures of the liar's.",
        seconds=5.0,
        replaced=True,
        blamed=True,
    ),
    AttackName.SILENT: AttackPlan(
        "silent",
        "The leader falls silent",
        _SEAT + "It lets the others in, listens to all they say, and says nothing.",
        "Silence proves nothing, so nobody is blamed; the others are enough without it.",
        seconds=5.0,
        replaced=True,
        blamed=False,
    ),
    AttackName.SLOW: AttackPlan(
        "slow",
        "The leader takes its time",
        _SEAT + "It proposes one batch at a time, and each just before the others' view timers fire.",
        "Each member times its clients' work: more than half the time-out is too long. Slowness proves"
        " nothing to a third party, so nobody is blamed; but the leader has to go.",
        seconds=5.0,
        replaced=True,
        blamed=False,
    ),
    AttackName.CENSOR: AttackPlan(
        "censor",
        "The leader does not know one client",
        _SEAT + "It orders what client-2 proposes, and whatever client-1 proposes, to whichever server, it"
        " ignores. The log grows, so nobody's time-out ends.",
        "Each member counts how long a client is passed over while others are served. That proves nothing to"
        " a third party, so nobody is blamed; but the leader has to go.",
        seconds=3.0,
        replaced=True,
        blamed=False,
    ),
    AttackName.BAD_SHARES: AttackPlan(
        "bad-shares",
        "A member spoils the signatures",
        _SEAT + "It leads as it should, but its share of each signature is bad, and the first to arrive:"
        " at first of another statement, without the proof that the others then ask for; later with a proof,"
        " which does not fit, or plain garbage.",
        "The others combine first and look at proofs only if that fails. A share with a wrong proof convicts"
        " its sender; from then on its shares are not looked at.",
        seconds=5.0,
        replaced=None,
        blamed=True,
    ),
}
