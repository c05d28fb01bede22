"""How a member learns that its own clock is the wrong one: by the median of what the others tell."""

from __future__ import annotations

import logging

import pytest

from alliance.server import clocks as module
from alliance.server.clocks import SAMPLES, PeerClocks
from fab_paxos.effects import Blame, Offence
from tests.alliance.farm import Farm

NOON = 1_800_000_000_000


def heard(farm: Farm, *ahead: int) -> PeerClocks:
    """Of a member whose clock is ahead of each peer's by so many milliseconds."""
    clocks = PeerClocks(farm.config)
    for peer, ms in enumerate(ahead):
        clocks.note(peer, NOON - ms, NOON)
    return clocks


def test_too_few_peers_tell_nothing(farm: Farm) -> None:
    """With one liar three are needed, of whom two are true."""
    assert heard(farm).ahead_ms is None
    assert heard(farm, 60_000, 60_000).ahead_ms is None
    assert not heard(farm, 60_000, 60_000).is_wrong
    assert heard(farm, 7, 7, 7).ahead_ms == 7


@pytest.mark.parametrize("lie", [-(2**48), -60_000, 0, 60_000, 2**48])
def test_a_liar_moves_the_estimate_within_what_the_others_say(farm: Farm, lie: int) -> None:
    assert 1 <= (heard(farm, 1, lie, 3).ahead_ms or 0) <= 3
    assert 1 <= (heard(farm, 1, 2, lie, 3, 4).ahead_ms or 0) <= 4


def test_what_was_long_under_way_does_not_count(farm: Farm) -> None:
    clocks = PeerClocks(farm.config)
    for peer in range(3):
        for delay in (4_000, 20, 9_000):
            clocks.note(peer, NOON, NOON + delay)
    assert clocks.ahead_ms == 20


def test_a_clock_that_was_set_is_believed_after_some_heartbeats(farm: Farm) -> None:
    clocks = heard(farm, 0, 0, 0)
    for beat in range(SAMPLES):
        assert (clocks.ahead_ms == 0) == (beat < SAMPLES)
        for peer in range(3):
            clocks.note(peer, NOON - 8_000, NOON)
    assert clocks.ahead_ms == 8_000
    clocks.lost(0)
    assert clocks.ahead_ms is None


def test_the_log_says_which_way_and_when_it_is_over(
    farm: Farm, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, "alliance.server"):
        clocks = heard(farm, *[-12_300] * 5)
        for now[0] in (1.0, 59.0, 60.0):
            clocks.note(0, NOON + 12_300, NOON)
        for _ in range(SAMPLES):
            for peer in range(5):
                clocks.note(peer, NOON + 5_000, NOON)  # half the drift is no wrong clock
    wrong = "this machine's clock is 12.3 s behind the other members' (their median): set it right"
    assert [message.partition(";")[0] for message in caplog.messages[:2]] == [wrong, wrong]
    assert caplog.messages[2:] == ["this machine's clock agrees with the other members' again"]


def test_no_offence_that_a_correct_member_may_commit_is_certain() -> None:
    """Whoever is blamed did it; a leader told others another log, or a clock is wrong, in the rest."""
    suspicions = {offence for offence in Offence if not offence.certain}
    assert suspicions == {Offence.OTHER_LOG, Offence.STAMP_AHEAD}
    assert "ahead of this member's clock" in Blame(0, Offence.STAMP_AHEAD, "7 is 12.0 s").reason
