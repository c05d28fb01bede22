"""What the others, the liar among them, have to say: the context of a state, and what it offers a member.

The context is made from what correct members ever said (``Said``), as messages are never lost for good and
may come again. The liar adds its own: it votes and endorses whatever is of use, reports any of a few logs,
and, where it leads, proposes everything and opens its view with every choice of Reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

from fab_paxos.messages import NewView
from fab_paxos.rule import vector_of
from fab_paxos.selection import InvalidSelection
from quorum import QuorumSystem
from tests.campaigns.explorer.checks import check
from tests.campaigns.explorer.engine import Local, OpenedBy, Said, Step
from tests.campaigns.explorer.words import (
    Certified,
    Content,
    NewViewName,
    logs,
    name_new_view,
    opens_with,
    report,
)

Groups = tuple[tuple[Content, ...], ...]
"""What each member reported: several contents, when it learnt of a certificate meanwhile."""


Evidence = tuple[tuple[Certified, ...], tuple[NewViewName, ...]]
"""Proposals of correct leaders, and NewViews with a progress certificate."""


@dataclass(frozen=True, slots=True)
class Context:
    """``members``: (number, what it said) of each correct one. ``progress``: what a quorum follows."""

    members: tuple[tuple[int, Said], ...]
    certificates: tuple[Certified, ...]
    proposals: tuple[Certified, ...]
    new_views: tuple[NewViewName, ...]
    progress: tuple[NewViewName, ...]

    @property
    def evidence(self) -> Evidence:
        """What entries of a Report can be proven with in profile lean."""
        return self.proposals, self.progress


class Menu:
    """The bounded powers of one liar, for one instance."""

    def __init__(
        self,
        system: QuorumSystem,
        liar: int,
        views: Sequence[int],
        slots: int,
        letters: str,
        opened_by: Mapping[NewViewName, OpenedBy],
    ) -> None:
        """``opened_by``: the Reports that belong to the NewViews of correct leaders."""
        self._system = system
        self._liar = liar
        self._views = views
        self._slots = slots
        self._letters = letters
        self._logs = logs(letters, slots)
        self._opened_by = opened_by
        self._choices = cache(self._choices_of)
        self._liars_openings = cache(self._all_liars_openings)

    # -- the context ---------------------------------------------------------------------------------

    def context(self, members: Sequence[tuple[int, Said]]) -> Context:
        """``members`` are the correct ones: (number, what it said). Raises Violation."""
        certificates = check(self._system, members)
        followers = Counter(name for _, said in members for name in said.followed)
        progress = (name for name, count in followers.items() if count + 1 >= self._system.decision)
        return Context(
            tuple(members),
            certificates,
            tuple(sorted({one for _, said in members for one in said.proposals})),
            tuple(sorted({one for _, said in members for one in said.new_views}, key=repr)),
            tuple(sorted(progress, key=repr)),
        )

    # -- what it offers ------------------------------------------------------------------------------

    def offers(self, local: Local, context: Context) -> Iterator[Step]:
        """Every step that this member may take now."""
        leader = self._system.leader(local.view)
        words = self._words(local, context)
        for view in self._views:
            if view > local.view:
                yield ("enter", view)
                if words:
                    yield ("enter late", view, words)
        if words and len(local.log) > len(local.said.decided):
            yield ("words", local.view, words)
        if leader != local.role:
            yield from self._proposals(local, context)
            if local.view > 0:
                if not local.active:
                    yield ("report",)
                yield from self._new_views(local, context)
        elif local.active:
            if len(local.log) < self._slots:
                yield from (("submit", letter) for letter in self._letters if letter not in local.log)
        elif not (local.opened and self._system.lean):
            yield from self._openings(local, context)
        if self._system.lean and not local.active:
            certified = (name for name in context.progress if name[0] == local.view)
            yield from (("Progress", name, self._opened_by[name]) for name in certified)
        for view, log in context.certificates:
            if len(log) > local.certified:
                yield ("certificate", view, log)
                yield ("frame", view, log)

    def _proposals(self, local: Local, context: Context) -> Iterator[Step]:
        for view in self._views:
            if view > local.view:
                continue
            if self._system.leader(view) != self._liar:
                yield from (("propose", at, log) for at, log in context.proposals if at == view)
                continue
            before = local.log[: self._slots - 1]
            for letter in self._letters:
                yield ("propose", view, before + letter)
                for other in self._letters:
                    if other != letter:
                        yield ("false root", view, before + letter, before + other)

    def _words(self, local: Local, context: Context) -> tuple[tuple[int, int, str], ...]:
        """All votes of the member's view, and the liar's for every log that anybody voted for.

        Its votes for the member's own log come first: of two votes for a slot the first one counts.
        """
        seat = self._seat(local, context)
        said = []
        for member, words in context.members:
            if member != seat:
                voter = seat if member == local.role else member
                said += [(voter, at, log) for at, log in sorted(words.votes) if at == local.view]
        known = {log for _, _, log in said} | {local.log[:end] for end in range(1, len(local.log) + 1)}
        useful = sorted(known, key=lambda log: (not local.log.startswith(log), log))
        return (*sorted(said), *((self._liar, local.view, log) for log in useful))

    def _seat(self, local: Local, context: Context) -> int:
        """The number under which the context knows this member: its role stands for many that are alike."""
        own = [member for member, said in context.members if said == local.said]
        return local.role if local.role in own else own[-1]

    # -- opening views -------------------------------------------------------------------------------

    def _reported(self, view: int, context: Context, but: int | None = None) -> Groups:
        groups = [
            tuple(sorted((content for at, content in said.reports if at == view), key=repr))
            for member, said in context.members
            if member != but
        ]
        return tuple(sorted(filter(None, groups), key=repr))

    def _lies(self, view: int, certificates: Iterable[Certified], evidence: Evidence) -> Iterator[Content]:
        """What the liar may report; in profile lean what there is evidence for."""
        for base, entries in self._fancies(view, certificates):
            if not self._system.lean or all(self._proven(entry, evidence) for entry in entries):
                yield base, entries

    def _proven(self, entry: tuple[int, int, str], evidence: Evidence) -> bool:
        """As ``fab_paxos.report_evidence`` asks for it; the liar signs what it likes."""
        slot, view, letter = entry
        proposals, openings = evidence
        opening = next((name for name in openings if name[0] == view), None)
        if view and opening is None:
            return False
        if opening is not None and slot <= len(opens_with(opening)):
            base = opening[1][1] if opening[1] is not None else ""
            return slot > len(base) and opens_with(opening)[slot - 1] == letter
        if self._system.leader(view) == self._liar:
            return True
        return any(at == view and log[slot - 1 : slot] == letter for at, log in proposals)

    def _fancies(self, view: int, certificates: Iterable[Certified]) -> Iterator[Content]:
        """Nothing, any log as accepted in any earlier view, a certificate."""
        yield None, ()
        for earlier in (earlier for earlier in self._views if earlier < view):
            for log in self._logs:
                yield None, tuple((slot, earlier, letter) for slot, letter in enumerate(log, 1))
        for base in certificates:
            if base[0] < view:
                yield base, ()
                for log in self._logs:
                    if log.startswith(base[1]) and log != base[1]:
                        above = enumerate(log[len(base[1]) :], len(base[1]) + 1)
                        yield base, tuple((slot, base[0], letter) for slot, letter in above)

    def _choices_of(
        self,
        view: int,
        reported: Groups,
        certificates: tuple[Certified, ...],
        evidence: Evidence,
        count: int,
        but: int | None,
    ) -> tuple[OpenedBy, ...]:
        """Every choice of ``count`` Reports that differs in content, with and without a lie, in two orders.

        Who reported what does not matter to a correct leader; the order might, to a wrong one.
        """
        honest = [m for m in range(self._system.member_count) if m not in (self._liar, but)]
        found: dict[OpenedBy, None] = {}
        for lie in (None, *self._lies(view, certificates, evidence)):
            own = () if lie is None else ((self._liar, lie),)
            for groups in sorted(set(combinations(reported, count - len(own))), key=repr):
                for contents in product(*groups):
                    for order in (contents, contents[::-1]):
                        found[tuple(sorted((*zip(honest, order, strict=False), *own), key=_member))] = None
        return tuple(found)

    def _openings(self, local: Local, context: Context) -> Iterator[Step]:
        """For a correct leader, whose own Report is there already."""
        reported = self._reported(local.view, context, but=local.role)
        count, evidence = self._system.report - 1, context.evidence if self._system.lean else _NONE
        choices = self._choices(local.view, reported, context.certificates, evidence, count, local.role)
        if self._system.lean:  # one more, for the Report of an equivocator that is left out
            more = (local.view, reported, context.certificates, evidence, count + 1, local.role)
            yield from (("open", local.view, by) for by in self._choices(*more))
        for by in choices:
            yield ("open", local.view, by)
            lies = tuple(pair for pair in by if pair[0] == self._liar)
            if lies:  # told twice, in place of another's Report
                others = tuple(pair for pair in by if pair[0] != self._liar)
                yield ("open", local.view, (*lies, *lies, *others[1:]))

    def _new_views(self, local: Local, context: Context) -> Iterator[Step]:
        view = local.view
        if self._system.leader(view) == self._liar:
            reported = self._reported(view, context)
            evidence = context.evidence if self._system.lean else _NONE
            yield from self._liars_openings(view, reported, context.certificates, evidence)
        elif not local.opened:  # a correct leader makes one
            named = (name for name in context.new_views if name[0] == view)
            yield from (("NewView", name, self._opened_by[name]) for name in named)
        if not local.opened and not self._system.lean:
            certified = (name for name in context.progress if name[0] == view)
            yield from (("Progress", name, self._opened_by[name]) for name in certified)

    def _all_liars_openings(
        self, view: int, reported: Groups, certificates: tuple[Certified, ...], evidence: Evidence
    ) -> tuple[Step, ...]:
        """One NewView of each name that can be had, and for each name one that it ought not to have."""
        good: dict[NewViewName, OpenedBy] = {}
        bad: dict[NewViewName, OpenedBy] = {}
        choices = self._choices(view, reported, certificates, evidence, self._system.report, None)
        for by in choices:
            name = self._name(view, by)
            if name is not None:
                good.setdefault(name, by)
                for letters in ("", *self._logs):
                    if letters != name[2]:
                        bad.setdefault((view, name[1], letters), by)
        for by in choices:  # one Report in place of another
            twice = tuple(sorted((*by[:-1], by[0]), key=_member))
            name = self._name(view, twice)
            if name is not None and name not in good:
                bad[name] = twice
        return (
            *(("NewView", name, by) for name, by in good.items()),
            *(("bad NewView", name, by) for name, by in bad.items()),
        )

    def _name(self, view: int, by: OpenedBy) -> NewViewName | None:
        """What the engine itself makes of these Reports."""
        reports = tuple((member, report(self._system, view, content)) for member, content in by)
        try:
            return name_new_view(NewView(view, reports, vector_of(self._system, reports, 0)))
        except InvalidSelection:
            return None


_NONE: Evidence = ((), ())
"""In profile classic Reports prove nothing."""


def _member(pair: tuple[int, Content]) -> int:
    return pair[0]
