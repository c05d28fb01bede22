"""The simulated wide area: deterministic, and as the protocol's message delays demand."""

from __future__ import annotations

from benchmarks import scaling
from benchmarks.wan import Wan
from quorum import QuorumSystem


def test_a_command_is_learned_three_delays_after_a_follower_has_it() -> None:
    """Forwarded to the leader, proposed, accepted; computing comes on top."""
    row = scaling.one_client(6, 1, 0.040, commands=3)
    assert 3.0 <= row.figures["delays_to_learned"] < 3.6
    assert row.figures["receipt_ms"] > row.figures["learned_ms"]
    assert row.figures["views"] == 0


def test_the_same_world_twice() -> None:
    assert scaling.one_client(6, 1, 0.005, commands=3) == scaling.one_client(6, 1, 0.005, commands=3)


def test_a_narrow_uplink_is_the_limit() -> None:
    """Within a tenth: decisions come in batches, and the window may hold one more or less than its share."""
    row = scaling.load(6, 1, 0.040, 200e6, seconds=2.0)
    assert row.figures["uplink_used"] > 0.9
    assert 0.9 < row.figures["commands_per_second"] / row.figures["uplink_bound"] < 1.1


def test_silence_when_nothing_is_to_be_done() -> None:
    wan = Wan(QuorumSystem(6, 1), 0.005, 1e9)
    wan.run(5.0)
    assert wan.views_changed == 0
    assert not wan.entries
