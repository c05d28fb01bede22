"""What an application is: a deterministic state machine, and the commands that it is given.

Several applications may share one alliance. A command in the log names the one that it is for::

    "alliance-app" 0x00 | length u8 | application | kind u8 | payload

``kind`` is 0 for a command that is applied and 1 for a query that is answered at its place in the log. What
has another form is none of an application's business: every executor passes it over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

from verifiable_log.limits import COMMAND_BYTES_MAX

PREFIX = b"alliance-app\x00"
REPLY_BYTES_MAX = 1024 * 1024
"""A larger answer counts as a failure of the state machine."""

PAYLOAD_BYTES_MAX = COMMAND_BYTES_MAX - len(PREFIX) - 65
"""What remains of a command for the application, whatever its name."""


@dataclass(frozen=True, slots=True)
class Command:
    """One decided command. ``(slot, position, command_index)`` is its place in the alliance's order.

    ``time_ms`` is the agreed time of the slot, in milliseconds since 1970: the same for all executors, and
    never less than before. Names of clients are not here: executors learn of new ones at different times.
    """

    slot: int
    position: int
    command_index: int
    client_id: bytes
    client_seq: int
    time_ms: int
    payload: bytes


class StateMachine(Protocol):
    """The application. What it does may depend on its state and the command, and on nothing else.

    No clock, no randomness, no files, no order of sets: executors that disagree are found and halted.
    """

    def apply(self, command: Command) -> bytes:
        """Executes one command; called once for each, in order. The answer has REPLY_BYTES_MAX bytes at most.

        Raises Refused, before anything is changed, for a command that it does not accept. Whatever else it
        raises undoes the command: the state is restored, and the client is told that it failed.
        """
        ...

    def query(self, query: bytes) -> bytes:
        """Answers a question and changes nothing. May raise Refused."""
        ...

    def snapshot(self) -> bytes:
        """The whole state. Equal states give equal bytes."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Takes over the state of a snapshot, in place of its own."""
        ...


@runtime_checkable
class Freezable(Protocol):
    """A state machine whose state is large may have this, too, so that no command waits for ``snapshot``."""

    def freeze(self) -> Callable[[], bytes]:
        """Keeps the state as it is now, in little time; what it returns gives the snapshot of that state.

        That is called once, later, in another thread, while further commands are applied.
        """
        ...


class Refused(Exception):
    """A state machine does not accept this command; the text is for its client, and part of the reply."""


class Kind(IntEnum):
    APPLY = 0
    QUERY = 1


def wrap(application: str, kind: Kind, payload: bytes) -> bytes:
    """The command for the log."""
    name = application.encode()
    return PREFIX + bytes([len(name)]) + name + bytes([kind]) + payload


def unwrap(application: str, command: bytes) -> tuple[Kind, bytes] | None:
    """What a command of the log says to this application; None if it is not for it."""
    head = wrap(application, Kind.APPLY, b"")[:-1]
    if not command.startswith(head) or len(command) == len(head):
        return None
    kind = command[len(head)]
    return (Kind(kind), command[len(head) + 1 :]) if kind in (Kind.APPLY, Kind.QUERY) else None
