"""Control commands: what operators and members say about who takes part, as bytes in the log.

A control command is one ordinary command of any client's or member's submission. Who carries it does not
matter: the signature within counts. Encoding::

    "alliance-control/1" 00 | kind u8 | signer text | body | signature[64]

    1 Edit       counter u64 | edits list
    2 Propose    counter u64 | change
    3 Approve    change_id[32]
    4 Abort      change_id[32]
    5 Deal       change_id[32] | attempt u8 | dealing blob
    6 Ready      change_id[32] | attempt u8 | transcript[32] | receiver blob | receiver_signature[64]
                 | shares blob

The signer of the first four is an organisation, by its operator's key; of a Deal a member of this epoch, of a
Ready one of the next, by their identities. The signature is on the CONTROL statement of ``H(all bytes before
it)``; of a Deal or Ready, of ``H(all bytes before it | epoch u64)``, with the epoch that hands the keys on:
so nobody repeats it when a suspension has the change begin again in the next one. A counter is the
organisation's last one plus 1, for Edit and Propose alike: no command counts twice. ``change_id`` is ``H`` of
the Propose without its signature: approvals are for this proposal, and for no later one of the same content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from consensus.control.changes import Change
from consensus.control.edits import EditOperation, read_edit
from consensus.control.encoding import MalformedControl, Reader, blob, listed, text, u8, u64
from consensus.control.rows import NAME_BYTES_MAX, SIGNATURE_BYTES, check_name
from consensus.limits import ATTEMPTS_MAX, OPERATIONS_MAX, RECEIVER_BYTES_MAX, RECOVERY_ATTEMPT
from quorum import Context, ControlStatement
from verifiable_log.limits import COMMAND_BYTES_MAX

MAGIC = b"alliance-control/1\x00"
SHARES_BYTES_MAX = 64 * 1024
"""The signature shares in a Ready: one with its proof for each key."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An organisation changes what is its own; all operations, or none."""

    signer: str
    counter: int
    operations: tuple[EditOperation, ...]

    def body(self) -> bytes:
        return u8(1) + text(self.signer) + u64(self.counter) + listed(one.encode() for one in self.operations)

    @classmethod
    def read(cls, signer: str, reader: Reader) -> Edit:
        return cls(signer, reader.number(8), reader.listed(read_edit, OPERATIONS_MAX))


@dataclass(frozen=True, slots=True)
class Propose:
    """An organisation proposes a change, and approves of it."""

    signer: str
    counter: int
    change: Change

    def body(self) -> bytes:
        return u8(2) + text(self.signer) + u64(self.counter) + self.change.encode()

    @property
    def change_id(self) -> bytes:
        return digest_of(self)

    @classmethod
    def read(cls, signer: str, reader: Reader) -> Propose:
        return cls(signer, reader.number(8), Change.read(reader))


@dataclass(frozen=True, slots=True)
class Approve:
    """An organisation approves of an open change."""

    signer: str
    change_id: bytes

    def body(self) -> bytes:
        return u8(3) + text(self.signer) + self.change_id

    @classmethod
    def read(cls, signer: str, reader: Reader) -> Approve:
        return cls(signer, reader.fixed(32))


@dataclass(frozen=True, slots=True)
class Abort:
    """An organisation wants a change to end: its own open one, or with others any that is not scheduled."""

    signer: str
    change_id: bytes

    def body(self) -> bytes:
        return u8(4) + text(self.signer) + self.change_id

    @classmethod
    def read(cls, signer: str, reader: Reader) -> Abort:
        return cls(signer, reader.fixed(32))


@dataclass(frozen=True, slots=True)
class Deal:
    """A member hands its shares of all keys on. ``dealing`` is not looked into here."""

    signer: str
    change_id: bytes
    attempt: int
    dealing: bytes

    def body(self) -> bytes:
        return u8(5) + text(self.signer) + self.change_id + u8(self.attempt) + blob(self.dealing)

    @classmethod
    def read(cls, signer: str, reader: Reader) -> Deal:
        return cls(
            signer, reader.fixed(32), reader.number(1, ATTEMPTS_MAX - 1), reader.blob(COMMAND_BYTES_MAX)
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """A member of the next epoch has its shares, by the dealings that ``transcript`` is the digest of.

    ``receiver`` is its key for the dealing after this one. ``shares`` are its signature shares on
    EPOCH_READY, for whoever wants to see a signature of the new members; they are not looked into here.
    """

    signer: str
    change_id: bytes
    attempt: int
    transcript: bytes
    receiver: bytes
    receiver_signature: bytes
    shares: bytes = b""

    def body(self) -> bytes:
        head = u8(6) + text(self.signer) + self.change_id + u8(self.attempt) + self.transcript
        return head + blob(self.receiver) + self.receiver_signature + blob(self.shares)

    @classmethod
    def read(cls, signer: str, reader: Reader) -> Ready:
        return cls(
            signer,
            reader.fixed(32),
            reader.number(1, RECOVERY_ATTEMPT),
            reader.fixed(32),
            reader.blob(RECEIVER_BYTES_MAX),
            reader.fixed(SIGNATURE_BYTES),
            reader.blob(SHARES_BYTES_MAX),
        )


ControlCommand: TypeAlias = Edit | Propose | Approve | Abort | Deal | Ready
_READERS: tuple[Callable[[str, Reader], ControlCommand], ...] = (
    Edit.read,
    Propose.read,
    Approve.read,
    Abort.read,
    Deal.read,
    Ready.read,
)


def digest_of(command: ControlCommand) -> bytes:
    """``H`` of all bytes of a command before its signature."""
    return sha256(MAGIC + command.body()).digest()


def command_message(alliance_id: bytes, command: ControlCommand, epoch: int = 0) -> bytes:
    """What the operator or member signs. ``epoch``: of a Deal or Ready, that which hands the keys on."""
    bound = u64(epoch) if isinstance(command, Deal | Ready) else b""
    digest = sha256(MAGIC + command.body() + bound).digest()
    return ControlStatement(digest).encode(Context(alliance_id, 0))


@dataclass(frozen=True, slots=True)
class SignedCommand:
    """A command with a signature, which nobody has checked yet."""

    command: ControlCommand
    signature: bytes

    def encode(self) -> bytes:
        """The command of a submission."""
        return MAGIC + self.command.body() + self.signature

    @classmethod
    def decode(cls, encoded: bytes) -> SignedCommand:
        """Raises MalformedControl for bytes that are none."""
        reader = Reader(encoded)
        if reader.fixed(len(MAGIC)) != MAGIC:
            raise MalformedControl("it does not begin as a control command")
        kind = reader.number(1, len(_READERS))
        if kind == 0:
            raise MalformedControl("there is no control command of kind 0")
        signer = reader.text(NAME_BYTES_MAX)
        check_name(signer)
        command = _READERS[kind - 1](signer, reader)
        signature = reader.fixed(SIGNATURE_BYTES)
        reader.end()
        return cls(command, signature)
