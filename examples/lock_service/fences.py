"""What a resource does with tokens: it refuses who comes with an old one, whatever he believes of his lease.

A lease ends by agreed time, and its holder may not notice: it was paused, its network was, its clock is slow.
So the lock alone does not protect anything. A resource remembers the highest token that it has seen under
each lock, and who comes with a lower one was overtaken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from examples.lock_service.encoding import Mode


class StaleToken(Exception):
    """Somebody with a later grant was here before."""


class WrongMode(Exception):
    """A shared lock is for reading."""


@dataclass(slots=True)
class Marks:
    """The highest tokens seen under one lock."""

    seen: int = 0
    written: int = 0


@dataclass(slots=True)
class Fences:
    """Decides by the tokens alone; who asks it verifies the grants, and keeps ``marks`` on disk."""

    marks: dict[str, Marks] = field(default_factory=dict)

    def read(self, name: str, token: int) -> Marks:
        """The marks after a read. Raises StaleToken when somebody has written under a later grant."""
        old = self.marks.get(name, Marks())
        if token < old.written:
            raise StaleToken(f"token {token} of '{name}' is stale: token {old.written} has written since")
        return Marks(max(old.seen, token), old.written)

    def write(self, name: str, mode: Mode, token: int) -> Marks:
        """The marks after a write. Raises WrongMode, or StaleToken when a later grant was seen at all."""
        if mode is not Mode.EXCLUSIVE:
            raise WrongMode(f"'{name}' is held in shared mode, which is for reading")
        old = self.marks.get(name, Marks())
        if token < old.seen:
            raise StaleToken(f"token {token} of '{name}' is stale: token {old.seen} was here since")
        return Marks(token, token)
