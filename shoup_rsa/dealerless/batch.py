"""What is public of one batch of candidates, round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shoup_rsa import _arith
from shoup_rsa.dealerless import biprimality, final, product, seeds, sieve
from shoup_rsa.dealerless.numbers import Malformed, check_length, pack, unpack
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.encoding import byte_length


@dataclass
class Batch:
    """Filled by `Board`, a round at a time; lists of what parties sent are in the parties' order.

    number: counted from 0. assigned: of each candidate its spares, None if it was given up. moduli: N of the
    candidates that are tested, by candidate. kept: the one that may become the key. exponents: w_i and V_i.
    seeds: by party and leaf, as far as they are open.
    """

    settings: Settings
    number: int
    roots: list[bytes] = field(default_factory=list)
    sieve_openings: list[sieve.Opening] = field(default_factory=list)
    assigned: list[sieve.Replacements | None] = field(default_factory=list)
    product_openings: list[list[int]] = field(default_factory=list)
    moduli: dict[int, int] = field(default_factory=dict)
    bases: dict[int, int] = field(default_factory=dict)
    test_commitments: list[bytes] = field(default_factory=list)
    images: list[dict[int, int]] = field(default_factory=list)
    passed: set[int] = field(default_factory=set)
    kept: int | None = None
    seeds: list[dict[int, bytes]] = field(default_factory=list)
    final_commitments: list[bytes] = field(default_factory=list)
    final_bases: list[int] = field(default_factory=list)
    statements: list[final.Statement] = field(default_factory=list)
    exponents: list[tuple[int, int]] = field(default_factory=list)

    @property
    def live(self) -> list[int]:
        """The candidates that were not given up in the sieve."""
        return [number for number, spares in enumerate(self.assigned) if spares is not None]

    @property
    def tested(self) -> list[int]:
        """Those with a modulus to test."""
        return sorted(self.moduli)

    @property
    def modulus(self) -> int:
        """N of the kept candidate."""
        if self.kept is None:
            raise ValueError("no candidate of this batch is kept")
        return self.moduli[self.kept]

    @property
    def closed(self) -> frozenset[int]:
        """The leaves of the kept candidate: itself and its spares."""
        if self.kept is None:
            return frozenset()
        first, second = self.assigned[self.kept] or ((), ())
        return frozenset({self.kept, *(leaf for _, leaf in first + second)})

    def take_sieve(self, openings: list[sieve.Opening]) -> None:
        """All parties' openings of the sieve."""
        self.sieve_openings = openings
        self.assigned = sieve.assign(self.settings, openings)

    def take_products(self, openings: list[list[int]], chain: bytes) -> None:
        """All parties' openings of the products, and the chain that includes them."""
        self.product_openings = openings
        for candidate, values in zip(self.live, zip(*openings, strict=True), strict=True):
            modulus = product.modulus_of(self.settings, values)
            if modulus is not None:
                self.moduli[candidate] = modulus
                label = chain + candidate.to_bytes(4, "big")
                self.bases[candidate] = biprimality.base(self.settings, label, modulus, 0)

    def take_images(self, images: list[dict[int, int]], factors: Mapping[int, tuple[int, int]]) -> None:
        """All parties' opened v_i: which candidates pass, and which one is kept.

        factors: p and q of candidates, as far as they are known already, to save time.
        """
        self.images = images
        self.passed = {candidate for candidate in self.tested if self._passes(candidate, factors)}
        fit = (one for one in sorted(self.passed) if product.is_fit_for_a_key(self.moduli[one]))
        self.kept = next(fit, None)

    def _passes(self, candidate: int, factors: Mapping[int, tuple[int, int]]) -> bool:
        values, base = [one[candidate] for one in self.images], self.bases[candidate]
        p, q = factors.get(candidate, (0, 0))
        modulus = self.moduli[candidate]
        if p * q == modulus and min(p, q) > 1:
            return biprimality.opened_passes(values, base, p, q)
        return biprimality.passes(values, base, modulus)

    def encode_images(self, images: dict[int, int], salt: bytes) -> bytes:
        """The body that opens a party's v_i of all tested candidates."""
        width = byte_length(self.settings.key_size)
        return salt + pack((images[candidate] for candidate in self.tested), width)

    def decode_images(self, body: bytes) -> dict[int, int]:
        """The opposite; raises Malformed. A v_i is a unit."""
        width, tested = byte_length(self.settings.key_size), self.tested
        check_length(body, final.SALT_LENGTH + width * len(tested))
        numbers = unpack(body[final.SALT_LENGTH :], width, 1 << 8 * width)
        images = dict(zip(tested, numbers, strict=True))
        for candidate, value in images.items():
            modulus = self.moduli[candidate]
            if value >= modulus or _arith.gcd(value, modulus) != 1:
                raise Malformed("a value of the biprimality test is no unit")
        return images

    def test_commitment(self, party: int, body: bytes) -> bytes:
        """What commits a party to its v_i."""
        return final.commitment(self.settings, self._label(b"test"), party, body)

    def final_commitment(self, party: int, body: bytes) -> bytes:
        """What commits a party to its statement about the kept candidate."""
        return final.commitment(self.settings, self._label(b"final"), party, body)

    def _label(self, what: bytes) -> bytes:
        return what + self.number.to_bytes(4, "big")

    def take_seeds(self, party: int, body: bytes) -> dict[int, bytes]:
        """A party's opening of all that is not closed. Raises Malformed if it is not what it committed to."""
        check_length(body, seeds.SEED_LENGTH * self.settings.leaves)
        entries, closed = seeds.split(body), self.closed
        found = seeds.opened_root(self.settings, self.number, party, entries, closed)
        if not seeds.fits(self.roots[party - 1], found):
            raise Malformed("it opens other seeds than it committed to")
        return {leaf: entry for leaf, entry in enumerate(entries) if leaf not in closed}

    def encode_kept_seeds(self, own: Sequence[bytes]) -> bytes:
        """The body that opens a party's seeds of the kept candidate."""
        return b"".join(own[leaf] for leaf in sorted(self.closed))

    def take_kept_seeds(self, party: int, body: bytes) -> dict[int, bytes]:
        """A party's opening of what was closed. Raises Malformed where it is not what it committed to."""
        leaves = sorted(self.closed)
        check_length(body, seeds.SEED_LENGTH * len(leaves))
        opened = {**self.seeds[party - 1], **dict(zip(leaves, seeds.split(body), strict=True))}
        whole = [opened[leaf] for leaf in range(self.settings.leaves)]
        found = seeds.opened_root(self.settings, self.number, party, whole, frozenset())
        if not seeds.fits(self.roots[party - 1], found):
            raise Malformed("it opens other seeds than it committed to")
        return opened
