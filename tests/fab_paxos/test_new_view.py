"""Progress certificates: which NewView one stands for, and what a member keeps to."""

from __future__ import annotations

from dataclasses import replace

from fab_paxos.effects import Effect, NewViewRecord, Persist
from fab_paxos.joint_signing import SigningInTurn
from fab_paxos.messages import Progress
from fab_paxos.share_collector import Reputation
from fab_paxos.uncertified_log import UncertifiedLog
from fab_paxos.view_change import ViewChange, view_of
from quorum import ProgressStatement, QuorumCertificate
from tests.worlds.cluster import SIX
from verifiable_log.client_windows import ClientWindows
from verifiable_log.merkle import EMPTY

VIEW = 3


def opening(kept: bytes | None = None) -> ViewChange:
    """Of a member that has entered the view; ``kept`` is the digest of the NewView in its journal."""
    log = UncertifiedLog(EMPTY, ClientWindows(), checkpoint_slots=2)
    return ViewChange(SIX, 5, log, VIEW, kept, SigningInTurn(SIX, 5, Reputation(), view_of))


def certified(statement: ProgressStatement) -> QuorumCertificate:
    return QuorumCertificate(0, statement, b"joint")


def true_progress() -> Progress:
    progress = Progress(VIEW, bytes(32), None, (), certified(ProgressStatement(VIEW, bytes(32))))
    return replace(progress, certificate=certified(ProgressStatement(VIEW, progress.digest)))


def test_a_progress_certificate_opens_the_view_and_its_digest_is_kept_first() -> None:
    room, out, progress = opening(), list[Effect](), true_progress()
    assert room.on_progress(progress, out)
    assert out == [Persist(NewViewRecord(VIEW, progress.digest))]
    assert room.new_view == progress


def test_a_progress_certificate_is_for_one_new_view() -> None:
    progress = true_progress()
    for statement in (ProgressStatement(VIEW, bytes(32)), ProgressStatement(VIEW - 1, progress.digest)):
        room, out = opening(), list[Effect]()
        assert not room.on_progress(replace(progress, certificate=certified(statement)), out)
        assert (out, room.new_view) == ([], None)


def test_a_member_keeps_to_the_new_view_in_its_journal() -> None:
    progress = true_progress()
    room, out = opening(kept=b"k" * 32), list[Effect]()
    assert not room.on_progress(progress, out)
    assert (out, room.new_view) == ([], None)
    assert opening(kept=progress.digest).on_progress(progress, out)
    assert out == []


def test_what_was_wanted_in_an_earlier_view_is_said_no_more() -> None:
    room, statement = opening(), ProgressStatement(VIEW, bytes(32))
    room.joint_signing.want(statement, list[Effect]())
    room.enter_view(VIEW + 1)
    out = list[Effect]()
    room.joint_signing.on_endorsement_made(statement, b"share", proven=False, out=out)
    assert out == []
