"""Crashes: persist before you speak (docs/concepts/protocol.md, section 7)."""

from __future__ import annotations

import pytest

from fab_paxos import EngineConfig, Replica, RestoredEntry, RestoredState
from fab_paxos.events import PeerConnected
from fab_paxos.messages import Accepted, Propose
from quorum import QuorumSystem
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import SIX, Cluster, submission
from tests.worlds.single import Bench, Script, said
from verifiable_log import Batch

MOMENTS = ("before the sync", "after the sync", "within the effects")


def small_run(seed: int, plan: dict[tuple[int, int], str]) -> Cluster:
    """A dozen submissions; members crash at the planned turns and come back a little later."""
    cluster = Cluster(seed=seed)
    cluster.keep_sent = True
    cluster.crash_plan = plan
    for seq in range(12):
        if cluster.members[seq % 2].replica is not None:
            cluster.submit(seq % 2, submission(seq % 3, seq))
        cluster.run(25)
        _restart_the_crashed(cluster)
    for _ in range(40):
        if not cluster.run(50) and not _restart_the_crashed(cluster):
            break
        _restart_the_crashed(cluster)
    return cluster


def _restart_the_crashed(cluster: Cluster) -> bool:
    down = [member.me for member in cluster.members if member.replica is None]
    for me in down:
        cluster.restart(me)
    return bool(down)


def no_equivocation(cluster: Cluster) -> None:
    """Over all its runs, one member never said two different things of one slot."""
    for kind in (Propose, Accepted):
        words: dict[tuple[int, int, int], bytes] = {}
        for sender, _, message in cluster.sent:
            if isinstance(message, kind):
                author = cluster.system.leader(message.view) if kind is Propose else sender
                first = words.setdefault((author, message.view, message.slot), message.root)
                assert first == message.root, f"seed {cluster.seed}: member {author} contradicts itself"


@pytest.mark.parametrize("member", range(3))
def test_kill_at_every_journal_point_loses_nothing_that_was_decided(member: int) -> None:
    """docs/development/testing.md, scenario 11: a crash at each turn of a small run: before, after, within
    its work."""
    turns = small_run(member, {}).members[member].turns
    assert turns > 20
    for turn in range(1, turns + 1):
        for moment in MOMENTS:
            cluster = small_run(member, {(member, turn): moment})
            assert len(cluster.members[member].runs) == 2, "the crash took place"
            for retried in (0, 1):  # clients that lost their answer
                cluster.submit_again(retried)
            cluster.settle(beats=4)
            check_all(cluster)
            no_equivocation(cluster)


def test_everybody_loses_power_at_once_and_again() -> None:
    """The whole alliance loses power, and nothing that was acknowledged is lost."""
    for seed in range(10):
        cluster = Cluster(seed=seed)
        cluster.keep_sent = True
        for blackout in range(3):
            for seq in range(6):
                cluster.submit(seq, submission(blackout, seq))
                cluster.run(40)
            before = {slot: e.root for m in cluster.members for slot, e in m.decisions().items()}
            for me in range(6):
                cluster.crash(me)
            for me in range(6):
                cluster.restart(me)
        cluster.submit_again(2)
        cluster.settle()
        check_all(cluster)
        no_equivocation(cluster)
        after = cluster.members[0].decisions()
        assert all(after[slot].root == root for slot, root in before.items())


def test_a_leader_that_restarts_in_mid_stream_repeats_itself_and_never_contradicts_itself() -> None:
    """ "Propose: (view, slot, root) durable before: a restarted leader must not equivocate"."""
    for seed in range(25):
        cluster = Cluster(seed=seed)
        cluster.keep_sent = True
        for seq in range(15):
            cluster.submit(seq % 6, submission(seq % 4, seq))
            cluster.run(cluster.random.randrange(40))
            if seq % 3 == 2:
                cluster.crash(0)
                cluster.run(cluster.random.randrange(20))
                cluster.restart(0)
        cluster.submit_again(1)
        cluster.settle()
        check_all(cluster)
        no_equivocation(cluster)
        assert not any(blame.member == 0 for member in cluster.members for blame in member.blames)


def test_what_was_accepted_but_never_decided_before_the_crash_is_decided_afterwards() -> None:
    cluster = Cluster(seed=1)
    cluster.run()
    for me in (1, 2, 3, 4, 5):
        cluster.cut |= {(me, other) for other in range(6)}  # proposals arrive, no word comes back
    cluster.submit(0, submission(1, 0), submission(2, 0))
    cluster.run()
    assert {m.engine.status.accepted for m in cluster.members} >= {1}
    for me in range(6):
        cluster.crash(me)
    cluster.cut = set()
    for me in range(6):
        cluster.restart(me)
    cluster.settle()
    check_all(cluster)


def test_a_crashed_leader_stops_decisions_and_contradicts_none() -> None:
    cluster = Cluster(seed=2)
    for seq in range(10):
        cluster.submit(1, submission(1, seq))
        cluster.run(50)
    cluster.crash(0)
    cluster.submit(2, submission(2, 0))
    cluster.settle()
    check(cluster)
    cluster.restart(0)
    cluster.settle()
    check_all(cluster)


def test_a_restarted_member_says_its_word_again_and_counts_it() -> None:
    """What was journalled may never have been said: on a new link the latest cumulative word goes first."""
    script = Script()
    proposals = [script.add(submission(1, seq)) for seq in range(2)]
    entries = tuple(RestoredEntry(p.slot, 0, p.batch, p.root, p.signature) for p in proposals)
    bench = Bench(me=4, state=RestoredState(entries=entries))
    assert said(bench.step(PeerConnected(2)), Accepted) == [Accepted(0, 2, script.root(2))]
    assert said(bench.drain(), Accepted) == []
    for member in (1, 2):
        bench.hear(member, script.accepted(2))
    assert bench.decided == []
    bench.hear(3, script.accepted(2))
    assert bench.decided == [1, 2]


def test_entries_that_do_not_continue_the_log_are_refused_at_the_start() -> None:
    """ "damage anywhere else is refused with a clear message"."""
    batch = Batch.of([submission(1, 0)])
    for slot, root in ((2, bytes(32)), (1, bytes(32))):
        state = RestoredState(entries=(RestoredEntry(slot, 0, batch, root, b"s"),))
        with pytest.raises(ValueError, match="does not continue"):
            Replica(EngineConfig(SIX, 1), state)


def test_a_member_that_does_not_exist_is_refused() -> None:
    for me in (-1, 6):
        with pytest.raises(ValueError, match="no member"):
            EngineConfig(QuorumSystem(6, 1), me)
