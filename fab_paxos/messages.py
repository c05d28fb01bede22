"""What members say to each other. Frozen values; the gate has checked form and signatures.

``signature`` is the author's Ed25519 signature; it is empty on messages that this member makes itself,
because the engine holds no keys: they are signed when they leave.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias, TypeGuard

from fab_paxos.selection import ReportedEntry
from fab_paxos.types import Batch, Submission
from quorum import AcceptedStatement, Endorsement, JointStatement, QuorumCertificate


@dataclass(frozen=True, slots=True)
class Propose:
    """The leader of ``view`` gives ``slot`` to ``batch``. It stands for the leader's own Accepted."""

    view: int
    slot: int
    batch: Batch
    root: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Cumulative: the sender accepted, in ``view``, every slot up to ``slot``, with this root."""

    view: int
    slot: int
    root: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Flag:
    """The leader asks for endorsements that certify the log up to ``slot``."""

    view: int
    slot: int


@dataclass(frozen=True, slots=True)
class Endorsed:
    """The sender's share of a jointly signed statement; unverified."""

    endorsement: Endorsement


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate, verified by the gate."""

    certificate: QuorumCertificate


@dataclass(frozen=True, slots=True)
class ProveShare:
    """The sender could not combine this statement's shares and asks for yours with its proof."""

    statement: JointStatement


@dataclass(frozen=True, slots=True)
class Status:
    """Where the sender stands; sent on the heartbeat and when a link comes up.

    ``active``: it has the NewView of its view, and so takes part.
    """

    view: int
    accepted: int
    decided: int
    certified: int
    active: bool = True


@dataclass(frozen=True, slots=True)
class Fetch:
    """The sender asks for the log from ``first_slot`` on."""

    first_slot: int


@dataclass(frozen=True, slots=True)
class LogFrame:
    """Consecutive batches, provable from one certificate (verified by the gate) at or above them.

    ``cover`` are the tree nodes that stand for the slots between the last batch and the certificate.
    """

    first_slot: int
    batches: tuple[Batch, ...]
    certificate: QuorumCertificate
    cover: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Forward:
    """Submissions for the leader, from a member whose clients they reached; to all when it is suspected."""

    submissions: tuple[Submission, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the sender accepted before it entered ``view``: everything above its ``base``.

    ``base`` is a decision certificate (None: the empty log); what it covers need not be reported.
    """

    view: int
    base: QuorumCertificate | None
    entries: tuple[ReportedEntry, ...]
    signature: bytes = b""

    @property
    def base_slot(self) -> int:
        return _base_slot(self.base)

    @property
    def body_digest(self) -> bytes:
        """SHA-256 of the base certificate and the entries, fixed-width: what the reporter signs."""
        base = self.base.statement.fields() + self.base.signature if self.base is not None else b""
        parts = [struct.pack(">I", len(base)), base]
        parts += [struct.pack(">QQ32s", e.slot, e.view, e.batch_digest) for e in self.entries]
        return sha256(b"".join(parts)).digest()


@dataclass(frozen=True, slots=True)
class NewView:
    """The leader of ``view`` opens it: what members reported, and what therefore follows.

    ``reports`` are (member, Report) by member; ``vector`` the batch digests from the highest reported base
    on. That the view was elected is shown by its election proof, which every link carries before this.
    """

    view: int
    reports: tuple[tuple[int, Report], ...]
    vector: tuple[bytes, ...]
    signature: bytes = b""

    @property
    def base(self) -> QuorumCertificate | None:
        """The highest base among the Reports."""
        return max((report.base for _, report in self.reports), key=_base_slot, default=None)

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it: what the leader signs, and what members keep."""
        parts = [struct.pack(">Q", self.view)]
        for member, report in self.reports:
            parts += [struct.pack(">I", member), report.body_digest]
        return sha256(b"".join([*parts, struct.pack(">I", len(self.vector)), *self.vector])).digest()


@dataclass(frozen=True, slots=True)
class FetchBatches:
    """The sender lacks these batches, which a NewView names by digest."""

    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches that were asked for; they prove themselves by their digests."""

    batches: tuple[Batch, ...]


Message: TypeAlias = (
    Propose
    | Accepted
    | Flag
    | Endorsed
    | Certified
    | ProveShare
    | Status
    | Fetch
    | LogFrame
    | Forward
    | Report
    | NewView
    | FetchBatches
    | Batches
)


def is_accepted(statement: JointStatement) -> TypeGuard[AcceptedStatement]:
    return isinstance(statement, AcceptedStatement)


def _base_slot(base: QuorumCertificate | None) -> int:
    return base.statement.slot if base is not None and is_accepted(base.statement) else 0
