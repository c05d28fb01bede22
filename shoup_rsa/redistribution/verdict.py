"""What everybody does with a dealing: the same verdict for all, from the bytes and the redistribution."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from shoup_rsa import _arith
from shoup_rsa.errors import InvalidDealing
from shoup_rsa.redistribution import paillier
from shoup_rsa.redistribution.message import ShareDealing, randomizer_response_bits
from shoup_rsa.redistribution.order import RESPONSE_BITS
from shoup_rsa.redistribution.transcript import (
    Redistribution,
    coefficient_challenge,
    subshare_challenge,
)

Verified = TypeVar("Verified")


@dataclass(frozen=True)
class VerifiedDealing:
    """A dealing that was checked, with v^F_j(i) for each receiver i. Made by `verify_dealing` only.

    `digest` names the redistribution that it was checked against.
    """

    digest: bytes
    dealing: ShareDealing
    images: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class Judgement:
    """What the log says of an attempt so far: valid dealings in its order, and why others are invalid."""

    valid: tuple[VerifiedDealing, ...]
    culprits: tuple[InvalidDealing, ...]


def judge(redistribution: Redistribution, posted: Iterable[tuple[int, bytes]]) -> Judgement:
    """The verdicts on (dealer, bytes) in the order of the log, which knows who posted what.

    One dealing a dealer: the first posted one counts, valid or not, and what the dealer posts later is
    ignored. A dealer that is no present member is named as well. Deterministic and total: no input raises
    anything but TypeError for what are not bytes.
    """
    valid, culprits = first_of_each(posted, lambda dealer, data: verify_dealing(redistribution, dealer, data))
    return Judgement(valid, culprits)


def first_of_each(
    posted: Iterable[tuple[int, bytes]], verify: Callable[[int, bytes], Verified]
) -> tuple[tuple[Verified, ...], tuple[InvalidDealing, ...]]:
    """What `verify` makes of the first dealing of every dealer, or why it refuses it, in the log's order."""
    valid: list[Verified] = []
    culprits: list[InvalidDealing] = []
    seen: set[int] = set()
    for dealer, data in posted:
        if dealer in seen:
            continue
        seen.add(dealer)
        try:
            valid.append(verify(dealer, data))
        except InvalidDealing as error:
            culprits.append(error)
    return tuple(valid), tuple(culprits)


def verify_dealing(redistribution: Redistribution, dealer: int, data: bytes) -> VerifiedDealing:
    """What member `dealer` posted, checked in full: it is its own share that it deals, the same to everybody.

    Sizes and ranges come first, then the share (two exponentiations), the coefficients, and the ciphertexts.
    Raises InvalidDealing, which names the dealer, whatever is wrong; TypeError unless data is bytes.
    """
    dealing = ShareDealing.from_bytes(redistribution, dealer, data)
    try:
        _check_share(redistribution, dealing)
        base = redistribution.base(dealer, dealing.remainder, dealing.image, dealing.commitments)
        _check_coefficients(redistribution, dealing, base)
        visible = images(redistribution, dealing.image, dealing.commitments)
        for place, receiver in enumerate(redistribution.indices):
            _check_subshare(redistribution, dealing, base, place, visible[receiver - 1])
    except (ArithmeticError, ValueError):  # every replica must come to the same verdict, so this is one, too
        raise InvalidDealing(dealer, "its numbers cannot be computed with") from None
    return VerifiedDealing(redistribution.digest, dealing, visible)


def images(redistribution: Redistribution, image: int, commitments: tuple[int, ...]) -> tuple[int, ...]:
    """Y_i = v^F_j(i) = Q^(2 D') prod (c_c^2)^(i^c) for every receiver, by Horner's rule.

    All enters squared: a wrong sign of a commitment changes nothing.
    """
    order = redistribution.order
    modulus = order.key.modulus
    squares = [_arith.multiply(number, number, modulus) for number in commitments]
    constant = _arith.power(image, 2 * order.form.delta, modulus)
    found = []
    for receiver in range(1, order.parties + 1):
        product = 1
        for square in reversed(squares):
            product = _arith.power(_arith.multiply(product, square, modulus), receiver, modulus)
        found.append(_arith.multiply(product, constant, modulus))
    return tuple(found)


def power_of_v(redistribution: Redistribution, exponent: int) -> int:
    """v^exponent for a public response, by a table that is made once for all dealings."""
    order = redistribution.order
    bits = max(order.form.mask_bound.bit_length(), order.subshare_bits) + RESPONSE_BITS
    return _arith.long_table(order.key.verification_base, order.key.modulus, bits).power(exponent)


def _check_share(redistribution: Redistribution, dealing: ShareDealing) -> None:
    """Q^divisor v^rem = v_j^multiplier: nothing else than its share can the dealer have divided."""
    order = redistribution.order
    key = order.key
    left = _arith.multiply(
        _arith.power(dealing.image, order.divisor, key.modulus),
        _arith.power(key.verification_base, dealing.remainder, key.modulus),
        key.modulus,
    )
    share_image = key.verification_keys[dealing.dealer - 1]
    if left != _arith.power(share_image, order.multiplier, key.modulus):
        raise InvalidDealing(dealing.dealer, "what it deals is not its share")


def _check_coefficients(redistribution: Redistribution, dealing: ShareDealing, base: bytes) -> None:
    """(v^z)^2 = (A prod c_c^ch_c)^2: the dealer knows all coefficients, and they are not too long."""
    modulus = redistribution.order.key.modulus
    challenges = [
        coefficient_challenge(base, dealing.mask_commitment, power)
        for power in range(1, len(dealing.commitments) + 1)
    ]
    product = _arith.product_of_powers(dealing.commitments, challenges, modulus)
    right = _arith.multiply(dealing.mask_commitment, product, modulus)
    left = power_of_v(redistribution, dealing.response)
    if _arith.multiply(left, left, modulus) != _arith.multiply(right, right, modulus):
        raise InvalidDealing(dealing.dealer, "the proof of its coefficients does not hold")


def _check_subshare(
    redistribution: Redistribution, dealing: ShareDealing, base: bytes, place: int, image: int
) -> None:
    """What is in the ciphertext is the logarithm of Y_i, and no longer than its proof says."""
    modulus, receiver = redistribution.order.key.modulus, redistribution.indices[place]
    target, subshare = redistribution.receivers[place], dealing.subshares[place]
    removed = _arith.power(image, -subshare.challenge, modulus)
    commitments = (
        _arith.multiply(power_of_v(redistribution, subshare.response), removed, modulus),
        paillier.commitment(
            target.modulus,
            target.generator,
            (subshare.response, subshare.randomizer_response),
            subshare.ciphertext,
            subshare.challenge,
            randomizer_response_bits(target),
        ),
    )
    challenge = subshare_challenge(base, receiver, subshare.ciphertext, image, commitments)
    if challenge != subshare.challenge:
        raise InvalidDealing(
            dealing.dealer, f"the proof of the subshare for receiver {receiver} does not hold"
        )
