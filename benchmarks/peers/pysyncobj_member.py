"""One member of PySyncObj with its load inside: it has no clients, its callers live in a member's process.

``python -m benchmarks.peers.pysyncobj_member ADDRESS JOURNAL OTHER OTHER``; jobs and results are lines of
JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.batteries import ReplLockManager

from benchmarks.histogram import Histogram
from benchmarks.launch import die_with_parent

AUTO_UNLOCK_SECONDS = 60.0


class Register(SyncObj):  # type: ignore[misc]
    """Keeps the last value of each key, and locks."""

    def __init__(self, address: str, others: list[str], journal: str) -> None:
        self._locks = ReplLockManager(AUTO_UNLOCK_SECONDS)
        conf = SyncObjConf(journalFile=journal, dynamicMembershipChange=False)
        super().__init__(address, others, conf, consumers=[self._locks])
        self._values: dict[int, bytes] = {}

    @replicated  # type: ignore[untyped-decorator]
    def put(self, key: int, value: bytes) -> None:
        self._values[key] = value

    def pair(self, key: int, done: Callable[[object, object], None]) -> None:
        """Acquires a lock and releases it."""

        def acquired(got: object, error: object) -> None:
            if error or not got:
                done(None, error or "taken")
            else:
                self._locks.release(str(key), callback=done)

        self._locks.tryAcquire(str(key), callback=acquired)


class Load:
    """So many calls outstanding, each followed by the next one when its callback comes.

    A call is a value put, or with ``locks`` in the job a lock acquired and released.
    """

    def __init__(self, register: Register, job: dict[str, Any]) -> None:
        self._register = register
        self._value = b"x" * job["size"]
        self._begin = time.monotonic() + job["warmup_seconds"]
        self._end = self._begin + job["seconds"]
        self._outstanding = job["outstanding"]
        self._locks = job["locks"]
        self._done = self._failed = 0
        self._histogram = Histogram()
        self._over = threading.Event()

    def run(self) -> dict[str, Any]:
        for key in range(self._outstanding):
            self._call(key)
        self._over.wait(self._end - time.monotonic() + 5.0)
        return {"commands": self._done, "failed": self._failed, "histogram": self._histogram.to_dict()}

    def _call(self, key: int) -> None:
        sent = time.monotonic()

        def done(_: object, error: object) -> None:
            now = time.monotonic()
            if self._begin <= now < self._end:
                self._failed += bool(error)
                if not error:
                    self._done += 1
                    self._histogram.add(now - sent)
            if now < self._end:
                self._call(key)
            else:
                self._over.set()

        if self._locks:
            self._register.pair(key, done)
        else:
            self._register.put(key, self._value, callback=done)


def main() -> None:
    die_with_parent()
    address, journal, *others = sys.argv[1:]
    register = Register(address, others, journal)
    while not register.isReady():
        time.sleep(0.05)
    _say("ready")
    for line in sys.stdin:
        _say(json.dumps(Load(register, json.loads(line)).run()))
    register.destroy()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
