"""Catching up (docs/concepts/protocol.md, section 10): half of all advisories of such systems are here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fab_paxos.effects import Decide, Endorse, EntryRecord, ProvenRecord, Send, SendLogFrame, Timer
from fab_paxos.events import PeerConnected, TimerFired
from fab_paxos.limits import FETCH_PROPOSALS_MAX
from fab_paxos.messages import Accepted, Certified, CertifyRequest, Endorsed, Fetch, Message, Propose, Status
from quorum import CheckpointStatement, QuorumCertificate
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench, Script, certified, only, persisted, said
from verifiable_log import Batch
from verifiable_log.checkpoint_offer import Offer
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import MerkleLog, slot_leaf
from verifiable_log.state_writer import state_digest

BEAT = TimerFired(Timer.HEARTBEAT)


def log_of(slots: int) -> Script:
    script = Script()
    for seq in range(slots):
        script.add(submission(1, seq))
    return script


def frame(script: Script, first: int, last: int, certificate_slot: int) -> LogFrame:
    log = MerkleLog()
    for slot, batch in enumerate(script.batches[:certificate_slot], 1):
        log.append(slot_leaf(slot, batch.digest))
    cover = log.right_cover(last, certificate_slot)
    batches = tuple(script.batches[first - 1 : last])
    return LogFrame(first, batches, script.certificate(certificate_slot), cover)


def fetches(effects: object) -> list[tuple[int, int]]:
    sends = only(effects, Send)  # type: ignore[arg-type]
    return [(send.to, send.message.first_slot) for send in sends if isinstance(send.message, Fetch)]


@pytest.mark.parametrize("frame_slots", [1, 7, 64, 1000])
def test_a_member_away_for_hundreds_of_slots_catches_up_by_frames(frame_slots: int) -> None:
    """ "A valid certificate from any one member is proof enough." Also where frames end below it."""
    cluster = Cluster(seed=frame_slots, frame_slots=frame_slots)
    cluster.run()
    cluster.crash(4)
    for seq in range(300):
        cluster.submit(0, submission(seq % 3, seq))
        cluster.run()
    cluster.restart(4)
    cluster.run(300)
    for seq in range(300, 320):
        cluster.submit(seq % 6, submission(seq % 3, seq))
        cluster.run(20)
    cluster.settle()
    check_all(cluster)
    assert len(cluster.members[4].decisions()) >= 300


def test_a_member_cut_off_without_a_crash_catches_up() -> None:
    cluster = Cluster(seed=8)
    cluster.run()
    cluster.cut = {(a, 2) for a in range(6)} | {(2, a) for a in range(6)}
    for seq in range(200):
        cluster.submit(0, submission(seq % 3, seq))
        cluster.run()
    cluster.cut = set()  # no PeerConnected: the heartbeat alone must find out
    cluster.settle(beats=20)
    check_all(cluster)


def test_a_frame_that_ends_below_its_certificate_is_proven_by_the_cover() -> None:
    script, bench = log_of(10), Bench()
    bench.hear(3, frame(script, 1, 4, 10))
    assert bench.decided == [1, 2, 3, 4]
    assert certified(bench.log) == []  # the certificate is about ten slots
    assert persisted(bench.log)[-1].record == ProvenRecord(4, frame(script, 1, 4, 10).certificate)
    bench.hear(2, frame(script, 3, 10, 10))  # overlaps
    assert bench.decided == list(range(1, 11))
    assert certified(bench.log) == [10]
    assert bench.blames == []


def test_an_older_certificate_that_waits_does_not_bring_the_proven_slot_down() -> None:
    """The journal must never unlearn what it proved."""
    script, bench = log_of(10), Bench()
    bench.hear(1, Certified(script.certificate(6)))
    bench.hear(3, frame(script, 1, 8, 10))
    bench.hear(3, frame(script, 9, 10, 10))
    proven = [p.record.slot for p in persisted(bench.log) if isinstance(p.record, ProvenRecord)]
    assert proven == sorted(proven)
    assert bench.replica.status == Status(0, 10, 10, 10)


def test_an_older_certificate_that_comes_late_does_not_either_where_a_checkpoint_proved_our_own_log() -> None:
    script, bench = log_of(12), Bench()
    bench.hear(0, *(script.propose(slot) for slot in range(1, 11)))
    assert fetches(bench.hear(1, Status(0, 12, 12, 12))) == [(1, 1)]
    log = MerkleLog()
    for slot, batch in enumerate(script.batches, 1):
        log.append(slot_leaf(slot, batch.digest))
    says = CheckpointStatement(8, script.root(8), state_digest(()))
    signed = QuorumCertificate(3, says, b"joint")
    cover = log.right_cover(8, 12)
    bench.hear(1, Offer(signed, script.frontiers[8].peaks, (), script.certificate(12), cover))
    assert bench.decided == list(range(1, 9))
    bench.hear(2, Certified(script.certificate(6)))
    proven = [p.record.slot for p in persisted(bench.log) if isinstance(p.record, ProvenRecord)]
    assert proven == [8]


@pytest.mark.parametrize(
    "lie",
    [
        lambda f, s: replace(f, batches=(*f.batches[:-1], Batch.of([submission(9, 9)]))),
        lambda f, s: replace(f, batches=f.batches[::-1]),
        lambda f, s: replace(f, batches=f.batches[:-1]),
        lambda f, s: replace(f, batches=(*f.batches, *f.batches)),
        lambda f, s: replace(f, cover=()),
        lambda f, s: replace(f, cover=(*f.cover, bytes(32))),
        lambda f, s: replace(f, cover=(b"short", *f.cover[1:])),
        lambda f, s: replace(f, certificate=s.certificate(9)),
        lambda f, s: replace(f, certificate=s.certificate(2)),
    ],
)
def test_a_lying_frame_is_blamed_and_refused(lie: object) -> None:
    """docs/development/testing.md, scenario 20: a lying source costs a bounded delay."""
    script, bench = log_of(10), Bench()
    false = lie(frame(script, 1, 5, 10), script)  # type: ignore[operator]
    bench.hear(3, false)
    assert bench.decided == []
    assert persisted(bench.log) == []
    assert [(blame.member, blame.evidence) for blame in bench.blames] == [(3, None)], "nobody signs frames"
    bench.hear(2, frame(script, 1, 10, 10))
    assert certified(bench.log) == [10]


def test_frames_that_do_not_continue_our_log_are_ignored() -> None:
    script, bench = log_of(10), Bench()
    bench.hear(3, frame(script, 3, 10, 10))
    bench.hear(3, replace(frame(script, 1, 10, 10), batches=()))
    assert bench.decided == []
    assert bench.blames == []


def test_a_source_that_lies_costs_a_few_heartbeats() -> None:
    def poison(sender: int, to: int, message: Message) -> list[Message]:
        if isinstance(message, LogFrame):
            return [replace(message, batches=(Batch.of([submission(9, 9)]), *message.batches[1:]))]
        if isinstance(message, Status):  # and it says that it has most
            return [replace(message, accepted=2**60, decided=2**60, certified=2**60)]
        return [message]

    for liar in (1, 5):
        cluster = Cluster(seed=liar)
        cluster.run()
        cluster.crash(3)
        for seq in range(60):
            cluster.submit(0, submission(1, seq))
            cluster.run()
        cluster.tampers[liar] = poison
        cluster.restart(3)
        cluster.settle(beats=30)
        check_all(cluster)
        assert {blame.member for blame in cluster.members[3].blames} <= {liar}


def test_a_proven_log_replaces_what_an_equivocating_leader_made_us_accept() -> None:
    """ "Takes proven batches, whatever was accepted in their place" — and the votes for what is gone count
    no longer, while we are silent on the slots of which we spoke before, and go on after them."""
    script, bench = log_of(8), Bench()
    other = Script()
    other.add(submission(1, 0))
    for seq in range(4):
        other.add(submission(1, 3 + seq))  # the same work, in other slots
    bench.hear(0, *(other.propose(slot) for slot in range(1, 6)))
    bench.drain()
    for member in (1, 2):
        bench.hear(member, other.accepted(5))
    bench.hear(3, frame(script, 1, 2, 2))
    assert bench.decided == [1, 2]
    records = [p.record.entry.slot for p in persisted(bench.log) if isinstance(p.record, EntryRecord)]
    assert records == [1, 2, 3, 4, 5, 2]
    bench.hear(0, *(script.propose(slot) for slot in range(3, 6)))
    assert said(bench.drain(), Accepted) == [], "the word on slot 5 of the other log was given"
    bench.hear(0, script.propose(6))
    assert said(bench.drain(), Accepted) == [Accepted(0, 6, script.root(6))]
    bench.hear(4, script.accepted(6))
    assert bench.decided == [1, 2], "1 and 2 spoke of another log"
    for member in (1, 2):
        bench.hear(member, script.accepted(6))
    assert bench.decided == [1, 2, 3, 4, 5, 6]


def test_a_certificate_of_another_log_does_not_decide_ours() -> None:
    """An equivocating leader gave us another slot 2: the certificate waits until the right log is here."""
    script, other, bench = log_of(2), log_of(1), Bench()
    other.add(submission(7, 7))
    bench.hear(0, other.propose(1), other.propose(2))
    bench.hear(3, Certified(script.certificate(2)))
    assert bench.decided == []
    bench.hear(3, frame(script, 1, 2, 2))
    decided = [effect.entry.root for effect in only(bench.log, Decide)]
    assert decided == [script.root(1), script.root(2)]
    assert certified(bench.log) == [2]


def test_above_the_certificate_any_member_relays_the_leaders_signed_proposals() -> None:
    """ "Fetch: batches"; the leader's signature proves them to any member, so the relay needs no trust."""
    script, source, behind = log_of(5), Bench(me=2), Bench(me=5)
    source.hear(0, *(script.propose(slot) for slot in range(1, 6)))
    relayed = said(source.hear(5, Fetch(2)), Propose)
    assert relayed == [script.propose(slot) for slot in range(2, 6)]
    behind.hear(0, script.propose(1))
    behind.hear(2, *relayed)
    assert behind.replica.status.accepted == 5


def test_only_what_is_certified_is_supplied_and_slots_begin_at_one() -> None:
    """An index from outside that is not validated: the commonest advisory of all."""
    script, bench = log_of(5), Bench()
    assert bench.hear(3, Fetch(0)) == []
    bench.hear(0, *(script.propose(slot) for slot in range(1, 6)))
    bench.hear(1, Certified(script.certificate(3)))
    assert bench.hear(3, Fetch(0)) == []
    assert bench.hear(3, Fetch(3)) == [SendLogFrame(3, 3)]
    assert len(said(bench.hear(3, Fetch(4)), Propose)) == 2
    assert bench.hear(3, Fetch(2**64 - 1)) == []


def test_one_fetch_for_each_answer_and_not_for_each_proposal_of_it() -> None:
    script, bench = log_of(60), Bench()
    asked = fetches(bench.hear(2, Status(0, 50, 50, 0)))
    assert asked == [(2, 1)]
    for _ in range(10):
        first = asked[-1][1]
        answer = [script.propose(s) for s in range(first, min(50, first + FETCH_PROPOSALS_MAX - 1) + 1)]
        asked += fetches(bench.hear(2, *answer))
    assert asked == [(2, 1), (2, 17), (2, 33), (2, 49)]
    assert bench.replica.status.accepted == 50


def test_a_silent_source_is_passed_over() -> None:
    bench = Bench()
    assert fetches(bench.hear(1, Status(0, 9, 9, 9))) == [(1, 1)]
    assert fetches(bench.hear(2, Status(0, 9, 9, 9))) == []  # one at a time
    asked = [fetches(bench.step(BEAT)) for _ in range(7)]
    flat = [request for beat in asked for request in beat]
    assert {to for to, _ in flat} == {1, 2}
    assert bench.step(PeerConnected(1)) == [Send(1, Status(0, 0, 0, 0))]


def test_who_is_behind_is_told_on_its_heartbeat() -> None:
    script, bench = log_of(5), Bench()
    bench.hear(0, *(script.propose(slot) for slot in range(1, 6)))
    bench.hear(1, Certified(script.certificate(3)))
    told = bench.hear(4, Status(0, 5, 0, 0))
    assert said(told, Certified) == [Certified(script.certificate(3))]
    assert said(told, Accepted) == [Accepted(0, 5, script.root(5))]
    assert bench.hear(4, Status(0, 5, 5, 3)) == []


def test_lost_accepted_are_replaced_by_the_heartbeat_alone() -> None:
    cluster = Cluster(seed=3)
    cluster.run()
    drop = (Accepted, Endorsed, Certified)
    for me in (1, 2, 3, 4):
        cluster.tampers[me] = lambda sender, to, message: [] if isinstance(message, drop) else [message]
    cluster.submit(0, submission(1, 0))
    cluster.run()
    assert not cluster.members[0].decisions()
    cluster.tampers.clear()
    cluster.settle()
    check_all(cluster)


def test_replayed_messages_change_nothing() -> None:
    """docs/development/testing.md, scenario 23: every message of a run, all over again, changes nothing."""
    cluster = Cluster(seed=6)
    cluster.keep_sent = True
    for seq in range(30):
        cluster.submit(seq % 6, submission(seq % 4, seq))
        cluster.run(60)
    cluster.settle()
    check_all(cluster)
    before = [(m.engine.status, len(m.decisions()), vars(m.disk).copy()) for m in cluster.members]
    replayed = list(cluster.sent)
    cluster.random.shuffle(replayed)
    for sender, to, message in replayed:
        cluster.inject(sender, to, message)
    cluster.settle()
    check(cluster)
    assert before == [(m.engine.status, len(m.decisions()), vars(m.disk)) for m in cluster.members]
    assert not any(member.blames for member in cluster.members)


def test_a_source_that_drips_does_not_set_the_pace() -> None:
    """docs/development/testing.md, scenario 20: so does one that drips. Member 2 gives one slot at a time."""
    script, bench = log_of(40), Bench()
    for peer in (2, 3, 4):
        bench.hear(peer, Status(0, 40, 40, 40))
    for slots in (1, 10, 10, 1):
        source = fetches(bench.log)[-1][0]
        first = len(bench.decided) + 1
        bench.hear(source, frame(script, first, first + slots - 1, 40))
    assert [peer for peer, _ in fetches(bench.log)] == [2, 3, 4, 2, 3]


def test_a_member_does_not_vote_again_on_slots_on_which_it_voted_with_another_log() -> None:
    """A leader with two stories. What a frame proves replaces the one that this member took; on what the
    leader then proposes for the same slots it gives its share, and no second vote."""
    bench, taken, proven = Bench(), Script(), Script()
    for script, client in ((taken, 1), (proven, 2)):
        for seq in range(3):
            script.add(submission(client, seq))
    bench.hear(0, taken.propose(1), taken.propose(2))
    assert said(bench.drain(), Accepted)[-1].slot == 2
    bench.hear(1, frame(proven, 1, 1, 1))
    bench.drain()
    spoken = [*bench.hear(0, proven.propose(2), CertifyRequest(0, 2)), *bench.drain()]
    assert bench.replica.status.accepted == 2
    assert (said(spoken, Accepted), only(spoken, Endorse)) == ([], [Endorse(proven.statement(2))])
    spoken = [*bench.hear(0, proven.propose(3)), *bench.drain()]
    assert [vote.root for vote in said(spoken, Accepted)] == [proven.root(3)]
