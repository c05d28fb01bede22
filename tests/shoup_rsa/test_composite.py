"""Keys of several dealers: all that a key does, and every trap of putting several together (trap 18)."""

from __future__ import annotations

import copy
import hashlib
import pickle
import random
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import comb, factorial, prod
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from sympy import isprime

from shoup_rsa import (
    BadFactor,
    CombineFailed,
    CompositeKeyShare,
    CompositePublicKey,
    CompositeSignatureShare,
    Dealing,
    InvalidKey,
    InvalidKeyFile,
    InvalidRequest,
    InvalidShare,
    InvalidShares,
    InvalidSignature,
    KeyShare,
    NotEnoughShares,
    Scheme,
    SignatureShare,
    SigningRequest,
    SigningSession,
    ThresholdPublicKey,
    WrongEpoch,
    check_trials,
    combine_trials,
    generate_threshold_key,
    open_key_share,
    public_key_from_bytes,
    read_public_key,
    seal_key_share,
    sign_trials,
    write_public_key,
)
from shoup_rsa import key_share as single
from shoup_rsa import proof as proofs
from shoup_rsa.composite import InvalidOpening, check_opening, commit, new_commitment_nonce
from shoup_rsa.composite import message as combining
from shoup_rsa.composite.key import KEY_SIZE_MAX, check_factors
from shoup_rsa.dealer import _generator_of_squares, _nonresidue
from shoup_rsa.encoding import Representative, represent_number
from shoup_rsa.private_key import ThresholdPrivateKey, finish_ssh_certificate, finish_x509, prepare
from shoup_rsa.resolve import ProofForm
from tests.shoup_rsa.composites import PRIMES, CompositeDealing, compose, composite, factor, of_real_size
from tests.shoup_rsa.outside import NEEDS_OPENSSL, NEEDS_SSH, leaf, members, root, run
from tests.shoup_rsa.test_trials import spoilt_dealing

MESSAGE = b"what several dealers cannot sign"
FORMS: tuple[ProofForm, ...] = ("none", "compact", "batchable")
E = 65537


@pytest.fixture(scope="module")
def four() -> CompositeDealing:
    return composite(4, 3, 1)


@pytest.fixture(scope="module")
def real() -> CompositeDealing:
    """Two factors of 2048 bits."""
    return of_real_size(3, 2, 1, 2, 2048)


def sign(dealing: CompositeDealing, form: ProofForm = "none") -> list[CompositeSignatureShare]:
    return [share.sign_share(MESSAGE, proof=form) for share in dealing.key_shares]


def spoil(share: CompositeSignatureShare, place: int) -> CompositeSignatureShare:
    """One factor's value squared away, its proof left as it was."""
    values = list(share.value)
    values[place - 1] = 4
    return replace(share, value=tuple(values))


# -- it is a key like any other ----------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("scheme", Scheme)
def test_every_quorum_makes_the_one_signature_of_rsa(scheme: Scheme, protocol: int) -> None:
    dealing = composite(4, 3, 1, factors=3, protocol=protocol)
    key = dealing.public_key
    made = [share.sign_share(MESSAGE, scheme) for share in dealing.key_shares]
    signatures = {key.combine(MESSAGE, chosen, scheme) for chosen in combinations(made, 3)}
    (signature,) = signatures
    key.verify(MESSAGE, signature, scheme)
    number = pow(int.from_bytes(signature, "big"), E, key.modulus)
    assert number == int.from_bytes(scheme.encode(MESSAGE, key.modulus), "big")
    with pytest.raises(InvalidSignature):
        key.verify(MESSAGE + b"!", signature, scheme)


@NEEDS_OPENSSL
@pytest.mark.parametrize(("factors", "key_size"), [(2, 2048), (4, 4096)])
def test_openssl_verifies_4096_bits_and_more(factors: int, key_size: int, tmp_path: Path) -> None:
    """Up to the longest modulus that it verifies with."""
    dealing = of_real_size(3, 2, 1, factors, key_size)
    key = dealing.public_key
    assert key.modulus == prod(PRIMES[key_size // 2][: 2 * factors])
    assert key.key_size == factors * key_size
    shares = [share.sign_share(MESSAGE, Scheme.PSS_SHA384) for share in dealing.key_shares[1:]]
    for name, data in (
        ("key", key.to_pem()),
        ("message", MESSAGE),
        ("pkcs1", key.combine(MESSAGE, sign(dealing))),
        ("pss", key.combine(MESSAGE, shares, Scheme.PSS_SHA384)),
    ):
        (tmp_path / name).write_bytes(data)
    command = ("openssl", "dgst", "-verify", "key", "-signature")
    assert "Verified OK" in run(tmp_path, *command, "pkcs1", "-sha256", "message")
    pss = ("-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
    assert "Verified OK" in run(tmp_path, *command, "pss", *pss, "message")


@pytest.mark.parametrize("factors", [2, 3, 5, 7])
def test_two_to_seven_dealers(factors: int) -> None:
    dealing = composite(3, 2, 1, factors=factors)
    key = dealing.public_key
    assert key.key_size == 512 * factors
    key.check_dealing()
    assert key.combine(MESSAGE, sign(dealing)[:2]) == key.combine(MESSAGE, sign(dealing)[1:])


def test_proofs_of_both_forms_are_checked_for_every_factor(four: CompositeDealing) -> None:
    key = four.public_key
    for form in ("compact", "batchable"):
        made = sign(four, form)
        key.verify_shares(MESSAGE, made)
        for share in made:
            key.verify_share(MESSAGE, share)
            with pytest.raises(InvalidShare, match="factor 1: the proof of correctness does not hold"):
                key.verify_share(MESSAGE + b"!", share)
        for place in (1, 2):
            with pytest.raises(InvalidShares) as failure:
                key.verify_shares(MESSAGE, [made[0], spoil(made[1], place), *made[2:]])
            (culprit,) = failure.value.culprits
            assert (culprit.index, culprit.reason[:9]) == (2, f"factor {place}:")
    with pytest.raises(InvalidShares) as failure:
        key.verify_shares(MESSAGE, sign(four))
    assert failure.value.unproven == (1, 2, 3, 4)


def test_encodings_are_strict(four: CompositeDealing) -> None:
    key = four.public_key
    for form in FORMS:
        share = four.key_shares[1].sign_share(MESSAGE, proof=form)
        data = share.to_bytes(key)
        assert len(data) == key.share_length(form)
        assert key.share_from_bytes(data) == share == CompositeSignatureShare.from_bytes(key, data)
        for bad in (data[:-1], data + b"\0", b"", b"\1" + data[1:], data[:2] + bytes(2) + data[4:]):
            with pytest.raises(InvalidShare):
                key.share_from_bytes(bad)
        with pytest.raises(TypeError, match="bytes"):
            key.share_from_bytes(bytearray(data))  # type: ignore[arg-type]
    data = key.to_bytes()
    assert public_key_from_bytes(data) == key == CompositePublicKey.from_bytes(data)
    assert public_key_from_bytes(four.factors[0].public_key.to_bytes()) == four.factors[0].public_key
    at = len(b"shoup-rsa/composite-key\0")
    for bad in (
        data[:-1],
        data + b"\0",
        data[: at + 2],
        data[:at],
        data[:at] + b"\2" + data[at + 1 :],
        *(data[: at + 1] + bytes((count,)) + data[at + 2 :] for count in (0, 1, 3, 4, 8, 255)),
    ):
        with pytest.raises(InvalidKey):
            public_key_from_bytes(bad)
        with pytest.raises(InvalidKeyFile):
            read_public_key(write_public_key(key).replace(b"A", b"B", 1))
    for decode in (public_key_from_bytes, CompositePublicKey.from_bytes):
        with pytest.raises(TypeError, match="an encoded public key must be bytes, not str"):
            decode("key")  # type: ignore[arg-type]
    with pytest.raises(InvalidKey, match="factor 2: "):
        public_key_from_bytes(data[:-64] + bytes(64))
    assert read_public_key(write_public_key(key)) == key
    for refuse in (key.share_length, lambda form: four.key_shares[0].sign_share(MESSAGE, proof=form)):
        with pytest.raises(ValueError, match="the forms of a proof"):
            refuse("long")


def test_the_name_is_of_all_factors_in_their_order(four: CompositeDealing) -> None:
    first, second = (dealt.public_key for dealt in four.factors)
    key = four.public_key
    assert key.key_id == hashlib.sha256(key.to_bytes()).digest()
    turned = CompositePublicKey((second, first), insecure_small_key=True)
    assert turned.modulus == key.modulus
    assert turned.fingerprint != key.fingerprint
    assert turned != key
    assert key.to_der() == turned.to_der()
    assert key.to_jwk(Scheme.PKCS1V15_SHA256)["alg"] == "RS256"


def test_a_share_file_holds_all_factors(four: CompositeDealing) -> None:
    key, share = four.public_key, four.key_shares[2]
    text = seal_key_share(share, b"passphrase", scrypt_cost=2**10)
    opened = open_key_share(text, b"passphrase", key)
    assert (opened.index, opened.public_key) == (3, key)
    assert opened.sign_share(MESSAGE) == share.sign_share(MESSAGE)
    assert len(share.secret_to_bytes()) == key.secret_length == 128
    later = compose([factor(4, 3, 1, place, epoch=1) for place in (1, 2)])
    with pytest.raises(WrongEpoch):
        open_key_share(text, b"passphrase", later.public_key)
    for other in (four.factors[0].public_key, composite(4, 3, 1, factors=3).public_key):
        with pytest.raises(InvalidKeyFile, match="belongs to the key"):
            open_key_share(text, b"passphrase", other)
    wrong = CompositeKeyShare(
        key,
        (share.factor_shares[0], KeyShare(four.factors[1].public_key, 3, 5)),
    )
    with pytest.raises(InvalidKeyFile, match="factor 2: key share 3 does not match"):
        open_key_share(seal_key_share(wrong, b"p", scrypt_cost=2**10), b"p")


def test_secrets_do_not_print_travel_or_copy(four: CompositeDealing) -> None:
    share = four.key_shares[0]
    secrets = [part._secret for part in share.factor_shares]
    for text in (repr(share), str(share), repr([share]), repr(share.public_key)):
        assert not any(str(secret) in text or f"{secret:x}" in text for secret in secrets)
    for refuse in (
        lambda: pickle.dumps(share),
        lambda: copy.copy(share),
        lambda: copy.deepcopy(share),
        share.__getstate__,
    ):
        with pytest.raises(TypeError, match="seal_key_share"):
            refuse()
    with pytest.raises(AttributeError, match="cannot be changed"):
        share._shares = ()
    with pytest.raises(AttributeError, match="cannot be changed"):
        del share._shares
    assert not hasattr(share, "__dict__")


def test_sessions_requests_and_evidence(four: CompositeDealing) -> None:
    key = four.public_key
    good = sign(four, "compact")
    session = SigningSession(key, MESSAGE)
    liar = spoil(good[0], 2)
    assert [session.add(share) for share in (liar, *good[1:3])] == [None, None, None]
    assert session.culprits == (1,)
    (evidence,) = session.evidence
    evidence.check(key)
    assert evidence.reason == "factor 2: the proof of correctness does not hold"
    with pytest.raises(ValueError, match="not proven bad"):
        replace(evidence, share=good[0]).check(key)
    assert session.add(good[3]) == key.combine(MESSAGE, good)
    request = SigningRequest.from_bytes(SigningRequest(key.key_id, Scheme.PSS_SHA256, MESSAGE).to_bytes())
    signature = request.combine(key, (request.sign_share(share) for share in four.key_shares))
    key.verify(MESSAGE, signature, Scheme.PSS_SHA256)
    for part in four.factors:
        with pytest.raises(InvalidRequest, match="for the key"):
            request.sign_share(part.key_shares[0])
    with pytest.raises(CombineFailed) as failure:
        request.combine(key, [spoil(share, 1) for share in sign(four)[:3]])
    assert (failure.value.culprits, failure.value.unproven) == ((), (1, 2, 3))
    with pytest.raises(NotEnoughShares):
        key.combine(MESSAGE, good[:2])


def test_trial_signatures_are_of_all_factors(four: CompositeDealing) -> None:
    signatures = combine_trials(four.public_key, [sign_trials(share) for share in four.key_shares])
    check_trials(four.public_key, signatures)
    with pytest.raises(InvalidKey):
        check_trials(composite(4, 3, 1, factors=3).public_key, signatures)


@NEEDS_SSH
def test_ssh_keygen_reads_a_certificate(real: CompositeDealing, tmp_path: Path) -> None:
    key = ThresholdPrivateKey(real.public_key, members(real))  # type: ignore[arg-type]
    user = ed25519.Ed25519PrivateKey.generate().public_key()
    builder = serialization.SSHCertificateBuilder().public_key(user).key_id(b"ada@example")
    builder = builder.type(serialization.SSHCertificateType.USER).valid_principals([b"ada"])
    builder = builder.valid_after(0).valid_before(2**40).serial(7)
    request = prepare(real.public_key, builder.sign)
    signature = request.combine(real.public_key, [request.sign_share(share) for share in real.key_shares])
    line = finish_ssh_certificate(real.public_key, request, signature)
    serialization.load_ssh_public_identity(line).verify_cert_signature()  # type: ignore[union-attr]
    (tmp_path / "ada-cert.pub").write_bytes(line + b"\n")
    (tmp_path / "made-cert.pub").write_bytes(builder.sign(key).public_bytes() + b"\n")
    for name in ("ada-cert.pub", "made-cert.pub"):
        assert "(using rsa-sha2-512)" in run(tmp_path, "ssh-keygen", "-L", "-f", name)


@NEEDS_OPENSSL
def test_documents_by_a_private_key_that_nobody_has(real: CompositeDealing, tmp_path: Path) -> None:
    key = ThresholdPrivateKey(real.public_key, members(real))  # type: ignore[arg-type]
    authority = root(key.public_key()).sign(key, hashes.SHA256())
    request = prepare(
        real.public_key, lambda asked: leaf(key.public_key(), key.public_key()).sign(asked, hashes.SHA256())
    )
    signature = request.combine(real.public_key, [request.sign_share(s) for s in real.key_shares])
    server = x509.load_der_x509_certificate(finish_x509(real.public_key, request, signature))
    server.verify_directly_issued_by(authority)
    token = jwt.encode({"sub": "all"}, key, "RS256")
    assert jwt.decode(token, real.public_key.to_pem(), ["RS256"]) == {"sub": "all"}
    with pytest.raises(InvalidRequest, match="not an SSH certificate"):
        finish_ssh_certificate(real.public_key, request, signature)


# -- trap 18: what dealers and members may do to the product -----------------------------------------------


def test_trap_18_a_product_is_not_shorter_than_promised() -> None:
    """Dealers who do not know of each other make a product that is some bits short in a part of cases."""
    careless = [factor(2, 1, 0, place, factors=1) for place in range(6)]
    pairs = list(combinations((dealt.public_key for dealt in careless), 2))
    short = [pair for pair in pairs if (pair[0].modulus * pair[1].modulus).bit_length() < 1024]
    assert 0 < len(short) < len(pairs)
    with pytest.raises(InvalidKey, match=r"has 1023 bits instead of 1024: .*factors=2"):
        CompositePublicKey(short[0], insecure_small_key=True)
    for count in range(2, 8):
        least = 1 - Fraction(1, 4 * count)  # of p and q, in parts of what they could be
        assert least ** (2 * count) >= Fraction(1, 2)
        for place in (1, count):
            modulus = factor(3, 2, 1, place, factors=count).public_key.modulus
            assert modulus > (1 - Fraction(1, 2 * count)) * 2**512
    for wrong in (0, 8, -1, True, 2.0, None):
        with pytest.raises(InvalidKey, match="factors = "):
            generate_threshold_key(4, 3, 1, 512, factors=wrong, insecure_small_key=True)  # type: ignore[arg-type]


def test_trap_18_equal_and_related_factors_are_refused(four: CompositeDealing) -> None:
    first = four.factors[0].public_key
    again = replace(first, verification_base=pow(first.verification_base, 2, first.modulus))
    for copied in (first, again):
        with pytest.raises(InvalidKey, match="factors 1 and 2 are the same modulus"):
            CompositePublicKey((first, copied), insecure_small_key=True)
    a, b, c = PRIMES[1024][:3]
    one, other = (_from_primes(a, b), _from_primes(a, c))
    with pytest.raises(InvalidKey, match="factors 1 and 2 have a prime in common"):
        CompositePublicKey((one, other))


def _from_primes(p: int, q: int) -> ThresholdPublicKey:
    """One party's key, with numbers that have the right Jacobi symbols."""
    below = random.Random(p ^ q).randrange
    base = _generator_of_squares(p * q, below)
    return ThresholdPublicKey(p * q, E, 1, 1, 0, 0, base, (base,), _nonresidue(p * q, below))


def test_trap_18_factors_that_differ_are_refused(four: CompositeDealing) -> None:
    first = four.factors[0].public_key
    others = {
        "parties": factor(5, 3, 1, 2),
        "threshold": factor(4, 2, 1, 2),
        "corruptions": factor(4, 3, 0, 2),
        "epoch": factor(4, 3, 1, 2, epoch=1),
        "protocol": factor(4, 3, 1, 2, protocol=3),
        "key_size": factor(4, 3, 1, 2, key_size=640),
    }
    for name, other in others.items():
        with pytest.raises(InvalidKey, match=f"factor 2 has {name} = "):
            CompositePublicKey((first, other.public_key), insecure_small_key=True)
    integers = [factor(4, 3, 1, place, protocol=3).public_key for place in (1, 2)]
    for name in ("index_bound", "secret_bits"):
        longer = replace(integers[1], **{name: getattr(integers[1], name) + 1})
        with pytest.raises(InvalidKey, match=f"factor 2 has {name} = "):
            CompositePublicKey((integers[0], longer), insecure_small_key=True)
    with pytest.raises(InvalidKey, match="public exponent"):
        replace(first, public_exponent=3)


def test_trap_18_counts_sizes_and_types_are_refused(four: CompositeDealing) -> None:
    keys = tuple(dealt.public_key for dealt in composite(3, 2, 1, factors=7).factors)
    extra = factor(3, 2, 1, 8, factors=7).public_key
    for wrong in ((), keys[:1], (*keys, extra)):
        with pytest.raises(InvalidKey, match=r"2\.\.7 factors"):
            CompositePublicKey(wrong, insecure_small_key=True)
    for wrong in (list(keys), (keys[0], "key"), (keys[0], four.public_key)):
        with pytest.raises(InvalidKey, match="tuple of threshold public keys"):
            CompositePublicKey(wrong, insecure_small_key=True)  # type: ignore[arg-type]
    simple = tuple(factor(3, 2, 1, place, protocol=1).public_key for place in (1, 2))
    with pytest.raises(InvalidKey, match="Protocol 2 or 3"):
        CompositePublicKey(simple, insecure_small_key=True)
    long = of_real_size(3, 2, 1, 4, 4096)
    assert long.public_key.key_size == KEY_SIZE_MAX
    with pytest.raises(InvalidKey, match="20480 bits are too many"):
        check_factors((*(dealt.public_key for dealt in long.factors), long.factors[0].public_key))
    many = tuple(_many_parties(part.public_key) for part in four.factors)
    with pytest.raises(InvalidKey, match="for 256 at most"):
        CompositePublicKey(many, insecure_small_key=True)


def _many_parties(key: ThresholdPublicKey) -> ThresholdPublicKey:
    return replace(key, parties=257, verification_keys=key.verification_keys[:1] * 257)


def test_trap_18_short_factors_are_for_tests_only(four: CompositeDealing, real: CompositeDealing) -> None:
    factors = four.public_key.factors
    with pytest.raises(InvalidKey, match="factors of 512 bits can be factored"):
        CompositePublicKey(factors)
    assert CompositePublicKey(real.public_key.factors) == real.public_key


def test_trap_18_a_share_has_all_factors_or_is_none(four: CompositeDealing) -> None:
    key, (one, other, *_) = four.public_key, sign(four, "compact")
    first, second = (part.modulus for part in key.factors)
    wrong = [
        replace(one, value=one.value[:1]),
        replace(one, value=(*one.value, 4)),
        replace(one, value=list(one.value)),
        replace(one, value=(one.value[0], None)),
        replace(one, value=(0, one.value[1])),
        replace(one, value=(one.value[0], second - one.value[1])),
        replace(one, value=(first, one.value[1])),
        replace(one, value=(one.value[0], True)),
        replace(one, proof=one.proof[:1]),
        replace(one, proof=(*one.proof, one.proof[0])),
        replace(one, proof=(one.proof[0], None)),
        replace(one, proof=(None, None)),
        replace(one, proof=()),
        replace(one, proof=(one.proof[0], sign(four, "batchable")[0].proof[1])),
        replace(one, proof=list(one.proof)),
        replace(one, index=5),
        replace(one, index=0),
    ]
    for share in wrong:
        for refuse in (
            lambda share=share: key.verify_share(MESSAGE, share),
            lambda share=share: share.to_bytes(key),
            lambda share=share: SigningSession(key, MESSAGE).add(share),
        ):
            with pytest.raises(InvalidShare):
                refuse()
    good = sign(four)
    expected = key.combine(MESSAGE, good[1:])
    for share in wrong[:-2]:
        assert key.combine(MESSAGE, [share, *good[1:]]) == expected
    for share in wrong[:8]:
        with pytest.raises(CombineFailed) as failure:
            key.combine(MESSAGE, [share, *good[1:3]])
        assert failure.value.culprits == (1,), "its form convicts it"
    for share in wrong[-2:]:
        with pytest.raises(InvalidShare, match=r"an integer of 1\.\.4"):
            key.combine(MESSAGE, [share, *good])
    for foreign in (SignatureShare(1, one.value[0]), None, b"share"):
        for refuse in (
            lambda share=foreign: key.verify_share(MESSAGE, share),
            lambda share=foreign: key.combine(MESSAGE, [share, *good]),
            lambda share=foreign: SigningSession(key, MESSAGE).add(share),
        ):
            with pytest.raises(TypeError, match="expected a CompositeSignatureShare"):
                refuse()
    with pytest.raises(TypeError, match="expected a SignatureShare"):
        four.factors[0].public_key.combine(MESSAGE, [one, other])


def test_trap_18_a_key_share_has_all_factors_or_is_none(four: CompositeDealing) -> None:
    key = four.public_key
    first, second = (dealt.key_shares for dealt in four.factors)
    for shares, reason in (
        ((), "a tuple of 2 key shares"),
        ((first[0],), "a tuple of 2 key shares"),
        ([first[0], second[0]], "a tuple of 2 key shares"),
        ((first[0], second[0], second[0]), "a tuple of 2 key shares"),
        ((second[0], first[0]), "factor 1: the key share is of another key"),
        ((first[0], first[0]), "factor 2: the key share is of another key"),
        ((first[0], None), "factor 2: the key share is of another key"),
        ((first[0], second[1]), "factor 2: the key share is member 2's, the first is member 1's"),
    ):
        with pytest.raises(InvalidKey, match=reason):
            CompositeKeyShare(key, shares)  # type: ignore[arg-type]
    wrong = CompositeKeyShare(key, (first[0], KeyShare(key.factors[1], 1, 5)))
    with pytest.raises(InvalidKey, match="factor 2: key share 1 does not match"):
        wrong.check()
    four.key_shares[0].check()


@pytest.mark.parametrize("place", [1, 2])
def test_trap_18_one_factors_wrong_share_names_its_member(four: CompositeDealing, place: int) -> None:
    key, expected = four.public_key, four.public_key.combine(MESSAGE, sign(four))
    for form in ("compact", "batchable"):
        made = sign(four, form)
        bad = spoil(made[1], place)
        assert key.combine(MESSAGE, [made[0], bad, *made[2:]]) == expected
        with pytest.raises(CombineFailed) as failure:
            key.combine(MESSAGE, [made[0], bad, made[2]])
        assert not isinstance(failure.value, BadFactor)
        assert (failure.value.culprits, failure.value.unproven) == ((2,), ())
    made = sign(four)
    with pytest.raises(CombineFailed) as failure:
        key.combine(MESSAGE, [made[0], spoil(made[1], place), made[2]])
    assert (failure.value.culprits, failure.value.unproven) == ((), (1, 2, 3))


def test_trap_18_a_verification_key_that_does_not_fit_names_its_factor(four: CompositeDealing) -> None:
    first, second = four.public_key.factors
    keys = (second.verification_keys[1], *second.verification_keys[1:])
    key = CompositePublicKey((first, replace(second, verification_keys=keys)), insecure_small_key=True)
    with pytest.raises(InvalidKey, match="factor 2: the verification keys are not a dealing"):
        key.check_dealing()


def _parts(dealing: CompositeDealing) -> tuple[Representative, ...]:
    return dealing.public_key.represent(MESSAGE, Scheme.PKCS1V15_SHA256).parts


def test_trap_18_what_proves_a_factor_proves_nothing_elsewhere() -> None:
    """Alone, in another composite key, at another place, the proof of the same value of the same x fails."""
    three = composite(4, 3, 1, factors=3)
    first, second, third = three.public_key.factors
    whole = CompositePublicKey((first, second), insecure_small_key=True)
    shares = CompositeKeyShare(whole, tuple(dealt.key_shares[0] for dealt in three.factors[:2]))
    made = shares.sign_share(MESSAGE, proof="compact").parts[0]
    (here, _) = whole.represent(MESSAGE, Scheme.PKCS1V15_SHA256).parts
    proofs.check_compact(first, 1, here, made.value, made.proof)
    contexts = {first.key_id, here.context}
    for factors, place in (((second, first), 1), ((first, third), 0), ((first, second, third), 0)):
        other = CompositePublicKey(factors, insecure_small_key=True)
        contexts.add(other.contexts[place])
    assert len(contexts) == 5
    for context in contexts - {here.context}:
        there = represent_number(first, here.encoded, context)
        assert there.base == here.base
        with pytest.raises(InvalidShare, match="does not hold"):
            proofs.check_compact(first, 1, there, made.value, made.proof)
    # And whole shares: PKCS#1 encodes alike for keys of one length, so the values are the same here.
    sibling = CompositePublicKey((first, third), insecure_small_key=True)
    foreign = CompositeKeyShare(sibling, (three.factors[0].key_shares[0], three.factors[2].key_shares[0]))
    share = foreign.sign_share(MESSAGE, proof="compact")
    own = shares.sign_share(MESSAGE, proof="compact")
    assert share.value[0] == own.value[0]
    mixed = CompositeSignatureShare(1, own.value, (share.proof[0], own.proof[1]))
    with pytest.raises(InvalidShare, match="factor 1: the proof"):
        whole.verify_share(MESSAGE, mixed)
    # What a member signs with a factor alone is another number altogether.
    alone = three.factors[0].key_shares[0].sign_share(MESSAGE, proof="compact")
    assert alone.value != own.value[0]


def test_trap_18_each_factor_has_its_own_nonces(
    four: CompositeDealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    real = proofs.draw_nonce

    def spy(key: ThresholdPublicKey) -> proofs.Nonce:
        nonce = real(key)
        drawn.append((key, nonce.exponent))
        return nonce

    monkeypatch.setattr(single.proofs, "draw_nonce", spy)
    share = compose(four.factors).key_shares[0]
    share.sign_share(MESSAGE, proof="compact")
    assert [key for key, _ in drawn] == list(four.public_key.factors)
    share.precompute(2)
    assert len(drawn) == 6
    share.sign_share(MESSAGE, proof="batchable")
    share.sign_share(MESSAGE, proof="batchable")
    assert len({exponent for _, exponent in drawn}) == len(drawn) == 6
    share.sign_share(MESSAGE, proof="compact")
    assert len(drawn) == 8


def test_trap_18_a_dealer_is_bound_before_it_sees_the_others(four: CompositeDealing) -> None:
    key, other = (dealt.public_key for dealt in four.factors)
    nonce = new_commitment_nonce()
    commitment = commit(key, nonce)
    check_opening(commitment, key, nonce)
    squared = pow(key.verification_base, 2, key.modulus)
    swapped = (key.verification_keys[1], key.verification_keys[0], *key.verification_keys[2:])
    for changed in (
        other,
        replace(key, verification_base=squared),
        replace(key, verification_keys=swapped),
        replace(key, nonresidue=(key.nonresidue or 0) * 4 % key.modulus),
        replace(key, epoch=1),
        replace(key, threshold=2),
    ):
        with pytest.raises(InvalidOpening, match="leave this dealer out"):
            check_opening(commitment, changed, nonce)
    for wrong in (new_commitment_nonce(), nonce[:-1], b""):
        with pytest.raises(InvalidOpening):
            check_opening(commitment, key, wrong)
    for wrong in (commitment[:-1], b"", commitment + b"\0"):
        with pytest.raises(InvalidOpening):
            check_opening(wrong, key, nonce)
    with pytest.raises(TypeError, match="a commitment must be bytes, not str"):
        check_opening(commitment.hex(), key, nonce)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        commit(four.public_key, nonce)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="32 bytes"):
        commit(key, nonce[1:])
    domain = b"shoup-rsa/v1/composite/commitment\x00"
    assert commitment == hashlib.sha256(domain + nonce + key.to_bytes()).digest()


# -- a dealer that cheats ------------------------------------------------------------------------------------


def test_trap_18_a_modulus_without_roots_names_its_dealer() -> None:
    """e divides p - 1 of the second factor: its dealing and every proof are in order, but for the trials."""
    good = factor(4, 3, 1, 1, key_size=640)
    dealing = compose([good, spoilt_dealing(4, 3)])
    key = dealing.public_key
    key.check_dealing()
    made = sign(dealing, "compact")
    key.verify_shares(MESSAGE, made)
    for attempt in (
        lambda: key.combine(MESSAGE, made),
        lambda: SigningRequest(key.key_id, Scheme.PKCS1V15_SHA256, MESSAGE).combine(key, made),
        lambda: combine_trials(key, [sign_trials(share) for share in dealing.key_shares]),
    ):
        with pytest.raises(BadFactor, match=r"modulo factor \[2\]: its dealer has cheated") as failure:
            attempt()
        assert (failure.value.factors, failure.value.culprits, failure.value.unproven) == ((2,), (), ())
        assert str(pickle.loads(pickle.dumps(failure.value))) == str(failure.value)  # noqa: S301
    with pytest.raises(BadFactor, match=r"modulo factor \[2\]"):
        combine_trials(key, [sign_trials(share) for share in dealing.key_shares])
    with pytest.raises(InvalidKey, match="whoever made it"):
        check_trials(key, [bytes(key.signature_length - 1) + b"\1"] * 8)


LOW_ORDER = 7


@cache
def _with_low_order() -> tuple[Dealing, int]:
    """A factor whose dealer chose p with 7 | p - 1, and a square of order 7 modulo it."""
    dice = random.Random(7)

    def prime(bits: int, extra: int) -> int:
        lowest = (31 << bits - 6) // extra  # so that the product of the factors is long enough
        while True:
            rest = lowest + dice.randrange((1 << bits - 6) // extra) | 1
            half = extra * rest
            if half % 6 == 5 and isprime(rest) and isprime(2 * half + 1):
                return 2 * half + 1

    p, q = prime(256, LOW_ORDER), prime(256, 1)
    modulus, order = p * q, (p // 2) * (q // 2)
    base = _generator_of_squares(modulus, dice.randrange)
    coefficients = [pow(E, -1, order), *(dice.randrange(order) for _ in range(2))]
    scale = pow(factorial(4), -1, order)
    secrets = [scale * sum(a * i**c for c, a in enumerate(coefficients)) % order for i in range(1, 5)]
    images = tuple(pow(base, secret, modulus) for secret in secrets)
    key = ThresholdPublicKey(modulus, E, 4, 3, 1, 0, base, images, _nonresidue(modulus, dice.randrange))
    element = next(
        power for x in range(2, 99) if (power := pow(x, 2 * order // LOW_ORDER, modulus)) not in (0, 1)
    )
    return Dealing(key, tuple(KeyShare(key, i, s) for i, s in enumerate(secrets, start=1))), element


def test_trap_18_values_of_low_order_pass_their_proof_and_stop_nobody() -> None:
    """The dealer of a factor tells a member how to prove a wrong value: the others' sets are tried."""
    cheating, element = _with_low_order()
    dealing = compose([factor(4, 3, 1, 1), cheating])
    key = dealing.public_key
    assert pow(element, LOW_ORDER, key.factors[1].modulus) == 1
    key.check_dealing()
    made = sign(dealing, "compact")
    part = _parts(dealing)[1]
    modulus, secret = part.key.modulus, cheating.key_shares[0]._secret
    wrong = made[0].value[1] * element % modulus
    wrong = min(wrong, modulus - wrong)
    while True:  # one challenge in seven is a multiple of seven, and does not see the element
        proof = proofs.prove(part.key, 1, secret, part, wrong, proofs.draw_nonce(part.key))
        if proof.challenge % LOW_ORDER == 0:
            break
    liar = CompositeSignatureShare(1, (made[0].value[0], wrong), (made[0].proof[0], proof))
    key.verify_share(MESSAGE, liar)
    assert key.combine(MESSAGE, [liar, *made[1:]]) == key.combine(MESSAGE, made[1:])
    session = SigningSession(key, MESSAGE)
    assert [session.add(share) for share in (liar, made[1], made[2])] == [None] * 3
    assert session.failure().factors == (2,)
    assert session.add(made[3]) == key.combine(MESSAGE, made[1:])
    with pytest.raises(BadFactor) as failure:
        key.combine(MESSAGE, [liar, made[1], made[2]])
    assert failure.value.factors == (2,)


def test_the_search_for_a_set_is_bounded(four: CompositeDealing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can make proofs hold for nonsense cannot make others count for hours."""
    tried = []
    monkeypatch.setattr(combining, "SETS_MAX", 2)
    monkeypatch.setattr(combining.combine, "is_root", lambda part, root: tried.append(root))
    represented = four.public_key.represent(MESSAGE, Scheme.PKCS1V15_SHA256)
    assert represented.search(sign(four, "compact")) is None
    assert len(tried) == 2 * len(represented.parts)


@pytest.mark.parametrize(("count", "threshold"), [(3, 3), (6, 5), (7, 4), (16, 11)])
def test_the_search_for_a_set_leaves_none_out_and_finds_few_liars_soon(count: int, threshold: int) -> None:
    shares = [SignatureShare(index, 1) for index in range(1, count + 1)]
    sets = [tuple(share.index for share in chosen) for chosen in combining._sets(shares, threshold)]
    assert len(set(sets)) == len(sets) == comb(count, threshold) <= combining.SETS_MAX
    assert all(len(set(chosen)) == threshold for chosen in sets)
    for liar in range(1, count + 1) if count > threshold else ():
        assert any(liar not in chosen for chosen in sets[: count + 1])
