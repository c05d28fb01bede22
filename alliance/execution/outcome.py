"""What came of one command, what executors sign of it, and the outcomes that are kept for clients who ask."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from quorum import ReplyStatement

KEPT_PER_CLIENT = 1024
KEPT_BYTES_PER_CLIENT = 4 * 1024 * 1024
"""Older answers of a client are forgotten; it asks for an answer as soon as it has the receipt."""

_HEAD = struct.Struct(">32sQIQQ32sBI")


class Status(IntEnum):
    """DONE: applied, or answered. REFUSED: the state machine did not accept it. FAILED: it raised."""

    DONE = 0
    REFUSED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all correct executors have come to. ``command_digest`` is the SHA-256 of the log's command."""

    client_id: bytes
    client_seq: int
    command_index: int
    slot: int
    time_ms: int
    command_digest: bytes
    status: Status
    payload: bytes

    @property
    def key(self) -> tuple[bytes, int, int]:
        return self.client_id, self.client_seq, self.command_index

    @property
    def result_digest(self) -> bytes:
        """SHA-256 of ``04 | command_index u32 | status u8 | time_ms u64 | command_digest[32] | payload``."""
        head = struct.pack(">BIBQ", 4, self.command_index, self.status, self.time_ms)
        return sha256(head + self.command_digest + self.payload).digest()

    def statement(self) -> ReplyStatement:
        """What executors sign."""
        return ReplyStatement(self.client_id, self.client_seq, self.slot, self.result_digest)

    def pack(self) -> bytes:
        fields = (*self.key, self.slot, self.time_ms, self.command_digest, self.status, len(self.payload))
        return _HEAD.pack(*fields) + self.payload

    @classmethod
    def unpack(cls, packed: bytes) -> Outcome:
        """Raises ValueError or struct.error."""
        client_id, client_seq, index, slot, time_ms, digest, status, length = _HEAD.unpack_from(packed)
        payload = packed[_HEAD.size :]
        if len(payload) != length:
            raise ValueError("an outcome of another length")
        return cls(client_id, client_seq, index, slot, time_ms, digest, Status(status), payload)


class Outcomes:
    """The latest outcomes of each client, by (client_id, client_seq, command_index)."""

    def __init__(self) -> None:
        self._kept: dict[bytes, OrderedDict[tuple[int, int], Outcome]] = {}
        self._bytes: dict[bytes, int] = {}

    def __iter__(self) -> Iterator[Outcome]:
        for kept in self._kept.values():
            yield from kept.values()

    def add(self, outcome: Outcome) -> None:
        client = outcome.client_id
        kept = self._kept.setdefault(client, OrderedDict())
        kept[outcome.client_seq, outcome.command_index] = outcome
        self._bytes[client] = self._bytes.get(client, 0) + len(outcome.payload)
        while len(kept) > KEPT_PER_CLIENT or (self._bytes[client] > KEPT_BYTES_PER_CLIENT and len(kept) > 1):
            _, oldest = kept.popitem(last=False)
            self._bytes[client] -= len(oldest.payload)

    def get(self, client_id: bytes, client_seq: int, command_index: int) -> Outcome | None:
        return self._kept.get(client_id, OrderedDict()).get((client_seq, command_index))
