"""Write the vectors of composite keys: `python -m tests.shoup_rsa.make_composite_vectors`."""

from __future__ import annotations

import hashlib
import json
import random

from shoup_rsa.dealer import _generator_of_squares, _nonresidue, _two_safe_primes
from tests.shoup_rsa.make_vectors import FOLDER
from tests.shoup_rsa.twin import CompositeTwin, Twin

PATH = FOLDER / "composite.json"
PASSPHRASE = b"correct horse battery staple"


def _twin(n: int, k: int, t: int, epoch: int, count: int, below: random.Random) -> Twin:
    p, q = _two_safe_primes(512, below.randrange, lambda stage, tried: None, count)
    order = (p - 1) // 2 * ((q - 1) // 2)
    coefficients = tuple(below.randrange(order) for _ in range(k - 1))
    v, u = _generator_of_squares(p * q, below.randrange), _nonresidue(p * q, below.randrange)
    return Twin(p, q, n, k, t, epoch, coefficients, v, u)


def _case(twin: CompositeTwin, number: int, below: random.Random) -> dict[str, object]:
    message, n = b"message %d" % number, twin.dealt[0].n
    nonces = [[below.randrange(1, 1 << 512 + 256) for _ in twin.dealt] for _ in range(n)]
    indices = list(enumerate(nonces, start=1))
    return {
        "message": message.hex(),
        "scheme": twin.scheme,
        "symbols": [factor.symbol(message) for factor in twin.factors()],
        "signature": twin.plain_signature(message).hex(),
        "nonces": [[hex(r) for r in row] for row in nonces],
        "shares": [twin.share_bytes(i, message).hex() for i, _ in indices],
        "compact": [twin.share_bytes(i, message, row).hex() for i, row in indices],
        "batchable": [twin.share_bytes(i, message, row, batchable=True).hex() for i, row in indices],
    }


def _key(n: int, k: int, t: int, epoch: int, count: int) -> dict[str, object]:
    below = random.Random(300 + epoch)
    dealt = tuple(_twin(n, k, t, epoch, count, below) for _ in range(count))
    twin = CompositeTwin(dealt)
    nonce = below.randbytes(32)
    commitments = [
        hashlib.sha256(b"shoup-rsa/v1/composite/commitment\x00" + nonce + factor.public_key()).hexdigest()
        for factor in dealt
    ]
    sealed = twin.sealed_share(1, PASSPHRASE, below.randbytes(16), below.randbytes(12), 10)
    cases = [_case(twin, number, below) for number in range(3)]
    cases.append(_case(CompositeTwin(dealt, "PS384"), 3, below))
    return {
        "factors": [
            {"p": hex(factor.p), "q": hex(factor.q), "secrets": [hex(factor.secret(i + 1)) for i in range(n)]}
            for factor in dealt
        ],
        "public_key": twin.public_key().hex(),
        "key_id": twin.key_id().hex(),
        "nonce": nonce.hex(),
        "commitments": commitments,
        "passphrase": PASSPHRASE.decode(),
        "sealed_share_1": sealed.decode(),
        "cases": cases,
    }


def main() -> None:
    keys = [
        _key(n, k, t, epoch, count)
        for epoch, (n, k, t, count) in enumerate([(3, 2, 1, 2), (4, 3, 1, 2), (3, 2, 0, 3)])
    ]
    PATH.write_text(json.dumps({"source": "tests/shoup_rsa/twin.py", "keys": keys}, indent=1) + "\n")


if __name__ == "__main__":
    main()
