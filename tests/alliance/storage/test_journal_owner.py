"""A journal is one member's, one process's at a time, and never quietly a new one."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
from hashlib import sha256
from pathlib import Path

import pytest

from alliance.errors import JournalError
from alliance.storage.journal import Journal
from alliance.storage.journal_marker import BLOCK_BYTES, SECTOR_BYTES
from fab_paxos.effects import EntryRecord, TruncateRecord, ViewRecord
from tests.alliance.farm import MEMBERS, Chain, Farm
from tests.alliance.storage.test_journal import ME, mark_of, new_mark, opened, refused_untouched, wal_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_another_members_or_alliances_journal_is_refused(farm: Farm, path: Path) -> None:
    with opened(path, farm):
        pass
    with pytest.raises(JournalError, match="another member"):
        Journal(path, farm.config.alliance_id, MEMBERS[1])
    with pytest.raises(JournalError, match="another alliance"):
        Journal(path, b"o" * 32, ME)
    with opened(path, farm):  # a refusal keeps no lock
        pass


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("member", b"member-2", "another member"),
        ("alliance", b"o" * 32, "another alliance"),
        ("engine", b"raft", "another engine"),
        ("format", b"3", "another format"),
    ],
)
def test_a_journal_that_does_not_fit_its_mark_is_refused(
    farm: Farm, path: Path, key: str, value: bytes, says: str
) -> None:
    with opened(path, farm) as journal:
        journal.keep(key, value)
    for _ in range(2):
        with pytest.raises(JournalError, match=says):
            Journal(path, farm.config.alliance_id, ME)


def test_a_second_opener_is_refused(farm: Farm, path: Path) -> None:
    with opened(path, farm), pytest.raises(JournalError, match="already running"):
        Journal(path, farm.config.alliance_id, ME)
    with opened(path, farm):
        pass


def test_what_is_no_journal_is_refused(farm: Farm, path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"The journal was eaten by the dog. " * 200)
    with pytest.raises(JournalError, match=r"journal\.started is gone, but journal\.sqlite is here"):
        Journal(path, farm.config.alliance_id, ME)
    mark_of(path).write_bytes(new_mark(tmp_path, farm))
    with pytest.raises(JournalError, match="damaged"):
        Journal(path, farm.config.alliance_id, ME)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "no such folder" / "journal.sqlite", farm.config.alliance_id, ME)
    mark_of(path).unlink()
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match=r"journal\.started is gone"):
        Journal(path, farm.config.alliance_id, ME)
    mark_of(path).write_bytes(new_mark(tmp_path, farm))
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(path, farm.config.alliance_id, ME)


def test_only_the_owner_reads_it(farm: Farm, long_chain: Chain, path: Path) -> None:
    with opened(path, farm) as journal:
        journal.append([EntryRecord(long_chain.entries[0])])
        for file in path.parent.glob("journal.sqlite*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize("loss", ["deleted", "emptied", "without its tables"])
def test_a_lost_journal_is_not_taken_for_a_new_one(
    farm: Farm, long_chain: Chain, path: Path, loss: str
) -> None:
    """Amnesia is a Byzantine fault: who forgot what it said must not vote under its old name."""
    fresh = path.with_name("fresh.sqlite")
    with opened(fresh, farm) as journal:
        journal._db.execute("DROP TABLE meta")
        journal._db.execute("DROP TABLE entries")
        journal._db.execute("VACUUM")
    with opened(path, farm) as journal:
        journal.append([EntryRecord(long_chain.entries[0])])
    match loss:
        case "deleted":
            path.unlink()
        case "emptied":
            path.write_bytes(b"")
        case _:
            path.write_bytes(fresh.read_bytes())
    for _ in range(2):
        with pytest.raises(JournalError, match=r"is gone|knows 0 writes"):
            Journal(path, farm.config.alliance_id, ME)


def test_starts_are_counted_and_remembered(farm: Farm, path: Path) -> None:
    sessions = [bytes([number]) * 32 for number in range(5)]
    for number, session in enumerate(sessions, 1):
        with opened(path, farm) as journal:
            assert journal.begin(session) == number
    with opened(path, farm) as journal:
        assert journal.starts.newest == 5
        assert all(journal.starts.include(number, session) for number, session in enumerate(sessions, 1))
        assert not journal.starts.include(2, sessions[2])
        assert not journal.starts.include(6, sessions[2])


def test_the_furthest_word_survives_cuts_and_restarts(farm: Farm, long_chain: Chain, path: Path) -> None:
    entries = [EntryRecord(entry) for entry in long_chain.entries]
    with opened(path, farm) as journal:
        assert journal.furthest == (0, 0)
        journal.append(entries[:4])
        journal.append([TruncateRecord(0), entries[0]])
    with opened(path, farm) as journal:
        assert journal.furthest == (0, 4)
        journal.append([ViewRecord(2, long_chain.election(1))])
    with opened(path, farm) as journal:
        assert journal.furthest == (2, 0)


def test_notes_are_kept_and_sealed(farm: Farm, path: Path) -> None:
    with opened(path, farm) as journal:
        assert journal.kept("greeting of member 2") is None
        for value in (b"one", b"two"):
            journal.keep("greeting of member 2", value)
    with opened(path, farm) as journal:
        assert journal.kept("greeting of member 2") == b"two"
        journal._db.execute("UPDATE meta SET value = x'6f6e65' WHERE key = 'greeting of member 2'")
        with pytest.raises(JournalError, match="greeting of member 2' was altered"):
            journal.kept("greeting of member 2")


@pytest.fixture
def killed(farm: Farm, long_chain: Chain, path: Path, tmp_path: Path) -> dict[str, bytes]:
    """What a member leaves behind that was killed in its second start: three files, and the checkpoints."""
    with opened(path, farm) as journal:
        journal.begin(b"1" * 32)
        journal.append([EntryRecord(long_chain.entries[0])])
    old, older = path.read_bytes(), mark_of(path).read_bytes()
    with opened(path, farm) as journal:
        journal.begin(b"2" * 32)
        journal.append([EntryRecord(long_chain.entries[1])])
        files = {file.name: file.read_bytes() for file in path.parent.glob("journal.*")}
    states = {"journal.checkpoints", "journal.checkpoints-wal"}
    assert set(files) == {"journal.sqlite", "journal.sqlite-wal", "journal.started", *states}
    for name in files:
        (path.parent / name).unlink(missing_ok=True)
    return {**files, "old": old, "older": older}


@pytest.mark.parametrize(
    ("left", "says"),
    [
        ("journal.sqlite journal.sqlite-wal journal.started", None),
        ("journal.sqlite journal.sqlite-wal", "journal.started is gone, but journal.sqlite is here"),
        ("journal.sqlite", "journal.started is gone, but journal.sqlite is here"),
        ("journal.sqlite journal.started", "-wal is missing"),
        ("journal.sqlite-wal journal.started", "is gone, but this member has run before"),
        ("journal.sqlite-wal", "journal.started is gone, but journal.sqlite-wal is here"),
        ("journal.started", "is gone, but this member has run before"),
        ("old journal.started", "it is an old one"),
        ("journal.sqlite journal.sqlite-wal older", None),
        ("old older", None),
    ],
)
def test_parts_of_a_journal(
    farm: Farm, path: Path, killed: dict[str, bytes], left: str, says: str | None
) -> None:
    """A copy of a part is no journal. With an older mark it is one: what that lacks, the peers know."""
    names = {"old": "journal.sqlite", "older": "journal.started"}
    for name in left.split():
        (path.parent / names.get(name, name)).write_bytes(killed[name])
    if says is None:
        with opened(path, farm) as journal:
            whole = "old" not in left.split()
            assert len(journal.replay().state.entries) == 1 + whole
            assert journal.begin(b"3" * 32) == 2 + whole
    else:
        refused_untouched(path, farm, says)


@pytest.mark.parametrize("older", [False, True], ids=["the newest record", "the one before"])
@pytest.mark.parametrize("damage", [b"", b"0000", b"one\n", b"\xff" * 600, bytes(600)])
def test_a_torn_or_rotten_mark(
    farm: Farm, path: Path, killed: dict[str, bytes], damage: bytes, older: bool
) -> None:
    """One of its records is enough; each is there twice, in a sector of its own."""
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        (path.parent / name).write_bytes(killed[name])
    mark, good = mark_of(path), killed["journal.started"]
    newest = BLOCK_BYTES * (_commits(good, BLOCK_BYTES) > _commits(good, 0))
    place = BLOCK_BYTES - newest if older else newest
    mark.write_bytes(good[:place] + damage + good[place + len(damage) :])
    with opened(path, farm) as journal:
        assert journal.begin(b"3" * 32) == 3
    for length in (1, 99, SECTOR_BYTES):
        rotten = bytearray(good)
        for at in (0, BLOCK_BYTES):
            rotten[at : at + length] = b"\xff" * length
        mark.write_bytes(rotten)
        with opened(path, farm):
            pass
        for at in (SECTOR_BYTES, BLOCK_BYTES + SECTOR_BYTES):
            rotten[at] ^= 1
        mark.write_bytes(rotten)
        refused_untouched(path, farm, "journal.started is damaged")


def _commits(mark: bytes, block: int) -> int:
    return int.from_bytes(mark[block + 8 : block + 16])


def test_the_mark_is_never_ahead_and_at_most_one_write_behind(
    farm: Farm, long_chain: Chain, path: Path
) -> None:
    """At each COMMIT it still says what was said before; when the write returns, it is there."""
    with opened(path, farm) as journal:
        marks: list[int] = []
        journal._db.set_trace_callback(
            lambda statement: marks.append(_newest(path)) if statement == "COMMIT" else None
        )
        journal.begin(b"1" * 32)
        for count, entry in enumerate(long_chain.entries[:5], 3):
            journal.append([EntryRecord(entry)])
            assert _newest(path) == count
        journal.keep("x", b"y")
        assert marks == [1, 2, 3, 4, 5, 6, 7]
        assert _newest(path) == 8


def _newest(path: Path) -> int:
    data = mark_of(path).read_bytes()
    return max(_commits(data, 0), _commits(data, BLOCK_BYTES))


def test_a_mark_of_another_version_is_refused(farm: Farm, path: Path) -> None:
    with_starts = b"%020d\n" % 7
    without_epochs = struct.pack(">4Q", 1, 2, 0, 2) + bytes(32)
    without_epochs += sha256(b"\x02" + without_epochs).digest()
    for mark in (with_starts, without_epochs, bytes(BLOCK_BYTES + SECTOR_BYTES) + without_epochs):
        mark_of(path).write_bytes(mark)
        refused_untouched(path, farm, "is of an older version")


@pytest.mark.parametrize("change", ["removed", "renamed", "replaced", "cut"])
@pytest.mark.parametrize("suffix", ["", "-wal", ".started"])
def test_files_that_are_taken_away_while_it_is_open(
    farm: Farm, long_chain: Chain, path: Path, change: str, suffix: str
) -> None:
    file = {"": path, "-wal": wal_of(path), ".started": mark_of(path)}[suffix]
    with opened(path, farm) as journal:
        journal.append([EntryRecord(long_chain.entries[0])])
        journal.check_presence()
        match change:
            case "removed":
                file.unlink()
            case "renamed":
                file.rename(path.parent / "elsewhere")
            case "cut":
                os.truncate(file, 100)
            case _:
                content = file.read_bytes()
                file.unlink()
                file.write_bytes(content)
        with pytest.raises(JournalError, match="while this member ran"):
            journal.check_presence()
        with pytest.raises(JournalError):
            journal.append([EntryRecord(long_chain.entries[1])])


def test_an_append_to_a_file_without_a_name_is_not_acknowledged(
    farm: Farm, long_chain: Chain, path: Path
) -> None:
    """Nobody looked before it: it looks itself."""
    with opened(path, farm) as journal:
        path.unlink()
        with pytest.raises(JournalError, match="removed, renamed or replaced"):
            journal.append([EntryRecord(long_chain.entries[0])])


def test_looking_at_a_killed_members_journal_does_no_harm(
    farm: Farm, path: Path, killed: dict[str, bytes]
) -> None:
    """SQLite's own tools move the WAL into the file and delete it."""
    for name in ("journal.sqlite", "journal.sqlite-wal", "journal.started"):
        (path.parent / name).write_bytes(killed[name])
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM entries").fetchone() == (2,)
    db.close()
    assert not path.with_name("journal.sqlite-wal").exists()
    with opened(path, farm) as journal:
        assert len(journal.replay().state.entries) == 2
