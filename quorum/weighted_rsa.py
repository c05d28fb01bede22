"""One RSA signature of members that weigh differently: who weighs w holds w shares of the key.

The key has as many shares as all members weigh together, and its threshold is the weight that decides
(``quorum.weighted``). A member holds shares with consecutive indices, in the order of the members, and its
endorsement is all of them, one after the other: they cannot be put together before it is known whose shares
take part, since Lagrange's coefficients depend on it. Whatever is wrong with one of them is the member's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from quorum.endorsement import Endorsement, VerifiedEndorsement
from quorum.scheme import CombineFailed, InvalidEndorsement, one_statement
from quorum.statement import Context
from quorum.threshold_rsa import (
    AgreementKey,
    InvalidAgreementKey,
    ThresholdRsaEndorser,
    ThresholdRsaScheme,
    deal_shares,
)
from quorum.weighted import WeightedQuorums


def deal_weighted_key(
    quorums: WeightedQuorums,
    key_size: int,
    epoch: int,
    progress: Callable[[str, int], None] | None = None,
) -> tuple[AgreementKey, tuple[WeightedRsaEndorser, ...]]:
    """Deals the alliance key: members who decide sign together, none of less weight.

    The dealer sees the secret while this runs. Takes seconds at 2048 bits. Raises ValueError for a key size
    that is too small or no multiple of 128.
    """
    whole, lying = sum(quorums.weights), quorums.faults.heaviest(quorums.weights)
    key, held = deal_shares(whole, quorums.decision, lying, key_size, epoch, progress)
    places = Places(quorums.weights)
    endorsers = tuple(
        WeightedRsaEndorser(member, [held[place] for place in places.of(member)])
        for member in range(quorums.member_count)
    )
    return key, endorsers


class Places:
    """Which shares are whose. A place counts from 0 and is the index of its share less one."""

    def __init__(self, weights: Sequence[int]) -> None:
        """``weights``: of each member, 1 or more."""
        self._weights = tuple(weights)
        self._first = (0, *accumulate(self._weights))

    @property
    def count(self) -> int:
        """Of all shares."""
        return self._first[-1]

    def of(self, member: int) -> range:
        """The member's places. Raises IndexError for a member that there is not."""
        return range(self._first[member], self._first[member] + self._weights[member])

    def owners(self, places: Iterable[int]) -> tuple[int, ...]:
        """The members whose these are, ascending, each once."""
        wanted = set(places)
        return tuple(member for member in range(len(self._weights)) if not wanted.isdisjoint(self.of(member)))


class WeightedRsaScheme:
    """``ThresholdRsaScheme`` for members that hold several shares; certificates are the same."""

    def __init__(self, shares: ThresholdRsaScheme, weights: Sequence[int]) -> None:
        """``shares``: the scheme in which each share is a member. Raises InvalidAgreementKey unless the key
        has as many shares as the members weigh."""
        self._shares, self._places = shares, Places(weights)
        self._weights = tuple(weights)
        if shares.key.parties != self._places.count:
            raise InvalidAgreementKey(
                f"the key has {shares.key.parties} shares, and the members weigh {self._places.count}"
            )

    @property
    def key(self) -> AgreementKey:
        return self._shares.key

    @property
    def context(self) -> Context:
        return self._shares.context

    @property
    def last_slot(self) -> int | None:
        return self._shares.last_slot

    @property
    def threshold(self) -> int:
        """The weight of the members who make a certificate."""
        return self._shares.threshold

    def in_epoch(self, epoch: int) -> WeightedRsaScheme:
        """For the statements of another epoch, 0 to 2^64-1. Raises InvalidStatement."""
        return WeightedRsaScheme(self._shares.in_epoch(epoch), self._weights)

    def combine(self, endorsements: Sequence[Endorsement]) -> bytes:
        """See ``Scheme``. Raises ValueError where the members together weigh less than ``threshold``."""
        parts: list[Endorsement] = []
        malformed: list[int] = []
        for endorsement in one_statement(endorsements, 1).values():
            try:
                parts += self._parts(endorsement)
            except InvalidEndorsement:
                malformed.append(endorsement.member)
        if malformed and len(parts) < self.threshold:
            raise CombineFailed(tuple(malformed), ())
        try:
            return self._shares.combine(parts)
        except CombineFailed as failure:
            culprits = tuple(sorted({*malformed, *self._places.owners(failure.culprits)}))
            unproven = self._places.owners(failure.unproven)
            raise CombineFailed(
                culprits, tuple(one for one in unproven if one not in culprits), failure.wrong_key
            ) from None

    def verify(self, message: bytes, signature: bytes) -> None:
        self._shares.verify(message, signature)

    def verify_endorsement(self, endorsement: Endorsement) -> VerifiedEndorsement:
        """See ``Scheme``. The proofs of one member are checked one by one: each must hold."""
        for part in self._parts(endorsement):
            try:
                self._shares.verify_endorsement(part)
            except InvalidEndorsement as error:
                raise InvalidEndorsement(endorsement.member, error.reason) from None
        return VerifiedEndorsement(endorsement)

    def _parts(self, endorsement: Endorsement) -> list[Endorsement]:
        """One endorsement of each share, not looked at yet. Raises InvalidEndorsement for no such member, or
        bytes that cannot be so many shares."""
        member, signature = endorsement.member, endorsement.signature
        if not 0 <= member < len(self._weights):
            raise InvalidEndorsement(member, "there is no such member")
        places = self._places.of(member)
        length, rest = divmod(len(signature), len(places))
        if rest or not length:
            raise InvalidEndorsement(member, f"{len(signature)} bytes are not {len(places)} shares")
        cut = [signature[at * length : (at + 1) * length] for at in range(len(places))]
        return [
            Endorsement(endorsement.statement, place, share) for place, share in zip(places, cut, strict=True)
        ]


class WeightedRsaEndorser:
    """All key shares of one member as one Endorser."""

    def __init__(self, member: int, shares: Sequence[ThresholdRsaEndorser]) -> None:
        """``shares`` in the order of their indices. Raises InvalidAgreementKey unless they are consecutive
        shares of one key."""
        self.member, self._shares = member, tuple(shares)
        first = self._shares[0] if self._shares else None
        if first is None or any(
            share.member != first.member + at or share.key != first.key
            for at, share in enumerate(self._shares)
        ):
            raise InvalidAgreementKey("a member's shares are one or more of one key, one after the other")

    @property
    def key(self) -> AgreementKey:
        """The public key of which these are shares."""
        return self._shares[0].key

    def endorse(self, message: bytes, *, proven: bool) -> bytes:
        """Raises InvalidStatement for a message of which there are no shares."""
        return b"".join(share.endorse(message, proven=proven) for share in self._shares)
