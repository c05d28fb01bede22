"""What of the decided log is delivered."""

from __future__ import annotations

from typing import cast

from alliance.client.delivery import Proof, deliver
from consensus.control.commands import MAGIC
from verifiable_log import Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.submission import Submission, UnsignedSubmission

CLIENT = b"c" * 32


def signed(seq: int, *commands: bytes) -> Submission:
    return UnsignedSubmission(CLIENT, seq, commands).sign(bytes(64))


def test_what_concerns_the_alliance_itself_is_delivered_to_nobody() -> None:
    """Good or bad, and the others keep their places: receipts go by them."""
    windows = ClientWindows()
    batch = Batch.of([signed(1, b"a", MAGIC + b"whatever", b"b"), signed(2, MAGIC), signed(1, b"a")])
    told = list(deliver(1, batch, windows, {CLIENT: "carola"}, cast(Proof, None)))
    assert [(entry.position, entry.command_index, entry.command) for entry in told] == [
        (0, 0, b"a"),
        (0, 2, b"b"),
    ]
    assert {entry.client for entry in told} == {"carola"}
