"""What several scenarios begin with, and how they speak for a liar by hand."""

from __future__ import annotations

from collections.abc import Iterable

from fab_paxos.messages import Accepted, CertifyRequest, Endorsed, NewView, Propose, Report
from fab_paxos.selection import ReportedEntry, select
from quorum import AcceptedStatement
from tests.worlds.require import require
from tests.worlds.world import Adversary, World
from verifiable_log import Batch, Submission
from verifiable_log.merkle import EMPTY, Frontier, slot_leaf

EVERY = range(6)


def only_links(world: World, *links: tuple[int, int]) -> None:
    """Nobody hears anybody but over these links; nobody's link to itself matters."""
    world.cut = {(a, b) for a in EVERY for b in EVERY} - set(links)


def heal(world: World, *isolated: int) -> None:
    world.cut = set()
    world.isolate(*isolated)


def decided_by_one(world: World, one: Submission, learner: int = 3, without: int = 5) -> bytes:
    """Leader 0 proposes to all but ``without``; only ``learner`` hears their Accepted, and decides."""
    told = [member for member in EVERY if member not in (0, without)]
    links = [(0, member) for member in told] + [(member, learner) for member in told if member != learner]
    only_links(world, *links)
    world.submit(0, one)
    world.run()
    require({m.me for m in world.honest if m.decisions()} == {learner}, "the stage is not as it should be")
    return world.members[learner].decisions()[1].batch.digest


class Mute(Adversary):
    """Its engine listens; what is said in its name, the scenario says."""

    def tamper(self, sender: int, to: int, message: object) -> list[object]:  # type: ignore[override]
        return []


def report(view: int, entries: Iterable[tuple[int, int, bytes]] = ()) -> Report:
    return Report(view, None, tuple(ReportedEntry(*entry) for entry in entries), bytes(64))


def opening(world: World, view: int, reports: dict[int, Report]) -> NewView:
    chosen = tuple(sorted(reports.items()))
    return NewView(view, chosen, select(world.system, [(m, r.entries) for m, r in chosen], 0))


def propose(view: int, slot: int, batch: Batch, before: Frontier = EMPTY) -> Propose:
    return Propose(view, slot, batch, before.append(slot_leaf(slot, batch.digest)).root)


def push_through(liar: Adversary, proposal: Propose, members: Iterable[int]) -> None:
    """The leader's proposal, with its own vote, flag and share, to some."""
    statement = AcceptedStatement(proposal.view, proposal.slot, proposal.root)
    for to in members:
        liar.speak(to, proposal)
        liar.speak(to, Accepted(proposal.view, proposal.slot, proposal.root))
        liar.speak(to, CertifyRequest(proposal.view, proposal.slot))
        liar.speak(to, Endorsed(liar.endorse(statement)))
