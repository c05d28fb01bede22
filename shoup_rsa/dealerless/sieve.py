"""The sieve: residues of p and q modulo small primes that are neither 0 nor 1, and that nobody knows.

Boneh and Franklin have a sieve as well; this one samples residues, as M. Chen et al. do ("Multiparty
Generation of an RSA Modulus", Crypto 2020). For all free primes at once, modulo their product:

    shares    each party shares a and b (degree t) and a zero (degree 3 t); all parties' are added
    opening   y_j = A_j (A_j - 1) B_j + Z_j. Opened is a (a - 1) b, which tells nothing but whether it is 0
    refused   is the residue modulo each r where it is: then a = 0, a = 1 or b = 0

A refused residue is replaced by a spare one: the same protocol modulo r alone. The k-th refused residue, by
candidate and p before q, gets the k-th spare that was not refused. A spare belongs to one candidate or to
none, so that opening a candidate tells nothing about another one.

Party i's part of p modulo the product is lambda_i A_i + sum_j (rho_ji - rho_ij). The rho_ij, which i sends to
j, make the parts independent of each other: on their own the A_i lie on one polynomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from shoup_rsa.dealerless.numbers import check_length, pack, unpack
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.sharing import all_at_zero, evaluate, expand_small, expand_wide, interpolation

FACTORS = (0, 1)
"""p and q."""

_SPARE_BYTES = 2


@dataclass(frozen=True)
class Sharing:
    """The polynomials of one residue, of one party or added up: (a, b, zero), and rho to each party."""

    a: Sequence[int]
    b: Sequence[int]
    zero: Sequence[int]
    rho: Sequence[int] = ()

    def at(self, point: int, modulus: int) -> tuple[int, int, int]:
        """The shares (A, B, Z) of one party."""
        return (
            evaluate(self.a, point, modulus),
            evaluate(self.b, point, modulus),
            point * evaluate(self.zero, point, modulus) % modulus,
        )


def opening_values(sharing: Sharing, parties: int, modulus: int) -> list[int]:
    """y of all parties, from the sum of all sharings: what `Sharing.at` and `opening_value` give, at once."""
    backwards = [tuple(reversed(one)) for one in (sharing.a, sharing.b, sharing.zero)]
    values = []
    for index in range(1, parties + 1):
        found = []
        for coefficients in backwards:
            value = 0
            for coefficient in coefficients:
                value = value * index + coefficient
            found.append(value)
        a, b, zero = found
        values.append((a * (a - 1) % modulus * b + index * zero) % modulus)
    return values


def opening_value(shares: Sequence[int], modulus: int) -> int:
    """y = A (A - 1) B + Z, what a party opens."""
    a, b, zero = shares
    return (a * (a - 1) % modulus * b + zero) % modulus


def candidate_sharings(settings: Settings, seed: bytes) -> tuple[Sharing, Sharing]:
    """Of p and of q, what follows from a party's seed of a candidate."""
    modulus = settings.free_modulus
    return split_candidate(settings, [number % modulus for number in candidate_numbers(settings, seed)])


def candidate_numbers(settings: Settings, seed: bytes) -> list[int]:
    """The same as one list, not yet reduced, for adding up."""
    count = 5 * settings.corruptions + 2 + settings.parties
    return expand_wide(seed, b"sieve", ((2 * count, settings.free_modulus),))


def split_candidate(settings: Settings, numbers: Sequence[int]) -> tuple[Sharing, Sharing]:
    """A list of `candidate_numbers`, or a sum of such lists, as sharings."""
    half = len(numbers) // 2
    return (_sharing(settings, numbers[:half]), _sharing(settings, numbers[half:]))


def spare_sharing(settings: Settings, seeds: Sequence[bytes], prime: int) -> Sharing:
    """What follows from a party's seed of a spare residue; from several parties' seeds, the sum of theirs."""
    return _sharing(settings, expand_small(seeds, b"spare", 5 * settings.corruptions + 2, prime))


def _sharing(settings: Settings, numbers: Sequence[int]) -> Sharing:
    t = settings.corruptions
    one, two, three = t + 1, 2 * t + 2, 5 * t + 2
    return Sharing(numbers[:one], numbers[one:two], numbers[two:three], numbers[three:])


@dataclass(frozen=True)
class Shares:
    """What one party sends to another one, or what one has got from all, added up.

    candidates: of each candidate eight numbers: A, B, Z and rho of p, and of q. spares: A, B and Z of each.
    """

    candidates: list[list[int]]
    spares: list[list[int]]


def candidate_shares(settings: Settings, seed: bytes, receiver: int) -> list[int]:
    """A party's eight numbers for a receiver."""
    numbers: list[int] = []
    for sharing in candidate_sharings(settings, seed):
        numbers += sharing.at(receiver, settings.free_modulus)
        numbers.append(sharing.rho[receiver - 1])
    return numbers


def spare_shares(settings: Settings, seed: bytes, prime: int, receiver: int) -> list[int]:
    """A party's three numbers for a receiver."""
    return list(spare_sharing(settings, [seed], prime).at(receiver, prime))


def all_shares(settings: Settings, seeds: Sequence[bytes]) -> dict[int, Shares]:
    """What a party with these seeds of a batch owes to each party, itself included."""
    modulus = settings.free_modulus
    found = {receiver: Shares([], []) for receiver in settings.indices}
    for seed in seeds[: settings.batch]:
        first, second = candidate_sharings(settings, seed)
        for receiver, shares in found.items():
            place = receiver - 1
            one, other = first.at(receiver, modulus), second.at(receiver, modulus)
            shares.candidates.append([*one, first.rho[place], *other, second.rho[place]])
    for leaf, prime in settings.spares:
        sharing = spare_sharing(settings, [seeds[leaf]], prime)
        for receiver, shares in found.items():
            shares.spares.append(list(sharing.at(receiver, prime)))
    return found


def encode_shares(settings: Settings, shares: Shares) -> bytes:
    """The body of a private message."""
    flat = [number for row in shares.candidates for number in row]
    small = [number for row in shares.spares for number in row]
    return pack(flat, settings.free_bytes) + pack(small, _SPARE_BYTES)


def shares_length(settings: Settings) -> int:
    """Its bytes."""
    return 8 * settings.batch * settings.free_bytes + 3 * len(settings.spares) * _SPARE_BYTES


def decode_shares(settings: Settings, body: bytes) -> Shares:
    """The opposite. Raises Malformed."""
    check_length(body, shares_length(settings))
    large = 8 * settings.batch * settings.free_bytes
    flat = unpack(body[:large], settings.free_bytes, settings.free_modulus)
    small = unpack(body[large:], _SPARE_BYTES, 1 << 16)
    spares = [small[at : at + 3] for at in range(0, len(small), 3)]
    for (_, prime), row in zip(settings.spares, spares, strict=True):
        if max(row) >= prime:
            unpack(pack(row, _SPARE_BYTES), _SPARE_BYTES, prime)
    return Shares([flat[at : at + 8] for at in range(0, len(flat), 8)], spares)


def add_up(settings: Settings, shares: Sequence[Shares]) -> Shares:
    """What a party has: the sums of what it got from all, its own included."""
    modulus = settings.free_modulus
    candidates = [
        [sum(column) % modulus for column in zip(*rows, strict=True)]
        for rows in zip(*(one.candidates for one in shares), strict=True)
    ]
    spares = [
        [sum(column) % prime for column in zip(*rows, strict=True)]
        for (_, prime), rows in zip(
            settings.spares, zip(*(one.spares for one in shares), strict=True), strict=True
        )
    ]
    return Shares(candidates, spares)


@dataclass(frozen=True)
class Opening:
    """A party's y: of each candidate for p and for q, and of each spare."""

    candidates: list[list[int]]
    spares: list[int]


def open_sums(settings: Settings, sums: Shares) -> Opening:
    """What follows from a party's sums."""
    modulus = settings.free_modulus
    candidates = [
        [opening_value(row[:3], modulus), opening_value(row[4:7], modulus)] for row in sums.candidates
    ]
    spares = [opening_value(row, prime) for (_, prime), row in zip(settings.spares, sums.spares, strict=True)]
    return Opening(candidates, spares)


def encode_opening(settings: Settings, opening: Opening) -> bytes:
    """The body of a broadcast."""
    flat = [number for row in opening.candidates for number in row]
    return pack(flat, settings.free_bytes) + pack(opening.spares, _SPARE_BYTES)


def opening_length(settings: Settings) -> int:
    """Its bytes."""
    return 2 * settings.batch * settings.free_bytes + len(settings.spares) * _SPARE_BYTES


def decode_opening(settings: Settings, body: bytes) -> Opening:
    """The opposite. Raises Malformed."""
    check_length(body, opening_length(settings))
    large = 2 * settings.batch * settings.free_bytes
    flat = unpack(body[:large], settings.free_bytes, settings.free_modulus)
    spares = unpack(body[large:], _SPARE_BYTES, 1 << 16)
    for (_, prime), number in zip(settings.spares, spares, strict=True):
        if number >= prime:
            unpack(pack([number], _SPARE_BYTES), _SPARE_BYTES, prime)
    return Opening([flat[at : at + 2] for at in range(0, len(flat), 2)], spares)


Replacements = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
"""Of a candidate, for p and for q: (prime, leaf of the spare) for each refused residue."""


def assign(settings: Settings, openings: Sequence[Opening]) -> list[Replacements | None]:
    """Which spares each candidate gets; None for one that is given up.

    Given up is a candidate whose opened values fit no polynomial, which takes a liar, and one that finds no
    spare left. openings: all parties', in their order.
    """
    fit = interpolation(settings.parties, 3 * settings.corruptions)
    pools: dict[int, list[int]] = {prime: [] for prime in settings.free_primes}
    columns = zip(*(opening.spares for opening in openings), strict=True)
    for (leaf, prime), values in zip(settings.spares, columns, strict=True):
        if fit.scaled_zero(values, prime):  # neither 0 nor None
            pools[prime].append(leaf)
    for pool in pools.values():
        pool.reverse()
    assigned: list[Replacements | None] = []
    for rows in zip(*(opening.candidates for opening in openings), strict=True):
        refused = [_refused(settings, [row[factor] for row in rows]) for factor in FACTORS]
        chosen: list[tuple[tuple[int, int], ...]] = []
        for primes in refused:
            if primes is None or any(not pools[prime] for prime in primes):
                break
            chosen.append(tuple((prime, pools[prime].pop()) for prime in primes))
        assigned.append((chosen[0], chosen[1]) if len(chosen) == 2 else None)
    return assigned


def _refused(settings: Settings, values: Sequence[int]) -> tuple[int, ...] | None:
    fit = interpolation(settings.parties, 3 * settings.corruptions)
    opened = fit.scaled_zero(values, settings.free_modulus)
    if opened is None:
        return None
    common = gcd(opened, settings.free_modulus)
    return () if common == 1 else tuple(prime for prime in settings.free_primes if common % prime == 0)


def additive_part(
    settings: Settings,
    index: int,
    share: int,
    spares: Sequence[tuple[int, int]],
    randomizers: tuple[int, int],
) -> int:
    """Party i's part of p modulo the free primes.

    share: A_i. spares: (r, A_i of the spare) for the refused r. randomizers: the sums of what it got, and of
    what it sent.
    """
    modulus = settings.free_modulus
    for prime, spare in spares:
        share += settings.idempotents[prime] * ((spare - share) % prime)
    received, sent = randomizers
    return (all_at_zero(settings.parties, modulus)[index - 1] * share + received - sent) % modulus
