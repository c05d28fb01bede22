"""A message under a composite key: judged modulo every factor, combined modulo each, and put together.

The signature y is the one number below N with y = y_i modulo N_i for all i (Chinese remainder theorem), where
y_i is the e-th root of the encoded message modulo N_i that the quorum's shares give. So y^e = H(M) modulo N:
an ordinary signature. Whoever forges one has an e-th root modulo EVERY factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import prod

from shoup_rsa import _arith, combine
from shoup_rsa.composite.signature_share import CompositeSignatureShare, check_form, check_index, of_factor
from shoup_rsa.encoding import Representative
from shoup_rsa.errors import BadFactor, CombineFailed, InvalidShare
from shoup_rsa.key_data import KeyData
from shoup_rsa.resolve import AnySignatureShare, Judgement, Represented
from shoup_rsa.share import SignatureShare
from shoup_rsa.sizes import PUBLIC_EXPONENT

SETS_MAX = 5000
"""Sets of k proven shares that are tried for a factor that fails: all there are at (16, 11). One liar among n
is found by n of them, whatever n is."""


@dataclass(frozen=True)
class CompositeMessage(Represented):
    """What a message is modulo each factor.

    encoded: H(M), as long as N. parts: H(M) mod N_i as the members see it, for each factor. idempotents: for
    each factor the number that is 1 modulo N_i and 0 modulo the others.
    """

    encoded: int
    parts: tuple[Representative, ...]
    idempotents: tuple[int, ...]

    @property
    def factors(self) -> tuple[KeyData, ...]:
        """The keys of the dealers."""
        return tuple(part.key for part in self.parts)

    @property
    def threshold(self) -> int:
        """k of every factor."""
        return self.parts[0].key.threshold

    def check_index(self, share: AnySignatureShare) -> None:
        """See the base."""
        check_index(self.factors, share)

    def judge(self, shares: Iterable[AnySignatureShare]) -> Judgement:
        """A share is valid if all its proofs hold, and its sender a culprit if one does not."""
        judgement = Judgement([], [], [])
        proven: dict[int, CompositeSignatureShare] = {}
        for given in shares:
            try:
                share = check_form(self.factors, given)
            except InvalidShare as error:
                judgement.culprits.append(error)
                continue
            if share.proof is None:
                judgement.unproven.append(share)
            else:
                proven[share.index] = share
        for place, part in enumerate(self.parts, start=1):
            verdict = combine.judge(part, [share.parts[place - 1] for share in proven.values()])
            for culprit in verdict.culprits:
                del proven[culprit.index or 0]
                judgement.culprits.append(of_factor(place, culprit))
        judgement.valid.extend(proven[index] for index in sorted(proven))
        judgement.culprits.sort(key=lambda culprit: culprit.index or 0)
        return judgement

    def usable(self, share: AnySignatureShare) -> bool:
        """Whether the values are in the range of every factor."""
        checked = check_index(self.factors, share)
        return (
            type(checked.value) is tuple
            and len(checked.value) == len(self.parts)
            and all(
                combine.value_in_range(part.key, SignatureShare(checked.index, value))
                for part, value in zip(self.parts, checked.value, strict=True)
            )
        )

    def try_combine(self, shares: Sequence[AnySignatureShare]) -> bytes | None:
        """Modulo each factor, and then the result modulo N. Only this one is verified."""
        roots = [combine.interpolate(part, rows) for part, rows in self._by_factor(shares)]
        return self._joined(roots)

    def search(self, proven: Sequence[AnySignatureShare]) -> bytes | None:
        """Each factor by itself: some set of k proven shares may give its root where the first one does not.

        A dealer who knows the order of the group can make proofs hold for wrong values of its accomplices.
        The honest members' sets give the root all the same.
        """
        roots = [self._root(part, rows) for part, rows in self._by_factor(proven)]
        return self._joined(roots)

    def failure(
        self, valid: Sequence[AnySignatureShare], culprits: Sequence[int], unproven: Sequence[int]
    ) -> CombineFailed:
        """A BadFactor if there are enough proven shares, which names the factors that they fail for."""
        if len(valid) < self.threshold:
            return CombineFailed(tuple(culprits), tuple(unproven))
        factors = []
        for place, (part, rows) in enumerate(self._by_factor(valid), start=1):
            root = combine.interpolate(part, rows)
            if root is None or not combine.is_root(part, root):
                factors.append(place)
        return BadFactor(tuple(culprits), tuple(unproven), tuple(factors))

    def _by_factor(
        self, shares: Sequence[AnySignatureShare]
    ) -> list[tuple[Representative, list[SignatureShare]]]:
        """For each factor the values alone: nobody has looked at the form of the proofs yet."""
        checked = [check_index(self.factors, share) for share in shares]
        return [
            (part, [SignatureShare(share.index, share.value[place]) for share in checked])
            for place, part in enumerate(self.parts)
        ]

    def _root(self, part: Representative, proven: list[SignatureShare]) -> int | None:
        for chosen in islice(_sets(proven, self.threshold), SETS_MAX):
            root = combine.interpolate(part, chosen)
            if root is not None and combine.is_root(part, root):
                return root
        return None

    def _joined(self, roots: Sequence[int | None]) -> bytes | None:
        if any(root is None for root in roots):
            return None
        modulus = prod(factor.modulus for factor in self.factors)
        pairs = zip(roots, self.idempotents, strict=True)
        signature = sum((root or 0) * idempotent for root, idempotent in pairs) % modulus
        if _arith.power(signature, PUBLIC_EXPONENT, modulus) != self.encoded:
            return None
        return signature.to_bytes(modulus.bit_length() // 8, "big")


def _sets(proven: list[SignatureShare], threshold: int) -> Iterator[tuple[SignatureShare, ...]]:
    """All sets of `threshold` shares, each once; first those that are right if few shares are wrong."""
    seen = set()
    for count in range(len(proven) - threshold + 1):
        for left_out in combinations(range(len(proven)), count):
            kept = [place for place in range(len(proven)) if place not in left_out][:threshold]
            if tuple(kept) not in seen:
                seen.add(tuple(kept))
                yield tuple(proven[place] for place in kept)
