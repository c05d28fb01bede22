"""Totally ordered broadcast between organisations: topics, replay, durable cursors, a proof for each message.

``publish`` has messages ordered by the alliance. ``subscribe`` yields those of some topics, in the one
order of all of them, each with its proof; with a ``Cursor`` it goes on where it stopped, also after a crash.
Run ``python -m examples.broadcast --help`` for the command line; docs/guides/broadcast.md says what is
promised.
"""

from examples.broadcast.cursor import Cursor, CursorError
from examples.broadcast.message import InvalidMessage, Message
from examples.broadcast.output_file import OutputFile
from examples.broadcast.publisher import publish, publish_all
from examples.broadcast.subscriber import subscribe

__all__ = [
    "Cursor",
    "CursorError",
    "InvalidMessage",
    "Message",
    "OutputFile",
    "publish",
    "publish_all",
    "subscribe",
]
