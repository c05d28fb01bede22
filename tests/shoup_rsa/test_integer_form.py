"""Protocol 3, Protocol 2 over the integers: sizes, long and negative shares, all else as it was."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import factorial, prod
from pathlib import Path

import jwt
import pytest
from sympy import QQ, Poly, interpolate, symbols

from shoup_rsa import (
    CombineFailed,
    Dealing,
    InvalidKey,
    InvalidKeyFile,
    InvalidShare,
    KeyShare,
    Scheme,
    SignatureShare,
    SigningRequest,
    SigningSession,
    ThresholdPublicKey,
    generate_threshold_key,
    open_key_share,
    read_public_key,
    seal_key_share,
    use_backend,
    write_public_key,
)
from shoup_rsa import proof as proofs
from shoup_rsa.integer_form import INDEX_BOUND_MAX, SLACK_BITS, IntegerForm, largest_coefficients
from shoup_rsa.private_key import ThresholdPrivateKey
from shoup_rsa.sizes import check_sizes
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.outside import NEEDS_OPENSSL, members, run
from tests.shoup_rsa.test_encodings import flips

MESSAGE = b"a key that lives"
HEADER = len(b"shoup-rsa/public-key\0")
COST = 2**10


@pytest.fixture(scope="module")
def five(deal: Deal) -> Dealing:
    return deal(6, 5, 1, protocol=3)


def moved(dealing: Dealing, shift: Sequence[int]) -> Dealing:
    """The same key with other shares of it: `shift` are the higher coefficients of a polynomial, 0 at 0."""
    key = dealing.public_key
    secrets = [
        share._secret + sum(a * share.index**power for power, a in enumerate(shift, start=1))
        for share in dealing.key_shares
    ]
    images = tuple(pow(key.verification_base, secret, key.modulus) for secret in secrets)
    moved_key = replace(key, verification_keys=images)
    shares = (KeyShare(moved_key, index, secret) for index, secret in enumerate(secrets, start=1))
    return Dealing(moved_key, tuple(shares))


def test_the_dealer_deals_integers_on_one_polynomial(five: Dealing) -> None:
    """By sympy: degree k - 1 with even coefficients, and c d at 0."""
    key, form = five.public_key, five.public_key.form
    assert form is not None
    x = symbols("x")
    points = [(share.index, share._secret) for share in five.key_shares]
    polynomial = Poly(interpolate(points[:5], x), x, domain=QQ)
    assert polynomial.degree() == 4
    assert all(polynomial.eval(index) == secret for index, secret in points)
    coefficients = [int(number) for number in polynomial.all_coeffs()]
    assert all(number % 2 == 0 for number in coefficients)
    constant = coefficients[-1]
    assert form.content == 2 * 720**3
    assert constant % form.content == 0
    secret = constant // form.content
    assert 0 < secret < 1 << form.secret_bits
    assert pow(4, secret * key.public_exponent, key.modulus) == 4
    assert all(0 < share._secret < 1 << form.share_bits for share in five.key_shares)
    assert key.secret_bits == key.key_size


@pytest.mark.parametrize(
    ("parties", "threshold", "corruptions"), [(1, 1, 0), (2, 1, 0), (3, 3, 0), (4, 3, 1), (7, 5, 2)], ids=str
)
def test_all_quorums_sign_as_one_and_openssl_agrees(
    deal: Deal, parties: int, threshold: int, corruptions: int
) -> None:
    dealing = deal(parties, threshold, corruptions, protocol=3)
    key = dealing.public_key
    key.check_dealing()
    for message in (b"one", b"two", b"three"):
        shares = [share.sign_share(message, proof="compact") for share in dealing.key_shares]
        signatures = {key.combine(message, subset) for subset in combinations(shares, threshold)}
        assert len(signatures) == 1
        key.verify(message, signatures.pop())
        key.verify_shares(message, shares)


def test_the_signature_is_that_of_protocol_2(deal: Deal) -> None:
    """The same seed gives the same N, so the same signatures, whatever form the shares have."""
    signatures = []
    for dealing in (deal(6, 5, 1), deal(6, 5, 1, protocol=3)):
        messages = [b"%d" % number for number in range(6)]
        shares = [[share.sign_share(message) for share in dealing.key_shares] for message in messages]
        signatures.append([dealing.public_key.combine(m, s) for m, s in zip(messages, shares, strict=True)])
    assert signatures[0] == signatures[1]


def test_share_bits_follow_from_the_key_alone() -> None:
    """The tables of the documentation: at 2048 bits a tenth more for six members."""
    bits = {
        (4, 3): 2222,
        (6, 5): 2261,
        (7, 5): 2279,
        (16, 11): 2500,
        (31, 21): 2950,
    }
    for (parties, threshold), expected in bits.items():
        longest = (threshold * largest_coefficients(parties)[threshold - 1] << 2048).bit_length()
        assert IntegerForm(parties, threshold, longest).share_bits == expected
    assert IntegerForm(6, 5, 2066).share_bits / 2048 < 1.15


@pytest.mark.parametrize("index_bound", [1, 2, 5, 8])
def test_the_largest_coefficient_is_that_of_all_sets(index_bound: int) -> None:
    for threshold, largest in enumerate(largest_coefficients(index_bound), start=1):
        found = max(
            abs(factorial(index_bound) * prod(i for i in chosen if i != j))
            // prod(abs(i - j) for i in chosen if i != j)
            for chosen in combinations(range(1, index_bound + 1), threshold)
            for j in chosen
        )
        assert largest == found


class TestLongAndNegativeShares:
    """What one corrupt dealer can do to an epoch: within the format's bounds, and nothing depends on it."""

    def shifted(self, five: Dealing, factor: int) -> Dealing:
        form = five.public_key.form
        assert form is not None
        return moved(five, [factor << (form.share_bits + SLACK_BITS - 16)] + [0] * 3)

    @pytest.mark.parametrize("factor", [-3, -1, 1, 3])
    @pytest.mark.parametrize("backend", ["gmpy2", "auto"])
    def test_they_sign_prove_batch_and_store(self, five: Dealing, factor: int, backend: str) -> None:
        try:
            use_backend(backend)
            dealing = self.shifted(five, factor)
            key = dealing.public_key
            key.check_dealing()
            assert all((share._secret < 0) == (factor < 0) for share in dealing.key_shares)
            compact = [share.sign_share(MESSAGE, proof="compact") for share in dealing.key_shares]
            batchable = [share.sign_share(MESSAGE, proof="batchable") for share in dealing.key_shares]
            wanted = five.public_key.combine(MESSAGE, [s.sign_share(MESSAGE) for s in five.key_shares])
            for shares in (compact, batchable):
                assert key.combine(MESSAGE, shares) == wanted
                key.verify_shares(MESSAGE, shares)
                for share in shares:
                    encoded = share.to_bytes(key)
                    assert encoded[0] == 3
                    assert SignatureShare.from_bytes(key, encoded) == share
                    key.verify_share(MESSAGE, share)
            for share in dealing.key_shares:
                share.check()
                opened = open_key_share(seal_key_share(share, b"p", scrypt_cost=COST), b"p", key)
                assert opened._secret == share._secret
        finally:
            use_backend("auto")

    def test_the_files_of_all_shares_have_one_length(self, five: Dealing) -> None:
        lengths = {
            len(seal_key_share(dealing.key_shares[0], b"p", scrypt_cost=COST))
            for dealing in (five, self.shifted(five, -3), self.shifted(five, 3))
        }
        assert len(lengths) == 1

    def test_the_nonce_hides_the_longest_share(self, five: Dealing) -> None:
        """r exceeds every |s c| by 128 bits, so that z tells nothing of s, and its sign nothing either."""
        key = five.public_key
        longest = (1 << key.share_bits_max) - 1
        assert key.form is not None
        assert key.share_bits_max == key.form.share_bits + 266
        lowest = proofs.draw_nonce(key, lambda bound: 0).exponent
        highest = proofs.draw_nonce(key, lambda bound: bound - 1).exponent
        challenge = (1 << 128) - 1
        assert lowest - longest * challenge > 0
        assert highest + longest * challenge < proofs.response_bound(key.share_bits_max)
        assert (highest - lowest) >> 255 > longest

    def test_a_longer_share_is_no_key_share(self, five: Dealing) -> None:
        key = five.public_key
        edge = 1 << key.share_bits_max
        for fitting in (1, -1, edge - 1, 1 - edge):
            KeyShare(key, 1, fitting)
        for secret in (0, edge, -edge, edge << 1, edge << 257, edge << 400):
            with pytest.raises(InvalidKey, match="out of range"):
                KeyShare(key, 1, secret)
        with pytest.raises(InvalidKey, match="out of range"):
            KeyShare(replace(key, protocol=2, index_bound=0, secret_bits=0), 1, -1)

    def test_a_bad_share_among_them_is_named(self, five: Dealing) -> None:
        dealing = self.shifted(five, -1)
        shares = [share.sign_share(MESSAGE, proof="batchable") for share in dealing.key_shares]
        shares[2] = replace(shares[2], value=shares[2].value // 2)
        session = SigningSession(dealing.public_key, MESSAGE)
        for share in shares:
            session.add(share)
        assert session.culprits == (3,)
        assert session.signature is not None
        with pytest.raises(CombineFailed) as failure:
            dealing.public_key.combine(MESSAGE, shares[:5])
        assert failure.value.culprits == (3,)


class TestDealing:
    def test_it_is_checked_from_the_public_key_alone(self, five: Dealing) -> None:
        key = five.public_key
        for position in range(6):
            keys = list(key.verification_keys)
            keys[position] = keys[position] * 4 % key.modulus
            with pytest.raises(InvalidKey, match="not a dealing"):
                replace(key, verification_keys=tuple(keys)).check_dealing()
        for factor in (4, key.verification_base, pow(key.verification_base, 2 * 720**3, key.modulus)):
            whole = tuple(v * factor % key.modulus for v in key.verification_keys)
            with pytest.raises(InvalidKey, match="not a dealing"):
                replace(key, verification_keys=whole).check_dealing()

    def test_a_key_for_another_exponent_is_caught(self, five: Dealing) -> None:
        """On one polynomial, but G(0) = c (d + 1): the equation (v^G(0))^e = v^c tells."""
        key = five.public_key
        assert key.form is not None
        images = tuple(
            image * pow(key.verification_base, key.form.content, key.modulus) % key.modulus
            for image in key.verification_keys
        )
        with pytest.raises(InvalidKey, match="not a dealing"):
            replace(key, verification_keys=images).check_dealing()

    def test_the_forms_are_not_taken_for_each_other(self, deal: Deal, five: Dealing) -> None:
        two = deal(6, 5, 1).public_key
        with pytest.raises(InvalidKey, match="not a dealing"):
            replace(two, protocol=3, index_bound=6, secret_bits=512).check_dealing()
        with pytest.raises(InvalidKey, match="not a dealing"):
            replace(five.public_key, protocol=2, index_bound=0, secret_bits=0).check_dealing()
        with pytest.raises(InvalidKey, match="not a dealing"):
            replace(five.public_key, index_bound=7).check_dealing()


class TestEncoding:
    def test_round_trip_and_name(self, five: Dealing) -> None:
        key = five.public_key
        data = key.to_bytes()
        assert data[HEADER : HEADER + 2] == b"\x03\x03"
        assert ThresholdPublicKey.from_bytes(data) == key
        assert read_public_key(write_public_key(key)) == key
        assert replace(key, secret_bits=513).key_id != key.key_id
        assert replace(key, index_bound=7).key_id != key.key_id

    def test_every_flipped_bit_is_refused_or_is_visibly_another_key(self, deal: Deal) -> None:
        """Another epoch, u or bound of the secret makes a consistent key with another name."""
        key = deal(2, 2, 0, protocol=3).public_key
        for data in flips(key.to_bytes()):
            try:
                decoded = ThresholdPublicKey.from_bytes(data)
                if replace(decoded, epoch=0, nonresidue=key.nonresidue, secret_bits=512) != key:
                    decoded.check_dealing()
                    pytest.fail("a changed key passed for a dealing")
                assert decoded.key_id != key.key_id
            except InvalidKey:
                pass

    @pytest.mark.parametrize(
        ("offset", "value", "reason"),
        [
            (22, 5, "index_bound = 5"),
            (22, 65, "index_bound = 65"),
            (24, 511, "secret_bits = 511"),
            (24, 65535, "secret_bits = 65535"),
        ],
    )
    def test_the_two_sizes_are_validated(self, five: Dealing, offset: int, value: int, reason: str) -> None:
        data = bytearray(five.public_key.to_bytes())
        struct.pack_into(">H", data, HEADER + offset, value)
        with pytest.raises(InvalidKey, match=reason):
            ThresholdPublicKey.from_bytes(bytes(data))

    def test_sizes(self, five: Dealing) -> None:
        key = five.public_key
        with pytest.raises(InvalidKey, match="Protocol 3 is for 64 parties"):
            check_sizes(3, INDEX_BOUND_MAX + 1, 3, 1, 0)
        for wrong in ({"index_bound": True}, {"secret_bits": None}, {"index_bound": 6.0}):
            with pytest.raises(InvalidKey, match="must be integers"):
                replace(key, **wrong)
        for wrong in ({"index_bound": 6}, {"secret_bits": 512}):
            with pytest.raises(InvalidKey, match="has no index bound"):
                replace(key, **({"protocol": 2, "index_bound": 0, "secret_bits": 0} | wrong))

    def test_shares_of_other_forms_are_refused(self, deal: Deal, five: Dealing) -> None:
        for form in ("none", "compact", "batchable"):
            for ours, theirs in ((five, deal(6, 5, 1)), (deal(6, 5, 1), five)):
                data = theirs.key_shares[0].sign_share(MESSAGE, proof=form).to_bytes(theirs.public_key)  # type: ignore[arg-type]
                with pytest.raises(InvalidShare):
                    SignatureShare.from_bytes(ours.public_key, data)

    def test_every_flipped_bit_of_a_share_is_refused(self, five: Dealing) -> None:
        key = five.public_key
        data = five.key_shares[1].sign_share(MESSAGE, proof="compact").to_bytes(key)
        for changed in flips(data)[::11]:
            with pytest.raises(InvalidShare):
                key.verify_share(MESSAGE, SignatureShare.from_bytes(key, changed))

    def test_a_sealed_share_of_another_length_is_refused(self, five: Dealing) -> None:
        sealed = seal_key_share(five.key_shares[0], b"p", scrypt_cost=COST)
        with pytest.raises(InvalidKeyFile):
            open_key_share(sealed[:-100] + sealed[-40:], b"p")


@NEEDS_OPENSSL
@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
def test_the_outside_works_with_it(tmp_path: Path, five: Dealing, deal: Deal) -> None:
    """PEM and openssl, PSS, requests, sessions, JSON Web Tokens: nothing sees which form the shares have."""
    dealing = deal(4, 3, 1, protocol=3, key_size=1024)
    key = dealing.public_key
    (tmp_path / "key").write_bytes(key.to_pem())
    (tmp_path / "message").write_bytes(MESSAGE)
    for scheme in (Scheme.PKCS1V15_SHA256, Scheme.PSS_SHA256):
        request = SigningRequest.from_bytes(SigningRequest(key.key_id, scheme, MESSAGE).to_bytes())
        signature = request.combine(key, members(dealing, 2, 3, 4)(request))
        (tmp_path / "signature").write_bytes(signature)
        options = ["-sigopt", "rsa_padding_mode:pss"] if scheme.value.startswith("PS") else []
        command = (
            "openssl",
            "dgst",
            "-sha256",
            *options,
            "-verify",
            "key",
            "-signature",
            "signature",
            "message",
        )
        assert "Verified OK" in run(tmp_path, *command)
        session = SigningSession(key, MESSAGE, scheme)
        for share in dealing.key_shares:
            session.add(share.sign_share(MESSAGE, scheme))
        assert session.signature == signature
    token = jwt.encode({"sub": "x"}, ThresholdPrivateKey(key, members(dealing)), "RS256")
    assert jwt.decode(token, jwt.PyJWK(key.to_jwk()), ["RS256"]) == {"sub": "x"}


def test_precomputed_nonces_serve_long_shares(five: Dealing) -> None:
    dealing = moved(five, [1 << 600, 0, 0, 0])
    share = dealing.key_shares[4]
    share.precompute(3)
    for _ in range(4):
        dealing.public_key.verify_share(MESSAGE, share.sign_share(MESSAGE, proof="compact"))


def test_masks_have_the_length_that_hides(deal: Deal) -> None:
    """A dealer that draws zeros only: the shares are c d + O i, and nothing else is added."""
    zeros = random.Random(1)

    def draw(bound: int) -> int:
        return 0 if bound.bit_length() > 600 else zeros.randrange(bound)

    dealing = generate_threshold_key(4, 3, 1, 512, protocol=3, insecure_small_key=True, random_below=draw)
    form = dealing.public_key.form
    assert form is not None
    differences = {
        b._secret - a._secret for a, b in zip(dealing.key_shares, dealing.key_shares[1:], strict=False)
    }
    assert differences == {form.offset}
    assert form.mask_bound == 2**128 * 3 * 2 * (2 * 24) * (2 * 24**2) * 2**512
