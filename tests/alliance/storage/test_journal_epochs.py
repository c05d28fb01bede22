"""Entering an epoch is one write: a member is in the old one or in the new one, and speaks in no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from alliance.errors import JournalError
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.storage.journal_check import JournalCheck
from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from alliance.storage.journal_over import declare_over
from alliance.storage.journal_records import DAMAGE, Position, in_epoch
from fab_paxos.effects import EntryRecord, NewViewRecord, ProgressRecord, ProvenRecord, Record, ViewRecord
from quorum import AcceptedStatement, Context, InvalidStatement, MembershipStatement, QuorumCertificate
from tests.alliance.farm import Chain, Farm
from tests.alliance.storage.test_journal import (
    FailingDisk,
    Memory,
    mark_of,
    new_mark,
    opened,
    openings,
    refused_untouched,
    wal_of,
)
from tests.worlds.journals import Files, torn
from verifiable_log.ordering_state import Checkpoint

END = 6
CONFIG = b"who takes part in epoch 1"
TEARS = 24


@dataclass(frozen=True)
class Append:
    records: list[Record | EpochRecord]
    notes: dict[str, bytes]


@dataclass(frozen=True)
class Seen:
    """What a member goes on from when it starts."""

    memory: Memory
    epoch: int
    furthest: tuple[int, int]
    membership: EpochMembership | None
    certificate: QuorumCertificate | None
    heard: dict[str, bytes]

    @classmethod
    def of(cls, journal: Journal) -> Seen:
        replayed = journal.replay()
        heard = {key: journal.kept(key) or b"" for key in NOTES}
        return cls(
            Memory.of(replayed),
            journal.epoch,
            journal.furthest,
            journal.membership,
            replayed.certificate,
            {key: value for key, value in heard.items() if value},
        )


NOTES = [in_epoch("vote of member 2", epoch) for epoch in range(4)]


def membership(chain: Chain, slot: int = END, epoch: int = 1, **changed: Any) -> EpochMembership:
    """That of an epoch which begins behind ``slot``, as the members of the one before have certified it."""
    snapshot = chain.snapshot(slot)
    digest = sha256(b"\x06" + CONFIG).digest()
    parts = snapshot.frontier.root, snapshot.statement.state_digest
    statement = replace(MembershipStatement(epoch, 0, slot, *parts, digest), **changed)
    return EpochMembership(CONFIG, chain.farm.certify(statement, in_context(chain, epoch - 1)))


def in_context(chain: Chain, epoch: int) -> Context:
    return replace(chain.farm.config.context, epoch=epoch)


def decision(chain: Chain, slot: int, epoch: int) -> QuorumCertificate:
    return chain.farm.certify(AcceptedStatement(0, slot, chain.root(slot)), in_context(chain, epoch))


def entering_record(chain: Chain) -> EpochRecord:
    """Of a member that has all of the epoch before."""
    begins = membership(chain)
    checkpoint = Checkpoint(chain.snapshot(END), begins.certificate)
    return EpochRecord(begins, checkpoint, chain.certificate(END))


@pytest.fixture(scope="session")
def entering(long_chain: Chain) -> EpochRecord:
    return entering_record(long_chain)


@pytest.fixture(scope="session")
def script(long_chain: Chain, entering: EpochRecord) -> list[Append]:
    entries = [EntryRecord(entry) for entry in long_chain.entries]
    return [
        Append([*entries[: END - 1], ProvenRecord(2, long_chain.certificate(4))], {NOTES[0]: b"first"}),
        Append([ViewRecord(3, long_chain.election(2)), NewViewRecord(3, b"n" * 32)], {}),
        Append([ProgressRecord((openings(long_chain)[0],)), entries[END - 1]], {NOTES[0]: b"second"}),
        Append([ProvenRecord(END, long_chain.certificate(END))], {}),
        Append([entering], {}),
        Append(entries[END : END + 2], {NOTES[1]: b"third"}),
        Append([ProvenRecord(END + 1, decision(long_chain, END + 2, 1))], {}),
        Append([ProvenRecord(END + 2, decision(long_chain, END + 2, 1))], {}),
    ]


ENTERS = 4
"""The place of the record in the script."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def seen(path: Path, farm: Farm) -> Seen:
    with opened(path, farm) as journal:
        return Seen.of(journal)


def told(path: Path, farm: Farm, script: list[Append]) -> list[Seen]:
    """What a restart sees before the script, and after each of its appends."""
    found = []
    for append in [None, *script]:
        with opened(path, farm) as journal:
            if append is not None:
                journal.append(append.records, append.notes)
        found.append(seen(path, farm))
    return found


def test_an_epoch_begins_with_nothing_said(
    farm: Farm, long_chain: Chain, path: Path, script: list[Append], entering: EpochRecord
) -> None:
    """View, fence and words of the epoch before are void; the log and the state go on."""
    *_, before, begun, after, beyond, settled = told(path, farm, script)
    assert (before.epoch, before.furthest, before.membership) == (0, (3, 0), None)
    assert (before.memory.view, before.heard) == (3, {NOTES[0]: b"second"})
    assert (begun.epoch, begun.furthest, begun.heard) == (1, (0, 0), {})
    assert begun.membership == entering.membership
    assert begun.memory == replace(
        before.memory,
        view=0,
        election=None,
        new_view_digest=None,
        openings=(),
        certificate=None,
        snapshot=long_chain.snapshot(END),
    )
    assert begun.memory.root == long_chain.root(END)
    assert begun.certificate == long_chain.certificate(END)  # it proves the log, and is no base of epoch 1
    assert (after.furthest, after.heard) == ((0, END + 2), {NOTES[1]: b"third"})
    assert beyond.certificate == long_chain.certificate(END)
    assert beyond.memory.beyond == settled.certificate == settled.memory.certificate
    assert settled.memory.proven == END + 2


def test_the_log_is_told_across_the_end(
    farm: Farm, long_chain: Chain, path: Path, script: list[Append]
) -> None:
    for count, certified in ((ENTERS + 1, (END, 0)), (len(script), (END + 2, 1))):
        with opened(path.with_name(f"{count}.sqlite"), farm) as journal:
            for append in script[:count]:
                journal.append(append.records, append.notes)
        with opened(path.with_name(f"{count}.sqlite"), farm) as journal:
            replayed = journal.replay()
            history = History(journal, replayed.log, replayed.certificate)
            frame = history.frame(1)
            assert (len(frame.batches), frame.certificate.epoch) == certified
            assert frame.cover == ()
            check = JournalCheck(journal, history)
            check.portion()
            assert (check.passed or (0,))[0] == certified[0]


# -- crashes -----------------------------------------------------------------------------------------


def test_epoch_kill_at_every_point_of_the_write(
    farm: Farm, path: Path, tmp_path: Path, script: list[Append]
) -> None:
    """The WAL is cut anywhere: the member is in the epoch that it was in, or in the next one, whole.

    If the mark knows more than is left, a disk was set back to the epoch before: nothing is said with it.
    """
    (tmp_path / "clean").mkdir()
    states = told(tmp_path / "clean" / "journal.sqlite", farm, script)
    wal, mark = wal_of(path), mark_of(path)
    written = [(0, new_mark(tmp_path, farm))]  # sizes of the WAL, and the marks that were written behind them
    with opened(path, farm) as journal:
        written.append((wal.stat().st_size, mark.read_bytes()))
        for append in script:
            journal.append(append.records, append.notes)
            written.append((wal.stat().st_size, mark.read_bytes()))
        whole = Files.of(path)
        log = whole.log or b""
    begin, end = written[ENTERS + 1][0], written[ENTERS + 2][0]
    cuts = {size + step for size, _ in written for step in (-1, 0, 1)}
    cuts |= set(range(begin, end, 1024)) | {end - 4096, end - 24, end + 24}
    victim = tmp_path / "copy" / "journal.sqlite"
    victim.parent.mkdir()
    for cut in sorted(cut for cut in cuts if 0 <= cut <= len(log)):
        known = sum(size <= cut for size, _ in written) - 1
        replace(whole, log=log[:cut], mark=written[known][1]).put(victim)
        assert seen(victim, farm) == states[max(known - 1, 0)], f"cut at {cut}"
        if known + 1 < len(written):
            replace(whole, log=log[:cut], mark=written[known + 1][1]).put(victim)
            refused_untouched(victim, farm, "is missing or cut|tables are gone")


@pytest.mark.parametrize("pages", [4000, 1], ids=["in the log", "moved to the file"])
def test_epoch_lost_power_within_the_write(
    farm: Farm, path: Path, tmp_path: Path, script: list[Append], pages: int
) -> None:
    """Any mixture of old and new sectors: it is entered or not, and can be entered again."""
    with opened(path, farm) as journal:
        journal._db.execute(f"PRAGMA wal_autocheckpoint={pages}")
        for append in script[:ENTERS]:
            journal.append(append.records, append.notes)
        before, there = Files.of(path), Seen.of(journal)
        journal.append(script[ENTERS].records)
        after, begun = Files.of(path), Seen.of(journal)
    victim = tmp_path / "copy" / "journal.sqlite"
    victim.parent.mkdir()
    dice, outcomes = Random(15), set()
    for files in (*(torn(before, after, dice) for _ in range(TEARS)), replace(after, mark=before.mark)):
        files.put(victim)
        with opened(victim, farm) as journal:
            found = Seen.of(journal)
            assert found in (there, begun)
            outcomes.add(found.epoch)
            if found == there:
                journal.append(script[ENTERS].records)
                assert Seen.of(journal) == begun
    assert outcomes == {0, 1}


def test_epoch_an_error_at_any_statement_is_the_last_thing_that_happens(
    farm: Farm, tmp_path: Path, script: list[Append]
) -> None:
    failures = 0
    while True:
        victim = tmp_path / f"{failures}.sqlite"
        with opened(victim, farm) as journal:
            for append in script[:ENTERS]:
                journal.append(append.records, append.notes)
            there = Seen.of(journal)
            disk: Any = FailingDisk(journal._db, failures)
            journal._db = disk
            try:
                journal.append(script[ENTERS].records)
            except JournalError:
                failures += 1
            else:
                break
            with pytest.raises(JournalError, match="stops before it says anything"):
                journal.append(script[0].records)
        assert seen(victim, farm) == there
    assert failures >= 8


# -- which epoch follows -----------------------------------------------------------------------------


@pytest.mark.parametrize(("slot", "decided"), [(9, 9), (9, 11), (12, 12), (12, 15)])
def test_epoch_member_sleeps_two(
    farm: Farm, long_chain: Chain, path: Path, script: list[Append], slot: int, decided: int
) -> None:
    """It is brought up to the start of the newest epoch, or to a checkpoint within it; the log below is not
    here."""
    begins = membership(long_chain, 9, epoch=3)
    snapshot = long_chain.snapshot(slot)
    certificate = begins.certificate
    if slot > 9:
        certificate = farm.certify(snapshot.statement, in_context(long_chain, 3))
    newest = decision(long_chain, decided, 2 if decided == 9 else 3)
    with opened(path, farm) as journal:
        for append in script[:2]:
            journal.append(append.records, append.notes)
        journal.append([EpochRecord(begins, Checkpoint(snapshot, certificate), newest)])
    found = seen(path, farm)
    assert (found.epoch, found.furthest, found.membership, found.heard) == (3, (0, 0), begins, {})
    assert (found.memory.proven, found.memory.pruned, found.memory.entries) == (slot, slot, ())
    assert found.memory.snapshot == snapshot
    assert found.memory.beyond == (newest if decided > slot else None)
    assert found.certificate == (newest if decided == slot else None)
    assert found.memory.certificate == (newest if decided == slot != 9 else None)


def test_an_epoch_does_not_begin_again_nor_go_back(
    farm: Farm, long_chain: Chain, path: Path, script: list[Append], entering: EpochRecord
) -> None:
    for position in (Position(proven=END, last=END, epoch=1), Position(proven=END + 1, last=END + 1)):
        with pytest.raises(ValueError, match="epoch 1 at slot 6 does not follow upon epoch"):
            entering.enter(position)
    with opened(path, farm) as journal:
        for append in script[: ENTERS + 1]:
            journal.append(append.records, append.notes)
        with pytest.raises(ValueError, match="does not follow"):
            journal.append([entering])
        with pytest.raises(JournalError):
            journal.append(script[ENTERS + 1].records)
    assert seen(path, farm).epoch == 1


def test_what_was_accepted_behind_the_end_and_never_certified_is_forgotten(
    farm: Farm, long_chain: Chain, path: Path, entering: EpochRecord
) -> None:
    """As where an act of recovery ends an epoch: the member goes on from the end, and says nothing of it."""
    with opened(path, farm) as journal:
        journal.append([EntryRecord(entry) for entry in long_chain.entries[: END + 2]])
        journal.append([ProvenRecord(END, long_chain.certificate(END)), entering])
    found = seen(path, farm)
    assert (found.epoch, found.furthest, found.memory.proven, found.memory.entries) == (1, (0, 0), END, ())


def test_an_epoch_that_is_over_by_an_act_is_not_started_in_again_and_the_next_one_is(
    farm: Farm, long_chain: Chain, path: Path, entering: EpochRecord
) -> None:
    with opened(path, farm) as journal:
        journal.append([EntryRecord(entry) for entry in long_chain.entries[:END]])
        journal.append([ProvenRecord(END, long_chain.certificate(END))])
        for _ in range(2):
            declare_over(journal, b"a" * 32)
        with pytest.raises(JournalError, match="is over by another act"):
            declare_over(journal, b"b" * 32)
    with opened(path, farm) as journal, pytest.raises(JournalError, match="alliance recover finish"):
        journal.begin(bytes(32))
    with opened(path, farm) as journal:
        journal.append([entering])
        assert journal.begin(bytes(32)) == 1


def altered(chain: Chain, entering: EpochRecord) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is no beginning of epoch 1, part by part."""
    other = Chain(chain.farm).grow(END, first_seq=50)
    small, good = chain.checkpoint(END - 1), entering.membership
    yield "another state", {"membership": membership(chain, state_digest=b"s" * 32)}
    yield "another log", {"membership": membership(chain, root=b"r" * 32)}
    yield "of another slot", {"checkpoint": small}
    yield "of another chain", {"checkpoint": other.checkpoint(END)}
    yield "decided in a third epoch", {"decision": decision(chain, END, 2)}
    yield "decided beyond the end", {"decision": chain.certificate(END + 1)}
    yield "decided before the end", {"decision": chain.certificate(END - 1)}
    yield "another log decided", {"decision": other.certificate(END)}
    yield "no decision", {"decision": good.certificate}
    later = chain.checkpoint(END + 2)
    yield "later in the old epoch", {"checkpoint": later, "decision": chain.certificate(END + 2)}


def fits(entering: EpochRecord, change: dict[str, Any]) -> bool:
    try:
        replace(entering, **change)
    except ValueError:
        return False
    return True


def test_parts_that_do_not_belong_together_are_no_beginning(long_chain: Chain, entering: EpochRecord) -> None:
    accepted = [name for name, change in altered(long_chain, entering) if fits(entering, change)]
    assert accepted == []
    assert fits(entering, {})


def test_a_membership_is_that_of_its_certificate(long_chain: Chain, entering: EpochRecord) -> None:
    """Its encoding is frozen: ``length u32 | config | certificate``."""
    good = entering.membership
    assert (good.epoch, good.start) == (1, END)
    assert good.pack().hex() == "00000019" + CONFIG.hex() + good.certificate.encode().hex()
    assert EpochMembership.unpack(good.pack()) == good
    for at in range(len(good.pack()) - len(good.certificate.signature)):
        with pytest.raises(DAMAGE):
            EpochMembership.unpack(good.pack()[:at])
    with pytest.raises(ValueError, match="another membership"):
        replace(good, config=CONFIG + b"x")
    with pytest.raises(ValueError, match="not one of its membership"):
        replace(good, certificate=long_chain.certificate(END))
    revision = MembershipStatement(0, 1, END, b"r" * 32, bytes(32), good.statement.config_digest)
    with pytest.raises(ValueError, match="not one of its membership"):
        EpochMembership(CONFIG, long_chain.farm.certify(revision))
    assert issubclass(InvalidStatement, ValueError)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE meta SET value = substr(value, 1, 40) WHERE key = 'epoch'", "'epoch' was altered"),
        ("UPDATE meta SET value = zeroblob(64) WHERE key = 'position'", "'position' was altered"),
    ],
)
def test_a_damaged_membership_is_refused(
    farm: Farm, path: Path, script: list[Append], damage: str, says: str
) -> None:
    with opened(path, farm) as journal:
        for append in script[: ENTERS + 1]:
            journal.append(append.records, append.notes)
    db = sqlite3.connect(path)
    db.execute(damage)
    db.commit()
    db.close()
    with pytest.raises(JournalError, match=says):
        seen(path, farm)
