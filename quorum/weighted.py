"""Quorums by weight, for any fault structure: whose words decide where organisations differ in size.

A set of members decides when it weighs ``decision`` or more. What must hold is the same as with counting
(``quorum.system``), said for sets. Let B, B1 ... be sets that may be faulty, D, D1, D2 sets that decide, and
R a set of reporters, all members but some B:

* classic: D1, D2 and R share a member that is in neither B1 nor B2, whichever they are. So what was decided
  is seen, and nothing else with it.
* lean: the same, where the B left out of R, B1 and B2 have a member in common, the leader that is proven to
  have proposed two values; D and R share a member that is not in B; and so do D1 and D2.
* both: all members but B decide.

For weights this gives ``decision`` as a formula (``decision_weight``). It is sufficient for every structure
and, with all weights 1 and any f members faulty, it is ``QuorumSystem.decision``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

from quorum.faults import FaultStructure, mask_of, members_of, weight_of
from quorum.system import LEAN, MEMBER_COUNT_MAX, PROFILES, UnsatisfiableSizes

WEIGHT_MAX = MEMBER_COUNT_MAX
"""All members' weights together: each unit is a share of the key, and a key has 255 shares at most."""


def equal_weights(groups: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The least weights of the members by which each organisation weighs the same.

    ``groups``: the members of each organisation. Raises UnsatisfiableSizes where that needs more than
    WEIGHT_MAX in all.
    """
    sizes = [len(group) for group in groups]
    each = lcm(*sizes)
    if each * len(groups) > WEIGHT_MAX:
        raise UnsatisfiableSizes(
            f"members {', '.join(map(str, sizes))} an organisation weigh the same only if each weighs {each}:"
            f" together more than {WEIGHT_MAX}, which is the most"
        )
    weights = {member: each // len(group) for group in groups for member in group}
    return tuple(weights[member] for member in range(len(weights)))


def decision_weight(faults: FaultStructure, weights: Sequence[int], profile: str) -> int:
    """The weight that decides. W is the weight of all, w1 the most that a set of the structure weighs, w3 the
    most that three weigh together, in profile lean three with a common member:

    classic ⌊(W + w3)/2⌋ + 1; lean the largest of that, ⌊(W + w1)/2⌋ + 1 and 2·w1 + 1.

    ``weights``: of each member, 1 or more. Raises UnsatisfiableSizes when the members that are left when a
    set is faulty do not weigh so much; the message names the sets.
    """
    _check(faults, weights, profile)
    lean = profile == LEAN
    whole, most = sum(weights), faults.heaviest(weights)
    three, which = faults.heaviest_three(weights, sharing=lean)
    needed = [(whole + three) // 2 + 1]
    if lean:
        needed += [(whole + most) // 2 + 1, 2 * most + 1]
    if max(needed) > whole - most:
        raise UnsatisfiableSizes(_too_much(faults, weights, max(needed), which, profile))
    return max(needed)


def _check(faults: FaultStructure, weights: Sequence[int], profile: str) -> None:
    if profile not in PROFILES:
        raise UnsatisfiableSizes(f"the profile is one of {', '.join(PROFILES)}, not {profile!r:.80}")
    if len(weights) != faults.member_count:
        raise UnsatisfiableSizes(f"{len(weights)} weights of {faults.member_count} members")
    if any(weight < 1 for weight in weights) or sum(weights) > WEIGHT_MAX:
        raise UnsatisfiableSizes(f"each member weighs 1 or more, and all together {WEIGHT_MAX} at most")


def _too_much(
    faults: FaultStructure, weights: Sequence[int], needed: int, three: Sequence[int], profile: str
) -> str:
    """The reason: five sets of the structure which nearly everybody is in."""
    most = faults.heaviest(weights)
    one = next(each for each in faults.largest if weight_of(each, weights) == most)
    told = [_named(each) for each in dict.fromkeys(three)]
    return (
        f"{needed} of the weight {sum(weights)} would have to decide in profile {profile}, and only"
        f" {sum(weights) - most} is left when {_named(one)} are faulty. What may fail together is too much:"
        f" {', '.join(told)} three times, and {_named(one)} twice more, must leave somebody out. Spread the"
        " machines over more organisations, give each organisation the same weight, or let less fail together"
    )


def _named(mask: int) -> str:
    return "{" + ", ".join(str(member + 1) for member in members_of(mask)) + "}"


@dataclass(frozen=True, slots=True)
class WeightedQuorums:
    """Who suffices, by weight, for a fault structure. The same questions as to ``QuorumSystem``.

    ``weights``: of each member, 1 or more, together 255 at most. Raises UnsatisfiableSizes where these faults
    leave too little weight.
    """

    faults: FaultStructure
    weights: tuple[int, ...]
    profile: str
    decision: int = 0
    leaders: tuple[int, ...] = ()
    """The members that lead, ascending, where not all of them do; all others may be faulty together."""

    def __post_init__(self) -> None:
        if self.leaders and (
            list(self.leaders) != sorted(set(self.leaders) & set(range(self.member_count)))
            or not self.reports(mask_of(self.leaders))
        ):
            raise UnsatisfiableSizes(
                "all members lead but some that may be faulty together, each named once, in ascending order"
            )
        needed = decision_weight(self.faults, self.weights, self.profile)
        if self.decision not in (0, needed):
            raise UnsatisfiableSizes(f"{needed} decides with these weights and faults, not {self.decision}")
        object.__setattr__(self, "decision", needed)

    @property
    def member_count(self) -> int:
        return self.faults.member_count

    @property
    def lean(self) -> bool:
        return self.profile == LEAN

    @property
    def everybody(self) -> int:
        """All members, as a set."""
        return (1 << self.member_count) - 1

    def decides(self, mask: int) -> bool:
        """Whether Accepted of these members decide a value."""
        return weight_of(mask, self.weights) >= self.decision

    def decided(self, levels: Sequence[int]) -> int:
        """The highest level that members of weight ``decision`` have all reached."""
        weight = 0
        for level, member in sorted(zip(levels, range(self.member_count), strict=True), reverse=True):
            weight += self.weights[member]
            if weight >= self.decision:
                return level
        raise AssertionError("all members together decide")

    def reports(self, mask: int) -> bool:
        """Whether a new view may start from Reports of these: everybody else may be faulty together."""
        return self.faults.contains(self.everybody & ~mask)

    def selects(self, mask: int) -> bool:
        """Whether a NewView may name the Reports of these members: more than needed do no harm."""
        return self.reports(mask)

    def forces(self, named: int, reported: int, equivocator: int | None = None) -> bool:
        """Whether reporters ``named``, who name one digest among all ``reported``, force it.

        They do if it may have been decided: with everybody who did not report, and one set of liars.
        ``equivocator``: the member that is proven to have proposed two values, in profile lean; it is one of
        the liars, and is not among those who reported.
        """
        beside = self.everybody & ~reported
        return any(
            self.decides(named | beside | liars)
            for liars in self.faults.largest
            if equivocator is None or liars >> equivocator & 1
        )

    def has_correct(self, mask: int) -> bool:
        """Whether one of these is correct for certain."""
        return not self.faults.contains(mask)

    def joins(self, mask: int) -> bool:
        """Whether a member joins these, who suspect the leader: two sets of liars are not all of them.

        Whoever decides are joined: they weigh more than any two sets do.
        """
        return all(self.has_correct(mask & ~liars) for liars in self.faults.largest)

    def leader(self, view: int) -> int:
        """The members take turns, or those of ``leaders``. Raises ValueError for a negative view."""
        if view < 0:
            raise ValueError(f"views start at 0, not {view}")
        return self.leaders[view % len(self.leaders)] if self.leaders else view % self.member_count
