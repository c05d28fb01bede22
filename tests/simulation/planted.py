"""Bugs, planted one at a time: small wrong versions of the engine that the simulator must find.

``planted(name)`` patches the engine while it is entered. ``FORCING - 1`` is no bug where n-f is even: two
values cannot both reach it there. The worlds here have n-f odd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from fab_paxos import opening
from fab_paxos.acceptor import Acceptor
from fab_paxos.certifier import Certifier
from fab_paxos.effects import EntryRecord, NewViewRecord, Persist, ViewRecord
from fab_paxos.election import Election
from fab_paxos.learner import Learner
from fab_paxos.messages import NewView
from fab_paxos.opening import Opening
from fab_paxos.replica import Replica
from fab_paxos.selection import ReportedEntry, select
from fab_paxos.tail import Tail
from fab_paxos.types import NOOP
from quorum import QuorumSystem

Patches = list[Any]


def _size(name: str, difference: int) -> Patches:
    true = getattr(QuorumSystem, name).fget
    return [patch.object(QuorumSystem, name, property(lambda self: true(self) + difference))]


def _exact_pairs() -> Patches:
    def wrong(system: QuorumSystem, reports: Any, base: int) -> tuple[bytes, ...]:
        counts: dict[ReportedEntry, int] = {}
        for entries in reports:
            for entry in entries:
                if entry.slot > base:
                    counts[entry] = counts.get(entry, 0) + 1
        forced = {entry.slot: entry.batch_digest for entry, n in counts.items() if n >= system.forcing}
        highest = max(forced, default=base)
        return tuple(forced.get(slot, NOOP.digest) for slot in range(base + 1, highest + 1))

    return [patch.object(opening, "select", wrong)]


def _never_journalled(*kinds: type) -> Patches:
    true = Replica.step

    def step(self: Replica, event: Any) -> Any:
        return tuple(
            e for e in true(self, event) if not (isinstance(e, Persist) and isinstance(e.record, kinds))
        )

    return [patch.object(Replica, "step", step)]


def _renewal_not_journalled() -> Patches:
    true = Opening.carry_out

    def carry_out(self: Opening, out: list[Any]) -> Any:
        place = len(out)
        accepted = true(self, out)
        out[place:] = [
            e for e in out[place:] if not (isinstance(e, Persist) and isinstance(e.record, EntryRecord))
        ]
        return accepted

    return [patch.object(Opening, "carry_out", carry_out)]


def _duplicate_reports() -> Patches:
    def on_report(self: Any, member: int, report: Any) -> Any:
        if report.view != self._view or self.active or self._digest is not None:
            return None
        self._reports[len(self._reports)] = (member, report)
        if len(self._reports) < self._system.report:
            return None
        pairs = tuple(sorted(self._reports.values(), key=lambda pair: pair[0]))
        return self._made(pairs)

    def follows(self: Any, new_view: NewView) -> bool:
        return bool(self._made(new_view.reports).vector == new_view.vector)

    return [patch.object(Opening, "on_report", on_report), patch.object(Opening, "_follows", follows)]


def _remnants_dropped() -> Patches:
    return [patch.object(Tail, "enter_view", lambda self: self._cut(self.decided) and None)]


def _active_always() -> Patches:
    true = Acceptor.on_propose
    return [
        patch.object(Acceptor, "on_propose", lambda self, propose, _, out: true(self, propose, True, out))
    ]


def _view_ignored_at_restore() -> Patches:
    true = Replica._restore

    def restore(self: Replica, state: Any) -> None:
        true(self, replace(state, entries=tuple(replace(e, view=state.view) for e in state.entries)))

    return [patch.object(Replica, "_restore", restore)]


def _suspicion_forgets() -> Patches:
    true = Replica._suspect

    def suspect(self: Any, out: list[Any]) -> None:
        true(self, out)
        self._tail._cut(self._tail.decided)

    return [patch.object(Replica, "_suspect", suspect)]


def _decided_not_reported() -> Patches:
    true = Tail.accepted_above
    return [patch.object(Tail, "accepted_above", lambda self, slot: true(self, max(slot, self.decided)))]


def _second_new_view_taken() -> Patches:
    true = Opening.on_new_view

    def on_new_view(self: Any, new_view: Any, out: list[Any]) -> bool:
        if self._digest is not None and self._digest != new_view.digest:
            self._digest, self.active, persisted = new_view.digest, False, len(out)
            self.new_view = None
            taken = true(self, new_view, out)
            del out[persisted:]
            return taken
        return true(self, new_view, out)

    return [patch.object(Opening, "on_new_view", on_new_view)]


def _lowest_base() -> Patches:
    def made(self: Any, reports: Any) -> NewView:
        base = min(report.base_slot for _, report in reports)
        return NewView(self._view, reports, select(self._system, [r.entries for _, r in reports], base))

    return [patch.object(Opening, "_made", made)]


def _root_not_checked() -> Patches:
    def accept(self: Any, propose: Any, out: list[Any]) -> Any:
        frontier = self._tail.next_frontier(propose.batch)
        entry = self._tail.append(propose.view, propose.batch, frontier, propose.signature)
        out.append(Persist(EntryRecord(entry)))
        return entry

    return [patch.object(Acceptor, "_accept", accept)]


def _votes_from_any_log() -> Patches:
    def on_accepted(self: Any, member: int, accepted: Any, _: Any) -> None:
        self._support[member] = max(self._support[member], accepted.slot)

    return [patch.object(Learner, "on_accepted", on_accepted)]


def _never_silent() -> Patches:
    return [patch.object(Tail, "silent", property(lambda _: 0, lambda _, __: None), create=True)]


def _silence_forgotten() -> Patches:
    true = Replica._restore

    def restore(self: Replica, state: Any) -> None:
        true(self, replace(state, silent=0))

    return [patch.object(Replica, "_restore", restore)]


def _vector_not_in_order() -> Patches:
    true = select

    def wrong(system: QuorumSystem, reports: Any, base: int) -> tuple[bytes, ...]:
        return tuple(digest for digest in true(system, reports, base) if digest != NOOP.digest)

    return [patch.object(opening, "select", wrong)]


PLANTED: dict[str, Callable[[], Patches]] = {
    "forcing + 1": lambda: _size("forcing", 1),
    "forcing - 1": lambda: _size("forcing", -1),
    "decision - 1": lambda: _size("decision", -1),
    "report - 1": lambda: _size("report", -1),
    "exact (view, digest) pairs are counted": _exact_pairs,
    "the fence is not journalled": lambda: _never_journalled(ViewRecord, NewViewRecord),
    "the NewView's digest is not journalled": lambda: _never_journalled(NewViewRecord),
    "what a NewView gave is not journalled": _renewal_not_journalled,
    "the vector is not recomputed": lambda: [patch.object(Opening, "_follows", lambda *_: True)],
    "duplicate Reports are counted": _duplicate_reports,
    "remnants are dropped on entering a view": _remnants_dropped,
    "proposals are accepted before the NewView": _active_always,
    "the view of an entry is ignored at restore": _view_ignored_at_restore,
    "suspicion drops what was accepted": _suspicion_forgets,
    "decided entries without a certificate are not reported": _decided_not_reported,
    "a second NewView replaces the first": _second_new_view_taken,
    "the lowest base counts": _lowest_base,
    "the root of a proposal is not checked": _root_not_checked,
    "votes for another log count": _votes_from_any_log,
    "gaps of the vector are closed": _vector_not_in_order,
    "support of an earlier view counts": lambda: [patch.object(Learner, "enter_view", lambda _: None)],
    "one Suspect is joined": lambda: _size("one_correct", -1),
    "Suspects for other views are not joined": lambda: [
        patch.object(Election, "on_suspect", lambda *_: False)
    ],
    "exchanged slots are spoken of again": _never_silent,
    "the silence is not journalled": _silence_forgotten,
    "shares of an earlier view are kept": lambda: [patch.object(Certifier, "enter_view", lambda _: None)],
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    patches = PLANTED[name]()
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()
