"""Liars at the end of an epoch, which would never have it come, or go on behind it; and one in the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from fab_paxos import uncertified_log
from fab_paxos.messages import (
    Batches,
    Certified,
    Endorsed,
    FetchBatches,
    Message,
    Propose,
    Report,
    slot_of_base,
)
from fab_paxos.selection import ReportedEntry
from quorum import AcceptedStatement, QuorumCertificate, SuspectStatement
from tests.worlds.world import Adversary, World
from verifiable_log import Batch
from verifiable_log.merkle import slot_leaf

BEYOND = 3
"""So far behind the end it goes."""
WORDS = 4
"""So much one says at a time that comes from an epoch before."""


class Idler(Adversary):
    """As leader it lets no slot pass that no client asks for: so no epoch ends, and nothing takes effect."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        match message:
            case Propose(batch=batch):
                kept = bool(batch.submissions)
            case Endorsed(endorsement):  # its own engine waits for what it has proposed
                kept = not isinstance(endorsement.statement, SuspectStatement)
            case _:
                kept = True
        return [message] if kept else []


class Overrunner(Adversary):
    """As leader it fills the whole window at once, and slots behind the end; its Reports name them, too."""

    def __init__(self, world: World, me: int, dice: Random) -> None:
        super().__init__(world, me, dice)
        self._batches: dict[bytes, Batch] = {}
        self._said: dict[tuple[int, int], ReportedEntry] = {}

    def act(self) -> None:
        """Its own engine knows nothing of it, and will propose something else for these slots."""
        for propose in self.fill() if not self.tired else ():
            for to in self.others:
                self.speak(to, propose)

    def fill(self) -> list[Propose]:
        """What it might propose, and may report, as leader; nothing if it is none now."""
        if self.puppet.replica is None:
            return []
        engine = self.puppet.engine
        log = engine.rooms.log
        if engine.leader != self.me or not engine.rooms.view_change.active:
            return []
        last = (log.end or log.base + 2 * uncertified_log.WINDOW_SLOTS) + BEYOND
        frontier, said = log.frontier(log.tip), []
        for slot in range(log.tip + 1, last + 1):
            batch = Batch.of((), self._now_ms)
            frontier = frontier.append(slot_leaf(slot, batch.digest))
            self._batches[batch.digest] = batch
            self._said[slot, engine.view] = ReportedEntry(slot, engine.view, batch.digest, frontier.root)
            said.append(Propose(engine.view, slot, batch, frontier.root))
        return said

    @property
    def _now_ms(self) -> int:
        return max(0, int(self.world.clock(self.puppet) * 1000))

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if not isinstance(message, Report) or self.dice.random() < 0.3:
            return [message]
        log = self.puppet.engine.rooms.log
        base = slot_of_base(message.base, self.world.gate.start)
        held = {entry.slot: entry for entry in message.entries}
        for (slot, view), entry in self._said.items():
            above = slot > max(base, log.end or 0)
            if above and slot <= base + uncertified_log.WINDOW_SLOTS and view < message.view:
                held[slot] = entry
        lean = self.world.system.lean
        views = {opening.view for opening in message.openings} | {0}
        entries = [
            entry if lean else replace(entry, root=b"", signature=b"")
            for _, entry in sorted(held.items())
            if not lean or entry.view in views
        ]
        named = {entry.view for entry in entries}
        openings = tuple(opening for opening in message.openings if opening.view in named)
        return [replace(message, entries=tuple(entries), openings=openings)]

    def hear(self, sender: int, message: Message) -> list[Message]:
        if isinstance(message, FetchBatches):
            for digest in message.digests:
                if digest in self._batches:
                    self.speak(sender, Batches((self._batches[digest],)))
        return [message]


class Revenant(Adversary):
    """It says again what was said and certified in the epoch before, and reports it as its base."""

    def act(self) -> None:
        heard = self.world.heard_before
        for _ in range(min(WORDS, len(heard))):
            said = self.dice.choice(heard)
            for to in self.others if self.dice.random() < 0.5 else [self.dice.choice(self.others)]:
                self.speak(to, said)

    def on_time(self, name: str) -> None:
        if not self.tired:
            self.act()

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        bases = [
            said.certificate
            for said in self.world.heard_before
            if isinstance(said, Certified) and isinstance(said.certificate.statement, AcceptedStatement)
        ]
        if not isinstance(message, Report) or not bases or self.dice.random() < 0.5:
            return [message]
        return [Report(message.view, self.dice.choice(bases), ())]


class Thief(Revenant):
    """It has all shares of the former key: it certifies another log with them, and elections, in the epoch of
    now and in the one before."""

    def act(self) -> None:
        super().act()
        for _ in range(WORDS):
            if (forged := self._forged()) is not None:
                self.speak(self.dice.choice(self.others), Certified(forged))

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        forged = self._forged()
        if forged is None or not isinstance(message, Report) or self.dice.random() < 0.5:
            return super().tamper(sender, to, message)
        return [Report(message.view, forged, ())]

    def _forged(self) -> QuorumCertificate | None:
        forge, now, start = self.world.forge, self.world.scheme.context.epoch, self.world.gate.start
        if forge is None:
            return None
        slot, root = max(1, start + self.dice.randrange(-2, 12)), self.dice.randbytes(32)
        statement = self.dice.choice(
            (AcceptedStatement(self.dice.randrange(3), slot, root), SuspectStatement(self.dice.randrange(5)))
        )
        return forge(statement, self.dice.choice((now, now - 1)))


END_KINDS: dict[str, Callable[[World, int, Random], Adversary]] = {
    "idler": Idler,
    "overrunner": Overrunner,
}
LATER_KINDS: dict[str, Callable[[World, int, Random], Adversary]] = {"revenant": Revenant, "thief": Thief}
"""In epochs that are not the first."""
