"""What an operator asks of its own member's server, with that member's own certificate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio

from alliance.config import file as config_file
from alliance.config.file import AllianceConfig
from alliance.config.parties import Member
from alliance.errors import Unreachable
from alliance.keys import folder as keys
from alliance.net.channels import CONNECT_SECONDS, one_line, open_channel, parser
from alliance.net.problems import plainly


class OwnServer:
    """The server of a member's folder."""

    def __init__(self, folder: Path, passphrase: bytes, address: str | None = None) -> None:
        """``address``: where it is, if not there where alliance.toml says.

        Raises ConfigError, KeyFileError, ClockError.
        """
        self.config: AllianceConfig = config_file.load(folder)
        _, self.member = keys.member_party(self.config, folder)
        self._credentials = keys.load_credentials(folder, self.member, passphrase)
        self._there: Member = self.member if address is None else replace(self.member, address=address)

    async def ask(self, method: str, request: Any, reply: Any, seconds: float = 0.0) -> Any:
        """Its answer, of the type ``reply``, for which it may take so long. Raises Unreachable."""
        async with open_channel(self._there, self._credentials) as channel:
            call = channel.unary_unary(
                f"/alliance.v1.Client/{method}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=parser(reply),
            )
            try:
                said = await call(request, timeout=seconds + CONNECT_SECONDS)
            except grpc.aio.AioRpcError as error:
                problem = plainly(
                    one_line(f"{error.code().name.lower()}: {error.details() or 'without a reason'}")
                )
                raise Unreachable(
                    f"the server of {self.member.name} does not answer at {self._there.address} ({problem}):"
                    " is it running, and does it listen there? Name another address with --address HOST:PORT"
                ) from None
        if said is None:
            raise self.unknown_form()
        return said

    def unknown_form(self) -> Unreachable:
        return Unreachable(f"the server of {self.member.name} answers in an unknown form: another version?")
