"""What an engine asks of a quorum system: about sets of members, and never how many there are.

``QuorumSystem`` answers by counting, ``WeightedQuorums`` by weighing, for organisations of different sizes.
A set of members is a bit mask, from member 0 (``quorum.faults``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Quorums(Protocol):
    """Who suffices for what in an alliance of members 0..n-1, some sets of whom may be faulty together."""

    @property
    def member_count(self) -> int: ...

    @property
    def lean(self) -> bool:
        """Whether new views are opened by the rule of profile lean."""

    def decides(self, mask: int, /) -> bool:
        """Whether Accepted, or shares, of these members decide and sign."""

    def decided(self, levels: Sequence[int], /) -> int:
        """The highest level that members who decide have all reached; ``levels`` has one a member, from 0."""

    def reports(self, mask: int, /) -> bool:
        """Whether a new view may start from Reports of these members: all others may be faulty together."""

    def selects(self, mask: int, /) -> bool:
        """Whether a NewView may name the Reports of these members, and no others."""

    def forces(self, named: int, reported: int, equivocator: int | None = None, /) -> bool:
        """Whether reporters ``named``, who name one digest among all ``reported``, force it.

        ``equivocator``: the member that is proven to have proposed two values, in profile lean; it is not
        among those who reported.
        """

    def has_correct(self, mask: int, /) -> bool:
        """Whether one of these members is correct for certain."""

    def joins(self, mask: int, /) -> bool:
        """Whether a member joins these, who suspect the leader: two sets of liars cannot be all of them."""

    def leader(self, view: int, /) -> int:
        """The member that leads this view."""
