"""What a checkpoint of many busy clients does to the turns of a member: ``python -m benchmarks checkpoints``.

A turn here is what every vote waits for, without the network: the engine's log takes a batch, the journal on
this disk syncs it, and the state of the checkpoint is written on by as much as a turn does. Beside it the
same with all of a checkpoint at once, within the turns, as it was before.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from alliance.storage.journal import Journal
from benchmarks.report import Report, Row
from fab_paxos.effects import CheckpointRecord, EntryRecord, Record
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import QuorumCertificate
from verifiable_log import Batch, Submission, UnsignedSubmission
from verifiable_log.client_windows import ClientWindows
from verifiable_log.limits import CLIENT_WINDOW
from verifiable_log.merkle import EMPTY
from verifiable_log.ordering_state import Checkpoint

SECTION = "A checkpoint of busy clients: turns of one member around it (ms), and bytes written for it"
CLIENTS = (1_000, 10_000)
TURNS_BEFORE, TURNS_AFTER = 50, 800
BATCH = 16
_SIGNATURE = bytes(64)


def run(report: Report, progress: Callable[[str], None]) -> None:
    for clients in CLIENTS:
        for at_once in (True, False):
            progress(f"{clients:,} clients, {'at once' if at_once else 'off the path'}")
            report.add(row(clients, at_once=at_once))


def row(clients: int, *, at_once: bool, before: int = TURNS_BEFORE, after: int = TURNS_AFTER) -> Row:
    """``before`` turns, then one at a checkpoint, in which all clients have changed, then ``after`` turns."""
    with tempfile.TemporaryDirectory(prefix="alliance-bench-") as folder:
        member = _Member(Path(folder) / "journal.sqlite", clients, before + 1, at_once=at_once)
        try:
            turns = [member.turn() for _ in range(before + 1 + after)]
        finally:
            member.close()
    took, busy = (sorted(1e3 * one for one in ones) for ones in zip(*turns, strict=True))
    figures = {
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
        "longest": took[-1],
        "p50_processor": busy[len(busy) // 2],
        "p99_processor": busy[len(busy) * 99 // 100],
        "longest_processor": busy[-1],
        "certified_bytes": member.certified,
        "file_bytes": member.written,
        "saved_after_turns": member.saved_after,
    }
    return Row(SECTION, f"{clients:,} clients, {'at once' if at_once else 'off the path'}", figures)


class _Member:
    """The parts of a member that a checkpoint concerns."""

    def __init__(self, path: Path, clients: int, checkpoint_slot: int, *, at_once: bool) -> None:
        self._clients = [sha256(b"%d" % number).digest() for number in range(clients)]
        self._log = UncertifiedLog(EMPTY, _busy(self._clients), checkpoint_slot)
        self._journal = Journal(path, bytes(32), "member-1")
        self._journal.replay()
        self._thread = ThreadPoolExecutor(1)
        self._at_once = at_once
        self._saving: tuple[Checkpoint, Future[None]] | None = None
        self._states = path.with_suffix(".checkpoints")
        self.certified = self.written = 0
        self.saved_after = -1  # turns from the checkpoint's slot to its record
        self._checkpoint_slot = checkpoint_slot
        self._fresh = CLIENT_WINDOW + 1

    def close(self) -> None:
        self._thread.shutdown()
        self._journal.close()

    def turn(self) -> tuple[float, float]:
        """Seconds for one slot, and of them the processor's for this thread."""
        log, slot = self._log, self._log.tip + 1
        batch = Batch.of([_submission(self._clients[at], self._fresh) for at in range(BATCH)], slot)
        self._fresh += 1
        begin, busy = time.perf_counter(), time.thread_time()
        records: list[Record] = [EntryRecord(log.append(0, batch, log.next_frontier(batch), b""))]
        log.decide(slot)
        log.forget(slot - 1)
        log.snapshots.go_on()
        while self._at_once and log.snapshots.is_writing(slot):
            log.snapshots.go_on()
        saved = self._saved()
        if saved is not None:
            records.append(CheckpointRecord(saved))
            self.saved_after = slot - self._checkpoint_slot
            log.snapshots.drop_to(slot)
            self.written = self._states.with_name(self._states.name + "-wal").stat().st_size
        self._journal.append(records)
        return time.perf_counter() - begin, time.thread_time() - busy

    def _saved(self) -> Checkpoint | None:
        """The checkpoint, in the turn in which it is known to be on the disk: not in that which begins to
        save it, unless all is done at once."""
        if self._saving is not None:
            checkpoint, saving = self._saving
            if not saving.done():
                return None
            saving.result()
            self._saving = None
            return checkpoint
        snapshot = self._log.newest_snapshot()
        if snapshot is None or self.saved_after >= 0:
            return None
        checkpoint = Checkpoint(snapshot, QuorumCertificate(0, snapshot.statement, b"joint"))
        self.certified = sum(map(len, snapshot.state))
        if not self._at_once:
            self._saving = checkpoint, self._thread.submit(self._journal.save, checkpoint)
            return None
        self._journal.save(checkpoint)
        return checkpoint


def _busy(clients: list[bytes]) -> ClientWindows:
    """Every number of every window is used, and none of it is written down."""
    windows = ClientWindows()
    for client_id in clients:
        for seq in range(1, CLIENT_WINDOW + 1):
            windows.admit(0, _Light(client_id, seq))  # type: ignore[arg-type]
        windows.settle(0)
    return windows


class _Light:
    """As much of a submission as windows look at."""

    __slots__ = ("body_digest", "client_id", "client_seq")

    def __init__(self, client_id: bytes, client_seq: int) -> None:
        self.client_id, self.client_seq, self.body_digest = client_id, client_seq, client_id


def _submission(client_id: bytes, seq: int) -> Submission:
    return UnsignedSubmission(client_id, seq, [b"x" * 100]).sign(_SIGNATURE)
