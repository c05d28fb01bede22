"""The parts of a generation without a dealer: sharings, seeds, sieve, product, biprimality test."""

from __future__ import annotations

import random
from itertools import combinations
from math import gcd, prod

import pytest

from shoup_rsa import InvalidKey, _arith
from shoup_rsa.dealerless import biprimality, product, seeds, sieve
from shoup_rsa.dealerless.numbers import Malformed, pack, unpack
from shoup_rsa.dealerless.replay import Replay, SpareReplay
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.sharing import (
    all_at_zero,
    evaluate,
    expand,
    expand_small,
    interpolation,
)
from tests.shoup_rsa.dealerless_sizes import settings_for

MODULUS = 11 * 13 * 17 * 19


@pytest.mark.parametrize(("parties", "degree"), [(4, 1), (4, 2), (4, 3), (7, 2), (7, 6), (10, 9)])
def test_values_of_a_polynomial_give_its_secret_and_others_are_noticed(parties: int, degree: int) -> None:
    dice = random.Random(f"{parties} {degree}")
    fit = interpolation(parties, degree)
    for _ in range(20):
        coefficients = [dice.randrange(MODULUS) for _ in range(degree + 1)]
        values = [evaluate(coefficients, point, MODULUS) for point in range(1, parties + 1)]
        assert values[0] == sum(coefficients) % MODULUS
        assert fit.zero(values, MODULUS) == coefficients[0]
        wrong = dice.randrange(parties)
        values[wrong] += 1
        assert (fit.zero(values, MODULUS) is None) == (degree + 1 < parties)


def test_no_fewer_values_than_needed_and_no_larger_degree() -> None:
    with pytest.raises(ValueError, match="degree"):
        interpolation(4, 4)


def test_t_wrong_values_of_a_product_are_noticed_whatever_they_are() -> None:
    fit = interpolation(7, 4)
    values = [evaluate((5, 1, 2, 3, 4), point, 101) for point in range(1, 8)]
    for places in combinations(range(7), 2):
        for first, second in ((1, 1), (1, 100), (50, 7)):
            changed = list(values)
            changed[places[0]] += first
            changed[places[1]] += second
            assert fit.zero(changed, 101) is None


def test_weighted_shares_add_up_to_the_secret() -> None:
    weights = all_at_zero(7, MODULUS)
    values = [evaluate((1234, 77, 5), point, MODULUS) for point in range(1, 8)]
    assert sum(a * b for a, b in zip(weights, values, strict=True)) % MODULUS == 1234


def test_expansions_are_bounded_and_depend_on_seed_and_label() -> None:
    one = expand(bytes(32), b"label", ((50, 1000), (2, 1 << 80)))
    assert len(one) == 52
    assert max(one[:50]) < 1000
    assert max(one[50:]) >> 64
    others = [expand(bytes(32), b"other", ((50, 1000),)), expand(bytes(31) + b"1", b"label", ((50, 1000),))]
    assert one[:50] not in others
    some = [bytes(30) + pack([seed], 2) for seed in range(300)]
    each = [expand_small([seed], b"x", 7, 11) for seed in some]
    small = [digit for digits in each for digit in digits]
    assert set(small) == set(range(11))
    assert all(120 < small.count(digit) < 270 for digit in range(11)), "191 of each are expected"
    for count in (2, 31, 256):
        sums = [sum(column) % 11 for column in zip(*each[:count], strict=True)]
        assert expand_small(some[:count], b"x", 7, 11) == sums
    with pytest.raises(ValueError, match="room"):
        expand_small(some, b"x", 7, 11)


def test_numbers_have_one_encoding() -> None:
    assert unpack(pack([1, 2, 299], 2), 2, 300) == [1, 2, 299]
    with pytest.raises(Malformed, match="range"):
        unpack(pack([1, 300], 2), 2, 300)


@pytest.mark.parametrize(
    "changes",
    [
        {"parties": 3, "threshold": 2},
        {"parties": 6, "threshold": 4, "corruptions": 2},
        {"parties": 32, "threshold": 20},
        {"corruptions": 0},
        {"threshold": 1},
        {"threshold": 4},
        {"key_size": 2047},
        {"key_size": 8192},
        {"key_size": 1024},
        {"batch": 0},
        {"batch": 4097},
        {"context": bytes(1025)},
    ],
)
def test_sizes_out_of_range_are_refused(changes: dict[str, int]) -> None:
    fields = {"parties": 4, "threshold": 3, "corruptions": 1, "context": b""}
    Settings(**fields)  # type: ignore[arg-type]
    with pytest.raises(InvalidKey):
        Settings(**fields | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("parties", [4, 6, 7, 13, 31])
@pytest.mark.parametrize("key_size", [512, 2048, 4096])
def test_p_has_its_residues_and_its_size_at_both_ends(parties: int, key_size: int) -> None:
    settings = settings_for(parties, key_size=key_size)
    largest = settings.free_modulus - 1
    for residue, width in ((0, 0), (largest, settings.width - 1)):
        parts = [
            product.parts(settings, index, (residue, residue), (width, width))[0]
            for index in settings.indices
        ]
        assert parts[0] % 4 == 3
        assert not any(part % 4 for part in parts[1:])
        p = sum(parts)
        assert 3 << (key_size // 2 - 2) < p < 1 << (key_size // 2)
        assert (p * p).bit_length() == key_size
        assert all(p % r == 2 for r in (3, 5, 7, 11) if r <= parties)
        assert all(p % r == residue * parties % r for r in settings.free_primes)
    assert settings.width.bit_length() >= key_size // 20, "what stays random beside the residues"
    assert settings.free_primes[0] > parties
    assert prod(settings.free_primes) == settings.free_modulus


def test_an_opening_shows_all_seeds_but_the_closed_ones() -> None:
    settings = settings_for()
    own = [bytes((leaf % 256,)) * 32 for leaf in range(settings.leaves)]
    root = seeds.root(settings, 3, 2, own)
    closed = frozenset({0, 5, settings.leaves - 1})
    data = seeds.opening(settings, 3, 2, own, closed)
    entries = seeds.split(data)
    assert all((entry == own[leaf]) == (leaf not in closed) for leaf, entry in enumerate(entries))
    assert seeds.opened_root(settings, 3, 2, entries, closed) == root
    for changed in (
        seeds.opened_root(settings, 3, 2, entries, frozenset({0, 5})),
        seeds.opened_root(settings, 4, 2, entries, closed),
        seeds.opened_root(settings, 3, 1, entries, closed),
        seeds.opened_root(settings, 3, 2, [own[1], *entries[1:]], closed),
    ):
        assert not seeds.fits(root, changed)


def everything_open(settings: Settings) -> tuple[list[sieve.Opening], list[dict[int, bytes]]]:
    """Openings of a sieve among parties whose seeds the test knows."""
    dice = random.Random("sieve")
    own = [[dice.randbytes(32) for _ in range(settings.leaves)] for _ in settings.indices]
    sent = [sieve.all_shares(settings, one) for one in own]
    openings = []
    for index in settings.indices:
        got = [sieve.decode_shares(settings, sieve.encode_shares(settings, shares[index])) for shares in sent]
        opening = sieve.open_sums(settings, sieve.add_up(settings, got))
        assert sieve.decode_opening(settings, sieve.encode_opening(settings, opening)) == opening
        openings.append(opening)
    return openings, [dict(enumerate(one)) for one in own]


def test_what_the_sieve_leaves_is_neither_0_nor_1_and_replays() -> None:
    settings = settings_for(7, batch=12)
    openings, own = everything_open(settings)
    assigned = sieve.assign(settings, openings)
    spares = {leaf: SpareReplay(settings, own, leaf, prime) for leaf, prime in settings.spares}
    taken = [leaf for pair in assigned if pair for chosen in pair for _, leaf in chosen]
    assert len(taken) == len(set(taken)), "a spare belongs to one candidate"
    assert len(taken) > 12, "small residues are refused often"
    assert sum(pair is None for pair in assigned) < 3
    for candidate, replacements in enumerate(assigned):
        if replacements is None:
            continue
        replay = Replay(settings, own, candidate, replacements, spares)
        assert replay.sieve_opening == [opening.candidates[candidate] for opening in openings]
        p, q = replay.numbers
        for number in (p, q):
            assert number % 4 == 3
            assert all(number % prime not in (0, 1) for prime in settings.free_primes)
        values = replay.product_opening
        fit = interpolation(settings.parties, 2 * settings.corruptions)
        assert fit.zero(values, settings.product_modulus) == p * q


def test_the_parts_of_a_residue_are_independent_of_each_other() -> None:
    """The shares lie on one polynomial. Their parts of the sum, which the rho randomise again, must not."""
    settings = settings_for(7, batch=12)
    openings, own = everything_open(settings)
    assigned = sieve.assign(settings, openings)
    spares = {leaf: SpareReplay(settings, own, leaf, prime) for leaf, prime in settings.spares}
    fit = interpolation(settings.parties, settings.corruptions)
    modulus = settings.free_modulus
    weights = all_at_zero(settings.parties, modulus)
    for candidate, replacements in enumerate(assigned):
        if replacements is None:
            continue
        replay = Replay(settings, own, candidate, replacements, spares)
        values = [
            part[0] % modulus * _arith.inverse(weight, modulus) % modulus
            for part, weight in zip(replay.parts, weights, strict=True)
        ]
        values[0] -= settings.first_constant * _arith.inverse(weights[0], modulus)
        assert all(fit.zero(values, prime) is None for prime in settings.free_primes[-3:])


def test_a_wrong_opening_of_the_sieve_gives_the_candidate_up() -> None:
    settings = Settings(6, 5, 1, b"", 512, 8, True)
    openings, _ = everything_open(settings)
    whole = sieve.assign(settings, openings)
    first = next(number for number, spares in enumerate(whole) if spares is not None)
    openings[3].candidates[first][1] ^= 1
    assert sieve.assign(settings, openings)[first] is None


@pytest.mark.parametrize("change", ["short", "large", "spare"])
def test_shares_and_openings_out_of_range_are_malformed(change: str) -> None:
    settings = settings_for(batch=2)
    length = settings.free_bytes
    for size, decode in (
        (sieve.shares_length(settings), sieve.decode_shares),
        (sieve.opening_length(settings), sieve.decode_opening),
    ):
        good = bytes(size)
        decode(settings, good)
        bad = {
            "short": good[1:],
            "large": pack([settings.free_modulus], length) + good[length:],
            "spare": good[:-2] + pack([settings.free_primes[-1]], 2),
        }[change]
        with pytest.raises(Malformed):
            decode(settings, bad)


def primes_of(number: int) -> list[int]:
    found, rest, prime = [], number, 2
    while rest > 1:
        if rest % prime:
            prime += 1
        else:
            rest //= prime
            found.append(prime)
    return found


def passing_share(p: int, q: int) -> tuple[int, int]:
    """(how many g of symbol 1 pass, of how many), counted."""
    number, exponent = p * q, (p - 1) * (q - 1) // 4
    group = [g for g in range(1, number) if _arith.jacobi(g, number) == 1]
    return sum(pow(g, exponent, number) in (1, number - 1) for g in group), len(group)


def test_one_round_of_the_biprimality_test_errs_with_a_quarter_at_most() -> None:
    """Counted over all g, for all p and q that are 3 modulo 4, without small factors, up to a bound."""
    odd = [number for number in range(3, 400, 4) if min(primes_of(number)) >= 5]
    worst, counted = 0.0, 0
    for p in odd:
        for q in odd:
            if p > q or p * q > 2600 or gcd(p * q, p + q - 1) != 1:
                continue
            passed, among = passing_share(p, q)
            if p != q and primes_of(p) == [p] and primes_of(q) == [q]:
                assert passed == among, "a product of two primes passes always"
            elif max(primes_of(p * q).count(r) for r in primes_of(p * q)) == 1:
                counted += 1
                worst = max(worst, passed / among)
            else:  # 2 / r for a repeated prime r, which is below 2^-16 for the primes that there are
                repeated = max(r for r in primes_of(p * q) if primes_of(p * q).count(r) > 1)
                assert passed / among <= 2 / repeated
    assert counted > 20
    assert worst <= 1 / 4


def test_a_quarter_is_reached_so_the_bound_is_the_best_there_is() -> None:
    assert gcd(35 * 19, 35 + 19 - 1) == 1
    passed, among = passing_share(35, 19)
    assert 4 * passed == among


def test_the_product_by_the_factors_is_the_product() -> None:
    p, q, base = 1000003, 999983, 12345
    assert biprimality.by_factors(base, 10**9 + 7, p, q) == pow(base, 10**9 + 7, p * q)
    assert biprimality.by_factors(base, 10**9 + 7, p, p) == pow(base, 10**9 + 7, p * p)


@pytest.mark.parametrize(("p", "q"), [(1000003, 999983), (1000003 * 7, 1019), (35, 19), (1000003, 1000003)])
def test_known_factors_only_save_time(p: int, q: int) -> None:
    modulus = p * q
    exponent = (p + q - 6) // 4
    for base in (g for g in range(2, 60) if _arith.jacobi(g, modulus) == 1):
        values = [pow(base, exponent - 10, modulus), pow(base, 10, modulus)]
        for said in (values, [values[0], modulus - values[1]], [values[0] * 2 % modulus, values[1]]):
            expected = biprimality.passes(said, base, modulus)
            assert biprimality.opened_passes(said, base, p, q) == expected


def test_bases_have_symbol_1_and_depend_on_all_that_was_said() -> None:
    settings = settings_for()
    modulus = (1 << 512) - 569
    found = {
        biprimality.base(settings, chain, modulus, number) for chain in (b"a", b"b") for number in (0, 1, 2)
    }
    assert len(found) == 6
    assert all(_arith.jacobi(base, modulus) == 1 for base in found)
