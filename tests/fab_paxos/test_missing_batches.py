"""Who comes late to a view asks for the batches that it lacks, and no silent member makes it wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fab_paxos.effects import Effect, Send, Timer
from fab_paxos.events import TimerFired
from fab_paxos.messages import Batches, Certified, FetchBatches, Progress
from fab_paxos.view_change import FETCH_BATCHES_MAX
from quorum import ProgressStatement, QuorumCertificate, QuorumSystem
from tests.worlds.cluster import submission
from tests.worlds.single import Bench, only
from tests.worlds.world import World
from verifiable_log import Batch

BATCHES = [Batch.of([submission(1, seq)]) for seq in range(40)]


def asked(effects: list[Effect]) -> dict[int, tuple[bytes, ...]]:
    """Who was asked for which batches."""
    sends = [send for send in only(effects, Send) if isinstance(send.message, FetchBatches)]
    return {send.to: send.message.digests for send in sends if isinstance(send.message, FetchBatches)}


def late(system: QuorumSystem) -> tuple[Bench, list[Effect]]:
    """A member enters view 1 by a progress certificate and holds none of its batches."""
    bench = Bench(system.member_count - 1, system)
    bench.hear(2, Certified(World(system).election_proof(1)))
    vector = tuple(batch.digest for batch in BATCHES)
    nothing = QuorumCertificate(0, ProgressStatement(1, bytes(32)), b"joint")
    progress = Progress(1, bytes(32), None, vector, nothing)
    certificate = replace(nothing, statement=ProgressStatement(1, progress.digest))
    return bench, bench.hear(1, replace(progress, certificate=certificate))


def beats_until_active(bench: Bench, effects: list[Effect], willing: set[int]) -> int:
    """Only the ``willing`` answer what they are asked; how many heartbeats pass until all is here."""
    beats = 0
    while not bench.replica.status.active:
        fetch = asked(effects)
        assert sum(map(len, fetch.values())) <= max(FETCH_BATCHES_MAX, len(fetch)), (
            "all this may be under way"
        )
        helpers = willing & set(fetch)
        if helpers:
            wanted = fetch[min(helpers)]
            effects = bench.hear(min(helpers), Batches(tuple(b for b in BATCHES if b.digest in wanted)))
        else:
            effects = bench.step(TimerFired(Timer.HEARTBEAT))
            beats += 1
    return beats


@pytest.mark.parametrize("system", [QuorumSystem(6, 1), QuorumSystem(11, 2), QuorumSystem(16, 3)])
def test_silent_members_cost_no_heartbeat(system: QuorumSystem) -> None:
    """Of a batch's holders f + 1 are correct; wherever they are, one of them is among those asked at once.

    One at a time, another one with each heartbeat, took up to n - f - 2 heartbeats for each 16 batches.
    """
    others = system.member_count - 1
    for first in range(others):
        bench, effects = late(system)
        willing = {(first + step) % others for step in range(system.one_correct)}
        assert beats_until_active(bench, effects, willing) == 0
        assert bench.replica.status.accepted == len(BATCHES)


def test_whoever_was_left_out_is_asked_with_the_next_heartbeat() -> None:
    bench, effects = late(QuorumSystem(11, 2))
    once = set(asked(effects))
    again = set(asked(bench.step(TimerFired(Timer.HEARTBEAT))))
    assert once != again
    assert once | again == set(range(10))
