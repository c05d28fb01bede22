"""Public keys outside the package: key files, JSON Web Keys, fingerprints; and very many parties."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from math import factorial

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shoup_rsa import (
    Dealing,
    InvalidKey,
    InvalidKeyFile,
    InvalidShare,
    KeyShare,
    Scheme,
    SignatureShare,
    ThresholdPublicKey,
    generate_threshold_key,
    open_key_share,
    read_public_key,
    seal_key_share,
    write_public_key,
)
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_signing import twin_of
from tests.shoup_rsa.test_vectors import KEYS

COST = 2**10


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def altered(text: bytes) -> list[bytes]:
    """The text with each byte changed in six ways, in letters' case and to other signs among them."""
    return [
        text[:position] + bytes((text[position] ^ mask,)) + text[position + 1 :]
        for position in range(len(text))
        for mask in (0x01, 0x03, 0x10, 0x20, 0x80, 0xFF)
    ]


class TestKeyFile:
    def test_round_trip(self, six: Dealing, deal: Deal) -> None:
        for key in (six.public_key, deal(3, 2, 1, protocol=1).public_key):
            text = write_public_key(key)
            assert text.decode("ascii").startswith("-----BEGIN SHOUP RSA PUBLIC KEY-----\n")
            assert read_public_key(text) == key
            assert read_public_key(b"\n " + text.replace(b"\n", b"\r\n")) == key

    def test_every_altered_byte_is_refused(self, deal: Deal) -> None:
        """Other than in `from_bytes`, a changed epoch is noticed as well: there is a checksum."""
        key = deal(2, 2, 0).public_key
        self._check(write_public_key(key), read_public_key, key)

    def test_every_altered_byte_of_a_share_file_is_refused(self, deal: Deal) -> None:
        share = deal(2, 2, 0).key_shares[0]
        text = seal_key_share(share, b"p", scrypt_cost=COST)

        def read(text: bytes) -> ThresholdPublicKey:
            return open_key_share(text, b"p").public_key

        self._check(text, read, share.public_key)

    @staticmethod
    def _check(text: bytes, read: Callable[[bytes], ThresholdPublicKey], key: ThresholdPublicKey) -> None:
        accepted = []
        for wrong in altered(text):
            try:
                assert read(wrong) == key
                accepted.append(wrong)
            except InvalidKeyFile as error:
                assert str(error).endswith(("new dealing", "right file?"))  # noqa: PT017
        assert {wrong[:-1] for wrong in accepted} <= {text[:-1]}, "the last line end, as another blank"

    def test_every_truncation_is_refused(self, deal: Deal) -> None:
        text = write_public_key(deal(2, 2, 0).public_key)
        for length in range(len(text) - 1):
            with pytest.raises(InvalidKeyFile):
                read_public_key(text[:length])

    def test_what_is_no_key_file(self, six: Dealing) -> None:
        for foreign in (b"", six.public_key.to_pem(), six.public_key.to_bytes(), b"\xff"):
            with pytest.raises(InvalidKeyFile, match="right file"):
                read_public_key(foreign)
        with pytest.raises(InvalidKeyFile, match="too many"):
            read_public_key(b"A" * 101_000_000)
        with pytest.raises(TypeError, match="bytes"):
            read_public_key(write_public_key(six.public_key).decode())  # type: ignore[arg-type]

    def test_a_key_that_breaks_the_rules_is_refused_in_its_file_as_well(self, six: Dealing) -> None:
        lines = write_public_key(six.public_key).splitlines()
        data = bytearray(base64.b64decode(b"".join(lines[1:-1]))[:-32])
        data[len(b"shoup-rsa/public-key\0") + 1] = 4
        text = base64.b64encode(bytes(data) + hashlib.sha256(data).digest())
        body = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
        forged = b"\n".join((lines[0], body, lines[-1], b""))
        with pytest.raises(InvalidKeyFile, match="Shoup RSA public key is invalid: protocol = 4"):
            read_public_key(forged)


class TestJwk:
    def test_it_is_the_key(self, real: Dealing) -> None:
        key = real.public_key
        jwk = key.to_jwk()
        assert set(jwk) == {"kty", "n", "e", "kid"}
        assert (jwk["kty"], jwk["e"]) == ("RSA", "AQAB")
        assert number(jwk["n"]) == key.modulus
        assert "=" not in jwk["n"]
        assert json.loads(json.dumps(jwk)) == jwk
        loaded = load_pem_public_key(key.to_pem())
        assert isinstance(loaded, RSAPublicKey)
        assert loaded.public_numbers() == RSAPublicNumbers(number(jwk["e"]), number(jwk["n"]))

    def test_the_thumbprint_is_that_of_rfc_7638(self, real: Dealing) -> None:
        jwk = real.public_key.to_jwk()
        text = f'{{"e":"{jwk["e"]}","kty":"RSA","n":"{jwk["n"]}"}}'
        expected = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        assert real.public_key.jwk_thumbprint == jwk["kid"] == expected
        assert len(expected) == 43

    @pytest.mark.parametrize("scheme", Scheme)
    def test_it_may_be_marked_for_one_scheme(self, real: Dealing, scheme: Scheme) -> None:
        jwk = real.public_key.to_jwk(scheme)
        assert (jwk["alg"], jwk["use"]) == (scheme.value, "sig")
        assert jwk["kid"] == real.public_key.jwk_thumbprint


def test_the_fingerprint_is_short_readable_and_covers_everything(six: Dealing) -> None:
    key = six.public_key
    groups = key.fingerprint.split(" ")
    assert [len(group) for group in groups] == [4] * 10
    assert key.key_id.hex().startswith("".join(groups))
    keys = (key.verification_keys[1], key.verification_keys[0], *key.verification_keys[2:])
    others = [replace(key, epoch=1), replace(key, corruptions=0), replace(key, verification_keys=keys)]
    assert len({other.fingerprint for other in [key, *others]}) == 4


@pytest.fixture(scope="module")
def crowd() -> tuple[ThresholdPublicKey, int]:
    """65,536 parties of whom any one signs: then all key shares are equal, and quickly dealt."""
    twin = twin_of(KEYS[1])
    n = 65_536
    secret = pow(65537, -1, twin.m) * pow(factorial(n), -1, twin.m) % twin.m
    v_i = pow(twin.v, secret, twin.N)
    return ThresholdPublicKey(twin.N, 65537, n, 1, 0, 7, twin.v, (v_i,) * n, twin.u), secret


class TestVeryManyParties:
    def test_the_last_of_65_536_signs(self, crowd: tuple[ThresholdPublicKey, int]) -> None:
        key, secret = crowd
        key.check_dealing()
        share = KeyShare(key, 65_536, secret)
        share.check()
        made = share.sign_share(b"m", proof="compact")
        data = made.to_bytes(key)
        assert data[:6] == bytes.fromhex("020100010000")
        assert SignatureShare.from_bytes(key, data) == made
        key.verify_share(b"m", made)
        key.verify(b"m", key.combine(b"m", [made]))
        assert key.combine(b"m", [made]) == twin_of(KEYS[1]).plain_signature(b"m")
        for index in (0, 65_537):
            with pytest.raises(InvalidShare, match=r"1\.\.65536"):
                SignatureShare.from_bytes(key, data[:2] + index.to_bytes(4, "big") + data[6:])

    def test_files(self, crowd: tuple[ThresholdPublicKey, int], six: Dealing) -> None:
        key, secret = crowd
        text = write_public_key(key)
        assert len(key.to_bytes()) == 49 + (3 + 65_536) * 64
        assert read_public_key(text) == key
        sealed = seal_key_share(KeyShare(key, 65_536, secret), b"p", scrypt_cost=COST)
        assert len(sealed) < 1000, "the public key is not in each of 65,536 files"
        assert open_key_share(sealed, b"p", key).index == 65_536
        with pytest.raises(InvalidKeyFile, match="give the public key, too"):
            open_key_share(sealed, b"p")
        for other in (six.public_key, replace(key, epoch=8)):
            with pytest.raises(InvalidKeyFile, match="belongs to the key"):
                open_key_share(sealed, b"p", other)

    def test_as_many_as_the_public_exponent_are_refused(self, crowd: tuple[ThresholdPublicKey, int]) -> None:
        key, _ = crowd
        with pytest.raises(InvalidKey, match="below the public exponent"):
            replace(key, parties=65_537, verification_keys=(*key.verification_keys, 4))
        with pytest.raises(InvalidKey, match="below the public exponent"):
            generate_threshold_key(65_537, 2, 1, 512, insecure_small_key=True)

    def test_from_257_parties_on_the_public_key_has_a_file_of_its_own(self, deal: Deal) -> None:
        for parties, version in ((256, 1), (257, 2)):
            dealing = deal(parties, 2, 1)
            key = dealing.public_key
            assert key.encoding_version == key.to_bytes()[21] == version
            sealed = seal_key_share(dealing.key_shares[-1], b"p", scrypt_cost=COST)
            assert (len(sealed) > 10_000) == (version == 1)
            assert open_key_share(sealed, b"p", key).index == parties
            shares = [share.sign_share(b"m") for share in dealing.key_shares[-2:]]
            key.verify(b"m", key.combine(b"m", shares))
