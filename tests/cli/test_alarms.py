"""``alliance alarms``: what an operator reads of its member, and what is wrong with a call."""

from __future__ import annotations

import json

from alliance.cli import alarms
from alliance.client.alarms import Alarm
from tests.cli.conftest import Run
from tests.worlds.processes import Cluster


def test_each_alarm_is_a_line_with_its_beginning_and_end() -> None:
    assert alarms._line(Alarm("member-6", "it forgot", 0, 3, None, False)) == (
        "1970-01-01 00:00:00Z member-6: it forgot (stands, 3 times)"
    )
    assert alarms._line(Alarm("member-6", "it forgot", 60_999, 1, 3_600_000, True)) == (
        "1970-01-01 00:01:00Z member-6: it forgot (ended 1970-01-01 01:00:00Z, acknowledged)"
    )


def test_a_server_tells_its_own_operator(inside: Run, cluster: Cluster) -> None:
    cluster.complete()
    folder = cluster.member("member-1")
    assert inside("alarms", folder).text == "member-1 has no alarms since it was started\n"
    told = json.loads(inside("alarms", folder, "--ack", "-o", "json").out)
    assert told == {"member": "member-1", "acknowledged": True, "alarms": []}


def test_what_is_wrong_is_said(inside: Run, home: Cluster) -> None:
    for arguments, code, says in [
        ((home.client_folder("client-1"),), 2, "is a client's folder"),
        ((home.member("member-1"), "--address", "127.0.0.1:1"), 5, "does not answer at 127.0.0.1:1"),
    ]:
        result = inside("alarms", *arguments)
        assert result.code == code
        assert says in result.error
