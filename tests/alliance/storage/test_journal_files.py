"""What stands in the files before SQLite opens them: what it would drop without a word is refused."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from alliance.errors import JournalError
from alliance.storage.journal_files import HEADER_BYTES, PAGE_SIZE, Damaged, Wal, checksum, examine
from fab_paxos.effects import EntryRecord
from tests.alliance.farm import Chain, Farm
from tests.alliance.storage.test_journal import (
    expected,
    full,
    long_script,
    mark_of,
    opened,
    refused_untouched,
    replayed,
    same,
    wal_of,
)
from tests.worlds.journals import Files

FRAME_BYTES = 24 + PAGE_SIZE


@dataclass(frozen=True)
class Killed:
    """What a killed member leaves, and where in its WAL each transaction ends."""

    main: bytes
    wal: bytes
    mark: bytes
    ends: tuple[int, ...]
    beside: Files

    def put(self, path: Path, wal: bytes | None = None, main: bytes | None = None) -> None:
        path.parent.mkdir(exist_ok=True)
        for old in path.parent.iterdir():
            old.unlink()
        log = self.wal if wal is None else wal
        replace(self.beside, main=self.main if main is None else main, log=log, mark=self.mark).put(path)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    return tmp_path / "victim" / "journal.sqlite"


@pytest.fixture(scope="module")
def killed(farm: Farm, long_chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Killed after the long script, which all is in the WAL."""
    path = tmp_path_factory.mktemp("killed") / "journal.sqlite"
    with opened(path, farm) as journal:
        ends = [wal_of(path).stat().st_size]
        for append in long_script(long_chain):
            journal.append(append)
            ends.append(wal_of(path).stat().st_size)
        left = Files.of(path)
        return Killed(left.main or b"", left.log or b"", left.mark or b"", tuple(ends), left)


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


# -- against SQLite ----------------------------------------------------------------------------------


def recovered(path: Path) -> int:
    """How many frames SQLite takes from the WAL."""
    db = sqlite3.connect(path)
    try:
        frames: int = db.execute("PRAGMA wal_checkpoint").fetchone()[1]
        return frames
    finally:
        db.close()


@pytest.mark.parametrize("seed", range(40))
def test_what_is_not_refused_is_read_as_sqlite_reads_it(killed: Killed, victim: Path, seed: int) -> None:
    """Its recovery is the oracle, whatever was done to the WAL."""
    dice = Random(seed)
    wal = bytearray(killed.wal)
    for _ in range(dice.choice((0, 1, 1, 3))):
        at = dice.choice((dice.randrange(len(wal)), len(wal) - 1 - dice.randrange(3 * FRAME_BYTES)))
        wal[at] ^= 1 << dice.randrange(8)
    if dice.random() < 0.5:
        del wal[dice.randrange(len(wal)) :]
    killed.put(victim, bytes(wal))
    try:
        found = examine(victim, wal_of(victim))
    except Damaged:
        return
    assert max(recovered(victim), 0) == found.frames


def test_the_count_is_that_of_the_last_commit(killed: Killed, victim: Path) -> None:
    for number, end in enumerate(killed.ends, 1):
        killed.put(victim, killed.wal[:end])
        assert examine(victim, wal_of(victim)).commits == number
        killed.put(victim, killed.wal[: end - 1])
        assert examine(victim, wal_of(victim)).commits == number - 1


def test_checksums_of_the_other_byte_order(killed: Killed, victim: Path) -> None:
    """A machine that writes its words from the other end: SQLite reads such files everywhere."""

    def words(data: bytes) -> list[tuple[int, int]]:
        return list(struct.iter_unpack(">2I", data))

    wal = bytearray(killed.wal)
    wal[:4] = (0x377F0683).to_bytes(4)
    seed = checksum((0, 0), words(wal[:24]))
    wal[24:32] = struct.pack(">2I", *seed)
    for at in range(HEADER_BYTES, len(wal), FRAME_BYTES):
        seed = checksum(seed, words(wal[at : at + 8] + wal[at + 24 : at + FRAME_BYTES]))
        wal[at + 16 : at + 24] = struct.pack(">2I", *seed)
    killed.put(victim, bytes(wal))
    found = examine(victim, wal_of(victim))
    assert found.frames == (len(wal) - HEADER_BYTES) // FRAME_BYTES == recovered(victim)
    killed.put(victim, flipped(wal, 5 * FRAME_BYTES))
    with pytest.raises(Damaged, match="frame 5 of the WAL is damaged"):
        examine(victim, wal_of(victim))


def test_long_wals_are_read_in_pieces(tmp_path: Path) -> None:
    """More frames than one piece holds, stale ones behind: a WAL that was begun anew after it had grown."""
    path = tmp_path / "long.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=OFF", "wal_autocheckpoint=0"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE meta (key INTEGER PRIMARY KEY, value BLOB, seal BLOB)")
    for row in range(60):
        db.execute("INSERT INTO meta VALUES (?, zeroblob(100000), x'')", (row,))
    data = bytearray(wal_of(path).read_bytes())
    frames = (len(data) - HEADER_BYTES) // FRAME_BYTES
    assert frames > 1200
    assert examine(path, wal_of(path)).frames == frames
    twin = tmp_path / "twin-wal"
    for frame in (1023, 1024, 1025, 1150):
        twin.write_bytes(flipped(data, HEADER_BYTES + (frame - 1) * FRAME_BYTES + 2000))
        with pytest.raises(Damaged, match=f"frame {frame} of the WAL is damaged"):
            examine(path, twin)
    db.execute("PRAGMA wal_checkpoint")
    db.execute("INSERT INTO meta VALUES (99, x'01', x'')")  # the same file, new salts in front
    assert wal_of(path).stat().st_size == len(data)
    assert 0 < examine(path, wal_of(path)).frames < 5
    db.close()


def test_several_bad_frames_do_not_hide_each_other(killed: Killed, victim: Path) -> None:
    """All are summed up together: whatever two of them change, and wherever."""
    dice = Random(3)
    for _ in range(40):
        wal = bytearray(killed.wal)
        first, second = sorted(dice.sample(range((len(wal) - HEADER_BYTES) // FRAME_BYTES - 12), 2))
        places = [HEADER_BYTES + frame * FRAME_BYTES + 24 for frame in (first, second)]
        a, b = (slice(place, place + PAGE_SIZE) for place in places)
        wal[a], wal[b] = wal[b], wal[a]
        if wal == killed.wal:
            continue
        killed.put(victim, bytes(wal))
        with pytest.raises(Damaged, match=f"frame {first + 1} of the WAL is damaged"):
            examine(victim, wal_of(victim))


# -- torn, or damaged --------------------------------------------------------------------------------

FIELDS = {
    "the page's number": range(4),
    "the commit mark": range(4, 8),
    "the first salt": range(8, 12),
    "the second salt": range(12, 16),
    "the first checksum": range(16, 20),
    "the second checksum": range(20, 24),
    "the page": range(24, FRAME_BYTES, 571),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_bit_in_any_field_of_any_frame(farm: Farm, killed: Killed, victim: Path, field: str) -> None:
    """A journal that is not as it was is refused, in the last transaction, too, and nothing is touched."""
    dice = Random(field)
    frames = range((len(killed.wal) - HEADER_BYTES) // FRAME_BYTES)
    for frame in [*dice.sample(frames, 6), frames[-1]]:
        at = HEADER_BYTES + frame * FRAME_BYTES + dice.choice(FIELDS[field])
        killed.put(victim, flipped(killed.wal, at, dice.randrange(8)))
        refused_untouched(victim, farm, "is damaged|missing or cut")


@pytest.mark.parametrize("at", range(HEADER_BYTES))
def test_a_bit_in_the_header_of_the_wal(farm: Farm, killed: Killed, victim: Path, at: int) -> None:
    killed.put(victim, flipped(killed.wal, at, at % 8))
    refused_untouched(victim, farm, "the WAL's header is damaged, and frames stand behind it")


def test_the_last_transaction_is_torn_and_an_earlier_one_is_damaged(killed: Killed, victim: Path) -> None:
    """Without the mark's help: the same flip in the last transaction is what lost power may leave."""
    *_, before, end = killed.ends
    for at in range(before, end, 997):
        killed.put(victim, flipped(killed.wal, at))
        assert examine(victim, wal_of(victim)).commits == len(killed.ends) - 1
    for at in range(HEADER_BYTES, before, 7919):
        killed.put(victim, flipped(killed.wal, at))
        with pytest.raises(Damaged):
            examine(victim, wal_of(victim))


def test_a_refusal_says_what_to_do(farm: Farm, killed: Killed, victim: Path) -> None:
    killed.put(victim, flipped(killed.wal, 3 * FRAME_BYTES))
    with pytest.raises(JournalError) as caught:
        replayed(victim, farm)
    said = str(caught.value)
    assert "is damaged: frame 3 of the WAL is damaged" in said
    assert "must not vote on it: put the newest files back" in said
    assert "\n" not in said


def test_files_removed_or_exchanged(farm: Farm, long_chain: Chain, killed: Killed, victim: Path) -> None:
    assert same(replayed(_put(killed, victim), farm), expected(long_script(long_chain), long_chain))
    for file in (victim, wal_of(victim), mark_of(victim)):
        _put(killed, victim)
        file.unlink()
        refused_untouched(victim, farm, "is gone|is missing or cut|in neither file")
    for file in (victim, wal_of(victim), mark_of(victim)):
        _put(killed, victim)
        file.write_bytes(b"")
        refused_untouched(victim, farm, "is gone|is missing or cut|in neither file|started is damaged")


def _put(killed: Killed, victim: Path) -> Path:
    killed.put(victim)
    return victim


# -- the main file -----------------------------------------------------------------------------------


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "it is longer": lambda data: data + bytes(PAGE_SIZE),
    "it is longer by a part of a page": lambda data: data + b"x",
    "it has lost its last page": lambda data: data[:-PAGE_SIZE],
    "it has lost its last byte": lambda data: data[:-1],
    "it counts other pages": lambda data: flipped(data, 31),
    "its magic is another": lambda data: flipped(data, 3),
    "its page size is another": lambda data: flipped(data, 16),
    "it begins with nothing": lambda data: bytes(100) + data[100:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_main_file_that_does_not_fit(
    farm: Farm, long_chain: Chain, tmp_path: Path, victim: Path, change: str
) -> None:
    path = tmp_path / "journal.sqlite"
    full(path, farm, long_chain)
    victim.parent.mkdir()
    victim.write_bytes(CHANGES[change](path.read_bytes()))
    shutil.copy(mark_of(path), mark_of(victim))
    refused_untouched(victim, farm, "is damaged: ")


def test_a_move_into_the_main_file_that_was_cut_short(
    farm: Farm, long_chain: Chain, tmp_path: Path, victim: Path
) -> None:
    """The WAL has all of it still, so any part of it may be missing, the first page, too."""
    path = tmp_path / "journal.sqlite"
    with opened(path, farm) as journal:
        journal.append([EntryRecord(entry) for entry in long_chain.entries])
        wal, mark, before = wal_of(path).read_bytes(), mark_of(path).read_bytes(), path.read_bytes()
        journal._db.execute("PRAGMA wal_checkpoint")
        after = path.read_bytes()
        twin = len(journal.replay().state.entries)
    assert len(after) > len(before)
    killed = Killed(before, wal, mark, (), Files(None, None, None))
    for cut in (0, 1, 100, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, len(after) - 1, len(after)):
        killed.put(victim, main=after[:cut] + before[cut:])
        if cut or before:
            assert len(replayed(victim, farm).entries) == twin


def test_nothing_is_read_of_files_that_are_not_there(tmp_path: Path) -> None:
    assert examine(tmp_path / "a", tmp_path / "a-wal") == Wal()
    for content in (b"", bytes(31), bytes(5000)):  # a new file whose header did not arrive
        (tmp_path / "a-wal").write_bytes(content)
        assert examine(tmp_path / "a", tmp_path / "a-wal") == Wal()
    (tmp_path / "a-wal").write_bytes(bytes(4000) + b"x")
    with pytest.raises(Damaged, match="header"):
        examine(tmp_path / "a", tmp_path / "a-wal")
