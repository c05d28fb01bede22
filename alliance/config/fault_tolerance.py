"""Which failures of members and of organisations an alliance survives, for people and programs.

An organisation fails as a whole: it can be broken into, cut off or go out of business with all that it runs.
The quorums count members, so one that runs more than ``f`` of them breaks the alliance alone. The sets are
worked out in ``quorum.survival``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.faults import mask_of
from quorum.survival import Survival, breaking, survival
from quorum.system import QuorumSystem


@dataclass(frozen=True, slots=True)
class FaultTolerance:
    """``members``: of each its name and its organisation, in the order of their numbers."""

    system: QuorumSystem
    members: tuple[tuple[str, str], ...]

    @property
    def organisations(self) -> dict[str, tuple[int, ...]]:
        """By name, in the order of their first members: the numbers of theirs, from 0."""
        found: dict[str, list[int]] = {}
        for number, (_, organisation) in enumerate(self.members):
            found.setdefault(organisation, []).append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}

    @property
    def too_large(self) -> tuple[str, ...]:
        """Organisations that break it alone."""
        return tuple(
            name for name, numbers in self.organisations.items() if len(numbers) > self.system.faulty_max
        )

    @property
    def halting(self) -> int:
        """So many members that are down leave too few to decide anything, even under a leader that is up."""
        return self.system.member_count - self.system.decision + 1

    def numbers(self, names: Iterable[str]) -> tuple[int, ...]:
        """Of members, or of all members of organisations. Raises KeyError with a name that is neither."""
        by_name = {name: (number,) for number, (name, _) in enumerate(self.members)}
        known = self.organisations | by_name
        return tuple(sorted({number for name in names for number in known[name]}))

    def in_failure(self, lying: Sequence[int], down: Sequence[int]) -> Survival:
        """What is left when members with these numbers lie, and those are down."""
        return survival(self.system, mask_of(lying), mask_of(down))

    def fewest_organisations(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Some of the fewest organisations that make it unsafe by lying; and that halt it by being down."""
        names = list(self.organisations)
        found = breaking(self.system, [mask_of(numbers) for numbers in self.organisations.values()])
        unsafe, halted = found.unsafe or (), found.halted or ()
        return tuple(names[at] for at in unsafe), tuple(names[at] for at in halted)

    def summary(self) -> str:
        """In one line."""
        system = self.system
        return (
            f"{system.faulty_max} of {system.member_count} members may be faulty, {system.decision} decide"
            f" (profile {system.profile})"
        )

    def lines(self) -> list[str]:
        """What it survives, and what it does not."""
        faulty, halting = self.system.faulty_max, self.halting
        told = [
            self.summary(),
            f"survives: {_any(faulty)}",
            f"not safe: {_members(faulty + 1)} that {_do(faulty + 1, 'lie')} could have two orders signed",
            f"halted: with {_members(halting)} down, nothing is decided until one of them is back",
        ]
        if halting > faulty + 1:
            stuck = f"not live: with {_members(faulty + 1)} down, a leader that fails cannot be replaced"
            told.insert(3, stuck)
        if self.too_large:
            told += [
                f"beware: {name} runs {len(self.organisations[name])} members, more than may be faulty: the"
                " alliance is only as good as that organisation"
                for name in self.too_large
            ]
            return told
        unsafe, halted = self.fewest_organisations()
        if unsafe:
            told.append(f"fewest organisations: {', '.join(unsafe)} together can break it")
        if halted and len(halted) != len(unsafe):
            told[-1] += f"; {', '.join(halted)} can halt it"
        return told

    def to_json(self) -> dict[str, Any]:
        system = self.system
        unsafe, halted = self.fewest_organisations()
        return {
            "members": system.member_count,
            "profile": system.profile,
            "faulty_max": system.faulty_max,
            "decision": system.decision,
            "reports": system.report,
            "organisations": {
                name: [self.members[number][0] for number in numbers]
                for name, numbers in self.organisations.items()
            },
            "smallest_unsafe": system.one_correct,
            "smallest_stuck": system.member_count - system.report + 1,
            "smallest_halted": self.halting,
            "smallest_unsafe_organisations": list(unsafe),
            "smallest_halted_organisations": list(halted),
            "too_large": list(self.too_large),
        }


def differences(before: FaultTolerance, after: FaultTolerance) -> list[str]:
    """What is survived in one and not in the other, for people; nothing if that is the same."""
    old, new = before.system, after.system
    told = []
    for what, then, now in (
        ("members may be faulty", old.faulty_max, new.faulty_max),
        ("members that are down halt it", before.halting, after.halting),
        ("members decide", old.decision, new.decision),
        ("members in all", old.member_count, new.member_count),
    ):
        if then != now:
            told.append(f"{what}: {then} before, {now} then")
    if old.profile != new.profile:
        told.append(f"profile: {old.profile} before, {new.profile} then")
    told += [
        f"{name} alone can break it then, with {len(after.organisations[name])} members"
        for name in after.too_large
        if name not in before.too_large
    ]
    told += [
        f"{name} alone cannot break it any more" for name in before.too_large if name not in after.too_large
    ]
    return told


def _members(count: int) -> str:
    return f"{count} member{'' if count == 1 else 's'}"


def _any(faulty: int) -> str:
    if faulty == 0:
        return "nothing: every member must answer, and none may lie"
    return f"any {_members(faulty)} that {_do(faulty, 'lie')}, {_are(faulty)} down or {_are(faulty)} cut off"


def _do(count: int, verb: str) -> str:
    return f"{verb}s" if count == 1 else verb


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
