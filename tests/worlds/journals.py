"""The real journal, on a disk that loses power: the model in ``tests.worlds.disk`` is its oracle.

SQLite promises: what a COMMIT covers is in the write-ahead log and synced before it returns; pages move to
the main file later, and only from a synced log. So a crash within an append leaves any mixture of the old
log and the new one, sector by sector, cut anywhere; and if the append moved pages, any mixture of the old
and the new main file, with the whole new log beside it. The mark is written afterwards. Such files are made
here, and the journal must come back from them with everything that it acknowledged, and the torn append whole
or not at all. From files that something else altered it comes back as it was, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from alliance.errors import JournalError
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EpochRecord
from alliance.storage.journal_records import SESSION_BYTES, Position
from fab_paxos import RestoredState
from fab_paxos.control import Control
from fab_paxos.effects import Record
from quorum import QuorumCertificate
from tests.worlds.disk import Disk
from tests.worlds.member import Crash
from tests.worlds.require import require
from verifiable_log import Entry
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame
from verifiable_log.ordering_state import Checkpoint

ALLIANCE_ID = b"\x07" * 32
SECTOR = 512
LOG_HEADER_BYTES = 32
CHECKPOINT_PAGES = 8
"""Small, so that short runs move pages into the main file, too."""


@dataclass(frozen=True)
class Files:
    """The main file, the write-ahead log, and beside them the mark, and the checkpoints' file with its own
    log; None: it is gone."""

    main: bytes | None
    log: bytes | None
    mark: bytes | None
    states: bytes | None = None
    states_log: bytes | None = None

    @classmethod
    def of(cls, path: Path) -> Files:
        return cls(*(file.read_bytes() if file.exists() else None for file in files_of(path)))

    def put(self, path: Path) -> None:
        for file, content in zip(files_of(path), astuple(self), strict=True):
            file.unlink(missing_ok=True)
            if content is not None:
                file.write_bytes(content)


class JournalDisk(Disk):
    """Everything twice: in the model, and in a journal in ``folder``, which it has for itself."""

    def __init__(
        self, folder: Path, me: int, dice: Random, founded: Control | None = None, epoch: int = 0
    ) -> None:
        """``epoch`` is that of the world's certificates: in another one they would be none."""
        super().__init__(founded)
        self._epoch = epoch
        self.tears = 0
        self.damaged = False
        self.path = folder / f"{me}.sqlite"
        self.name = f"member-{me + 1}"
        self._me = me
        self._dice = dice
        self._journal: Journal | None = None
        self._left: Files | None = None  # what the crash left, if it is not what is there
        self._torn: Callable[[], None] | None = None  # what the crash may have let happen, or not

    @property
    def journal(self) -> Journal:
        if self._journal is None:
            raise AssertionError(f"the journal of member {self._me} is closed")
        return self._journal

    def _open(self) -> RestoredState:
        journal = self._journal_of_its_own()
        if journal._position == Position() and self._epoch:
            journal._position = Position(epoch=self._epoch)
            journal.keep("position", journal._position.pack())
        try:
            replayed = journal.replay(self.founded)
            journal.begin(self._dice.randbytes(SESSION_BYTES))
        except JournalError:
            journal.close()
            raise
        self._journal = journal
        self._history = History(journal, replayed.log, replayed.certificate)
        return replayed.state

    def _journal_of_its_own(self) -> Journal:
        journal = Journal(self.path, ALLIANCE_ID, self.name)
        journal._db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return journal

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    # -- running -------------------------------------------------------------------------------------

    def write(self, records: Sequence[Record]) -> None:
        try:
            self.journal.append(records)
        except JournalError as error:
            require(self.damaged, f"a healthy journal cannot be written: {error}")
            raise Crash from None  # what the driver's contract demands: the process ends
        super().write(records)

    def tear(self, records: Sequence[Record]) -> None:
        self._tear(lambda: self.journal.append(records), lambda: super(JournalDisk, self).write(records))

    def save(self, checkpoint: Checkpoint) -> None:
        try:
            self.journal.save(checkpoint)
        except JournalError as error:
            require(self.damaged, f"a healthy journal cannot save a checkpoint: {error}")
            raise Crash from None
        super().save(checkpoint)

    def tear_save(self, checkpoint: Checkpoint) -> None:
        self._tear(lambda: self.journal.save(checkpoint), lambda: None)

    def tear_prune(self, slot: int) -> None:
        self._tear(lambda: self._history.prune(slot), lambda: super(JournalDisk, self).prune(slot))

    def _tear(self, write: Callable[[], None], model: Callable[[], None]) -> None:
        before = Files.of(self.path)
        try:
            write()
        except JournalError:
            require(self.damaged, "a healthy journal cannot be written")
        self._left = torn(before, Files.of(self.path), self._dice)
        self._torn = model
        self.tears += 1

    def crash(self) -> None:
        if self._journal is not None:
            left = self._left or Files.of(self.path)
            self.close()
            left.put(self.path)
        self._left = None

    def decided(self, entry: Entry) -> None:
        self._history.decided(entry)

    def certified(self, certificate: QuorumCertificate) -> None:
        self._history.certified(certificate)

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        self._history.install_snapshot(checkpoint)

    def prune(self, slot: int) -> None:
        try:
            self._history.prune(slot)
        except JournalError as error:
            require(self.damaged, f"a healthy journal cannot be pruned: {error}")
            raise Crash from None
        super().prune(slot)

    def offer(self, checkpoint: Checkpoint) -> Offer:
        offer, written = self._history.offer(checkpoint), super().offer(checkpoint)
        # Within a turn a newer certificate may be written and not yet told; either proves the checkpoint.
        same = replace(written, certificate=offer.certificate, cover=offer.cover)
        require(offer == same, "the history offers another checkpoint")
        if offer.certificate == written.certificate:
            require(offer == written, "the history proves a checkpoint otherwise")
        return offer

    def frame(self, first_slot: int, slots_max: int) -> LogFrame:
        frame = self._history.frame(first_slot)
        batches = self.batches(first_slot, first_slot + len(frame.batches) - 1)
        require(frame.batches == batches, "the history is not what was written")
        return frame

    # -- from epoch to epoch -------------------------------------------------------------------------

    def tear_epoch(self, record: EpochRecord) -> bool:
        """Power fails while the member enters an epoch; whether it is in it when it comes back."""
        before = self._torn  # it may have been down already, by a crash in the middle of something else
        if self._journal is None:
            self._journal = self._journal_of_its_own()
        self._tear(lambda: self.journal.append([record]), lambda: None)
        self.crash()
        self._torn = before  # in this epoch nothing more has changed: that is what the model knows
        with closing(self._journal_of_its_own()) as journal:
            return journal.epoch == record.membership.epoch

    def begin_epoch(self, own: Disk | None, record: EpochRecord) -> None:
        super().begin_epoch(own, record)
        self.close()
        self._epoch = 0  # the journal itself says it from here on
        left = Files(None, None, None)
        if isinstance(own, JournalDisk):
            self.name, left = own.name, Files.of(own.path)
            if own._torn is not None:  # it has not started since: nobody knows yet what is durable
                self._torn = partial(self._after, own._torn, own, record)
        left.put(self.path)
        with closing(self._journal_of_its_own()) as journal:
            if journal.epoch != record.membership.epoch:
                journal.append([record])

    def _after(self, torn: Callable[[], None], own: Disk, record: EpochRecord) -> None:
        torn()
        super().begin_epoch(own, record)

    # -- coming back ---------------------------------------------------------------------------------

    def restore(self) -> RestoredState:
        """Raises JournalError when the journal refuses, which only a damaged one may."""
        try:
            state = self._open()
        except JournalError as error:
            require(self.damaged, f"the journal refuses what it wrote itself: {error}")
            raise
        torn, self._torn = self._torn, None
        if _same(state, super().restore()):
            return state
        if torn is not None:  # it may have become durable before power failed, only nobody was told
            torn()
            if _same(state, super().restore()):
                return state
        raise AssertionError("the journal came back with another state than it acknowledged")

    # -- by hand -------------------------------------------------------------------------------------

    def model_only(self, records: Sequence[Record]) -> None:
        """These were written and acknowledged: the files will come."""
        super().write(records)

    def left_with(self, files: Files, torn_records: Sequence[Record]) -> None:
        """A crash while ``torn_records`` were written left these files."""
        files.put(self.path)
        self._torn = lambda: super(JournalDisk, self).write(torn_records)

    # -- damage --------------------------------------------------------------------------------------

    def flip(self, bits: int) -> None:
        """After a crash: so many bits of the files change."""
        self.damaged = True
        files = Files.of(self.path)
        main, log, mark = (bytearray(content or b"") for content in (files.main, files.log, files.mark))
        for _ in range(bits):
            victim = self._dice.choice([file for file in (main, main, log, log, mark) if file])
            victim[self._dice.randrange(len(victim))] ^= 1 << self._dice.randrange(8)
        log_left = bytes(log) if files.log is not None else None
        replace(files, main=bytes(main), log=log_left, mark=bytes(mark)).put(self.path)


def torn(before: Files, after: Files, dice: Random) -> Files:
    """What a crash may leave between two states of the files, all of them synced.

    The state of a checkpoint is durable before the journal is written at all.
    """
    old, new = (before.main or b"", before.log or b""), (after.main or b"", after.log or b"")
    states = (before.states or b"", before.states_log or b"")
    later = (after.states or b"", after.states_log or b"")
    if states != later and (old == new or dice.random() < 0.5):
        return replace(before, **dict(zip(("states", "states_log"), _torn(states, later, dice), strict=True)))
    main, log = _torn(old, new, dice)
    return Files(main, log, before.mark, after.states, after.states_log)


def _torn(old: tuple[bytes, bytes], new: tuple[bytes, bytes], dice: Random) -> tuple[bytes, bytes]:
    """A database and its log, between two states of them."""
    (main, log), (later_main, later_log) = old, new
    if main != later_main and dice.random() < 0.5:
        return mixed(main, later_main, dice), later_log
    match dice.randrange(4):
        case 0:
            return main, _cut(log, later_log, dice)
        case 1:
            return main, mixed_log(log, later_log, dice)
        case 2:  # the file has grown, but not its content
            return main, log + bytes(max(len(later_log) - len(log), 0))
        case _:
            return later_main, later_log


def _cut(old: bytes, new: bytes, dice: Random) -> bytes:
    begin = differs(old, new)
    if begin < LOG_HEADER_BYTES <= len(old):  # it begins anew: its header is a part of one sector
        begin = LOG_HEADER_BYTES
    return cut_at(old, new, dice.randrange(begin, max(len(new), begin) + 1))


def differs(old: bytes, new: bytes) -> int:
    """Where the first byte was written."""
    return next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))


def cut_at(old: bytes, new: bytes, at: int) -> bytes:
    """Written from the front, up to some byte; behind it is what was there before."""
    return new[:at] + old[at:]


def mixed(old: bytes, new: bytes, dice: Random) -> bytes:
    """Each sector is the old or the new one: a disk writes in the order it likes."""
    made = bytearray()
    for at in range(0, max(len(old), len(new)), SECTOR):
        source = new if dice.random() < 0.5 else old
        made += source[at : at + SECTOR].ljust(min(SECTOR, max(len(old), len(new)) - at), b"\0")
    return bytes(made)


def mixed_log(old: bytes, new: bytes, dice: Random) -> bytes:
    """The same for the log. When it begins anew, SQLite syncs its header before it writes behind it."""
    return mixed(new[:LOG_HEADER_BYTES] + old[LOG_HEADER_BYTES:], new, dice)


def _same(state: RestoredState, other: RestoredState) -> bool:
    names = (
        "view", "election", "new_view_digest", "frontier", "certificate", "beyond", "entries",
        "checkpoint", "pruned", "muted_up_to", "control", "start",
    )  # fmt: skip
    return all(getattr(state, name) == getattr(other, name) for name in names)


def files_of(path: Path) -> tuple[Path, ...]:
    """Where the journal has its main file, its log, its mark, and its checkpoints with their log."""
    states = path.with_suffix(".checkpoints")
    return path, log_of(path), path.with_suffix(".started"), states, log_of(states)


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")
