"""Other members' signed votes, kept for a while: for clients that want some of them in a receipt.

The receiver's gate has verified each of them, and would drop it. A receipt is asked for when a certificate is
there, and its votes were cast just before: so there are the latest votes of each member, and, for longer,
enough of those whose log has been certified.
"""

from __future__ import annotations

from collections import OrderedDict

from quorum import AcceptedStatement, VoteStatement

RECENT_MAX = 128
"""Votes of each member, the latest: as many slots may be voted on and not yet certified. Only its own
displace a member's, so one that votes for whatever it likes displaces nobody's."""

CERTIFIED_MAX = 256
"""Certified logs whose votes are kept: some seconds' worth under load, when each covers many slots."""


class KeptVotes:
    """Of one epoch, in memory alone."""

    def __init__(self, epoch: int, enough: int) -> None:
        """``enough`` (f + 1) votes on a certified log are kept; more would show nothing more."""
        self.epoch = epoch
        self._enough = enough
        self._recent: dict[int, OrderedDict[VoteStatement, bytes]] = {}
        self._certified: OrderedDict[VoteStatement, dict[int, bytes]] = OrderedDict()

    def note(self, member: int, vote: VoteStatement, signature: bytes) -> None:
        """A vote whose signature is verified."""
        if (kept := self._certified.get(vote)) is not None:
            if len(kept) < self._enough:
                kept[member] = signature
            return
        recent = self._recent.setdefault(member, OrderedDict())
        recent[vote] = signature
        if len(recent) > RECENT_MAX:
            recent.popitem(last=False)

    def certified(self, accepted: AcceptedStatement) -> None:
        """A certificate is there on this log: its votes may be asked for from now on."""
        vote = VoteStatement(accepted.view, accepted.slot, accepted.root)
        if vote in self._certified:
            return
        kept = self.of(vote)
        for member in kept:
            del self._recent[member][vote]
        self._certified[vote] = dict(list(kept.items())[: self._enough])
        if len(self._certified) > CERTIFIED_MAX:
            self._certified.popitem(last=False)

    def of(self, vote: VoteStatement) -> dict[int, bytes]:
        """The signatures on exactly this statement, by member, from 0."""
        if (kept := self._certified.get(vote)) is not None:
            return dict(kept)
        return {member: recent[vote] for member, recent in self._recent.items() if vote in recent}
