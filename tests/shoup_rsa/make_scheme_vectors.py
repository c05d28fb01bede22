"""Write vectors/schemes.json: `python -m tests.shoup_rsa.make_scheme_vectors` from the repository's root.

Nothing of the package takes part: the primes are sympy's, the numbers and the bytes the twin's. As with the
other vectors, if a change of the package makes them fail, it is the change that is wrong.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from math import gcd
from pathlib import Path

from sympy import isprime, jacobi_symbol, primorial

from tests.shoup_rsa.twin import Twin

PATH = Path(__file__).parent / "vectors" / "schemes.json"
SCHEMES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_SMALL = int(primorial(2000, nth=False)) // 6


def safe_prime(bits: int, dice: random.Random) -> int:
    while True:
        half = dice.getrandbits(bits - 1) | 3 << (bits - 3)
        half -= (half + 1) % 6  # 5 modulo 6: otherwise 2 or 3 divides p' or p
        if gcd(half * (2 * half + 1), _SMALL) != 1:
            continue
        if isprime(half) and isprime(2 * half + 1):
            return 2 * half + 1


def twin_of(bits: int, n: int, k: int, t: int, protocol: int, epoch: int) -> Twin:
    dice = random.Random(f"{bits} {n} {k} {protocol}")
    p, q = safe_prime(bits // 2, dice), safe_prime(bits // 2, dice)
    order = (p - 1) // 2 * ((q - 1) // 2)
    coefficients = tuple(dice.randrange(order) for _ in range(k - 1))
    v = pow(dice.randrange(p * q), 2, p * q)
    u = next(c for _ in range(99) if jacobi_symbol(c := dice.randrange(p * q), p * q) == -1)
    return Twin(p, q, n, k, t, epoch, coefficients, v, u, protocol)


def found(comment: str, wanted: Callable[[bytes], bool]) -> bytes:
    return next(text for number in range(100_000) if wanted(text := f"{comment} {number}".encode()))


def case(twin: Twin, comment: str, message: bytes, r: int) -> dict[str, object]:
    return {
        "scheme": twin.scheme,
        "comment": comment,
        "message": message.hex(),
        "symbol": twin.symbol(message),
        "signature": twin.plain_signature(message).hex(),
        "shares": [twin.share_bytes(i, message).hex() for i in range(1, twin.n + 1)],
        "nonce": hex(r),
        "compact": twin.share_bytes(twin.n, message, r).hex(),
        "batchable": twin.share_bytes(twin.n, message, r, batchable=True).hex(),
    }


def cases(twin: Twin, *, short: bool) -> list[dict[str, object]]:
    """Both Jacobi symbols; unless `short`, also each kind of number that starts with zeros."""
    dice = random.Random(twin.epoch)
    wanted: dict[str, Callable[[bytes], bool]] = {
        "symbol +1": lambda text: twin.symbol(text) == 1,
        "symbol -1": lambda text: twin.symbol(text) == -1,
    }
    if not short:
        wanted |= {
            "signature starts with a zero byte": lambda text: twin.plain_signature(text)[0] == 0,
            "last share starts with a zero byte": lambda text: (
                twin.share(twin.n, text) < 1 << (8 * twin.width - 8)
            ),
        }
    made = []
    for comment, test in wanted.items():
        r = dice.randrange(1, 1 << (twin.N.bit_length() + 256))
        made.append(case(twin, comment, found(comment, test), r))
    if not short:
        # A nonce far too short to be drawn: z and v' keep their leading zeros.
        made.append(case(twin, "response starts with zero bytes", b"", 1))
    return made


def key(twin: Twin, schemes: tuple[str, ...], thorough: str = "") -> dict[str, object]:
    """Leading zeros are for the scheme `thorough`; the other vectors have them for RS256."""
    every = [made for name in schemes for made in cases(replace(twin, scheme=name), short=name != thorough)]
    return {
        "protocol": twin.protocol,
        "parties": twin.n,
        "threshold": twin.k,
        "corruptions": twin.t,
        "epoch": twin.epoch,
        "p": hex(twin.p),
        "q": hex(twin.q),
        "coefficients": [hex(a) for a in twin.coefficients],
        "v": hex(twin.v),
        "u": hex(twin.u),
        "secrets": [hex(twin.secret(i)) for i in range(1, twin.n + 1)],
        "public_key": twin.public_key().hex(),
        "cases": every,
    }


def main() -> None:
    keys = [
        key(twin_of(1152, 3, 2, 1, protocol=1, epoch=1), SCHEMES, thorough="PS256"),
        key(twin_of(1152, 3, 2, 1, protocol=2, epoch=2), SCHEMES, thorough="PS256"),
        key(twin_of(512, 31, 11, 10, protocol=1, epoch=3), ("RS256",)),
        key(twin_of(640, 31, 31, 0, protocol=2, epoch=2**64 - 1), ("PS256",)),
        key(twin_of(2048, 4, 3, 1, protocol=2, epoch=5), ("RS256", "PS512")),
    ]
    source = "tests/shoup_rsa/twin.py and make_scheme_vectors.py; primes and Jacobi symbols by sympy"
    PATH.write_text(json.dumps({"source": source, "keys": keys}, indent=1) + "\n")


if __name__ == "__main__":
    main()
