"""Before a leader is stopped another one leads; it waits for that, and never for what cannot come."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from alliance.config.timing import Timing
from alliance.server.leadership import HandOver, Leadership
from fab_paxos.events import StepDown
from fab_paxos.messages import Status
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm


class Seat:
    """The engine and the inbox of a member; ``scenes`` are its status at each look, the last one for good."""

    def __init__(self, *scenes: tuple[int, bool]) -> None:
        self.scenes = list(scenes)
        self.posted: list[object] = []

    @property
    def status(self) -> Status:
        view, active = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        return Status(view, 0, 0, 0, active)

    def post(self, event: object) -> None:
        self.posted.append(event)


def leadership(farm: Farm, seat: Seat, connected: int = 5) -> Leadership:
    links: Any = {peer: SimpleNamespace(connected=peer <= connected) for peer in range(1, 6)}
    whole: Any = seat
    config = replace(farm.config, timing=Timing(view_timeout_seconds=30.0))
    return Leadership(config, 0, whole, whole, links)


def test_it_returns_when_this_member_follows_another_leader(farm: Farm, run: Run) -> None:
    seat = Seat(*[(0, True)] * 4, *[(1, False)] * 4, (1, True))
    assert run(leadership(farm, seat).hand_over()) == HandOver(True, 1, 1)
    assert seat.posted == [StepDown()]
    assert seat.scenes == [(1, True)]


def test_who_does_not_lead_has_nothing_to_hand_over(farm: Farm, run: Run) -> None:
    seat = Seat((4, True))
    assert run(leadership(farm, seat).hand_over()) == HandOver(False, 4, 4)
    assert not seat.posted


@pytest.mark.parametrize("connected", [0, 3])
def test_nobody_waits_where_too_few_are_there_to_elect_another(farm: Farm, run: Run, connected: int) -> None:
    assert run(leadership(farm, Seat((0, True)), connected).hand_over()) == HandOver(True, 0, 0)


def test_the_wait_ends_with_one_view_timeout(farm: Farm, run: Run) -> None:
    lead = leadership(farm, Seat((6, True)))
    lead._config = replace(lead._config, timing=Timing(view_timeout_seconds=0.1))
    assert run(lead.hand_over()) == HandOver(True, 0, 6)
