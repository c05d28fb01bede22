"""Bad input: every field of every message, spoilt in every way, meets the gate and then the engine."""

from __future__ import annotations

import dataclasses
import gc
import logging
import shutil
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path as File
from typing import get_args

import pytest

from alliance.pb import peer_pb2 as pb
from alliance.server import member_log as module
from alliance.server.gate import Cause, Gate, Rejected
from alliance.server.server import Server
from alliance.wire import peer_messages
from alliance.wire.bounds import Malformed
from fab_paxos.effects import Blame, Certify, Decide, Effect, Endorse, Send, SetTimer
from fab_paxos.events import Received
from fab_paxos.messages import Message
from quorum import AcceptedStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.matrix import Exemplars, Setting, Stage, chain_of_all, settings
from tests.alliance.matrix_rows import EVIDENCE_ROWS, ROWS, parsed
from tests.alliance.spoiling import Path, paths, spoilt

SIGNED = ("propose", "accepted", "report", "new_view")
FLOOD = 15_000
FLOOD_BYTES = 4096
"""Longer messages are refused one by one; so many of them would only take long."""

FLAT_BYTES = 64 * 1024


TABLE = parsed(ROWS)


class Table:
    """The true messages, their replays, and a gate."""

    def __init__(self, farm: Farm, chain: Chain) -> None:
        self.exemplars = Exemplars(farm, chain)
        self.true = self._encoded(Setting())
        self.others = {way: self._encoded(setting) for way, setting in settings(farm).items()}
        self.door = Gate(farm.config)

    def _encoded(self, setting: Setting) -> dict[str, bytes]:
        return {kind: peer_messages.encode(message) for kind, message in self.exemplars.make(setting).items()}

    def spoilt(self, path: Path) -> list[tuple[str, bytes]]:
        kind = path[0]
        return list(spoilt(path, self.true[kind], {way: data[kind] for way, data in self.others.items()}))

    def judge(self, kind: str, data: bytes) -> str:
        """The verdict on a message; every promise about refusals and effects is checked on the way."""
        sender, before = self.exemplars.sender(kind), Counter(self.door.counts)
        result = self.door.admit(sender, data)
        counted = Counter(self.door.counts) - before
        if isinstance(result, Rejected):
            assert counted == {(sender, result.cause): 1}
            assert 0 < len(result.reason) < 200
            assert "\n" not in result.reason
            return result.cause.value
        assert not counted
        stage = self.exemplars.engine(kind)
        before_it = stage.standing
        effects = stage.hear(sender, result.message)
        if stage.standing != before_it:
            return "true"
        for effect in effects:
            self.harmless(stage, sender, effect)
        return "ignored"

    def harmless(self, stage: Stage, sender: int, effect: Effect) -> None:
        """An answer to the sender, work for the leader, blame of the liar, or our own true word."""
        match effect:
            case Send(to, _):
                assert to in (sender, stage.replica.leader)
            case Blame(member):
                assert member == sender
            case SetTimer():  # of the patience with a leader that has work now
                pass
            case Endorse(AcceptedStatement(_, slot, root)):
                assert root == self.exemplars.chain.root(slot)
            case _:
                raise AssertionError(f"an effect of a bad message: {effect}")


@pytest.fixture(scope="module")
def table(farm: Farm) -> Table:
    return Table(farm, chain_of_all(farm))


# -- the table is whole ------------------------------------------------------------------------------


def test_every_field_has_its_row() -> None:
    """The evidence of Reports, which profile classic has none of, is spoilt in ``test_evidence_matrix``."""
    evidence = parsed(EVIDENCE_ROWS)
    assert not set(TABLE) & set(evidence)
    assert {*TABLE, *evidence} == set(paths())
    causes = {cause.value for cause in Cause}
    verdicts = {verdict for row in (*TABLE.values(), *evidence.values()) for verdict in row}
    assert verdicts == causes | {"ignored", "true"}


def test_every_kind_of_message_has_its_true_one(table: Table) -> None:
    bodies = {field.name for field in pb.PeerMessage.DESCRIPTOR.fields}
    true = table.exemplars.make(Setting())
    assert set(true) == bodies
    assert {type(message) for message in true.values()} == set(get_args(Message))


def test_every_field_of_a_message_is_on_the_wire(table: Table) -> None:
    """Two messages that differ in one field of their dataclass differ in their bytes."""
    makes = [table.exemplars.make(setting) for setting in settings(table.exemplars.farm).values()]
    for kind, true in table.exemplars.make(Setting()).items():
        for field in dataclasses.fields(true):  # type: ignore[arg-type]
            if not field.compare:  # evidence, of which there is none in profile classic
                continue
            values = [getattr(made[kind], field.name) for made in makes]
            other = next((value for value in values if value != getattr(true, field.name)), None)
            if other is None:  # the same everywhere: a number, or a flag
                value = getattr(true, field.name)
                other = not value if isinstance(value, bool) else value + 1
            altered = dataclasses.replace(true, **{field.name: other})  # type: ignore[type-var]
            assert peer_messages.encode(altered) != table.true[kind], (kind, field.name)


def test_what_is_spoilt_below_is_true_itself(table: Table) -> None:
    for kind, data in table.true.items():
        sender = table.exemplars.sender(kind)
        result = table.door.admit(sender, data)
        assert result == Received(sender, table.exemplars.make(Setting())[kind])


# -- one field at a time -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", list(TABLE), ids=".".join)
def test_a_spoilt_field(table: Table, path: Path) -> None:
    verdicts: dict[str, set[str]] = {}
    for way, data in table.spoilt(path):
        verdicts.setdefault(table.judge(path[0], data), set()).add(way)
    assert verdicts == TABLE[path]


@pytest.mark.parametrize("kind", SIGNED)
def test_who_signs_its_own_lie_decides_nothing(table: Table, kind: str) -> None:
    """The spoilt message under its author's true signature: refused, or nothing is decided or replaced."""
    judged = 0
    for path in [path for path in TABLE if path[0] == kind]:
        for _, unsigned in table.spoilt(path):
            try:
                data = table.exemplars.signed_again(kind, unsigned)
            except Malformed:
                continue
            sender = table.exemplars.sender(kind)
            result = table.door.admit(sender, data)
            if isinstance(result, Rejected):
                continue
            stage = table.exemplars.engine(kind)
            decided, certified = stage.replica.status.decided, stage.replica.status.certified
            effects = stage.hear(sender, result.message)
            assert not [effect for effect in effects if isinstance(effect, Decide | Certify)]
            assert (stage.replica.status.decided, stage.replica.status.certified) == (decided, certified)
            for entry in stage.replica.rooms.log.accepted_above(certified):
                assert entry.root == table.exemplars.chain.root(entry.slot)
            judged += 1
    assert judged >= 5


def test_reports_of_another_view_do_not_turn_blame_on_the_leader(table: Table) -> None:
    """Whoever relays a true NewView may put Reports of another view with the same bodies into it."""
    (data,) = [data for way, data in table.spoilt(("new_view", "reports")) if way == "view"]
    result = table.door.admit(3, data)
    assert isinstance(result, Rejected)
    assert "another view" in result.reason


# -- a flood -----------------------------------------------------------------------------------------


def refused(table: Table) -> list[tuple[int, bytes]]:
    """(sender, message): of every kind one for each cause for which the gate refuses it."""
    bad: dict[tuple[str, Cause], tuple[int, bytes]] = {}
    for path in TABLE:
        sender = table.exemplars.sender(path[0])
        for _, data in table.spoilt(path):
            result = table.door.admit(sender, data)
            if isinstance(result, Rejected) and len(data) <= FLOOD_BYTES:
                bad.setdefault((path[0], result.cause), (sender, data))
    return list(bad.values())


class Lines(logging.Handler):
    """Counts what is logged, by member; keeps none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.by_member: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.by_member[record.getMessage().partition(":")[0]] += 1


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What the server logs; through a logger of its own, for pytest keeps every line of any other."""
    lines, log = Lines(), logging.Logger("flood")
    log.addHandler(lines)
    monkeypatch.setattr(module, "log", log)
    return lines


def test_a_flood_of_bad_messages_leaves_memory_and_log_small(
    table: Table, farm: Farm, tmp_path: File, run: Run, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    bad = refused(table)
    assert len(bad) >= 20
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)

    async def scenario() -> None:
        nonlocal now
        home = File(shutil.copytree(farm.member_home(3), tmp_path / "home"))
        server = Server.open(home, PASSPHRASE)
        waiting = len(server.term.inbox._events)

        def flood(count: int) -> int:
            nonlocal now
            for number in range(count):
                now += 0.001
                server.term.receiver.received(*bad[number % len(bad)])
                server.term.receiver.serve(module.time.monotonic)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            # What is remembered is bounded, and after the first flood as much as it ever is. What is kept of
            # each message grows with each flood; what else this process happens to do, it does once.
            marks = [flood(FLOOD) for _ in range(3)]
            grown = min(later - earlier for earlier, later in pairwise(marks))
        finally:
            tracemalloc.stop()
            await server.stop()
        assert grown < FLAT_BYTES, f"{grown} bytes more"
        assert len(server.term.inbox._events) == waiting
        assert sum(server.term.gate.counts.values()) == len(marks) * FLOOD
        assert len(server.term.gate.counts) <= 6 * len(Cause)
        assert set(lines.by_member) == {farm.config.members[sender].name for sender, _ in bad}
        assert max(lines.by_member.values()) <= now + 1

    run(scenario())
