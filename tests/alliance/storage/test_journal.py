"""The journal forgets nothing that it acknowledged, and never remembers anything else."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from alliance.errors import JournalError
from alliance.storage.journal import Journal
from alliance.storage.journal_marker import Mark
from alliance.storage.journal_records import pack_batch, unpack_batch
from alliance.storage.journal_replay import Replayed
from fab_paxos.effects import (
    CheckpointRecord,
    EntryRecord,
    NewViewRecord,
    ProgressRecord,
    ProvenRecord,
    Record,
    SnapshotRecord,
    TruncateRecord,
    ViewRecord,
)
from fab_paxos.messages import Progress
from quorum import DecisionCertificate, ProgressStatement, QuorumCertificate
from tests.alliance.farm import MEMBERS, Chain, Farm
from tests.worlds.journals import Files
from verifiable_log import Batch, InvalidSubmission
from verifiable_log.client_windows import DIGESTS_KEPT, ClientWindows, Freshness, Lookup
from verifiable_log.ordering_state import Snapshot

ME = MEMBERS[0]


@dataclass(frozen=True)
class Memory:
    """All that a restart begins from, in a form that can be compared."""

    proven: int
    root: bytes
    entries: tuple[object, ...]
    certificate: QuorumCertificate | None
    beyond: QuorumCertificate | None
    view: int
    election: QuorumCertificate | None
    new_view_digest: bytes | None
    snapshot: Snapshot | None
    pruned: int
    muted_up_to: int
    openings: tuple[Progress, ...]

    @classmethod
    def of(cls, replayed: Replayed) -> Memory:
        state = replayed.state
        assert replayed.log.frontier() == state.frontier
        return cls(
            state.frontier.size,
            state.frontier.root,
            state.entries,
            state.certificate,
            state.beyond,
            state.view,
            state.election,
            state.new_view_digest,
            state.checkpoint.snapshot if state.checkpoint is not None else None,
            state.pruned,
            state.muted_up_to,
            state.openings,
        )


@contextmanager
def opened(path: Path, farm: Farm) -> Iterator[Journal]:
    journal = Journal(path, farm.config.alliance_id, ME)
    try:
        yield journal
    finally:
        journal.close()


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def mark_of(path: Path) -> Path:
    return path.with_suffix(".started")


def new_mark(folder: Path, farm: Farm) -> bytes:
    """What a member's folder holds just before its journal."""
    mark = Mark(folder / "new.sqlite", farm.config.alliance_id + ME.encode())
    mark.create()
    mark.close()
    return mark.path.read_bytes()


def refused_untouched(path: Path, farm: Farm, says: str) -> None:
    """With the same error again and again: nothing is written, so that nothing makes it worse."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    for _ in range(2):
        with pytest.raises(JournalError, match=says):
            replayed(path, farm)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()} == before


def replayed(path: Path, farm: Farm) -> Memory:
    with opened(path, farm) as journal:
        return Memory.of(journal.replay())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def script(chain: Chain) -> list[list[Record]]:
    """Appends of every kind: single, grouped, proven from above, replaced and cut entries, views."""
    entries = chain.entries
    other = Chain(chain.farm).grow(3)
    replaced = replace(other.add(chain.farm.submission(99)), view=3)
    return [
        [EntryRecord(entries[0])],
        [EntryRecord(entries[1]), EntryRecord(entries[2])],
        [ProvenRecord(2, chain.certificate(2))],
        [EntryRecord(entries[3]), EntryRecord(entries[4]), ProvenRecord(3, chain.certificate(6))],
        [ViewRecord(3, chain.election(2))],
        [NewViewRecord(3, b"n" * 32)],
        [ProgressRecord((openings(chain)[0],))],
        [EntryRecord(replaced)],  # takes slot 4; slot 5 stays, accepted in an earlier view
        [TruncateRecord(3, 5)],
        [ViewRecord(4, chain.election(3))],
        [ProgressRecord(openings(chain))],
        [EntryRecord(entries[3]), EntryRecord(entries[4])],
        [ProvenRecord(5, chain.certificate(5))],
        [EntryRecord(entries[5])],
        [ProvenRecord(6, chain.certificate(6))],
    ]


def openings(chain: Chain) -> tuple[Progress, ...]:
    """How two views began: one upon the empty log, one upon a certificate."""
    made = []
    for view, base, vector in ((3, None, ()), (4, chain.certificate(2), (b"v" * 32, b"w" * 32))):
        unproven = chain.certificate(2)
        progress = Progress(view, b"r" * 32, base, vector, unproven)
        statement = ProgressStatement(view, progress.digest)
        made.append(replace(progress, certificate=chain.farm.certify(statement)))
    return tuple(made)


def long_script(chain: Chain) -> list[list[Record]]:
    """The same, then checkpoints, and leaps to those that others brought."""
    entries = chain.entries
    return [
        *script(chain),
        [CheckpointRecord(chain.checkpoint(4))],
        [EntryRecord(entries[6]), CheckpointRecord(chain.checkpoint(6))],
        [SnapshotRecord(chain.checkpoint(12), chain.certificate(12))],
        [EntryRecord(entries[12])],
        [SnapshotRecord(chain.checkpoint(15), chain.certificate(17))],
    ]


def expected(appends: Sequence[Sequence[Record]], chain: Chain) -> Memory:
    """A dumb twin of the journal."""
    entries: dict[int, EntryRecord] = {}
    proven, certificate, beyond = 0, None, None
    view, election, digest, muted_up_to = 0, None, None, 0
    checkpoint = pruned = 0
    kept: tuple[Progress, ...] = ()
    for record in (record for append in appends for record in append):
        match record:
            case EntryRecord(entry):
                entries[entry.slot] = record
            case TruncateRecord(cut, muted_up_to):
                entries = {slot: held for slot, held in entries.items() if slot <= cut}
            case ViewRecord():
                view, election, digest, muted_up_to = record.view, record.election, None, 0
            case NewViewRecord():
                digest = record.digest
            case ProgressRecord():
                kept = record.openings
            case CheckpointRecord():
                checkpoint = record.checkpoint.slot
            case SnapshotRecord():
                muted_up_to = record.muted_up_to
                checkpoint = pruned = proven = record.checkpoint.slot
                entries = {slot: held for slot, held in entries.items() if slot > pruned}
                if DecisionCertificate.of(record.certificate).slot > proven:
                    beyond = record.certificate
                else:
                    certificate = record.certificate
            case ProvenRecord(slot, newest) if DecisionCertificate.of(newest).slot > slot:
                proven, beyond = slot, newest
            case ProvenRecord(slot, newest):
                proven, certificate = slot, newest
    if beyond is not None and DecisionCertificate.of(beyond).slot <= proven:
        beyond = None
    above = tuple(
        (r.entry.slot, r.entry.view, r.entry.batch, r.entry.root, r.entry.signature)
        for slot, r in sorted(entries.items())
        if slot > proven
    )
    if certificate is not None and DecisionCertificate.of(certificate).slot < pruned:
        certificate = None
    return Memory(
        proven,
        chain.root(proven),
        above,
        certificate,
        beyond,
        view,
        election,
        digest,
        chain.checkpoint(checkpoint).snapshot if checkpoint else None,
        pruned,
        muted_up_to,
        kept,
    )


def same(memory: Memory, twin: Memory) -> bool:
    entries = tuple((e.slot, e.view, e.batch, e.root, e.signature) for e in memory.entries)  # type: ignore[attr-defined]
    return replace(memory, entries=entries) == twin


# -- append and replay -------------------------------------------------------------------------------


def test_what_was_appended_is_replayed(farm: Farm, long_chain: Chain, path: Path) -> None:
    appends = long_script(long_chain)
    for count in range(len(appends) + 1):
        if count:
            with opened(path, farm) as journal:
                journal.append(appends[count - 1])
        assert same(replayed(path, farm), expected(appends[:count], long_chain)), f"after append {count}"


def test_the_clients_windows_come_back(farm: Farm, long_chain: Chain, path: Path) -> None:
    with opened(path, farm) as journal:
        journal.append(
            [*map(EntryRecord, long_chain.entries[:4]), ProvenRecord(3, long_chain.certificate(3))]
        )
        windows = journal.replay().state.windows
    assert windows.judge(farm.submission(3, b"x")).freshness is Freshness.CONFLICT
    assert windows.judge(farm.submission(4, b"x")).freshness is Freshness.FRESH


def test_a_restart_from_a_checkpoint_knows_where_old_numbers_are(farm: Farm, path: Path) -> None:
    chain = Chain(farm).grow(DIGESTS_KEPT + 4)
    slot = len(chain.entries)
    before = ClientWindows()
    for entry in chain.entries:
        before.admit(entry.slot, entry.batch.submissions[0])
    with opened(path, farm) as journal:
        journal.append([*map(EntryRecord, chain.entries), ProvenRecord(slot, chain.certificate(slot))])
        journal.append([CheckpointRecord(chain.checkpoint(slot))])
    with opened(path, farm) as journal:
        windows = journal.replay().state.windows
    first = chain.entries[0].batch.submissions[0]
    assert windows.judge(first) == before.judge(first) == Lookup(Freshness.REPEATED, 1)
    assert windows.places() == before.places() != (b"",)


def test_batches_are_read_back_in_order(farm: Farm, long_chain: Chain, path: Path) -> None:
    batches = [entry.batch for entry in long_chain.entries]
    with opened(path, farm) as journal:
        journal.append([EntryRecord(entry) for entry in long_chain.entries])
        assert list(journal.batches(1, 20)) == batches
        assert list(journal.batches(7, 9)) == batches[6:9]
        with pytest.raises(JournalError, match="slot 21 is missing"):
            list(journal.batches(20, 21))


def test_appending_nothing_writes_nothing(farm: Farm, path: Path) -> None:
    with opened(path, farm) as journal:
        before = wal_of(path).stat().st_size
        journal.append([])
        assert wal_of(path).stat().st_size == before


def test_every_append_is_synced(farm: Farm, path: Path) -> None:
    with opened(path, farm) as journal:
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_batches_are_packed_reversibly(farm: Farm) -> None:
    for submissions in ([], [farm.submission(1)], [farm.submission(1), farm.submission(2, b"", b"x" * 99)]):
        batch = Batch.of(submissions)
        packed = pack_batch(batch)
        assert unpack_batch(packed) == batch
        with pytest.raises(InvalidSubmission):
            unpack_batch(packed + b"x")


# -- crashes -----------------------------------------------------------------------------------------


def test_a_kill_at_any_point_leaves_a_prefix(
    farm: Farm, long_chain: Chain, path: Path, tmp_path: Path
) -> None:
    """The WAL is cut anywhere, as a torn write would: what was acknowledged before the cut is there. If more
    was acknowledged, the mark knows it."""
    appends = long_script(long_chain)
    wal, mark = wal_of(path), mark_of(path)
    states = [(0, new_mark(tmp_path, farm))]  # sizes of the WAL, and the marks that were written behind them
    with opened(path, farm) as journal:
        states.append((wal.stat().st_size, mark.read_bytes()))
        saved = [Files.of(path)] * 2
        for append in appends:
            journal.append(append)
            states.append((wal.stat().st_size, mark.read_bytes()))
            saved.append(Files.of(path))
        main_file, log = path.read_bytes(), wal.read_bytes()
    twins = [expected(appends[:count], long_chain) for count in range(len(appends) + 1)]
    cuts = {size + step for size, _ in states for step in (-4096, -100, -1, 0, 1, 24, 4000)}
    cuts |= set(range(0, len(log), 3777))
    victim = tmp_path / "copy" / "journal.sqlite"
    victim.parent.mkdir()
    for cut in sorted(cut for cut in cuts if 0 <= cut <= len(log)):
        known = sum(size <= cut for size, _ in states) - 1
        for later in (known, known + 1, len(states) - 1):
            if later >= len(states):
                continue
            # The state of a checkpoint is durable before the journal names it.
            checkpoints = saved[min(known + cut % 2, len(saved) - 1)]
            replace(checkpoints, main=main_file, log=log[:cut], mark=states[later][1]).put(victim)
            if later == known:
                # Before the first commit there is not even a schema: a new, empty journal.
                assert same(replayed(victim, farm), twins[max(known - 1, 0)]), f"cut at {cut}"
            else:
                refused_untouched(victim, farm, "is missing or cut|tables are gone")


def test_writing_goes_on_after_a_torn_tail(farm: Farm, long_chain: Chain, path: Path, tmp_path: Path) -> None:
    wal = wal_of(path)
    with opened(path, farm) as journal:
        journal.append([EntryRecord(long_chain.entries[0])])
        mark = mark_of(path).read_bytes()
        journal.append([EntryRecord(long_chain.entries[1])])
        victim = tmp_path / "victim.sqlite"
        shutil.copy(path, victim)
        wal_of(victim).write_bytes(wal.read_bytes()[:-1])
        mark_of(victim).write_bytes(mark)
    with opened(victim, farm) as journal:
        assert len(journal.replay().state.entries) == 1
        journal.append([EntryRecord(long_chain.entries[1]), EntryRecord(long_chain.entries[2])])
    assert len(replayed(victim, farm).entries) == 3


def test_a_full_disk_acknowledges_nothing(farm: Farm, long_chain: Chain, path: Path) -> None:
    with opened(path, farm) as journal:
        journal.append([EntryRecord(long_chain.entries[0])])
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count={pages}")
        huge = Chain(farm)
        huge.grow(1)
        records = [
            EntryRecord(long_chain.entries[1]),
            EntryRecord(huge.add(farm.submission(2, b"x" * 200_000))),
        ]
        with pytest.raises(JournalError, match="stops before it says anything"):
            journal.append(records)
        with pytest.raises(JournalError):  # it stays so: no half of the group sneaks in with the next one
            journal.append([EntryRecord(long_chain.entries[1])])
    assert same(replayed(path, farm), expected([[EntryRecord(long_chain.entries[0])]], long_chain))


class FailingDisk:
    """A connection whose ``at``-th statement from now on fails, with all that follow."""

    def __init__(self, db: Any, at: int) -> None:
        self._db = db
        self._left = at

    def execute(self, *arguments: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise sqlite3.OperationalError("disk I/O error")
        return self._db.execute(*arguments)

    def close(self) -> None:
        self._db.close()


def test_an_error_at_any_statement_acknowledges_nothing(
    farm: Farm, long_chain: Chain, path: Path, tmp_path: Path
) -> None:
    """What was said to have failed may be there or not, whole; what was acknowledged before is there."""
    entries = list(map(EntryRecord, long_chain.entries))
    writes: dict[str, Callable[[Journal], Any]] = {
        "append": lambda journal: journal.append([entries[1], entries[2]]),
        "begin": lambda journal: journal.begin(b"2" * 32),
        "keep": lambda journal: journal.keep("x", b"y"),
    }
    for name, write in writes.items():
        failures = 0
        while True:
            victim = tmp_path / f"{name} {failures}.sqlite"
            with opened(victim, farm) as journal:
                journal.append([entries[0]])
                assert journal.begin(b"1" * 32) == 1
                disk: Any = FailingDisk(journal._db, failures)
                journal._db = disk
                try:
                    write(journal)
                except JournalError:
                    failures += 1
                else:
                    break
                for other in writes.values():
                    with pytest.raises(JournalError, match="stops before it says anything"):
                        other(journal)
            with opened(victim, farm) as journal:
                assert len(journal.replay().state.entries) == 1
                assert journal.begin(b"3" * 32) == 2
        assert failures >= 3, name


# -- damage ------------------------------------------------------------------------------------------


def full(path: Path, farm: Farm, chain: Chain) -> Memory:
    with opened(path, farm) as journal:
        for append in script(chain):
            journal.append(append)
    assert not wal_of(path).exists()
    return replayed(path, farm)


def test_a_flipped_bit_is_refused_or_harmless(
    farm: Farm, long_chain: Chain, path: Path, tmp_path: Path
) -> None:
    """Never another state: no lost entry, no other view, no higher proven slot."""
    truth = full(path, farm, long_chain)
    data = path.read_bytes()
    used = [at for at in range(len(data)) if data[at]]
    random = Random(5)
    places = [(random.choice(used), random.randrange(8)) for _ in range(500)]
    places += [(random.randrange(len(data)), random.randrange(8)) for _ in range(100)]
    places += [(at + byte, bit) for at in range(0, len(data), 4096) for byte in range(12) for bit in range(8)]
    places += [(100 + byte, bit) for byte in range(12) for bit in range(8)]
    refused = 0
    victim = tmp_path / "victim.sqlite"
    shutil.copy(mark_of(path), mark_of(victim))
    for at, bit in places:
        mutant = bytearray(data)
        mutant[at] ^= 1 << bit
        victim.write_bytes(mutant)
        try:
            memory = replayed(victim, farm)
        except JournalError as error:
            assert "\n" not in str(error)  # noqa: PT017
            refused += 1
        else:
            assert memory == truth, f"byte {at}, bit {bit}"
        for rest in tmp_path.glob("victim.sqlite*"):
            rest.unlink()
    assert refused > len(places) // 4  # the test does meet what matters


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET view = 1 WHERE slot = 6",
        "UPDATE entries SET signature = zeroblob(64) WHERE slot = 6",
        "UPDATE entries SET root = zeroblob(32) WHERE slot = 6",
        "UPDATE entries SET batch = (SELECT batch FROM entries WHERE slot = 1) WHERE slot = 6",
        "UPDATE entries SET batch = 'text' WHERE slot = 6",
        "UPDATE entries SET batch = zeroblob(0) WHERE slot = 2",
        "UPDATE entries SET view = -1 WHERE slot = 2",
        "UPDATE entries SET slot = 7 WHERE slot = 6",
        "DELETE FROM entries WHERE slot = 6",
        "DELETE FROM entries WHERE slot = 3",
        "DELETE FROM entries WHERE slot = 1",
        "DELETE FROM entries",
        "UPDATE meta SET value = (SELECT value FROM meta WHERE key = 'member') WHERE key = 'position'",
        "UPDATE meta SET value = zeroblob(16) WHERE key = 'position'",
        "UPDATE meta SET value = zeroblob(3) WHERE key = 'position'",
        "UPDATE meta SET value = 5 WHERE key = 'position'",
        "UPDATE meta SET key = 'positiom' WHERE key = 'position'",
        "DELETE FROM meta WHERE key = 'position'",
        "DELETE FROM meta WHERE key = 'alliance'",
        "DELETE FROM meta WHERE key = 'starts'",
        "UPDATE meta SET value = zeroblob(9) WHERE key = 'starts'",
        "DELETE FROM meta WHERE key = 'format'",
        "DROP TABLE meta",
        "DROP TABLE entries",
    ],
)
def test_an_altered_row_is_refused(farm: Farm, long_chain: Chain, path: Path, statement: str) -> None:
    full(path, farm, long_chain)
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    with pytest.raises(JournalError):
        replayed(path, farm)


@pytest.mark.parametrize("slot", [6, 7])
def test_entries_that_were_accepted_and_are_gone_are_missed(
    farm: Farm, long_chain: Chain, path: Path, slot: int
) -> None:
    """No certificate speaks of them: only the journal knows what this member said."""
    with opened(path, farm) as journal:
        journal.append(
            [*map(EntryRecord, long_chain.entries[:7]), ProvenRecord(5, long_chain.certificate(5))]
        )
    db = sqlite3.connect(path)
    db.execute("DELETE FROM entries WHERE slot = ?", (slot,))
    db.commit()
    db.close()
    with pytest.raises(JournalError, match=r"slot 6 (is missing|are gone)"):
        replayed(path, farm)


def test_what_is_read_for_others_is_checked_too(farm: Farm, long_chain: Chain, path: Path) -> None:
    with opened(path, farm) as journal:
        journal.append([EntryRecord(entry) for entry in long_chain.entries])
        other = Chain(farm).add(farm.submission(77)).batch
        journal._db.execute("UPDATE entries SET batch = ? WHERE slot = 3", (pack_batch(other),))
        assert len(list(journal.batches(1, 2))) == 2
        with pytest.raises(JournalError, match="altered"):
            list(journal.batches(1, 4))


# -- checkpoints -------------------------------------------------------------------------------------


def decided(journal: Journal, chain: Chain, slots: int, checkpoint: int) -> None:
    """So many proven slots, with a checkpoint below."""
    journal.append([EntryRecord(entry) for entry in chain.entries[:slots]])
    journal.append([ProvenRecord(slots, chain.certificate(slots))])
    journal.append([CheckpointRecord(chain.checkpoint(checkpoint))])


def test_a_restart_begins_from_the_checkpoint(farm: Farm, long_chain: Chain, path: Path) -> None:
    with opened(path, farm) as journal:
        decided(journal, long_chain, 18, 16)
    with opened(path, farm) as journal:
        journal._db.execute("UPDATE entries SET batch = x'00' WHERE slot <= 16")
        state = journal.replay().state  # what lies below is not read before somebody asks for it
        assert state.frontier.size == 18
        assert state.windows.state() == long_chain.checkpoint(18).snapshot.state
        with pytest.raises(JournalError, match="damaged"):
            list(journal.batches(16, 16))


def test_what_is_pruned_is_gone_and_the_log_goes_on(farm: Farm, long_chain: Chain, path: Path) -> None:
    with opened(path, farm) as journal:
        decided(journal, long_chain, 18, 16)
        journal.prune(long_chain.frontiers[10])
    with opened(path, farm) as journal:
        restored = journal.replay()
        assert restored.log.base == long_chain.frontiers[10]
        assert restored.log.root() == long_chain.root(18)
        assert restored.state.pruned == 10
        assert len(list(journal.batches(11, 18))) == 8
        with pytest.raises(JournalError, match="slot 10 is missing"):
            list(journal.batches(10, 11))
        journal.append([EntryRecord(long_chain.entries[18])])
        journal.prune(long_chain.frontiers[16])
    with opened(path, farm) as journal:
        assert journal.replay().log.root(18) == long_chain.root(18)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM items",
        "UPDATE items SET item = substr(item, 1, length(item) - 1)",
        "UPDATE items SET places = zeroblob(16)",
        "UPDATE items SET slot = 15",
        "INSERT INTO items VALUES (zeroblob(33), 16, zeroblob(209), x'', zeroblob(32))",
        "DELETE FROM meta WHERE key = 'checkpoint'",
        "DELETE FROM meta WHERE key = 'base'",
        "UPDATE entries SET digest = zeroblob(32) WHERE slot = 12",
        "UPDATE entries SET seal = zeroblob(32) WHERE slot = 12",
        "DELETE FROM entries WHERE slot = 11",
        "DELETE FROM entries WHERE slot = 16",
    ],
)
def test_a_damaged_checkpoint_is_refused(farm: Farm, long_chain: Chain, path: Path, damage: str) -> None:
    with opened(path, farm) as journal:
        decided(journal, long_chain, 18, 16)
        journal.prune(long_chain.frontiers[10])
        (journal._checkpoints if " items" in damage else journal)._db.execute(damage)
    with opened(path, farm) as journal, pytest.raises(JournalError, match="damaged"):
        journal.replay()
