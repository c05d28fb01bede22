"""Subscribing: the messages of some topics, in order, each with its proof, from where the cursor stands.

Nothing is read ahead of the subscriber. One that is slow lets its stream from the server fill up (gRPC stops
the server after some hundred kilobytes) and disturbs neither the server's memory nor other subscribers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Protocol

from alliance import LogEntry
from examples.broadcast.cursor import Cursor
from examples.broadcast.message import Message, check_topic, read


class Source(Protocol):
    """The part of ``alliance.Client`` that is used here."""

    def listen(
        self, start: int = 1, *, follow: bool = True, server: str | None = None
    ) -> AsyncGenerator[LogEntry, None]: ...


async def subscribe(
    client: Source,
    topics: Collection[str] | None = None,
    *,
    start: int = 1,
    cursor: Cursor | None = None,
    follow: bool = True,
    server: str | None = None,
) -> AsyncGenerator[Message, None]:
    """The messages of these topics (None: of all), in the alliance's order.

    Without a cursor they come from slot ``start`` on, in every call again. With one, its topics are meant,
    and they come from where it stands: each message that was not handed over (``Cursor.handing_over``), and
    none that was. With ``follow`` forever, otherwise up to what is certified now. Raises InvalidMessage for
    an invalid topic, CursorError, and what ``Client.listen`` raises.
    """
    if cursor is not None:
        cursor.rewind()
        start, wanted = cursor.place[0], cursor.topics
    else:
        wanted = None if topics is None else frozenset(topics)
    for topic in wanted or ():
        check_topic(topic)
    async with aclosing(client.listen(start, follow=follow, server=server)) as entries:
        async for entry in entries:
            if cursor is not None and not cursor.admit(entry):
                continue
            message = read(entry)
            if message is None or (wanted is not None and message.topic not in wanted):
                continue
            if cursor is not None:
                cursor.offered(message)
            yield message
