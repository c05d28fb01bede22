"""What a member reports is what it voted for, and nothing that it only took from a certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fab_paxos import RestoredState
from fab_paxos.effects import Timer
from fab_paxos.events import TimerFired
from fab_paxos.messages import Certified, NewView, Report, slot_of_base
from fab_paxos.uncertified_log import UncertifiedLog, UncoveredReport
from quorum import AcceptedStatement, QuorumCertificate, QuorumSystem, SuspectStatement
from quorum.system import LEAN
from tests.fab_paxos.test_catch_up import frame, log_of
from tests.worlds.cluster import submission
from tests.worlds.control import TinyControl
from tests.worlds.single import Bench, Script, said
from tests.worlds.world import World
from verifiable_log import Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.merkle import EMPTY

FOUR = QuorumSystem(4, 1, LEAN)


def of_later_view(certificate: QuorumCertificate) -> QuorumCertificate:
    """The same log, certified in view 7, in which the member never was."""
    statement = certificate.statement
    assert isinstance(statement, AcceptedStatement)
    return replace(certificate, statement=replace(statement, view=7))


def proven_elsewhere(script: Script, bench: Bench) -> None:
    """Two slots come in a frame, under a certificate of a longer log and of a later view."""
    told = frame(script, 1, 2, 4)
    bench.hear(3, replace(told, certificate=of_later_view(told.certificate)))


def reported(bench: Bench) -> tuple[int, list[tuple[int, int]]]:
    """The base of the Report with which the bench enters view 1, and the slots and views it names."""
    (report,) = said(bench.hear(2, Certified(World().election_proof(1))), Report)
    return slot_of_base(report.base, 0), [(entry.slot, entry.view) for entry in report.entries]


def test_what_came_with_a_certificate_is_covered_by_it() -> None:
    script, bench = log_of(6), Bench()
    proven_elsewhere(script, bench)
    bench.hear(0, *(script.propose(slot) for slot in (3, 4, 5)))
    assert reported(bench) == (4, [(5, 0)])


def test_what_a_certificate_brings_back_is_covered_by_it() -> None:
    """Entries of view 0 that left the log come back in the view of the certificate that proves them."""
    script, bench = log_of(3), Bench()
    bench.hear(0, *(script.propose(slot) for slot in (1, 2, 3)))
    assert reported(bench) == (0, [(1, 0), (2, 0), (3, 0)])
    bench.hear(3, Certified(of_later_view(script.certificate(2))))
    (report,) = said(bench.hear(2, Certified(World().election_proof(2))), Report)
    assert (slot_of_base(report.base, 0), [entry.slot for entry in report.entries]) == (2, [3])


def test_a_report_that_would_name_it_is_not_made() -> None:
    """Were the certificate lost, the member would vouch for another view's word, and say so in its name."""
    script, bench = log_of(4), Bench()
    proven_elsewhere(script, bench)
    bench.replica.rooms.certifier.beyond = None
    with pytest.raises(UncoveredReport, match="slots up to 2"):
        bench.hear(2, Certified(World().election_proof(1)))


def test_a_report_that_would_leave_out_what_was_forgotten_is_not_made() -> None:
    script = log_of(3)
    bench = Bench(state=RestoredState(frontier=script.frontiers[3]))
    with pytest.raises(UncoveredReport):
        bench.hear(2, Certified(World().election_proof(1)))


def test_a_log_tells_its_own_votes_from_what_was_proven_to_it() -> None:
    log = UncertifiedLog(EMPTY, ClientWindows())
    for slot in (1, 2):
        batch = Batch.of([submission(1, slot)])
        log.append_proven(7, batch, log.next_frontier(batch))
    own = Batch.of([submission(1, 3)])
    log.append(0, own, log.next_frontier(own), b"by the leader")
    assert [entry.slot for entry in log.accepted_above(2)] == [3]
    for slot in (0, 1):
        with pytest.raises(UncoveredReport):
            log.accepted_above(slot)


def test_lean_a_leader_heeds_the_certificate_that_a_report_brings() -> None:
    """Its reporter may lack the log, and all others the certificate: then no Report of it ever ripened."""
    script = Script(FOUR)
    bench = Bench(me=1, system=FOUR, state=RestoredState(control=TinyControl()))
    bench.hear(0, script.add(submission(1, 0)))
    bench.hear(2, Certified(QuorumCertificate(3, SuspectStatement(0), b"joint")))
    bench.hear(2, Report(1, script.certificate(1), ()))
    bench.hear(3, Report(1, None, ()))
    assert bench.decided == [1]
    opened = bench.step(TimerFired(Timer.HEARTBEAT))  # its own Report names the certificate from now on
    assert [new_view.base for new_view in said(opened, NewView)] == [script.certificate(1)]
