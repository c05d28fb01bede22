"""Flags, shares, bad and withheld shares, certificates (docs/concepts/protocol.md, section 6)."""

from __future__ import annotations

from dataclasses import replace

from fab_paxos.effects import Broadcast, Combine, Endorse, Send, Timer
from fab_paxos.events import (
    CombinationFailed,
    Combined,
    EndorsementMade,
    EndorsementRefused,
    ProofsWanted,
    TimerFired,
)
from fab_paxos.limits import CERTIFICATE_SLOTS, SHARES_PER_BEAT
from fab_paxos.messages import Accepted, Certified, CertifyRequest, Endorsed, Message, ProveShare, Status
from quorum import AcceptedStatement, Endorsement, combine
from quorum.signature_set import Ed25519Endorser, SignatureSetScheme
from tests.quorum.keys import ed25519_keys
from tests.worlds.checkers import check, check_all
from tests.worlds.cluster import Cluster, Tamper, submission
from tests.worlds.single import Bench, Script, certified, only, said
from tests.worlds.standin import BAD_PLAIN, BAD_PROVEN, CONTEXT, PLAIN, StandInScheme

BEAT = TimerFired(Timer.HEARTBEAT)


def bad_shares(*, proofs: bool) -> Tamper:
    """A member whose every share is wrong, the proofs too if it sends any."""

    def tamper(sender: int, to: int, message: Message) -> list[Message]:
        if not isinstance(message, Endorsed):
            return [message]
        plain = message.endorsement.signature.startswith(PLAIN)
        if not plain and not proofs:
            return []
        return [Endorsed(replace(message.endorsement, signature=BAD_PLAIN if plain else BAD_PROVEN))]

    return tamper


def test_flags_are_self_clocked() -> None:
    """ "The leader flags a slot when the previous certificate is complete." """
    bench, script = Bench(me=0), Script()
    flags = []
    for first, end in ((0, 1), (1, 2), (2, 4), (4, 8)):  # each worth a slot beside those before it
        together = [submission(1, seq) for seq in range(first, end)]
        script.add(*together)
        bench.submit(*together)
        flags += said(bench.drain(), CertifyRequest)
    assert flags == [CertifyRequest(0, 1)]
    bench.step(Combined(script.certificate(1)))
    assert said(bench.drain(), CertifyRequest) == [CertifyRequest(0, 4)]
    bench.step(Combined(script.certificate(4)))
    assert said(bench.drain(), CertifyRequest) == []


def shares_to(bench: Bench, script: Script, slot: int) -> list[int | None]:
    """To whom this member's share on the slot goes at once: members, or None for all."""
    statement = script.statement(slot)
    share = script.endorsement(bench.me, slot).signature
    effects = bench.step(EndorsementMade(statement, share, proven=False))
    spoken = [effect for effect in effects if isinstance(effect, Broadcast | Send)]
    assert all(isinstance(effect.message, Endorsed) for effect in spoken)
    return [effect.to if isinstance(effect, Send) else None for effect in spoken]


def test_shares_go_to_the_leader_and_to_whoever_is_attended() -> None:
    script, bench = Script(), Bench()
    for seq in range(3):
        bench.hear(0, script.add(submission(1, seq)))
    assert shares_to(bench, script, 1) == [None]
    for member in (0, 1, 2, 3):
        bench.hear(member, Status(0, 0, 0, 0, proofs_wanted=member == 2))
    assert shares_to(bench, script, 2) == [0, 2, 4]  # of 4 nothing is known
    bench.hear(4, Status(0, 0, 0, 0))
    bench.hear(2, Status(0, 0, 0, 0, proofs_wanted=False))
    assert shares_to(bench, script, 3) == [0, 4]


def test_who_is_attended_now_gets_the_share_that_others_have() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 1)))
    for member in (1, 2):
        bench.hear(member, Status(0, 1, 0, 0, proofs_wanted=False))
    shares_to(bench, script, 1)
    assert said(bench.hear(2, Status(0, 1, 0, 0)), Endorsed) == [Endorsed(script.endorsement(5, 1))]
    assert said(bench.hear(2, Status(0, 1, 0, 0)), Endorsed) == []
    bench.hear(0, Certified(script.certificate(1)))
    assert said(bench.hear(1, Status(0, 1, 1, 1)), Endorsed) == []


def test_the_leader_gives_the_certificate_to_whoever_got_no_shares() -> None:
    script, bench = Script(), Bench(me=0)
    bench.submit(submission(1, 1))
    bench.drain()
    script.add(submission(1, 1))
    for member in (2, 3):
        bench.hear(member, Status(0, 0, 0, 0, proofs_wanted=False))
    certificate = script.certificate(1)
    told = [effect for effect in bench.step(Combined(certificate)) if isinstance(effect, Send)]
    assert told == [Send(2, Certified(certificate)), Send(3, Certified(certificate))]


def test_a_member_says_at_once_that_it_is_attended_and_in_time_that_it_is_not() -> None:
    bench = Bench()
    assert bench.step(ProofsWanted(False)) == []
    assert not bench.replica.status.proofs_wanted
    assert bench.step(ProofsWanted(True)) == [Broadcast(bench.replica.status)]
    assert bench.replica.status.proofs_wanted
    assert bench.step(ProofsWanted(True)) == []


def test_where_nobody_waits_certificates_come_all_the_same() -> None:
    """Also from a leader that keeps them back: with the next heartbeat."""

    def keeps_back(sender: int, to: int, message: Message) -> list[Message]:
        return [] if isinstance(message, Certified) and sender == 0 else [message]

    for tamper in (None, keeps_back):
        cluster = Cluster()
        cluster.tampers = {0: tamper} if tamper else {}
        for member in cluster.members:
            member.post(ProofsWanted(member.me == 1))
        cluster.beat()
        cluster.run()
        cluster.submit(1, submission(1, 1))
        cluster.run()
        expected = [0, 1] if tamper else [0, 1, 2, 3, 4, 5]
        assert [m.me for m in cluster.members if m.engine.status.certified == 1] == expected
        cluster.beat()
        cluster.run()
        assert all(member.engine.status.certified == 1 for member in cluster.members)


def test_a_flagged_slot_is_endorsed_once_it_is_accepted_and_one_at_a_time() -> None:
    script, bench = Script(), Bench()
    for seq in range(3):
        script.add(submission(1, seq))
    bench.hear(0, CertifyRequest(0, 2), script.propose(1))
    assert only(bench.drain(), Endorse) == []
    bench.hear(0, script.propose(2))
    assert only(bench.drain(), Endorse) == [Endorse(script.statement(2))]
    bench.hear(0, script.propose(3), CertifyRequest(0, 3))
    assert only(bench.drain(), Endorse) == []
    bench.step(EndorsementMade(script.statement(2), b"share", False))
    assert only(bench.drain(), Endorse) == [Endorse(script.statement(3))]


def test_a_far_slot_that_is_requested_after_a_near_one_costs_no_share() -> None:
    """Else one share after another would be made, sent and thrown away until that slot comes."""
    script, bench = Script(), Bench()
    for seq in range(CERTIFICATE_SLOTS + 1):
        bench.hear(0, script.add(submission(1, seq)))
    near = script.statement(CERTIFICATE_SLOTS + 1)
    bench.hear(0, CertifyRequest(0, near.slot))
    assert only(bench.drain(), Endorse) == [Endorse(near)]
    bench.step(EndorsementMade(near, b"share", False))
    bench.hear(0, CertifyRequest(0, near.slot + 1))
    assert only(bench.drain(), Endorse) == []
    bench.hear(0, script.add(submission(2, 0)))
    assert only(bench.drain(), Endorse) == [Endorse(script.statement(near.slot + 1))]


def test_a_share_on_a_log_that_was_replaced_is_followed_by_one_on_the_log_that_is_here() -> None:
    script, bench = Script(), Bench()
    for seq in range(CERTIFICATE_SLOTS + 1):
        bench.hear(0, script.add(submission(1, seq)))
    due, gone = script.statement(CERTIFICATE_SLOTS), AcceptedStatement(0, CERTIFICATE_SLOTS + 1, bytes(32))
    bench.drain()
    bench.step(EndorsementMade(gone, b"of another log", False))
    assert only(bench.drain(), Endorse) == [Endorse(due)]
    for _ in range(2):
        bench.step(EndorsementMade(due, b"share", False))
        assert only(bench.drain(), Endorse) == []


def test_only_the_leader_flags() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    bench.hear(3, CertifyRequest(0, 1))
    assert only(bench.drain(), Endorse) == []


def test_without_any_flag_members_endorse_every_so_many_slots() -> None:
    """ "and at the latest every C slots": a leader that forgets its flags withholds no certificates."""
    script, bench = Script(), Bench()
    for seq in range(CERTIFICATE_SLOTS):
        assert only(bench.drain(), Endorse) == []
        bench.hear(0, script.add(submission(1, seq)))
    assert only(bench.drain(), Endorse) == [Endorse(script.statement(CERTIFICATE_SLOTS))]


def test_the_last_slots_get_their_certificate_when_the_load_stops() -> None:
    for seed in range(5):
        cluster = Cluster(seed=seed)
        for seq in range(50):
            cluster.submit(seq % 6, submission(seq % 4, seq))
            cluster.run(30)
        cluster.settle(beats=1)
        check_all(cluster)


def test_an_overdue_flag_moves_to_the_tip() -> None:
    """One member has passed the flagged slot for a later one and will not go back: all meet at the tip."""
    bench, script = Bench(me=0), Script()
    for seq in range(2):
        script.add(submission(1, seq))
        bench.submit(submission(1, seq))
        bench.drain()
    assert said(bench.step(BEAT), CertifyRequest) == [CertifyRequest(0, 1)]
    assert said(bench.step(BEAT), CertifyRequest) == [CertifyRequest(0, 2)]


def test_a_member_that_wants_a_later_slot_does_not_keep_the_last_ones_uncertified() -> None:
    """Members with certificates 33 and 20 disagree whether slot 64 is due; the alliance still converges."""
    cluster = Cluster(seed=1)
    cluster.run()
    late = cluster.members[3].engine
    late.rooms.certifier._wanted = 40  # as if it had passed a multiple of C that the others do not care for
    for seq in range(30):
        cluster.submit(0, submission(1, seq))
        cluster.run()
    cluster.crash(5)
    for seq in range(30, 45):
        cluster.submit(0, submission(1, seq))
        cluster.run()
    cluster.settle()
    check_all(cluster)


def test_shares_that_come_before_the_log_make_a_certificate_that_waits_for_it() -> None:
    script, bench = Script(), Bench()
    for seq in range(2):
        script.add(submission(1, seq))
    for member in range(5):
        bench.hear(member, Endorsed(script.endorsement(member, 2)))
    (effect,) = only(bench.log, Combine)
    certificate = combine(StandInScheme(5), effect.endorsements)
    assert certified(bench.step(Combined(certificate))) == []
    bench.hear(0, script.propose(1), script.propose(2))
    assert bench.decided == [1, 2]  # "a valid certificate from any one member is proof enough"
    assert certified(bench.log) == [2]


def test_an_older_certificate_does_not_displace_one_that_waits() -> None:
    script, bench = Script(), Bench()
    for seq in range(6):
        script.add(submission(1, seq))
    bench.hear(1, Certified(script.certificate(6)))
    bench.hear(0, script.propose(1), script.propose(2))
    bench.hear(2, Certified(script.certificate(2)))
    bench.hear(0, *(script.propose(slot) for slot in range(3, 7)))
    assert certified(bench.log) == [2, 6]


def test_endorsements_of_another_member_are_not_taken_from_this_one() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    bench.hear(1, *(Endorsed(script.endorsement(member, 1)) for member in range(5)))
    assert only(bench.log, Combine) == []


def test_bad_shares_are_hunted_by_proofs_and_the_certificate_is_made_without_them() -> None:
    """docs/development/testing.md, scenario 9: when combining fails, proofs are asked for, and name the
    culprits."""
    asked = blamed = 0
    for seed in range(12):
        cluster = Cluster(seed=seed)
        cluster.keep_sent = True
        cluster.tampers[2] = bad_shares(proofs=True)
        for seq in range(12):
            cluster.submit(seq % 6, submission(seq % 4, seq))
            cluster.run(80)
        cluster.settle()
        check_all(cluster)
        asked += sum(isinstance(message, ProveShare) for _, _, message in cluster.sent)
        names = {b.member for m in cluster.correct() for b in m.blames}
        assert names <= {2}
        blamed += names == {2}
    assert asked
    assert blamed


def test_bad_shares_without_any_proof_do_not_stop_the_certificates() -> None:
    for seed in range(12):
        cluster = Cluster(seed=seed, loss=0.1)
        cluster.tampers[2] = bad_shares(proofs=False)
        for seq in range(12):
            cluster.submit(seq % 6, submission(seq % 4, seq))
            cluster.run(80)
        cluster.settle()
        check_all(cluster)
        assert {b.member for m in cluster.correct() for b in m.blames} == set()  # nothing is proven


def test_a_culprit_is_blamed_once_and_its_shares_are_not_taken_again() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)), script.add(submission(1, 1)))
    bad = Endorsement(script.statement(1), 1, BAD_PROVEN)
    bench.hear(1, Endorsed(bad))
    for member in (0, 2, 3, 4):
        bench.hear(member, Endorsed(script.endorsement(member, 1, proven=True)))
    assert len(only(bench.log, Combine)) == 1
    bench.step(CombinationFailed(script.statement(1), (1,), ()))
    assert [blame.member for blame in bench.blames] == [1]
    effects = bench.hear(1, Endorsed(script.endorsement(1, 1)), Endorsed(script.endorsement(1, 2)))
    assert only(effects, Combine) == []
    bench.step(EndorsementMade(script.statement(1), script.endorsement(5, 1).signature, False))
    assert {e.member for e in only(bench.log, Combine)[-1].endorsements} == {0, 2, 3, 4, 5}


def test_a_flood_of_bad_shares_costs_few_combinations_a_heartbeat() -> None:
    """A thousand bad shares of one member cost a few combinations, and do not stop the certificate."""
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    for member in (0, 2, 3, 4):
        bench.hear(member, Endorsed(script.endorsement(member, 1, proven=True)))
    for beat in range(1, 4):
        for _ in range(1000):
            effects = bench.hear(1, Endorsed(Endorsement(script.statement(1), 1, BAD_PLAIN)))
            for _ in only(effects, Combine):
                bench.step(CombinationFailed(script.statement(1), (), (1,)))
        assert len(only(bench.log, Combine)) == beat * SHARES_PER_BEAT
        bench.step(BEAT)
    bench.step(EndorsementMade(script.statement(1), script.endorsement(5, 1).signature, False))
    assert only(bench.log, Combine)[-1].endorsements[-1].member == 5


def test_a_lost_request_for_proofs_is_repeated_after_a_heartbeat() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)))
    for _ in range(3):
        for member in range(5):
            bench.hear(member, Endorsed(script.endorsement(member, 1)))
        effects = bench.step(CombinationFailed(script.statement(1), (), (0, 1, 2, 3, 4)))
        assert said(effects, ProveShare) == [ProveShare(script.statement(1))]
        bench.step(BEAT)


def test_a_proof_is_given_once_for_a_statement_and_only_for_our_own_word() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(1, 0)), CertifyRequest(0, 1))
    ask = ProveShare(script.statement(1))
    assert only(bench.hear(1, ask), Endorse) == []
    bench.drain()
    bench.step(EndorsementMade(script.statement(1), b"share", False))
    assert only(bench.hear(1, ask, ask), Endorse) == [Endorse(script.statement(1), proven=True)]
    assert only(bench.hear(2, ask), Endorse) == []


def test_a_late_proof_does_not_displace_our_newer_share() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(9, 1)), script.add(submission(9, 2)), CertifyRequest(0, 2))
    bench.drain()
    bench.step(EndorsementMade(script.statement(2), b"newer", False))
    bench.step(EndorsementMade(script.statement(1), b"older", True))
    repeated = said(bench.step(BEAT), Endorsed)
    assert [endorsed.endorsement.signature for endorsed in repeated] == [b"newer"]


def test_withheld_shares_do_not_matter_up_to_f() -> None:
    """docs/development/testing.md, scenario 10: a member that votes but gives no share."""
    cluster = Cluster(seed=4)
    cluster.tampers[1] = lambda sender, to, message: [] if isinstance(message, Endorsed) else [message]
    for seq in range(20):
        cluster.submit(seq % 6, submission(seq % 4, seq))
        cluster.run(80)
    cluster.settle()
    check_all(cluster)


def test_without_enough_shares_the_log_is_decided_and_never_certified() -> None:
    """docs/development/testing.md, scenario 10, with more than f of them: nothing wrong is decided, nothing
    proven."""
    cluster = Cluster(seed=4)
    withheld = (Endorsed, Certified)  # those who withhold hold enough shares of others themselves
    for me in (1, 2):
        cluster.tampers[me] = lambda sender, to, message: [] if isinstance(message, withheld) else [message]
    for seq in range(20):
        cluster.submit(seq % 6, submission(seq % 4, seq))
        cluster.run(80)
    cluster.settle()
    check(cluster)
    status = cluster.members[0].engine.status
    assert status.decided == status.accepted > 0
    assert status.certified == 0


def test_a_signer_that_refuses_does_not_block_later_slots() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(9, 3)), CertifyRequest(0, 1))
    assert only(bench.drain(), Endorse) == [Endorse(script.statement(1))]
    bench.hear(0, script.add(submission(9, 4)), CertifyRequest(0, 2))
    bench.step(EndorsementRefused(script.statement(1)))
    assert only(bench.drain(), Endorse) == [Endorse(script.statement(2))]


def test_lost_flags_and_shares_are_repeated_on_the_heartbeat() -> None:
    script, bench = Script(), Bench()
    bench.hear(0, script.add(submission(9, 5)), CertifyRequest(0, 1))
    bench.drain()
    bench.step(EndorsementMade(script.statement(1), b"share", False))
    assert len(said(bench.step(BEAT), Endorsed)) == 1
    for member in (1, 2, 3):
        bench.hear(member, Accepted(0, 1, script.root(1)))
    bench.step(Combined(script.certificate(1)))
    assert said(bench.step(BEAT), Endorsed) == []


def test_certificates_of_real_signatures() -> None:
    """The same with Ed25519 signature sets instead of the stand-in."""
    keys = ed25519_keys(6)
    scheme = SignatureSetScheme([key.public_key() for key in keys], 5, CONTEXT)
    cluster = Cluster(seed=2, scheme=scheme, endorsers=[Ed25519Endorser(key) for key in keys])
    cluster.tampers[3] = bad_shares(proofs=True)
    for seq in range(6):
        cluster.submit(seq % 6, submission(1, seq))
        cluster.run(100)
    cluster.settle()
    check_all(cluster)


def test_who_never_proves_its_shares_soon_spoils_no_combination() -> None:
    """A bad share without a proof convicts nobody; its sender is looked at last, and slows nobody down."""
    cluster = Cluster(seed=3)
    failures: list[int] = []

    cluster.tampers[3] = bad_shares(proofs=False)
    for seq in range(12):
        before = sum(len(told) for told in asked(cluster))
        cluster.keep_sent = True
        cluster.submit(1, submission(1, seq))
        cluster.run()
        failures.append(sum(len(told) for told in asked(cluster)) - before)
        cluster.beat()
        cluster.run()
    assert failures[0] > 0
    assert not any(failures[6:]), failures
    assert not any(member.blames for member in cluster.members if member.me != 3)
    check_all(cluster)


def asked(cluster: Cluster) -> list[list[Message]]:
    """The proofs that each member asked for."""
    return [
        [said for sender, _, said in cluster.sent if sender == me and isinstance(said, ProveShare)]
        for me in range(6)
    ]


def test_a_certificate_that_comes_late_is_not_the_furthest() -> None:
    """The last part of a state may bring one that was passed meanwhile: a Report speaks of the newest."""
    cluster = Cluster()
    for seq in (1, 2):
        cluster.submit(0, submission(1, seq))
        cluster.run()
        cluster.beat()
        cluster.run()
    older, newer = cluster.members[1].certificates[0], cluster.members[1].certificates[-1]
    certifier = cluster.members[1].engine.rooms.certifier
    assert certifier.newest == certifier.furthest == newer != older
    certifier.keep_for_later(older)
    assert certifier.beyond is None
    assert certifier.furthest == newer
