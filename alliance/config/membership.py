"""Which membership an alliance is in: its epoch, and the revision within it.

Servers name theirs with each answer to a client. Nobody believes it: it only tells a client that there may be
something newer than its own alliance.toml.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar


class Answer(Protocol):
    """A message of the wire that names them."""

    epoch: int
    revision: int


Named = TypeVar("Named", bound=Answer)


class Membership(NamedTuple):
    """Ordered: every epoch begins with revision 0."""

    epoch: int
    revision: int

    @classmethod
    def last_of(cls, epoch: int) -> Membership:
        """Not below any revision of this epoch, and below all of the next one."""
        return cls(epoch, 2**64 - 1)

    @classmethod
    def of(cls, answer: Answer) -> Membership:
        """What an answer names."""
        return cls(answer.epoch, answer.revision)

    def named_in(self, answer: Named) -> Named:
        """The answer, which names this membership now."""
        answer.epoch, answer.revision = self
        return answer
