"""What members say to each other. Frozen values; the gate has checked form and signatures.

``signature`` is the author's Ed25519 signature; it is empty on messages that this member makes itself,
because the engine holds no keys: they are signed when they leave.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias, TypeGuard

from fab_paxos.selection import ReportedEntry
from quorum import AcceptedStatement, Endorsement, JointStatement, QuorumCertificate
from verifiable_log.batch import Batch
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.log_frame import LogFrame
from verifiable_log.submission import Submission

_ENTRY = struct.Struct(">QQ32s")


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
class CertifyRequest:
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

    ``active``: it has the NewView of its view, and so takes part. ``stable`` is its newest checkpoint's slot.
    ``proofs_wanted``: somebody waits beside it for proofs. ``clock_ms``: what its clock shows, in
    milliseconds since 1970; nothing that is decided depends on it.
    """

    view: int
    accepted: int
    decided: int
    certified: int
    active: bool = True
    stable: int = 0
    proofs_wanted: bool = True
    clock_ms: int = 0


@dataclass(frozen=True, slots=True)
class Fetch:
    """The sender asks for the log from ``first_slot`` on."""

    first_slot: int


@dataclass(frozen=True, slots=True)
class Forward:
    """Submissions for the leader, from a member whose clients they reached; to all when it is suspected."""

    submissions: tuple[Submission, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the sender accepted before it entered ``view``: everything above its ``base``.

    ``base`` is a decision certificate (None: the log as its epoch began); what it covers is not reported.

    In profile lean ``openings`` are those of the views, from 1 on, that the entries name, by view. They are
    evidence, as are the roots and signatures of the entries, and prove themselves: the reporter does not
    sign them, and Reports with the same entries are the same Report.
    """

    view: int
    base: QuorumCertificate | None
    entries: tuple[ReportedEntry, ...]
    signature: bytes = b""
    openings: tuple[Progress, ...] = field(default=(), compare=False)

    @property
    def body_digest(self) -> bytes:
        """SHA-256 of ``body``: what the reporter signs."""
        return sha256(self.body).digest()

    @property
    def body(self) -> bytes:
        """``length u32 | base certificate | (slot u64, view u64, batch_digest[32])*``."""
        base = self.base.encode() if self.base is not None else b""
        parts = [struct.pack(">I", len(base)), base]
        parts += [_ENTRY.pack(e.slot, e.view, e.batch_digest) for e in self.entries]
        return b"".join(parts)

    @classmethod
    def of_body(cls, view: int, body: bytes) -> Report:
        """The Report, without its signature, whose ``body`` this is. Raises ValueError."""
        begin = 4 + int.from_bytes(body[:4], "big")
        if begin > len(body) or (len(body) - begin) % _ENTRY.size:
            raise ValueError("the body of a Report has another length")
        base = QuorumCertificate.decode(body[4:begin]) if begin > 4 else None
        if base is not None and not is_accepted(base.statement):
            raise ValueError("the base of a Report is not a decision certificate")
        return cls(view, base, tuple(ReportedEntry(*entry) for entry in _ENTRY.iter_unpack(body[begin:])))


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
    def reports_digest(self) -> bytes:
        """SHA-256 of who reported what."""
        parts = [struct.pack(">I", member) + report.body_digest for member, report in self.reports]
        return sha256(b"".join(parts)).digest()

    @property
    def digest(self) -> bytes:
        """What the leader signs, what members keep, and what a progress certificate names."""
        return _new_view_digest(self.view, self.reports_digest, self.base, self.vector)


@dataclass(frozen=True, slots=True)
class Progress:
    """A NewView that a quorum has checked, without its Reports: for members that come late.

    ``certificate`` is the progress certificate: a quorum's signature on ``digest``.
    """

    view: int
    reports_digest: bytes
    base: QuorumCertificate | None
    vector: tuple[bytes, ...]
    certificate: QuorumCertificate

    def given(self, slot: int, start: int) -> bytes:
        """The batch digest that the NewView gives a slot above its base, up to ``top``."""
        return self.vector[slot - slot_of_base(self.base, start) - 1]

    @property
    def digest(self) -> bytes:
        """That of the NewView."""
        return _new_view_digest(self.view, self.reports_digest, self.base, self.vector)


@dataclass(frozen=True, slots=True)
class FetchBatches:
    """The sender lacks these batches, which a NewView names by digest."""

    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Batches:
    """Batches that were asked for; they prove themselves by their digests."""

    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class FetchState:
    """The sender asks for the state of the checkpoint at ``slot``, from the item of index ``first`` on."""

    slot: int
    first: int


Message: TypeAlias = (
    Propose
    | Accepted
    | CertifyRequest
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
    | Progress
    | Offer
    | FetchState
    | StatePart
)


def is_accepted(statement: JointStatement) -> TypeGuard[AcceptedStatement]:
    return isinstance(statement, AcceptedStatement)


def _new_view_digest(
    view: int, reports_digest: bytes, base: QuorumCertificate | None, vector: tuple[bytes, ...]
) -> bytes:
    """SHA-256, fixed-width. Of the base what it certifies: its signature is the same for everyone."""
    certified = base.statement.fields() if base is not None else b""
    parts = [struct.pack(">Q32sI", view, reports_digest, len(certified)), certified]
    return sha256(b"".join([*parts, struct.pack(">I", len(vector)), *vector])).digest()


def slot_of_base(base: QuorumCertificate | None, start: int) -> int:
    """Up to where a decision certificate proves the log; without one ``start``, where its epoch begins."""
    return base.statement.slot if base is not None and is_accepted(base.statement) else start


def _base_slot(base: QuorumCertificate | None) -> int:
    """To compare bases: any is above none."""
    return slot_of_base(base, 0)


def top_of(new_view: NewView | Progress, start: int) -> int:
    """The last slot that it fills; ``start`` is as in ``slot_of_base``."""
    return slot_of_base(new_view.base, start) + len(new_view.vector)
