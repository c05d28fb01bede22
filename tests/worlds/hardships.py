"""Members that harm others without a lie of their own: slow ones, and those whose disk forgets or rots."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fab_paxos.messages import Message, Propose
from tests.worlds.disk import Disk
from tests.worlds.journals import JournalDisk
from tests.worlds.require import require
from tests.worlds.world import Adversary, World
from verifiable_log.batch import NOOP
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.log_frame import LogFrame

JUST_IN_TIME = 450_000
"""Microseconds: a little less than the view time-out, so that nobody loses patience."""


class Slow(Adversary):
    """As leader it keeps each of its proposals until just before the others lose patience."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if not isinstance(message, Propose) or self.world.system.leader(message.view) != self.me:
            return [message]
        self.world.later(JUST_IN_TIME, self.speak, to, message)
        return []


class Amnesiac(Adversary):
    """Restarts from an old image of its disk, or from none: docs/development/testing.md, scenario 12."""

    def __init__(self, world: World, me: int, dice: Random) -> None:
        super().__init__(world, me, dice)
        self._images = [Disk(world.founded)]

    def act(self) -> None:
        if self.tired:
            return
        if self.dice.random() < 0.5:
            self._images.append(self.puppet.disk.image())
        elif self.dice.random() < 0.3 and self.puppet.replica is not None:
            self.words += 1
            self.world.crash(self.me)
            self.world.faults["disks set back"] += 1
            self.puppet.disk = self.dice.choice(self._images).image()
            self.world.restart(self.me)


class RottenDisk(Adversary):
    """Its real journal's bits flip while it is down: it must refuse to start, or come back as it was."""

    def equip(self) -> None:
        disk = self.world.journal_disk(self.me)
        require(not self.puppet.runs[-1], "a member gets its disk before it runs")
        self.puppet.disk.close()
        self.puppet.disk = disk
        disk.restore()

    def act(self) -> None:
        disk = self.puppet.disk
        if self.puppet.replica is not None and isinstance(disk, JournalDisk) and not self.tired:
            self.words += 1
            self.world.crash(self.me)
            disk.flip(self.dice.choice((1, 1, 2, 16)))
            self.world.faults["disks with flipped bits"] += 1
            self.world.restart(self.me)
            self.world.faults["refusals of a damaged journal"] += self.puppet.replica is None


class Poisoner(Adversary):
    """Whom it helps to catch up gets another log or state, or one without its proof, or half of it."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if self.dice.random() < 0.2:
            return [message]
        match message:
            case LogFrame():
                return [self._log(message)]
            case Offer():
                return [self._offer(message)]
            case StatePart(slot, first, items):
                other = self.dice.choice((items[::-1], items[1:], (bytes(40), *items[1:])))
                return [StatePart(slot, first, other)] if other else []
            case _:
                return [message]

    def _log(self, frame: LogFrame) -> LogFrame:
        batches = frame.batches
        match self.dice.randrange(5):
            case 0:
                return replace(frame, batches=(*batches[:-1], NOOP))
            case 1:
                return replace(frame, batches=batches[::-1])
            case 2:
                return replace(frame, cover=(*frame.cover, bytes(32)))
            case 3:
                return replace(frame, first_slot=frame.first_slot + 1)
            case _:
                return replace(frame, batches=batches[1:] or (NOOP,))

    def _offer(self, offer: Offer) -> Offer:
        match self.dice.randrange(3):
            case 0:
                return replace(offer, leaves=(*offer.leaves, bytes(32)))
            case 1:
                return replace(offer, peaks=(bytes(32), *offer.peaks[1:]))
            case _:
                return replace(offer, cover=(*offer.cover, bytes(32)))
