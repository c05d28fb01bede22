"""An operator tells its own member to step down: what comes of it, and of servers that answer nonsense."""

from __future__ import annotations

import pytest

from alliance.client.step_down import SteppedDown, step_down
from alliance.errors import Unreachable
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.network import Said, serving

ME = 2


def asked(farm: Farm, run: Run, answer: bytes, me: int = ME) -> SteppedDown:
    async def scenario() -> SteppedDown:
        async with serving(farm, me, Said("StepDown", answer)) as port:
            return await step_down(farm.member_home(ME), PASSPHRASE, f"127.0.0.1:{port}")

    done: SteppedDown = run(scenario())
    return done


def reply(led: bool, leader: str, view: int) -> bytes:
    return pb.StepDownReply(led=led, leader=leader, view=view).SerializeToString()


def test_who_leads_now_is_told(farm: Farm, run: Run) -> None:
    assert asked(farm, run, reply(True, "member-4", 3)) == SteppedDown("member-3", True, "member-4", 3)
    assert asked(farm, run, reply(False, "member-1", 6)) == SteppedDown("member-3", False, "member-1", 6)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(True, "member-3", 2), "member-3 still leads"),
        (reply(True, "member-9", 2), "unknown form"),
        (reply(False, "", 0), "unknown form"),
        (b"\xff\xff junk", "unknown form"),
    ],
)
def test_a_leader_that_still_leads_and_nonsense_are_errors(
    farm: Farm, run: Run, answer: bytes, says: str
) -> None:
    with pytest.raises(Unreachable, match=says):
        asked(farm, run, answer)


def test_another_members_server_and_nobody_are_not_asked(farm: Farm, run: Run) -> None:
    with pytest.raises(Unreachable, match="TLS handshake failed"):
        asked(farm, run, reply(True, "member-4", 3), me=4)
    with pytest.raises(Unreachable, match="connection refused"):
        run(step_down(farm.member_home(ME), PASSPHRASE, "127.0.0.1:1"))
