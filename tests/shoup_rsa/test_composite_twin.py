"""Composite keys, computed a second time by the equations: signing, proofs, and handing them on.

The twin has Python's integers and `pow`, sympy's symbols and remainders, and nothing of the package. The
equations are those of docs/reference/shoup_rsa.md and the layouts those of `shoup_rsa.composite`.
"""

from __future__ import annotations

import hashlib
from math import factorial, prod

import pytest
from sympy import gcdex, jacobi_symbol
from sympy.ntheory.modular import crt

from shoup_rsa import Proof, ThresholdPublicKey
from shoup_rsa.composite import commit
from shoup_rsa.composite import redistribution as package
from tests.shoup_rsa.board import receiver
from tests.shoup_rsa.composites import CompositeDealing, composite, open_to_all, order_for
from tests.shoup_rsa.test_redistribution_twin import Drawing, Twin, lagrange
from tests.shoup_rsa.twin import emsa_pkcs1_v1_5

E = 65537
MESSAGE = b"computed twice, modulo each"
QUORUM = (2, 3, 4)


@pytest.fixture(scope="module")
def four() -> CompositeDealing:
    return composite(4, 3, 1, factors=3)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def representative(factor: ThresholdPublicKey, encoded: int) -> int:
    """x: H(M), or H(M) u^e where its symbol is -1."""
    reduced = encoded % factor.modulus
    if jacobi_symbol(reduced, factor.modulus) == 1:
        return reduced
    return reduced * pow(factor.nonresidue or 0, E, factor.modulus) % factor.modulus


def root(factor: ThresholdPublicKey, encoded: int, values: dict[int, int]) -> int:
    """y_i: w = prod x_j^(2 lambda_j) = x^(4 d), so with 4 a + e b = 1 it is w^a x^b, or that by u."""
    n = factor.modulus
    coefficients = lagrange(factorial(factor.parties), tuple(values))
    w = prod(pow(x, 2 * a, n) for a, x in zip(coefficients, values.values(), strict=True)) % n
    a, b, one = (int(number) for number in gcdex(4, E))
    assert one == 1
    x = representative(factor, encoded)
    y = pow(w, a, n) * pow(x, b, n) % n
    return y if x == encoded % n else y * pow(factor.nonresidue or 0, -1, n) % n


def test_names_and_commitments_are_hashes_of_what_they_should_be(four: CompositeDealing) -> None:
    key = four.public_key
    encoded = b"shoup-rsa/composite-key\0\1\3" + b"".join(factor.to_bytes() for factor in key.factors)
    assert key.to_bytes() == encoded
    assert key.key_id == sha(encoded)
    nonce = bytes(range(32))
    expected = sha(b"shoup-rsa/v1/composite/commitment\0", nonce, key.factors[1].to_bytes())
    assert commit(key.factors[1], nonce) == expected


def test_shares_and_signatures_are_those_of_the_equations(four: CompositeDealing) -> None:
    key = four.public_key
    n = prod(factor.modulus for factor in key.factors)
    assert key.modulus == n
    encoded = emsa_pkcs1_v1_5(MESSAGE, n.bit_length() // 8)
    symbols = [jacobi_symbol(encoded % factor.modulus, factor.modulus) for factor in key.factors]
    assert {int(symbol) for symbol in symbols} == {1, -1}, "a message that takes both ways"
    given = [four.key_shares[j - 1].sign_share(MESSAGE) for j in QUORUM]
    roots = []
    for place, factor in enumerate(key.factors):
        x = representative(factor, encoded)
        powers = {
            j: pow(x, 2 * four.factors[place].key_shares[j - 1]._secret, factor.modulus) for j in QUORUM
        }
        values = {j: min(value, factor.modulus - value) for j, value in powers.items()}
        assert [share.value[place] for share in given] == list(values.values())
        roots.append(root(factor, encoded, values))
    signature = int(crt([factor.modulus for factor in key.factors], roots)[0])
    assert pow(signature, E, n) == encoded
    assert key.combine(MESSAGE, given) == signature.to_bytes(n.bit_length() // 8, "big")


def test_proofs_are_bound_to_the_whole_key_and_the_factors_place(four: CompositeDealing) -> None:
    """v^z v_j^-c and x~^z x_j^-2c hash to c, with the place in the composite key for the factor's name."""
    key = four.public_key
    encoded = emsa_pkcs1_v1_5(MESSAGE, key.signature_length)
    share = four.key_shares[1].sign_share(MESSAGE, proof="compact")
    assert share.proof is not None
    for place, (factor, value, proof) in enumerate(
        zip(key.factors, share.value, share.proof, strict=True), start=1
    ):
        assert isinstance(proof, Proof)
        n, v, image = factor.modulus, factor.verification_base, factor.verification_keys[1]
        base, squared = pow(representative(factor, encoded), 4, n), value * value % n
        c, z = proof.challenge, proof.response
        commitments = pow(v, z, n) * pow(image, -c, n) % n, pow(base, z, n) * pow(squared, -c, n) % n
        context = sha(b"shoup-rsa/v1/composite/factor\0", key.key_id, bytes([place]))
        text = b"shoup-rsa/v1/protocol-2/share-proof\0" + context + bytes(8) + (2).to_bytes(4, "big")
        numbers = (v, base, image, squared, *commitments)
        text += b"".join(number.to_bytes(factor.signature_length, "big") for number in numbers)
        assert sha(text)[:16] == c.to_bytes(16, "big")


def test_handing_on_is_that_of_every_factor_bound_to_its_place() -> None:
    old, new, bound = (3, 2, 1), (3, 2, 1), 4
    dealing = composite(*old)
    key = dealing.public_key
    order = order_for(key, *new, index_bound=bound, attempt=5, context=b"twice")
    secrets = [receiver(order.receiver_bits, i) for i in range(1, new[0] + 1)]
    twins = []
    for place, dealt in enumerate(dealing.factors, start=1):
        named = (key.key_id, bytes([place, 2]), b"twice")
        context = sha(b"shoup-rsa/v1/composite/redistribution/context\0", *named)
        held = {share.index: share._secret for share in dealt.key_shares}
        twins.append(Twin(dealt.public_key, held, secrets, new, bound, 5, context, restart=False))
    change = open_to_all(order)
    assert change.digest == sha(
        b"shoup-rsa/v1/composite/redistribution/set\0", *(twin.digest for twin in twins)
    )
    posted, polynomials = [], []
    for share in dealing.key_shares[:0:-1]:
        drawing = Drawing(share.index)
        data = package.deal(change, share, random_below=drawing).to_bytes(change)
        each = len(drawing.drawn) // 2
        parts = [
            twin.deal(share.index, drawing.drawn[at * each : (at + 1) * each])
            for at, twin in enumerate(twins)
        ]
        assert data == b"shoup-rsa/composite-dealing\0\1\2" + b"".join(encoded for encoded, _, _ in parts)
        polynomials.append((share.index, [polynomial for _, polynomial, _ in parts]))
        posted.append((share.index, data))
    outcome = package.conclude(change, package.judge(change, posted).valid)
    assert outcome is not None
    received = [package.receive(outcome, i, secret) for i, secret in enumerate(secrets, start=1)]
    for place, twin in enumerate(twins):
        shares = twin.new_shares({index: parts[place] for index, parts in polynomials})
        assert [share.factor_shares[place]._secret for share in received] == shares
        v, n = twin.old.verification_base, twin.old.modulus
        following = outcome.public_key.factors[place]
        assert following.verification_keys == tuple(pow(v, share, n) for share in shares)
        assert (following.modulus, following.epoch) == (n, 1)
