"""Statements: the canonical bytes that members sign, alone or jointly.

Layout, big-endian and of fixed width::

    "alliance/v1" 0x00 | tag u8 | alliance_id[32] | epoch u64 | fields

The tag separates purposes, the alliance id and the epoch separate alliances and generations of members, so
a signature on one statement is never a signature on another. Serialisations (protobuf, JSON) are never
signed: they are not canonical. The encodings are frozen by fixtures in the tests. ``tags`` is the registry of
the tags: those that a quorum signs jointly, and those that one party signs with its own Ed25519 key.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

from quorum.tags import Tag, tag_name

PREFIX = b"alliance/v1\x00"
DIGEST_BYTES = 32
U64_MAX = 2**64 - 1


class InvalidStatement(ValueError):
    """Bytes or values from which no statement can be made."""


def _require_digest(name: str, value: bytes) -> None:
    if not isinstance(value, bytes) or len(value) != DIGEST_BYTES:
        raise InvalidStatement(f"{name} must be {DIGEST_BYTES} bytes")


def _require_u64(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= U64_MAX:
        raise InvalidStatement(f"{name} must be a whole number from 0 to 2^64-1")


@dataclass(frozen=True, slots=True)
class Context:
    """What every statement of one alliance and generation of its members has in common.

    ``alliance_id`` is 32 bytes, ``epoch`` 0 to 2^64-1. Raises InvalidStatement.
    """

    alliance_id: bytes
    epoch: int

    def __post_init__(self) -> None:
        _require_digest("alliance_id", self.alliance_id)
        _require_u64("epoch", self.epoch)

    def frame(self, tag: int, fields: bytes) -> bytes:
        """The signed bytes of a statement with this tag and these fields."""
        return PREFIX + bytes([tag]) + self.alliance_id + self.epoch.to_bytes(8, "big") + fields


@dataclass(frozen=True, slots=True)
class _Statement:
    """Fields in order; those typed ``int`` are u64, those typed ``bytes`` are 32-byte digests."""

    TAG: ClassVar[Tag]
    LAYOUT: ClassVar[struct.Struct]
    _CHECKS: ClassVar[tuple[tuple[str, Callable[[str, Any], None]], ...]]

    def __init_subclass__(cls) -> None:
        # Once for each kind: several statements are made of every message, and asking dataclasses is slow.
        kinds = {name: kind for name, kind in cls.__annotations__.items() if "ClassVar" not in kind}
        cls._CHECKS = tuple(
            (name, _require_u64 if kind == "int" else _require_digest) for name, kind in kinds.items()
        )

    def __post_init__(self) -> None:
        for name, require in self._CHECKS:
            require(name, getattr(self, name))

    def fields(self) -> bytes:
        return self.LAYOUT.pack(*[getattr(self, name) for name, _ in self._CHECKS])

    def encode(self, context: Context) -> bytes:
        return context.frame(self.TAG, self.fields())


@dataclass(frozen=True, slots=True)
class AcceptedStatement(_Statement):
    """The signer accepted, in ``view``, the log of ``slot`` slots whose Merkle root is ``root``.

    Signed jointly by a decision quorum it is a decision certificate for every slot up to ``slot``.
    """

    TAG: ClassVar[Tag] = Tag.ACCEPTED
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">QQ32s")
    view: int
    slot: int
    root: bytes


@dataclass(frozen=True, slots=True)
class SuspectStatement(_Statement):
    """The signer suspects the leader of ``view``; jointly: an election proof of the next view."""

    TAG: ClassVar[Tag] = Tag.SUSPECT
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">Q")
    view: int


@dataclass(frozen=True, slots=True)
class ProgressStatement(_Statement):
    """The signer checked the NewView of ``view``; jointly: a progress certificate."""

    TAG: ClassVar[Tag] = Tag.PROGRESS
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">Q32s")
    view: int
    new_view_digest: bytes


@dataclass(frozen=True, slots=True)
class CheckpointStatement(_Statement):
    """The signer holds this log and this ordering state at ``slot``; jointly: a stable checkpoint."""

    TAG: ClassVar[Tag] = Tag.CHECKPOINT
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">Q32s32s")
    slot: int
    root: bytes
    state_digest: bytes


@dataclass(frozen=True, slots=True)
class ReplyStatement(_Statement):
    """An application's answers to its commands of one slot; signed with the attestation key.

    ``root`` is that of the Merkle tree over the ``count`` answers, in order: one signature for all of them.
    """

    TAG: ClassVar[Tag] = Tag.REPLY
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">QQ32s")
    slot: int
    count: int
    root: bytes


@dataclass(frozen=True, slots=True)
class MembershipStatement(_Statement):
    """From after ``slot`` on the members, clients and addresses are those of ``config_digest``.

    Signed in the epoch that has decided so. ``next_epoch`` is the one after it, and ``slot`` its own last; or
    it is the same epoch, of which ``revision`` begins. ``root`` is that of the log up to the slot.
    ``state_digest``, at the end of an epoch, is the ordering state's: the certificate is that of a checkpoint
    as well; within an epoch it is 32 zero bytes.
    """

    TAG: ClassVar[Tag] = Tag.MEMBERSHIP
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">QQQ32s32s32s")
    next_epoch: int
    revision: int
    slot: int
    root: bytes
    state_digest: bytes
    config_digest: bytes


@dataclass(frozen=True, slots=True)
class EpochReadyStatement(_Statement):
    """The signer, a member of the next epoch, holds shares of all keys from the dealings of this transcript.

    Signed in the next epoch, with those shares. ``change_digest`` is that of the change of members,
    ``attempt`` counts its dealings, ``transcript_digest`` covers those that were taken, in order.
    """

    TAG: ClassVar[Tag] = Tag.EPOCH_READY
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">32sQ32s")
    change_digest: bytes
    attempt: int
    transcript_digest: bytes


@dataclass(frozen=True, slots=True)
class SnapshotStatement(_Statement):
    """An application's state after ``slot``, ``size`` bytes; signed with the attestation key.

    ``tree`` is the root of the Merkle tree over its chunks, ``ordering_digest`` that of the ordering state at
    the slot, ``application`` the SHA-256 of its name.
    """

    TAG: ClassVar[Tag] = Tag.SNAPSHOT
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">QQ32s32s32s")
    slot: int
    size: int
    ordering_digest: bytes
    tree: bytes
    application: bytes


@dataclass(frozen=True, slots=True)
class ProposeStatement(_Statement):
    """The leader of ``view`` gives ``slot`` to a batch; ``root`` is that of the log up to it."""

    TAG: ClassVar[Tag] = Tag.PROPOSE
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">QQ32s32s")
    view: int
    slot: int
    batch_digest: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class VoteStatement(_Statement):
    """One acceptor's own vote for what AcceptedStatement says jointly."""

    TAG: ClassVar[Tag] = Tag.VOTE
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">QQ32s")
    view: int
    slot: int
    root: bytes


@dataclass(frozen=True, slots=True)
class ReportStatement(_Statement):
    """What one acceptor accepted, on entering ``view``; ``body_digest`` is that of the whole Report."""

    TAG: ClassVar[Tag] = Tag.REPORT
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">Q32s")
    view: int
    body_digest: bytes


@dataclass(frozen=True, slots=True)
class NewViewStatement(_Statement):
    """The leader of ``view`` opens it with the NewView of this digest."""

    TAG: ClassVar[Tag] = Tag.NEW_VIEW
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">Q32s")
    view: int
    new_view_digest: bytes


@dataclass(frozen=True, slots=True)
class SubmissionStatement(_Statement):
    """A client submits commands under one of its sequence numbers. Always signed in epoch 0.

    A client signs for the alliance, not for a membership: what waits outlives a change of members.
    """

    TAG: ClassVar[Tag] = Tag.SUBMISSION
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">32sQ32s")
    client_id: bytes
    client_seq: int
    body_digest: bytes

    def encode(self, context: Context) -> bytes:
        return replace(context, epoch=0).frame(self.TAG, self.fields())


@dataclass(frozen=True, slots=True)
class ControlStatement(_Statement):
    """An operator or a member gives the command of this digest. Always signed in epoch 0.

    What a command is for, its epoch among it, stands in the bytes that ``digest`` is of
    (``consensus.control.commands``).
    """

    TAG: ClassVar[Tag] = Tag.CONTROL
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">32s")
    digest: bytes

    def encode(self, context: Context) -> bytes:
        return replace(context, epoch=0).frame(self.TAG, self.fields())


@dataclass(frozen=True, slots=True)
class GreetingStatement(_Statement):
    """``member`` tells ``peer`` that its start number ``incarnation`` is the one of this ``session``.

    Members count from 0, incarnations from 1; the session is drawn at random at each start.
    """

    TAG: ClassVar[Tag] = Tag.GREETING
    LAYOUT: ClassVar[struct.Struct] = struct.Struct(">QQQ32s")
    member: int
    peer: int
    incarnation: int
    session: bytes


JointStatement: TypeAlias = (
    AcceptedStatement
    | SuspectStatement
    | ProgressStatement
    | CheckpointStatement
    | ReplyStatement
    | MembershipStatement
    | EpochReadyStatement
    | SnapshotStatement
)
_JOINT: dict[int, type[JointStatement]] = {
    kind.TAG: kind
    for kind in (
        AcceptedStatement,
        SuspectStatement,
        ProgressStatement,
        CheckpointStatement,
        ReplyStatement,
        MembershipStatement,
        EpochReadyStatement,
        SnapshotStatement,
    )
}

IndividualStatement: TypeAlias = (
    ProposeStatement | VoteStatement | ReportStatement | NewViewStatement | GreetingStatement
)
"""What one member signs with its own key."""
_INDIVIDUAL: dict[int, type[IndividualStatement]] = {
    kind.TAG: kind
    for kind in (ProposeStatement, VoteStatement, ReportStatement, NewViewStatement, GreetingStatement)
}


def joint_kind(tag: int) -> type[JointStatement]:
    """The kind of the jointly signed statements with this tag; raises InvalidStatement."""
    kind = _JOINT.get(tag)
    if kind is None:
        raise InvalidStatement(f"no quorum signs a statement with {tag_name(tag)}")
    return kind


def decode_joint(tag: int, fields: bytes) -> JointStatement:
    """The jointly signed statement with this tag and these fields; raises InvalidStatement."""
    kind = joint_kind(tag)
    _require_size(kind, fields)
    return kind(*kind.LAYOUT.unpack(fields))


def decode_individual(tag: int, fields: bytes) -> IndividualStatement:
    """The statement of one member with this tag and these fields; raises InvalidStatement."""
    kind = _INDIVIDUAL.get(tag)
    if kind is None:
        raise InvalidStatement(f"no member signs a statement alone with {tag_name(tag)}")
    _require_size(kind, fields)
    return kind(*kind.LAYOUT.unpack(fields))


def _require_size(kind: type[_Statement], fields: bytes) -> None:
    if len(fields) != kind.LAYOUT.size:
        raise InvalidStatement(f"{kind.__name__} has {kind.LAYOUT.size} bytes of fields, not {len(fields)}")
