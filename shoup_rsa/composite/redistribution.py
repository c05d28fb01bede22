"""Handing on a composite key: every factor at once, or none of them.

The protocol is that of `shoup_rsa.redistribution`, once for each factor; the functions have the same names:

    order = CompositeOrder(key, parties=7, threshold=6, corruptions=1, index_bound=7, attempt=0, context=b"")
    secret = generate_receiver(order.receiver_bits)                  # each new member; posts secret.key
    redistribution = CompositeRedistribution(order, receivers)       # everybody
    data = deal(redistribution, key_share).to_bytes(redistribution)  # each old member; posts data
    judgement = judge(redistribution, posted)                        # everybody, in the order of the log
    outcome = conclude(redistribution, judgement.valid)              # outcome.public_key, once there is one
    key_share = receive(outcome, index, secret)                      # each new member

A key of one dealer is its own only factor here: a caller that may hold keys of either kind needs this alone.

All or none A dealing has a part for every factor, and is valid if all parts are. There is an outcome when
            there is one for every factor, and a new share when there is one of every factor. Readiness is
            ONE signature share under the new composite key. The k chosen dealings may differ from factor to
            factor: a factor's dealer can spoil sets of its own factor, and another set is then tried for it;
            what is chosen for one factor says nothing about another, whose numbers are independent.
Bound       The order of factor i has the context SHA-256(domain, key id of the composite key, i, m,
            context), and all challenges of that factor begin with it. A part is invalid for the factor
            alone, in another composite key, at another place, and for another attempt.
Receivers   One key of Paillier's serves all factors of one redistribution. Each ciphertext has random
            numbers of its own, and its proof is bound to its factor's digest, so what one factor's dealers
            post is of no use in another; the key's length follows from sizes that factors have in common.
            Its owner erases it when the shares of all factors are durable: that is one act, they are one
            file.

    "shoup-rsa/composite-dealing" 00 | version u8 = 1 | number of factors u8 | each factor's dealing, in order
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from shoup_rsa import redistribution as single
from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.composite.key import PublicKey
from shoup_rsa.composite.key_share import AnyKeyShare, key_share_of
from shoup_rsa.errors import InvalidDealing, InvalidKey, NoNewShare, WrongEpoch
from shoup_rsa.key_share import KeyShare
from shoup_rsa.redistribution.order import CONTEXT_LENGTH_MAX
from shoup_rsa.redistribution.verdict import first_of_each

_MAGIC = b"shoup-rsa/composite-dealing\x00"
_VERSION = 1
_CONTEXT_DOMAIN = b"shoup-rsa/v1/composite/redistribution/context\x00"
_ORDER_DOMAIN = b"shoup-rsa/v1/composite/redistribution/order\x00"
_SET_DOMAIN = b"shoup-rsa/v1/composite/redistribution/set\x00"


@dataclass(frozen=True)
class CompositeOrder:
    """The order to hand all factors of `key` on; its fields are those of `shoup_rsa.redistribution.Order`.

    factors: one order a factor, made here. Raises InvalidKey as that does.
    """

    key: PublicKey
    parties: int
    threshold: int
    corruptions: int
    index_bound: int
    attempt: int
    context: bytes
    restart: bool = False
    factors: tuple[single.Order, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if type(self.context) is not bytes or len(self.context) > CONTEXT_LENGTH_MAX:
            raise InvalidKey(f"the context is at most {CONTEXT_LENGTH_MAX} bytes")
        orders = tuple(self._of_factor(place) for place in range(1, len(self.key.factors) + 1))
        object.__setattr__(self, "factors", orders)

    def _of_factor(self, place: int) -> single.Order:
        """Bound to its place in this key."""
        factors = self.key.factors
        named = _CONTEXT_DOMAIN + self.key.key_id + bytes((place, len(factors))) + self.context
        return single.Order(
            factors[place - 1],
            self.parties,
            self.threshold,
            self.corruptions,
            self.index_bound,
            self.attempt,
            hashlib.sha256(named).digest(),
            self.restart,
        )

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name this order, its key with all factors, and its context."""
        return hashlib.sha256(_ORDER_DOMAIN + b"".join(order.digest for order in self.factors)).digest()

    @property
    def receiver_bits(self) -> int:
        """The least length of the receivers' moduli: the same for all factors."""
        return self.factors[0].receiver_bits


@dataclass(frozen=True)
class CompositeRedistribution:
    """The order and the receivers, as in `shoup_rsa.redistribution.Redistribution`, for every factor.

    factors: one redistribution a factor, made here. Raises InvalidReceiver, which names the index.
    """

    order: CompositeOrder
    receivers: tuple[single.ReceiverKey, ...]
    spent: frozenset[bytes] = field(default=frozenset(), compare=False, repr=False)
    absent: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len(self.factors) != len(self.order.factors):
            raise InvalidKey("every factor has its own redistribution")

    @cached_property
    def factors(self) -> tuple[single.Redistribution, ...]:
        """One redistribution a factor, all with the same receivers."""
        return tuple(
            single.Redistribution(order, self.receivers, self.spent, self.absent)
            for order in self.order.factors
        )

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name the key, the sizes, the attempt, the context and every receiver."""
        return hashlib.sha256(_SET_DOMAIN + b"".join(factor.digest for factor in self.factors)).digest()


@dataclass(frozen=True, slots=True)
class CompositeDealing:
    """What member `dealer` posts: a dealing of its share of every factor."""

    dealer: int
    parts: tuple[single.ShareDealing, ...]

    def to_bytes(self, redistribution: CompositeRedistribution) -> bytes:
        """The one encoding of this dealing. Raises InvalidDealing if it is none of that redistribution's."""
        if len(self.parts) != len(redistribution.factors):
            raise InvalidDealing(self.dealer, "it must have a part for every factor")
        pairs = zip(self.parts, redistribution.factors, strict=True)
        encoded = [part.to_bytes(factor) for part, factor in pairs]
        return _MAGIC + bytes((_VERSION, len(encoded))) + b"".join(encoded)


@dataclass(frozen=True)
class VerifiedCompositeDealing:
    """A dealing all of whose parts were checked, each against its factor's redistribution.

    Made by `verify_dealing` only.
    """

    dealer: int
    parts: tuple[single.VerifiedDealing, ...]


@dataclass(frozen=True)
class CompositeJudgement:
    """What the log says of an attempt so far: valid dealings in its order, and why others are invalid."""

    valid: tuple[VerifiedCompositeDealing, ...]
    culprits: tuple[InvalidDealing, ...]


@dataclass(frozen=True)
class CompositeOutcome:
    """The next key, of the same kind as the present one, and every factor's outcome: the same for all."""

    redistribution: CompositeRedistribution
    public_key: PublicKey
    factors: tuple[single.Outcome, ...]


def dealing_length(redistribution: CompositeRedistribution) -> int:
    """Bytes of every dealing of this redistribution, known before one arrives."""
    return len(_MAGIC) + 2 + sum(single.dealing_length(factor) for factor in redistribution.factors)


def deal(
    redistribution: CompositeRedistribution,
    key_share: AnyKeyShare,
    *,
    random_below: RandomBelow = random_below,
) -> CompositeDealing:
    """The dealing of all factors' shares, each with random numbers of its own.

    Make it durable before it is posted; see `shoup_rsa.redistribution.deal`. Raises WrongEpoch or InvalidKey
    when the share is not one of the key that is handed on.
    """
    key, own = redistribution.order.key, key_share.public_key
    if own.key_id != key.key_id:
        if own.modulus == key.modulus and own.epoch != key.epoch:
            raise WrongEpoch(own.epoch, key.epoch)
        raise InvalidKey("this key share is of another key than the one that is handed on")
    pairs = zip(redistribution.factors, key_share.factor_shares, strict=True)
    parts = tuple(single.deal(factor, share, random_below=random_below) for factor, share in pairs)
    return CompositeDealing(key_share.index, parts)


def judge(redistribution: CompositeRedistribution, posted: Iterable[tuple[int, bytes]]) -> CompositeJudgement:
    """The verdicts on (dealer, bytes) in the order of the log, as `judge` of one factor gives them.

    One dealing a dealer counts, for all factors: the first posted one, valid or not. Deterministic and total.
    """
    valid, culprits = first_of_each(posted, lambda dealer, data: verify_dealing(redistribution, dealer, data))
    return CompositeJudgement(valid, culprits)


def verify_dealing(
    redistribution: CompositeRedistribution, dealer: int, data: bytes
) -> VerifiedCompositeDealing:
    """What member `dealer` posted, every part checked in full. One wrong part spoils the dealing.

    Raises InvalidDealing, which names the dealer and the factor; TypeError unless data is bytes.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"an encoded dealing must be bytes, not {type(data).__name__}")
    length = dealing_length(redistribution)
    if len(data) != length:
        raise InvalidDealing(dealer, f"a dealing has {length} bytes, not {len(data)}")
    head = _MAGIC + bytes((_VERSION, len(redistribution.factors)))
    if not data.startswith(head):
        raise InvalidDealing(dealer, f"it is no dealing of {len(redistribution.factors)} factors")
    position, parts = len(head), []
    for place, factor in enumerate(redistribution.factors, start=1):
        end = position + single.dealing_length(factor)
        try:
            parts.append(single.verify_dealing(factor, dealer, data[position:end]))
        except InvalidDealing as error:
            raise InvalidDealing(dealer, f"factor {place}: {error.reason}") from None
        position = end
    return VerifiedCompositeDealing(dealer, tuple(parts))


def conclude(
    redistribution: CompositeRedistribution, valid: Sequence[VerifiedCompositeDealing]
) -> CompositeOutcome | None:
    """The outcome of the valid dealings so far, in the order of the log; None if more are needed.

    More dealings are needed as long as one factor needs them. What they say later changes nothing: a factor
    that has its outcome keeps it. Raises ValueError when a dealing was checked against another
    redistribution.
    """
    outcomes = []
    for place, factor in enumerate(redistribution.factors):
        outcome = single.conclude(factor, [verified.parts[place] for verified in valid])
        if outcome is None:
            return None
        outcomes.append(outcome)
    key = redistribution.order.key.with_factors(tuple(outcome.public_key for outcome in outcomes))
    return CompositeOutcome(redistribution, key, tuple(outcomes))


def receive(outcome: CompositeOutcome, index: int, secret: single.ReceiverSecret) -> AnyKeyShare:
    """New member `index`'s share of every factor of the next key, as one.

    It is durable before its owner says so, and only then is the receiver's secret erased. Raises InvalidKey
    when the secret is not that receiver's; NoNewShare(index, culprits) when a factor's share is not the one
    that the public key promises: then there is none of any factor. It takes who knows the primes of an N_i.
    """
    shares: list[KeyShare] = []
    failures: list[NoNewShare] = []
    for factor in outcome.factors:
        try:
            shares.append(single.receive(factor, index, secret))
        except NoNewShare as error:
            failures.append(error)
    if failures:
        culprits = {dealer for failure in failures for dealer in failure.culprits}
        raise NoNewShare(index, tuple(sorted(culprits)))
    return key_share_of(outcome.public_key, tuple(shares))
