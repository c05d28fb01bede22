"""The two-faced leader: two logs in one view, each of them consistent, each told to one half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from alliance.hostile.liar import Liar, Means
from alliance.server.driver import Engine
from fab_paxos.effects import Effect, EntryRecord, Persist, Send, SetTimer
from fab_paxos.events import Event, Received, Submitted, TimerFired
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Accepted, Endorsed, Forward, Message, Propose
from quorum import AcceptedStatement, Endorsement
from verifiable_log import Batch
from verifiable_log.merkle import Frontier, slot_leaf

PERSUASION_SHARE = 0.2
"""Of the view time-out: when neither half has decided by then, each is told the other's story, too."""


class _Timer(StrEnum):
    PERSUASION = "hostile: persuasion"


class Equivocator(Liar):
    """From the first batch on that can be told in two ways: the same submissions in another order.

    The first half is told what its own engine accepts, and the second half another log. It supports both
    with its share. A log that begins where this process did not see it cannot be continued in two ways, so
    its first proposal is true.
    """

    def __init__(self, engine: Engine, means: Means) -> None:
        super().__init__(engine, means)
        self._second_half = self.others[(len(self.others) + 1) // 2 :]
        self._frontiers: dict[int, Frontier] = {}
        self._told: dict[tuple[int, int], tuple[Propose, Propose]] = {}
        self._second: tuple[int, Frontier] | None = None
        self._endorsed: dict[AcceptedStatement, Endorsement] = {}
        self._work: list[Submitted | Received] = []

    def do(self, effect: Effect, out: list[Effect]) -> None:
        if isinstance(effect, Persist) and isinstance(effect.record, EntryRecord):
            entry = effect.record.entry
            self._frontiers[entry.slot] = entry.frontier
            self._frontiers.pop(entry.slot - WINDOW_SLOTS, None)
        out.append(effect)

    def hear(self, event: Event, out: list[Effect]) -> Sequence[Event]:
        match event:
            case TimerFired(_Timer.PERSUASION):
                for first, second in self._told.values():
                    out.extend(Send(to, first if to in self._second_half else second) for to in self.others)
                return ()
            case Submitted() | Received(message=Forward()) if self._second is None:
                return self._gather(event)
            case _:
                return (event,)

    def _gather(self, event: Submitted | Received) -> Sequence[Event]:
        """Work comes to the engine only when there are two submissions, to be told in two orders."""
        self._work.append(event)
        known: set[tuple[bytes, int]] = set()
        for waiting in self._work:
            match waiting:
                case Submitted(submission):
                    known.add((submission.client_id, submission.client_seq))
                case Received(message=Forward(submissions)):
                    known.update((one.client_id, one.client_seq) for one in submissions)
        if len(known) < 2:
            return ()
        work, self._work = self._work, []
        return work

    def say(self, to: int, message: Message, out: list[Effect]) -> None:
        match message:
            case Propose(view) if self.leads(view):
                second = self._second_story(message, out)
                out.append(Send(to, second if to in self._second_half else message))
            case Accepted(view, slot) if to in self._second_half and (view, slot) in self._told:
                out.append(Send(to, replace(message, root=self._told[view, slot][1].root)))
            case Endorsed(Endorsement(AcceptedStatement(view=view, slot=slot))) if (
                view,
                slot,
            ) in self._told and to in self._second_half:
                root = self._told[view, slot][1].root
                out.append(Send(to, Endorsed(self._support(AcceptedStatement(view, slot, root)))))
            case _:
                out.append(Send(to, message))

    def _second_story(self, propose: Propose, out: list[Effect]) -> Propose:
        """The proposal of the other log for this slot; the true one as long as there is no other log."""
        view, slot = propose.view, propose.slot
        if (view, slot) in self._told:
            return self._told[view, slot][1]
        if self._second is None or self._second[0] != view:
            before = self._frontiers.get(slot - 1)
            if before is None or len(propose.batch.submissions) < 2:
                return propose
            self._second = view, before
            self._told.clear()
            out.append(SetTimer(_Timer.PERSUASION, PERSUASION_SHARE * self.config.view_timeout_seconds))
        before = self._second[1]
        if before.size != slot - 1:
            return propose
        batch = Batch.of(reversed(propose.batch.submissions), propose.batch.time_ms)
        after = before.append(slot_leaf(slot, batch.digest))
        self._second = view, after
        second = Propose(view, slot, batch, after.root)
        self._told[view, slot] = propose, second
        self.lies["slots proposed in two versions"] += 1
        return second

    def _support(self, statement: AcceptedStatement) -> Endorsement:
        if statement not in self._endorsed:
            self._endorsed[statement] = self.endorse(statement)
        return self._endorsed[statement]
