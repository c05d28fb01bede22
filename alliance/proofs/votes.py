"""Members' own votes beside a certificate, as a receipt may carry them.

The quorum's signature is made with shares of one key, which outlives changes of members: whoever gathers
enough shares of former members can sign anything. Identity keys change with the members. So f + 1 votes of
an epoch's members show what old shares alone cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alliance.errors import InvalidReceipt
from alliance.proofs.jsonform import base64, packed, whole
from quorum import AcceptedStatement, Context, VoteStatement
from verifiable_log.submission import SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Vote:
    """A member's Ed25519 signature on the VoteStatement of the certificate's view, slot and root.

    ``member`` is its place, from 0, among the members of the certificate's epoch.
    """

    member: int
    signature: bytes


def write_votes(votes: Sequence[Vote]) -> list[dict[str, Any]]:
    return [{"member": vote.member, "signature": base64(vote.signature)} for vote in votes]


def read_votes(value: object) -> tuple[Vote, ...]:
    """One or more votes, sorted by member, each member once. Raises ValueError or KeyError."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise ValueError("'votes' is no list of votes; a receipt without votes has no such field")
    votes = tuple(Vote(whole(item, "member"), packed(item["signature"])) for item in value)
    if any(len(vote.signature) != SIGNATURE_BYTES for vote in votes):
        raise ValueError(f"the signature of a vote has {SIGNATURE_BYTES} bytes")
    if any(one.member >= other.member for one, other in pairwise(votes)):
        raise ValueError("'votes' are not sorted by member, or a member is there twice")
    return votes


def verify_votes(
    votes: Sequence[Vote],
    accepted: AcceptedStatement,
    context: Context,
    identities: Sequence[Ed25519PublicKey],
) -> None:
    """Raises InvalidReceipt unless each vote is for ``accepted``, of another member, with its signature.

    ``identities`` are the members' keys, in order.
    """
    if len({vote.member for vote in votes}) != len(votes):
        raise InvalidReceipt("a member's vote is there twice: the receipt was altered")
    message = VoteStatement(accepted.view, accepted.slot, accepted.root).encode(context)
    for vote in votes:
        if not 0 <= vote.member < len(identities):
            raise InvalidReceipt(f"a vote of an unknown member, {vote.member + 1}: the receipt was altered")
        try:
            identities[vote.member].verify(vote.signature, message)
        except InvalidSignature:
            raise InvalidReceipt(
                f"a vote is not signed by member {vote.member + 1}: the receipt was altered, or these are not"
                " the members of its epoch"
            ) from None
