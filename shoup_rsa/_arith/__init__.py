"""Number theory, typed: the only package that knows the big-number libraries.

Everything goes in and comes out as Python `int`. Two kinds of exponentiation exist on purpose: `power` for
public exponents, and `secret_power`, whose running time and memory accesses depend on the sizes of its
operands only. Which library computes them is chosen at run time: `use_backend`.
"""

from __future__ import annotations

from shoup_rsa._arith.numbers import (
    bezout,
    gcd,
    has_factor_below,
    inverse,
    is_perfect_power,
    is_prime,
    jacobi,
    multiply,
    small_primes,
)
from shoup_rsa._arith.powers import (
    backend,
    double_power,
    may_be_prime,
    power,
    secret_power,
    signed_secret_power,
    use_backend,
)
from shoup_rsa._arith.products import (
    FixedBase,
    dealt_table,
    long_table,
    product_of_powers,
    quotients,
    short_table,
)

__all__ = [
    "FixedBase",
    "backend",
    "bezout",
    "dealt_table",
    "double_power",
    "gcd",
    "has_factor_below",
    "inverse",
    "is_perfect_power",
    "is_prime",
    "jacobi",
    "long_table",
    "may_be_prime",
    "multiply",
    "power",
    "product_of_powers",
    "quotients",
    "secret_power",
    "short_table",
    "signed_secret_power",
    "small_primes",
    "use_backend",
]
