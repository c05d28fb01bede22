"""What an operator asks of its own member's server, with that member's own certificate: to lead no longer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import grpc.aio

from alliance.config import file as config_file
from alliance.errors import Unreachable
from alliance.keys import folder as keys
from alliance.net.channels import CONNECT_SECONDS, one_line, open_channel, parser
from alliance.net.problems import plainly
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
    config = config_file.load(folder)
    _, member = keys.member_party(config, folder)
    credentials = keys.load_credentials(folder, member, passphrase)
    there = member if address is None else replace(member, address=address)
    timeout = config.timing.view_timeout_seconds
    async with open_channel(there, credentials) as channel:
        ask = channel.unary_unary(
            "/alliance.v1.Client/StepDown",
            request_serializer=pb.StepDownRequest.SerializeToString,
            response_deserializer=parser(pb.StepDownReply),
        )
        try:
            said: pb.StepDownReply | None = await ask(pb.StepDownRequest(), timeout=timeout + CONNECT_SECONDS)
        except grpc.aio.AioRpcError as error:
            problem = plainly(
                one_line(f"{error.code().name.lower()}: {error.details() or 'without a reason'}")
            )
            raise Unreachable(
                f"the server of {member.name} does not answer at {there.address} ({problem}): is it running,"
                " and does it listen there? Name another address with --address HOST:PORT"
            ) from None
    names = {other.name for other in config.members}
    if said is None or said.leader not in names:
        raise Unreachable(f"the server of {member.name} answers in an unknown form: another version?")
    if said.led and said.leader == member.name:
        raise Unreachable(
            f"{member.name} still leads: nobody took the leadership over within {timeout:g} s;"
            f" {config.system.decision} of {len(names)} members are needed for that, and 'alliance status'"
            " shows who is up"
        )
    return SteppedDown(member.name, said.led, said.leader, said.view)
