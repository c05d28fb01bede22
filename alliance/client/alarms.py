"""The alarms of a member's server, as its own operator reads and acknowledges them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alliance.client.own_server import OwnServer
from alliance.net.channels import one_line
from alliance.pb import client_pb2 as pb


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why a member's identity was in doubt: ``times`` from ``since_ms`` on, in milliseconds since 1970.

    ``ended_ms`` is when it greeted as it should again; None: it has not.
    """

    member: str
    reason: str
    since_ms: int
    times: int
    ended_ms: int | None
    acknowledged: bool


async def alarms(
    folder: Path, passphrase: bytes, address: str | None = None, *, acknowledge: bool = False
) -> list[Alarm]:
    """What its server has noted since it was started, the oldest first, before it was acknowledged now.

    Raises ConfigError, KeyFileError, ClockError; Unreachable when the server does not answer.
    """
    server = OwnServer(folder, passphrase, address)
    reply = await server.ask("Alarms", pb.AlarmsRequest(acknowledge=acknowledge), pb.AlarmsReply)
    names = {member.name for member in server.config.members}
    return [
        Alarm(
            alarm.member,
            one_line(alarm.reason),
            alarm.since_ms,
            alarm.times,
            alarm.ended_ms if alarm.HasField("ended_ms") else None,
            alarm.acknowledged,
        )
        for alarm in reply.alarms
        if alarm.member in names
    ]
