"""What the log says of the alliance itself, in the journal: in checkpoints, and replayed from the entries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from alliance.storage.journal import Journal
from fab_paxos.effects import SnapshotRecord
from quorum import Endorsement, JointStatement, QuorumCertificate, combine
from tests.worlds.checkers import check_all
from tests.worlds.cluster import SIX, Cluster, client_id, submission
from tests.worlds.control import END, TinyControl, admit, remove
from tests.worlds.journals import ALLIANCE_ID, JournalDisk
from tests.worlds.member import Member
from tests.worlds.single import Script
from tests.worlds.standin import CONTEXT, StandInEndorser, StandInScheme
from tests.worlds.timed import MEMORY
from tests.worlds.windows import window_of
from verifiable_log.client_windows import ClientWindows
from verifiable_log.ordering_state import Checkpoint, Snapshot

W = 8


class Journalled(Cluster):
    """With real journals, each of which is held against the model of a disk when its member starts."""

    folder: Path

    def equip(self, member: Member) -> None:
        member.disk = JournalDisk(self.folder, member.me, Random(member.me), self.founded, CONTEXT.epoch)


@pytest.fixture
def memory() -> Iterator[Path]:
    """Where syncs take no time."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def restart(cluster: Cluster) -> None:
    """Everybody comes back with what it knew."""
    cluster.settle(2)
    before = [known(member) for member in cluster.live()]
    for member in cluster.members:
        cluster.crash(member.me)
        cluster.restart(member.me)
    assert [known(member) for member in cluster.live()] == before


def known(member: Member) -> object:
    log = member.engine.rooms.log
    return member.me, log.control, log.windows.state()


@pytest.mark.parametrize("every", [3, 1000])
def test_a_restart_knows_what_the_log_says(memory: Path, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the checkpoint, from the entries above it, and at the end of the epoch."""
    monkeypatch.setattr(Journalled, "folder", memory, raising=False)
    with window_of(W):
        cluster = Journalled(SIX, founded=TinyControl(alpha=W), checkpoint_slots=every, retain_slots=2)
        try:
            for seq in range(3):
                word = admit(client_id(30 + seq), admitted=False) if seq % 2 else b""
                cluster.submit(1, submission(seq % 3, seq, word))
                cluster.run()
            restart(cluster)
            cluster.submit(2, submission(7, 0), submission(9, 1, remove(client_id(7))))
            for seq in range(4, 4 + 3 * W):
                cluster.submit(1, submission(seq % 3, seq))
                cluster.run()
            restart(cluster)
            windows = {item[1:33] for item in cluster.members[0].engine.rooms.log.windows.state()}
            assert windows == {client_id(client) for client in (0, 1, 2, 9)}
            cluster.settle_views(1)
            cluster.submit(1, submission(9, 0, END))
            restart(cluster)
            cluster.settle_views(1)
            check_all(cluster)
            (end,) = {member.engine.rooms.log.end for member in cluster.live()}
            assert {member.engine.status.stable for member in cluster.live()} == {end}
        finally:
            for member in cluster.members:
                member.disk.close()


def signed(statement: JointStatement) -> QuorumCertificate:
    text = statement.encode(CONTEXT)
    shares = [Endorsement(statement, me, StandInEndorser(me).endorse(text, proven=False)) for me in range(5)]
    return combine(StandInScheme(5), shares)


def test_items_that_are_gone_are_gone_from_the_journal(tmp_path: Path) -> None:
    """A state may have fewer items than the one before: rows of those would be read as a part of it."""
    script = Script()
    propose = [script.add(submission(1, seq)) for seq in range(2)]
    windows = ClientWindows()
    windows.admit(1, submission(1, 0))
    changes = ((5, client_id(1), True), (6, client_id(2), False))
    states = [
        (*windows.state(), *TinyControl(applied=1, changes=changes).items()),
        TinyControl(applied=2, changes=changes[:1]).items(),
    ]
    journal = Journal(tmp_path / "journal.sqlite", ALLIANCE_ID, "member-1")
    try:
        for one, state in zip(propose, states, strict=True):
            snapshot = Snapshot(script.frontiers[one.slot], state)
            checkpoint = Checkpoint(snapshot, signed(snapshot.statement))
            journal.append([SnapshotRecord(checkpoint, script.certificate(one.slot))])
            restored = journal.replay(TinyControl()).state
            assert restored.checkpoint == checkpoint
            assert restored.control == TinyControl().read(snapshot.control_items)
            assert restored.windows.state() == snapshot.client_items
    finally:
        journal.close()
