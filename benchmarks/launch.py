"""Starts a program for a benchmark: ``python -m benchmarks.launch alliance serve …``.

The process ends with the one that started it. With ``ALLIANCE_BENCH_TAP`` it also writes to that file when
each slot was voted for, decided and certified here, which a client is not told by itself, and each epoch.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

TAP = "ALLIANCE_BENCH_TAP"
NOTE = struct.Struct("=QdB")
"""Slot, ``time.monotonic``, and what of it; or of EPOCH, when its members are certified, its number."""
DECIDED, CERTIFIED, VOTED, EPOCH = range(4)

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tap(path: str) -> None:
    from alliance.server.vouching import Voucher
    from alliance.server.world import ServerWorld
    from fab_paxos.effects import EntryRecord

    out = Path(path).open("ab", buffering=0)  # noqa: SIM115  # open as long as the server
    decided, certified, persist = ServerWorld.decided, ServerWorld.certified, ServerWorld.persist
    accept = Voucher._accept

    def note(number: int, what: int) -> None:
        out.write(NOTE.pack(number, time.monotonic(), what))

    def note_decided(self: ServerWorld, entry: Any, control: Any) -> None:
        note(entry.slot, DECIDED)
        decided(self, entry, control)

    def note_certified(self: ServerWorld, certificate: Any) -> None:
        note(certificate.statement.slot, CERTIFIED)
        certified(self, certificate)

    def note_votes(self: ServerWorld, records: Any) -> None:
        persist(self, records)  # a vote is sent when it is in the journal
        for record in records:
            if isinstance(record, EntryRecord):
                note(record.entry.slot, VOTED)

    def note_epoch(self: Voucher, proof: Any) -> None:
        if not proof.membership.revision:
            note(proof.membership.epoch, EPOCH)
        accept(self, proof)

    ServerWorld.decided = note_decided  # type: ignore[method-assign]
    ServerWorld.certified = note_certified  # type: ignore[method-assign]
    ServerWorld.persist = note_votes  # type: ignore[method-assign]
    Voucher._accept = note_epoch  # type: ignore[method-assign]


def main() -> None:
    die_with_parent()
    path = os.environ.get(TAP)
    if path:
        _tap(path)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
