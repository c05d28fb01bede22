"""Handing shared keys on: all of an alliance's keys at once, from its members to those of the next epoch.

What ``shoup_rsa.composite.redistribution`` does for one key, of either kind. Members count from 0, the
present ones and the next ones in their own order. A dealing of a member is those of all keys, one after the
other; it counts for all of them, or for none. Which members get nothing follows from their receiver keys.

Imports shoup_rsa, as ``quorum.threshold_rsa`` does, and is therefore not imported by ``quorum/__init__``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from quorum.receivers import MEMBERS_MAX, InvalidReceiver, ReceiverKey, ReceiverSecret, read_receiver
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey, ThresholdRsaEndorser, factors_of
from shoup_rsa.composite import redistribution as one_key
from shoup_rsa.redistribution import InvalidDealing, NoNewShare, receiver_bits_ahead
from shoup_rsa.redistribution.receivers import BITS_SPARE

_DOMAIN = b"alliance-redistribution/1\x00"


class Unusable(ValueError):
    """These keys cannot be handed on like this; the text says why.

    ``absent``: the members whose receiver keys do not fit, and what is wrong, when these are too many.
    """

    def __init__(self, message: str, absent: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.absent = absent or {}


def next_receiver_bits(keys: Sequence[AgreementKey]) -> int:
    """The length of a receiver's modulus for whatever comes after these keys, to MEMBERS_MAX members."""
    factors = [factor for key in keys for factor in factors_of(key)]
    return max(receiver_bits_ahead(one.key_size, MEMBERS_MAX, one.factors[0].secret_bits) for one in factors)


@dataclass(frozen=True)
class Redistribution:
    """What is handed on, and to whom; the same for everybody.

    ``keys`` are the present ones, ``thresholds`` those of the next ones, in the same order; ``faulty_max`` is
    the next members'. ``receivers`` are the encoded receiver keys of these, in their order. ``attempt``
    counts from 0, and ``context`` is what the dealings are bound to beside all that (1024 bytes at most).
    ``restart``: as if a dealer had just dealt the keys, see ``shoup_rsa.redistribution.Order``; where it is
    impossible, for its sizes or the receivers', it is not done.

    Raises Unusable for sizes that the keys do not allow, or when more members than ``faulty_max`` have no
    receiver key that fits.
    """

    keys: tuple[AgreementKey, ...]
    thresholds: tuple[int, ...]
    faulty_max: int
    receivers: tuple[bytes, ...]
    attempt: int
    context: bytes
    restart: bool = False

    def __post_init__(self) -> None:
        self.parts  # noqa: B018

    @cached_property
    def _read(self) -> tuple[ReceiverKey | str, ...]:
        """Each member's receiver key, or what is wrong with it."""
        found: list[ReceiverKey | str] = []
        for encoded in self.receivers:
            try:
                found.append(read_receiver(encoded))
            except InvalidReceiver as error:
                found.append(error.reason)
        return tuple(found)

    @cached_property
    def _parts_and_absent(self) -> tuple[tuple[one_key.CompositeRedistribution, ...], dict[int, str]]:
        if self.restart:
            try:
                orders, absent = self._orders(restart=True), self._absent(restart=True)
                if absent == self._absent(restart=False):
                    return self._of(orders, absent), absent
            except (InvalidAgreementKey, InvalidReceiver):
                pass
        try:
            absent = self._absent(restart=False)
            return self._of(self._orders(restart=False), absent), absent
        except InvalidAgreementKey as error:
            raise Unusable(f"the keys cannot be handed on: {error}") from None
        except InvalidReceiver:
            raise Unusable(
                f"of {len(self.receivers)} members at most {self.faulty_max} may be without a receiver key"
                f" that fits, not {len(absent)}",
                absent,
            ) from None

    def _orders(self, restart: bool) -> tuple[one_key.CompositeOrder, ...]:
        """Raises InvalidAgreementKey."""
        return tuple(
            one_key.CompositeOrder(
                key,
                len(self.receivers),
                threshold,
                self.faulty_max,
                max(len(self.receivers), *(one.index_bound or one.parties for one in key.factors)),
                self.attempt,
                self.context,
                restart and key.factors[0].form is not None,
            )
            for key, threshold in zip(self.keys, self.thresholds, strict=True)
        )

    def _absent(self, restart: bool) -> dict[int, str]:
        """The members to whom nothing is dealt, and why. Raises InvalidAgreementKey."""
        needed = [order.receiver_bits for order in self._orders(restart)]
        low, high = max(needed), min(needed) + BITS_SPARE
        absent = {}
        for member, key in enumerate(self._read):
            if isinstance(key, str):
                absent[member] = key
            elif not low <= key.bits <= high:
                absent[member] = f"its modulus has {key.bits} bits, and {low} to {high} fit"
        return absent

    def _of(
        self, orders: Sequence[one_key.CompositeOrder], absent: dict[int, str]
    ) -> tuple[one_key.CompositeRedistribution, ...]:
        """Raises InvalidReceiver."""
        fit = tuple(key for member, key in enumerate(self._read) if member not in absent)
        present = tuple(key for key in fit if isinstance(key, ReceiverKey))
        indices = frozenset(member + 1 for member in absent)
        parts = tuple(one_key.CompositeRedistribution(one, present, absent=indices) for one in orders)
        for part in parts:
            part.digest  # noqa: B018
        return parts

    @property
    def parts(self) -> tuple[one_key.CompositeRedistribution, ...]:
        """One a key."""
        return self._parts_and_absent[0]

    @property
    def absent(self) -> dict[int, str]:
        """The next members to whom nothing is dealt, and why their receiver keys do not fit."""
        return self._parts_and_absent[1]

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name all of it."""
        return sha256(_DOMAIN + b"".join(part.digest for part in self.parts)).digest()

    @cached_property
    def dealing_bytes(self) -> int:
        """The length of each member's dealing."""
        return sum(map(one_key.dealing_length, self.parts))

    def deal(self, endorsers: Sequence[ThresholdRsaEndorser]) -> bytes:
        """A present member's dealing, from its shares of all keys in order. Durable before it is posted.

        Raises WrongEpoch or InvalidAgreementKey for shares of other keys.
        """
        made = (
            one_key.deal(part, endorser.key_share).to_bytes(part)
            for part, endorser in zip(self.parts, endorsers, strict=True)
        )
        return b"".join(made)

    def verify(self, dealer: int, dealing: bytes) -> VerifiedDealing:
        """What a member posted, checked for all keys. Raises InvalidDealing, which counts from 1."""
        if len(dealing) != self.dealing_bytes:
            reason = f"a dealing has {self.dealing_bytes} bytes, not {len(dealing)}"
            raise InvalidDealing(dealer + 1, reason)
        verified, at = [], 0
        for part in self.parts:
            end = at + one_key.dealing_length(part)
            verified.append(one_key.verify_dealing(part, dealer + 1, dealing[at:end]))
            at = end
        return VerifiedDealing(tuple(verified))

    def judge(self, posted: Iterable[tuple[int, bytes]]) -> Judgement:
        """The verdict on dealings, (member, bytes), in the order of the log; one of each member.

        As soon as they are enough for all keys, the rest is not looked at: it changes nothing. Total: no
        bytes raise anything.
        """
        needed = max(key.threshold for key in self.keys)
        valid: list[VerifiedDealing] = []
        culprits: list[tuple[int, str]] = []
        for dealer, dealing in posted:
            try:
                valid.append(self.verify(dealer, dealing))
            except InvalidDealing as error:
                culprits.append((dealer, error.reason))
                continue
            if len(valid) >= needed and (dealt := self._conclude(valid)) is not None:
                return Judgement(dealt, tuple(culprits))
        return Judgement(None, tuple(culprits))

    def _conclude(self, valid: Sequence[VerifiedDealing]) -> Dealt | None:
        outcomes = []
        for place, part in enumerate(self.parts):
            outcome = one_key.conclude(part, [one.parts[place] for one in valid])
            if outcome is None:
                return None
            outcomes.append(outcome)
        return Dealt(tuple(outcomes))


@dataclass(frozen=True)
class VerifiedDealing:
    """A member's dealing of all keys, all of which were checked."""

    parts: tuple[one_key.VerifiedCompositeDealing, ...] = field(repr=False)


@dataclass(frozen=True)
class Dealt:
    """The next keys: the same public ones, with other shares."""

    outcomes: tuple[one_key.CompositeOutcome, ...] = field(repr=False)

    @property
    def keys(self) -> tuple[AgreementKey, ...]:
        return tuple(outcome.public_key for outcome in self.outcomes)

    def receive(self, member: int, secret: ReceiverSecret) -> tuple[ThresholdRsaEndorser, ...]:
        """A next member's shares of all keys. Durable before it says so, and before the secret is erased.

        Raises InvalidAgreementKey when the secret is not that member's, or nothing was dealt to it, and
        NoNewShare when a dealer who knows the primes has spoilt it.
        """
        return tuple(
            ThresholdRsaEndorser(one_key.receive(outcome, member + 1, secret)) for outcome in self.outcomes
        )


@dataclass(frozen=True)
class Judgement:
    """What the log says so far: ``dealt`` once the dealings are enough; (member, reason) of those refused."""

    dealt: Dealt | None
    culprits: tuple[tuple[int, str], ...]


__all__ = [
    "Dealt",
    "Judgement",
    "NoNewShare",
    "Redistribution",
    "Unusable",
    "next_receiver_bits",
]
