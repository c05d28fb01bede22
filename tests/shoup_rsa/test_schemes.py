"""Six ways to sign, each accepted by verifiers that know nothing of thresholds."""

from __future__ import annotations

import subprocess
from itertools import combinations
from pathlib import Path
from shutil import which

import pytest
from Crypto.Hash import SHA256, SHA384, SHA512
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15, pss
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from hypothesis import given, settings
from hypothesis import strategies as st

from shoup_rsa import CombineFailed, Dealing, InvalidShare, InvalidSignature, Scheme
from shoup_rsa.encoding import represent
from tests.shoup_rsa.conftest import Deal

STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=40)
EACH = pytest.mark.parametrize("scheme", Scheme)
PYCA = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
PYCRYPTODOME = {"sha256": SHA256, "sha384": SHA384, "sha512": SHA512}
MESSAGE = b"what was agreed"


@pytest.fixture(scope="module", params=[1, 2])
def dealing(request: pytest.FixtureRequest, deal: Deal) -> Dealing:
    return deal(3, 2, 1, key_size=1152, protocol=request.param)


def is_pss(scheme: Scheme) -> bool:
    return scheme.value.startswith("PS")


def signature(dealing: Dealing, scheme: Scheme, message: bytes = MESSAGE) -> bytes:
    shares = [share.sign_share(message, scheme) for share in dealing.key_shares]
    results = {dealing.public_key.combine(message, two, scheme) for two in combinations(shares, 2)}
    assert len(results) == 1, "the bytes do not depend on who signed, with PSS as well"
    dealing.public_key.verify(message, results.copy().pop(), scheme)
    return results.pop()


def test_their_names_are_those_of_json_web_algorithms() -> None:
    assert [scheme.value for scheme in Scheme] == ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
    assert Scheme("PS384") is Scheme.PSS_SHA384
    assert Scheme.PSS_SHA384.hash_name == "sha384"


@EACH
def test_cryptography_and_pycryptodome_verify(dealing: Dealing, scheme: Scheme) -> None:
    made = signature(dealing, scheme)
    name, key = scheme.hash_name, dealing.public_key
    algorithm = PYCA[name]()
    numbers = RSAPublicNumbers(key.public_exponent, key.modulus).public_key()
    mgf = padding.MGF1(algorithm)
    chosen = padding.PSS(mgf, algorithm.digest_size) if is_pss(scheme) else padding.PKCS1v15()
    numbers.verify(made, MESSAGE, chosen, algorithm)
    verifier = (pss if is_pss(scheme) else pkcs1_15).new(RSA.import_key(key.to_der()))
    verifier.verify(PYCRYPTODOME[name].new(MESSAGE), made)


@EACH
@pytest.mark.skipif(which("openssl") is None, reason="the openssl command is not installed")
def test_openssl_verifies(deal: Deal, scheme: Scheme, tmp_path: Path) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    (tmp_path / "key.pem").write_bytes(dealing.public_key.to_pem())
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "signature").write_bytes(signature(dealing, scheme))
    command = ["openssl", "dgst", f"-{scheme.hash_name}", "-verify", "key.pem", "-signature", "signature"]
    if is_pss(scheme):
        command += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    done = subprocess.run([*command, "message"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "Verified OK")


@given(message=st.binary(max_size=100), scheme=st.sampled_from(Scheme), symbol_seed=st.integers(0, 3))
@STEADY
def test_any_message(deal: Deal, message: bytes, scheme: Scheme, symbol_seed: int) -> None:
    signature(deal(3, 2, 1, key_size=1152, protocol=1 + symbol_seed % 2), scheme, message)


def test_both_symbols_occur_under_pss(deal: Deal) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    adjusted = set()
    for number in range(12):
        message = b"%d" % number
        adjusted.add(represent(dealing.public_key, message, Scheme.PSS_SHA256).adjusted)
        signature(dealing, Scheme.PSS_SHA256, message)
    assert adjusted == {True, False}


@EACH
def test_a_signature_is_of_one_scheme_only(deal: Deal, scheme: Scheme) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    made = signature(dealing, scheme)
    for other in Scheme:
        if other is not scheme:
            with pytest.raises(InvalidSignature):
                dealing.public_key.verify(MESSAGE, made, other)


@EACH
def test_a_share_and_its_proof_are_of_one_scheme_only(deal: Deal, scheme: Scheme) -> None:
    dealing = deal(3, 2, 1, key_size=1152)
    key = dealing.public_key
    share, partner = (s.sign_share(MESSAGE, scheme, proof="batchable") for s in dealing.key_shares[:2])
    key.verify_share(MESSAGE, share, scheme)
    for other in Scheme:
        if other is not scheme:
            with pytest.raises(InvalidShare, match="does not hold"):
                key.verify_share(MESSAGE, share, other)
            with pytest.raises(CombineFailed) as failure:
                key.combine(MESSAGE, [share, partner], other)
            assert failure.value.culprits == (1, 2)


def test_a_pss_signature_with_another_salt_is_refused(deal: Deal) -> None:
    """Stock verifiers would take it; nobody but a quorum that deviates together could have made it."""
    key = deal(3, 2, 1, key_size=1152).public_key
    encoded = Scheme.PSS_SHA256.encode(MESSAGE, key.modulus)
    other = Scheme.PSS_SHA256.encode(MESSAGE, deal(3, 2, 1, seed=2, key_size=1152).public_key.modulus)
    assert len(encoded) == len(other)
    assert encoded[-1] == other[-1] == 0xBC
    assert encoded[-33:] != other[-33:], "the salt is bound to the key"
    assert encoded == Scheme.PSS_SHA256.encode(MESSAGE, key.modulus)


@pytest.mark.parametrize(
    ("scheme", "bits"),
    [("RS256", 496), ("RS384", 624), ("RS512", 752), ("PS256", 528), ("PS384", 784), ("PS512", 1040)],
)
def test_a_key_too_short_for_a_scheme_is_refused(deal: Deal, scheme: str, bits: int) -> None:
    chosen = Scheme(scheme)
    assert len(chosen.encode(b"", (1 << bits) - 1)) == bits // 8
    with pytest.raises(ValueError, match=f"{scheme} needs a modulus of {bits} bits"):
        chosen.encode(b"", (1 << bits - 8) - 1)
    if bits > 512:
        small = deal(2, 2, 0)
        for attempt in (
            lambda: small.key_shares[0].sign_share(b"", chosen),
            lambda: small.public_key.verify(b"", bytes(64), chosen),
        ):
            with pytest.raises(ValueError, match="needs a modulus"):
                attempt()


@pytest.mark.parametrize("scheme", ["RS256", None, 256])
def test_a_scheme_is_a_scheme(six: Dealing, scheme: Scheme) -> None:
    with pytest.raises(TypeError, match="must be a Scheme"):
        six.key_shares[0].sign_share(b"", scheme)
