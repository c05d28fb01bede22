"""Drives the skeleton (``benchmarks.skeleton``) and measures it as the product is measured."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.histogram import Histogram
from benchmarks.measure import Measured
from benchmarks.processes import Child, python
from benchmarks.targets import PASSPHRASE
from benchmarks.usage import used

READY_SECONDS = 60.0
DRAIN_SECONDS = 30.0
WARMUP_SECONDS = 1.0


class Ceiling:
    """The skeleton's processes, one per member of a founded alliance whose servers do not run."""

    def __init__(self, homes: list[Path], stack: ExitStack) -> None:
        """The processes end with ``stack``. The first home is the leader's."""
        self._children = []
        for home in homes:
            child = Child(
                home.name,
                python("benchmarks.skeleton", str(home)),
                {"ALLIANCE_PASSPHRASE": PASSPHRASE},
                home / "skeleton.log",
            )
            stack.callback(child.kill)
            self._children.append(child)
        for child in self._children:
            child.line(READY_SECONDS)

    def drive(self, commands: int, pipeline: int, size: int, seconds: float) -> Measured:
        """So many batches of so many commands undecided at a time."""
        job = {
            "commands": commands,
            "pipeline": pipeline,
            "size": size,
            "warmup_seconds": WARMUP_SECONDS,
            "seconds": seconds,
        }
        pids = [child.pid for child in self._children]
        self._children[0].write(json.dumps(job))
        time.sleep(WARMUP_SECONDS)
        before = used(pids)
        time.sleep(seconds)
        usage = used(pids).since(before)
        result = json.loads(self._children[0].line(DRAIN_SECONDS))
        histogram = Histogram(result["histogram"])
        return Measured(seconds, result["commands"], 0, 0, "", histogram, usage, 0.0)
