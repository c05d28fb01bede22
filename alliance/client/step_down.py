"""What an operator asks of its own member's server, with that member's own certificate: to lead no longer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alliance.client.own_server import OwnServer
from alliance.errors import Unreachable
from alliance.pb import client_pb2 as pb


@dataclass(frozen=True, slots=True)
class SteppedDown:
    """``member`` had ``led``, or not; ``leader`` leads ``view`` now, as the member says."""

    member: str
    led: bool
    leader: str
    view: int


async def step_down(folder: Path, passphrase: bytes, address: str | None = None) -> SteppedDown:
    """Asks the server of a member's folder, at its ``address`` if that is not the one in alliance.toml.

    Returns when another member leads. Raises ConfigError, KeyFileError, ClockError; Unreachable when the
    server does not answer, and when nobody took the leadership over within one view time-out.
    """
    server = OwnServer(folder, passphrase, address)
    member, members = server.member, server.config.members
    timeout = server.config.timing.view_timeout_seconds
    said: pb.StepDownReply = await server.ask("StepDown", pb.StepDownRequest(), pb.StepDownReply, timeout)
    if said.leader not in {other.name for other in members}:
        raise server.unknown_form()
    if said.led and said.leader == member.name:
        raise Unreachable(
            f"{member.name} still leads: nobody took the leadership over within {timeout:g} s;"
            f" {server.config.system.decision} of {len(members)} members are needed for that, and 'alliance"
            " status' shows who is up"
        )
    return SteppedDown(member.name, said.led, said.leader, said.view)
