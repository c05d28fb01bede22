"""An epoch that ends by an act of the operators: what comes of it, and everything that is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from consensus.control import ControlState, recovering
from consensus.control.changes import ChangeKind
from consensus.control.commands import MAGIC
from consensus.control.directory import Refused
from consensus.control.encoding import MalformedControl, text, u8
from consensus.control.operations import ChangeOperation, DropMember, Suspend
from consensus.control.pending import PostedDealing
from consensus.control.record import Phase
from consensus.control.recovery import Recovery, RecoveryAct, RecoveryApproval
from consensus.limits import ATTEMPTS_MAX, RECOVERIES_MAX, RECOVERY_ATTEMPT
from tests.consensus.alliance import ORGANISATIONS, Log, found, put_member, put_operator, secret, verify

ROOT, KEYS = b"r" * 32, b"k" * 32
SURVIVORS = ("m-a", "m-b", "m-c", "m-d")
DEALERS = (*SURVIVORS, "m-e")
OPERATIONS = (put_member("m-e", "org-e", "new e"), put_member("m-f", "org-f", "new f"))


def lost(slots: int = 3) -> Log:
    """A log that will not grow: ``m-e`` and ``m-f`` are gone."""
    log = Log()
    for _ in range(slots):
        log.slot()
    return log


def act_on(
    state: ControlState,
    operations: Sequence[ChangeOperation] = OPERATIONS,
    survivors: Sequence[str] = SURVIVORS,
) -> RecoveryAct:
    return recovering.act_on(state, ROOT, survivors, tuple(operations))


def approved(state: ControlState, act: RecoveryAct, by: Sequence[str] = ORGANISATIONS[:4]) -> Recovery:
    signed = [RecoveryApproval(name, secret(name).sign(act.message(state.alliance_id, name))) for name in by]
    return Recovery(act, tuple(signed), KEYS)


def dealt(state: ControlState, by: Sequence[str] = DEALERS) -> tuple[PostedDealing, ...]:
    return tuple(PostedDealing(name, state.slot, name.encode()) for name in by)


def recovered(state: ControlState, act: RecoveryAct | None = None) -> ControlState:
    return state.recovered(approved(state, act or act_on(state)), dealt(state), verify)


def test_the_epoch_ends_where_the_log_does_and_the_next_one_has_the_members_of_the_act() -> None:
    before = lost().state
    ended = recovered(before)
    assert (ended.end, ended.phase, ended.effective) == (before.slot, Phase.SCHEDULED, None)
    state = ended.next_epoch()
    assert (state.epoch, state.dealing, state.start, state.slot, state.end) == (1, 1, 3, 3, None)
    names = {row.name: row.identity for row in state.directory.members}
    old = {row.name: row.identity for row in before.directory.members}
    assert {name for name in names if names[name] == old[name]} == set(SURVIVORS)
    assert state.transcript_digest == KEYS
    assert state.config_digest != before.config_digest
    transcript = state.transcript
    assert transcript is not None
    assert (transcript.epoch, transcript.attempt, transcript.ready) == (0, RECOVERY_ATTEMPT, ())
    assert [one.member for one in transcript.dealings] == list(DEALERS)
    assert len(transcript.receivers) == 6
    (act,) = state.recoveries
    assert (act.epoch, act.act.survivors, act.act.slot) == (0, SURVIVORS, 3)


def test_the_act_stays_in_the_state_and_the_log_goes_on_from_it() -> None:
    log = lost()
    log.state = recovered(log.state)
    for state in (log.state, log.state.next_epoch()):
        assert ControlState.read(state.items()) == state
    log.finish()
    for row in log.state.directory.members:
        log.keys[row.name] = {"m-e": "new e", "m-f": "new f"}.get(row.name, row.name)
    log.slot()
    log.agree(log.change(ChangeKind.LIGHT, Suspend("m-a")), ORGANISATIONS[:2])
    assert log.state.end is not None
    log.finish()
    assert log.state.epoch == 2
    assert [one.epoch for one in log.state.recoveries] == [0]
    assert ControlState.read(log.state.items()).recoveries == log.state.recoveries


def test_who_gets_shares_by_it_says_so_as_one_that_was_away() -> None:
    """Nobody was ready when it began: all of them are late, and name their next receiver keys."""
    log = lost()
    act = act_on(log.state)
    log.state = recovered(log.state, act)
    log.finish()
    log.keys |= {"m-e": "new e", "m-f": "new f"}
    names = [row.name for row in log.state.directory.members]
    late = [log.ready_command(name, act.digest, KEYS, RECOVERY_ATTEMPT) for name in names]
    assert log.do(*late[:5]) == [""] * 5
    assert log.state.transcript is not None
    assert log.do(late[5]) == [""]
    assert log.state.transcript is None
    assert [row.receiver for row in log.state.directory.members] == [one.receiver for one in late]


def test_what_was_on_its_way_is_forsaken() -> None:
    """A replacement that is dealt for, or scheduled; its newcomer's key may come by the act instead."""
    scheduled = Log()
    scheduled.agree(scheduled.change(ChangeKind.FULL, put_member("m-f", "org-f", "new f")))
    active = scheduled.state
    scheduled.deal(DEALERS)
    scheduled.keys["m-f"] = "new f"
    scheduled.ready(["m-b", "m-c", "m-d", "m-e", "m-f"])
    suspended = Log()
    suspended.agree(suspended.change(ChangeKind.FULL, put_member("m-f", "org-f", "new f")))
    suspended.agree(suspended.change(ChangeKind.LIGHT, Suspend("m-a")), ORGANISATIONS[:2])
    assert (scheduled.state.phase, suspended.state.carried is None) == (Phase.SCHEDULED, False)
    for before in (active, scheduled.state, suspended.state):
        state = recovered(before).next_epoch()
        assert (state.active, state.scheduled, state.carried, state.opened) == (None, (), None, ())
        assert (state.start, state.epoch, state.dealing) == (before.slot, 1, 1)
        assert state.directory.suspended == ()


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        (ORGANISATIONS[:3], "3 operators approve of it, and it takes 4"),
        ((), "0 operators approve of it"),
        (("org-a", "org-a", "org-b", "org-c"), "each once"),
        (("org-b", "org-a", "org-c", "org-d"), "listed by organisation"),
        (("org-a", "org-b", "org-c", "org-z"), "no organisation 'org-z'"),
    ],
)
def test_too_few_operators_or_one_that_counts_twice_recover_nothing(by: Sequence[str], reason: str) -> None:
    state = lost().state
    with pytest.raises(Refused, match=reason):
        state.recovered(approved(state, act_on(state), by), dealt(state), verify)


def test_an_approval_is_for_one_act_and_by_one_operator() -> None:
    state = lost().state
    act, other = act_on(state), act_on(state, [DropMember("m-f")])
    good, wrong = approved(state, act), approved(state, other)
    for name, approvals in [
        ("org-a", wrong.approvals),
        ("org-b", (good.approvals[0], replace(good.approvals[0], organisation="org-b"), *good.approvals[2:])),
    ]:
        with pytest.raises(Refused, match=f"not signed by the operator of '{name}'"):
            state.recovered(replace(good, approvals=approvals), dealt(state), verify)


@pytest.mark.parametrize("change", ["slot", "epoch", "base", "expires", "kind"])
def test_an_act_is_for_one_place_in_one_log(change: str) -> None:
    state = lost().state
    act = act_on(state)
    bent = {
        "slot": lambda: replace(act, slot=4),
        "epoch": lambda: replace(act, change=replace(act.change, from_epoch=1)),
        "base": lambda: replace(act, change=replace(act.change, base=bytes(32))),
        "expires": lambda: replace(act, change=replace(act.change, expires_ms=1)),
        "kind": lambda: replace(act, change=replace(act.change, kind=ChangeKind.LIGHT)),
    }[change]()
    with pytest.raises(Refused, match="the act is"):
        recovered(state, bent)


@pytest.mark.parametrize(
    ("operations", "survivors", "reason"),
    [
        (OPERATIONS, DEALERS, "5 of 6 members are there, and 5 decide"),
        (OPERATIONS, ("m-a", "m-z"), "a survivor is no member"),
        ([put_operator("org-g", "org-g")], SURVIVORS, "a kind of change of their own"),
        ([put_member("m-e", "org-e", "m-f")], SURVIVORS, "the key is there already"),
        ([put_member("m-e", "org-e", "new e", receiver="")], SURVIVORS, "no receiver key"),
        ([DropMember("m-a"), DropMember("m-b")], SURVIVORS, "4 members tolerate 0 faults"),
    ],
)
def test_what_cannot_be_is_refused(
    operations: Sequence[ChangeOperation], survivors: Sequence[str], reason: str
) -> None:
    state = lost().state
    with pytest.raises((Refused, MalformedControl), match=reason):
        recovered(state, act_on(state, operations, survivors))


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        (DEALERS[:4], "4 members have dealt, and it takes 5"),
        ((*DEALERS[:4], "m-z"), "by members of this epoch"),
        (("m-b", "m-a", *DEALERS[2:]), "by members of this epoch"),
        (("m-a", *DEALERS), "each once"),
    ],
)
def test_it_takes_the_dealings_of_a_quorum(by: Sequence[str], reason: str) -> None:
    state = lost().state
    with pytest.raises(Refused, match=reason):
        state.recovered(approved(state, act_on(state)), dealt(state, by), verify)


def test_it_is_no_command_of_the_log() -> None:
    """The bytes that an operator signs, put into a submission, are refused, and change nothing."""
    log = lost()
    act = act_on(log.state)
    signature = secret("org-a").sign(act.message(log.state.alliance_id, "org-a"))
    (outcome,) = log.slot(MAGIC + u8(7) + text("org-a") + act.encode() + signature)
    assert "no control command" in outcome.refusal
    assert log.propose("org-a", act.change)[1] == "the change has expired"
    assert RECOVERY_ATTEMPT not in range(ATTEMPTS_MAX)


def test_it_happens_so_often_and_no_more() -> None:
    state = lost().state
    full = replace(state, recoveries=(approved(state, act_on(state)),) * RECOVERIES_MAX)
    assert ControlState.read(full.items()) == full
    with pytest.raises(Refused, match="64 times at most"):
        recovered(full)


def test_acts_have_one_encoding() -> None:
    act = act_on(found())
    encoded = act.encode()
    assert RecoveryAct.decode(encoded) == act
    for spoilt in (encoded[:-1], encoded + b"\0", b"x" + encoded[1:], b""):
        with pytest.raises(MalformedControl):
            RecoveryAct.decode(spoilt)
