"""How a member enters an epoch: the record that its journal takes in one transaction.

The journal alone says in which epoch a member is. Before the record is durable it has said nothing in the new
epoch, and may still say things in the old one; from then on it is the other way round. The record holds all
that the member needs to go on: who its members are, by the certificate with which the epoch before ended,
and the log and ordering state to begin with.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from alliance.keys.shares import Generation
from alliance.storage.journal_records import Position, pack_certificate
from quorum import DecisionCertificate, InvalidCertificate, MembershipStatement, QuorumCertificate
from verifiable_log.ordering_state import Checkpoint

EPOCH = "epoch"
"""The key of the note that holds the membership of the epoch, once it is not the first one."""
SHARES = "shares"
"""The key of the note that says which of the member's shares count, once it is not those of the founding."""
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class EpochMembership:
    """Who takes part in an epoch after the first: ``config``, and the certificate of the epoch before on it.

    ``config`` is a canonical encoding whose digest, ``SHA-256(06 | config)``, the certificate has. The
    signature is verified by who brings it. Raises ValueError when the two do not belong together.
    """

    config: bytes
    certificate: QuorumCertificate

    def __post_init__(self) -> None:
        said = self.certificate.statement
        if not isinstance(said, MembershipStatement) or said.next_epoch != self.certificate.epoch + 1:
            raise ValueError("the certificate of an epoch is not one of its membership")
        if said.config_digest != sha256(b"\x06" + self.config).digest():
            raise ValueError("the certificate of an epoch is of another membership")

    @property
    def statement(self) -> MembershipStatement:
        statement = self.certificate.statement
        if not isinstance(statement, MembershipStatement):  # it was, when this was made
            raise TypeError(type(statement).__name__)
        return statement

    @property
    def epoch(self) -> int:
        return self.statement.next_epoch

    @property
    def start(self) -> int:
        """The last slot of the epoch before."""
        return self.statement.slot

    def pack(self) -> bytes:
        """``length u32 | config | certificate``"""
        return _LENGTH.pack(len(self.config)) + self.config + pack_certificate(self.certificate)

    @classmethod
    def unpack(cls, packed: bytes) -> EpochMembership:
        """Raises ValueError or struct.error."""
        (length,) = _LENGTH.unpack_from(packed)
        config = packed[_LENGTH.size : _LENGTH.size + length]
        return cls(config, QuorumCertificate.decode(packed[_LENGTH.size + length :]))


@dataclass(frozen=True)
class EpochRecord:
    """This member enters an epoch. Raises ValueError when the parts do not belong together.

    ``checkpoint`` is that of the epoch's start, and ``decision`` the certificate of the last slot before it;
    or both are later ones, of the new epoch, for a member that others bring up. ``shares`` count from now on;
    None for those that count already.
    """

    membership: EpochMembership
    checkpoint: Checkpoint
    decision: QuorumCertificate
    shares: Generation | None = None

    def __post_init__(self) -> None:
        begins, slot = self.membership.statement, self.checkpoint.slot
        if slot < begins.slot or self._decision.slot < slot:
            raise ValueError(f"epoch {begins.next_epoch} does not begin at slot {slot}")
        if slot == begins.slot:
            Checkpoint(self.checkpoint.snapshot, self.membership.certificate)  # of the same state
        elif self.checkpoint.certificate.epoch != begins.next_epoch:
            raise ValueError(f"the checkpoint at slot {slot} is not one of epoch {begins.next_epoch}")
        at_end = (self._decision.slot, self._decision.root) == (begins.slot, begins.root)
        if self.decision.epoch != begins.next_epoch and not (
            at_end and self.decision.epoch == self.membership.certificate.epoch
        ):
            raise ValueError(f"the log with which epoch {begins.next_epoch} begins is not decided")

    @property
    def is_at_its_slot(self) -> bool:
        """Whether ``decision`` is of the checkpoint's slot, and not of one that is not here yet."""
        return self._decision.slot == self.checkpoint.slot

    @cached_property
    def _decision(self) -> DecisionCertificate:
        try:
            return DecisionCertificate.of(self.decision)
        except InvalidCertificate as error:
            raise ValueError(str(error)) from None

    def enter(self, position: Position) -> Position:
        """Where the member stands, after ``position`` in an earlier epoch: it has said nothing yet.

        What it has accepted behind the checkpoint, and nobody certified, is forgotten: an epoch that ended by
        an act of recovery may have got further than its end. Raises ValueError when it cannot follow.
        """
        membership, slot = self.membership, self.checkpoint.slot
        if membership.epoch <= position.epoch or slot < position.proven:
            raise ValueError(
                f"epoch {membership.epoch} at slot {slot} does not follow upon epoch {position.epoch}, which"
                f" has certified slot {position.proven}"
            )
        return Position(proven=slot, last=slot, epoch=membership.epoch, start=membership.start)


def read_membership(note: bytes | None) -> EpochMembership | None:
    """Raises ValueError or struct.error."""
    return EpochMembership.unpack(note) if note is not None else None


def read_shares(note: bytes | None) -> Generation | None:
    """Raises ValueError."""
    generation = Generation.parse(note.decode()) if note else None
    if note and generation is None:
        raise ValueError("its shares are of no generation")
    return generation
