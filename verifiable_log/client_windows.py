"""At most once: which sequence numbers of each client the log holds already.

This is replicated state: a function of the log alone, so that all members judge alike. It can be rolled
back, because an accepted slot may still be replaced in a later view, and written down client by client,
because checkpoints sign it (docs/concepts/protocol.md, section 11).

The state of one client, canonical and big-endian, numbers ascending::

    client_id[32] | floor + 1 u64 | count u32 | (client_seq u64 | slot u64 | body_digest[32]) x count
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from verifiable_log.limits import CLIENT_WINDOW
from verifiable_log.submission import Submission

_CLIENT = struct.Struct(">32sQI")
_USE = struct.Struct(">QQ32s")

CLIENT_STATE_BYTES_MAX = _CLIENT.size + CLIENT_WINDOW * _USE.size
"""The state of one client never takes more."""


class Freshness(Enum):
    """What the log says of a submission."""

    FRESH = "fresh"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Lookup:
    """``slot`` is where the sequence number was used, for REPEATED and CONFLICT; otherwise 0."""

    freshness: Freshness
    slot: int = 0


@dataclass(slots=True)
class _Window:
    """``used`` maps the numbers above ``floor`` to (slot, body digest); those up to it are expired."""

    floor: int
    used: dict[int, tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class _Undo:
    slot: int
    client_id: bytes
    client_seq: int
    floor: int
    dropped: tuple[tuple[int, tuple[int, bytes]], ...]


class ClientWindows:
    """Per client the last CLIENT_WINDOW sequence numbers; memory is bounded by the number of clients."""

    def __init__(self) -> None:
        self._windows: dict[bytes, _Window] = {}
        self._undo: deque[_Undo] = deque()
        # The state of the clients that have not changed since it was last written down.
        self._written: dict[bytes, bytes] = {}

    @classmethod
    def read(cls, state: Iterable[bytes]) -> ClientWindows:
        """The windows that ``state`` wrote down. Raises ValueError when no correct member wrote this."""
        windows = cls()
        last = b""
        for written in state:
            client_id, window = _read_client(written)
            if client_id <= last:
                raise ValueError("the clients of a state are out of order")
            last = client_id
            windows._windows[client_id] = window
            windows._written[client_id] = written
        return windows

    def state(self) -> tuple[bytes, ...]:
        """Everything: an item of at most CLIENT_STATE_BYTES_MAX bytes a client, in order of client ids."""
        for client_id in self._windows.keys() - self._written.keys():
            self._written[client_id] = _write_client(client_id, self._windows[client_id])
        return tuple(self._written[client_id] for client_id in sorted(self._windows))

    def judge(self, submission: Submission) -> Lookup:
        """How this submission stands to the log so far. Changes nothing."""
        window = self._windows.get(submission.client_id)
        if window is None:
            return Lookup(Freshness.FRESH)
        use = window.used.get(submission.client_seq)
        if use is not None:
            slot, digest = use
            same = digest == submission.body_digest
            return Lookup(Freshness.REPEATED if same else Freshness.CONFLICT, slot)
        return Lookup(Freshness.EXPIRED if submission.client_seq <= window.floor else Freshness.FRESH)

    def admit(self, slot: int, submission: Submission) -> bool:
        """Enters a submission of ``slot``; slots never decrease. True when it is to be delivered."""
        if self.judge(submission).freshness is not Freshness.FRESH:
            return False
        window = self._windows.setdefault(submission.client_id, _Window(-1, {}))
        floor = max(window.floor, submission.client_seq - CLIENT_WINDOW)
        dropped: tuple[tuple[int, tuple[int, bytes]], ...] = ()
        if floor > window.floor and window.used:
            dropped = tuple((seq, window.used.pop(seq)) for seq in _stale(window, floor))
        self._undo.append(_Undo(slot, submission.client_id, submission.client_seq, window.floor, dropped))
        window.floor = floor
        window.used[submission.client_seq] = (slot, submission.body_digest)
        self._written.pop(submission.client_id, None)
        return True

    def preview(self, slot: int, submissions: Sequence[Submission]) -> tuple[bool, ...]:
        """What ``admit`` would say to these in turn, in the new slot ``slot``. Changes nothing."""
        fresh = tuple(self.admit(slot, submission) for submission in submissions)
        self.rollback(slot - 1)
        return fresh

    def rollback(self, slot: int) -> None:
        """Forgets what was entered for slots above ``slot``."""
        while self._undo and self._undo[-1].slot > slot:
            undo = self._undo.pop()
            self._written.pop(undo.client_id, None)
            window = self._windows[undo.client_id]
            del window.used[undo.client_seq]
            window.used.update(undo.dropped)
            window.floor = undo.floor
            if not window.used and window.floor < 0:
                del self._windows[undo.client_id]

    def settle(self, slot: int) -> None:
        """Slots up to ``slot`` are decided: they can no longer be rolled back."""
        while self._undo and self._undo[0].slot <= slot:
            self._undo.popleft()


def _stale(window: _Window, floor: int) -> list[int]:
    """The used numbers up to a new, higher floor; in the usual steps of one without a walk over all."""
    if floor - window.floor < len(window.used):
        return [seq for seq in range(window.floor + 1, floor + 1) if seq in window.used]
    return [seq for seq in window.used if seq <= floor]


def _write_client(client_id: bytes, window: _Window) -> bytes:
    uses = (_USE.pack(seq, slot, digest) for seq, (slot, digest) in sorted(window.used.items()))
    return _CLIENT.pack(client_id, window.floor + 1, len(window.used)) + b"".join(uses)


def _read_client(written: bytes) -> tuple[bytes, _Window]:
    """Raises ValueError."""
    if not _CLIENT.size < len(written) <= CLIENT_STATE_BYTES_MAX:
        raise ValueError(f"the state of a client has {CLIENT_STATE_BYTES_MAX} bytes at most")
    client_id, above, count = _CLIENT.unpack_from(written)
    if len(written) != _CLIENT.size + count * _USE.size:
        raise ValueError("the state of a client ends in the wrong place")
    used: dict[int, tuple[int, bytes]] = {}
    last = above - 1
    for seq, slot, digest in _USE.iter_unpack(written[_CLIENT.size :]):
        if seq <= last:
            raise ValueError("the sequence numbers of a client's state are out of order")
        used[seq] = (slot, digest)
        last = seq
    return client_id, _Window(above - 1, used)
