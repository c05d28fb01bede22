"""Where a subscriber stopped, on disk: an SQLite file that its own work may go into as well.

What is stored together is taken together. So whoever writes what a message causes into this file, within
``handing_over``, takes each message exactly once, whenever its process is killed. What a program does
elsewhere (a mail, a line on a terminal) can be done twice, for it may die between doing it and noting it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from alliance import LogEntry
from alliance.errors import AllianceError
from examples.broadcast.message import Message, Place, check_topic, place_of
from examples.broadcast.seen import Seen, Use

FORMAT = "broadcast-cursor/1"
PASSED_MAX = 1024
"""So many commands of no interest are passed over before the cursor is synced to behind them."""

OUTSTANDING_MAX = 65_536
"""Commands read and not handed over: more is a subscriber that forgot to."""

_SCHEMA = """
CREATE TABLE cursor (format TEXT, alliance BLOB, topics TEXT, start INTEGER, slot INTEGER, position INTEGER,
                     command_index INTEGER);
CREATE TABLE seen (client TEXT, client_seq INTEGER, slot INTEGER, position INTEGER, floor INTEGER,
                   PRIMARY KEY (client, client_seq)) WITHOUT ROWID;
"""


class CursorError(AllianceError):
    """The cursor cannot be opened, is of another subscription, or was not kept up with."""

    exit_code = 2


class Cursor:
    """A durable cursor of one subscription. Close it, or use ``with``; one process at a time."""

    def __init__(
        self, path: str | Path, alliance_id: bytes, topics: Iterable[str] | None = None, start: int = 1
    ) -> None:
        """Opens the file, or makes it for a subscription that begins at slot ``start``.

        ``topics`` None means all. Raises CursorError for an invalid file, one in use, or of another
        subscription (``start`` of an existing one is not looked at).
        """
        self.path = Path(path)
        self.topics = None if topics is None else frozenset(topics)
        for topic in self.topics or ():
            check_topic(topic)
        if not 1 <= start < 2**62:
            raise CursorError("slots count from 1")
        self.place: Place = (start, -1, -1)
        self._seen = Seen()
        self._unsaved: deque[tuple[Place, Use | None]] = deque()
        self._outstanding: deque[Place] = deque()
        self._failed = False
        wanted = "*" if self.topics is None else json.dumps(sorted(self.topics))
        try:
            self._database = sqlite3.connect(self.path, timeout=0.0, isolation_level=None)
        except sqlite3.Error as error:
            raise CursorError(f"the cursor {self.path} cannot be opened: {error}") from None
        try:
            self._open(alliance_id, wanted, start)
        except sqlite3.Error as error:
            self._database.close()
            busy = "locked" in str(error)
            why = "another process uses it: end that one" if busy else f"{error}: is it the right file?"
            raise CursorError(f"the cursor {self.path} cannot be opened: {why}") from None
        except BaseException:
            self._database.close()
            raise

    def _open(self, alliance_id: bytes, topics: str, start: int) -> None:
        execute = self._database.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("BEGIN EXCLUSIVE")
        if not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _SCHEMA.split(";"):
                execute(statement)
            row = (FORMAT, alliance_id, topics, start, start, -1, -1)
            execute("INSERT INTO cursor VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        found = execute("SELECT * FROM cursor").fetchone()
        if found is None or found[0] != FORMAT:
            raise CursorError(f"{self.path} is no cursor of a subscription: name another file")
        if found[1] != alliance_id:
            raise CursorError(f"the cursor {self.path} is of another alliance: name another file")
        if found[2] != topics:
            raise CursorError(
                f"the cursor {self.path} is of another subscription, to {found[2]}: subscribe to these"
                " topics, or begin another cursor"
            )
        execute("COMMIT")
        self.rewind()

    def __enter__(self) -> Cursor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """What was not handed over comes again."""
        self._database.close()

    # -- what subscribe does with it -----------------------------------------------------------------

    def admit(self, entry: LogEntry) -> bool:
        """Whether this command, the next one of the log, is new. Raises CursorError when too far ahead."""
        place = place_of(entry)
        newest = self._unsaved[-1][0] if self._unsaved else self.place
        if place <= newest:
            return False
        if not self._outstanding and len(self._unsaved) >= PASSED_MAX:
            with self.transaction():
                self._save(newest)  # not this one: it may be a message
        elif len(self._unsaved) >= OUTSTANDING_MAX:
            raise CursorError(
                f"{OUTSTANDING_MAX:,} commands were read since the last message that was handed over: use"
                " 'with cursor.handing_over(message)' for each"
            )
        new, use = self._seen.admit(entry)
        self._unsaved.append((place, use))
        return new

    def offered(self, message: Message) -> None:
        """The message is the subscriber's now; until it is handed over, the cursor does not move past it."""
        self._outstanding.append(message.place)

    def rewind(self) -> None:
        """Forgets what was read and not handed over: it will be read again. Raises CursorError."""
        execute = self._database.execute
        seen = Seen()
        try:
            # The highest floor of a client is its newest, and restored last.
            for row in execute("SELECT client, client_seq, slot, position, floor FROM seen ORDER BY floor"):
                seen.restore(Use(*row))
            self.place = execute("SELECT slot, position, command_index FROM cursor").fetchone()
        except sqlite3.Error as error:
            raise CursorError(f"the cursor {self.path} cannot be read: {error}") from None
        self._seen = seen
        self._unsaved.clear()
        self._outstanding.clear()
        self._failed = False

    # -- what the subscriber does with it ------------------------------------------------------------

    @contextmanager
    def handing_over(self, message: Message) -> Iterator[sqlite3.Connection]:
        """Takes this message, and all before it, when the block ends; nothing of it when the block raises.

        Yields the connection, within a transaction: tables of your own may be made and written, and are
        written together with the cursor. When the block ends they are on the disk. Raises CursorError for
        a message that this cursor did not offer last, and after a block that raised: then subscribe again.
        """
        if self._failed:
            raise CursorError("a message before this one was not taken: subscribe again, it comes first")
        if message.place not in self._outstanding:
            raise CursorError("this message was handed over before, or is not of this subscription")
        with self.transaction() as database:
            yield database
            self._save(message.place)
        while self._outstanding and self._outstanding[0] <= message.place:
            self._outstanding.popleft()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """For tables of your own beside the cursor; messages are not affected. Raises CursorError."""
        self._failed = True
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise CursorError(f"the cursor {self.path} cannot be written: {error}") from None
        self._failed = False
        while self._unsaved and self._unsaved[0][0] <= self.place:
            self._unsaved.popleft()

    def _save(self, place: Place) -> None:
        floors: dict[str, int] = {}
        for at, use in self._unsaved:
            if at > place:
                break
            if use is not None:
                row = (use.client, use.client_seq, use.slot, use.position, use.floor)
                self._database.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", row)
                floors[use.client] = use.floor
        for client, floor in floors.items():
            self._database.execute("DELETE FROM seen WHERE client = ? AND client_seq <= ?", (client, floor))
        self._database.execute("UPDATE cursor SET slot = ?, position = ?, command_index = ?", place)
        self.place = place
