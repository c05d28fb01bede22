"""What can go wrong with a command of an application that is ordered."""

from __future__ import annotations

from alliance.errors import AllianceError
from alliance.execution.reply import Reply
from alliance.proofs.receipt import Receipt


class ReplyMissing(AllianceError):
    """The command is ordered, but too few executors have given one answer in time.

    ``receipt`` proves the order. Handing it to ``ExecutionClient.reply`` asks again.
    """

    exit_code = 3

    def __init__(self, message: str, receipt: Receipt) -> None:
        super().__init__(message)
        self.receipt = receipt


class CommandRefused(AllianceError):
    """The application did not accept the command, or failed on it: its state is as before.

    ``reply`` is the certified answer that says so.
    """

    exit_code = 6

    def __init__(self, message: str, reply: Reply) -> None:
        super().__init__(message)
        self.reply = reply
