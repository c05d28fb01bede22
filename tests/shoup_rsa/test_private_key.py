"""A private key that nobody has, in the hands of `cryptography` and PyJWT."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from Crypto.Util.asn1 import DerOctetString, DerSequence
from cryptography import x509
from cryptography.exceptions import InvalidSignature as Refused
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, utils

from shoup_rsa import (
    CombineFailed,
    Dealing,
    InvalidRequest,
    InvalidSignature,
    NotEnoughShares,
    Scheme,
    SignatureShare,
    SigningRequest,
)
from shoup_rsa.private_key import (
    ThresholdPrivateKey,
    finish_jwt,
    finish_ssh_certificate,
    finish_x509,
    prepare,
)
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.outside import leaf, members, name, revocations, root, signer

# Most keys here are short, so that the tests are fast.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The RSA key is 1152 bits:jwt.warnings.InsecureKeyLengthWarning"
)

PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


@pytest.fixture(scope="module", params=[1, 2])
def dealing(request: pytest.FixtureRequest, deal: Deal) -> Dealing:
    return deal(3, 2, 1, key_size=1152, protocol=request.param)


def padding_of(scheme: Scheme, length: object = None) -> Any:
    algorithm = HASHES[scheme.value[2:]]
    if scheme.value.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(algorithm), length or algorithm.digest_size)  # type: ignore[arg-type]


# -- one phase ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", Scheme)
def test_it_signs_by_each_scheme(dealing: Dealing, scheme: Scheme) -> None:
    key, algorithm = signer(dealing), HASHES[scheme.value[2:]]
    assert (key.key_size, key.public_key().key_size) == (1152, 1152)
    made = key.sign(b"data", padding_of(scheme), algorithm)
    key.public_key().verify(made, b"data", padding_of(scheme), algorithm)
    dealing.public_key.verify(b"data", made, scheme)
    assert made == signer(dealing, 3, 2).sign(b"data", padding_of(scheme), algorithm), "whoever signs"
    with pytest.raises(Refused):
        key.public_key().verify(made, b"date", padding_of(scheme), algorithm)


def test_the_salt_of_pss_may_be_said_in_words(dealing: Dealing) -> None:
    key = signer(dealing)
    in_words = padding_of(Scheme.PSS_SHA256, padding.PSS.DIGEST_LENGTH)
    assert key.sign(b"", in_words, hashes.SHA256()) == key.sign(b"", PSS, hashes.SHA256())


@pytest.mark.parametrize(
    ("chosen", "algorithm", "word"),
    [
        (padding.PKCS1v15(), hashes.SHA1(), "SHA-256, SHA-384 and SHA-512"),  # noqa: S303
        (padding.PKCS1v15(), hashes.SHA3_256(), "SHA-256, SHA-384 and SHA-512"),
        (padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()), "rather than digests"),
        (
            padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
            hashes.SHA256(),
            "PKCS1v15 and PSS",
        ),
        (padding.PSS(padding.MGF1(hashes.SHA384()), 32), hashes.SHA256(), "hash of the message"),
        (padding.PSS(padding.MGF1(hashes.SHA256()), 20), hashes.SHA256(), "salt_length=32"),
        (
            padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH),
            hashes.SHA256(),
            "salt_length=32",
        ),
        (padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), hashes.SHA256(), "salt_length=32"),
    ],
    ids=["sha1", "sha3", "prehashed", "oaep", "other mgf1", "salt 20", "longest salt", "auto"],
)
def test_what_it_cannot_do_it_says(six: Dealing, chosen: Any, algorithm: Any, word: str) -> None:
    def ask(request: SigningRequest) -> list[SignatureShare]:
        raise LookupError("must not be asked")

    with pytest.raises(UnsupportedAlgorithm, match=word):
        ThresholdPrivateKey(six.public_key, ask).sign(b"", chosen, algorithm)


def test_nobody_has_the_key(six: Dealing) -> None:
    key = signer(six)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    for attempt in (
        lambda: key.decrypt(bytes(64), padding.PKCS1v15()),
        key.private_numbers,
        lambda: key.private_bytes(pem, pkcs8, serialization.NoEncryption()),
    ):
        with pytest.raises(UnsupportedAlgorithm):
            attempt()
    assert copy(key) is key
    assert deepcopy(key) is key
    assert "key_id=" in repr(key)


def test_no_more_members_are_asked_than_must_be(six: Dealing) -> None:
    asked = []

    def ask(request: SigningRequest) -> Iterator[SignatureShare]:
        for key_share in six.key_shares:
            asked.append(key_share.index)
            yield request.sign_share(key_share)

    ThresholdPrivateKey(six.public_key, ask).sign(b"", padding.PKCS1v15(), hashes.SHA256())
    assert asked == [1, 2, 3, 4, 5]


def test_a_member_that_sends_nonsense_does_not_stop_the_others(six: Dealing) -> None:
    def ask(request: SigningRequest) -> Iterator[SignatureShare]:
        yield SignatureShare(1, 0)
        yield SignatureShare(77, 5)
        for key_share in six.key_shares[1:]:
            yield request.sign_share(key_share)

    made = ThresholdPrivateKey(six.public_key, ask).sign(b"m", padding.PKCS1v15(), hashes.SHA256())
    six.public_key.verify(b"m", made)


def test_too_few_and_too_many_bad(six: Dealing) -> None:
    with pytest.raises(NotEnoughShares) as few:
        signer(six, 1, 2, 2, 3).sign(b"", padding.PKCS1v15(), hashes.SHA256())
    assert (few.value.needed, few.value.given) == (5, 3)

    def ask(request: SigningRequest) -> Iterator[SignatureShare]:
        for key_share in six.key_shares:
            share = request.sign_share(key_share, proof="compact" if key_share.index < 4 else "none")
            yield replace(share, value=share.value - 1) if key_share.index in (2, 3) else share

    with pytest.raises(CombineFailed) as failed:
        ThresholdPrivateKey(six.public_key, ask).sign(b"", padding.PKCS1v15(), hashes.SHA256())
    assert (failed.value.culprits, failed.value.unproven) == ((2, 3), (4, 5, 6))


def test_what_asking_raises_goes_through(six: Dealing) -> None:
    def ask(request: SigningRequest) -> list[SignatureShare]:
        raise TimeoutError("nobody answers")

    with pytest.raises(TimeoutError):
        ThresholdPrivateKey(six.public_key, ask).sign(b"", padding.PKCS1v15(), hashes.SHA256())


# -- two phases ---------------------------------------------------------------------------------------


def answered(dealing: Dealing, request: SigningRequest) -> bytes:
    """Elsewhere: the request and the shares travel as bytes."""
    key = dealing.public_key
    sent = request.to_bytes()
    shares = [
        SigningRequest.from_bytes(sent).sign_share(key_share).to_bytes(key)
        for key_share in dealing.key_shares[1:]
    ]
    arrived = SigningRequest.from_bytes(sent)
    assert arrived == request
    return arrived.combine(key, [SignatureShare.from_bytes(key, share) for share in shares])


Build = Callable[[Any], Any]
_ROOT = ed25519.Ed25519PrivateKey.generate()
X509: dict[str, tuple[Callable[[Any, Any], Any], Callable[[bytes], Any]]] = {
    "certificate": (
        lambda key, how: root(key.public_key()).sign(key, how[0], rsa_padding=how[1]),
        x509.load_der_x509_certificate,
    ),
    "request": (
        lambda key, how: x509.CertificateSigningRequestBuilder(name("server.example")).sign(
            key, how[0], rsa_padding=how[1]
        ),
        x509.load_der_x509_csr,
    ),
    "revocation list": (
        lambda key, how: revocations(7, 8).sign(key, how[0], rsa_padding=how[1]),
        x509.load_der_x509_crl,
    ),
}


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("kind", X509)
def test_x509_in_two_phases_is_what_it_is_in_one(deal: Deal, kind: str, scheme: Scheme) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    key, (build, load) = dealing.public_key, X509[kind]
    how = HASHES[scheme.value[2:]], padding_of(scheme)
    fixed = root(signer(dealing).public_key())
    if kind == "certificate":

        def build(key: Any, how: Any) -> Any:
            return fixed.sign(key, how[0], rsa_padding=how[1])

    request = prepare(key, lambda stand_in: build(stand_in, how))
    assert request.scheme is scheme
    der = finish_x509(key, request, answered(dealing, request))
    assert der == build(signer(dealing), how).public_bytes(serialization.Encoding.DER)
    document = load(der)
    signature_hash: Any = document.signature_hash_algorithm
    assert signature_hash.name == scheme.hash_name
    if kind == "certificate":
        document.verify_directly_issued_by(document)
    elif kind == "request":
        assert document.is_signature_valid
    else:
        assert document.is_signature_valid(signer(dealing).public_key())


@pytest.mark.parametrize("scheme", Scheme)
def test_json_web_tokens(deal: Deal, scheme: Scheme) -> None:
    dealing = (
        deal(3, 2, 1, key_size=2048, seed=7) if scheme is Scheme.PSS_SHA256 else deal(3, 2, 1, key_size=1152)
    )
    key = dealing.public_key
    expires = datetime.now(UTC) + timedelta(hours=1)
    claims = {"sub": "release", "exp": int(expires.timestamp())}

    def build(stand_in: Any) -> str:
        return jwt.encode(claims, stand_in, scheme.value, headers={"kid": key.jwk_thumbprint})

    at_once = build(signer(dealing))
    request = prepare(key, build)
    token = finish_jwt(key, request, answered(dealing, request))
    assert token == at_once
    verifier = jwt.PyJWK(key.to_jwk(scheme))
    assert jwt.decode(token, verifier, [scheme.value]) == claims
    head, body, tail = token.split(".")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(f"{head}.{body}.{tail[:-4]}AAAA", verifier, [scheme.value])


def ssh_builder() -> serialization.SSHCertificateBuilder:
    return (
        serialization.SSHCertificateBuilder()
        .public_key(_ROOT.public_key())
        .serial(9)
        .type(serialization.SSHCertificateType.USER)
        .key_id(b"ada")
        .valid_principals([b"ada"])
        .valid_after(0)
        .valid_before(2**40)
    )


def test_ssh_certificates(dealing: Dealing) -> None:
    at_once = ssh_builder().sign(signer(dealing))
    at_once.verify_cert_signature()
    key = dealing.public_key
    request = prepare(key, ssh_builder().sign)
    assert request.scheme is Scheme.PKCS1V15_SHA512
    line = finish_ssh_certificate(key, request, answered(dealing, request))
    later = serialization.load_ssh_public_identity(line)
    assert isinstance(later, serialization.SSHCertificate)
    later.verify_cert_signature()
    assert (later.serial, later.key_id) == (at_once.serial, at_once.key_id)
    assert later.public_bytes() == line
    small = SigningRequest(key.key_id, Scheme.PKCS1V15_SHA256, request.message)
    by_sha256 = finish_ssh_certificate(key, small, answered(dealing, small))
    found = serialization.load_ssh_public_identity(by_sha256)
    assert isinstance(found, serialization.SSHCertificate)
    found.verify_cert_signature()
    assert b"rsa-sha2-256" in base64.b64decode(by_sha256.split()[1])


def test_a_request_finishes_as_what_it_is_and_by_its_own_signature(deal: Deal) -> None:
    dealing, other = deal(3, 2, 1, key_size=1152), deal(3, 2, 1, key_size=1152, seed=2)
    key = dealing.public_key
    token = prepare(key, lambda stand_in: jwt.encode({}, stand_in, "RS256"))
    made = answered(dealing, token)
    for finish in (finish_x509, finish_ssh_certificate):
        with pytest.raises(InvalidRequest):
            finish(key, token, made)
    public = signer(dealing).public_key()
    certificate = prepare(key, lambda key: leaf(public, public).sign(key, hashes.SHA256()))
    made_too = answered(dealing, certificate)
    with pytest.raises(InvalidRequest, match="not the head and the body"):
        finish_jwt(key, certificate, made_too)
    for finish in (finish_x509, finish_jwt, finish_ssh_certificate):
        with pytest.raises(InvalidSignature):
            finish(key, token, made_too)
        with pytest.raises(InvalidRequest, match="for the key"):
            finish(other.public_key, token, made)


@pytest.mark.parametrize("scheme", ["RS384", "PS256", "PS512"])
def test_ssh_has_two_schemes(deal: Deal, scheme: str) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    message = prepare(dealing.public_key, ssh_builder().sign).message
    request = SigningRequest(dealing.public_key.key_id, Scheme(scheme), message)
    with pytest.raises(InvalidRequest, match="it has RS256 and RS512"):
        finish_ssh_certificate(dealing.public_key, request, answered(dealing, request))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x30",
        b"\x30\x01",
        b"\x30\x02\x00",
        b"\x30\x00\x00",
        b"\x31\x00",
        b"\x30\x81\x00",
        b"\x30\x80\x00\x00",
    ],
)
def test_what_is_no_der_sequence_is_no_x509(deal: Deal, message: bytes) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    request = SigningRequest(dealing.public_key.key_id, Scheme.PKCS1V15_SHA256, message)
    with pytest.raises(InvalidRequest, match="one DER sequence"):
        finish_x509(dealing.public_key, request, answered(dealing, request))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 255, 256, 65535, 65536])
def test_der_lengths_of_every_size(deal: Deal, size: int) -> None:
    """The document around the message is read by a parser that knows nothing of ours."""
    dealing = deal(3, 2, 1, key_size=1152)
    inner = DerSequence([DerOctetString(bytes(size))]).encode()
    request = SigningRequest(dealing.public_key.key_id, Scheme.PKCS1V15_SHA256, inner)
    made = answered(dealing, request)
    parts = DerSequence().decode(finish_x509(dealing.public_key, request, made), strict=True)
    assert (len(parts), parts[0]) == (3, inner)
    assert parts[2].endswith(made)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0\0\0\x08ssh-rsa!",
        b"\0\0\1\0ssh-rsa-cert-v01@openssh.com",
        b"\0\0\0\x1c\xffsh-rsa-cert-v01@openssh.com",
    ],
)
def test_what_is_no_ssh_certificate(deal: Deal, message: bytes) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    request = SigningRequest(dealing.public_key.key_id, Scheme.PKCS1V15_SHA512, message)
    with pytest.raises(InvalidRequest, match="not an SSH certificate"):
        finish_ssh_certificate(dealing.public_key, request, answered(dealing, request))


def test_what_asks_for_no_signature_leaves_no_request(six: Dealing) -> None:
    with pytest.raises(ValueError, match="has not asked"):
        prepare(six.public_key, lambda key: key.public_key())
    with pytest.raises(ZeroDivisionError):
        prepare(six.public_key, lambda key: 1 // 0)

    def swallow(key: ThresholdPrivateKey) -> None:
        try:
            key.sign(b"x", padding.PKCS1v15(), hashes.SHA256())
        except Exception:
            raise AssertionError("taken for an error") from None

    assert prepare(six.public_key, swallow).message == b"x"


# -- requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", Scheme)
def test_a_request_travels(six: Dealing, scheme: Scheme) -> None:
    for message in (b"", b"m", bytes(1000)):
        request = SigningRequest(six.public_key.key_id, scheme, message)
        sent = request.to_bytes()
        assert (
            sent
            == b"shoup-rsa/signing-request\x00\x01" + six.public_key.key_id + scheme.value.encode() + message
        )
        assert SigningRequest.from_bytes(sent) == request
        assert message.hex() not in repr(request) or not message


def test_a_request_is_for_one_key(deal: Deal) -> None:
    dealing, other = deal(3, 2, 1), deal(3, 2, 1, epoch=1)
    request = SigningRequest(dealing.public_key.key_id, Scheme.PKCS1V15_SHA256, b"m")
    with pytest.raises(InvalidRequest, match="for the key"):
        request.sign_share(other.key_shares[0])
    with pytest.raises(InvalidRequest, match="for the key"):
        request.combine(other.public_key, [])
    assert request.sign_share(dealing.key_shares[0], proof="compact").proof is not None


def test_malformed_requests_are_refused(six: Dealing) -> None:
    good = SigningRequest(six.public_key.key_id, Scheme.PSS_SHA512, b"").to_bytes()
    for length in range(len(good)):
        with pytest.raises(InvalidRequest):
            SigningRequest.from_bytes(good[:length])
    for at in (0, 10, 25, 26, -5, -1):
        with pytest.raises(InvalidRequest):
            SigningRequest.from_bytes(bytes((*good[:at], good[at] ^ 1, *(good[at:][1:]))))
    with pytest.raises(InvalidRequest, match="at most"):
        SigningRequest(six.public_key.key_id, Scheme.PSS_SHA512, bytes((1 << 26) + 1))
    assert len(SigningRequest(six.public_key.key_id, Scheme.PSS_SHA512, bytes(1 << 26)).message) == 1 << 26
    for length in (31, 33):
        with pytest.raises(InvalidRequest, match="32 bytes"):
            SigningRequest(bytes(length), Scheme.PSS_SHA512, b"")
    wrong: Any
    for wrong in ("text", None, bytearray(100)):
        with pytest.raises(TypeError):
            SigningRequest.from_bytes(wrong)
        with pytest.raises(TypeError):
            SigningRequest(bytes(32), Scheme.PSS_SHA512, wrong)
        with pytest.raises(TypeError):
            SigningRequest(wrong, Scheme.PSS_SHA512, b"")
        with pytest.raises(TypeError):
            SigningRequest(bytes(32), wrong, b"")


def test_the_package_needs_neither_cryptography_nor_pyjwt() -> None:
    """Only the one door does, and it says so."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('cryptography', 'jwt', 'grpc')))\n"
        "import shoup_rsa, shoup_rsa.documents\n"
        "try: import shoup_rsa.private_key\n"
        "except ImportError as error: print(error.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.startswith("cryptography")) == (0, True), done.stderr


def test_members_may_be_asked_in_any_way(six: Dealing) -> None:
    """A callable is enough: here a list at once."""
    ask = members(six, 6, 5, 4, 3, 2)
    made = ThresholdPrivateKey(six.public_key, lambda request: list(ask(request)))
    six.public_key.verify(b"m", made.sign(b"m", padding.PKCS1v15(), hashes.SHA256()))
