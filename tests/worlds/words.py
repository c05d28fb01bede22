"""What a correct member has signed binds it for ever: over all its lives, and over all epochs.

It may die and come back, catch up, leap over what others decided, and go from one epoch to the next: nothing
that it signs contradicts what it, or its earlier life, has signed. Apart from the engine, which knows nothing
of it; also from the signer, whose memory ends with its process.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from fab_paxos.evidence import disagree
from fab_paxos.messages import Accepted, Message, NewView, Propose, Report
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    JointStatement,
    MembershipStatement,
    ProgressStatement,
    QuorumSystem,
)
from tests.worlds.require import require


@dataclass(frozen=True)
class Life:
    """From one start to the next crash, when it gives a share.

    ``log``: the roots of its own log, by slot, as far as it is not certified. ``proven``: slot and root of
    the newest certificate that it has.
    """

    number: int = 0
    log: Mapping[int, bytes] = field(default_factory=dict)
    proven: tuple[int, bytes] = (0, b"")


class Words:
    """``who`` is a member of whatever number in whatever epoch: one identity."""

    def __init__(self) -> None:
        self._said: dict[tuple[Hashable, ...], Hashable] = {}
        self._shares: dict[tuple[Hashable, ...], tuple[bytes, Life]] = {}
        self._reports: dict[tuple[Hashable, int, int], list[Report]] = {}
        self._fences: dict[tuple[Hashable, int], int] = {}
        self._epochs: dict[Hashable, int] = {}
        self.count = 0

    def said(
        self, who: Hashable, epoch: int, start: int, me: int, system: QuorumSystem, message: Message
    ) -> None:
        """It sends this as member ``me`` of an epoch behind ``start``; what it relays binds others."""
        match message:
            case Propose(view, slot, _, root) if system.leader(view) == me:
                self._vote(who, epoch, start, view, slot, root)
            case Accepted(view, slot, root):
                self._vote(who, epoch, start, view, slot, root)
            case NewView(view) if system.leader(view) == me:
                self._keep_to(who, epoch, ("new view", epoch, view), message.digest)
            case Report(view):
                self._speaks(who, epoch)
                self._fences[who, epoch] = max(view, self._fences.get((who, epoch), 0))
                earlier = self._reports.setdefault((who, epoch, view), [])
                require(
                    not any(disagree(one, message) for one in earlier),
                    f"{who} reports two things when view {view} begins",
                )
                if message not in earlier:
                    earlier.append(message)
            case _:
                pass

    def endorsed(
        self, who: Hashable, epoch: int, start: int, statement: JointStatement, life: Life | None = None
    ) -> None:
        """It gives its share on this: of a log that a certificate has replaced its votes do not bind it."""
        match statement:
            case AcceptedStatement(view, slot, root):
                require(slot > start, f"{who} endorses slot {slot} of an epoch before")
                self._share(who, epoch, view, slot, root, life or Life())
            case ProgressStatement(view, digest):
                self._keep_to(who, epoch, ("progress", epoch, view), digest)
            case CheckpointStatement(slot):  # the log is one: whatever the epoch
                self._keep_to(who, epoch, ("checkpoint", slot), statement)
            case MembershipStatement(next_epoch, revision):
                self._keep_to(who, epoch, ("membership", next_epoch, revision), statement)
            case _:
                self._speaks(who, epoch)

    def _vote(self, who: Hashable, epoch: int, start: int, view: int, slot: int, root: bytes) -> None:
        require(slot > start, f"{who} votes on slot {slot} of an epoch before")
        fence = self._fences.get((who, epoch), 0)
        require(view >= fence, f"{who} votes in view {view}, and has reported for view {fence}")
        self._keep_to(who, epoch, ("vote", epoch, view, slot), root)

    def _share(self, who: Hashable, epoch: int, view: int, slot: int, root: bytes, life: Life) -> None:
        """One root for a slot of a view, as long as the signer lives.

        In a later life there may be another, if the certificate by which the member took that log shows the
        other one dead: they part below what is certified.
        """
        self._speaks(who, epoch)
        about = who, epoch, view, slot
        first, then = self._shares.setdefault(about, (root, life))
        if first != root:
            at, proven = life.proven
            dead = life.number != then.number and then.log.get(at, proven) != proven
            require(dead, f"{who} gives two shares in view {view} of epoch {epoch}, on slot {slot}")
            self._shares[about] = root, life

    def _keep_to(self, who: Hashable, epoch: int, about: tuple[Hashable, ...], word: Hashable) -> None:
        self._speaks(who, epoch)
        first = self._said.setdefault((who, *about), word)
        require(first == word, f"{who} contradicts itself: {about}")

    def _speaks(self, who: Hashable, epoch: int) -> None:
        self.count += 1
        newest = self._epochs.setdefault(who, epoch)
        require(epoch >= newest, f"{who} speaks in epoch {epoch}, and has spoken in epoch {newest}")
        self._epochs[who] = epoch
