"""Checkpoints beside the journal: a crash at any point leaves the one before or the new one, whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from alliance.errors import JournalError
from alliance.storage import checkpoint_file
from alliance.storage.checkpoint_file import CheckpointFile, keyed
from alliance.storage.journal import Journal
from fab_paxos.effects import CheckpointRecord, EntryRecord, ProvenRecord
from quorum import CheckpointStatement
from tests.alliance.farm import Chain, Farm
from tests.alliance.storage.test_journal import opened
from tests.worlds.cluster import submission
from tests.worlds.journals import Files, torn
from verifiable_log.client_windows import CLIENT_ITEM_BYTES_MAX, DIGESTS_KEPT, ClientWindows
from verifiable_log.limits import CLIENT_WINDOW
from verifiable_log.merkle import Frontier, slot_leaf
from verifiable_log.ordering_state import Checkpoint, Snapshot

EVERY = 5
CHECKPOINTS = 4


def frontier(slot: int) -> Frontier:
    return Frontier().extend(slot_leaf(at, bytes(32)) for at in range(1, slot + 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one" / "journal.sqlite"


def snapshots(clients: int = 9) -> Iterator[Snapshot]:
    """At every fifth slot; most clients change from one to the next, one comes late, one never changes, and
    once an item of another kind is among them and gone again."""
    windows = ClientWindows()
    windows.admit(1, submission(clients, 1))
    for slot in range(1, EVERY * CHECKPOINTS + 1):
        for client in range(clients if slot > EVERY else clients - 1):
            for number in range(30):
                windows.admit(slot, submission(client, 30 * slot + number))
        windows.settle(slot)
        if slot % EVERY == 0:
            others = (b"\x02one", b"\x02two") if slot == 2 * EVERY else ()
            yield Snapshot(frontier(slot), (*windows.state(), *others), windows.places())


def loaded(path: Path, slot: int) -> Snapshot:
    with closing(CheckpointFile(path)) as file:
        return Snapshot(frontier(slot), *file.load(slot))


def all_of(snapshot: Snapshot) -> list[tuple[bytes, tuple[bytes, bytes]]]:
    return list(keyed(snapshot))


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    for snapshot in snapshots():
        with closing(CheckpointFile(path)) as file:
            file.load(snapshot.slot - EVERY)
            file.save(snapshot)
        back = loaded(path, snapshot.slot)
        assert all_of(back) == all_of(snapshot)
        assert back.statement == snapshot.statement
        assert any(snapshot.places), "places of old numbers are among it"


def test_only_what_has_changed_is_written_and_what_is_not_needed_goes(tmp_path: Path) -> None:
    with closing(CheckpointFile(tmp_path / "checkpoints")) as file:
        sizes = []
        for snapshot in snapshots():
            before = file._db.total_changes
            file.save(snapshot)
            file.counts(snapshot.slot)
            sizes.append(file._db.execute("SELECT count(*) FROM items").fetchone()[0])
            assert file._db.total_changes - before <= 2 * 9 + 8, "one that never changes is not written again"
        assert max(sizes) <= 2 * 10 + 4, "never more than two of each"


def test_one_that_does_not_count_yet_leaves_the_one_before(tmp_path: Path) -> None:
    one, two, three, *_ = snapshots()
    path = tmp_path / "checkpoints"
    with closing(CheckpointFile(path)) as file:
        file.save(one)
        file.counts(one.slot)
        file.save(two)
        file.save(three)  # not even the second one counts
    for snapshot in (three, two, one):
        assert all_of(loaded(path, snapshot.slot)) == all_of(snapshot)
    with closing(CheckpointFile(path)) as file:
        file.load(one.slot)
        file.save(three)  # once more, from there
        file.counts(three.slot)
        assert all_of(three) == all_of(Snapshot(frontier(three.slot), *file.load(three.slot)))


def test_a_crash_at_any_write_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of every moment between two syncs, and what a torn write makes of them."""
    monkeypatch.setattr(checkpoint_file, "PORTION_ITEMS", 3)
    path, dice, cases = tmp_path / "journal.sqlite", Random(0), 0
    states = path.with_suffix(".checkpoints")
    moments: list[tuple[Files, Snapshot | None, Snapshot | None]] = []
    counting: Snapshot | None = None
    with closing(CheckpointFile(states)) as file:
        file._db.execute("PRAGMA wal_autocheckpoint=8")  # pages move into the main file, too
        for snapshot in snapshots():

            def note(_: str, snapshot: Snapshot = snapshot, before: Snapshot | None = counting) -> None:
                moments.append((Files.of(path), before, snapshot))

            file._db.set_trace_callback(
                lambda sql: note(sql) if sql in ("BEGIN IMMEDIATE", "COMMIT") else None
            )
            file.save(snapshot)
            moments.append((Files.of(path), snapshot, snapshot))
            file.counts(snapshot.slot)
            counting = snapshot
    for (before, counts, _), (after, _, _) in pairwise(moments):
        for _ in range(2):
            torn(before, after, dice).put(path)
            slot = counts.slot if counts is not None else 0
            with closing(CheckpointFile(states)) as file:
                back = Snapshot(frontier(slot), *file.load(slot))
                assert all_of(back) == (all_of(counts) if counts is not None else [])
                later = next(one for _, _, one in reversed(moments) if one is not None)
                file.save(later)  # and it goes on from there
                file.counts(later.slot)
            assert all_of(loaded(states, later.slot)) == all_of(later)
            cases += 1
    assert cases > 50


def grown(journal: Journal, chain: Chain) -> None:
    journal.append([EntryRecord(entry) for entry in chain.entries[:12]])
    journal.append([ProvenRecord(12, chain.certificate(12))])


def test_the_journal_names_a_checkpoint_only_when_it_is_saved(
    farm: Farm, long_chain: Chain, path: Path
) -> None:
    """ "CheckpointRecord last": cut between the two, the one before counts, or none."""
    path.parent.mkdir()
    for saved, named, expected in ((8, 0, None), (8, 8, 8), (12, 8, 8), (12, 12, 12)):
        for file in path.parent.iterdir():
            file.unlink()
        with opened(path, farm) as journal:
            journal.replay()
            journal.begin(bytes(32))
            grown(journal, long_chain)
            for slot in (8, 12):
                if slot <= saved:
                    journal.save(long_chain.checkpoint(slot))
                if slot <= named:
                    journal.append([CheckpointRecord(long_chain.checkpoint(slot))])
            left = Files.of(path)
        left.put(path)
        with opened(path, farm) as journal:
            checkpoint = journal.replay().state.checkpoint
            assert (checkpoint.slot if checkpoint is not None else None) == expected


def test_votes_are_written_while_a_checkpoint_is_being_saved(
    farm: Farm, long_chain: Chain, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    begun, go_on = threading.Event(), threading.Event()
    write = CheckpointFile._write

    def slow(self: CheckpointFile, *arguments: object) -> None:
        begun.set()
        assert go_on.wait(60)
        write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(CheckpointFile, "_write", slow)
    with opened(path, farm) as journal:
        journal.replay()
        grown(journal, long_chain)
        thread = threading.Thread(target=journal.save, args=[long_chain.checkpoint(8)])
        thread.start()
        assert begun.wait(60)
        journal.append([EntryRecord(long_chain.entries[12])])
        assert thread.is_alive()
        go_on.set()
        thread.join(60)
        assert not thread.is_alive()
        journal.append([CheckpointRecord(long_chain.checkpoint(8))])
    with opened(path, farm) as journal:
        assert journal.replay().state.checkpoint == long_chain.checkpoint(8)


def test_a_state_that_is_gone_old_or_altered_is_refused(farm: Farm, long_chain: Chain, path: Path) -> None:
    path.parent.mkdir()
    states = path.with_suffix(".checkpoints")
    with opened(path, farm) as journal:
        grown(journal, long_chain)
        journal.append([CheckpointRecord(long_chain.checkpoint(8))])
    old = Files.of(path)
    with opened(path, farm) as journal:
        journal.replay()
        journal.append([CheckpointRecord(long_chain.checkpoint(12))])
    new = Files.of(path)
    for left in (replace(new, states=None), replace(new, states=old.states), replace(new, states=b"")):
        left.put(path)
        with opened(path, farm) as journal, pytest.raises(JournalError, match="does not hold the state"):
            journal.replay()
        assert states.exists()
    replace(new, states=b"x" * 4096).put(path)
    with pytest.raises(JournalError, match="not a database"):
        Journal(path, farm.config.alliance_id, "member-1")
    new.put(path)
    with opened(path, farm) as journal:
        assert journal.replay().state.checkpoint is not None


def test_the_state_of_a_thousand_busy_clients_stays_below_four_megabytes() -> None:
    """Every number of their windows is used, and this member knows where each of them is."""
    windows, clients = ClientWindows(), 20
    for slot in range(1, CLIENT_WINDOW + 1):
        for client in range(clients):
            windows.admit(10**9 + 3 * slot, submission(client, slot))
    windows.settle(10**10)
    certified = sum(map(len, windows.state()))
    assert certified == clients * CLIENT_ITEM_BYTES_MAX
    assert all(len(places) == 16 * (CLIENT_WINDOW - DIGESTS_KEPT) for places in windows.places())
    written = certified + sum(len(checkpoint_file._pack(places)) for places in windows.places())
    assert written * 1000 / clients < 4_000_000


def test_a_full_disk_ends_the_member(farm: Farm, long_chain: Chain, path: Path) -> None:
    path.parent.mkdir()
    with opened(path, farm) as journal:
        grown(journal, long_chain)
        database = journal._checkpoints._db
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count={pages}")
        big = Snapshot(frontier(12), tuple(b"\x02" + bytes(60_000) for _ in range(4)))
        statement = CheckpointStatement(12, big.frontier.root, big.digest)
        with pytest.raises(JournalError, match="free space"):
            journal.save(Checkpoint(big, farm.certify(statement)))
