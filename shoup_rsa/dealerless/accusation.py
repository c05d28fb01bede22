"""Accusations: what one party shows to all others when it has seen something that they may not have seen.

    kind u8 = 1 | a message                  it was sent to the accuser, and is none that may be sent
    kind u8 = 2 | two heads                  their sender has signed both for the same round and receiver
    kind u8 = 3 | n heads                    the broadcasts of a round as the accuser has got them
    head = statement | length of signature u16 | signature

Whoever stops for what it found in broadcasts shows kind 3, since others may have got other ones: a sender of
two different ones is convicted by its signatures. An accusation that shows nothing wrong convicts the accuser
in the first two kinds; a list may be right without a reason that its receiver knows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from shoup_rsa.dealerless.blame import Culprit
from shoup_rsa.dealerless.board import Board
from shoup_rsa.dealerless.message import (
    SIGNATURE_LENGTH_MAX,
    STATEMENT_LENGTH,
    Signed,
    Statement,
    check_signed,
    decode_signed,
)
from shoup_rsa.dealerless.numbers import Malformed

_INVALID, _TWO, LIST = 1, 2, 3

Heard = Callable[[int], Sequence[Signed] | None]
"""The broadcasts of a round, in the parties' order, if they are complete."""


def show_invalid(message: Signed) -> bytes:
    """The body of an accusation of the first kind."""
    return bytes((_INVALID,)) + message.encode()


def show_two(first: Signed, second: Signed) -> bytes:
    """Of the second kind."""
    return bytes((_TWO,)) + _head(first) + _head(second)


def show_list(messages: Sequence[Signed]) -> bytes:
    """Of the third kind."""
    return bytes((LIST,)) + b"".join(_head(message) for message in messages)


def kind_of(body: bytes) -> int:
    """1, 2 or 3; 0 for no accusation."""
    return body[0] if body and body[0] in (_INVALID, _TWO, LIST) else 0


def judge(board: Board, heard: Heard, statement: Statement, body: bytes) -> tuple[Culprit, ...]:
    """Whom it convicts. statement: of the accusation.

    Nobody, if it is a list like one's own, and for what somebody with other broadcasts has seen: lists tell
    more then.
    """
    accuser = statement.sender
    if kind_of(body) == _INVALID and not board.shares(statement.round, statement.chain):
        return ()
    try:
        if kind_of(body) == _INVALID:
            return (_judge_invalid(board, accuser, body[1:]),)
        if kind_of(body) == _TWO:
            return (_judge_two(board, accuser, body[1:]),)
        if kind_of(body) == LIST:
            return _judge_list(board, heard, body[1:])
        raise Malformed("it is of no known kind")
    except Malformed as error:
        return (Culprit(accuser, f"its accusation is invalid: {error}"),)


def _head(message: Signed) -> bytes:
    return message.statement + struct.pack(">H", len(message.signature)) + message.signature


def _heads(board: Board, data: bytes, count: int) -> list[tuple[Statement, bytes]]:
    """So many signed statements of this session, with their bytes."""
    found = []
    for _ in range(count):
        if len(data) < STATEMENT_LENGTH + 2:
            raise Malformed("it is truncated")
        encoded = data[:STATEMENT_LENGTH]
        (length,) = struct.unpack_from(">H", data, STATEMENT_LENGTH)
        signature = data[STATEMENT_LENGTH + 2 : STATEMENT_LENGTH + 2 + length]
        data = data[STATEMENT_LENGTH + 2 + length :]
        statement = Statement.decode(encoded)
        if statement.session != board.settings.session or len(signature) > SIGNATURE_LENGTH_MAX:
            raise Malformed("it shows a statement of another session")
        if statement.sender not in board.settings.indices:
            raise Malformed("it shows a statement of no party")
        if not board.verify(statement.sender, encoded, signature):
            raise Malformed("it shows a statement that is not signed")
        found.append((statement, encoded))
    if data:
        raise Malformed("it is too long")
    return found


def _judge_invalid(board: Board, accuser: int, data: bytes) -> Culprit:
    message, end = decode_signed(data)
    statement = check_signed(board.settings, message, board.verify)
    if end != len(data) or statement.receiver not in (0, accuser) or statement.sender == accuser:
        raise Malformed("it shows what was not sent to the accuser")
    reason = board.fault_in(statement, message.body, accuser)
    if reason is None:
        return Culprit(accuser, f"it accuses party {statement.sender} falsely")
    return Culprit(statement.sender, reason)


def _judge_two(board: Board, accuser: int, data: bytes) -> Culprit:
    (first, one), (second, other) = _heads(board, data, 2)
    fields = [(head.round, head.sender, head.receiver) for head in (first, second)]
    if one == other or fields[0] != fields[1]:
        return Culprit(accuser, f"it accuses party {first.sender} falsely")
    return Culprit(first.sender, f"it has signed two different messages for round {first.round}")


def _judge_list(board: Board, heard: Heard, data: bytes) -> tuple[Culprit, ...]:
    heads = _heads(board, data, board.settings.parties)
    number = heads[0][0].round
    for index, (statement, _) in enumerate(heads, start=1):
        if (statement.sender, statement.receiver, statement.round) != (index, 0, number):
            raise Malformed("it is no list of the broadcasts of a round")
    own = heard(number)
    if own is None:
        return ()
    return tuple(
        Culprit(statement.sender, f"it has signed two different messages for round {number}")
        for (statement, encoded), message in zip(heads, own, strict=True)
        if encoded != message.statement
    )
