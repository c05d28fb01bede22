"""Liars that abuse what profile lean allows: one Report with evidence can fix a slot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from fab_paxos.lean_view_change import LeanViewChange
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Batches, FetchBatches, Message, Progress, Report, slot_of_base, top_of
from fab_paxos.selection import ReportedEntry
from tests.worlds.equivocation import rogue_submission
from tests.worlds.world import Adversary, World
from verifiable_log import Batch
from verifiable_log.limits import TIME_MS_MAX

HELD_BY = ("nobody", "the leader", "everybody")
YEAR_10000_MS = 253_402_300_800_000


class LoneReporter(Adversary):
    """Reports what only itself has proposed, in views that it led: in slots that are open or decided, near or
    far, with a batch that it gives to nobody, to the leader, or to all, or that bears a stamp of the year
    10,000; or it leaves out what it should report."""

    def __init__(
        self, world: World, me: int, dice: Random, held_by: str | None = None, time_ms: int | None = None
    ) -> None:
        super().__init__(world, me, dice)
        self._held_by = held_by
        self._time_ms = time_ms
        self._batches: dict[bytes, tuple[Batch, str]] = {}

    def tamper(self, sender: int, to: int, message: Message) -> list[Message]:
        return [self.lie(message)] if isinstance(message, Report) else [message]

    def hear(self, sender: int, message: Message) -> list[Message]:
        if isinstance(message, FetchBatches):
            leader = self.world.system.leader(self.puppet.engine.view)
            for digest in message.digests:
                batch, held_by = self._batches.get(digest, (None, ""))
                if batch is not None and (
                    held_by == "everybody" or (held_by, sender) == ("the leader", leader)
                ):
                    self.speak(sender, Batches((batch,)))
        return [message]

    def lie(self, report: Report) -> Report:
        openings = self._led(report.view)
        if not openings or self.dice.random() < 0.2:
            return replace(report, entries=(), openings=())
        view = self.dice.choice(list(openings))
        opening = openings[view]
        start = self.world.gate.start
        base = slot_of_base(report.base, start)
        top = top_of(opening, start) if opening is not None and self.dice.random() < 0.7 else 0
        first = max(base, top) + 1  # sometimes against what the view began with
        last = min(first + self.dice.choice((0, 0, 1, 3, 200)), base + WINDOW_SLOTS)
        lies = {slot: self._proposed(slot, view) for slot in range(first, last + 1)[-4:]}
        kept = {entry.slot: entry for entry in report.entries if self.dice.random() < 0.7}
        entries = [entry for _, entry in sorted({**kept, **lies}.items())]
        known = {one.view: one for one in (*report.openings, opening) if one is not None}
        named = sorted({entry.view for entry in entries if entry.view})
        return replace(report, entries=tuple(entries), openings=tuple(known[view] for view in named))

    def _led(self, before: int) -> dict[int, Progress | None]:
        """The views that it led and knows the beginning of."""
        led: dict[int, Progress | None] = {0: None} if self.me == 0 else {}
        room = self.puppet.engine.rooms.view_change
        if isinstance(room, LeanViewChange):
            leads = self.world.system.leader
            led |= {v: one for v, one in room._openings.items() if leads(v) == self.me and v < before}
        return led

    def _proposed(self, slot: int, view: int) -> ReportedEntry:
        now = max(0, int(self.world.clock(self.puppet) * 1000))
        time_ms = self._time_ms
        if time_ms is None:
            time_ms = self.dice.choice((now, now, 0, YEAR_10000_MS, TIME_MS_MAX))
        batch = Batch.of([rogue_submission(self.world, self.dice)], time_ms)
        self._batches[batch.digest] = batch, self._held_by or self.dice.choice(HELD_BY)
        return ReportedEntry(slot, view, batch.digest, self.dice.randbytes(32))


LEAN_KINDS: dict[str, Callable[[World, int, Random], Adversary]] = {"lone reporter": LoneReporter}
