"""Changes that operators approve together: how many, of what they saw, in time; and nobody holds them up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consensus.control.changes import Change, ChangeKind
from consensus.control.commands import Abort, Approve, Propose
from consensus.control.edits import SetAddress
from consensus.control.operations import (
    ChangeOperation,
    DropMember,
    DropOperator,
    PutMember,
    PutOperator,
    PutPolicy,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.record import Phase
from consensus.control.rows import OperatorRow, PolicyRow, Role
from consensus.limits import OPEN_CHANGES_MAX, WINDOW_SLOTS
from quorum import QuorumSystem
from tests.consensus.alliance import (
    ORGANISATIONS,
    Log,
    add_client,
    client_id,
    found,
    member_row,
    proof,
    public,
    put_member,
    put_operator,
)

SEVEN = (*ORGANISATIONS, "org-g")
FULL, LIGHT, POLICY = ChangeKind.FULL, ChangeKind.LIGHT, ChangeKind.POLICY


def test_a_change_begins_with_its_last_approval_and_not_before() -> None:
    log = Log()
    change_id, refusal = log.propose("org-a", log.change(FULL))
    assert not refusal
    for organisation in ORGANISATIONS[1:4]:
        assert (log.state.active, log.state.phase) == (None, Phase.IDLE)
        assert log.do(Approve(organisation, change_id)) == [""]
    assert log.state.active is not None
    assert log.state.active.approved.change_id == change_id
    assert log.state.opened == ()
    assert log.state.phase is Phase.APPROVED
    assert log.state.needs_time


def test_nobody_approves_twice_nor_in_the_name_of_another() -> None:
    log = Log()
    change_id, _ = log.propose("org-a", log.change(FULL))
    assert "has approved of it already" in log.do(Approve("org-a", change_id))[0]
    forged = log.sign(Approve("org-b", change_id), key="org-a")
    assert "the signature is not one of 'org-b'" in log.slot(forged)[0].refusal
    assert "no organisation 'org-z'" in log.do(Approve("org-z", change_id))[0]
    assert log.state.opened[0].approvals == ("org-a",)


@pytest.mark.parametrize(
    ("kind", "operations", "why"),
    [
        (LIGHT, (), "changes nothing"),
        (POLICY, (), "changes nothing"),
        (LIGHT, (DropMember("m-a"),), "by a full change"),
        (LIGHT, (put_member("m-g", "org-a"),), "by a full change"),
        (LIGHT, (SetSystem("lean", 1),), "by a full change"),
        (FULL, (PutPolicy(PolicyRow(1)),), "a kind of change of their own"),
        (POLICY, (Suspend("m-a"),), "a kind of change of their own"),
        (POLICY, (PutPolicy(PolicyRow(1)), DropMember("m-a")), "a kind of change of their own"),
        (POLICY, (PutPolicy(PolicyRow(2)),), "too few for 2 faulty"),
        (POLICY, (DropOperator("org-a"),), "runs a member"),
        (POLICY, (DropOperator("org-z"),), "no organisation 'org-z'"),
        (POLICY, (put_operator("org-b", "org-a"),), "is there already"),
        (POLICY, (put_operator("org-g", "m-a"),), "is there already"),
        (POLICY, (put_operator("org-g", "key"), put_operator("org-h", "key")), "is there already"),
        (POLICY, (put_operator("org-a", "key"), put_operator("org-b", "key")), "is there already"),
        (POLICY, (put_operator("org-a", "key"), put_operator("org-b", "org-a")), "was in use once"),
        (POLICY, (PutPolicy(PolicyRow(1)), PutPolicy(PolicyRow(255))), "too few for 255 faulty"),
        (POLICY, (PutOperator(OperatorRow("org-g", public("g")), bytes(64)),), "has not signed"),
        (FULL, (DropMember("m-z"),), "no member 'm-z'"),
        (FULL, (DropMember("m-a"),), "n >= 5f\\+1"),
        (FULL, (SetSystem("classic", 2),), "n >= 5f\\+1"),
        (FULL, (put_member("m-g", "org-g"),), "has no operator"),
        (FULL, (put_member("m-a", "org-b", "new"),), "belongs to 'org-a'"),
        (FULL, (put_member("m-g", "org-a", "org-b"),), "is there already"),
        (FULL, (put_member("m-g", "org-a", "c-b"),), "is there already"),
        (
            FULL,
            (PutMember(member_row("m-g", "org-a"), proof("org-b", Role.MEMBER, "m-g")),),
            "has not signed",
        ),
        (FULL, (PutMember(member_row("m-g", "org-a"), proof("org-a", Role.USER, "m-g")),), "has not signed"),
        (
            FULL,
            (PutMember(member_row("m-a", "org-a"), proof("org-a", Role.MEMBER, "m-a")),),
            "needs no proof",
        ),
        (FULL, (put_member("m-g", "org-a", receiver=""),), "no receiver key.*m-g"),
        (LIGHT, (Suspend("m-z"),), "no member 'm-z'"),
        (LIGHT, (Suspend("m-a"), Suspend("m-a")), "suspended already"),
        (LIGHT, (Suspend("m-a"), Suspend("m-b")), "at most faulty_max"),
        (LIGHT, (Reinstate("m-a"),), "is not suspended"),
    ],
)
def test_a_change_that_cannot_be_is_refused_at_once(
    kind: ChangeKind, operations: tuple[ChangeOperation, ...], why: str
) -> None:
    log = Log()
    _, refusal = log.propose("org-a", log.change(kind, *operations))
    with pytest.raises(AssertionError, match=why):
        assert not refusal
    assert log.state.opened == ()


def test_a_receiver_key_that_its_member_has_not_signed_is_refused() -> None:
    log = Log()
    row = replace(member_row("m-g", "org-a"), receiver=b"of somebody else")
    _, refusal = log.propose("org-a", log.change(FULL, PutMember(row, proof("org-a", Role.MEMBER, "m-g"))))
    assert "the receiver key of 'm-g' is not signed" in refusal


def test_no_keys_are_handed_on_to_members_without_receiver_keys() -> None:
    log = Log(found(receiver=""))
    assert "no receiver key" in log.propose("org-a", log.change(FULL))[1]


def test_a_change_counts_for_its_epoch_and_for_what_its_operators_saw() -> None:
    log = Log()
    change = log.change(LIGHT, Suspend("m-a"))
    for wrong, why in (
        (replace(change, from_epoch=1), "for epoch 1, and this is epoch 0"),
        (replace(change, base=bytes(32)), "are others by now"),
        (replace(change, operations=(Suspend("m-b"),)), "are others by now"),
        (replace(change, expires_slot=0), "expired"),
    ):
        assert why in log.propose("org-a", wrong)[1]


def test_epoch_approvals_outlive_edits_of_the_rows_that_they_are_about() -> None:
    """epoch_operator_flips_its_address: who is to be removed moves about, and is removed nevertheless."""
    log = Log(found(QuorumSystem(7, 1), SEVEN))
    change_id, _ = log.propose("org-a", log.change(FULL, DropMember("m-g")))
    for port, organisation in enumerate(ORGANISATIONS[1:5], 1):
        assert log.edit("org-g", SetAddress("m-g", f"m-g.example:{port}")) == ""
        assert log.do(Approve(organisation, change_id)) == [""]
    assert log.state.active is not None
    assert "a change of 'm-g' is under way" in log.edit("org-g", SetAddress("m-g", "m-g.example:9"))
    assert log.edit("org-f", SetAddress("m-f", "m-f.example:9")) == ""


def test_a_change_of_policy_or_operators_voids_what_was_open_under_the_old_ones() -> None:
    log = Log()
    opened, _ = log.propose("org-a", log.change(FULL))
    log.agree(log.change(POLICY, PutPolicy(PolicyRow(1, clients_max=7))))
    assert log.state.directory.policy.clients_max == 7
    assert log.state.opened == ()
    assert "no open change" in log.do(Approve("org-b", opened))[0]


def test_an_operator_that_is_replaced_by_a_change_signs_no_more() -> None:
    log = Log()
    log.agree(log.change(POLICY, put_operator("org-a", "new key of a")))
    assert "is not one of 'org-a'" in log.edit("org-a", SetAddress("m-a", "x:1"))
    log.keys["org-a"] = "new key of a"
    assert log.edit("org-a", SetAddress("m-a", "x:1")) == ""
    assert "no key comes back" in log.propose("org-b", log.change(POLICY, put_operator("org-a", "org-a")))[1]


def test_an_operator_that_a_change_removes_does_not_count_behind_it() -> None:
    """Seven that stand two faulty ones: with the seventh goes its vote, and what it has approved of."""
    log = Log()
    log.agree(log.change(POLICY, put_operator("org-g", "org-g"), PutPolicy(PolicyRow(2))))
    assert log.state.approve == 5
    refused = log.change(POLICY, DropOperator("org-g"))
    assert "6 operators are too few for 2 faulty" in log.propose("org-a", refused)[1]
    other, _ = log.propose("org-b", log.change(POLICY, PutPolicy(PolicyRow(2, 7))))
    assert log.do(*(Approve(name, other) for name in ("org-g", "org-c", "org-d"))) == ["", "", ""]
    smaller = log.change(POLICY, DropOperator("org-g"), PutPolicy(PolicyRow(1)))
    log.agree(smaller, ["org-g", "org-a", "org-b", "org-c", "org-d"])
    assert (log.state.approve, log.state.opened) == (4, ())
    assert (
        "no organisation 'org-g'" in log.propose("org-g", log.change(POLICY, PutPolicy(PolicyRow(1, 7))))[1]
    )
    assert "no open change" in log.do(Approve("org-a", other))[0]


def test_an_operator_of_the_same_change_does_not_approve_of_it() -> None:
    """Who comes with a change has no part in it; who goes by it still has, and no more afterwards."""
    log = Log()
    coming = log.change(POLICY, put_operator("org-g", "org-g"))
    change_id, _ = log.propose("org-a", coming)
    assert "no organisation 'org-g'" in log.do(Approve("org-g", change_id))[0]
    for organisation in ORGANISATIONS[1:4]:
        assert log.do(Approve(organisation, change_id)) == [""]
    assert log.edit("org-g", add_client("c-g", "org-g")) == ""
    log.agree(log.change(POLICY, DropOperator("org-g")), ("org-g", *ORGANISATIONS[:4]))
    assert "no organisation 'org-g'" in log.edit("org-g", add_client("c-h", "org-g"))
    slot = log.state.slot
    assert not log.state.admits(client_id("c-g"), slot + WINDOW_SLOTS + 1)


def test_approvals_of_an_operator_that_has_gone_do_not_count() -> None:
    log = Log(found(QuorumSystem(6, 1)))
    log.agree(log.change(POLICY, put_operator("org-g", "org-g")))
    opened, _ = log.propose("org-g", log.change(FULL))
    assert log.do(Approve("org-a", opened)) == [""]
    log.agree(log.change(POLICY, DropOperator("org-g")), SEVEN[:5])
    assert log.state.opened == ()


def test_aborts_of_an_operator_that_has_gone_do_not_count() -> None:
    log = Log(found(QuorumSystem(7, 1), SEVEN))
    log.agree(log.change(POLICY, put_operator("org-h", "org-h")), SEVEN[:5])
    active = log.agree(log.change(FULL), SEVEN[:5])
    for organisation in ("org-h", *SEVEN[:3]):
        assert log.do(Abort(organisation, active)) == [""]
    log.agree(log.change(POLICY, DropOperator("org-h")), SEVEN[:5])
    assert log.do(Abort("org-d", active)) == [""]
    assert log.state.dealt_for.aborts == SEVEN[:4]
    assert log.do(Abort("org-e", active)) == [""]
    assert log.state.active is None


def test_epoch_operator_fills_open_changes() -> None:
    """An organisation has two open changes; the others have theirs."""
    log = Log()
    for number in range(OPEN_CHANGES_MAX + 1):
        refusal = log.propose("org-a", log.change(FULL, slots=1000 + number))[1]
    assert "2 open changes: abort one" in refusal
    assert log.propose("org-b", log.change(FULL))[1] == ""
    assert log.do(Abort("org-a", log.state.opened[0].change_id)) == [""]
    assert log.propose("org-a", log.change(FULL))[1] == ""


def test_an_open_change_expires_by_slots_and_by_agreed_time() -> None:
    log = Log()
    log.propose("org-a", log.change(FULL, slots=5))
    log.propose("org-b", log.change(FULL, ms=7000))
    log.to(5)
    assert len(log.state.opened) == 2
    log.slot(time_ms=7000)
    assert [one.propose.signer for one in log.state.opened] == ["org-b"]
    log.slot(time_ms=7001)
    assert log.state.opened == ()


def test_an_open_change_ends_by_its_proposer_or_by_as_many_as_approve() -> None:
    log = Log()
    own, _ = log.propose("org-a", log.change(FULL))
    assert log.do(Abort("org-a", own)) == [""]
    assert log.state.opened == ()
    other, _ = log.propose("org-a", log.change(FULL))
    for organisation in ORGANISATIONS[1:4]:
        assert log.do(Abort(organisation, other)) == [""]
    assert "has said so already" in log.do(Abort("org-b", other))[0]
    assert len(log.state.opened) == 1
    assert log.do(Abort("org-e", other)) == [""]
    assert log.state.opened == ()


def test_approvals_of_a_change_that_was_withdrawn_are_not_for_its_like() -> None:
    """The same content proposed anew is another change: what was said of the first does not count for it."""
    log = Log()
    change = log.change(FULL)
    first, _ = log.propose("org-a", change)
    approvals = [log.sign(Approve(organisation, first)) for organisation in ORGANISATIONS[1:4]]
    log.slot(*approvals[:1])
    log.do(Abort("org-a", first))
    second, refusal = log.propose("org-a", change)
    assert not refusal
    assert second != first
    assert all("no open change" in told.refusal for told in log.slot(*approvals))
    assert log.state.opened[0].approvals == ("org-a",)


def test_a_change_that_is_approved_while_another_is_active_waits_for_it() -> None:
    log = Log()
    first, second = log.change(FULL), log.change(FULL, slots=9999)
    active = log.agree(first)
    waiting = log.agree(second)
    assert log.state.dealt_for.approved.change_id == active
    assert [one.change_id for one in log.state.opened] == [waiting]
    for organisation in ORGANISATIONS[:4]:
        assert log.do(Abort(organisation, active)) == [""]
    assert log.state.dealt_for.approved.change_id == waiting
    assert log.state.opened == ()


def test_epoch_two_changes_race() -> None:
    """The last approvals of two changes stand in one slot: the one in front becomes active. The other one
    waits, keeps its approvals, and is void with the epoch for which it was approved."""
    log = Log()
    changes = log.change(FULL), log.change(FULL, slots=9999)
    ids = [log.propose(signer, change)[0] for signer, change in zip(ORGANISATIONS, changes, strict=False)]
    for organisation in ORGANISATIONS[2:4]:
        assert log.do(*(Approve(organisation, one) for one in ids)) == ["", ""]
    assert log.do(Approve("org-e", ids[1]), Approve("org-e", ids[0])) == ["", ""]
    assert log.state.dealt_for.approved.change_id == ids[1]
    (waiting,) = log.state.opened
    assert (waiting.change_id, len(waiting.approvals)) == (ids[0], 4)
    members = [row.name for row in log.state.directory.members]
    assert log.deal(members) == log.ready(members) == [""] * 6
    log.finish()
    assert (log.state.epoch, log.state.active, log.state.opened) == (1, None, ())
    assert "no open change" in log.do(Approve("org-f", ids[0]))[0]
    assert "epoch" in log.propose("org-a", changes[0])[1]


def test_a_policy_that_makes_an_active_change_impossible_waits_for_its_end() -> None:
    log = Log()
    log.agree(log.change(POLICY, put_operator("org-g", "org-g")))
    log.agree(log.change(FULL, put_member("m-g", "org-g")), SEVEN[:5])
    log.agree(log.change(POLICY, DropOperator("org-g")), SEVEN[:5])
    assert log.state.directory.operator("org-g")
    active = log.state.dealt_for.approved.change_id
    for organisation in SEVEN[:5]:
        assert log.do(Abort(organisation, active)) == [""]
    assert log.state.active is None
    assert [row.organisation for row in log.state.directory.operators] == list(ORGANISATIONS)


def test_the_key_of_a_member_to_come_is_taken_as_soon_as_it_is_approved() -> None:
    log = Log()
    assert not log.state.admits(client_id("m-g"), 1)
    log.agree(log.change(FULL, put_member("m-g", "org-a")))
    assert "is there already" in log.edit("org-b", add_client("m-g", "org-b"))
    first = log.state.slot + WINDOW_SLOTS + 1
    log.to(first - 1)
    assert not log.state.admits(client_id("m-g"), log.state.dealt_for.approved.slot + WINDOW_SLOTS)
    assert log.state.admits(client_id("m-g"), first)


def test_epoch_newcomer_key_burnt() -> None:
    """Nobody burns another one's key by adding and removing it: it has to sign that it is added to them."""
    log = Log()
    assert "has not signed" in log.edit("org-b", replace(add_client("x", "org-a"), identity=public("m-g")))
    stolen = replace(add_client("m-g", "org-a"), name="x")
    assert "has not signed" in log.edit("org-b", stolen)
    log.agree(log.change(FULL, put_member("m-g", "org-a")))
    assert log.state.active is not None


def test_every_wrong_expiry_counter_and_signature_has_no_effect() -> None:
    log = Log()
    change = log.change(FULL)
    for counter in (0, 2, 2**64 - 1):
        assert "has number 1" in log.do(Propose("org-a", counter, change))[0]
    assert "not one of 'org-a'" in log.slot(log.sign(Propose("org-a", 1, change), key="m-a"))[0].refusal
    assert log.state.opened == ()
    assert log.state.accounts["org-a"].counter == 0


def test_changes_have_one_encoding() -> None:
    assert Change(FULL, 7, b"b" * 32, 8, 9, (DropMember("m-a"),)).encode().hex() == (
        "03" + "0000000000000007" + "62" * 32 + "0000000000000008" + "0000000000000009" + "0001"
        "02" + "0003" + b"m-a".hex()
    )
