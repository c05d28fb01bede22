"""Write the vectors: `python -m tests.shoup_rsa.make_vectors` from the repository's root.

The vectors come from the twin, not from the package. They freeze the encodings: if a change of the package
makes them fail, it is the package's version numbers that have to move, not the vectors.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from shoup_rsa.dealer import _generator_of_squares, _nonresidue, _two_safe_primes
from tests.shoup_rsa.twin import Twin, sealed_share

FOLDER = Path(__file__).parent / "vectors"
PATH = FOLDER / "protocol2.json"
PATH_1 = FOLDER / "protocol1.json"


def _leading_zero(twin: Twin, share_index: int | None) -> bytes:
    """A message whose signature, or whose share of that index, starts with a zero byte."""
    number = 0
    while True:
        message = b"leading zero %d" % number
        if share_index is None:
            first = twin.plain_signature(message)[0]
        else:
            first = twin.share(share_index, message).to_bytes(twin.width, "big")[0]
        if first == 0:
            return message
        number += 1


def _with_symbol(twin: Twin, symbol: int) -> bytes:
    return next(text for n in range(64) if twin.symbol(text := b"message %d" % n) == symbol)


def _case(comment: str, twin: Twin, message: bytes, below: random.Random) -> dict[str, object]:
    nonces = {i: below.randrange(1, 1 << (twin.N.bit_length() + 256)) for i in range(1, twin.n + 1)}
    return {
        "comment": comment,
        "message": message.hex(),
        "symbol": twin.symbol(message),
        "signature": twin.plain_signature(message).hex(),
        "shares": [twin.share_bytes(i, message).hex() for i in nonces],
        "nonces": [hex(r) for r in nonces.values()],
        "shares_with_proof": [twin.share_bytes(i, message, r).hex() for i, r in nonces.items()],
    }


def _key(n: int, k: int, t: int, epoch: int, seed: int, protocol: int = 2) -> dict[str, object]:
    generator = random.Random(seed)
    p, q = _two_safe_primes(512, generator.randrange, lambda stage, tried: None)
    order = (p - 1) // 2 * ((q - 1) // 2)
    coefficients = tuple(generator.randrange(order) for _ in range(k - 1))
    v, u = _generator_of_squares(p * q, generator.randrange), _nonresidue(p * q, generator.randrange)
    twin = Twin(p, q, n, k, t, epoch, coefficients, v, u, protocol)
    cases = [
        _case("Jacobi symbol +1", twin, _with_symbol(twin, 1), generator),
        _case("Jacobi symbol -1", twin, _with_symbol(twin, -1), generator),
        _case("empty message", twin, b"", generator),
        _case("signature with a leading zero byte", twin, _leading_zero(twin, None), generator),
        _case("share 1 with a leading zero byte", twin, _leading_zero(twin, 1), generator),
    ]
    return {
        "parties": n,
        "threshold": k,
        "corruptions": t,
        "epoch": epoch,
        "protocol": protocol,
        "p": hex(p),
        "q": hex(q),
        "coefficients": [hex(a) for a in coefficients],
        "v": hex(v),
        "u": hex(u),
        "secrets": [hex(twin.secret(i)) for i in range(1, n + 1)],
        "public_key": twin.public_key().hex(),
        "key_id": twin.key_id().hex(),
        "passphrase": "correct horse battery staple",
        "sealed_share_1": sealed_share(
            twin, 1, b"correct horse battery staple", generator.randbytes(16), generator.randbytes(12), 10
        ).decode(),
        "cases": cases,
    }


def main() -> None:
    keys = [
        _key(n, k, t, epoch, seed=100 + epoch)
        for epoch, (n, k, t) in enumerate([(1, 1, 0), (4, 3, 1), (6, 5, 1), (31, 21, 10)])
    ]
    # A large key would make a large file: of the cases of n = 31 the first two say it all.
    keys[-1]["cases"] = keys[-1]["cases"][:2]  # type: ignore[index]
    keys_1 = [
        _key(n, k, t, epoch, seed=200 + epoch, protocol=1)
        for epoch, (n, k, t) in enumerate([(1, 1, 0), (3, 2, 1), (7, 3, 2)])
    ]
    FOLDER.mkdir(exist_ok=True)
    for path, contents in ((PATH, keys), (PATH_1, keys_1)):
        path.write_text(json.dumps({"source": "tests/shoup_rsa/twin.py", "keys": contents}, indent=1) + "\n")


if __name__ == "__main__":
    main()
