"""An executor's state as bytes: what it keeps in a file of its own, and what executors sign and hand on.

``alliance-snapshot/1`` and a line feed, then a list of four lists: one item of ``slot u64 | time_ms u64 |
peaks``, the items of the clients' windows, the outcomes that are kept, and one item that is the state of the
state machine. A list is ``count u32 | (length u64 | item) x count``. Equal states have equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from alliance.execution.outcome import Outcome
from alliance.execution.runner import RunnerState
from verifiable_log.merkle import Frontier
from verifiable_log.merkle_tree import HASH_SIZE, leaf_hash
from verifiable_log.state_writer import state_digest

MAGIC = b"alliance-snapshot/1\n"
CHUNK_BYTES = 1024 * 1024
"""A snapshot is proven, kept and sent in chunks of this size; the last may be shorter."""


def ordering_digest(state: RunnerState) -> bytes:
    """SHA-256 of ``0x07 | root of the log[32] | digest of the clients' windows[32] | time_ms u64``."""
    windows = state_digest([leaf_hash(item) for item in state.windows])
    return sha256(b"\x07" + state.frontier.root + windows + state.time_ms.to_bytes(8, "big")).digest()


def pack(state: RunnerState) -> list[bytes]:
    """In pieces, because the one that is large is not to be copied."""
    return [MAGIC, *listed_lists(lists_of(state))]


def unpack(data: bytes) -> RunnerState:
    """Raises ValueError or struct.error."""
    if not data.startswith(MAGIC):
        raise ValueError("it is no snapshot of this version")
    return state_of(unlisted(data[len(MAGIC) :]))


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, CHUNK_BYTES at a time."""
    held = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        while len(view):
            room = CHUNK_BYTES - len(held)
            held += view[:room]
            view = view[room:]
            if len(held) == CHUNK_BYTES:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


def lists_of(state: RunnerState) -> list[Sequence[bytes]]:
    head = struct.pack(">QQ", state.slot, state.time_ms) + b"".join(state.frontier.peaks)
    return [[head], state.windows, [outcome.pack() for outcome in state.outcomes], [state.machine]]


def state_of(lists: Sequence[bytes]) -> RunnerState:
    """From the four packed lists. Raises ValueError or struct.error."""
    (head,), windows, outcomes, (machine,) = map(unlisted, lists)
    slot, time_ms = struct.unpack_from(">QQ", head)
    peaks = tuple(head[at : at + HASH_SIZE] for at in range(16, len(head), HASH_SIZE))
    frontier = Frontier.from_parts(slot, peaks)
    return RunnerState(frontier, time_ms, tuple(windows), machine, tuple(map(Outcome.unpack, outcomes)))


def listed(items: Sequence[bytes]) -> list[bytes]:
    """``count u32 | (length u64 | item) x count``, in pieces."""
    pieces = [struct.pack(">I", len(items))]
    for item in items:
        pieces += [struct.pack(">Q", len(item)), item]
    return pieces


def listed_lists(lists: Sequence[Sequence[bytes]], *before: bytes) -> list[bytes]:
    """A list of ``before`` and of these lists, in pieces."""
    pieces = [struct.pack(">I", len(before) + len(lists))]
    for item in (*([item] for item in before), *map(listed, lists)):
        pieces += [struct.pack(">Q", sum(map(len, item))), *item]
    return pieces


def unlisted(packed: bytes) -> list[bytes]:
    """Raises ValueError or struct.error."""
    (count,) = struct.unpack_from(">I", packed)
    place, items = 4, []
    for _ in range(count):
        (length,) = struct.unpack_from(">Q", packed, place)
        items.append(packed[place + 8 : place + 8 + length])
        place += 8 + length
    if place != len(packed):
        raise ValueError("it ends in the wrong place")
    return items
