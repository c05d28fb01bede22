"""Any k members make the one signature; fewer make none; the twin and stock verifiers agree."""

from __future__ import annotations

import subprocess
from itertools import combinations
from pathlib import Path
from shutil import which

import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from shoup_rsa import Dealing, InvalidSignature, NotEnoughShares, Scheme
from shoup_rsa.encoding import represent
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_vectors import KEYS, KEYS_1, key_share, load
from tests.shoup_rsa.twin import Twin, emsa_pkcs1_v1_5

DECISION = b"the alliance decided"
RS256 = Scheme.PKCS1V15_SHA256
STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=40)


def twin_of(key: dict[str, object]) -> Twin:
    numbers = {name: int(str(key[name]), 16) for name in ("p", "q", "v", "u")}
    n, k, t, epoch = (int(str(key[name])) for name in ("parties", "threshold", "corruptions", "epoch"))
    coefficients = tuple(int(a, 16) for a in key["coefficients"])  # type: ignore[attr-defined]
    v, u, protocol = numbers["v"], numbers["u"], int(str(key["protocol"]))
    return Twin(numbers["p"], numbers["q"], n, k, t, epoch, coefficients, v, u, protocol)


@pytest.mark.parametrize(
    ("parties", "threshold", "corruptions"),
    [(1, 1, 0), (2, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 1, 0), (5, 3, 2), (6, 5, 1), (7, 4, 3)],
)
def test_all_subsets_of_k_members_give_the_same_bytes(
    deal: Deal, parties: int, threshold: int, corruptions: int
) -> None:
    dealing = deal(parties, threshold, corruptions)
    public_key = dealing.public_key
    symbols = set()
    for message in (b"one", b"two", b"three", b"", bytes(1000)):
        symbols.add(represent(public_key, message, RS256).adjusted)
        shares = [key_share.sign_share(message) for key_share in dealing.key_shares]
        results = {public_key.combine(message, subset) for subset in combinations(shares, threshold)}
        assert len(results) == 1
        public_key.verify(message, results.pop())
        for subset in combinations(shares, threshold - 1):
            with pytest.raises(NotEnoughShares):
                public_key.combine(message, subset)
    assert symbols == {True, False}, "both Jacobi symbols must occur"


def test_more_shares_than_needed_and_any_order_give_the_same_bytes(six: Dealing) -> None:
    shares = [key_share.sign_share(b"order") for key_share in six.key_shares]
    expected = six.public_key.combine(b"order", shares)
    assert six.public_key.combine(b"order", reversed(shares)) == expected
    assert six.public_key.combine(b"order", iter(shares[1:])) == expected


@pytest.mark.parametrize("key", KEYS[:3] + KEYS_1, ids=["n=1", "n=4", "n=6", "1 n=1", "1 n=3", "1 n=7"])
@STEADY
@given(message=st.binary(max_size=200), data=st.data())
def test_the_twin_agrees(key: dict[str, object], message: bytes, data: st.DataObject) -> None:
    twin, public_key = twin_of(key), load(key)
    indices = data.draw(st.permutations(range(1, twin.n + 1)))[: twin.k]
    shares = [key_share(key, index).sign_share(message) for index in indices]
    assert [share.value for share in shares] == [twin.share(index, message) for index in indices]
    signature = public_key.combine(message, shares)
    assert signature == twin.plain_signature(message)
    assert signature == twin.combine(message, {share.index: share.value for share in shares})


@given(message=st.binary(max_size=300), length=st.integers(62, 1024))
@STEADY
def test_the_message_encoding_agrees_with_the_twin(message: bytes, length: int) -> None:
    modulus = (1 << 8 * length) - 1
    assert RS256.encode(message, modulus) == emsa_pkcs1_v1_5(message, length).to_bytes(length, "big")


def test_a_length_without_room_for_the_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="RS256 needs a modulus of 496 bits, this one has 488"):
        RS256.encode(b"", (1 << 488) - 1)


@pytest.fixture(scope="module")
def real_signature(real: Dealing) -> bytes:
    shares = [key_share.sign_share(DECISION) for key_share in real.key_shares[1:]]
    return real.public_key.combine(DECISION, shares)


@pytest.fixture(scope="module")
def signature(six: Dealing) -> bytes:
    shares = [key_share.sign_share(b"m") for key_share in six.key_shares]
    return six.public_key.combine(b"m", shares)


class TestRealSize:
    """2048 bits, and the verifiers that everybody has."""

    def test_the_modulus_has_exactly_2048_bits(self, real: Dealing) -> None:
        assert real.public_key.modulus.bit_length() == real.public_key.key_size == 2048
        assert real.public_key.signature_length == 256

    def test_all_subsets_agree(self, real: Dealing, real_signature: bytes) -> None:
        shares = [key_share.sign_share(DECISION) for key_share in real.key_shares]
        for subset in combinations(shares, 3):
            assert real.public_key.combine(DECISION, subset) == real_signature

    def test_shares_carry_proofs(self, real: Dealing) -> None:
        share = real.key_shares[3].sign_share(DECISION, proof="compact")
        real.public_key.verify_share(DECISION, share)
        assert len(share.to_bytes(real.public_key)) == real.public_key.share_length("compact")

    def test_pycryptodome_verifies(self, real: Dealing, real_signature: bytes) -> None:
        verifier = pkcs1_15.new(RSA.import_key(real.public_key.to_pem()))
        verifier.verify(SHA256.new(DECISION), real_signature)
        with pytest.raises(ValueError, match="Invalid signature"):
            verifier.verify(SHA256.new(DECISION + b"!"), real_signature)

    def test_cryptography_verifies(self, real: Dealing, real_signature: bytes) -> None:
        public_key = real.public_key
        for loaded in (load_pem_public_key(public_key.to_pem()), load_der_public_key(public_key.to_der())):
            assert isinstance(loaded, RSAPublicKey)
            loaded.verify(real_signature, DECISION, PKCS1v15(), hashes.SHA256())

    @pytest.mark.skipif(which("openssl") is None, reason="the openssl command is not installed")
    def test_openssl_verifies(self, real: Dealing, real_signature: bytes, tmp_path: Path) -> None:
        for name, content in (
            ("key.pem", real.public_key.to_pem()),
            ("message", DECISION),
            ("signature", real_signature),
        ):
            (tmp_path / name).write_bytes(content)
        command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "message"]
        good = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (good.returncode, good.stdout.strip()) == (0, "Verified OK")
        (tmp_path / "message").write_bytes(b"something else")
        assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0


class TestVerification:
    """`verify` compares with a re-encoding: nothing but the one right byte string passes."""

    def test_every_single_bit_counts(self, six: Dealing, signature: bytes) -> None:
        for bit in range(len(signature) * 8):
            flipped = bytearray(signature)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(InvalidSignature):
                six.public_key.verify(b"m", bytes(flipped))

    def test_other_lengths_are_refused(self, six: Dealing, signature: bytes) -> None:
        for wrong in (b"", signature[:-1], signature + b"\0", b"\0" + signature, signature * 2):
            with pytest.raises(InvalidSignature, match="64 bytes"):
                six.public_key.verify(b"m", wrong)

    def test_a_number_beyond_the_modulus_is_refused(self, six: Dealing, signature: bytes) -> None:
        number = int.from_bytes(signature, "big")
        for wrong in (number + six.public_key.modulus, six.public_key.modulus, 2**512 - 1):
            if wrong < 2**512:
                with pytest.raises(InvalidSignature, match="not smaller"):
                    six.public_key.verify(b"m", wrong.to_bytes(64, "big"))

    def test_the_negated_signature_is_refused(self, six: Dealing, signature: bytes) -> None:
        negated = six.public_key.modulus - int.from_bytes(signature, "big")
        with pytest.raises(InvalidSignature):
            six.public_key.verify(b"m", negated.to_bytes(64, "big"))

    def test_another_message_or_key_is_refused(self, deal: Deal, six: Dealing, signature: bytes) -> None:
        with pytest.raises(InvalidSignature):
            six.public_key.verify(b"M", signature)
        with pytest.raises(InvalidSignature):
            deal(6, 5, 1, seed=2).public_key.verify(b"m", signature)

    def test_only_bytes_are_taken(self, six: Dealing, signature: bytes) -> None:
        with pytest.raises(TypeError, match="bytes"):
            six.public_key.verify("m", signature)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="bytes"):
            six.public_key.verify(b"m", signature.hex())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="bytes"):
            six.key_shares[0].sign_share("m")  # type: ignore[arg-type]
