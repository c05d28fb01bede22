"""The dealer: sizes with reasons, safe primes, exact lengths, and a dealing that everybody can check."""

from __future__ import annotations

import random
from dataclasses import replace
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import isprime, jacobi_symbol, n_order, primerange

from shoup_rsa import Dealing, InvalidKey, _arith, dealer, generate_threshold_key
from tests.shoup_rsa.conftest import Deal


def silent(stage: str, tried: int) -> None:
    pass


@pytest.mark.parametrize(
    ("parties", "threshold", "corruptions", "reason"),
    [
        (0, 0, 0, "at least 1"),
        (-1, 1, 0, "at least 1"),
        (65537, 5, 1, "below the public exponent"),
        (6, 0, 0, "1..6"),
        (6, 7, 0, "1..6"),
        (6, 5, -1, "negative"),
        (6, 5, 5, "corrupt members alone"),
        (6, 3, 3, "corrupt members alone"),
        (6, 5, 2, "honest members alone could not sign; at most 4"),
        (6.0, 5, 1, "integer"),
        (6, True, 0, "integer"),
    ],
)
def test_impossible_sizes_are_refused_with_the_reason(
    parties: int, threshold: int, corruptions: int, reason: str
) -> None:
    with pytest.raises(InvalidKey, match=reason):
        generate_threshold_key(parties, threshold, corruptions, 512, insecure_small_key=True)


@given(parties=st.integers(-2, 9), threshold=st.integers(-2, 10), corruptions=st.integers(-2, 10))
@settings(derandomize=True, deadline=None, database=None, max_examples=300)
def test_exactly_the_sizes_of_the_paper_are_accepted(parties: int, threshold: int, corruptions: int) -> None:
    from shoup_rsa.sizes import check_sizes

    possible = parties >= 1 and 0 <= corruptions < threshold <= parties - corruptions
    if possible:
        check_sizes(2, parties, threshold, corruptions, 0)
    else:
        with pytest.raises(InvalidKey):
            check_sizes(2, parties, threshold, corruptions, 0)


@pytest.mark.parametrize("key_size", [0, 384, 511, 513, 2047, 2049, 2100, 8320, 2048.0])
def test_odd_key_sizes_are_refused(key_size: int) -> None:
    with pytest.raises(InvalidKey, match="multiple of 128"):
        generate_threshold_key(4, 3, 1, key_size, insecure_small_key=True)


@pytest.mark.parametrize("epoch", [-1, 2**64])
def test_epochs_out_of_range_are_refused(epoch: int) -> None:
    with pytest.raises(InvalidKey, match="epoch"):
        generate_threshold_key(4, 3, 1, 512, epoch=epoch, insecure_small_key=True)


def test_small_keys_need_the_word_insecure() -> None:
    with pytest.raises(InvalidKey, match="insecure_small_key"):
        generate_threshold_key(4, 3, 1, 1920)


@pytest.mark.parametrize("key_size", [512, 640, 768, 896, 1024])
def test_the_modulus_has_exactly_the_stated_bits(deal: Deal, key_size: int) -> None:
    for seed in range(3):
        public_key = deal(2, 2, 0, seed=seed, key_size=key_size).public_key
        assert public_key.modulus.bit_length() == public_key.key_size == key_size


def test_the_primes_are_safe_and_far_apart() -> None:
    for seed in range(4):
        p, q = dealer._two_safe_primes(512, random.Random(seed).randrange, silent)
        for prime in (p, q):
            assert isprime(prime)
            assert isprime(prime // 2)
            assert prime.bit_length() == 256
            assert prime >> 254 == 3
        assert abs(p - q) > 1 << 156


def test_close_primes_are_dealt_again(monkeypatch: pytest.MonkeyPatch) -> None:
    primes = iter([3 << 254, (3 << 254) + (1 << 155), (3 << 254) + (1 << 156)])
    monkeypatch.setattr(dealer, "_safe_prime", lambda *_: next(primes))
    assert dealer._two_safe_primes(512, random.Random(0).randrange, silent) == (
        3 << 254,
        (3 << 254) + (1 << 156),
    )


@given(seed=st.integers(0, 2**32))
@settings(derandomize=True, deadline=None, database=None, max_examples=20)
def test_the_sieve_agrees_with_trial_division(seed: int) -> None:
    bits = 80
    start = random.Random(seed).getrandbits(bits - 1) | 1 << (bits - 2)
    start += (5 - start) % 6
    primes = list(primerange(5, bits**3 // 4096))
    expected = [
        offset
        for offset in range(bits * bits // 32)
        if all((start + 6 * offset) % r and (2 * (start + 6 * offset) + 1) % r for r in primes)
    ]
    assert dealer._sieve(start, bits) == expected


def test_v_generates_the_squares() -> None:
    """Of all numbers modulo a small N, exactly those are taken whose squares have the order m."""
    first, second = 11, 23
    modulus, order = first * second, first // 2 * (second // 2)
    for root in range(modulus):
        drawn = iter([root, 2])
        base = dealer._generator_of_squares(modulus, lambda _, drawn=drawn: next(drawn))  # type: ignore[misc]
        fits = gcd(root, modulus) == 1 and n_order(root * root % modulus, modulus) == order
        assert base == (root * root % modulus if fits else 4), root


def test_progress_is_reported() -> None:
    calls: list[tuple[str, int]] = []
    generate_threshold_key(
        3,
        2,
        1,
        512,
        progress=lambda stage, tried: calls.append((stage, tried)),
        insecure_small_key=True,
        random_below=random.Random(5).randrange,
    )
    stages = list(dict.fromkeys(stage for stage, _ in calls))
    assert stages == ["first prime", "second prime", "shares"]
    for stage in stages:
        counts = [tried for name, tried in calls if name == stage]
        assert counts[0] == 0
        assert counts == sorted(counts)


def test_two_dealings_differ_and_the_default_entropy_is_used() -> None:
    first, second = (generate_threshold_key(2, 2, 0, 512, insecure_small_key=True) for _ in range(2))
    assert first.public_key.modulus != second.public_key.modulus
    assert first.public_key.key_id != second.public_key.key_id
    assert first.public_key.epoch == 0


def test_every_share_and_the_whole_dealing_check_out(six: Dealing, real: Dealing) -> None:
    for dealing in (six, real):
        dealing.public_key.check_dealing()
        assert [share.index for share in dealing.key_shares] == list(range(1, dealing.public_key.parties + 1))
        for share in dealing.key_shares:
            share.check()
        public_key = dealing.public_key
        assert jacobi_symbol(public_key.nonresidue, public_key.modulus) == -1


@pytest.mark.parametrize(
    ("parties", "threshold", "corruptions"), [(6, 5, 1), (7, 3, 2), (4, 1, 0), (5, 5, 0)]
)
def test_check_dealing_notices_every_single_wrong_verification_key(
    deal: Deal, parties: int, threshold: int, corruptions: int
) -> None:
    public_key = deal(parties, threshold, corruptions).public_key
    for position in range(parties):
        keys = list(public_key.verification_keys)
        keys[position] = keys[position] * 4 % public_key.modulus
        with pytest.raises(InvalidKey, match="not a dealing"):
            replace(public_key, verification_keys=tuple(keys)).check_dealing()


def test_check_dealing_notices_two_polynomials_with_the_same_secret(deal: Deal) -> None:
    """Each half of the members agrees within itself; only windows across the halves show the fraud."""
    public_key = deal(4, 2, 1).public_key
    modulus, base = public_key.modulus, public_key.verification_base
    # v_j^(4!) = v^(f(j)): adding c * j to f multiplies v_j by v^(c j / 4!). Take c = 4!.
    keys = list(public_key.verification_keys)
    for index in (3, 4):
        keys[index - 1] = keys[index - 1] * pow(base, index, modulus) % modulus
    forged = replace(public_key, verification_keys=tuple(keys))
    with pytest.raises(InvalidKey, match="not a dealing"):
        forged.check_dealing()


@pytest.mark.parametrize(
    ("parties", "threshold", "corruptions"), [(4, 3, 1), (6, 5, 1), (7, 4, 3), (5, 2, 1)]
)
def test_the_polynomial_has_the_full_degree(
    deal: Deal, parties: int, threshold: int, corruptions: int
) -> None:
    """One member less than the threshold would interpolate another number than d."""
    public_key = deal(parties, threshold, corruptions).public_key
    assert len(set(public_key.verification_keys)) == parties
    for smaller in range(1, threshold):
        with pytest.raises(InvalidKey, match="not a dealing"):
            replace(public_key, threshold=smaller, corruptions=0).check_dealing()


def test_a_swapped_order_of_keys_is_noticed(six: Dealing) -> None:
    keys = six.public_key.verification_keys
    with pytest.raises(InvalidKey, match="not a dealing"):
        replace(six.public_key, verification_keys=(keys[1], keys[0], *keys[2:])).check_dealing()


def test_a_share_that_does_not_match_is_refused(six: Dealing) -> None:
    share = six.key_shares[0]
    for index, secret in ((2, share._secret), (1, share._secret + 1)):
        with pytest.raises(InvalidKey, match="does not match its verification key"):
            type(share)(six.public_key, index, secret).check()


class TestArithmetic:
    """The typed wrappers, against Python and sympy."""

    @given(st.integers(0, 2**256), st.integers(1, 2**128), st.integers(1, 2**128).map(lambda n: 2 * n + 1))
    @settings(derandomize=True, deadline=None, database=None, max_examples=60)
    def test_powers(self, base: int, exponent: int, modulus: int) -> None:
        assert _arith.power(base, exponent, modulus) == pow(base, exponent, modulus)
        assert _arith.secret_power(base, exponent, modulus) == pow(base, exponent, modulus)
        assert _arith.jacobi(base, modulus) == jacobi_symbol(base % modulus, modulus)

    @pytest.mark.parametrize(
        ("exponent", "modulus"), [(0, 15), (-987654321, 15), (987654321, 16), (987654321, 1)]
    )
    def test_a_secret_power_refuses_what_is_not_constant_time(self, exponent: int, modulus: int) -> None:
        with pytest.raises(ValueError, match="a secret exponent") as failure:
            _arith.secret_power(2, exponent, modulus)
        assert "987654321" not in str(failure.value)

    def test_small_primes(self) -> None:
        for bound in (0, 1, 2, 3, 4, 5, 25, 26, 1000, 65537, 65538):
            assert _arith.small_primes(bound) == list(primerange(bound))

    def test_primality(self) -> None:
        for number in range(2000):
            bases = [] if number < 4 else [base for base in (2, 3) if number % base]
            assert _arith.is_prime(number, bases) == isprime(number)
        assert not _arith.is_prime(341, ()), "a base-2 pseudoprime"
        assert _arith.may_be_prime(341)

    def test_bezout_and_inverse(self) -> None:
        divisor, first, second = _arith.bezout(4, 65537)
        assert (divisor, 4 * first + 65537 * second) == (1, 1)
        assert _arith.inverse(3, 7) == 5
        with pytest.raises(ZeroDivisionError):
            _arith.inverse(3, 9)
        with pytest.raises(ZeroDivisionError):
            _arith.power(3, -1, 9)
