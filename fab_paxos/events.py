"""What happens to the engine: a closed set, handed to ``Replica.step`` one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from fab_paxos.messages import Message
from quorum import JointStatement, QuorumCertificate
from verifiable_log.submission import Submission


@dataclass(frozen=True, slots=True)
class Started:
    """The first event."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What this member's clock shows, in milliseconds since 1970; handed over before other events.

    The engine stamps its proposals with it and compares others' stamps to it. Without any it is 0.
    """

    now_ms: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """A client of this member handed in a submission; form and signature are checked."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class Received:
    """A peer's message that passed the gate. ``sender`` is the identity of the channel.

    ``arrived_ms`` is what this member's clock showed when it came, however long it waited here; None: now.
    """

    sender: int
    message: Message
    arrived_ms: int | None = None


@dataclass(frozen=True, slots=True)
class EndorsementMade:
    """The signer answers an Endorse effect."""

    statement: JointStatement
    signature: bytes
    proven: bool


@dataclass(frozen=True, slots=True)
class EndorsementRefused:
    """The signer would not sign this statement (it signed a contradicting one)."""

    statement: JointStatement


@dataclass(frozen=True, slots=True)
class Combined:
    """A Combine effect succeeded: the certificate is verified."""

    certificate: QuorumCertificate


@dataclass(frozen=True, slots=True)
class CombinationFailed:
    """A Combine effect failed. ``culprits`` are proven bad, ``unproven`` showed no proof."""

    statement: JointStatement
    culprits: tuple[int, ...]
    unproven: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A SaveCheckpoint effect is carried out: the state of the checkpoint at ``slot`` is durable."""

    slot: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that was set by SetTimer, and not set anew since."""

    name: StrEnum


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """The link to a peer is up (again): what was sent to it before may be lost."""

    peer: int


@dataclass(frozen=True, slots=True)
class ProofsWanted:
    """Whether somebody waits for proofs here: others' shares then come without a detour."""

    proofs_wanted: bool


@dataclass(frozen=True, slots=True)
class StepDown:
    """This member is to lead no longer, because it is about to be stopped: another leader begins at once."""


@dataclass(frozen=True, slots=True)
class Drained:
    """All waiting events have been handed over: say once what many of them ask for.

    Batches and cumulative Accepted form here, so that they grow with the load and not with a timer.
    """


Event: TypeAlias = (
    Started
    | Clock
    | Submitted
    | Received
    | EndorsementMade
    | EndorsementRefused
    | Combined
    | CombinationFailed
    | CheckpointSaved
    | TimerFired
    | PeerConnected
    | ProofsWanted
    | StepDown
    | Drained
)
