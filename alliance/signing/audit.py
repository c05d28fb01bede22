"""What the alliance was asked to sign, from its log: the same lines for everybody who reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from alliance.client import Client
from alliance.client.delivery import LogEntry
from alliance.errors import ConfigError, InvalidRequest
from alliance.signing.order import Order, is_request, order_of
from alliance.signing.policy import Policy
from alliance.signing.rules import Refused


@dataclass(frozen=True)
class Line:
    """One request of the log. ``order`` is None for a malformed one, and ``problem`` says why.

    ``verdict`` is what a policy says, "" where none was given for that purpose: "allowed", or why not.
    """

    entry: LogEntry
    order: Order | None
    problem: str = ""
    verdict: str = ""

    def to_dict(self) -> dict[str, Any]:
        entry, order = self.entry, self.order
        line: dict[str, Any] = {
            "slot": entry.slot,
            "position": entry.position,
            "command_index": entry.command_index,
            "client": entry.client,
        }
        if order is None:
            return line | {"problem": self.problem}
        line |= {
            "time": order.time,
            "purpose": order.occasion.purpose,
            "kind": order.request.KIND,
            "number": order.occasion.number,
            "summary": order.request.summary,
            "message_digest": order.digest.hex(),
        }
        return line | ({"verdict": self.verdict} if self.verdict else {})


async def audit(
    client: Client, policies: Mapping[str, Policy], *, start: int = 1
) -> AsyncGenerator[Line, None]:
    """The requests from a slot on, up to what is certified now. Raises as ``Client.listen``."""
    async with aclosing(client.listen(start, follow=False)) as entries:
        async for entry in entries:
            if is_request(entry.command):
                yield read(client, entry, policies)


def read(client: Client, entry: LogEntry, policies: Mapping[str, Policy]) -> Line:
    try:
        order = order_of(client.config, entry.receipt())
        policy = policies.get(order.occasion.purpose)
        line = Line(entry, order, verdict="allowed" if policy else "")
        if policy is not None:
            policy.judge(entry.client, order)
    except (InvalidRequest, ConfigError) as error:
        return Line(entry, None, problem=str(error))
    except Refused as refusal:
        return Line(entry, order, verdict=str(refusal))
    return line
