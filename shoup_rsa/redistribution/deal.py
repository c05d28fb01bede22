"""What a present member does: it deals its own share to all receivers, whoever else deals."""

from __future__ import annotations

from shoup_rsa import _arith
from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.errors import InvalidKey, WrongEpoch
from shoup_rsa.key_share import KeyShare
from shoup_rsa.proof import CHALLENGE_BITS
from shoup_rsa.redistribution import paillier
from shoup_rsa.redistribution.message import SealedSubshare, ShareDealing
from shoup_rsa.redistribution.order import MASK_BITS, Order
from shoup_rsa.redistribution.receivers import ReceiverKey
from shoup_rsa.redistribution.transcript import (
    Redistribution,
    coefficient_challenge,
    subshare_challenge,
)
from shoup_rsa.redistribution.verdict import images


def deal(
    redistribution: Redistribution, key_share: KeyShare, *, random_below: RandomBelow = random_below
) -> ShareDealing:
    """The dealing of `key_share`. A tenth of a second at (6, 5) and 2048 bits.

        q, rem = divmod(multiplier * sigma_j, divisor),  F_j(X) = 2 D' q + sum 2 a_c X^c,  a_c below R'

    Make it durable before it is posted, and after a crash post the same bytes again: another dealing for the
    same redistribution would be ignored, and this one's random numbers must serve no other bytes.

    Raises WrongEpoch or InvalidKey when the share is not one of the key that is handed on.
    """
    order = redistribution.order
    own = key_share.public_key
    if own != order.key:
        if own.modulus == order.key.modulus and isinstance(order, Order) and own.epoch != order.key.epoch:
            raise WrongEpoch(own.epoch, order.key.epoch)
        raise InvalidKey("this key share is of another key than the one that is handed on")
    return deal_secret(redistribution, key_share.index, key_share._secret, random_below=random_below)


def deal_secret(
    redistribution: Redistribution, index: int, secret: int, *, random_below: RandomBelow = random_below
) -> ShareDealing:
    """`deal`, of the bare number behind v_index: a share, or an additive piece of d."""
    order = redistribution.order
    key = order.key
    dealt, remainder = divmod(order.multiplier * secret, order.divisor)
    masks = [_draw(order.form.mask_bound, random_below) for _ in range(order.threshold - 1)]
    image = _arith.signed_secret_power(key.verification_base, dealt, key.modulus)
    commitments = tuple(_arith.secret_power(key.verification_base, mask, key.modulus) for mask in masks)
    base = redistribution.base(index, remainder, image, commitments)
    cover = _draw(order.form.mask_bound << MASK_BITS, random_below)
    commitment = _arith.secret_power(key.verification_base, cover, key.modulus)
    response = cover + sum(
        coefficient_challenge(base, commitment, power) * mask for power, mask in enumerate(masks, start=1)
    )
    constant = 2 * order.form.delta * dealt
    visible = images(redistribution, image, commitments)
    subshares = []
    for receiver, target in zip(redistribution.indices, redistribution.receivers, strict=True):
        subshare = constant + sum(2 * mask * receiver**power for power, mask in enumerate(masks, start=1))
        sealed_to = receiver, target, visible[receiver - 1]
        subshares.append(_seal(redistribution, base, sealed_to, subshare, random_below))
    return ShareDealing(index, remainder, image, commitments, commitment, response, tuple(subshares))


def _seal(
    redistribution: Redistribution,
    base: bytes,
    sealed_to: tuple[int, ReceiverKey, int],
    subshare: int,
    random_below: RandomBelow,
) -> SealedSubshare:
    """The subshare encrypted to (index, key, image), and the proof that it is the logarithm of the image."""
    order = redistribution.order
    key = order.key
    receiver, target, image = sealed_to
    bits = paillier.randomizer_bits(target.bits)
    randomizer = _draw(1 << bits, random_below)
    ciphertext = paillier.encrypt(target.modulus, target.generator, subshare, randomizer)
    # It begins so high that the response is not negative, even if the subshare is.
    lowest = 1 << order.subshare_bits + CHALLENGE_BITS
    cover = lowest + random_below((1 << order.subshare_bits + MASK_BITS) - lowest)
    randomizer_cover = _draw(1 << bits + MASK_BITS, random_below)
    commitments = (
        _arith.secret_power(key.verification_base, cover, key.modulus),
        paillier.encrypt(target.modulus, target.generator, cover, randomizer_cover),
    )
    challenge = subshare_challenge(base, receiver, ciphertext, image, commitments)
    return SealedSubshare(
        ciphertext, challenge, cover + challenge * subshare, randomizer_cover + challenge * randomizer
    )


def _draw(bound: int, random_below: RandomBelow) -> int:
    """Uniform in [1, bound): constant-time exponentiations want positive exponents."""
    return 1 + random_below(bound - 1)
