"""Messages: what is signed of them, and which kinds there are.

A message is a statement, of fixed length, and a body. What the layer above signs is the statement; it names
the session, the round, who sends what to whom, all that was broadcast before, and the body by its hash:

    "shoup-rsa/dealerless" 00 | version u8 = 1 | session 32 | round u32 | kind u8 | sender u16 | receiver u16,
    0 for all | chain 32 | SHA-256 of the body 32

The chain is a hash of the statements of all earlier broadcasts. Who has got other broadcasts than others has
another chain, so nothing can be concluded from messages that were not the same for all.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from shoup_rsa.dealerless.numbers import Malformed
from shoup_rsa.dealerless.settings import Settings

_MAGIC = b"shoup-rsa/dealerless\x00"
_LAYOUT = struct.Struct(">B32sIBHH32s32s")
STATEMENT_LENGTH = len(_MAGIC) + _LAYOUT.size
SIGNATURE_LENGTH_MAX = 1024
_CHAIN_DOMAIN = b"shoup-rsa/v1/dealerless/chain\x00"

Verify = Callable[[int, bytes, bytes], bool]
"""(party, statement, signature): whether that party's identity has signed the statement."""


class Phase(IntEnum):
    """What is sent in a round, and the kind of its messages."""

    SETUP = 0
    COMMIT = 1
    SIEVE_SHARES = 2
    SIEVE_OPENING = 3
    PRODUCT_SHARES = 4
    PRODUCT_OPENING = 5
    TEST_COMMIT = 6
    TEST_OPENING = 7
    SEED_OPENING = 8
    VERDICT = 9
    FINAL_SHARES = 10
    FINAL_COMMIT = 11
    FINAL_OPENING = 12
    EXPONENT = 13
    KEPT_OPENING = 14
    KEPT_VERDICT = 15
    DEALING = 16
    TRIAL = 17
    CONFIRM = 18
    ACCUSATION = 19

    @property
    def private(self) -> bool:
        """Whether every party sends another message to each other party, in place of one to all."""
        return self in (Phase.SIEVE_SHARES, Phase.PRODUCT_SHARES, Phase.FINAL_SHARES)


@dataclass(frozen=True)
class Statement:
    """The head of a message. receiver: 0 for all."""

    session: bytes
    round: int
    kind: int
    sender: int
    receiver: int
    chain: bytes
    digest: bytes

    def encode(self) -> bytes:
        """The bytes that are signed."""
        return _MAGIC + _LAYOUT.pack(
            1, self.session, self.round, self.kind, self.sender, self.receiver, self.chain, self.digest
        )

    @classmethod
    def decode(cls, data: bytes) -> Statement:
        """The opposite. Raises Malformed."""
        if len(data) != STATEMENT_LENGTH or not data.startswith(_MAGIC):
            raise Malformed("this is not a statement")
        version, *fields = _LAYOUT.unpack_from(data, len(_MAGIC))
        if version != 1:
            raise Malformed(f"version {version} of a statement is unknown; this code reads 1")
        return cls(*fields)


@dataclass(frozen=True)
class Outgoing:
    """What is to be signed and sent. receiver: 0 for all, the sender itself included; else that one alone.

    To all: the layer above hands the message back to its own party too, with its signature, as to others.
    To one: the channel must be confidential.
    """

    receiver: int
    statement: bytes
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Signed:
    """A message with its sender's signature of the statement. The body of a private one is secret."""

    statement: bytes
    body: bytes = field(repr=False)
    signature: bytes

    def encode(self) -> bytes:
        """Length-prefixed, for evidence and transcripts."""
        lengths = struct.pack(">HI", len(self.signature), len(self.body))
        return self.statement + lengths + self.signature + self.body


def statement_for(
    settings: Settings, position: tuple[int, Phase, bytes], sender: int, receiver: int, body: bytes
) -> bytes:
    """The statement of a message; position: round, phase and chain."""
    number, kind, chain = position
    digest = hashlib.sha256(body).digest()
    return Statement(settings.session, number, kind, sender, receiver, chain, digest).encode()


def decode_signed(data: bytes, position: int = 0) -> tuple[Signed, int]:
    """A message at a position of the data, and where it ends. Raises Malformed."""
    head = position + STATEMENT_LENGTH + 6
    if len(data) < head:
        raise Malformed("a message is truncated")
    signature_length, body_length = struct.unpack_from(">HI", data, position + STATEMENT_LENGTH)
    middle = head + signature_length
    end = middle + body_length
    if signature_length > SIGNATURE_LENGTH_MAX or end > len(data):
        raise Malformed("a message does not have the length that it states")
    statement = data[position : position + STATEMENT_LENGTH]
    return Signed(statement, data[middle:end], data[head:middle]), end


def check_signed(settings: Settings, message: Signed, verify: Verify) -> Statement:
    """The statement of a message that its sender has signed in this session. Raises Malformed."""
    statement = Statement.decode(message.statement)
    if statement.session != settings.session:
        raise Malformed("it is of another session: other settings, or another context")
    if not 1 <= statement.sender <= settings.parties or not 0 <= statement.receiver <= settings.parties:
        raise Malformed("its sender or its receiver is no party")
    if hashlib.sha256(message.body).digest() != statement.digest:
        raise Malformed("its body is not the one that was signed")
    if len(message.signature) > SIGNATURE_LENGTH_MAX:
        raise Malformed("its signature is too long")
    if not verify(statement.sender, message.statement, message.signature):
        raise Malformed("its signature is not its sender's")
    return statement


def next_chain(chain: bytes, statements: Sequence[bytes]) -> bytes:
    """The chain after a round of broadcasts, in the order of the parties."""
    return hashlib.sha256(_CHAIN_DOMAIN + chain + b"".join(statements)).digest()
