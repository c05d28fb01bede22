"""What members say to each other. Frozen values; the gate has checked form and signatures.

``signature`` is the author's Ed25519 signature; it is empty on messages that this member makes itself,
because the engine holds no keys: they are signed when they leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from fab_paxos.types import Batch, Submission
from quorum import Endorsement, JointStatement, QuorumCertificate


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
    """Where the sender stands; sent on the heartbeat and when a link comes up."""

    view: int
    accepted: int
    decided: int
    certified: int


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
    """Submissions for the leader, from a member whose clients they reached."""

    submissions: tuple[Submission, ...]


Message: TypeAlias = (
    Propose | Accepted | Flag | Endorsed | Certified | ProveShare | Status | Fetch | LogFrame | Forward
)
