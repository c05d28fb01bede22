"""Which blames are evidence, with what in hand, and which are suspicion only."""

from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import sha256

import pytest

from fab_paxos.acceptor import Acceptor
from fab_paxos.effects import Blame, BlameClient, Effect, Offence, TruncateRecord
from fab_paxos.events import Submitted
from fab_paxos.evidence import BrokenLog, Repetition, TwoStatements, TwoSubmissions, disagree
from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import Accepted, Certified, Forward, NewView, Propose, Report
from fab_paxos.selection import ReportedEntry
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import AcceptedStatement, QuorumCertificate, SuspectStatement
from tests.fab_paxos.test_catch_up import frame, log_of
from tests.worlds.cluster import SIX, submission
from tests.worlds.disk import Disk
from tests.worlds.single import Bench, Script, only, persisted, said
from verifiable_log import Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.limits import CLIENT_WINDOW
from verifiable_log.merkle import EMPTY


def evidence(bench: Bench) -> list[tuple[int, object]]:
    return [(blame.member, blame.evidence) for blame in bench.blames]


# -- two words on a slot -------------------------------------------------------------------------------


def test_the_first_word_is_kept_beside_the_second() -> None:
    bench = Bench()
    first, second = Accepted(0, 9, b"a" * 32, b"first"), Accepted(0, 9, b"b" * 32, b"second")
    bench.hear(2, first, first, second)
    bench.hear(3, second)
    assert evidence(bench) == [(2, TwoStatements(first, second))]


def test_the_first_word_counts_and_the_second_does_not() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    for member in (1, 2):
        bench.hear(member, script.accepted(1))
    bench.hear(3, Accepted(0, 1, bytes(32), b"s"), script.accepted(1))
    assert bench.decided == []
    bench.hear(4, script.accepted(1))
    assert bench.decided == [1]


def test_words_are_kept_until_the_slot_is_certified() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(1))
    assert bench.decided == [1]
    lie = Accepted(0, 1, bytes(32), b"by member 3")
    bench.hear(3, lie)
    assert evidence(bench) == [(3, TwoStatements(script.accepted(1), lie))]
    bench.hear(3, Certified(script.certificate(1)))
    bench.hear(0, script.add(submission(1, 1)))
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(2))
    assert all(set(words) <= {2} for words in bench.replica.rooms.learner._words)


def test_a_leaders_vote_against_its_own_proposal_in_either_order() -> None:
    for vote_first in (False, True):
        script, bench = Script(), Bench()
        propose, vote = script.add(submission(1, 0)), Accepted(0, 1, bytes(32), b"by the leader")
        bench.hear(0, *((vote, propose) if vote_first else (propose, vote)))
        assert evidence(bench) == [(0, TwoStatements(propose, vote))]


def test_another_log_is_suspicion_and_its_holder_is_shown_once_what_we_were_told() -> None:
    script, bench = Script(), Bench()
    propose = script.add(submission(1, 0))
    bench.hear(0, propose)
    vote = Accepted(0, 1, bytes(32), b"by member 3")
    assert said(bench.hear(3, vote), Propose) == [propose]
    assert said(bench.hear(3, vote), Propose) == []
    assert evidence(bench) == [(3, None), (3, None)]


def test_a_proposal_against_what_a_certificate_brought_is_suspicion() -> None:
    """Nothing of what a frame brings is signed by the leader."""
    script, bench = log_of(2), Bench()
    bench.hear(3, frame(script, 1, 1, 2))
    other = Script()
    bench.hear(0, replace(other.add(submission(7, 7)), slot=1))
    assert evidence(bench) == []  # in view 0, and out of memory
    bench = Bench()
    bench.hear(3, frame(script, 1, 2, 2))
    bench.hear(0, Propose(0, 2, script.batches[0], bytes(32), b"by the leader"))
    assert all(found is None for _, found in evidence(bench))


def test_a_proposal_against_what_a_new_view_brought_is_suspicion() -> None:
    """The leader signed the NewView as a whole, and none of its slots."""
    tail, batch, other = (
        UncertifiedLog(EMPTY, ClientWindows(), 100),
        *(Batch.of([submission(1, n)]) for n in (0, 1)),
    )
    tail.append(6, batch, tail.next_frontier(batch), b"")
    acceptor, out = Acceptor(SIX, tail, 1000), list[Effect]()
    acceptor.on_propose(Propose(6, 1, other, bytes(32), b"by the leader"), 0, True, out)
    assert out == [Blame(0, Offence.TWO_PROPOSALS, "1")]


# -- a log that does not follow, a number that is used -----------------------------------------------------


def test_a_wrong_root_is_evidence_with_the_proposal_before_it() -> None:
    script, bench = Script(), Bench()
    first = script.add(submission(1, 0))
    wrong = replace(first, root=bytes(32))
    bench.hear(0, wrong, first)
    second = replace(script.add(submission(1, 1)), root=bytes(32))
    bench.hear(0, second)
    assert evidence(bench) == [
        (0, BrokenLog(None, EMPTY, wrong)),
        (0, BrokenLog(first, script.frontiers[1], second)),
    ]


def test_a_wrong_root_after_a_certificate_is_suspicion() -> None:
    script, bench = log_of(2), Bench()
    bench.hear(3, frame(script, 1, 2, 2))
    bench.hear(0, Propose(0, 3, Batch.of([submission(5, 5)]), bytes(32), b"by the leader"))
    assert evidence(bench) == [(0, None)]


def test_an_expired_number_is_suspicion_because_nobody_knows_its_slot() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)), script.add(submission(1, CLIENT_WINDOW + 1)))
    bench.hear(0, script.add(submission(1, 0)))
    assert evidence(bench) == [(0, None)]
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, CLIENT_WINDOW + 1), submission(1, 0)))
    assert evidence(bench) == [(0, None)], "made stale by the same batch, which does not repeat it"


def test_a_repetition_names_the_first_place_and_what_leads_from_there() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, *(script.add(submission(1, number)) for number in range(3)))
    again = script.add(submission(2, 0), submission(1, 1))
    bench.hear(0, again)
    digests = tuple(batch.digest for batch in script.batches)
    assert evidence(bench) == [(0, Repetition(again, 1, 2, script.batches[1], 0, digests))]


# -- clients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("me", [0, 4])
def test_two_contents_of_a_number_are_evidence_wherever_they_meet(me: int) -> None:
    """As a client's own member, as one that is told, as the leader, and in the log."""
    first, second = submission(1, 7, b"to Alice"), submission(1, 7, b"to Bob")
    ways = [
        lambda bench, one: bench.step(Submitted(one)),
        lambda bench, one: bench.hear(2, Forward((one,))),
    ]
    for way in ways:
        bench = Bench(me)
        way(bench, first)
        way(bench, first)
        assert only(bench.log, BlameClient) == []
        way(bench, second)
        assert only(bench.log, BlameClient) == [BlameClient(TwoSubmissions(first, second))]
    script, bench = Script(), Bench(4)
    bench.hear(0, script.add(first))
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(1))
    bench.submit(second)
    assert only(bench.log, BlameClient) == [BlameClient(TwoSubmissions(first, second))]
    assert only(bench.log, Blame) == []


# -- Reports and NewViews ------------------------------------------------------------------------------------


def test_what_a_certificate_covers_is_no_disagreement() -> None:
    script = log_of(4)
    entries = [ReportedEntry(slot, 1, bytes([slot]) * 32) for slot in (3, 4, 5, 6)]
    lower = Report(2, None, tuple(entries))
    higher = Report(2, script.certificate(4), (entries[2],))
    for pair in ((lower, higher), (higher, lower)):
        assert not disagree(*pair)
    changed = replace(lower, entries=(replace(entries[0], view=0), *entries[1:]))
    assert disagree(lower, changed)
    assert not disagree(changed, higher), "slot 3 is certified since: another log may have had another entry"
    assert disagree(lower, replace(higher, entries=(replace(entries[2], batch_digest=bytes(32)),)))


def test_the_body_of_a_report_can_be_read_again() -> None:
    script = log_of(4)
    entries = tuple(ReportedEntry(slot, slot % 3, bytes([slot]) * 32) for slot in range(5, 9))
    for report in (
        Report(7, None, ()),
        Report(7, None, entries),
        Report(7, script.certificate(4), ()),
        Report(7, script.certificate(4), entries),
    ):
        assert Report.of_body(7, report.body) == report
        for end in range(len(report.body)):
            if end != 4 and (end - len(report.body)) % 48:
                with pytest.raises(ValueError, match="length"):
                    Report.of_body(7, report.body[:end])
    elected = QuorumCertificate(3, SuspectStatement(6), b"joint").encode()
    for body, why in {
        b"": "length",
        b"\x00": "length",
        b"\xff" * 60: "length",
        b"\x00\x00\x00\x01x": "ends within its head",
        b"\x00\x00\x00\x09\x01" + bytes(8): "48 bytes of fields, not 0",
        struct.pack(">I", len(elected)) + elected: "not a decision certificate",
    }.items():
        with pytest.raises(ValueError, match=why):
            Report.of_body(7, body)


def test_the_body_of_a_report_is_frozen() -> None:
    """``length u32 | tag u8, epoch u64, fields, signature | (slot u64, view u64, batch_digest[32])*``"""
    base = QuorumCertificate(5, AcceptedStatement(1, 2, b"\xaa" * 32), b"joint")
    report = Report(3, base, (ReportedEntry(3, 2, b"\xbb" * 32),))
    assert report.body.hex() == (
        "0000003e"
        "01"
        "0000000000000005"
        "0000000000000001"
        "0000000000000002" + "aa" * 32 + b"joint".hex() + "0000000000000003"
        "0000000000000002" + "bb" * 32
    )
    assert report.body_digest == sha256(report.body).digest()


def test_no_other_new_view_has_the_bytes_of_a_true_one() -> None:
    """Regression: without the number of Reports, 8 of them and a zero could pass for 9 more digests, and a
    correct leader of 21 members for one that signed a NewView with too few Reports."""
    reports = tuple((member, Report(1, None, ())) for member in range(17))
    true = NewView(1, reports, ())
    tail = b"".join(struct.pack(">I", member) + report.body_digest for member, report in reports[9:])
    tail += struct.pack(">I", 0)
    assert struct.unpack(">I", tail[:4]) == (9,)
    digests = tuple(tail[place : place + 32] for place in range(4, len(tail), 32))
    assert [len(digest) for digest in digests] == [32] * 9
    assert NewView(1, reports[:9], digests).digest != true.digest


# -- silence ---------------------------------------------------------------------------------------------


def exchanged() -> tuple[Bench, Script]:
    """Slots 1 to 3 of one log were accepted and spoken of; slot 1 of another one is proven."""
    script, other, bench = log_of(WINDOW_SLOTS // 4), Script(), Bench()
    for number in range(3):
        bench.hear(0, other.add(submission(7, number)))
    assert [vote.slot for vote in said(bench.drain(), Accepted)] == [3]
    bench.hear(3, frame(script, 1, 1, 1))
    return bench, script


def test_the_record_of_a_cut_says_of_what_was_spoken() -> None:
    bench, script = exchanged()
    assert [p.record for p in persisted(bench.log) if isinstance(p.record, TruncateRecord)] == [
        TruncateRecord(0, 3)
    ]
    disk = Disk()
    disk.write([persist.record for persist in persisted(bench.log)])
    again = Bench(state=disk.restore())
    for one in (bench, again):
        one.hear(0, script.propose(2), script.propose(3))
        assert said(one.drain(), Accepted) == []
        one.hear(0, script.propose(4))
        assert [vote.slot for vote in said(one.drain(), Accepted)] == [4]
