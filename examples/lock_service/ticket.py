"""Tickets: the proof that a lock was granted, for those who guard something with it.

A ticket is the certified reply in which the lock service grants a lock, and the command that it answers. A
resource checks it with the alliance's ``public-attestation.pem`` alone, offline. Whoever holds a ticket can
use it: hand it only to resources, over channels that nobody else reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.errors import AllianceError, InvalidReceipt
from alliance.execution import Reply, Status
from examples.lock_service import operations
from examples.lock_service.encoding import Invalid
from examples.lock_service.operations import Acquire, Ask, Grant

APPLICATION = "lock"
FORMAT = "lock-ticket/1"
TICKET_BYTES_MAX = 64 * 1024


class InvalidTicket(AllianceError):
    """This proves no grant of this alliance's lock service."""

    exit_code = 1


@dataclass(frozen=True)
class Ticket:
    """Believe nothing of it before ``verify``."""

    reply: Reply = field(repr=False)
    command: bytes

    def verify(self, key: RSAPublicKey) -> Grant:
        """What was granted. ``key`` is the attestation key. Raises InvalidTicket.

        Whether the lease is over by now it does not say, and need not: the token does (see ``fences``).
        """
        try:
            self.reply.verify(key)
            operation = operations.decode(self.command)
            grant = operations.decode_answer(self.reply.payload)
        except (InvalidReceipt, Invalid) as error:
            raise InvalidTicket(f"the ticket proves nothing: {error}") from None
        if self.reply.status is not Status.DONE or not self.reply.answers(APPLICATION, self.command):
            raise InvalidTicket("the ticket proves nothing: its reply answers another command")
        if not isinstance(grant, Grant) or not isinstance(operation, Acquire | Ask):
            raise InvalidTicket("the ticket proves nothing: the lock was not granted in it")
        return grant

    def to_json(self) -> str:
        table = {"format": FORMAT, "command": self.command.hex(), "reply": self.reply.to_dict()}
        return json.dumps(table) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Ticket:
        """Reads a ticket without believing it. Raises InvalidTicket."""
        if len(text) > TICKET_BYTES_MAX:
            raise InvalidTicket(f"larger than {TICKET_BYTES_MAX} bytes: this is no ticket")
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidTicket("this is no ticket: it does not read as JSON") from None
        if not isinstance(table, dict) or table.get("format") != FORMAT:
            raise InvalidTicket(f"this is no ticket: a ticket is a JSON object with the format '{FORMAT}'")
        try:
            return cls(Reply.from_json(json.dumps(table["reply"])), bytes.fromhex(table["command"]))
        except (KeyError, TypeError, ValueError, InvalidReceipt) as error:
            raise InvalidTicket(f"a field of the ticket is missing or wrong: {error}") from None
