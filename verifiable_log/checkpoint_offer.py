"""A checkpoint as one party offers it to another that lacks the log below, and the parts of its state.

The source is docs/concepts/protocol.md, section 11. The checks here are pure and take nobody's word: an offer
proves itself to whoever has verified the signatures of its two certificates, and each part is then held
against the list of hashes that the offer proved. Members bring each other up by them, and listeners begin in
the middle of the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from quorum import AcceptedStatement, QuorumCertificate
from verifiable_log.limits import STATE_ITEM_BYTES_MAX
from verifiable_log.merkle import Frontier
from verifiable_log.merkle_proofs import root_from_cover
from verifiable_log.merkle_tree import ProofError, leaf_hash
from verifiable_log.ordering_state import certified_checkpoint
from verifiable_log.state_writer import state_digest


@dataclass(frozen=True, slots=True)
class Offer:
    """A stable checkpoint, whose state can be had in parts.

    ``checkpoint`` is its certificate: at the end of an epoch it may be that of the next one's membership.
    ``peaks`` are the frontier of the log up to it, ``leaves`` the leaf hashes of the state's items, ``cover``
    leads from there to the newest decision ``certificate``.
    """

    checkpoint: QuorumCertificate
    peaks: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    certificate: QuorumCertificate
    cover: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StatePart:
    """Items of the state of the checkpoint at ``slot``, from the one of index ``first`` on: as many as make
    one message."""

    slot: int
    first: int
    items: tuple[bytes, ...]


def offered_frontier(offer: Offer) -> Frontier:
    """The frontier of the log up to the offered checkpoint.

    Raises ProofError unless all parts of the offer follow from its two certificates, whose signatures are
    not looked at.
    """
    statement, newest = certified_checkpoint(offer.checkpoint), offer.certificate.statement
    if statement is None or not isinstance(newest, AcceptedStatement):
        raise ProofError("an offer is proven by the certificates of a checkpoint and of a decision")
    if newest.slot < statement.slot:
        raise ProofError(f"the log is certified to slot {newest.slot}, below the checkpoint")
    try:
        frontier = Frontier.from_parts(statement.slot, offer.peaks)
    except ValueError as error:
        raise ProofError(str(error)) from None
    if frontier.root != statement.root:
        raise ProofError("the frontier is not that of the checkpoint")
    if root_from_cover(frontier, newest.slot, offer.cover) != newest.root:
        raise ProofError("the checkpoint does not lead to the certified log")
    if state_digest(offer.leaves) != statement.state_digest:
        raise ProofError("the hashes are not those of the certified state")
    return frontier


class PartFault(Enum):
    """What is wrong with a part of a state."""

    WRONG = "it is not of the certified state"
    SMALL = "it is smaller than need be"


def check_part(
    leaves: tuple[bytes, ...], part: StatePart, bytes_max: int, item_bytes_max: int = STATE_ITEM_BYTES_MAX
) -> PartFault | None:
    """Whether the items are those of these leaves, and as many as a part of ``bytes_max`` bytes takes: who
    sends less than need be can only want to hold up."""
    hashes = tuple(map(leaf_hash, part.items))
    end = part.first + len(hashes)
    if not hashes or hashes != leaves[part.first : end]:
        return PartFault.WRONG
    if end < len(leaves) and sum(map(len, part.items)) + item_bytes_max < bytes_max:
        return PartFault.SMALL
    return None
