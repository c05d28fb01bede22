"""At most once: which sequence numbers of each client the log holds already.

This is replicated state: a function of the log alone, so that all members judge alike. It can be rolled
back, because an accepted slot may still be replaced in a later view, and written down client by client,
because checkpoints sign it (docs/concepts/protocol.md, section 11).

The item of one client, canonical and big-endian::

    0x01 | client_id[32] | top u64 | used[128] | (slot u64 | body_digest[32]) x count

``top`` is the client's highest number. Bit i of ``used``, the lowest being bit 0, says whether ``top - i``
is used. Of those above ``top - 64`` it is also known for what they were used, in ascending order:
what comes twice in honest use, comes soon. So an item has 2,729 bytes at most; digests of all 1,024 numbers
would make it eighteen times as large.

Where the older numbers are is remembered beside that, as far as a member knows it (``places``): it answers
its own clients from it, and nothing that members must agree upon depends on it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import TypeVar

from verifiable_log.limits import CLIENT_WINDOW
from verifiable_log.merkle_tree import leaf_hash
from verifiable_log.state_writer import StateWriter, Written
from verifiable_log.submission import Submission

CLIENT_ITEM = 0x01
"""The first byte of a client's item: a state has items of other kinds, too."""

DIGESTS_KEPT = 64
"""The newest numbers of a client whose contents are remembered."""

_HEAD = struct.Struct(f">B32sQ{CLIENT_WINDOW // 8}s")
_USE = struct.Struct(">Q32s")
_PLACE_BYTES = 16
_ALL = (1 << CLIENT_WINDOW) - 1

CLIENT_ITEM_BYTES_MAX = _HEAD.size + DIGESTS_KEPT * _USE.size
"""The item of one client never takes more."""


class Freshness(Enum):
    """What the log says of a submission.

    For what a number below the newest DIGESTS_KEPT was used is forgotten: it counts as REPEATED.
    """

    FRESH = "fresh"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Lookup:
    """``slot`` is where the sequence number was used, for REPEATED and CONFLICT.

    Otherwise it is 0, and for a REPEATED of which this member does not know it any more: it is decided then.
    """

    freshness: Freshness
    slot: int = 0


@dataclass(slots=True)
class _Window:
    """Bit i of ``used`` stands for the number ``top - i``. ``digests`` are those of the newest used numbers,
    ``slots`` where the used numbers are, as far as it is known here."""

    top: int
    used: int
    digests: dict[int, bytes]
    slots: dict[int, int]


@dataclass(frozen=True, slots=True)
class _Undo:
    """How a window was before a submission of ``slot``; ``top`` is -1 if there was none."""

    slot: int
    client_id: bytes
    client_seq: int
    top: int
    used: int
    digests: tuple[tuple[int, bytes], ...]
    slots: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Gone:
    """A window that went with ``slot``."""

    slot: int
    client_id: bytes
    window: _Window


class ClientWindows:
    """Per client the last CLIENT_WINDOW sequence numbers; memory is bounded by the number of clients."""

    def __init__(self) -> None:
        self._windows: dict[bytes, _Window] = {}
        self._undo: deque[_Undo | _Gone] = deque()
        # The clients that have not changed since they were last written down.
        self._written: dict[bytes, Written] = {}
        self._writer: StateWriter | None = None

    @classmethod
    def read(cls, state: Iterable[bytes], places: Iterable[bytes] = ()) -> ClientWindows:
        """The windows that ``state`` wrote down. Raises ValueError when no correct member wrote this.

        ``places``: what ``places`` said with it; without it only the slots of the newest numbers are known.
        """
        windows = cls()
        last = b""
        for item, known in zip_longest(state, places, fillvalue=b""):
            client_id, window = _read_item(item)
            if client_id <= last:
                raise ValueError("the clients of a state are out of order")
            last = client_id
            _read_places(known, window)
            windows._windows[client_id] = window
            windows._written[client_id] = Written(item, known, leaf_hash(item))
        return windows

    def state(self) -> tuple[bytes, ...]:
        """Everything: an item of at most CLIENT_ITEM_BYTES_MAX bytes a client, in order of client ids."""
        return tuple(self._write(client_id).item for client_id in sorted(self._windows))

    def places(self) -> tuple[bytes, ...]:
        """Beside each item of ``state``: client_seq u64 x count, slot u64 x count of older numbers, as far as
        known, in ascending order of the numbers."""
        return tuple(self._write(client_id).places for client_id in sorted(self._windows))

    def begin_state(self, slot: int) -> StateWriter:
        """Begins to write down the state as it is now, after ``slot``: see there. One at a time."""
        self._writer = StateWriter(slot, self._write, self._written, self._windows)
        return self._writer

    def _write(self, client_id: bytes) -> Written:
        written = self._written.get(client_id)
        if written is None:
            window = self._windows[client_id]
            item = _write_item(client_id, window)
            written = self._written[client_id] = Written(item, _write_places(window), leaf_hash(item))
        return written

    def _changes(self, client_id: bytes) -> None:
        """What was written of this client is about to be of the past."""
        if self._writer is not None:
            self._writer.keep(client_id)
        self._written.pop(client_id, None)

    def judge(self, submission: Submission) -> Lookup:
        """How this submission stands to the log so far. Changes nothing."""
        window = self._windows.get(submission.client_id)
        seq = submission.client_seq
        if window is None or seq > window.top:
            return Lookup(Freshness.FRESH)
        if seq <= window.top - CLIENT_WINDOW:
            return Lookup(Freshness.EXPIRED)
        if not window.used >> (window.top - seq) & 1:
            return Lookup(Freshness.FRESH)
        same = window.digests.get(seq, submission.body_digest) == submission.body_digest
        return Lookup(Freshness.REPEATED if same else Freshness.CONFLICT, window.slots.get(seq, 0))

    def admit(self, slot: int, submission: Submission) -> bool:
        """Enters a submission of ``slot``; slots never decrease. True when it is to be delivered."""
        if self.judge(submission).freshness is not Freshness.FRESH:
            return False
        client_id, seq = submission.client_id, submission.client_seq
        self._changes(client_id)
        window = self._windows.get(client_id)
        if window is None:
            self._windows[client_id] = _Window(seq, 1, {seq: submission.body_digest}, {seq: slot})
            self._undo.append(_Undo(slot, client_id, seq, -1, 0, (), ()))
            return True
        top, used = window.top, window.used
        digests: tuple[tuple[int, bytes], ...] = ()
        slots: tuple[tuple[int, int], ...] = ()
        if seq > top:
            digests = _take(window.digests, top - DIGESTS_KEPT, seq - DIGESTS_KEPT)
            slots = _take(window.slots, top - CLIENT_WINDOW, seq - CLIENT_WINDOW)
            ahead = seq - top
            window.used = used << ahead & _ALL | 1 if ahead < CLIENT_WINDOW else 1
            window.top = seq
        else:
            window.used = used | 1 << top - seq
        if seq > window.top - DIGESTS_KEPT:
            window.digests[seq] = submission.body_digest
        window.slots[seq] = slot
        self._undo.append(_Undo(slot, client_id, seq, top, used, digests, slots))
        return True

    def drop(self, slot: int, clients: Iterable[bytes]) -> None:
        """With ``slot``, before anything of it is entered, the windows of these go: they are not admitted any
        more. One that came back would have all of its numbers again."""
        for client_id in clients:
            if client_id in self._windows:
                self._changes(client_id)
                self._undo.append(_Gone(slot, client_id, self._windows.pop(client_id)))

    def preview(self, slot: int, submissions: Sequence[Submission]) -> tuple[bool, ...]:
        """What ``admit`` would say to these in turn, in the new slot ``slot``. Changes nothing."""
        fresh = tuple(self.admit(slot, submission) for submission in submissions)
        self.rollback(slot - 1)
        return fresh

    def rollback(self, slot: int) -> None:
        """Forgets what was entered for slots above ``slot``; a state begun above it is void."""
        if self._writer is not None and self._writer.slot > slot:
            self._writer = None
        while self._undo and self._undo[-1].slot > slot:
            undo = self._undo.pop()
            self._changes(undo.client_id)
            if isinstance(undo, _Gone):
                self._windows[undo.client_id] = undo.window
                continue
            if undo.top < 0:
                del self._windows[undo.client_id]
                continue
            window = self._windows[undo.client_id]
            window.top, window.used = undo.top, undo.used
            window.digests.pop(undo.client_seq, None)
            del window.slots[undo.client_seq]
            window.digests.update(undo.digests)
            window.slots.update(undo.slots)

    def settle(self, slot: int) -> None:
        """Slots up to ``slot`` are decided: they can no longer be rolled back."""
        while self._undo and self._undo[0].slot <= slot:
            self._undo.popleft()


_Value = TypeVar("_Value")


def _take(kept: dict[int, _Value], floor: int, higher: int) -> tuple[tuple[int, _Value], ...]:
    """Takes out the numbers up to a new, higher floor; in the usual steps of one without a walk over all."""
    stale = range(floor + 1, higher + 1) if higher - floor < len(kept) else [n for n in kept if n <= higher]
    return tuple((seq, kept.pop(seq)) for seq in stale if seq in kept)


def _newest(top: int, used: int) -> list[int]:
    """The used numbers whose contents are remembered, ascending."""
    return [top - back for back in range(DIGESTS_KEPT - 1, -1, -1) if used >> back & 1]


def _write_item(client_id: bytes, window: _Window) -> bytes:
    used = window.used.to_bytes(CLIENT_WINDOW // 8, "big")
    head = _HEAD.pack(CLIENT_ITEM, client_id, window.top, used)
    slots, digests = window.slots, window.digests
    return head + b"".join(_USE.pack(slots[n], digests[n]) for n in _newest(window.top, window.used))


def _read_item(item: bytes) -> tuple[bytes, _Window]:
    """Raises ValueError."""
    if not _HEAD.size < len(item) <= CLIENT_ITEM_BYTES_MAX:
        raise ValueError(f"a client's item of a state has {CLIENT_ITEM_BYTES_MAX} bytes at most")
    kind, client_id, top, packed = _HEAD.unpack_from(item)
    used = int.from_bytes(packed, "big")
    if kind != CLIENT_ITEM or not used & 1 or used >> top + 1:
        raise ValueError("no client's item of a state: its kind, or its numbers, cannot be")
    newest = _newest(top, used)
    if len(item) != _HEAD.size + len(newest) * _USE.size:
        raise ValueError("a client's item of a state ends in the wrong place")
    uses = dict(zip(newest, _USE.iter_unpack(item[_HEAD.size :]), strict=True))
    digests = {seq: digest for seq, (_, digest) in uses.items()}
    return client_id, _Window(top, used, digests, {seq: slot for seq, (slot, _) in uses.items()})


def _write_places(window: _Window) -> bytes:
    numbers = sorted(window.slots)  # they were entered nearly in this order
    del numbers[bisect_right(numbers, window.top - DIGESTS_KEPT) :]
    packed = array("Q", numbers)  # twice as fast as struct
    packed.extend(map(window.slots.__getitem__, numbers))
    if sys.byteorder == "little":
        packed.byteswap()
    return packed.tobytes()


def _read_places(known: bytes, window: _Window) -> None:
    """Raises ValueError."""
    count, over = divmod(len(known), _PLACE_BYTES)
    if over:
        raise ValueError("the places of a client's numbers end in the wrong place")
    numbers = struct.unpack(f">{2 * count}Q", known)
    for seq, slot in zip(numbers[:count], numbers[count:], strict=True):
        back = window.top - seq
        if not DIGESTS_KEPT <= back < CLIENT_WINDOW or not window.used >> back & 1:
            raise ValueError("a place for a number that its client has not used")
        window.slots[seq] = slot
