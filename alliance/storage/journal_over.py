"""A member that has given its share of the next membership by an act of recovery: its epoch is over for it.

The note of it goes with the other notes of the epoch, when the member enters the next one. Until then its
server does not start: what it could still say in this epoch would be behind its end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from alliance.errors import JournalError
from alliance.storage.journal_records import in_epoch

OVER = "over"
"""The note with the digest of the act."""


class KeepsNotes(Protocol):
    """A journal."""

    path: Path

    @property
    def epoch(self) -> int: ...

    def kept(self, key: str) -> bytes | None: ...

    def keep(self, key: str, value: bytes) -> None: ...


def declare_over(journal: KeepsNotes, act: bytes) -> None:
    """The member's epoch is over by the act of this digest, durably. Raises JournalError, also when it is
    over by another act already."""
    key = in_epoch(OVER, journal.epoch)
    before = journal.kept(key)
    if before is not None and before != act:
        raise JournalError(
            f"{journal.path}: this member has signed that epoch {journal.epoch} is over by another act of"
            f" recovery, {before.hex()[:16]}…, and signs no second one"
        )
    if before is None:
        journal.keep(key, act)


def require_not_over(path: Path, epoch: int, read_note: Callable[[str], bytes | None]) -> None:
    """Raises JournalError when the epoch is over by an act of recovery."""
    act = read_note(in_epoch(OVER, epoch))
    if act is not None:
        raise JournalError(
            f"{path}: this member has signed that epoch {epoch} is over, by the act of recovery"
            f" {act.hex()[:16]}…: go on with 'alliance recover finish', and then start it"
        )
