"""From valid dealings to the next key, which everybody computes, and to each new member's share of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from shoup_rsa import _arith
from shoup_rsa.errors import InvalidKey, NoNewShare
from shoup_rsa.key_share import KeyShare
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.redistribution.receivers import ReceiverSecret
from shoup_rsa.redistribution.transcript import Redistribution
from shoup_rsa.redistribution.verdict import VerifiedDealing

SETS_MAX = 20_000
"""Of dealings, after each new one. All there are for 16 members; nobody can make replicas count for hours."""


@dataclass(frozen=True)
class Outcome:
    """The next key, and what its shares are computed from. The same for everybody.

    public_key: of the next epoch, with the same N, e, v and u. dealings: the k chosen ones, in the order of
    the log.
    """

    redistribution: Redistribution
    public_key: ThresholdPublicKey
    dealings: tuple[VerifiedDealing, ...]
    _shift: int

    @property
    def dealers(self) -> tuple[int, ...]:
        """The old indices of those whose dealings were chosen, in the log's order."""
        return tuple(verified.dealing.dealer for verified in self.dealings)


def conclude(redistribution: Redistribution, valid: Sequence[VerifiedDealing]) -> Outcome | None:
    """The outcome of the valid dealings so far, in the order of the log; None if more are needed.

    Chosen are the first k valid dealings whose remainders add up to a multiple of the divisor. Those of k
    honest dealers always do. Whoever knows the factors of N can make others fail to: then other sets of k are
    tried, in lexicographic order, as soon as the log has them, and the sums of at most SETS_MAX for each new
    dealing. What more dealings say later changes nothing. If all have dealt and there is no outcome, the
    attempt is void: order another one, in the end with `restart`, in which there are no remainders.

    Raises ValueError when a dealing was checked against another redistribution.
    """
    if any(verified.digest != redistribution.digest for verified in valid):
        raise ValueError("these dealings were checked against another redistribution")
    threshold = redistribution.order.key.threshold
    for count in range(threshold, len(valid) + 1):
        newest = valid[count - 1]
        earlier = combinations(valid[: count - 1], threshold - 1)
        for others in islice(earlier, SETS_MAX):
            chosen = (*others, newest)
            shift = _shift(redistribution, chosen)
            if shift is None:
                continue
            outcome = _outcome(redistribution, chosen, shift)
            if outcome is not None:
                return outcome
            break  # an attempt at a key is costly: one for each new dealing
    return None


def receive(outcome: Outcome, index: int, secret: ReceiverSecret) -> KeyShare:
    """New member `index`'s share of the next key: k decryptions, and a check against v'_i.

    It is durable (`seal_key_share`) before its owner says so to anybody; then erase the receiver's secret.
    Until then a crash costs nothing: the same call gives the same share again.

    Raises InvalidKey when the secret is not that receiver's; NoNewShare(index, culprits) when the subshares
    do not give the share that the public key promises, which takes a dealer who knows the factors of N.
    """
    redistribution = outcome.redistribution
    order = redistribution.order
    if type(index) is not int or not 1 <= index <= order.parties:
        raise InvalidKey(f"the index of a new member is an integer of 1..{order.parties}")
    if index in redistribution.absent:
        raise InvalidKey(f"nothing was dealt to member {index}, which had no receiver key that fits")
    place = redistribution.indices.index(index)
    if secret.key != redistribution.receivers[place]:
        raise InvalidKey(f"this receiver's secret does not belong to the receiver key of member {index}")
    subshares = [
        secret.decrypt(verified.dealing.subshares[place].ciphertext) for verified in outcome.dealings
    ]
    coefficients = order.coefficients(outcome.dealers)
    total = sum(a * b for a, b in zip(coefficients, subshares, strict=True))
    try:
        share = KeyShare(outcome.public_key, index, total + outcome._shift + order.form.offset * index)
        share.check()
    except InvalidKey:
        key = order.key
        culprits = (
            verified.dealing.dealer
            for verified, subshare in zip(outcome.dealings, subshares, strict=True)
            if subshare == 0
            or _arith.signed_secret_power(key.verification_base, subshare, key.modulus)
            != verified.images[index - 1]
        )
        raise NoNewShare(index, tuple(sorted(culprits))) from None
    return share


def _shift(redistribution: Redistribution, chosen: Sequence[VerifiedDealing]) -> int | None:
    """2 D' rho: what is added to the sum of the polynomials; None if the remainders do not fit together."""
    order = redistribution.order
    coefficients = order.coefficients([verified.dealing.dealer for verified in chosen])
    remainders = [verified.dealing.remainder for verified in chosen]
    total = sum(a * b for a, b in zip(coefficients, remainders, strict=True))
    quotient, rest = divmod(total, order.divisor)
    return None if rest else 2 * order.form.delta * (quotient + order.constant)


def _outcome(
    redistribution: Redistribution, chosen: tuple[VerifiedDealing, ...], shift: int
) -> Outcome | None:
    """The next key, unless it is not one for the same d, which a modulus of safe primes does not allow."""
    order = redistribution.order
    key, form = order.key, order.form
    coefficients = order.coefficients([verified.dealing.dealer for verified in chosen])
    product = _arith.power(key.verification_base, shift, key.modulus)
    step = _arith.power(key.verification_base, form.offset, key.modulus)
    images = []
    for row in zip(*(verified.images for verified in chosen), strict=True):
        product = _arith.multiply(product, step, key.modulus)
        summed = _arith.product_of_powers(row, coefficients, key.modulus)
        images.append(_arith.multiply(summed, product, key.modulus))
    public_key = ThresholdPublicKey(
        modulus=key.modulus,
        public_exponent=key.public_exponent,
        parties=order.parties,
        threshold=order.threshold,
        corruptions=order.corruptions,
        epoch=order.epoch,
        verification_base=key.verification_base,
        verification_keys=tuple(images),
        nonresidue=order.nonresidue,
        protocol=3,
        index_bound=form.index_bound,
        secret_bits=form.secret_bits,
        origin=order.origin,
    )
    try:
        public_key.check_dealing()
    except InvalidKey:
        return None
    return Outcome(redistribution, public_key, chosen, shift)
