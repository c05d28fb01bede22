"""How costs grow with the members: the tables of ``make bench-scale``, by the real engine in ``wan``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from benchmarks.histogram import Histogram
from benchmarks.report import Row, aligned, shown
from benchmarks.wan import Wan
from quorum import QuorumSystem
from verifiable_log import Entry, Submission, UnsignedSubmission

SIZES = ((6, 1), (11, 2), (16, 3), (31, 6))
DELAYS = (0.005, 0.040, 0.120)
BANDWIDTHS = (100e6, 1e9)
WIDE = 1e12
"""An uplink that is never the limit."""

VIEW_TIMEOUT = 2.0
"""Seconds; for 120 ms links the product's half a second is too short, see docs/development/scaling.md."""

STEPS = len(SIZES) * (len(DELAYS) + len(BANDWIDTHS)) + 3
"""How often ``progress`` is called."""

COMMANDS = 20
LOAD_COMMANDS, COMMAND_BYTES = 1000, 100
LOAD_CLIENTS, LOAD_OUTSTANDING = 8, 4

LATENCY = "One command at a time, by a client of another member than the leader (per command)"
LOAD = "As fast as it goes: submissions of 1000 commands of 100 bytes, by clients of the leader"
PATIENCE = "Changes of the leader within 60 s of one command a second, view time-out 0.5 s"


def run(output: str, progress: Callable[[str], None]) -> str:
    """All tables, as text or JSON."""
    rows: list[Row] = []
    for members, faults in SIZES:
        for delay in DELAYS:
            progress(f"{members} members, {1e3 * delay:.0f} ms: one client")
            rows.append(one_client(members, faults, delay))
    for members, faults in SIZES:
        for bandwidth in BANDWIDTHS:
            progress(f"{members} members, {bandwidth / 1e6:,.0f} Mbit/s: load")
            rows.append(load(members, faults, 0.040, bandwidth))
    for members, faults in SIZES[:3]:
        progress(f"{members} members: patience")
        rows.append(patience(members, faults))
    if output == "json":
        return json.dumps([{"section": r.section, "label": r.label, **r.figures} for r in rows], indent=1)
    parts = []
    for section in dict.fromkeys(row.section for row in rows):
        parts.append(f"{section}\n{_table([row for row in rows if row.section == section])}")
    return "\n\n".join(parts)


def one_client(members: int, faults: int, delay: float, commands: int = COMMANDS) -> Row:
    """Latencies at the client's server, and what one command costs all members together."""
    wan = Wan(QuorumSystem(members, faults), delay, WIDE, view_timeout_seconds=VIEW_TIMEOUT)
    home = members - 1
    wan.run(1.0)
    before, begin = _counted(wan), wan.now
    learned, proven = Histogram(), Histogram()
    for number in range(commands):
        submitted = wan.now
        wan.submit(home, _submission(1, number, 1))
        slot = number + 1
        while slot not in wan.members[home].certified_at:
            wan.run(wan.now + 0.0005)
        learned.add(wan.members[home].decided_at[slot] - submitted)
        proven.add(wan.members[home].certified_at[slot] - submitted)
    used = {name: (after - before[name]) / commands for name, after in _counted(wan).items()}
    figures = {
        "learned_ms": 1e3 * learned.percentile(50),
        "receipt_ms": 1e3 * proven.percentile(50),
        "delays_to_learned": learned.percentile(50) / delay,
        "messages": used["messages"],
        "kB": used["sent_bytes"] / 1e3,
        "signed": used["signed"],
        "verified": used["verified"],
        "shares": used["shares"],
        "core_ms_each": 1e3 * used["busy"] / members,
        "commands_per_second": commands / (wan.now - begin),
        "views": wan.views_changed,
    }
    return Row(LATENCY, f"n={members}, {1e3 * delay:.0f} ms", figures)


def load(members: int, faults: int, delay: float, bandwidth: float, seconds: float = 4.0) -> Row:
    """Throughput when there is always more to do; the leader's uplink as it is used."""
    wan = Wan(QuorumSystem(members, faults), delay, bandwidth, view_timeout_seconds=VIEW_TIMEOUT)
    next_number: Counter[bytes] = Counter()
    done: list[tuple[float, int]] = []

    def decided(me: int, entry: Entry) -> None:
        if me == 0:
            for submission in entry.batch.submissions:
                done.append((wan.now, LOAD_COMMANDS))
                hand_in(int.from_bytes(submission.client_id[:1], "big"))

    def hand_in(client: int) -> None:
        key = bytes([client])
        wan.submit(0, _submission(client, next_number[key], LOAD_COMMANDS))
        next_number[key] += 1

    wan.on_decided = decided
    wan.run(0.5)
    for client in range(LOAD_CLIENTS):
        for _ in range(LOAD_OUTSTANDING):
            hand_in(client)
    wan.run(1.5)
    before, begin = _counted(wan), wan.now
    wan.run(begin + seconds)
    used = {name: after - before[name] for name, after in _counted(wan).items()}
    commands = sum(count for moment, count in done if moment >= begin)
    figures = {
        "commands_per_second": commands / seconds,
        "uplink_bound": bandwidth / 8 / (members - 1) / (COMMAND_BYTES + 4),
        "uplink_used": used["leader_bytes"] * 8 / bandwidth / seconds,
        "leader_core": used["leader_busy"] / seconds,
        "messages_per_slot": used["messages"] / max(1, _slots(wan, begin)),
        "views": wan.views_changed,
    }
    return Row(LOAD, f"n={members}, 40 ms, {bandwidth / 1e6:,.0f} Mbit/s", figures)


def patience(members: int, faults: int, seconds: float = 60.0) -> Row:
    """With correct members on slow links no leader should be replaced."""
    figures: dict[str, Any] = {}
    for delay in (0.040, 0.080, 0.120, 0.200):
        wan = Wan(QuorumSystem(members, faults), delay, WIDE)
        for number in range(int(seconds)):
            wan.run(float(number + 1))
            wan.submit(members - 1, _submission(1, number, 1))
        wan.run(seconds + 10.0)
        figures[f"{1e3 * delay:.0f}_ms"] = wan.views_changed
    return Row(PATIENCE, f"n={members}", figures)


def _slots(wan: Wan, since: float) -> int:
    return sum(moment >= since for moment in wan.members[0].decided_at.values())


def _submission(client: int, number: int, commands: int) -> Submission:
    body = [b"%0*d" % (COMMAND_BYTES, index) for index in range(commands)]
    client_id = bytes([client]) + sha256(bytes([client])).digest()[1:]
    return UnsignedSubmission(client_id, number, body).sign(bytes(64))


def _counted(wan: Wan) -> dict[str, float]:
    counts = wan.counts
    return {name: getattr(counts, name) for name in counts.__slots__}


def _table(rows: list[Row]) -> str:
    names = list(rows[0].figures)
    heading = ["", *(name.replace("_", " ") for name in names)]
    return aligned([heading, *([row.label, *(shown(row.figures[name]) for name in names)] for row in rows)])
