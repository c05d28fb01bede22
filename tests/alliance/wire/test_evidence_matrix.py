"""Bad input in profile lean: every field of the evidence of Reports, spoilt in every way, meets the gate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alliance.server.gate import Gate, Rejected, Seal
from alliance.wire import peer_messages
from fab_paxos.events import Received
from fab_paxos.messages import NewView, Progress, Report
from fab_paxos.rule import vector_of
from fab_paxos.selection import ReportedEntry
from quorum import (
    AcceptedStatement,
    Endorsement,
    JointStatement,
    ProgressStatement,
    ProposeStatement,
    QuorumCertificate,
    QuorumSystem,
    combine,
)
from quorum.system import LEAN
from tests.alliance.matrix_rows import EVIDENCE_ROWS, parsed
from tests.alliance.spoiling import Path, spoilt
from tests.worlds.signed_gate import founded, key

SYSTEM = QuorumSystem(4, 1, LEAN)
VIEW, LED = 7, 5
"""The view that is opened, and the one in which what is reported was accepted; members 3 and 1 lead them."""
TABLE = parsed(EVIDENCE_ROWS)


def certify(statement: JointStatement) -> QuorumCertificate:
    config, endorsers = founded(SYSTEM)
    text = statement.encode(config.context)
    shares = [Endorsement(statement, m, endorsers[m].endorse(text, proven=False)) for m in range(3)]
    return combine(config.scheme, shares)


def opening(view: int, *vector: bytes) -> Progress:
    base = certify(AcceptedStatement(0, 3, b"c" * 32))
    progress = Progress(view, bytes(32), base, vector, base)
    return replace(progress, certificate=certify(ProgressStatement(view, progress.digest)))


def proposed(view: int, slot: int, digest: bytes) -> ReportedEntry:
    config, _ = founded(SYSTEM)
    statement = ProposeStatement(view, slot, digest, b"r" * 32)
    leader = config.members[SYSTEM.leader(view)]
    return ReportedEntry(
        slot, view, digest, b"r" * 32, key(leader.name).sign(statement.encode(config.context))
    )


def report(member: int, turns: int = 0, digest: bytes = b"p" * 32) -> Report:
    """Of a slot that the leader of view 0 proposed, and two that the other view's NewView and leader gave."""
    config, _ = founded(SYSTEM)
    view, led = VIEW + 4 * turns, LED + 4 * turns
    base = certify(AcceptedStatement(0, 2, b"b" * 32))
    given = ReportedEntry(4, led, b"v" * 32)
    entries = (proposed(0, 3, digest), given, proposed(led, 5, digest))
    unsigned = Report(view, base, entries, openings=(opening(led, b"v" * 32),))
    data = Seal(config, member, key(config.members[member].name)).close(unsigned)
    message = peer_messages.decode(member, data)
    assert isinstance(message, Report)
    return message


def new_view(turns: int = 0, digest: bytes = b"p" * 32) -> bytes:
    config, _ = founded(SYSTEM)
    reports = tuple((member, report(member, turns, digest)) for member in (0, 2, 3))
    unsigned = NewView(VIEW + 4 * turns, reports, vector_of(SYSTEM, reports, 0))
    return Seal(config, 3, key(config.members[3].name)).close(unsigned)


def true(kind: str, turns: int = 0, digest: bytes = b"p" * 32) -> bytes:
    return peer_messages.encode(report(2, turns, digest)) if kind == "report" else new_view(turns, digest)


@pytest.fixture
def door() -> Gate:
    config, _ = founded(SYSTEM)
    return Gate(config)


def test_what_is_spoilt_below_is_true_itself(door: Gate) -> None:
    for kind, sender in (("report", 2), ("new_view", 3)):
        for data in (true(kind), true(kind, 1), true(kind, 0, b"q" * 32)):
            assert isinstance(door.admit(sender, data), Received), kind


@pytest.mark.parametrize("path", list(TABLE), ids=".".join)
def test_spoilt_evidence(door: Gate, path: Path) -> None:
    kind = path[0]
    others = {"view": true(kind, 1), "digest": true(kind, 0, b"q" * 32)}
    verdicts: dict[str, set[str]] = {}
    for way, data in spoilt(path, true(kind), others):
        result = door.admit(2 if kind == "report" else 3, data)
        verdict = result.cause.value if isinstance(result, Rejected) else "admitted"
        verdicts.setdefault(verdict, set()).add(way)
    assert verdicts == TABLE[path]
