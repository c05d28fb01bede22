"""What is kept of each epoch that a folder has read of: how it began, and who its members are.

Encoding (``consensus.control.encoding``)::

    epoch   number u64 | kind u8 | start u64 | time_ms u64 | dealing u64 | profile u8 | faulty_max u8
            | members list of text
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from consensus.control import ControlState
from consensus.control.encoding import MalformedControl, Reader, listed, text, u8, u64
from consensus.control.rows import NAME_BYTES_MAX
from quorum import PROFILES
from quorum.system import MEMBER_COUNT_MAX


class Beginning(IntEnum):
    """How an epoch began: by the FOUNDING; as a LIGHT one, with the shares of the one before; as a FULL one,
    with new ones; UNREAD, where the log is known from a checkpoint within the epoch on; or by a RECOVERY, an
    act of the operators that no log has ordered."""

    FOUNDING = 0
    LIGHT = 1
    FULL = 2
    UNREAD = 3
    RECOVERY = 4


@dataclass(frozen=True, slots=True)
class EpochNote:
    """``start``: the last slot before it. ``time_ms``: agreed time there, 0 if not known. ``members`` are
    names in the order of their numbers."""

    epoch: int
    beginning: Beginning
    start: int
    time_ms: int
    dealing: int
    profile: str
    faulty_max: int
    members: tuple[str, ...]

    @classmethod
    def of(cls, state: ControlState, ended: ControlState | None = None) -> EpochNote:
        """Of the epoch that ``state`` is in. ``ended``: the last state of the one before, if it was read."""
        beginning, time_ms = Beginning.FOUNDING if state.epoch == 0 else Beginning.UNREAD, 0
        if ended is not None:
            beginning = Beginning.LIGHT if state.dealing == ended.dealing else Beginning.FULL
            time_ms = ended.time_ms
        if any(one.epoch + 1 == state.epoch for one in state.recoveries):
            beginning = Beginning.RECOVERY
        rows = state.directory
        names = tuple(row.name for row in rows.members)
        head = state.epoch, beginning, state.start, time_ms, state.dealing
        return cls(*head, rows.profile, rows.faulty_max, names)

    def encode(self) -> bytes:
        head = u64(self.epoch) + u8(self.beginning) + u64(self.start) + u64(self.time_ms) + u64(self.dealing)
        sizes = u8(PROFILES.index(self.profile)) + u8(self.faulty_max)
        return head + sizes + listed(text(name) for name in self.members)

    @classmethod
    def read(cls, reader: Reader) -> EpochNote:
        """Raises MalformedControl."""
        epoch, beginning = reader.number(8), reader.number(1)
        if beginning not in set(Beginning):
            raise MalformedControl("an epoch began in no way that there is")
        numbers = reader.number(8), reader.number(8), reader.number(8)
        profile, faulty_max = PROFILES[reader.number(1, len(PROFILES) - 1)], reader.number(1)
        members = reader.listed(lambda r: r.text(NAME_BYTES_MAX), MEMBER_COUNT_MAX)
        return cls(epoch, Beginning(beginning), *numbers, profile, faulty_max, members)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "epoch": self.epoch,
            "beginning": self.beginning.name.lower(),
            "start": self.start,
            "time_ms": self.time_ms,
            "dealing": self.dealing,
            "profile": self.profile,
            "faulty_max": self.faulty_max,
            "members": list(self.members),
        }
