"""What all parties should have sent about one candidate, computed again from their opened seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from shoup_rsa.dealerless import final, product, sieve
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.sharing import evaluate

Seeds = Sequence[Mapping[int, bytes]]
"""By party (the first one is party 1) and leaf: the seeds that are open."""


class SpareReplay:
    """A spare residue."""

    def __init__(self, settings: Settings, seeds: Seeds, leaf: int, prime: int) -> None:
        """For the spare of that leaf, which every party has opened."""
        self._settings = settings
        self._prime = prime
        self._seeds = [one[leaf] for one in seeds]

    @cached_property
    def _sum(self) -> sieve.Sharing:
        return sieve.spare_sharing(self._settings, self._seeds, self._prime)

    def share(self, index: int) -> int:
        """A party's A."""
        return evaluate(self._sum.a, index, self._prime)

    @property
    def opening(self) -> list[int]:
        """Every party's y."""
        return sieve.opening_values(self._sum, self._settings.parties, self._prime)

    def shares(self, sender: int, receiver: int) -> list[int]:
        """What a party owed to another one."""
        return sieve.spare_shares(self._settings, self._seeds[sender - 1], self._prime, receiver)


class Replay:
    """A candidate. spares: its replacements' replays by leaf; replacements: None if it was given up."""

    def __init__(
        self,
        settings: Settings,
        seeds: Seeds,
        candidate: int,
        replacements: sieve.Replacements | None,
        spares: Mapping[int, SpareReplay],
    ) -> None:
        """For a candidate whose seeds every party has opened."""
        self._settings = settings
        self._seeds = [one[candidate] for one in seeds]
        self._replacements = replacements
        self._spares = spares
        self._own = [sieve.candidate_numbers(settings, seed) for seed in self._seeds]

    @cached_property
    def _sums(self) -> tuple[sieve.Sharing, sieve.Sharing]:
        total = [sum(column) for column in zip(*self._own, strict=True)]
        return sieve.split_candidate(self._settings, total)

    @property
    def sieve_opening(self) -> list[list[int]]:
        """Every party's two y of the sieve."""
        settings = self._settings
        both = [sieve.opening_values(one, settings.parties, settings.free_modulus) for one in self._sums]
        return [list(pair) for pair in zip(*both, strict=True)]

    def sieve_shares(self, sender: int, receiver: int) -> list[int]:
        """The eight numbers that a party owed to another one."""
        return sieve.candidate_shares(self._settings, self._seeds[sender - 1], receiver)

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """Every party's p_i and q_i."""
        settings, replacements = self._settings, self._replacements
        if replacements is None:
            raise ValueError("a candidate that was given up has no numbers")
        residues: list[list[int]] = []
        for factor in sieve.FACTORS:
            rhos = [sieve.split_candidate(settings, own)[factor].rho for own in self._own]
            sent = [sum(row) for row in rhos]
            received = [sum(column) for column in zip(*rhos, strict=True)]
            found = []
            for index in settings.indices:
                place = index - 1
                spares = [(prime, self._spares[leaf].share(index)) for prime, leaf in replacements[factor]]
                randomizers = received[place], sent[place]
                share = evaluate(self._sums[factor].a, index, settings.free_modulus)
                found.append(sieve.additive_part(settings, index, share, spares, randomizers))
            residues.append(found)
        return [
            product.parts(settings, index, pair, random.widths)
            for index, pair, random in zip(
                settings.indices, zip(*residues, strict=True), self._randomness, strict=True
            )
        ]

    @cached_property
    def _randomness(self) -> list[product.Randomness]:
        return [product.randomness(self._settings, seed) for seed in self._seeds]

    @cached_property
    def numbers(self) -> tuple[int, int]:
        """p and q."""
        first, second = zip(*self.parts, strict=True)
        return sum(first), sum(second)

    @cached_property
    def product_opening(self) -> list[int]:
        """Every party's y of the product."""
        modulus = self._settings.product_modulus
        whole = self._randomness
        p, q = self.numbers
        first = [p, *(sum(column) for column in zip(*(one.first for one in whole), strict=True))]
        second = [q, *(sum(column) for column in zip(*(one.second for one in whole), strict=True))]
        zero = [sum(column) for column in zip(*(one.zero for one in whole), strict=True)]
        return [
            product.opening_value(
                (
                    evaluate(first, index, modulus),
                    evaluate(second, index, modulus),
                    index * evaluate(zero, index, modulus),
                ),
                modulus,
            )
            for index in self._settings.indices
        ]

    def product_shares(self, sender: int, receiver: int) -> list[int]:
        """The three numbers that a party owed to another one."""
        own, random = self.parts[sender - 1], self._randomness[sender - 1]
        return list(product.shares_at(self._settings, own, random, receiver))

    def final_randomness(self, modulus: int) -> list[final.Randomness]:
        """Of every party, for the last checks."""
        return [final.randomness(self._settings, seed, modulus) for seed in self._seeds]

    def final_shares(self, sender: int, receiver: int, modulus: int) -> list[int]:
        """The three numbers of the last checks that a party owed to another one."""
        random = self.final_randomness(modulus)[sender - 1]
        return list(final.shares_at(sender, sum(self.parts[sender - 1]), random, modulus, receiver))

    def final_statements(self, modulus: int, bases: Sequence[int]) -> list[final.Statement]:
        """What every party should have said in the last checks."""
        randoms = self.final_randomness(modulus)
        found = []
        for index in self._settings.indices:
            shares = [
                final.shares_at(sender, sum(part), random, modulus, index)
                for sender, part, random in zip(self._settings.indices, self.parts, randoms, strict=True)
            ]
            sums = [sum(column) % modulus for column in zip(*shares, strict=True)]
            part, random = sum(self.parts[index - 1]), randoms[index - 1]
            found.append(final.statement_of(index, part, random, bases, modulus, sums))
        return found
