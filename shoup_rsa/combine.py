"""From shares to one signature; from bad shares to their makers, by proof only.

Shoup, Protocol 2. For a set S of k indices, Lagrange's coefficients at 0 times Delta = n! are integers
lambda_j, and sum lambda_j s_j = d modulo m, since s_j = f(j) / Delta. Then

    w = prod x_j^(2 lambda_j) = x^(4 d),   w^e = x^4,   a * 4 + b * e = 1,   y = w^a x^b,   y^e = x,

and the signature is y, or y / u where x = H(M) u^e. Since e-th roots are unique modulo N, the bytes do not
depend on S. The x_j enter squared, so that their signs play no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import factorial
from typing import TYPE_CHECKING

from shoup_rsa import _arith
from shoup_rsa import proof as proofs
from shoup_rsa.encoding import Representative, represent
from shoup_rsa.errors import CombineFailed, InvalidShare, NotEnoughShares
from shoup_rsa.share import SignatureShare, check_index, check_value

if TYPE_CHECKING:
    from shoup_rsa.keys import ThresholdPublicKey

_PROOF_EXPONENT = 4
"""e' of Protocol 2."""


def lagrange_coefficients(parties: int, indices: tuple[int, ...]) -> tuple[int, ...]:
    """The integers lambda_j = Delta * prod_{i in S, i != j} i / (i - j) for j in S = `indices`, Delta = n!.

    Exact: the numerator is completed before the one division, whose remainder is checked. `indices` are
    distinct and in 1..parties; raises ValueError otherwise.
    """
    if len(set(indices)) != len(indices) or not all(1 <= index <= parties for index in indices):
        raise ValueError("Lagrange interpolation needs distinct indices of 1..parties")
    delta = factorial(parties)
    coefficients = []
    for index in indices:
        numerator, denominator = delta, 1
        for other in indices:
            if other != index:
                numerator *= other
                denominator *= other - index
        quotient, remainder = divmod(numerator, denominator)
        if remainder:
            raise ArithmeticError("a Lagrange coefficient times Delta must be an integer")
        coefficients.append(quotient)
    return tuple(coefficients)


def _split_coefficients(parties: int, indices: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(g, lambda_j / g) with g the greatest common divisor of all lambda_j.

    Raising the product to g once is cheaper than carrying g in every factor.
    """
    coefficients = lagrange_coefficients(parties, indices)
    content = _arith.gcd(*coefficients)
    return content, tuple(coefficient // content for coefficient in coefficients)


# The same few quorums come back again and again. Bounded: an entry takes at most 100 KB (at PARTIES_MAX).
_remembered_coefficients = lru_cache(maxsize=64)(_split_coefficients)


def combine(public_key: ThresholdPublicKey, message: bytes, shares: Iterable[SignatureShare]) -> bytes:
    """Combine first, verify the RESULT, and look at the shares only if that fails.

    The contract is that of `ThresholdPublicKey.combine`.
    """
    representative = represent(public_key, message)
    by_index = _gather(public_key, shares)
    if len(by_index) < public_key.threshold:
        raise NotEnoughShares(public_key.threshold, len(by_index))
    in_range = [share for share in by_index.values() if _value_in_range(public_key, share)]
    signature = _try_combine(public_key, representative, in_range)
    if signature is not None:
        return signature

    good, culprits, unproven = _judge(public_key, representative, by_index.values())
    # The proven ones come first: with a whole quorum of them the undecided are not used at all. With fewer,
    # the undecided may still be right, and the result is verified in any case.
    if culprits or len(good) >= public_key.threshold:
        signature = _try_combine(public_key, representative, good + unproven)
        if signature is not None:
            return signature
    raise CombineFailed(tuple(culprits), tuple(share.index for share in unproven))


def _gather(public_key: ThresholdPublicKey, shares: Iterable[SignatureShare]) -> dict[int, SignatureShare]:
    """The shares by ascending index. Equal copies count once; different shares of one index are refused."""
    by_index: dict[int, SignatureShare] = {}
    for share in shares:
        if not isinstance(share, SignatureShare):
            raise TypeError(f"expected a SignatureShare, not {type(share).__name__}")
        check_index(public_key, share.index)
        if by_index.setdefault(share.index, share) != share:
            raise InvalidShare(
                share.index, "two different shares of this index were given: keep one a member"
            )
    return dict(sorted(by_index.items()))


def _value_in_range(public_key: ThresholdPublicKey, share: SignatureShare) -> bool:
    """The cheap part of the check of a value: what the arithmetic needs. The rest waits for a failure."""
    return type(share.value) is int and 0 < 2 * share.value < public_key.modulus


def _judge(
    public_key: ThresholdPublicKey, representative: Representative, shares: Iterable[SignatureShare]
) -> tuple[list[SignatureShare], list[int], list[SignatureShare]]:
    """(proven good, indices proven bad, without proof). Nothing but form and proof decides.

    Trying subsets would not do: two corrupt shares can cancel each other and make an honest third look wrong.
    """
    good: list[SignatureShare] = []
    culprits: list[int] = []
    unproven: list[SignatureShare] = []
    for share in shares:
        try:
            check_value(public_key, share)
            if share.proof is None:
                unproven.append(share)
                continue
            proofs.check(public_key, share.index, representative.value, share.value, share.proof)
            good.append(share)
        except InvalidShare:
            culprits.append(share.index)
    return good, culprits, unproven


def _try_combine(
    public_key: ThresholdPublicKey, representative: Representative, shares: Sequence[SignatureShare]
) -> bytes | None:
    """The verified signature from the first `threshold` shares, or None if they do not give one."""
    chosen = shares[: public_key.threshold]
    if len(chosen) < public_key.threshold:
        return None
    modulus, exponent = public_key.modulus, public_key.public_exponent
    content, coefficients = _remembered_coefficients(
        public_key.parties, tuple(share.index for share in chosen)
    )
    numerator, denominator = _arith.power_product([share.value for share in chosen], coefficients, modulus)
    _, root_factor, message_factor = _arith.bezout(_PROOF_EXPONENT, exponent)
    exponent_of_product = 2 * content * root_factor
    if exponent_of_product < 0:
        numerator, denominator, exponent_of_product = denominator, numerator, -exponent_of_product
    try:
        ratio = numerator * _arith.inverse(denominator, modulus) % modulus
    except ZeroDivisionError:  # a value has a factor in common with N; _judge finds out whose
        return None
    root = _arith.power(ratio, exponent_of_product, modulus)
    root = root * _arith.power(representative.value, message_factor, modulus) % modulus
    if representative.adjusted:
        root = root * public_key.nonresidue_inverse % modulus
    if _arith.power(root, exponent, modulus) != representative.encoded:
        return None
    return root.to_bytes(public_key.signature_length, "big")


def check_dealing(public_key: ThresholdPublicKey) -> bool:
    """Whether (prod_{j in S} v_j^lambda_j)^e = v for every window S of k consecutive indices.

    v_j = v^(s_j) and sum lambda_j s_j = d give v^(d e) = v. The windows together cover all keys, and more:
    two neighbouring windows share k - 1 indices and the value at 0, k points in all, which fix a polynomial
    of degree k - 1; so all n keys lie on ONE polynomial, and every subset of k members signs alike.
    """
    modulus, exponent = public_key.modulus, public_key.public_exponent
    for first in range(1, public_key.parties - public_key.threshold + 2):
        indices = tuple(range(first, first + public_key.threshold))
        keys = public_key.verification_keys[first - 1 : first - 1 + public_key.threshold]
        content, coefficients = _split_coefficients(public_key.parties, indices)
        numerator, denominator = _arith.power_product(keys, coefficients, modulus)
        whole = content * exponent
        left = _arith.power(numerator, whole, modulus)
        right = public_key.verification_base * _arith.power(denominator, whole, modulus) % modulus
        if left != right:
            return False
    return True
