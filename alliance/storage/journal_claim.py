"""Whose a journal is, and what is said when it cannot be used."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alliance.errors import JournalError
from alliance.storage.journal_marker import NEW_IDENTITY
from alliance.storage.journal_records import COMMITS, SCHEMA, Position, Starts

FORMAT = 5
ENGINE = b"fab_paxos"
COUNT = struct.Struct(">Q")
"""Of COMMITS."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The member of an alliance that a journal is to be of, and where it lies."""

    path: Path
    alliance_id: bytes
    member: str


def claim(
    db: sqlite3.Connection,
    owner: Owner,
    used: bool,
    read_note: Callable[[str], bytes | None],
    write_note: Callable[[str, bytes], None],
) -> bool:
    """Whether it is a new file, which then becomes this owner's. Within a transaction.

    ``used``: the mark knows of writes to it. Raises JournalError when it is another's, and one of DAMAGE.
    """
    fresh = not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    alliance_id, member = owner.alliance_id, owner.member.encode()
    if fresh:
        # A new file has one page by now. A larger one has lost its tables: not to be taken for new.
        if db.execute("PRAGMA page_count").fetchone()[0] > 1 or used:
            raise ValueError("its tables are gone")
        for statement in SCHEMA:
            db.execute(statement)
        write_note("format", str(FORMAT).encode())
        write_note("engine", ENGINE)
        write_note("alliance", alliance_id)
        write_note("member", member)
        write_note("position", Position().pack())
        write_note("starts", Starts().pack())
        write_note(COMMITS, COUNT.pack(1))
    if read_note("format") != str(FORMAT).encode():
        raise JournalError(f"{owner.path} has another format than this version writes ({FORMAT})")
    if read_note("engine") != ENGINE:
        raise JournalError(f"{owner.path} is the journal of another engine than {ENGINE.decode()}")
    if read_note("alliance") != alliance_id:
        raise JournalError(f"{owner.path} is the journal of another alliance: do not mix their folders")
    if read_note("member") != member:
        raise JournalError(f"{owner.path} is the journal of another member: do not mix their folders")
    return fresh


def unopened(path: Path, error: Exception) -> JournalError:
    if "locked" in str(error):
        return JournalError(f"{path} is in use by another process: is this member already running?")
    return JournalError(f"{path} cannot be opened: {error}; check the folder's owner and space")


def unwritten(path: Path, error: Exception) -> JournalError:
    return JournalError(
        f"{path} cannot be written ({error}); this member stops before it says anything that it"
        " might forget: free space or replace the disk, then start it again"
    )


def damaged(path: Path, detail: str) -> JournalError:
    """The error for a journal whose records do not fit together."""
    short = " ".join(detail.split())[:200]
    return JournalError(
        f"{path} is damaged: {short}; this member must not vote on it: put the newest files back,"
        f" all of them; {NEW_IDENTITY}"
    )
