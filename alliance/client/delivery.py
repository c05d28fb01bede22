"""What of the decided log is delivered to those who listen: each command once, where it came first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from alliance.proofs.receipt import Receipt
from consensus.control.commands import MAGIC
from verifiable_log.batch import Batch
from verifiable_log.client_windows import ClientWindows


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One decided command. ``(slot, position, command_index)`` is its place in the alliance's order.

    ``time_ms`` is its slot's time stamp, in milliseconds since 1970; the agreed time is the highest
    stamp so far.
    """

    slot: int
    position: int
    command_index: int
    client: str
    client_seq: int
    command: bytes
    client_id: bytes
    time_ms: int
    _frame: Proof = field(repr=False)

    def receipt(self) -> Receipt:
        """The proof of this entry, for anyone who holds the alliance's public key."""
        return self._frame.receipt(self.slot, self.position, self.command_index)


class Proof(Protocol):
    """What receipts of its entries are made from."""

    def receipt(self, slot: int, position: int, command_index: int) -> Receipt: ...


@dataclass(frozen=True, slots=True)
class DecidedSlot:
    """One decided slot: its batch, and those of its commands that are delivered (a repetition is not)."""

    slot: int
    batch: Batch
    entries: tuple[LogEntry, ...]


def deliver(
    slot: int, batch: Batch, windows: ClientWindows, names: Mapping[bytes, str], proof: Proof
) -> Iterator[LogEntry]:
    """Each command once: a submission that the log holds twice is delivered where it came first.

    What is said about the alliance itself is for its members, and delivered to nobody.
    ``windows`` are those before the slot; when all is delivered, those after it.
    """
    time_ms = batch.time_ms
    for position, submission in enumerate(batch.submissions):
        if not windows.admit(slot, submission):
            continue
        client_id = submission.client_id
        client = names.get(client_id, client_id.hex())
        for index, command in enumerate(submission.commands()):
            if command.startswith(MAGIC):
                continue
            yield LogEntry(
                slot, position, index, client, submission.client_seq, command, client_id, time_ms, proof
            )
    windows.settle(slot)
