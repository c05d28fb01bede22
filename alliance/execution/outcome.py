"""What came of one command, what executors sign of it, and the outcomes that are kept for clients who ask."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from quorum import ReplyStatement
from verifiable_log.merkle import MerkleLog
from verifiable_log.merkle_proofs import root_from_inclusion
from verifiable_log.merkle_tree import HASH_SIZE

KEPT_PER_CLIENT = 1024
KEPT_BYTES_PER_CLIENT = 4 * 1024 * 1024
"""Older answers of a client are forgotten; it asks for an answer as soon as it has the receipt."""

PATH_MAX = 62
_HEAD = struct.Struct(">32sQIQQ32sBIIII")


class Status(IntEnum):
    """DONE: applied, or answered. REFUSED: the state machine did not accept it. FAILED: it raised."""

    DONE = 0
    REFUSED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all correct executors have come to. ``command_digest`` is the SHA-256 of the log's command.

    It is the outcome ``rank``, from 0, of the ``count`` that its application has in its slot; ``path`` are
    the hashes that lead from it to their Merkle root. Most slots have one.
    """

    client_id: bytes
    client_seq: int
    command_index: int
    slot: int
    time_ms: int
    command_digest: bytes
    status: Status
    payload: bytes
    rank: int = 0
    count: int = 1
    path: tuple[bytes, ...] = ()

    @property
    def key(self) -> tuple[bytes, int, int]:
        return self.client_id, self.client_seq, self.command_index

    @property
    def leaf(self) -> bytes:
        """``client_id[32] | client_seq u64 | command_index u32 | status u8 | time_ms u64 |
        command_digest[32] | payload``: what the tree of the slot's outcomes is made of."""
        head = struct.pack(">32sQIBQ", *self.key, self.status, self.time_ms)
        return head + self.command_digest + self.payload

    def statement(self) -> ReplyStatement:
        """What executors sign. Raises ProofError, a ValueError, when the path does not fit rank and count."""
        root = root_from_inclusion(self.leaf, self.rank, self.count, self.path)
        return ReplyStatement(self.slot, self.count, root)

    def pack(self) -> bytes:
        fields = (*self.key, self.slot, self.time_ms, self.command_digest, self.status)
        sizes = (self.rank, self.count, HASH_SIZE * len(self.path), len(self.payload))
        return _HEAD.pack(*fields, *sizes) + b"".join(self.path) + self.payload

    @classmethod
    def unpack(cls, packed: bytes) -> Outcome:
        """Raises ValueError or struct.error."""
        *head, status, rank, count, path_bytes, payload_bytes = _HEAD.unpack_from(packed)
        begin = _HEAD.size + path_bytes
        hashes = packed[_HEAD.size : begin]
        if path_bytes % HASH_SIZE or len(packed) != begin + payload_bytes:
            raise ValueError("an outcome of another length")
        path = tuple(hashes[at : at + HASH_SIZE] for at in range(0, path_bytes, HASH_SIZE))
        return cls(*[*head, Status(status), packed[begin:], rank, count, path])


def placed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """All outcomes of a slot, in order, each with its place among them."""
    count = len(outcomes)
    if count == 1:
        return list(outcomes)
    tree = MerkleLog()
    for outcome in outcomes:
        tree.append(outcome.leaf)
    return [
        replace(outcome, rank=rank, count=count, path=tree.inclusion_proof(rank, count))
        for rank, outcome in enumerate(outcomes)
    ]


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
