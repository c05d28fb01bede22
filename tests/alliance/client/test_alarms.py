"""An operator reads the alarms of its own member, whatever the server answers."""

from __future__ import annotations

import pytest

from alliance.client.alarms import Alarm, alarms
from alliance.errors import Unreachable
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.network import Said, serving

ME = 2


def asked(farm: Farm, run: Run, answer: bytes) -> list[Alarm]:
    async def scenario() -> list[Alarm]:
        async with serving(farm, ME, Said("Alarms", answer)) as port:
            return await alarms(farm.member_home(ME), PASSPHRASE, f"127.0.0.1:{port}")

    found: list[Alarm] = run(scenario())
    return found


def test_alarms_are_told_in_one_line_each_and_of_members_only(farm: Farm, run: Run) -> None:
    wire = [
        pb.Alarm(member="member-2", reason="it\x1b[2J\nforgot", since_ms=5, times=3, acknowledged=True),
        pb.Alarm(member="member-4", reason="two machines", since_ms=6, times=1, ended_ms=0),
        pb.Alarm(member="mallory", reason="x", since_ms=7, times=1),
    ]
    found = asked(farm, run, pb.AlarmsReply(alarms=wire).SerializeToString())
    assert found == [
        Alarm("member-2", "it [2J forgot", 5, 3, None, True),
        Alarm("member-4", "two machines", 6, 1, 0, False),
    ]


def test_nonsense_and_nobody_are_errors(farm: Farm, run: Run) -> None:
    with pytest.raises(Unreachable, match="unknown form"):
        asked(farm, run, b"\xff\xff junk")
    with pytest.raises(Unreachable, match="connection refused"):
        run(alarms(farm.member_home(ME), PASSPHRASE, "127.0.0.1:1"))
