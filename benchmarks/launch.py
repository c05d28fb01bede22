"""Starts a program for a benchmark: ``python -m benchmarks.launch alliance serve …``.

The process ends with the one that started it. With ``ALLIANCE_BENCH_TAP`` it also writes to that file when
each slot was decided and when it was certified here, which a client is not told by itself.
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
NOTE = struct.Struct("=Qd?")
"""Slot, ``time.monotonic``, and whether it is a certificate rather than a decision."""

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tap(path: str) -> None:
    from alliance.server.world import ServerWorld

    out = Path(path).open("ab", buffering=0)  # noqa: SIM115  # open as long as the server
    decided, certified = ServerWorld.decided, ServerWorld.certified

    def note_decided(self: ServerWorld, entry: Any, control: Any) -> None:
        out.write(NOTE.pack(entry.slot, time.monotonic(), False))
        decided(self, entry, control)

    def note_certified(self: ServerWorld, certificate: Any) -> None:
        out.write(NOTE.pack(certificate.statement.slot, time.monotonic(), True))
        certified(self, certificate)

    ServerWorld.decided = note_decided  # type: ignore[method-assign]
    ServerWorld.certified = note_certified  # type: ignore[method-assign]


def main() -> None:
    die_with_parent()
    path = os.environ.get(TAP)
    if path:
        _tap(path)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
