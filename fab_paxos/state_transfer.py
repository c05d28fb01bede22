"""Being brought up by a checkpoint, when everybody has pruned the log that this member lacks.

The Offer proves itself: the certificate names the frontier's root and the digest of the list of leaf hashes.
Each part is then checked against that list alone, so a source can lie about nothing and only be slow;
catching up (``catch_up``) asks another one then, and what was fetched before is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from fab_paxos.effects import Blame, Effect, Offence, Send
from fab_paxos.messages import FetchState
from quorum import CheckpointStatement, QuorumCertificate
from verifiable_log.checkpoint_offer import Offer, PartFault, StatePart, check_part, offered_frontier
from verifiable_log.limits import STATE_ITEM_BYTES_MAX, STATE_PART_BYTES
from verifiable_log.merkle import Frontier
from verifiable_log.merkle_tree import ProofError, leaf_hash
from verifiable_log.ordering_state import Checkpoint, Snapshot, part

_OFFENCES = {PartFault.WRONG: Offence.WRONG_STATE_PART, PartFault.SMALL: Offence.SMALL_STATE_PART}


@dataclass(frozen=True, slots=True)
class Brought:
    """A complete checkpoint, and a decision certificate at or above it."""

    checkpoint: Checkpoint
    certificate: QuorumCertificate


class Transfer:
    """At most one checkpoint's state is being fetched; memory is bounded by what its certificate names."""

    def __init__(self) -> None:
        self._offer: Offer | None = None
        self._slot = 0
        self._next = 0  # index of the first item that is missing
        self._items: dict[bytes, bytes] = {}  # by leaf hash: most outlive a change to a newer checkpoint
        self.source: int | None = None

    @property
    def received(self) -> int:
        """Grows while a transfer makes progress."""
        return len(self._items)

    def on_offer(self, sender: int, offer: Offer, decided: int, out: list[Effect]) -> Brought | None:
        """A checkpoint above ``decided`` is taken up; a newer one takes the place of an older."""
        statement = offer.checkpoint.statement
        if not isinstance(statement, CheckpointStatement) or statement.slot <= max(decided, self._slot - 1):
            return None
        try:
            offered_frontier(offer)
        except ProofError:
            out.append(Blame(sender, Offence.UNPROVEN_OFFER, str(statement.slot)))
            return None
        self._offer, self._slot, self._next, self.source = offer, statement.slot, 0, sender
        wanted = set(offer.leaves)
        self._items = {leaf: item for leaf, item in self._items.items() if leaf in wanted}
        return self._go_on(out)

    def on_part(self, sender: int, state_part: StatePart, out: list[Effect]) -> Brought | None:
        """Items of the state, from the source that was asked."""
        offer = self._offer
        if offer is None or sender != self.source or state_part.slot != self._slot:
            return None
        fault = check_part(offer.leaves, state_part, STATE_PART_BYTES, STATE_ITEM_BYTES_MAX)
        if fault is not None:
            self._refuse(sender, _OFFENCES[fault], out)
            return None
        self._items.update(zip(map(leaf_hash, state_part.items), state_part.items, strict=True))
        return self._go_on(out)

    def drop(self, decided: int) -> None:
        """The log has come this far without it."""
        if self._slot <= decided:
            self._offer, self._slot, self.source = None, 0, None
            self._items.clear()

    def _refuse(self, sender: int, offence: Offence, out: list[Effect]) -> None:
        self.source = None  # until somebody offers it again
        out.append(Blame(sender, offence, str(self._slot)))

    def _go_on(self, out: list[Effect]) -> Brought | None:
        """Asks for the first missing item, or hands over what is complete."""
        offer = self._offer
        if offer is None:
            return None
        while self._next < len(offer.leaves):
            if offer.leaves[self._next] not in self._items:
                if self.source is not None:
                    out.append(Send(self.source, FetchState(self._slot, self._next)))
                return None
            self._next += 1
        frontier = Frontier.from_parts(self._slot, offer.peaks)
        snapshot = Snapshot(frontier, tuple(self._items[leaf] for leaf in offer.leaves))
        return Brought(Checkpoint(snapshot, offer.checkpoint), offer.certificate)


def answer(checkpoint: Checkpoint | None, fetch: FetchState) -> StatePart | None:
    """The part of our stable checkpoint that is asked for, if that is the one."""
    if checkpoint is None or checkpoint.slot != fetch.slot or fetch.first >= len(checkpoint.snapshot.state):
        return None
    return StatePart(fetch.slot, fetch.first, part(checkpoint.snapshot.state, fetch.first, STATE_PART_BYTES))
