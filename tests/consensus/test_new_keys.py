"""A change that brings new public keys: who may say what of it, and what the state keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consensus.control import ControlState
from consensus.control.changes import ChangeKind
from consensus.control.directory import Refused
from consensus.control.draft import trust
from consensus.control.operations import NewKeys
from consensus.control.record import Phase
from consensus.control.recovering import act_on, require_act
from consensus.limits import KEY_CHANGES_MAX
from tests.consensus.alliance import Log, put_member

FULL, LIGHT = ChangeKind.FULL, ChangeKind.LIGHT
MEMBERS = tuple(f"m-{letter}" for letter in "abcdef")
FRESH = NewKeys(b"n" * 32, b"new keys")


def approved() -> Log:
    log = Log()
    log.agree(log.change(FULL, FRESH))
    return log


def test_nobody_deals_and_who_is_ready_names_the_keys_of_the_change() -> None:
    log = approved()
    assert log.state.phase is Phase.APPROVED
    assert all("nobody hands" in told for told in log.deal(MEMBERS))
    assert all("not the keys that the change brings" in told for told in log.ready(MEMBERS))
    assert log.ready(MEMBERS[:5], FRESH.transcript) == [""] * 5
    assert log.state.phase is Phase.SCHEDULED
    log.finish()
    state = log.state
    assert (state.epoch, state.dealing, state.key_changes) == (1, 1, 1)
    assert state.transcript_digest == FRESH.transcript
    assert ControlState.read(state.items()) == state
    last = state.transcript
    assert last is not None
    assert (last.dealers, [one.dealing for one in last.dealings]) == ((), [FRESH.dealing])
    assert log.do(log.ready_command("m-f", last.change_id, FRESH.transcript)) == [""]
    assert log.state.transcript is None
    log.agree(log.change(FULL))
    assert log.deal(MEMBERS[:5]) == [""] * 5
    assert log.ready(MEMBERS) == [""] * 6
    log.finish()
    assert (log.state.dealing, log.state.key_changes) == (2, 1)


def test_new_keys_come_once_by_a_full_change_and_so_often_in_a_life() -> None:
    log = Log()
    for change, why in (
        (log.change(FULL, FRESH, FRESH), "once by one change"),
        (log.change(LIGHT, FRESH), "by a full change"),
    ):
        assert why in log.propose("org-a", change)[1]
    assert log.propose("org-a", log.change(FULL, FRESH, put_member("m-f", "org-f", "new f")))[1] == ""
    log.state = replace(log.state, key_changes=KEY_CHANGES_MAX)
    assert f"had {KEY_CHANGES_MAX} new keys" in log.propose("org-b", log.change(FULL, FRESH))[1]
    assert log.propose("org-b", log.change(FULL))[1] == ""


def test_no_act_of_recovery_brings_new_keys() -> None:
    state = Log().state
    with pytest.raises(Refused, match="hands the present keys on"):
        require_act(state, act_on(state, bytes(32), MEMBERS[:4], (FRESH,)), trust)
