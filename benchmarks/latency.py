"""One client, one command at a time: where the time to its receipt goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from benchmarks.histogram import Histogram
from benchmarks.report import Row
from benchmarks.servers import Servers, leader

SECTION = "One client, one command at a time (ms)"


def one_client(servers: Servers, seconds: float, warmup_seconds: float, size: int = 100) -> Row:
    """Latencies to *learned*, *certified* and *receipt*.

    Learned and certified are when the leader, whose client this is, decides the command's slot and has a
    certificate for it. No client is told when its command is learned, so a tap in the server notes it; all
    clocks are the machine's one. The receipt is the product's answer, verified by the client.
    """
    with servers.client() as client:
        taken = list(_take(client, seconds, warmup_seconds))
        notes = servers.notes(leader(client.status()))
    learned = Histogram.of(notes[slot][0] - begin for slot, begin, _ in taken if slot in notes)
    certified = Histogram.of(
        notes[slot][1] - begin for slot, begin, _ in taken if slot in notes and notes[slot][1] > begin
    )
    receipt = Histogram.of(end - begin for _, begin, end in taken)
    figures: dict[str, Any] = {"commands": len(taken)}
    for name, histogram in (("learned", learned), ("certified", certified), ("receipt", receipt)):
        for percent in (50, 99):
            figures[f"{name}_p{percent}"] = 1e3 * histogram.percentile(percent)
    return Row(SECTION, f"{len(servers.names)} members", figures)


def _take(
    client: Any, seconds: float, warmup_seconds: float, size: int = 100
) -> Iterator[tuple[int, float, float]]:
    """Slot, begin and end of each command after the warm-up."""
    first = time.monotonic() + warmup_seconds
    clock = takewhile(lambda now: now < first + seconds, iter(time.monotonic, None))
    for number, begin in enumerate(clock):
        receipt = client.propose(b"%0*d" % (size, number))
        if begin >= first:
            yield receipt.slot, begin, time.monotonic()
