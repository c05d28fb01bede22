"""What a broadcast message is, and its bytes within a command of the alliance.

    "broadcast/1" 0x00 | length of the topic u8 | topic, ASCII | payload

A command that does not read as this is of another application, and no subscriber sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from alliance import LogEntry, Receipt
from alliance.errors import AllianceError

MAGIC = b"broadcast/1\x00"
TOPIC_MAX = 64
_TOPIC = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._/-]{0,%d}" % (TOPIC_MAX - 1))

Place = tuple[int, int, int]
"""Slot, position of the submission in it, number of the command in the submission."""


class InvalidMessage(AllianceError):
    """A topic or a payload that no message may have: nothing was sent."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``place`` orders all messages of all topics, and no two have the same one."""

    topic: str
    payload: bytes
    publisher: str
    place: Place
    entry: LogEntry = field(repr=False)

    @property
    def slot(self) -> int:
        return self.place[0]

    def receipt(self) -> Receipt:
        """The proof that the alliance ordered this message here; anybody can check it offline.

        ``Receipt.command`` is the message as ``encode`` writes it.
        """
        return self.entry.receipt()


def place_of(ordered: LogEntry | Receipt) -> Place:
    return ordered.slot, ordered.position, ordered.command_index


def check_topic(topic: str) -> bytes:
    """The topic in ASCII. Raises InvalidMessage."""
    written = topic.encode("utf-8", "surrogateescape")
    if not _TOPIC.fullmatch(written):
        raise InvalidMessage(
            f"{topic!a:.80} is no topic: 1 to {TOPIC_MAX} of the characters A-Z a-z 0-9 . _ / - beginning"
            " with a letter or a digit"
        )
    return written


def encode(topic: str, payload: bytes) -> bytes:
    """The command for a message. Raises InvalidMessage for a bad topic; the alliance bounds the size."""
    written = check_topic(topic)
    return MAGIC + bytes([len(written)]) + written + payload


def decode(command: bytes) -> tuple[str, bytes] | None:
    """Topic and payload; None when the command is no message. Any bytes may be asked about."""
    if not command.startswith(MAGIC) or len(command) == len(MAGIC):
        return None
    begin = len(MAGIC) + 1
    end = begin + command[len(MAGIC)]
    topic = command[begin:end]
    if len(topic) != end - begin or not _TOPIC.fullmatch(topic):
        return None
    return topic.decode("ascii"), command[end:]


def read(entry: LogEntry) -> Message | None:
    """The message that a command of the log is, if it is one."""
    decoded = decode(entry.command)
    return Message(*decoded, entry.client, place_of(entry), entry) if decoded is not None else None
