"""The command line of the simulator: replay, shrinking, and figures that are kept."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from fab_paxos.uncertified_log import UncertifiedLog
from tests.campaigns.simulation import run
from tests.campaigns.simulation.campaign import campaign
from tests.campaigns.simulation.plan import make_plan
from tests.campaigns.simulation.shrink import Cut, shrink
from tests.worlds.adversaries import KINDS


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> int:
    """An engine whose Reports leave out what is decided and not yet certified, and a seed that finds it."""
    true = UncertifiedLog.accepted_above
    monkeypatch.setattr(
        UncertifiedLog, "accepted_above", lambda self, slot: true(self, max(slot, self.decided))
    )
    return next(seed for seed in range(1000) if _fails(seed))


def _fails(seed: int) -> bool:
    try:
        campaign(seed)
    except AssertionError:
        return True
    return False


def _told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_failure_says_how_to_replay_it_and_shrinks(
    broken: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.main(["--seed", str(broken), "--seeds", "1"]) == 1
    *whole, failure, last = _told(capsys)
    assert last.startswith("sim: FAILED")
    again = shlex.split(failure.partition("; replay: ")[2])
    assert again[:3] == ["python", "-m", "tests.campaigns.simulation.run"]
    assert run.main([*again[3:], "--shrink"]) == 1
    *steps, failure, _ = _told(capsys)
    assert 0 < len(steps) < len(whole), steps
    smaller = shlex.split(failure.partition("; replay: ")[2])
    assert run.main(smaller[3:]) == 1
    assert _told(capsys)[-2:-1] == [failure]
    monkeypatch.undo()
    assert run.main(smaller[3:]) == 0


def test_what_does_not_fail_does_not_shrink(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="does not fail"):
        shrink(make_plan(0, None, list(KINDS)))
    assert run.main(["--seed", "0", "--shrink"]) == 0
    assert "does not fail" in _told(capsys)[-1]


def test_a_cut_leaves_out_what_it_says() -> None:
    plan = next(p for p in (make_plan(s, "spammer", list(KINDS)) for s in range(99)) if len(p.steps) > 6)
    whole = Cut.nothing(plan)
    assert whole.of(plan) == plan
    assert whole.arguments(plan) == "--steps " + ",".join(map(str, range(len(plan.steps))))
    small = Cut((0, 2), (), 3)
    assert small.arguments(plan) == "--steps 0,2 --liars none --words 3"
    assert small.of(plan).liars == ()
    assert all(step.what != "act" for step in small.of(plan).steps)


def test_figures_are_kept_and_gone_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "figures.jsonl"
    monkeypatch.setattr(run, "BLOCK", 5)
    assert run.main(["--seeds", "10", "--figures", str(kept)]) == 0
    first = _told(capsys)[-1]
    ran: list[range] = []
    block = run.run_block
    monkeypatch.setattr(run, "run_block", lambda *what: ran.append(what[-1]) or block(*what))
    assert run.main(["--seeds", "10", "--figures", str(kept)]) == 0
    assert _told(capsys)[-1] == first
    assert not ran
    assert run.main(["--seeds", "15", "--figures", str(kept)]) == 0
    assert ran == [range(10, 15)]
    assert _told(capsys)[-1].partition(" events_per")[0] == _whole(15, capsys)


def _whole(seeds: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert run.main(["--seeds", str(seeds)]) == 0
    return _told(capsys)[-1].partition(" events_per")[0]
