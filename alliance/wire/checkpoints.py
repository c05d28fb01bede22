"""Offers of checkpoints and parts of their states on the wire: to members who catch up, to listeners."""

from __future__ import annotations

from alliance.pb import peer_pb2 as pb
from alliance.wire.bounds import (
    PROOF_HASHES_MAX,
    Malformed,
    OverLimit,
    at_most,
    checked_digest,
    checked_slot,
    some,
)
from alliance.wire.certificates import decode_certificate, decode_decision, encode_certificate
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.limits import STATE_ITEM_BYTES_MAX, STATE_ITEMS_MAX, STATE_PART_BYTES
from verifiable_log.ordering_state import certified_checkpoint


def encode_offer(offer: Offer) -> pb.Offer:
    return pb.Offer(
        checkpoint=encode_certificate(offer.checkpoint),
        peaks=offer.peaks,
        leaves=offer.leaves,
        certificate=encode_certificate(offer.certificate),
        cover=offer.cover,
    )


def decode_offer(wire: pb.Offer) -> Offer:
    """Raises Malformed or InvalidStatement."""
    checkpoint, decision = decode_certificate(wire.checkpoint), decode_decision(wire.certificate)
    if certified_checkpoint(checkpoint) is None:
        raise Malformed("an offer whose certificate is not one of a checkpoint")
    peaks = tuple(map(checked_digest, at_most("peaks in an offer", wire.peaks, PROOF_HASHES_MAX)))
    leaves = tuple(map(checked_digest, at_most("leaves in an offer", wire.leaves, STATE_ITEMS_MAX)))
    cover = tuple(map(checked_digest, at_most("hashes in a cover", wire.cover, PROOF_HASHES_MAX)))
    return Offer(checkpoint, peaks, leaves, decision.certificate, cover)


def encode_part(part: StatePart) -> pb.StatePart:
    return pb.StatePart(slot=part.slot, first=part.first, items=part.items)


def decode_part(wire: pb.StatePart) -> StatePart:
    """Raises Malformed."""
    items = some("items in a part of a state", wire.items, STATE_ITEMS_MAX)
    if max(map(len, items)) > STATE_ITEM_BYTES_MAX or sum(map(len, items)) > STATE_PART_BYTES:
        raise OverLimit(
            f"a part of a state has {STATE_PART_BYTES} bytes at most, an item {STATE_ITEM_BYTES_MAX}"
        )
    return StatePart(checked_slot(wire.slot), wire.first, tuple(items))
