"""Where a client goes: to the leader, and away from one that keeps it waiting."""

from __future__ import annotations

from alliance.client.server_choice import SLOW_OUTCOMES, ServerChoice
from quorum import QuorumSystem


def choice() -> ServerChoice:
    return ServerChoice(QuorumSystem(6, 1), 0.5)


def test_it_follows_the_leader_and_passes_over_who_failed() -> None:
    chosen = choice()
    chosen.follow(3)
    assert chosen.server == 3
    chosen.pass_over(2)
    assert chosen.server == 3
    chosen.pass_over(3)
    chosen.pass_over(4)
    chosen.pass_over(5)
    assert chosen.server == 0


def test_a_slow_leader_is_left_and_not_followed_again_in_its_view() -> None:
    chosen = choice()
    chosen.follow(1)
    assert [chosen.served(1, 1, 0.3) for _ in range(SLOW_OUTCOMES)] == [False] * (SLOW_OUTCOMES - 1) + [True]
    assert chosen.server == 2
    chosen.follow(1)
    assert chosen.server == 2
    chosen.follow(3)  # the next leader is as good as any
    assert chosen.server == 3


def test_only_the_leader_and_only_in_a_row() -> None:
    chosen = choice()
    assert not any(chosen.served(2, 1, 9.0) for _ in range(50))
    for _ in range(10):
        assert not any(chosen.served(1, 1, 0.3) for _ in range(SLOW_OUTCOMES - 1))
        assert not chosen.served(1, 1, 0.2)
