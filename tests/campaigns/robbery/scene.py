"""An alliance whose members have said something and then died; and one of them comes back from other files.

The leader's and a follower's files are kept as a kill leaves them, and as lost power does: then the mark is
as old as its last sync. The other members have lost power in both cases, so that they know what they wrote
down and nothing else, and one of them lies: it shows nothing and welcomes everybody.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from alliance.errors import IdentityConflict, JournalError
from alliance.server.gate import Gate, Seal
from alliance.server.latest_statements import LatestStatements
from alliance.storage.journal import Journal
from alliance.storage.journal_marker import SYNCED_EVERY
from fab_paxos.effects import CheckpointRecord, EntryRecord, ProvenRecord, Record
from fab_paxos.messages import Accepted, Message, Propose
from tests.alliance.farm import Chain, Farm
from tests.alliance.server.test_incarnation import Member, meet
from tests.worlds.journals import Files
from verifiable_log.batch import Entry

REFUSED, STOPPED, HARMLESS, WRONG = "refused (4)", "stopped (7)", "no effect", "WRONG"
LEADER, FOLLOWER = 0, 3
CHECKPOINT_PAGES = 40
"""Small, so that most of what is said lies in the main file."""
ABSENT_MAX = 1


@dataclass(frozen=True)
class Shape:
    """A life: how many slots, after how many starts, and whether the log was pruned on the way."""

    slots: int
    starts: int = 1
    pruned: bool = False


SHAPES = {
    "young": Shape(3),
    "all in the WAL": Shape(8),
    "most in the main file": Shape(20),
    "restarted": Shape(14, starts=3),
    "pruned": Shape(18, pruned=True),
}


@dataclass
class Left:
    """What one member left: its files after each write, the mark that was synced last, and what it said."""

    me: int
    history: list[Files] = field(default_factory=list)
    synced: bytes = b""
    said: Said | None = None

    @property
    def files(self) -> Files:
        return self.history[-1]


class Living:
    """A member while it lives: it writes down what it says, and hears the others."""

    def __init__(self, farm: Farm, me: int, folder: Path) -> None:
        self._farm, self.me = farm, me
        self.path = folder / farm.config.members[me].name / "journal.sqlite"
        self.path.parent.mkdir(exist_ok=True)
        self._gate = Gate(farm.config)
        self.left = Left(me)
        self.start()

    def start(self) -> None:
        name = self._farm.config.members[self.me].name
        self.journal = Journal(self.path, self._farm.config.alliance_id, name)
        self.journal._db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        self.journal.replay()
        self.journal.begin(Random(f"{self.me} {self.journal.starts.newest}").randbytes(32))
        self._written(synced=True)

    def write(self, *records: Record) -> None:
        self.journal.append(records, self._gate.latest.take_news())
        self._written(synced=self.journal._commits % SYNCED_EVERY == 0)

    def _written(self, *, synced: bool) -> None:
        self.left.history.append(Files.of(self.path))
        if synced:
            self.left.synced = self.left.files.mark or b""

    def say(self, message: Message, others: list[Living]) -> None:
        sealed = Seal(self._farm.config, self.me, self._farm.members[self.me].signing_key).close(message)
        for other in others:
            if other is not self:
                other._gate.admit(self.me, sealed)


class Scene:
    """One life of all six, and its end."""

    def __init__(self, farm: Farm, chain: Chain, folder: Path, shape: Shape) -> None:
        self._farm, self._folder = farm, folder
        self._cases = 0
        folder.mkdir()
        living = [Living(farm, me, folder) for me in range(6)]
        for start in range(shape.starts):
            first, last = (shape.slots * at // shape.starts for at in (start, start + 1))
            for entry in chain.entries[first:last]:
                self._decide(chain, entry, living)
            if start + 1 < shape.starts:
                for member in living:
                    member.journal.close()
                    member.start()
        for member in living:
            if shape.pruned:
                member.write(CheckpointRecord(chain.checkpoint(16)))
                member.journal.prune(chain.frontiers[12])
            member.write(ProvenRecord(shape.slots, chain.certificate(shape.slots)))
        self.left = {member.me: member.left for member in living if member.me in (LEADER, FOLLOWER)}
        for member in living:
            member.journal.close()
        for left in self.left.values():
            left.said = self._said(left)

    def _decide(self, chain: Chain, entry: Entry, living: list[Living]) -> None:
        leader, *others = living
        leader.write(EntryRecord(entry))
        leader.say(Propose(entry.view, entry.slot, entry.batch, entry.root), living)
        for member in others:
            member.write(EntryRecord(entry))
        for member in others:
            member.say(Accepted(entry.view, entry.slot, entry.root), living)

    def _said(self, left: Left) -> Said:
        path = self._case(left.files)
        member = Member(self._farm, left.me, path.parent)
        try:
            return Said.of(member)
        finally:
            member.end()

    def _case(self, files: Files) -> Path:
        self._cases += 1
        path = self._folder / f"case {self._cases}" / "journal.sqlite"
        path.parent.mkdir()
        files.put(path)
        return path

    @contextmanager
    def others(self) -> Iterator[dict[int, Member]]:
        """The members beside these two, restarted after the power came back."""
        with ExitStack() as stack:
            members = {}
            for me in range(6):
                name = self._farm.config.members[me].name
                members[me] = Member(self._farm, me, self._folder / name)
                stack.callback(members[me].end)
            yield members

    async def judge(self, me: int, files: Files, others: dict[int, Member], dice: Random) -> str:
        """The member comes back from these files: what becomes of it."""
        left, path = self.left[me], self._case(files)
        try:
            verdict = await self._judge(left, path, others, dice)
            if verdict == REFUSED:
                again = await self._judge(left, path, others, dice)
                return REFUSED if again == REFUSED else f"{WRONG}: refused, and then {again}"
            return verdict
        finally:
            shutil.rmtree(path.parent)

    async def _judge(self, left: Left, path: Path, others: dict[int, Member], dice: Random) -> str:
        try:
            member = Member(self._farm, left.me, path.parent)
        except JournalError:
            return REFUSED
        try:
            now = Said.of(member)
            peers = dice.sample([peer for peer in others if peer != left.me], 5 - ABSENT_MAX)
            liar = dice.choice(peers)
            for peer in peers:
                if await self._meets(member, others[peer], lies=peer == liar):
                    return STOPPED
            if not member.settled:
                return f"{WRONG}: it neither votes nor stops"
            if left.said is None or not now.covers(left.said):
                return f"{WRONG}: it votes from another journal"
            return HARMLESS
        except JournalError:
            return REFUSED
        finally:
            member.end()

    async def _meets(self, member: Member, peer: Member, *, lies: bool) -> bool:
        """Whether the member stops. The peer does not remember the next one that comes with this start."""
        side, latest = peer.incarnation, peer.incarnation._latest
        held = side._held[member.index]
        if lies:
            side._held[member.index], side._latest = None, LatestStatements(6)
        try:
            mine, _ = await meet(member, peer)
        finally:
            side._held[member.index], side._latest = held, latest
        return isinstance(mine, IdentityConflict)


@dataclass(frozen=True)
class Said:
    """What binds a member: its position, and the batches that it accepted, by slot."""

    position: tuple[object, ...]
    pruned: int
    accepted: Mapping[int, bytes]

    @classmethod
    def of(cls, member: Member) -> Said:
        """Raises JournalError."""
        journal = member.journal
        state = journal.replay().state
        proven = range(state.pruned + 1, state.frontier.size + 1)
        batches = journal.batches(state.pruned + 1, state.frontier.size)
        accepted = {slot: batch.digest for slot, batch in zip(proven, batches, strict=True)}
        accepted |= {entry.slot: entry.batch.digest for entry in state.entries}
        position = (
            state.view, state.election, state.new_view_digest, state.muted_up_to,
            journal.furthest, journal.starts.newest,
        )  # fmt: skip
        return cls(position, state.pruned, accepted)

    def covers(self, other: Said) -> bool:
        """Whether nothing of the other is missing. That something is proven, or pruned, nobody was told."""
        slots = {slot: digest for slot, digest in self.accepted.items() if slot > other.pruned}
        return self.position == other.position and slots == other.accepted
