"""Writing down the ordering state for a checkpoint, a little at a time, while the log goes on.

All clients of a busy alliance change between two checkpoints. Writing down and hashing a thousand of them at
once would keep the votes of that moment waiting, and nothing waits for the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from verifiable_log.merkle_tree import fold, leaf_hash, push

LEAVES_PER_ITEM = 16
"""So many leaf hashes go into the digest in the time in which an item is written."""


class StateDigest:
    """SHA-256 of ``0x04 | count u64 | tree head``, from the RFC 6962 leaf hashes of the items in order.

    0x04 keeps it apart from leaves, nodes and batch digests.
    """

    def __init__(self) -> None:
        self.count = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """The leaf hash of the next item."""
        push(self._peaks, self.count, leaf)
        self.count += 1

    def value(self) -> bytes:
        """The digest of the items so far, 32 bytes."""
        return sha256(b"\x04" + self.count.to_bytes(8, "big") + fold(self._peaks)).digest()


def state_digest(leaves: Iterable[bytes]) -> bytes:
    """The ``StateDigest`` of all these."""
    digest = StateDigest()
    for leaf in leaves:
        digest.add(leaf)
    return digest.value()


@dataclass(frozen=True, slots=True)
class Written:
    """A client's item of the state, what this member knows beside it, and the leaf hash of the item."""

    item: bytes
    places: bytes
    leaf: bytes


class StateWriter:
    """The state after ``slot``. What is about to change is written before it does (``keep``), so what comes
    out is the state of the moment at which the writing began."""

    def __init__(
        self,
        slot: int,
        write: Callable[[bytes], Written],
        written: Mapping[bytes, Written],
        clients: Iterable[bytes],
    ) -> None:
        """``write`` writes down a client as it is now. ``written``: those that it need not be asked for."""
        self.slot = slot
        self._write = write
        self._written = dict(written)
        self._missing = dict.fromkeys(client_id for client_id in clients if client_id not in written)
        self._order: list[bytes] = []
        self._digest = StateDigest()

    def keep(self, client_id: bytes) -> None:
        """This client is about to change, or to come."""
        if client_id in self._missing:
            del self._missing[client_id]
            self._written[client_id] = self._write(client_id)

    def go_on(self, items: int) -> bool:
        """Writes so many further items, or does as much for the digest; whether nothing is left to do."""
        for _ in range(min(items, len(self._missing))):
            client_id, _ = self._missing.popitem()
            self._written[client_id] = self._write(client_id)
            items -= 1
        if self._missing:
            return False
        if not self._order:
            self._order = sorted(self._written)
        done = self._digest.count
        for client_id in islice(self._order, done, done + LEAVES_PER_ITEM * items):
            self._digest.add(self._written[client_id].leaf)
        return self._digest.count == len(self._order)

    def whole(self, others: Iterable[bytes] = ()) -> State:
        """What was written, when nothing is left to do, and behind it ``others``: items of other kinds."""
        written = [self._written[client_id] for client_id in self._order]
        items, leaves = [one.item for one in written], [one.leaf for one in written]
        for item in others:
            items.append(item)
            leaves.append(leaf_hash(item))
            self._digest.add(leaves[-1])
        self._written = {}
        return State(tuple(items), tuple(one.places for one in written), tuple(leaves), self._digest.value())


@dataclass(frozen=True, slots=True)
class State:
    """A whole state: its items, the places beside those of clients, the leaf hashes, and the state digest."""

    items: tuple[bytes, ...]
    places: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    digest: bytes
