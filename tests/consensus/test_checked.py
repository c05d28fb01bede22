"""What an engine holds: the same state, whose signatures it need not know how to check."""

from __future__ import annotations

from consensus.control import CheckedControl, Outcome
from consensus.control.changes import ChangeKind
from consensus.control.operations import Suspend
from tests.consensus.alliance import Log, client_id, found, verify


def test_an_engine_applies_asks_writes_down_and_goes_on() -> None:
    log, control = Log(), CheckedControl(found(), verify)
    log.agree(log.change(ChangeKind.LIGHT, Suspend("m-b")), ("org-a", "org-b"))
    told: tuple[Outcome, ...] = ()
    for entry in log.history:
        control, told = control.apply(entry)
    assert [one.accepted for one in told] == [True]
    assert control.state == log.state
    assert control.read(control.items()) == control
    asked = ("start", "end", "effective", "needs_time")
    assert [getattr(control, name) for name in asked] == [getattr(log.state, name) for name in asked]
    assert control.admits(client_id("c-a"), 1)
    assert not control.admits(client_id("nobody"), 1)
    before = len(log.history)
    log.finish()
    for entry in log.history[before:]:
        control, _ = control.apply(entry)
    assert control.next_epoch().state == log.state


def test_a_signature_counts_as_the_given_function_says() -> None:
    log = Log()
    log.propose("org-a", log.change(ChangeKind.FULL))
    _, told = CheckedControl(found(), lambda key, message, signature: False).apply(log.history[0])
    assert told[0].refusal == "the signature is not one of 'org-a'"
