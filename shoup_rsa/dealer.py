"""The dealer: makes the key, shares it out, forgets it.

Shoup, "Practical Threshold Signatures", section 2. The dealer is trusted: while it
runs it knows the whole secret key. Run it on a machine you trust and hand each share to its member encrypted.
Python cannot wipe memory; ending the process is what makes the dealer forget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from shoup_rsa import _arith
from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.errors import InvalidKey
from shoup_rsa.integer_form import IntegerForm
from shoup_rsa.key_share import KeyShare
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.sizes import FACTORS_MAX, KEY_SIZES, PUBLIC_EXPONENT, SECURE_KEY_SIZE, check_sizes, delta

Progress = Callable[[str, int], None]
"""Called as progress(stage, candidates tried in this stage), now and then."""

_MILLER_RABIN_ROUNDS = 32
_PROGRESS_INTERVAL = 64
# FIPS 186-5, appendix A.1.3: primes that share their upper 100 bits would be found by Fermat's method.
_PRIME_DISTANCE_BITS = 100


@dataclass(frozen=True)
class Dealing:
    """What the dealer hands out: the public key for everybody, and each member's key share, by index."""

    public_key: ThresholdPublicKey
    key_shares: tuple[KeyShare, ...]


def generate_threshold_key(
    parties: int,
    threshold: int,
    corruptions: int,
    key_size: int = SECURE_KEY_SIZE,
    *,
    protocol: int = 2,
    epoch: int = 0,
    factors: int = 1,
    progress: Progress | None = None,
    insecure_small_key: bool = False,
    random_below: RandomBelow = random_below,
) -> Dealing:
    """Deal a fresh RSA key to `parties` members, any `threshold` of which sign.

    corruptions: how many members may be corrupt; corruptions < threshold <= parties - corruptions.
    key_size: bits of the modulus, exactly; 2048..8192 in steps of 128. Sizes from 512 on are for tests and
    need `insecure_small_key=True`: such keys can be factored.
    protocol: 2, for any threshold; 3, the same with shares that are integers, as after a redistribution,
    for 64 parties at most; or 1, the paper's simpler one, for threshold = corruptions + 1 only.
    epoch: the generation of the key, 0..2^64 - 1.
    factors: 2..7 if this is to be one of so many factors of a composite key (`shoup_rsa.composite`). Its
    modulus is then so near to 2^key_size that the product has all its bits.
    progress: called as progress(stage, candidates_tried) with the stages "first prime", "second prime" and
    "shares".
    random_below: the source of randomness; leave it alone outside tests.

    One key serves one threshold and one purpose: there is no way to deal a key a second time, because with
    two thresholds (or two polynomials) for one secret exponent the smaller quorum would command the larger.
    Raises InvalidKey, which says what is wrong with the sizes. About a second at 2048 bits.
    """
    check_sizes(protocol, parties, threshold, corruptions, epoch)
    _check_key_size(key_size, factors, insecure_small_key)
    report: Progress = progress if progress is not None else lambda stage, tried: None
    modulus, order = _modulus(key_size, factors, random_below, report)
    report("shares", 0)
    base = _generator_of_squares(modulus, random_below)
    form = IntegerForm(parties, threshold, key_size) if protocol == 3 else None
    if form is not None:
        secrets = _share_out_integers(form, order, random_below)
    else:
        scale = 1 if protocol == 1 else _arith.inverse(delta(parties), order)
        secrets = _share_out(order, parties, threshold, scale, random_below)
    public_key = ThresholdPublicKey(
        modulus=modulus,
        public_exponent=PUBLIC_EXPONENT,
        parties=parties,
        threshold=threshold,
        corruptions=corruptions,
        epoch=epoch,
        verification_base=base,
        verification_keys=tuple(_arith.secret_power(base, secret, modulus) for secret in secrets),
        nonresidue=None if protocol == 1 else _nonresidue(modulus, random_below),
        protocol=protocol,
        index_bound=form.index_bound if form else 0,
        secret_bits=form.secret_bits if form else 0,
    )
    # A dealer that miscounted, or whose memory flipped a bit, must not hand anything out.
    public_key.check_dealing()
    shares = tuple(KeyShare(public_key, index, secret) for index, secret in enumerate(secrets, start=1))
    report("shares", parties)
    return Dealing(public_key, shares)


def _check_key_size(key_size: int, factors: int, insecure_small_key: bool) -> None:
    if type(key_size) is not int or key_size not in KEY_SIZES:
        raise InvalidKey(
            f"key_size = {key_size}: must be a multiple of {KEY_SIZES.step} "
            f"in {KEY_SIZES.start}..{KEY_SIZES.stop - 1}"
        )
    if key_size < SECURE_KEY_SIZE and not insecure_small_key:
        raise InvalidKey(
            f"key_size = {key_size}: keys below {SECURE_KEY_SIZE} bits can be broken; "
            "tests may pass insecure_small_key=True"
        )
    if type(factors) is not int or not 1 <= factors <= FACTORS_MAX:
        raise InvalidKey(f"factors = {factors}: must be 1 or, for a composite key, 2..{FACTORS_MAX}")


def _share_out(order: int, parties: int, threshold: int, scale: int, random_below: RandomBelow) -> list[int]:
    """s_i = f(i) * scale mod m for i = 1..n; f(X) = d + a_1 X + ... + a_(k-1) X^(k-1), a_j uniform.

    The scale is 1 in Protocol 1 and 1 / Delta in Protocol 2.
    """
    while True:
        coefficients = [_arith.inverse(PUBLIC_EXPONENT, order)]
        coefficients += [random_below(order) for _ in range(threshold - 1)]
        secrets = []
        for index in range(1, parties + 1):
            value = 0
            for coefficient in reversed(coefficients):
                value = (value * index + coefficient) % order
            secrets.append(value * scale % order)
        if all(secrets):  # a secret of zero has probability n / m: never, but it could not be raised to
            return secrets


def _share_out_integers(form: IntegerForm, order: int, random_below: RandomBelow) -> list[int]:
    """sigma_i = c d + sum 2 a_r i^r + O i over the integers, for i = 1..M; the a_r are masks of R each."""
    constant = form.content * _arith.inverse(PUBLIC_EXPONENT, order)
    masks = [2 * random_below(form.mask_bound) for _ in range(form.threshold - 1)]
    return [
        constant + sum(mask * index**power for power, mask in enumerate(masks, start=1)) + form.offset * index
        for index in range(1, form.index_bound + 1)
    ]


def _modulus(key_size: int, factors: int, random_below: RandomBelow, report: Progress) -> tuple[int, int]:
    """(N, m): m = p' q' is the order of the squares modulo N = p q."""
    first, second = _two_safe_primes(key_size, random_below, report, factors)
    modulus = first * second
    if modulus.bit_length() != key_size:
        raise ArithmeticError("the modulus does not have the promised number of bits")
    return modulus, (first // 2) * (second // 2)


def _generator_of_squares(modulus: int, random_below: RandomBelow) -> int:
    """v: the square of a random unit, not 1 modulo either prime; then its order is the full m."""
    while True:
        root = random_below(modulus)
        base = root * root % modulus
        if _arith.gcd(base, modulus) == 1 and _arith.gcd(base - 1, modulus) == 1:
            return base


def _nonresidue(modulus: int, random_below: RandomBelow) -> int:
    """u: a random number with Jacobi symbol -1."""
    while True:
        candidate = random_below(modulus)
        if _arith.jacobi(candidate, modulus) == -1:
            return candidate


def _two_safe_primes(
    key_size: int, random_below: RandomBelow, report: Progress, factors: int = 1
) -> tuple[int, int]:
    """p and q, far apart, whose product has exactly key_size bits."""
    half = key_size // 2
    first = _safe_prime(half, random_below, report, "first prime", factors)
    while True:
        second = _safe_prime(half, random_below, report, "second prime", factors)
        if abs(first - second) >> (half - _PRIME_DISTANCE_BITS):
            return first, second


def _safe_prime(bits: int, random_below: RandomBelow, report: Progress, stage: str, factors: int = 1) -> int:
    """A random safe prime p = 2 p' + 1 of that many bits, at least (1 - 1 / 4 m) 2^bits for m factors.

    So N >= (1 - 1 / 2 m) 2^key_size, and the product of m of them is at least half of what it could be.

    Windows at uniformly random places are sieved for p' and p together, and the survivors tested. A window
    holds less than one safe prime on average, so that taking the first one found hardly prefers any prime to
    another.
    """
    tried = 0
    lowest = -(-((4 * factors - 1) << (bits - 1)) // (4 * factors))  # p' has one bit less than p
    highest = (1 << (bits - 1)) - 6 * _window_length(bits)  # so that no window reaches 2^(bits - 1)
    while True:
        # p' = 5 modulo 6: otherwise 2 or 3 divides p' or p.
        start = lowest + random_below(highest - lowest)
        start += (5 - start) % 6
        for offset in _sieve(start, bits):
            if tried % _PROGRESS_INTERVAL == 0:
                report(stage, tried)
            tried += 1
            half = start + 6 * offset
            if not _arith.may_be_prime(half) or not _arith.may_be_prime(2 * half + 1):
                continue
            if _is_surely_prime(half, random_below) and _is_surely_prime(2 * half + 1, random_below):
                report(stage, tried)
                return 2 * half + 1


def _is_surely_prime(candidate: int, random_below: RandomBelow) -> bool:
    """Baillie-PSW and 32 Miller-Rabin rounds with random bases."""
    return _arith.is_prime(candidate, (2 + random_below(candidate - 3) for _ in range(_MILLER_RABIN_ROUNDS)))


def _window_length(bits: int) -> int:
    """Candidates a window: about half as many as there are for each safe prime.

    Among numbers of this size that are 5 modulo 6, one in about (bits * ln 2)^2 / 8 is a safe prime's half.
    """
    return bits * bits // 32


@lru_cache(maxsize=8)
def _sieve_primes(bits: int) -> tuple[tuple[int, int], ...]:
    """(r, 1/6 mod r) for the primes r from 5 up to a bound that grows as the time of a test does.

    It was found by measuring: sieving further takes longer than the tests that it saves. 20 MB at most.
    """
    bound = min(bits**3 >> 12, 1 << 21)
    return tuple((prime, _arith.inverse(6, prime)) for prime in _arith.small_primes(bound) if prime > 3)


def _sieve(start: int, bits: int) -> list[int]:
    """The i of a window for which no small prime divides p' = start + 6 i or p = 2 p' + 1."""
    length = _window_length(bits)
    survivors = bytearray(b"\x01") * length
    for prime, inverse_of_six in _sieve_primes(bits):
        residue = start % prime
        for forbidden in (0, prime // 2):  # r divides p' = 0 and, where p' = (r - 1) / 2, 2 p' + 1
            first = (forbidden - residue) * inverse_of_six % prime
            if first < length:
                survivors[first::prime] = bytes(len(range(first, length, prime)))
    return [offset for offset, survives in enumerate(survivors) if survives]
