"""A stand-in for the threshold scheme: the same doors, a hash instead of an exponentiation.

Shares come with or without a proof, as Shoup's do, so that a bad one is not attributable until its proof was
asked for. Nobody here attacks the hash; adversaries spoil their own shares only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from quorum import (
    CombineFailed,
    Context,
    Endorsement,
    InvalidCertificate,
    InvalidEndorsement,
    Quorums,
    VerifiedEndorsement,
)
from quorum.faults import mask_of
from quorum.scheme import one_statement

CONTEXT = Context(b"\x07" * 32, 3)
PLAIN, PROVEN = b"plain", b"proof"
BAD_PLAIN, BAD_PROVEN = PLAIN + bytes(32), PROVEN + bytes(32)


class StandInScheme:
    last_slot = None

    def __init__(self, threshold: int, context: Context = CONTEXT, key: bytes = b"") -> None:
        """``key``: the name of the key, where an alliance gets another one."""
        self.threshold = threshold
        self.context = context
        self._key = key

    def in_epoch(self, epoch: int) -> StandInScheme:
        """As whoever has nothing but these shares goes on with them."""
        return StandInScheme(self.threshold, replace(self.context, epoch=epoch), self._key)

    def combine(self, endorsements: Sequence[Endorsement]) -> bytes:
        by_member = one_statement(endorsements, self.threshold)
        message = endorsements[0].statement.encode(self.context)
        shares = [(member, by_member[member].signature) for member in sorted(by_member)]
        if all(_right(member, message, share, self._key) for member, share in shares[: self.threshold]):
            return _joint(message, self._key)
        good = [m for m, share in shares if share.startswith(PROVEN) and _right(m, message, share, self._key)]
        culprits = [m for m, share in shares if share.startswith(PROVEN) and m not in good]
        unproven = [m for m, share in shares if not share.startswith(PROVEN)]
        if culprits or len(good) >= self.threshold:
            chosen = [(m, by_member[m].signature) for m in (good + unproven)[: self.threshold]]
            if len(chosen) == self.threshold and all(
                _right(m, message, share, self._key) for m, share in chosen
            ):
                return _joint(message, self._key)
        raise CombineFailed(tuple(culprits), tuple(unproven))

    def verify(self, message: bytes, signature: bytes) -> None:
        if signature != _joint(message, self._key):
            raise InvalidCertificate("not the quorum's word")

    def verify_endorsement(self, endorsement: Endorsement) -> VerifiedEndorsement:
        message = endorsement.statement.encode(self.context)
        if not _right(endorsement.member, message, endorsement.signature, self._key):
            raise InvalidEndorsement(endorsement.member, "a bad share")
        return VerifiedEndorsement(endorsement)


class WeighingScheme(StandInScheme):
    """Shares of members who decide together suffice, however many they are."""

    def __init__(self, quorums: Quorums) -> None:
        super().__init__(1)
        self._quorums = quorums

    def combine(self, endorsements: Sequence[Endorsement]) -> bytes:
        by_member = one_statement(endorsements, 1)
        message = endorsements[0].statement.encode(self.context)
        shares = {member: one.signature for member, one in by_member.items()}
        good = {member for member, share in shares.items() if _right(member, message, share, self._key)}
        proven = {member for member, share in shares.items() if share.startswith(PROVEN)}
        if not self._quorums.decides(mask_of(good)) or (good != set(shares) and not proven):
            wrong = sorted(proven - good)
            raise CombineFailed(tuple(wrong), tuple(sorted(set(shares) - proven)))
        return _joint(message, self._key)


class StandInEndorser:
    def __init__(self, member: int, key: bytes = b"") -> None:
        self._member = member
        self._key = key

    def endorse(self, message: bytes, *, proven: bool) -> bytes:
        return (PROVEN if proven else PLAIN) + _share(self._member, message, self._key)


def _share(member: int, message: bytes, key: bytes) -> bytes:
    return sha256(b"share %d " % member + key + message).digest()


def _joint(message: bytes, key: bytes) -> bytes:
    return sha256(b"joint " + key + message).digest()


def _right(member: int, message: bytes, share: bytes, key: bytes) -> bool:
    return share[len(PLAIN) :] == _share(member, message, key)
