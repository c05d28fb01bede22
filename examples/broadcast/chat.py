"""A chat to look at: every line is a message, and everybody sees all of them in one order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import TextIO

from alliance import Client
from alliance.net.tasks import until_first
from examples.broadcast.message import Message, place_of
from examples.broadcast.publisher import publish
from examples.broadcast.subscriber import subscribe

LINE_MAX = 4096
TYPED_AHEAD_MAX = 64


async def chat(
    client: Client, topic: str, start: int | None, typed: TextIO, show: Callable[[str], None]
) -> None:
    """Publishes the lines of ``typed`` until it ends, and shows what everybody says from slot ``start`` on.

    Without ``start``, from the moment that this one came, which is itself a message: "(came)". Ends when the
    last line of ``typed`` has been shown. Raises what ``publish`` and ``subscribe`` raise.
    """
    came = place_of(await publish(client, topic, b"(came)"))
    shown = came[0], -1, -1
    news = asyncio.Event()

    async def speak() -> None:
        lines = _lines(typed)
        place = came
        while (line := await lines.get()) is not None:
            if line:
                place = place_of(await publish(client, topic, line.encode("utf-8", "surrogateescape")))
        while shown < place:
            news.clear()
            await news.wait()

    async def hear() -> None:
        nonlocal shown
        async with aclosing(subscribe(client, [topic], start=start or came[0])) as messages:
            async for message in messages:
                show(_line(message))
                shown = message.place
                news.set()

    await until_first(speak(), hear())


def _line(message: Message) -> str:
    """Safe for a terminal, whatever it says."""
    text = message.payload[:LINE_MAX].decode("utf-8", "replace")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    cut = "…" if len(message.payload) > LINE_MAX else ""
    return f"{message.slot:>6}  {message.publisher}: {safe}{cut}"


def _lines(file: TextIO) -> asyncio.Queue[str | None]:
    """The lines of a file that may be a terminal, then None. Reading blocks, so a thread does it."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue(TYPED_AHEAD_MAX)

    def read() -> None:
        try:
            for line in file:
                asyncio.run_coroutine_threadsafe(queue.put(line.rstrip("\n")), loop).result()
            asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()
        except (RuntimeError, asyncio.CancelledError):
            pass  # the chat has ended, and nobody reads any more

    threading.Thread(target=read, name="typed", daemon=True).start()
    return queue
