"""What is explored: who lies, which views there are, how many slots, values, crashes and news."""

from __future__ import annotations

from dataclasses import dataclass

from quorum import QuorumSystem
from tests.campaigns.explorer.engine import Step
from tests.campaigns.explorer.words import Content
from tests.worlds.cluster import SIX
from tests.worlds.require import require


@dataclass(frozen=True, slots=True)
class Instance:
    """``views`` are those that are ever entered, in order; the first one is open to all. ``liar`` lies.

    Views between them are passed over, as when nobody speaks there: so it is chosen who leads. The first one
    is view 0, or one that the liar leads.
    """

    liar: int
    views: tuple[int, ...] = (0, 1)
    slots: int = 1
    letters: str = "AB"
    restarts: int = 0
    news: int | None = None
    system: QuorumSystem = SIX

    @property
    def leaders(self) -> tuple[int, ...]:
        """Correct members that lead."""
        return tuple(sorted({self.system.leader(view) for view in self.views} - {self.liar}))

    @property
    def followers(self) -> tuple[int, ...]:
        every = range(self.system.member_count)
        return tuple(member for member in every if member != self.liar and member not in self.leaders)

    @property
    def prelude(self) -> tuple[Step, ...]:
        """How everybody comes to be in the first view: its leader opened it when nothing was accepted."""
        view = self.views[0]
        if not view:
            return ()
        require(self.system.leader(view) == self.liar, "the first view is view 0, or the liar leads it")
        members = (member for member in range(self.system.member_count) if member != self.liar)
        nothing: Content = (None, ())
        reports = tuple((member, nothing) for member in members)[: self.system.report]
        opened: tuple[Step, ...] = ("enter", view), ("NewView", (view, None, ""), reports)
        return (*opened, ("Progress", (view, None, ""), reports)) if self.system.lean else opened

    def __str__(self) -> str:
        leads = [str(view) for view in self.views if self.system.leader(view) == self.liar]
        return (
            f"n={self.system.member_count} f={self.system.faulty_max}"
            f" slots={self.slots} values={self.letters}"
            f" views={','.join(map(str, self.views))} liar={self.liar} leads={','.join(leads) or '-'}"
            f" restarts={self.restarts} news={'any' if self.news is None else self.news}"
        )
