"""The operators' act by which an alliance goes on that has lost more members than its log can do without.

Operators say, outside of the log and as many of them as approve a change, that their epoch is over behind
the last slot that is known to be certified, and what becomes of its members. ``recovering`` is what comes of
it.

Encodings::

    act         "alliance-control-recovery/1" 00 | slot u64 | root[32] | survivors list of text | change
    approval    organisation text | signature[64]
    recovery    act blob | approvals list | transcript[32]

The change is a full one that expires with ``slot``, at the agreed time 0. An operator signs the CONTROL
statement of ``H("alliance-control/1" 00 | 07 | organisation text | act)``: 07 is the kind of no command, so
nobody takes the one for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from consensus.control.changes import Change
from consensus.control.commands import MAGIC
from consensus.control.encoding import MalformedControl, Reader, blob, listed, text, u8, u64
from consensus.control.pending import read_names, write_names
from consensus.control.rows import NAME_BYTES_MAX, ORGANISATIONS_MAX, SIGNATURE_BYTES
from quorum import Context, ControlStatement
from verifiable_log.limits import COMMAND_BYTES_MAX

_DOMAIN = b"alliance-control-recovery/1\x00"
_KIND = 7
_ACT_BYTES_MAX = COMMAND_BYTES_MAX


@dataclass(frozen=True, slots=True)
class RecoveryAct:
    """Behind ``slot``, where the log has this Merkle ``root``, the epoch is over, and ``change`` is carried
    out.

    ``survivors``, in alphabetical order, are the members that have shown their logs, of which the longest one
    is taken.
    """

    slot: int
    root: bytes
    survivors: tuple[str, ...]
    change: Change

    def encode(self) -> bytes:
        head = _DOMAIN + u64(self.slot) + self.root + write_names(self.survivors)
        return head + self.change.encode()

    @classmethod
    def decode(cls, encoded: bytes) -> RecoveryAct:
        """Raises MalformedControl."""
        reader = Reader(encoded)
        if reader.fixed(len(_DOMAIN)) != _DOMAIN:
            raise MalformedControl("it does not begin as an act of recovery")
        act = cls(reader.number(8), reader.fixed(32), read_names(reader), Change.read(reader))
        reader.end()
        return act

    @property
    def digest(self) -> bytes:
        """32 bytes, which operators compare, and by which the change is known."""
        return sha256(self.encode()).digest()

    def message(self, alliance_id: bytes, organisation: str) -> bytes:
        """What the operator of an organisation signs to approve of it."""
        said = sha256(MAGIC + u8(_KIND) + text(organisation) + self.encode()).digest()
        return ControlStatement(said).encode(Context(alliance_id, 0))


@dataclass(frozen=True, slots=True)
class RecoveryApproval:
    """One operator's signature on an act."""

    organisation: str
    signature: bytes

    def encode(self) -> bytes:
        return text(self.organisation) + self.signature

    @classmethod
    def read(cls, reader: Reader) -> RecoveryApproval:
        return cls(reader.text(NAME_BYTES_MAX), reader.fixed(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class Recovery:
    """An act that was carried out. ``transcript`` is the digest of the keys that were dealt by it."""

    act: RecoveryAct
    approvals: tuple[RecoveryApproval, ...]
    transcript: bytes

    @property
    def epoch(self) -> int:
        """The epoch that ended by it."""
        return self.act.change.from_epoch

    def encode(self) -> bytes:
        return blob(self.act.encode()) + listed(one.encode() for one in self.approvals) + self.transcript

    @classmethod
    def read(cls, reader: Reader) -> Recovery:
        act = RecoveryAct.decode(reader.blob(_ACT_BYTES_MAX))
        return cls(act, reader.listed(RecoveryApproval.read, ORGANISATIONS_MAX), reader.fixed(32))
