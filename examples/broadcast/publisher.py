"""Publishing: a message is a command; that it is published is what its receipt proves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from alliance import Client, Receipt
from examples.broadcast.message import encode

TIMEOUT_SECONDS = 30.0


async def publish(client: Client, topic: str, payload: bytes, timeout: float = TIMEOUT_SECONDS) -> Receipt:
    """Publishes one message; returns when it is ordered and proven.

    ``timeout`` is in seconds. Raises InvalidMessage for an invalid topic, and what ``Client.propose``
    raises. After OutcomeUnknown the message may or may not be published: ``Client.resume`` asks again
    without publishing it twice, another ``publish`` might.
    """
    return await client.propose(encode(topic, payload), timeout)


async def publish_all(
    client: Client, topic: str, payloads: Iterable[bytes], timeout: float = TIMEOUT_SECONDS
) -> AsyncGenerator[Receipt, None]:
    """Publishes messages in the order given; yields their receipts. Raises as ``propose_all``."""
    commands = [encode(topic, payload) for payload in payloads]
    async with aclosing(client.propose_all(commands, timeout)) as receipts:
        async for receipt in receipts:
            yield receipt
