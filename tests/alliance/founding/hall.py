"""A ceremony in one hand: the plan, and two dealers with all that they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.founding import ceremony_folder
from alliance.founding.ceremony_plan import CeremonyPlan, make_plan
from alliance.founding.commitment import Commitment
from alliance.founding.dealing import seal_shares
from alliance.founding.opening import Opening
from alliance.founding.request import Request
from quorum import QuorumSystem
from quorum.factors import DealtFactor
from tests.worlds import factors

ANNA, BERT = "anna-ag", "bert-ag"


@contextmanager
def dealing_from_stock(plan: CeremonyPlan, dealer: str) -> Iterator[list[int]]:
    """This dealer deals at once, from primes that everybody knows. Yields the places that it took."""
    taken: list[int] = []
    purposes = len(plan.thresholds)

    def from_stock(system: QuorumSystem, threshold: int, *_: Any) -> DealtFactor:
        place = factors.DEALERS * (len(taken) % purposes) + plan.dealers.index(dealer)
        taken.append(place)
        return factors.factor(system, threshold, place)

    with patch.object(ceremony_folder, "deal_factor", from_stock):
        yield taken


@dataclass
class Hall:
    """``operators`` are the dealers' keys, ``pending`` their openings before they are signed."""

    plan: CeremonyPlan
    operators: dict[str, Ed25519PrivateKey]
    pending: dict[str, Opening]

    @classmethod
    def open(cls, requests: Mapping[str, Request], operators: dict[str, Ed25519PrivateKey]) -> Hall:
        plan = make_plan(requests, name="farm", faults=1, factor_bits=factors.FACTOR_BITS)
        return cls(plan, operators, {dealer: cls._deal(plan, dealer) for dealer in plan.dealers})

    @staticmethod
    def _deal(plan: CeremonyPlan, dealer: str) -> Opening:
        with dealing_from_stock(plan, dealer):
            return ceremony_folder._dealt(plan, dealer, None)

    def commit(self, opening: Opening) -> Commitment:
        """What an honest dealer would have published for this opening."""
        return opening.commitment().signed(self.operators[opening.dealer])

    @property
    def commitments(self) -> tuple[Commitment, ...]:
        return tuple(self.commit(self.pending[dealer]) for dealer in self.plan.dealers)

    def openings(self, *instead: Opening) -> list[Opening]:
        """All dealers', signed on all commitments. ``instead`` are pending ones in place of honest ones."""
        shown = self.pending | {one.dealer: one for one in instead}
        pending = [shown[dealer] for dealer in self.plan.dealers]
        agreed = tuple(map(self.commit, pending))
        return [one.signed(agreed, self.operators[one.dealer]) for one in pending]

    def with_factor(self, dealer: str, place: int, dealt: DealtFactor) -> Opening:
        """The dealer's pending opening with another factor of the key at this place."""
        old = self.pending[dealer]
        keys = [
            (purpose, dealt.key if at == place else key, dealt.endorsers)
            for at, (purpose, key) in enumerate(old.dealing.keys)
        ]
        trials = tuple(dealt.trials if at == place else one for at, one in enumerate(old.trials))
        sealed = seal_shares(self.plan.digest, self.plan.member_requests, keys)
        return replace(old, trials=trials, dealing=sealed)

    def sealed_again(self, dealer: str, holders: Sequence[int]) -> Opening:
        """The pending opening in which each member's shares are those of the member at ``holders``."""
        old, system = self.pending[dealer], self.plan.system
        keys = []
        for at, (purpose, threshold) in enumerate(self.plan.thresholds):
            dealt = factors.factor(system, threshold, factors.DEALERS * at + self.plan.dealers.index(dealer))
            keys.append((purpose, dealt.key, [dealt.endorsers[holder] for holder in holders]))
        return replace(old, dealing=seal_shares(self.plan.digest, self.plan.member_requests, keys))
