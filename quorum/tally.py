"""Counting the words of members: one word each, bounded, three-valued."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import Generic, TypeVar

from quorum.endorsement import Equivocation

Word = TypeVar("Word", bound=Hashable)


class Verdict(Enum):
    PENDING = "pending"
    REACHED = "reached"
    IMPOSSIBLE = "impossible"


class Tally(Generic[Word]):
    """Whether ``needed`` of ``member_count`` members said the same word.

    Holds at most one word per member, so its memory is bounded whatever arrives.
    """

    __slots__ = ("_words", "member_count", "needed")

    def __init__(self, member_count: int, needed: int) -> None:
        """``1 <= needed <= member_count``; raises ValueError otherwise."""
        if not 1 <= needed <= member_count:
            raise ValueError(f"needed must be 1 to {member_count}, not {needed}")
        self.member_count = member_count
        self.needed = needed
        self._words: dict[int, Word] = {}

    def add(self, member: int, word: Word) -> Equivocation | None:
        """Counts a member's word. A second, different word is not counted but returned as evidence.

        Raises ValueError for a member that does not exist.
        """
        if not 0 <= member < self.member_count:
            raise ValueError(f"no member {member} among {self.member_count}")
        first = self._words.setdefault(member, word)
        return None if first == word else Equivocation(member, first, word)

    def supporters(self, word: Word) -> tuple[int, ...]:
        """Who said this word, in the order in which they said it."""
        return tuple(member for member, said in self._words.items() if said == word)

    def winner(self) -> Word | None:
        """The word that ``needed`` members said, if there is one."""
        counts: dict[Word, int] = {}
        for word in self._words.values():
            counts[word] = counts.get(word, 0) + 1
            if counts[word] >= self.needed:
                return word
        return None

    def verdict(self) -> Verdict:
        """REACHED, or IMPOSSIBLE when the silent members could not complete any word, or PENDING."""
        counts: dict[Word, int] = {}
        for word in self._words.values():
            counts[word] = counts.get(word, 0) + 1
        best = max(counts.values(), default=0)
        if best >= self.needed:
            return Verdict.REACHED
        silent = self.member_count - len(self._words)
        return Verdict.PENDING if best + silent >= self.needed else Verdict.IMPOSSIBLE
