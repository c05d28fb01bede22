"""The traps of threshold RSA, each of which has been fallen into by somebody, each with its test."""

from __future__ import annotations

import copy
import inspect
import pickle
import random
import traceback
from dataclasses import fields, replace
from fractions import Fraction
from itertools import combinations, count
from math import factorial

import pytest
from sympy import isprime

import shoup_rsa
from shoup_rsa import (
    CombineFailed,
    Dealing,
    InvalidKey,
    InvalidShare,
    InvalidSignature,
    KeyShare,
    Proof,
    Scheme,
    SignatureShare,
    ThresholdPublicKey,
    _arith,
    generate_threshold_key,
    open_key_share,
    seal_key_share,
)
from shoup_rsa import proof as proofs
from shoup_rsa.encoding import represent
from shoup_rsa.lagrange import lagrange_at_zero
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_combining import MESSAGE, sign, spoil
from tests.shoup_rsa.test_vectors import KEYS
from tests.shoup_rsa.twin import lagrange, opened_share


def canonical(dealing: Dealing, value: int) -> int:
    value %= dealing.public_key.modulus
    return min(value, dealing.public_key.modulus - value)


def test_trap_01_the_nonce_is_long_enough_to_hide_the_secret(six: Dealing) -> None:
    key, share = six.public_key, six.key_shares[0]
    x = represent(key, MESSAGE, Scheme.PKCS1V15_SHA256)
    value = share.sign_share(MESSAGE).value
    bounds = []

    def record(bound: int) -> int:
        bounds.append(bound)
        return random.Random(len(bounds)).randrange(bound)

    for _ in range(20):
        proof = proofs.prove(key, 1, share._secret, x, value, proofs.draw_nonce(key, record))
        assert isinstance(proof, Proof)
        guess = proof.response // proof.challenge
        assert guess > share._secret << 100, "the response says nothing about the secret's size"
    assert set(bounds) == {2 ** (512 + 2 * 128) - 1}


def test_trap_02_the_challenge_is_an_unsigned_number(six: Dealing) -> None:
    key, share = six.public_key, six.key_shares[0]
    x, value = represent(key, MESSAGE, Scheme.PKCS1V15_SHA256), share.sign_share(MESSAGE).value
    high = 0
    for seed in range(40):
        drawn: list[int] = []
        generator = random.Random(seed)

        def record(bound: int, generator: random.Random = generator, drawn: list[int] = drawn) -> int:
            drawn.append(generator.randrange(bound))
            return drawn[-1]

        proof = proofs.prove(key, 1, share._secret, x, value, proofs.draw_nonce(key, record))
        assert isinstance(proof, Proof)
        assert 0 <= proof.challenge < 2**128
        assert proof.response == share._secret * proof.challenge + drawn[0] + 1
        high += proof.challenge >> 127
        key.verify_share(MESSAGE, SignatureShare(1, value, proof))
    assert 5 < high < 35, "the highest bit must occur, and be counted as positive"


def test_trap_03_negated_share_is_refused(six: Dealing) -> None:
    key = six.public_key
    share = six.key_shares[0].sign_share(MESSAGE, proof="compact")
    negated = replace(share, value=key.modulus - share.value)
    assert isinstance(share.proof, Proof)
    # The proof itself holds for both: it is the canonical form that tells them apart.
    x = represent(key, MESSAGE, Scheme.PKCS1V15_SHA256)
    proofs.check_compact(key, 1, x, negated.value, share.proof)
    with pytest.raises(InvalidShare, match="canonical"):
        key.verify_share(MESSAGE, negated)
    encoded = share.to_bytes(key)
    forged = encoded[:4] + negated.value.to_bytes(64, "big") + encoded[68:]
    with pytest.raises(InvalidShare, match="canonical"):
        SignatureShare.from_bytes(key, forged)


def test_trap_04_two_cancelling_corrupt_shares_do_not_frame_an_honest_one(deal: Deal) -> None:
    dealing = deal(7, 4, 3)
    key = dealing.public_key
    honest = sign(dealing, proof="compact")
    signature = key.combine(MESSAGE, honest)
    # Members 1 and 2 multiply their shares by t^lambda_2 and t^-lambda_1, which cancels in the quorum 1..4.
    _, (first, second, *_) = lagrange_at_zero((1, 2, 3, 4))
    corrupt = [
        replace(honest[0], value=canonical(dealing, honest[0].value * pow(3, second, key.modulus))),
        replace(honest[1], value=canonical(dealing, honest[1].value * pow(3, -first, key.modulus))),
    ]
    assert corrupt[0] != honest[0]
    assert key.combine(MESSAGE, [*corrupt, *honest[2:4]]) == signature, "valid, although two shares are bad"

    # With member 5 in place of 2 the combination fails. The one to blame is 1, not the newcomer 5.
    with pytest.raises(CombineFailed) as failure:
        key.combine(MESSAGE, [corrupt[0], honest[2], honest[3], honest[4]])
    assert (failure.value.culprits, failure.value.unproven) == ((1,), ())
    # And without proofs nobody is.
    bare = [replace(share, proof=None) for share in (corrupt[0], honest[2], honest[3], honest[4])]
    with pytest.raises(CombineFailed) as failure:
        key.combine(MESSAGE, bare)
    assert (failure.value.culprits, failure.value.unproven) == ((), (1, 3, 4, 5))
    # With enough honest shares there is a signature whatever the corrupt do.
    assert key.combine(MESSAGE, [*corrupt, *honest[2:]]) == signature


def test_trap_05_no_modulus_comes_from_outside(six: Dealing) -> None:
    assert list(inspect.signature(KeyShare.sign_share).parameters) == ["self", "message", "scheme", "proof"]
    with pytest.raises(AttributeError):
        six.key_shares[0]._public_key = six.public_key
    with pytest.raises(AttributeError):
        six.key_shares[0].public_key = six.public_key  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del six.key_shares[0]._secret
    # Moduli in which discrete logarithms are easy are no keys at all.
    power_of_three = next(3**n for n in count() if (3**n).bit_length() == 512)
    prime = next(n for n in count(2**511 + 1, 2) if n % 12 == 1 and isprime(n))
    square = next(n * n for n in count(2**255 + 2**254 + 1, 2) if _arith.is_prime(n, ()))
    small_factor = next(
        1999 * n for n in count(2**501 + 1, 2) if 1999 * n % 12 == 1 and _arith.is_prime(n, ())
    )
    # Of primes that are not safe, two remainders tell most: 3 modulo 4 and 2 modulo 3 is what safe ones are.
    first = next(n for n in count(2**256 - 1, -1) if n % 12 == 11 and isprime(n))
    unsafe = [
        next(n * first for n in count(2**256 - 13, -1) if n % 12 == r and isprime(n)) for r in (1, 5, 7)
    ]
    for modulus, reason in (
        (power_of_three, "safe primes"),
        (small_factor, "safe primes"),
        *((modulus, "safe primes") for modulus in unsafe),
        (2**512 - 1, "safe primes"),
        (2**511, "safe primes"),
        (prime, "a prime or a perfect power"),
        (square, "a prime or a perfect power"),
    ):
        with pytest.raises(InvalidKey, match=reason):
            replace(six.public_key, modulus=modulus)


def test_trap_06_a_giant_response_is_refused_before_any_computing(
    six: Dealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = six.public_key
    share = six.key_shares[0].sign_share(MESSAGE, proof="compact")
    assert isinstance(share.proof, Proof)

    def never(*_: object) -> int:
        raise RuntimeError("no exponentiation may happen")

    for name in ("power", "secret_power", "product_of_powers", "long_table", "short_table"):
        monkeypatch.setattr(_arith, name, never)
    bound = proofs.response_bound(512)
    for response in (bound, bound << 1_000_000, -1):
        with pytest.raises(InvalidShare, match="response is out of range"):
            key.verify_share(MESSAGE, replace(share, proof=Proof(share.proof.challenge, response)))
    for challenge in (-1, 2**128, 1 << 1_000_000):
        with pytest.raises(InvalidShare, match="challenge"):
            key.verify_share(MESSAGE, replace(share, proof=Proof(challenge, share.proof.response)))
    encoded = share.to_bytes(key)
    with pytest.raises(InvalidShare, match="response is out of range"):
        SignatureShare.from_bytes(key, encoded[:-97] + b"\xff" * 97)


def test_trap_06_a_giant_response_does_not_slow_the_hunt_for_culprits(
    six: Dealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = sign(six, proof="compact")[:5]
    for number, giant in ((0, Proof(1, 1 << 1_000_000)), (1, Proof(1 << 1_000_000, 1))):
        shares[number] = replace(spoil(six, shares[number]), proof=giant)
    real_power = _arith.power

    def bounded(base: int, exponent: int, modulus: int) -> int:
        if exponent.bit_length() > 1000:
            raise RuntimeError("an exponent of this size must have been refused")
        return real_power(base, exponent, modulus)

    monkeypatch.setattr(_arith, "power", bounded)
    with pytest.raises(CombineFailed) as failure:
        six.public_key.combine(MESSAGE, shares)
    assert failure.value.culprits == (1, 2)


def test_trap_07_verification_keys_do_not_come_from_the_share(six: Dealing) -> None:
    assert [field.name for field in fields(SignatureShare)] == ["index", "value", "proof"]
    assert [field.name for field in fields(Proof)] == ["challenge", "response"]
    # Somebody without a share makes one up, with a flawless proof under verification keys of its own.
    key = six.public_key
    forged_key = replace(
        key, verification_keys=(pow(key.verification_base, 99, key.modulus), *key.verification_keys[1:])
    )
    forged = KeyShare(forged_key, 1, 99).sign_share(MESSAGE, proof="compact")
    forged_key.verify_share(MESSAGE, forged)
    with pytest.raises(InvalidShare, match="does not hold"):
        key.verify_share(MESSAGE, forged)


def test_trap_08_a_members_file_holds_nothing_of_the_dealers_secret() -> None:
    """The plaintext of a sealed share is s_i modulo m and nothing else: no m, p, q, d or polynomial."""
    assert KeyShare.__slots__ == ("_blinding", "_index", "_nonces", "_public_key", "_secret")
    key = next(entry for entry in KEYS if entry["parties"] == 4)
    p, q = int(key["p"], 16), int(key["q"], 16)
    order = (p - 1) // 2 * ((q - 1) // 2)
    share = open_key_share(key["sealed_share_1"].encode(), key["passphrase"].encode())
    assert share._secret == int(key["secrets"][0], 16)
    assert 0 < share._secret < order
    resealed = seal_key_share(share, b"secret", scrypt_cost=2**10)
    for pem, passphrase in (
        (key["sealed_share_1"].encode(), key["passphrase"].encode()),
        (resealed, b"secret"),
    ):
        assert opened_share(pem, passphrase) == share._secret.to_bytes(64, "big")


def test_trap_08_the_dealer_returns_nothing_else() -> None:
    assert [field.name for field in fields(Dealing)] == ["public_key", "key_shares"]
    public = [field.name for field in fields(ThresholdPublicKey)]
    assert public == [
        "modulus",
        "public_exponent",
        "parties",
        "threshold",
        "corruptions",
        "epoch",
        "verification_base",
        "verification_keys",
        "nonresidue",
        "protocol",
        "index_bound",
        "secret_bits",
        "origin",
    ]


@pytest.mark.parametrize("index", [0, -1, 7, 2**16, True, 1.0, None])
def test_trap_09_indices_out_of_range_are_refused(six: Dealing, index: int) -> None:
    key, good = six.public_key, sign(six, proof="none")
    share = SignatureShare(index, 4, Proof(1, 1))
    for attempt in (
        lambda: key.verify_share(MESSAGE, share),
        lambda: share.to_bytes(key),
        lambda: key.combine(MESSAGE, [*good, share]),
    ):
        with pytest.raises(InvalidShare, match=r"1\.\.6"):
            attempt()
    with pytest.raises(InvalidKey, match=r"1\.\.6"):
        KeyShare(key, index, 5)
    if type(index) is int and 0 <= index < 2**16:
        encoded = good[0].to_bytes(key)
        with pytest.raises(InvalidShare, match=r"1\.\.6"):
            SignatureShare.from_bytes(key, encoded[:2] + index.to_bytes(2, "big") + encoded[4:])


def test_trap_09_duplicates_are_refused(six: Dealing) -> None:
    shares = sign(six, proof="none")
    with pytest.raises(InvalidShare, match="two different shares") as failure:
        six.public_key.combine(MESSAGE, [*shares[:5], spoil(six, shares[0])])
    assert failure.value.index == 1


def test_trap_10_lagrange_is_exact_for_large_alliances() -> None:
    """Divisions of floats or of truncated integers go wrong from some twenty members on."""
    chooser = random.Random(0)
    for parties in (16, 31, 64, 256):
        indices = tuple(sorted(chooser.sample(range(1, parties + 1), parties * 2 // 3)))
        least, coefficients = lagrange_at_zero(indices)
        scaled = [Fraction(c * factorial(parties), least) for c in coefficients]
        assert scaled == lagrange(parties, indices)


def test_trap_11_values_with_a_factor_of_the_modulus_are_refused() -> None:
    key = next(entry for entry in KEYS if entry["parties"] == 4)
    public_key = ThresholdPublicKey.from_bytes(bytes.fromhex(key["public_key"]))
    factor = int(key["p"], 16)
    honest = [KeyShare(public_key, i + 1, int(s, 16)) for i, s in enumerate(key["secrets"])]
    shares = [share.sign_share(MESSAGE) for share in honest]
    for index, value in ((1, factor), (2, factor), (3, 2 * factor)):
        bad = SignatureShare(index, value, Proof(1, 1))
        with pytest.raises(InvalidShare, match="common factor"):
            public_key.verify_share(MESSAGE, bad)
        encoded = shares[1].to_bytes(public_key)
        with pytest.raises(InvalidShare, match="common factor"):
            SignatureShare.from_bytes(public_key, encoded[:4] + value.to_bytes(64, "big"))
        with pytest.raises(CombineFailed) as failure:
            public_key.combine(MESSAGE, [bad, *(share for share in shares[:3] if share.index != index)])
        assert failure.value.culprits == (index,)
        others = [share for share in shares if share.index != index]
        public_key.verify(MESSAGE, public_key.combine(MESSAGE, [bad, *others]))


def test_trap_12_the_public_exponent_is_above_the_parties(six: Dealing) -> None:
    with pytest.raises(InvalidKey, match="below the public exponent"):
        generate_threshold_key(65537, 2, 1, 512, insecure_small_key=True)
    for exponent in (1, 3, 5, 17, 65536, 65539):
        with pytest.raises(InvalidKey, match="65537"):
            replace(six.public_key, public_exponent=exponent)


def test_trap_13_one_secret_is_never_dealt_twice(deal: Deal) -> None:
    """No function takes a secret exponent or primes, so that no key can be dealt under two thresholds."""
    parameters = set(inspect.signature(generate_threshold_key).parameters)
    assert parameters == {
        "parties",
        "threshold",
        "corruptions",
        "key_size",
        "protocol",
        "epoch",
        "factors",
        "progress",
        "insecure_small_key",
        "random_below",
    }
    moduli = {deal(4, threshold, 1, seed=threshold).public_key.modulus for threshold in (2, 3)}
    assert len(moduli) == 2
    # The threshold is part of the key: shares do not move to a key that claims another one.
    key = deal(4, 3, 1).public_key
    with pytest.raises(InvalidKey, match="not a dealing"):
        replace(key, threshold=2).check_dealing()
    assert replace(key, threshold=2).key_id != key.key_id


def test_trap_14_a_proof_holds_for_one_key_epoch_index_and_message_only(deal: Deal, six: Dealing) -> None:
    key = six.public_key
    share = six.key_shares[0].sign_share(MESSAGE, proof="compact")
    key.verify_share(MESSAGE, share)
    with pytest.raises(InvalidShare, match="does not hold"):
        key.verify_share(MESSAGE + b".", share)
    with pytest.raises(InvalidShare, match="does not hold"):
        key.verify_share(MESSAGE, replace(share, index=2))
    for other in (replace(key, epoch=1), replace(key, corruptions=0), replace(key, nonresidue=_other(key))):
        with pytest.raises(InvalidShare, match="does not hold"):
            other.verify_share(MESSAGE, share)
    # Even a member with the very same secret and verification key: threshold 1 makes all of them equal.
    equal = deal(3, 1, 0)
    share = equal.key_shares[0].sign_share(MESSAGE, proof="compact")
    assert len(set(equal.public_key.verification_keys)) == 1
    with pytest.raises(InvalidShare, match="does not hold"):
        equal.public_key.verify_share(MESSAGE, replace(share, index=2))


def _other(key: ThresholdPublicKey) -> int:
    """Another nonresidue that leaves x of this message as it is, or changes it: either way another key."""
    return (key.nonresidue or 0) * 4 % key.modulus


def test_trap_15_secrets_do_not_print_travel_or_copy(six: Dealing) -> None:
    share = six.key_shares[0]
    secret = share._secret
    forms = {str(secret), f"{secret:x}", f"{secret:X}"}
    texts = [repr(share), str(share), f"{share}", repr(six), repr([share]), repr(six.public_key)]
    mismatched = KeyShare(six.public_key, 2, secret)
    for attempt in (
        mismatched.check,
        lambda: KeyShare(six.public_key, 0, secret),
        lambda: KeyShare(six.public_key, 1, secret + six.public_key.modulus),
        lambda: KeyShare(six.public_key, 1, -secret),
        lambda: share.sign_share("text"),  # type: ignore[arg-type]
    ):
        with pytest.raises((InvalidKey, TypeError)) as failure:
            attempt()
        texts.append("".join(traceback.format_exception_only(failure.value)))
        texts.append(repr(failure.value.args))
    for text in texts:
        assert not any(form in text for form in forms)
    for refuse in (
        lambda: pickle.dumps(share),
        lambda: pickle.dumps(six),
        lambda: copy.copy(share),
        lambda: copy.deepcopy(share),
        lambda: copy.deepcopy(six),
        share.__getstate__,
    ):
        with pytest.raises(TypeError, match="seal_key_share"):
            refuse()
    assert not hasattr(share, "__dict__")


def test_trap_16_leading_zeros_are_kept(six: Dealing) -> None:
    key = six.public_key
    found_signature = found_share = False
    for number in count():
        message = b"zero %d" % number
        shares = [share.sign_share(message) for share in six.key_shares[:5]]
        encoded = [share.to_bytes(key) for share in shares]
        assert {len(data) for data in encoded} == {68}
        signature = key.combine(message, [SignatureShare.from_bytes(key, data) for data in encoded])
        assert len(signature) == 64
        if signature[0] == 0:
            found_signature = True
            key.verify(message, signature)
            with pytest.raises(InvalidSignature):
                key.verify(message, signature.lstrip(b"\0"))
        found_share = found_share or any(data[4] == 0 for data in encoded)
        if found_signature and found_share:
            break


def test_trap_17_bad_shares_up_to_n_minus_k_stop_nobody(deal: Deal) -> None:
    dealing = deal(7, 4, 3)
    shares = sign(dealing, proof="compact")
    expected = dealing.public_key.combine(MESSAGE, shares)
    for bad in combinations(range(7), 3):
        mixed = [spoil(dealing, share) if i in bad else share for i, share in enumerate(shares)]
        assert dealing.public_key.combine(MESSAGE, mixed) == expected


def test_trap_18_keys_and_proofs_of_another_purpose_count_for_nothing(deal: Deal, six: Dealing) -> None:
    """One key a purpose: what another purpose's key signed, or its members proved, is refused here."""
    other = deal(6, 5, 1, seed=2)
    signature = other.public_key.combine(MESSAGE, sign(other, proof="none"))
    with pytest.raises(InvalidSignature):
        six.public_key.verify(MESSAGE, signature)
    for share in sign(other, proof="compact"):
        with pytest.raises(InvalidShare):
            six.public_key.verify_share(MESSAGE, share)
    # The hash of a proof has a domain of its own; what is signed has the caller's tags, as the package says.
    assert proofs._DOMAINS[2] == b"shoup-rsa/v1/protocol-2/share-proof\x00"
    assert len(set(proofs._DOMAINS.values())) == 3
    assert "one threshold and one purpose" in (shoup_rsa.__doc__ or "")
