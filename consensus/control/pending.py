"""Changes on their way: open, approved, being dealt for, and the dealings of the last one that was.

Encodings::

    open        propose body blob | slot u64 | approvals list of text | aborts list of text
    approved    change_id[32] | change | slot u64
    active      approved | attempt u8 | began_slot u64 | began_ms u64 | aborts list of text
                | dealings list | readies list
    dealing     member text | slot u64 | dealing blob
    ready       member text | slot u64 | transcript[32] | receiver blob | receiver_signature[64] | shares blob
    transcript  change_id[32] | attempt u8 | epoch u64 | digest[32] | dealers list of text
                | receivers list of (member text | receiver blob) | dealings list | ready list of text
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from consensus.control.changes import Change
from consensus.control.commands import SHARES_BYTES_MAX, Propose
from consensus.control.encoding import Reader, blob, listed, text, u8, u64
from consensus.control.operations import NewKeys
from consensus.control.rows import NAME_BYTES_MAX, ORGANISATIONS_MAX, SIGNATURE_BYTES
from consensus.limits import RECEIVER_BYTES_MAX
from quorum.system import MEMBER_COUNT_MAX
from verifiable_log.limits import COMMAND_BYTES_MAX


def write_names(names: tuple[str, ...]) -> bytes:
    return listed(text(name) for name in names)


def read_names(reader: Reader) -> tuple[str, ...]:
    return reader.listed(lambda r: r.text(NAME_BYTES_MAX), ORGANISATIONS_MAX)


@dataclass(frozen=True, slots=True)
class OpenChange:
    """A change that waits for approvals, since ``slot``; who approves of it, and who wants it to end."""

    propose: Propose
    slot: int
    approvals: tuple[str, ...]
    aborts: tuple[str, ...] = ()

    @property
    def change_id(self) -> bytes:
        return self.propose.change_id

    @property
    def change(self) -> Change:
        return self.propose.change

    def encode(self) -> bytes:
        return (
            blob(self.propose.body())
            + u64(self.slot)
            + write_names(self.approvals)
            + write_names(self.aborts)
        )

    @classmethod
    def read(cls, reader: Reader) -> OpenChange:
        body = Reader(reader.blob(COMMAND_BYTES_MAX))
        body.fixed(1)
        propose = Propose.read(body.text(NAME_BYTES_MAX), body)
        body.end()
        return cls(propose, reader.number(8), read_names(reader), read_names(reader))


@dataclass(frozen=True, slots=True)
class ApprovedChange:
    """A change that operators have approved of, with ``slot``."""

    change_id: bytes
    change: Change
    slot: int

    def encode(self) -> bytes:
        return self.change_id + self.change.encode() + u64(self.slot)

    @classmethod
    def read(cls, reader: Reader) -> ApprovedChange:
        return cls(reader.fixed(32), Change.read(reader), reader.number(8))


@dataclass(frozen=True, slots=True)
class PostedDealing:
    """A member's dealing, as it stands in the log at ``slot``; the first one of each member counts."""

    member: str
    slot: int
    dealing: bytes

    def encode(self) -> bytes:
        return text(self.member) + u64(self.slot) + blob(self.dealing)

    @classmethod
    def read(cls, reader: Reader) -> PostedDealing:
        return cls(reader.text(NAME_BYTES_MAX), reader.number(8), reader.blob(COMMAND_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class PostedReady:
    """A new member's Ready: ``commands.Ready`` says what its fields mean."""

    member: str
    slot: int
    transcript: bytes
    receiver: bytes
    receiver_signature: bytes
    shares: bytes

    def encode(self) -> bytes:
        head = text(self.member) + u64(self.slot) + self.transcript
        return head + blob(self.receiver) + self.receiver_signature + blob(self.shares)

    @classmethod
    def read(cls, reader: Reader) -> PostedReady:
        return cls(
            reader.text(NAME_BYTES_MAX),
            reader.number(8),
            reader.fixed(32),
            reader.blob(RECEIVER_BYTES_MAX),
            reader.fixed(SIGNATURE_BYTES),
            reader.blob(SHARES_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class ActiveChange:
    """A full change from its approval to the switch. Dealings and readies are in the order of the log."""

    approved: ApprovedChange
    began_slot: int
    began_ms: int
    attempt: int = 0
    aborts: tuple[str, ...] = ()
    dealings: tuple[PostedDealing, ...] = ()
    readies: tuple[PostedReady, ...] = ()

    @property
    def new_keys(self) -> NewKeys | None:
        """The keys that the change brings; None where the present ones are handed on."""
        return self.approved.change.new_public_keys

    @property
    def agreed(self) -> tuple[bytes, int]:
        """The transcript that most of the ready members name, and how many do."""
        named = Counter(one.transcript for one in self.readies).most_common(1)
        return named[0] if named else (bytes(32), 0)

    def encode(self) -> bytes:
        head = self.approved.encode() + u8(self.attempt) + u64(self.began_slot) + u64(self.began_ms)
        dealings = listed(one.encode() for one in self.dealings)
        return head + write_names(self.aborts) + dealings + listed(one.encode() for one in self.readies)

    @classmethod
    def read(cls, reader: Reader) -> ActiveChange:
        approved, attempt = ApprovedChange.read(reader), reader.number(1)
        return cls(
            approved,
            reader.number(8),
            reader.number(8),
            attempt,
            read_names(reader),
            reader.listed(PostedDealing.read, MEMBER_COUNT_MAX),
            reader.listed(PostedReady.read, MEMBER_COUNT_MAX),
        )


@dataclass(frozen=True, slots=True)
class Transcript:
    """How the shares of today were dealt: for members that were away, until all of them are ready.

    ``epoch`` is the one that dealt, ``dealers`` its members in their order, ``receivers`` those of the next
    one with the receiver keys that were dealt to; ``digest`` is what the ready ones have named. Of a change
    that brought new keys there are no dealers, and one dealing, the change's own.
    """

    change_id: bytes
    attempt: int
    epoch: int
    digest: bytes
    dealers: tuple[str, ...]
    receivers: tuple[tuple[str, bytes], ...]
    dealings: tuple[PostedDealing, ...]
    ready: tuple[str, ...]

    def encode(self) -> bytes:
        head = self.change_id + u8(self.attempt) + u64(self.epoch) + self.digest + write_names(self.dealers)
        receivers = listed(text(name) + blob(key) for name, key in self.receivers)
        return head + receivers + listed(one.encode() for one in self.dealings) + write_names(self.ready)

    @classmethod
    def read(cls, reader: Reader) -> Transcript:
        return cls(
            reader.fixed(32),
            reader.number(1),
            reader.number(8),
            reader.fixed(32),
            read_names(reader),
            reader.listed(lambda r: (r.text(NAME_BYTES_MAX), r.blob(RECEIVER_BYTES_MAX)), MEMBER_COUNT_MAX),
            reader.listed(PostedDealing.read, MEMBER_COUNT_MAX),
            read_names(reader),
        )
