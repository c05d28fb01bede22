"""Many batchable proofs at once, with the culprits found by halving.

For each share i the two equations v^z_i = v'_i v_i^c_i and x~^z_i = x'_i x_i^2c_i are raised to random
exponents a_i and b_i of 64 bits, all of them multiplied, and both sides squared:

    (v^(sum a_i z_i) x~^(sum b_i z_i))^2 = (prod v'_i^a_i v_i^(a_i c_i) x'_i^b_i x_i^(2 b_i c_i))^2

Two long exponentiations for the whole batch, one of them by the table of v, and four short ones a share,
whose squarings are shared. The squares of units form a group whose elements other than 1 have orders above
2^64 (min(p', q') at least), so one wrong equation among them passes with probability 2^-64, for exponents
that are drawn afresh each time. Without the squaring, a wrong sign would pass with probability 1/2; a wrong
sign of v' or x' harms nobody, since x_i^2 = x~^s_i follows from the squares as well: squaring is one to one
on the squares.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoup_rsa import _arith
from shoup_rsa._entropy import random_below
from shoup_rsa.encoding import Representative
from shoup_rsa.key_data import KeyData
from shoup_rsa.proof import BATCH_EXPONENT_BITS, BatchableProof, challenge_of, power_of_v

ProvenValue = tuple[int, int, BatchableProof]
"""(index, value, proof) of one share whose form has been checked."""


def find_culprits(key: KeyData, representative: Representative, proven: Sequence[ProvenValue]) -> list[int]:
    """The indices whose proof does not hold, ascending. One check if there are none."""
    return sorted(_search(key, representative, proven, known_bad=False))


def _search(
    key: KeyData, representative: Representative, proven: Sequence[ProvenValue], known_bad: bool
) -> list[int]:
    """Halve what fails. A share is named only after its own check, never by elimination."""
    if not proven:
        return []
    if (not known_bad or len(proven) == 1) and _all_hold(key, representative, proven):
        return []
    if len(proven) == 1:
        return [proven[0][0]]
    middle = len(proven) // 2
    found = _search(key, representative, proven[:middle], known_bad=False)
    # If the first half is right, the second is known to be wrong and need not be tested as a whole.
    return found + _search(key, representative, proven[middle:], known_bad=not found)


def _all_hold(key: KeyData, representative: Representative, proven: Sequence[ProvenValue]) -> bool:
    modulus = key.modulus
    sum_of_v = sum_of_x = 0
    bases: list[int] = []
    exponents: list[int] = []
    for index, value, proof in proven:
        challenge = challenge_of(key, index, representative, value, proof)
        first, second = (1 + random_below((1 << BATCH_EXPONENT_BITS) - 1) for _ in range(2))
        sum_of_v += first * proof.response
        sum_of_x += second * proof.response
        bases += (proof.base_commitment, key.verification_keys[index - 1])
        bases += (proof.message_commitment, _arith.multiply(value, value, modulus))
        exponents += (first, first * challenge, second, second * challenge)
    left = power_of_v(key, sum_of_v) * _arith.power(representative.proof_base, sum_of_x, modulus)
    right = _arith.product_of_powers(bases, exponents, modulus)
    return _arith.multiply(left, left, modulus) == _arith.multiply(right, right, modulus)
