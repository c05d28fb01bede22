"""Whom a failed generation names, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Culprit:
    """A party and what it did, as one clause.

    proven: whether the transcript, with the parties' signatures, shows it to everybody. Silence is not shown:
    only who waited knows of it.
    """

    index: int
    reason: str
    proven: bool = True


class Convicted(Exception):
    """Raised where a deviation is found; the state machine makes a `Failure` of it."""

    def __init__(self, culprits: Iterable[Culprit]) -> None:
        self.culprits = tuple(sorted(culprits, key=lambda culprit: culprit.index))
        super().__init__(self.culprits)
