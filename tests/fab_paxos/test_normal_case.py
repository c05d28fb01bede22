"""docs/concepts/protocol.md, section 5, sentence by sentence: proposer, acceptor and learner of one view."""

from __future__ import annotations

from hashlib import sha256

from fab_paxos.effects import Broadcast, Decide, EntryRecord
from fab_paxos.evidence import Repetition, TwoStatements
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Accepted, Propose
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench, Script, only, persisted, said
from verifiable_log import Batch
from verifiable_log.batch import NOOP, batch_digest
from verifiable_log.merkle import tree_head


def rounds_to_decide(cluster: Cluster, waited: int) -> int:
    """Message delays, in lock step: all that is under way arrives, then everybody has one turn."""
    for delay in range(waited + 1):
        for member in cluster.members:
            while member.inbox:
                cluster.turn(member.me)
        if all(member.runs[-1] for member in cluster.members):
            return delay
        under_way = [(key, len(link)) for key, link in cluster.links.items()]
        for key, count in under_way:
            for _ in range(count):
                cluster._deliver(*key)
    raise AssertionError("not decided")


def test_two_message_delays_from_the_proposal_to_the_decision_at_every_member() -> None:
    """ "Two message delays from the proposal; no RSA on this path." """
    cluster = Cluster()
    cluster.run()
    cluster.submit(0, submission(1, 0))  # at the leader: its proposal leaves at once
    assert rounds_to_decide(cluster, 5) == 2


def test_no_signature_share_is_needed_to_decide() -> None:
    """ "Certificates are made beside that path, never on it." """
    cluster = Cluster()
    cluster.submit(0, submission(1, 0))
    for _ in range(2000):
        cluster.step()
        for member in cluster.members:
            member.jobs.clear()  # no signer ever answers
    assert all(len(member.decisions()) == 1 for member in cluster.members)
    assert not any(member.certificates for member in cluster.members)


def test_five_of_six_decide_and_four_do_not() -> None:
    """ "Support from `decision` members decides every slot <= s": leader, three others and ourselves."""
    script, bench = Script(), Bench(me=5)
    bench.hear(0, script.add(submission(1, 0)))
    bench.hear(1, script.accepted(1))
    bench.hear(2, script.accepted(1))
    assert bench.decided == []
    bench.hear(2, script.accepted(1), script.accepted(1))  # one member, one word
    bench.hear(0, script.accepted(1))  # the leader's proposal was its word already
    bench.hear(5, script.accepted(1))
    assert bench.decided == []
    bench.hear(3, script.accepted(1))
    assert bench.decided == [1]


def test_with_two_of_six_crashed_nothing_is_decided_and_with_one_everything() -> None:
    for crashed, decided in (((4, 5), 0), ((5,), 3)):
        cluster = Cluster()
        cluster.run()
        for me in crashed:
            cluster.crash(me)
        for seq in range(3):
            cluster.submit(1, submission(1, seq))
            cluster.run()
        cluster.settle()
        delivered = [one for e in cluster.members[0].decisions().values() for one in e.batch.submissions]
        assert len(delivered) == decided


def test_accepted_is_cumulative() -> None:
    """ "Accepted is cumulative: it stands for every slot of this view up to `slot`." """
    script, bench = Script(), Bench()
    for seq in range(4):
        bench.hear(0, script.add(submission(1, seq)))
    bench.hear(1, script.accepted(4))
    bench.hear(2, script.accepted(3))
    assert bench.decided == []
    effects = bench.hear(3, script.accepted(2))
    assert [decide.entry.slot for decide in only(effects, Decide)] == [1, 2]
    bench.hear(3, script.accepted(4))
    assert bench.decided == [1, 2, 3]


def test_an_older_accepted_takes_nothing_back() -> None:
    script, bench = Script(), Bench()
    for seq in range(3):
        bench.hear(0, script.add(submission(1, seq)))
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(2), script.accepted(1))
    assert bench.decided == [1, 2]


def test_one_accepted_stands_for_all_proposals_of_a_turn() -> None:
    script, bench = Script(), Bench()
    proposals = [script.add(submission(1, seq)) for seq in range(5)]
    assert said(bench.hear(0, *proposals), Accepted) == []
    assert said(bench.drain(), Accepted) == [Accepted(0, 5, script.root(5))]
    assert said(bench.drain(), Accepted) == []


def test_accepted_that_comes_before_its_proposal_counts_when_the_proposal_comes() -> None:
    script, bench = Script(), Bench()
    script.add(submission(1, 0))
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(1))
    assert bench.decided == []
    bench.hear(0, script.propose(1))
    assert bench.decided == [1]


def test_accepted_for_slots_that_were_never_sent_decides_nothing() -> None:
    """docs/development/testing.md, scenario 22: cumulative Accepted over slots never sent; one root further
    on stands for them only when it is the root of our own log there."""
    script, bench = Script(), Bench()
    script.add(submission(1, 0))
    for member in (1, 2, 3, 4):
        bench.hear(member, Accepted(0, 90, b"\x01" * 32), Accepted(0, 2, b"\x02" * 32))
    bench.hear(0, script.propose(1))
    assert bench.decided == []
    bench.hear(0, script.add(submission(1, 1)))
    assert bench.decided == []
    assert sorted({blame.member for blame in bench.blames}) == [1, 2, 3, 4]


def test_an_accepted_with_another_root_does_not_count() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    lie = Accepted(0, 1, b"\x00" * 32, b"by member 1")
    bench.hear(1, lie)
    bench.hear(2, script.accepted(1))
    bench.hear(3, script.accepted(1))
    assert bench.decided == []
    assert [(blame.member, blame.evidence) for blame in bench.blames] == [(1, None)], "or the leader lied"


def test_words_of_another_view_do_not_count() -> None:
    script, bench = Script(), Bench()
    propose = script.add(submission(1, 0))
    bench.hear(1, Propose(1, 1, propose.batch, propose.root, b"by leader 1"))
    assert persisted(bench.log) == []
    bench.hear(0, propose)
    for member in (1, 2, 3, 4):
        bench.hear(member, Accepted(1, 1, propose.root, b"x"))
    assert bench.decided == []


def test_proposals_out_of_order_and_repeated_are_accepted_in_order_once() -> None:
    """ "An acceptor takes slots in order within a view." """
    script, bench = Script(), Bench()
    proposals = [script.add(submission(1, seq)) for seq in range(4)]
    for place in (3, 1, 1, 2):
        bench.hear(0, proposals[place])
    assert persisted(bench.log) == []
    bench.hear(0, proposals[0], *proposals)
    slots = [p.record.entry.slot for p in persisted(bench.log) if isinstance(p.record, EntryRecord)]
    assert slots == [1, 2, 3, 4]
    assert bench.blames == []


def test_the_entry_is_durable_before_anything_is_said_of_it() -> None:
    """docs/concepts/protocol.md, section 7: Propose and Accepted after their record."""
    leader, acceptor = Bench(me=0), Bench(me=3)
    leader.submit(submission(1, 0))
    acceptor.hear(0, Script().add(submission(1, 0)))
    for bench in (leader, acceptor):
        bench.drain()
        effects = bench.log
        first_record = next(place for place, e in enumerate(effects) if e in persisted(effects))
        words = [
            place
            for place, effect in enumerate(effects)
            if isinstance(effect, Broadcast) and isinstance(effect.message, Propose | Accepted)
        ]
        assert words
        assert first_record < min(words)


def test_the_window_ends_at_the_certificate() -> None:
    """docs/development/testing.md, scenario 21, window exhaustion: nothing beyond the window is kept."""
    script, bench = Script(), Bench()
    proposals = [script.add(submission(1, seq)) for seq in range(WINDOW_SLOTS + 2)]
    bench.hear(0, *proposals)
    assert bench.replica.status.accepted == WINDOW_SLOTS
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(WINDOW_SLOTS))
    assert bench.replica.status.decided == WINDOW_SLOTS
    bench.hear(0, proposals[-2])
    assert bench.replica.status.accepted == WINDOW_SLOTS  # decided, but not certified


def test_nobody_proposes_an_empty_batch_whose_digest_is_that_of_the_empty_tree() -> None:
    """A new view fills gaps with it, and nothing here waits for slots to pass. RFC 6962: the head of the
    empty tree is SHA-256()."""
    assert tree_head([]) == sha256(b"").digest()
    assert NOOP.digest == Batch.of([]).digest == batch_digest(0, 0, tree_head([]))
    assert NOOP.digest.hex() == "04b8b89e3bf2ae8d190a2c1b0c6b58e39e0d5f02d23bde71524160ac3d7e8e7e"
    script, bench = Script(), Bench()
    bench.hear(0, script.add())
    assert bench.replica.status.accepted == 0


def test_equivocating_proposals_are_blamed_with_both_and_the_first_is_kept() -> None:
    """ "nothing else accepted at (v, slot)", whether the first was accepted or still waits."""
    for predecessors in (0, 1):
        ours, theirs, bench = Script(), Script(), Bench()
        for script in (ours, theirs):
            for _ in range(predecessors):
                script.add(submission(2, 0))
        first, second = ours.add(submission(1, 0)), theirs.add(submission(1, 1))
        bench.hear(0, first, second)
        assert [(blame.member, blame.evidence) for blame in bench.blames] == [
            (0, TwoStatements(first, second))
        ]
        for slot in range(1, predecessors + 1):
            bench.hear(0, ours.propose(slot))
        assert said(bench.drain(), Accepted) == [Accepted(0, first.slot, first.root)]


def test_a_wrong_root_is_blamed_and_not_accepted_and_the_right_proposal_still_is() -> None:
    """ "It checks … the root it recomputes is the proposed one." """
    script, bench = Script(), Bench()
    right = script.add(submission(1, 0))
    bench.hear(0, Propose(0, 1, right.batch, b"\x00" * 32, b"by the leader"))
    assert [blame.member for blame in bench.blames] == [0]
    assert persisted(bench.log) == []
    bench.hear(0, right)
    assert bench.replica.status.accepted == 1


def test_a_proposal_that_repeats_a_submission_is_refused() -> None:
    """Of an earlier slot, of this batch, or its number with another content."""
    other_content = submission(1, 0, b"something else")
    for repeated in ([submission(1, 0)], [other_content], [submission(2, 0), submission(2, 0)]):
        script, bench = Script(), Bench()
        bench.hear(0, script.add(submission(1, 0)))
        bad = script.add(*repeated)
        bench.hear(0, bad)
        ((culprit, evidence),) = [(blame.member, blame.evidence) for blame in bench.blames]
        assert culprit == 0
        assert isinstance(evidence, Repetition)
        assert evidence.propose == bad
        assert bench.replica.status.accepted == 1
