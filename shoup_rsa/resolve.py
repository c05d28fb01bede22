"""From shares to one signature, from bad shares to their makers: the same course for every kind of key.

Combination is optimistic: the RESULT is verified, and only when it is wrong are the proofs looked at. What a
combination is, and what a proof says, the `Represented` message knows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from shoup_rsa.errors import CombineFailed, InvalidShare, InvalidShares, NotEnoughShares

ProofForm = Literal["none", "compact", "batchable"]
"""Without a proof; with one that is short; or with one that is longer and checked with others at once."""


class AnySignatureShare(Protocol):
    """A member's part of a signature, of either kind: `SignatureShare` or `CompositeSignatureShare`."""

    @property
    def index(self) -> int:
        """1..parties."""
        ...

    @property
    def value(self) -> object:
        """The number, or numbers, that the signature is combined from."""
        ...

    @property
    def proof(self) -> object | None:
        """That the value is right; None where there is no proof."""
        ...

    def to_bytes(self, public_key: EncodesShares) -> bytes:
        """The one encoding of this share. Raises InvalidShare if this is no well-formed share of that key."""
        ...


class EncodesShares(Protocol):
    """What a share needs to know of its public key to be written down."""

    def share_to_bytes(self, signature_share: AnySignatureShare) -> bytes:
        """The one encoding of a share."""
        ...


@dataclass(frozen=True)
class Judgement:
    """What form and proof say about shares, each list by ascending index."""

    valid: list[AnySignatureShare]
    culprits: list[InvalidShare]
    unproven: list[AnySignatureShare]


class Represented(ABC):
    """One message under one key, as its members see it. Made by `BasePublicKey.represent`."""

    @property
    @abstractmethod
    def threshold(self) -> int:
        """k, how many shares are combined."""

    @abstractmethod
    def check_index(self, share: AnySignatureShare) -> None:
        """Raise TypeError for a share of another kind of key, InvalidShare for an index out of range."""

    @abstractmethod
    def judge(self, shares: Iterable[AnySignatureShare]) -> Judgement:
        """Nothing but form and proof decides. The batchable proofs are checked all at once.

        Trying subsets would not do: two corrupt shares can cancel each other and make an honest third look
        wrong.
        """

    @abstractmethod
    def usable(self, share: AnySignatureShare) -> bool:
        """The cheap part of the check of a value: what the arithmetic needs. The rest waits for a failure."""

    @abstractmethod
    def try_combine(self, shares: Sequence[AnySignatureShare]) -> bytes | None:
        """The verified signature from the first `threshold` shares, or None if they do not give one."""

    def search(self, proven: Sequence[AnySignatureShare]) -> bytes | None:
        """The signature from proven shares whose first `threshold` do not give one; None if there is none.

        A proof says that all sets give the same, unless the dealer cheated: so there is nothing to search.
        """
        return None

    def failure(
        self, valid: Sequence[AnySignatureShare], culprits: Sequence[int], unproven: Sequence[int]
    ) -> CombineFailed:
        """What to raise when there is no signature. The indices are of those proven bad and without proof."""
        return CombineFailed(tuple(culprits), tuple(unproven))


def combine(message: Represented, shares: Iterable[AnySignatureShare]) -> bytes:
    """The contract is that of `BasePublicKey.combine`."""
    given = gather(message, shares)
    if len(given) < message.threshold:
        raise NotEnoughShares(message.threshold, len(given))
    signature, judgement = resolve(message, [], given)
    if signature is None:
        raise message.failure(
            judgement.valid,
            [culprit.index or 0 for culprit in judgement.culprits],
            [share.index for share in judgement.unproven],
        )
    return signature


def verify_shares(message: Represented, shares: Iterable[AnySignatureShare]) -> None:
    """The contract is that of `BasePublicKey.verify_shares`."""
    judgement = message.judge(gather(message, shares))
    if judgement.culprits or judgement.unproven:
        raise InvalidShares(tuple(judgement.culprits), tuple(share.index for share in judgement.unproven))


def resolve(
    message: Represented, valid: Sequence[AnySignatureShare], others: Sequence[AnySignatureShare]
) -> tuple[bytes | None, Judgement]:
    """Combine first, verify the RESULT, and look at the shares only if that fails.

    `valid` were judged before. The judgement is about `others`, and empty when the first attempt succeeds.
    The proven shares come first: with a whole quorum of them the undecided are not used at all. With fewer,
    the undecided may still be right, and the result is verified in any case.
    """
    ready = [share for share in others if message.usable(share)]
    signature = message.try_combine([*valid, *ready])
    if signature is not None:
        return signature, Judgement([], [], [])
    judgement = message.judge(others)
    proven = [*valid, *judgement.valid]
    if judgement.culprits or len(proven) >= message.threshold:
        signature = message.try_combine([*proven, *judgement.unproven])
    if signature is None and len(proven) >= message.threshold:
        signature = message.search(proven)
    return signature, judgement


def gather(message: Represented, shares: Iterable[AnySignatureShare]) -> list[AnySignatureShare]:
    """The shares by ascending index. Equal copies count once; different shares of one index are refused."""
    by_index: dict[int, AnySignatureShare] = {}
    for share in shares:
        message.check_index(share)
        if by_index.setdefault(share.index, share) != share:
            raise InvalidShare(
                share.index, "two different shares of this index were given: keep one a member"
            )
    return [share for _, share in sorted(by_index.items())]
