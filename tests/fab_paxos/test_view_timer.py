"""The view timer: docs/concepts/protocol.md, section 9, step 1: doubling while views end without a
decision."""

from __future__ import annotations

from fab_paxos.effects import Effect, SetTimer, Timer
from fab_paxos.view_timer import TIMEOUT_DOUBLINGS_MAX, ViewTimer


def seconds(patience: ViewTimer, progress: object, decided: int = 0, due: bool = True) -> float | None:
    """How long the timer was set for at the end of a turn, if it was set."""
    out: list[Effect] = []
    patience.watch(due, progress, decided, out)
    assert len(out) <= 1
    for effect in out:
        assert isinstance(effect, SetTimer)
        assert effect.name is Timer.VIEW
        return effect.seconds
    return None


def test_it_runs_only_while_something_is_due() -> None:
    patience = ViewTimer(0.5, 0)
    assert seconds(patience, "a", due=False) is None
    assert not patience.expired("a")
    assert seconds(patience, "a") == 0.5
    assert seconds(patience, "a") is None  # it runs already
    assert seconds(patience, "a", due=False) is None
    assert not patience.expired("a")  # what was due has come


def test_every_step_forward_begins_it_anew() -> None:
    patience = ViewTimer(0.5, 0)
    seconds(patience, "a")
    assert seconds(patience, "b") == 0.5
    assert not patience.expired("c")  # something moved in the very turn in which it fired
    assert seconds(patience, "c") == 0.5
    assert patience.expired("c")
    assert seconds(patience, "c") == 0.5  # and again, as long as it is due


def test_it_doubles_while_views_end_without_a_decision_and_returns_after_progress() -> None:
    patience = ViewTimer(0.5, decided=7)
    for view in range(1, 12):
        patience.enter_view(decided=7)
        assert seconds(patience, view, decided=7) == 0.5 * 2 ** min(view, TIMEOUT_DOUBLINGS_MAX)
    assert seconds(patience, "decided", decided=8) == 0.5
    patience.enter_view(decided=8)  # this view did decide
    assert seconds(patience, "next", decided=8) == 0.5
    patience.enter_view(decided=8)
    assert seconds(patience, "idle", decided=8) == 1.0
