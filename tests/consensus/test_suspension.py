"""Suspension: one correct operator is enough, it is quick, and it stands in nobody's way."""

from __future__ import annotations

import pytest

from consensus.control.changes import ChangeKind
from consensus.control.commands import Approve, Deal
from consensus.control.edits import SetAddress
from consensus.control.operations import DropMember, Reinstate, SetSystem, Suspend
from consensus.control.record import Phase
from consensus.control.rows import PolicyRow
from consensus.limits import WINDOW_SLOTS
from quorum import QuorumSystem
from tests.consensus.alliance import Log, client_id, found, put_member

FULL, LIGHT = ChangeKind.FULL, ChangeKind.LIGHT
ELEVEN = tuple(f"org-{letter}" for letter in "abcdefghijk")


def test_f_org_and_one_more_operators_suspend_a_member_a_window_later() -> None:
    log = Log()
    change_id, _ = log.propose("org-a", log.change(LIGHT, Suspend("m-c")))
    assert log.state.end is None
    assert log.do(Approve("org-b", change_id)) == [""]
    assert (log.state.end, log.state.effective) == (log.state.slot + WINDOW_SLOTS,) * 2
    assert log.state.suspected == (2,)
    assert log.state.eligible == (0, 1, 2, 3, 4, 5)
    log.finish()
    assert (log.state.epoch, log.state.dealing, log.state.start) == (1, 0, log.state.slot)
    assert log.state.eligible == (0, 1, 3, 4, 5)
    assert log.state.suspected == ()


def test_epoch_suspend_f_org_above_f() -> None:
    """How many operators suspend follows from how many of them may be faulty, and not from the members' f."""
    log = Log(found(QuorumSystem(11, 1), ELEVEN, PolicyRow(3)))
    change_id, _ = log.propose("org-a", log.change(LIGHT, Suspend("m-c")))
    for organisation in ELEVEN[1:3]:
        assert log.do(Approve(organisation, change_id)) == [""]
        assert log.state.end is None
    assert log.do(Approve("org-d", change_id)) == [""]
    assert log.state.end is not None


def test_more_than_f_are_not_suspended_but_exchanged_by_as_many_as_approve() -> None:
    log = Log()
    log.agree(log.change(LIGHT, Suspend("m-c")), ("org-a", "org-b"))
    log.finish()
    assert "at most faulty_max" in log.propose("org-a", log.change(LIGHT, Suspend("m-d")))[1]
    exchange = log.change(LIGHT, Reinstate("m-c"), Suspend("m-d"))
    change_id, refusal = log.propose("org-a", exchange)
    assert not refusal
    for organisation in ("org-b", "org-c"):
        assert log.do(Approve(organisation, change_id)) == [""]
        assert log.state.end is None
    assert log.do(Approve("org-d", change_id)) == [""]
    log.finish()
    assert log.state.directory.suspended == ("m-d",)


def test_epoch_suspend_during_resharing() -> None:
    """It ends a change that is being dealt for, which begins again, still approved, in the next epoch."""
    log = Log()
    change = log.agree(log.change(FULL, put_member("m-a", "org-a", "new a")))
    log.deal(["m-a", "m-b"])
    log.agree(log.change(LIGHT, Suspend("m-c")), ("org-b", "org-c"))
    assert (log.state.phase, log.state.active) == (Phase.SCHEDULED, None)
    assert "under way" in log.edit("org-a", SetAddress("m-a", "x:1"))
    assert log.state.admits(client_id("new a"), log.state.end or 0)
    log.finish()
    assert log.state.dealt_for.approved.change_id == change
    assert (log.state.dealt_for.attempt, log.state.dealt_for.dealings) == (0, ())
    assert log.deal([f"m-{letter}" for letter in "abcde"]) == [""] * 5
    log.keys["m-a"] = "new a"
    assert log.ready([f"m-{letter}" for letter in "abcde"]) == [""] * 5
    log.finish()
    assert (log.state.epoch, log.state.dealing) == (2, 1)
    assert log.state.directory.suspended == ("m-c",)


def test_a_change_that_cannot_begin_again_is_over() -> None:
    """A suspension takes the only place that the next membership had for one."""
    log = Log(found(QuorumSystem(11, 2), ELEVEN))
    log.agree(log.change(LIGHT, Suspend("m-c")), ELEVEN[:3])
    log.finish()
    log.agree(log.change(FULL, SetSystem("classic", 1)), ELEVEN[:7])
    log.agree(log.change(LIGHT, Suspend("m-d")), ELEVEN[:3])
    log.finish()
    assert log.state.directory.suspended == ("m-c", "m-d")
    assert (log.state.phase, log.state.under_way) == (Phase.IDLE, ())


def test_what_members_said_before_a_suspension_is_not_said_again_by_others() -> None:
    """The change begins again under its name, and of each member the first dealing counts: who repeats one of
    before would have its dealer look like a liar, and keep it from dealing."""
    log = Log()
    change_id = log.agree(log.change(FULL))
    members = [f"m-{letter}" for letter in "abcde"]
    said = [log.sign(Deal(name, change_id, 0, b"of epoch 0")) for name in members]
    said += [log.sign(log.ready_command(name, change_id, b"t" * 32)) for name in members]
    assert [told.refusal for told in log.slot(*said[:6])] == [""] * 6
    log.agree(log.change(LIGHT, Suspend("m-c")), ("org-b", "org-c"))
    log.finish()
    for told in log.slot(*said):
        assert "the signature is not one of" in told.refusal
    assert log.deal(members) == [""] * 5
    for told in log.slot(*said[5:]):
        assert "the signature is not one of" in told.refusal
    assert log.ready(members) == [""] * 5
    log.finish()
    # Who was away says it in the next epoch, of the one that has dealt.
    late = log.ready_command("m-f", change_id, b"t" * 32)
    assert log.do(late) == [""]


def test_a_suspension_is_merged_into_an_end_that_is_scheduled() -> None:
    log = Log()
    log.agree(log.change(FULL, put_member("m-a", "org-a", "new a")))
    log.deal([f"m-{letter}" for letter in "abcde"])
    log.keys["m-a"] = "new a"
    log.ready([f"m-{letter}" for letter in "abcde"])
    end = log.state.end
    log.run(WINDOW_SLOTS // 2)
    log.agree(log.change(LIGHT, Suspend("m-c")), ("org-b", "org-c"))
    assert (log.state.end, log.state.suspected) == (end, (2,))
    assert "suspended already" in log.propose("org-a", log.change(LIGHT, Suspend("m-c"), Suspend("m-c")))[1]
    log.finish()
    assert log.state.directory.suspended == ("m-c",)
    assert (log.state.epoch, log.state.dealing) == (1, 1)


@pytest.mark.parametrize("other", ["m-d", "m-f"])
def test_a_suspension_that_does_not_fit_a_scheduled_end_has_no_effect(other: str) -> None:
    """One place is taken already; or the member goes anyway."""
    letters = "abcdefg"
    log = Log(found(QuorumSystem(7, 1), tuple(f"org-{letter}" for letter in letters)))
    if other == "m-d":
        log.agree(log.change(LIGHT, Suspend("m-c")), ("org-a", "org-b"))
    else:
        log.agree(log.change(FULL, DropMember("m-f")), tuple(f"org-{letter}" for letter in "abcde"))
        log.deal([f"m-{letter}" for letter in letters])
        log.ready([f"m-{letter}" for letter in "abcde"])
    assert log.state.end is not None
    log.agree(log.change(LIGHT, Suspend(other)), ("org-b", "org-c"))
    assert len(log.state.scheduled) == 1
    log.finish()
    assert other not in log.state.directory.suspended


def test_epoch_suspension_leaves_votes_and_shares_alone() -> None:
    """Who is suspended deals and is ready like the others."""
    log = Log()
    log.agree(log.change(LIGHT, Suspend("m-a")), ("org-b", "org-c"))
    log.finish()
    log.agree(log.change(FULL))
    assert log.deal([f"m-{letter}" for letter in "abcde"]) == [""] * 5
    assert log.ready([f"m-{letter}" for letter in "abcde"]) == [""] * 5
    assert log.state.admits(client_id("m-a"), log.state.slot + 1)
