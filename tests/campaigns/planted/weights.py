"""Wrong versions of quorums by weight."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_QUORUMS = "quorum.weighted:WeightedQuorums"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(f"weights: {name}", "weights", edits)


WEIGHTS = (
    _bug(
        "three sets weigh as if they were one thrice, less one",
        at("quorum.weighted:decision_weight", "(whole + three) // 2 + 1", "(whole + 3 * most - 1) // 2 + 1"),
    ),
    Bug(
        "weights: lean: two sets of liars may be all who decide",
        "weights",
        (at("quorum.weighted:decision_weight", "2 * most + 1]", "1]"),),
        "where the others satisfy it, 3 w1 < W, so that (W + w1)/2 + 1 is as much already",
    ),
    _bug(
        "who did not report does not count for what was decided",
        at(f"{_QUORUMS}.forces", "self.decides(named | beside | liars)", "self.decides(named | liars)"),
    ),
    _bug(
        "any liars may be those beside the equivocator",
        at(f"{_QUORUMS}.forces", "if equivocator is None or liars >> equivocator & 1", "if True"),
    ),
    _bug(
        "members count for the highest slot, and not what they weigh",
        at(f"{_QUORUMS}.decided", "weight += self.weights[member]", "weight += max(self.weights)"),
    ),
    _bug(
        "a second machine of an organisation counts as another organisation",
        at(f"{_QUORUMS}.has_correct", "not self.faults.contains(mask)", "mask.bit_count() > 1"),
    ),
    _bug(
        "one set of liars has the others join it",
        at(f"{_QUORUMS}.joins", "self.has_correct(mask & ~liars)", "self.has_correct(mask)"),
    ),
    _bug(
        "any members may open a view if they decide",
        at(f"{_QUORUMS}.reports", "self.faults.contains(self.everybody & ~mask)", "self.decides(mask)"),
    ),
    _bug(
        "a bad share is that of the member with its number",
        at(
            "quorum.weighted_rsa:WeightedRsaScheme.combine",
            "*self._places.owners(failure.culprits)",
            "*failure.culprits",
        ),
    ),
    _bug(
        "a member's shares begin one place late",
        at("quorum.weighted_rsa:Places.of", "range(self._first[member],", "range(self._first[member] + 1,"),
    ),
    _bug(
        "equal weights are those of one machine each",
        at("quorum.weighted:equal_weights", "each // len(group)", "1"),
    ),
)
