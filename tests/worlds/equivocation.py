"""Members that tell different things to different members, each of them consistently."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from alliance.storage.journal_epochs import EpochRecord
from fab_paxos import Replica
from fab_paxos.effects import (
    Broadcast,
    Combine,
    Effect,
    Endorse,
    OfferCheckpoint,
    Persist,
    Prune,
    Send,
    SendLogFrame,
)
from fab_paxos.events import (
    CombinationFailed,
    Combined,
    Drained,
    EndorsementMade,
    Event,
    PeerConnected,
    Received,
    Started,
    TimerFired,
)
from fab_paxos.messages import Accepted, Endorsed, Message, NewView, Propose, Report, slot_of_base
from fab_paxos.selection import InvalidSelection, ReportedEntry, select
from quorum import AcceptedStatement, CombineFailed, Endorsement, combine
from tests.worlds.disk import Disk
from tests.worlds.story import Story
from tests.worlds.world import Adversary, World
from verifiable_log import Batch, Submission

ROGUE_CLIENTS = 900


def rogue_submission(world: World, dice: Random) -> Submission:
    """A client in league with the liars."""
    return world.write(ROGUE_CLIENTS + dice.randrange(3), dice.randrange(40), b"rogue %d" % dice.randrange(4))


class Equivocator(Adversary):
    """As leader, two proposals for a slot, and two NewViews that both follow from true Reports."""

    def __init__(self, world: World, me: int, dice: Random, size: int | None = None) -> None:
        super().__init__(world, me, dice)
        self._size = size
        self._stories: dict[int, Story] = {}
        self._sides: dict[int, set[int]] = {}
        self._told: dict[tuple[int, int], Propose] = {}
        self._openings: dict[int, tuple[NewView, NewView]] = {}
        self._heard: dict[int, dict[int, Report]] = {}
        self._kept_back: list[tuple[int, Message]] = []

    def side(self, view: int) -> set[int]:
        """Who is told the second story: a half, or as many as force a value, or one fewer."""
        if view not in self._sides:
            system = self.world.system
            sizes = (system.forcing, system.forcing - 1, len(self.others) // 2, 1)
            size = self._size if self._size is not None else self.dice.choice(sizes)
            self._sides[view] = set(self.dice.sample(self.others, size))
        return self._sides[view]

    def hear(self, sender: int, message: Message) -> list[Message]:
        if isinstance(message, Report):
            self._heard.setdefault(message.view, {})[sender] = message
        return [message]

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        leads = self.world.system.leader
        match message:
            case NewView(view) if leads(view) == self.me:
                said: Message = self._view_change(message)[to in self.side(view)]
                if self.dice.random() < 0.2:
                    self._kept_back.append((to, said))
                    return []
                return [said]
            case Propose(view) if leads(view) == self.me and to in self.side(view):
                return [self._propose(message)]
            case Accepted(view, slot) if view in self._stories and to in self.side(view):
                root = self._stories[view].root(slot)
                return [replace(message, root=root)] if root is not None else []
            case Endorsed(Endorsement(AcceptedStatement(view=view, slot=slot))):
                if view not in self._stories or to not in self.side(view):
                    return [message]
                root = self._stories[view].root(slot)
                if root is None:
                    return []
                return [Endorsed(self.endorse(AcceptedStatement(view, slot, root), proven=True))]
            case _:
                return [message]

    def act(self) -> None:
        for to, message in self._kept_back:
            self.speak(to, message)
        self._kept_back.clear()
        for (view, slot), propose in list(self._told.items()):
            if self.dice.random() < 0.3:  # more votes for the story, and the story for more members
                to = self.dice.choice(self.others)
                self.speak(to, propose)
                self.speak(to, Accepted(view, slot, propose.root))

    def _propose(self, message: Propose) -> Propose:
        key = (message.view, message.slot)
        if key not in self._told:
            story = self._story(message)
            if story is None or story.slot != message.slot - 1:
                return message
            kept = message.batch.submissions[1:] if self.dice.random() < 0.5 else message.batch.submissions
            extra = [rogue_submission(self.world, self.dice)] if kept == message.batch.submissions else []
            batch = Batch.of([*extra, *kept], message.batch.time_ms)
            self._told[key] = story.propose(batch if batch.submissions else message.batch)
        return self._told[key]

    def _story(self, message: Propose) -> Story | None:
        if message.view not in self._stories:
            tail = self.puppet.engine.rooms.log
            if not tail.base <= message.slot - 1 <= tail.tip:
                return None
            self._stories[message.view] = Story(message.view, tail.frontier(message.slot - 1))
        return self._stories[message.view]

    def _view_change(self, new_view: NewView) -> tuple[NewView, NewView]:
        view = new_view.view
        if view not in self._openings:
            self._openings[view] = (new_view, self._other_opening(new_view) or new_view)
            other = self._openings[view][1]
            base = slot_of_base(other.base, self.world.gate.start)
            tail = self.puppet.engine.rooms.log
            if other is not new_view and tail.base <= base <= tail.tip:
                self._stories[view] = Story(view, tail.frontier(base))
                for digest in other.vector:
                    self._stories[view].tell(digest)
        return self._openings[view]

    def _other_opening(self, new_view: NewView) -> NewView | None:
        """Another set of Reports, our own among them as it suits us."""
        system, view = self.world.system, new_view.view
        reports = {**self._heard.get(view, {}), **dict(new_view.reports)}
        reports[self.me] = self._own_report(reports)
        others = [member for member in reports if member != self.me]
        chosen = sorted([self.me, *self.dice.sample(others, min(len(others), system.report - 1))])
        chosen_reports = tuple((member, reports[member]) for member in chosen)
        base = max(slot_of_base(report.base, self.world.gate.start) for _, report in chosen_reports)
        try:
            vector = select(system, [(member, report.entries) for member, report in chosen_reports], base)
        except InvalidSelection:
            return None
        return NewView(view, chosen_reports, vector)

    def _own_report(self, reports: dict[int, Report]) -> Report:
        """Supports, slot by slot, whatever some other member reported: that may make it forced."""
        own = reports.get(self.me) or next(iter(reports.values()))
        slots: dict[int, list[ReportedEntry]] = {}
        for _, report in sorted(reports.items()):
            for entry in report.entries:
                if entry.slot > slot_of_base(own.base, self.world.gate.start):
                    slots.setdefault(entry.slot, []).append(entry)
        entries = [self.dice.choice(slots[slot]) for slot in sorted(slots) if self.dice.random() < 0.8]
        return Report(own.view, own.base, tuple(entries))


class TwoOpenings(Equivocator):
    """Its proposals are the same for all until it opens a view: then two NewViews, to two halves."""

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        if isinstance(message, Propose) and message.view not in self._openings:
            return [message]
        return super().tamper(sender, to, message)


class Twin(Adversary):
    """One identity, two engines: a cloned machine. Each of its peers talks to one of them."""

    def __init__(self, world: World, me: int, dice: Random) -> None:
        super().__init__(world, me, dice)
        self._side = set(dice.sample(self.others, len(self.others) // 2))
        self._disk = Disk(world.founded)
        self._start()

    def begin_epoch(self, record: EpochRecord) -> None:
        self._disk = Disk(self.world.founded)
        self._disk.begin_epoch(None, record)
        self._start()

    def _start(self) -> None:
        self._engine = Replica(self.puppet.config, self._disk.restore())
        self._carry_out(Started(), *(PeerConnected(peer) for peer in sorted(self._side)))

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        return [] if to in self._side else [message]

    def hear(self, sender: int, message: Message) -> list[Message]:
        if sender not in self._side:
            return [message]
        self._carry_out(Received(sender, message))
        return []

    def on_time(self, name: str) -> None:
        self._carry_out(TimerFired(name))
        if self.dice.random() < 0.2:  # the peers change sides
            self._side = set(self.dice.sample(self.others, self.dice.randrange(len(self.others))))

    def _carry_out(self, *events: Event) -> None:
        waiting = list(events)
        while waiting:
            effects = (*self._engine.step(waiting.pop(0)), *self._engine.step(Drained()))
            self._disk.write([effect.record for effect in effects if isinstance(effect, Persist)])
            for effect in effects:
                waiting.extend(self._one(effect))

    def _one(self, effect: Effect) -> list[Event]:
        match effect:
            case Send(to, message) if to in self._side:
                self.speak(to, message)
            case Broadcast(message):
                for to in sorted(self._side):
                    self.speak(to, message)
            case SendLogFrame(to, first_slot) if to in self._side:
                self.speak(to, self._disk.frame(first_slot, self.world.frame_slots))
            case OfferCheckpoint(to, checkpoint) if to in self._side:
                self.speak(to, self._disk.offer(checkpoint))
            case Prune(slot):
                self._disk.prune(slot)
            case Endorse(statement, proven):
                share = self.endorse(statement, proven=proven)
                return [EndorsementMade(statement, share.signature, proven)]
            case Combine(endorsements):
                try:
                    return [Combined(combine(self.world.scheme, endorsements))]
                except CombineFailed as failure:
                    statement = endorsements[0].statement
                    return [CombinationFailed(statement, failure.culprits, failure.unproven)]
            case _:
                pass
        return []
