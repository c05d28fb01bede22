"""A journal is one member's, one process's at a time, and never quietly a new one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from alliance.errors import JournalError
from alliance.journal import Journal
from fab_paxos.effects import EntryRecord
from tests.alliance.farm import MEMBERS, Chain, Farm
from tests.alliance.test_journal import ME, opened


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


def test_a_second_opener_is_refused(farm: Farm, path: Path) -> None:
    with opened(path, farm), pytest.raises(JournalError, match="already running"):
        Journal(path, farm.config.alliance_id, ME)
    with opened(path, farm):
        pass


def test_what_is_no_journal_is_refused(farm: Farm, path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"The journal was eaten by the dog. " * 200)
    with pytest.raises(JournalError, match="damaged"):
        Journal(path, farm.config.alliance_id, ME)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "no such folder" / "journal.sqlite", farm.config.alliance_id, ME)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path, farm.config.alliance_id, ME)


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
        with pytest.raises(JournalError, match=r"is gone|are gone"):
            Journal(path, farm.config.alliance_id, ME)
