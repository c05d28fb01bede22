"""PySyncObj: three members in Python. Its journal is written, and not synced: it has no setting for that."""

from __future__ import annotations

import importlib.util
import json
import time
from contextlib import ExitStack
from pathlib import Path

from alliance.cli.demo.cluster import free_addresses
from benchmarks.histogram import Histogram
from benchmarks.measure import Measured
from benchmarks.plan import Plan
from benchmarks.processes import Child, python
from benchmarks.usage import used

INSTALL = "pip install pysyncobj"
READY_SECONDS = 30.0


def installed() -> bool:
    return importlib.util.find_spec("pysyncobj") is not None


def start(folder: Path, stack: ExitStack) -> list[Child]:
    """The members; they end with ``stack``."""
    addresses = free_addresses(3)
    children = []
    for number, address in enumerate(addresses):
        others = [other for other in addresses if other != address]
        journal = str(folder / f"pysyncobj-{number}")
        child = Child("pysyncobj", python("benchmarks.peers.pysyncobj_member", address, journal, *others))
        stack.callback(child.kill)
        children.append(child)
    for child in children:
        child.line(READY_SECONDS)
    return children


def drive(children: list[Child], outstanding: int, plan: Plan, *, locks: bool = False) -> Measured:
    """The calls are made in the first member's process, so its time is in the servers'."""
    job = {
        "size": 100,
        "outstanding": outstanding,
        "locks": locks,
        "warmup_seconds": plan.warmup_seconds,
        "seconds": plan.seconds,
    }
    pids = [child.pid for child in children]
    children[0].write(json.dumps(job))
    time.sleep(plan.warmup_seconds)
    before = used(pids)
    time.sleep(plan.seconds)
    usage = used(pids).since(before)
    result = json.loads(children[0].line(READY_SECONDS))
    histogram = Histogram(result["histogram"])
    return Measured(plan.seconds, result["commands"], result["failed"], 0, "", histogram, usage, 0.0)
