"""What the engine wants done: a closed set, carried out in order.

The contract of the driver: whatever a ``Persist`` names is durable before any effect that follows it is
carried out (it may persist earlier, and many at once), unless it may come ``lazily``. If that fails, nothing
may leave: the process ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeAlias

from fab_paxos.control import Control
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Message, Progress
from quorum import Endorsement, JointStatement, QuorumCertificate
from verifiable_log.batch import Entry
from verifiable_log.ordering_state import Checkpoint
from verifiable_log.submission import Submission


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """This member accepted the entry; replaces what it accepted at this slot before."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class TruncateRecord:
    """What was accepted above ``slot`` followed another log than the decided one: it is void.

    In this view the member says nothing any more about slots up to ``muted_up_to``: it spoke of them before.
    """

    slot: int
    muted_up_to: int = 0


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """The log up to ``slot`` is decided, as ``certificate`` proves, whose own slot may lie above."""

    slot: int
    certificate: QuorumCertificate


@dataclass(frozen=True, slots=True)
class ViewRecord:
    """The fence: this member has entered ``view`` and never again accepts in a lower one."""

    view: int
    election: QuorumCertificate


@dataclass(frozen=True, slots=True)
class NewViewRecord:
    """The first valid NewView of ``view`` that this member saw, or made."""

    view: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class ProgressRecord:
    """Profile lean: the opening of the view that begins, and of those whose entries may still be reported.

    They replace those that were kept before, and are evidence for Reports.
    """

    openings: tuple[Progress, ...]


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """The newest stable checkpoint, which was saved before; a restart begins from it."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """The log goes on from this checkpoint, above all that was decided here: what lies below is void.

    ``certificate`` is a decision certificate at or above it. Entries above it, of earlier views, stay.
    ``muted_up_to`` is as in TruncateRecord.
    """

    checkpoint: Checkpoint
    certificate: QuorumCertificate
    muted_up_to: int = 0


Record: TypeAlias = (
    EntryRecord
    | TruncateRecord
    | ProvenRecord
    | ViewRecord
    | NewViewRecord
    | ProgressRecord
    | CheckpointRecord
    | SnapshotRecord
)


@dataclass(frozen=True, slots=True)
class Persist:
    """``lazily``: nothing that is said depends on it. It becomes durable, in order, with the next record that
    is not lazy, before the journal is read or pruned, or with the next heartbeat; a crash may take it before.
    """

    record: Record
    lazily: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    to: int
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """To every other member; encoded once."""

    message: Message


@dataclass(frozen=True, slots=True)
class Endorse:
    """Have the signer endorse this statement; answered by EndorsementMade or EndorsementRefused."""

    statement: JointStatement
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Combine:
    """Make a certificate of these endorsements; answered by Combined or CombinationFailed."""

    endorsements: tuple[Endorsement, ...]


@dataclass(frozen=True, slots=True)
class Decide:
    """The entry is decided. Emitted once for each slot, in order (after a restart: from the proven one).

    ``control``: what holds of the alliance itself, with this slot.
    """

    entry: Entry
    control: Control | None = None


@dataclass(frozen=True, slots=True)
class Certify:
    """A certificate covers the log up to its slot, all of which is decided here."""

    certificate: QuorumCertificate


@dataclass(frozen=True, slots=True)
class SendLogFrame:
    """Send a LogFrame that begins at ``first_slot`` to a member; the slot is certified here."""

    to: int
    first_slot: int


@dataclass(frozen=True, slots=True)
class OfferCheckpoint:
    """Send an Offer of this checkpoint, with the newest decision certificate, to a member."""

    to: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Write the state of this checkpoint where a restart will find it, while everything else goes on.

    Answered by CheckpointSaved when it is durable. Until the CheckpointRecord it counts for nothing, and the
    one before it must stay whole.
    """

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Prune:
    """The log up to ``slot`` may be forgotten: a stable checkpoint lies above it."""

    slot: int


@dataclass(frozen=True, slots=True)
class SnapshotInstalled:
    """The decided log goes on after this checkpoint; the slots up to it were decided without us."""

    checkpoint: Checkpoint


class RefusalReason(Enum):
    CONFLICT = "conflict"
    EXPIRED = "expired"
    BUSY = "busy"
    NOT_ADMITTED = "not admitted"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the client of this member why its submission will not be ordered on its account."""

    submission: Submission
    reason: RefusalReason


@dataclass(frozen=True, slots=True)
class AlreadyOrdered:
    """The client's number was used before, in ``slot``, which is decided: answer from the log.

    ``slot`` is 0 if it is no longer known here.
    """

    submission: Submission
    slot: int


class Offence(Enum):
    """What this member holds against another: in short, and as it is told with a detail, most often a slot.

    Those that are ``certain`` no correct member can have done. With the others it is a suspicion: somebody
    else may have brought it about, or this member's own clock is wrong.
    """

    TWO_PROPOSALS = "two proposals", "{0} for slot {1}"
    TWO_VOTES = "two votes", "{0} for slot {1}"
    VOTE_AGAINST_OWN_PROPOSAL = "a vote against its own proposal", "{0} for slot {1}"
    OTHER_LOG = (
        "another log",
        "its log differs from ours at slot {1}: it lies, or the leader told it another",
        False,
    )
    WRONG_ROOT = "a wrong root", "the root proposed for slot {1} is not that of the log"
    REPETITION = "a repeated submission", "slot {1} repeats a submission"
    NOT_ADMITTED = "a client that is not admitted", "slot {1} holds a submission of {0}"
    STAMP_AHEAD = "a time stamp ahead", "the time stamp of slot {1} ahead of this member's clock", False
    BAD_SHARE = "a bad signature share", "{0} on {1}"
    TWO_REPORTS = "two Reports", "{0} for view {1} that cannot both be true"
    TWO_NEW_VIEWS = "two NewViews", "{0} for view {1}"
    WRONG_NEW_VIEW = "a NewView that does not follow from its Reports", "{0}"
    UNPROVEN_FRAME = "an unproven log frame", "a log frame from slot {1} without a proof"
    UNPROVEN_OFFER = "an unproven checkpoint", "an offer of a checkpoint at slot {1} without its proof"
    WRONG_STATE_PART = (
        "a wrong part of a state",
        "a part of the state at slot {1} that is not the certified one",
    )
    SMALL_STATE_PART = (
        "a small part of a state",
        "a part of the state at slot {1} that is smaller than need be",
    )

    def __init__(self, summary: str, text: str, certain: bool = True) -> None:
        self.summary = summary
        self.certain = certain
        self._text = text

    def told(self, detail: str) -> str:
        """One line for people."""
        return self._text.format(self.summary, detail)


@dataclass(frozen=True, slots=True)
class Blame:
    """A member did what a correct one does not do, or may have done so: the ``offence`` says which.

    With ``evidence`` anybody can tell. Without it nobody else can check it.
    """

    member: int
    offence: Offence
    detail: str = ""
    evidence: Evidence | None = None

    @property
    def reason(self) -> str:
        return self.offence.told(self.detail)


@dataclass(frozen=True, slots=True)
class BlameClient:
    """A client used one of its numbers twice."""

    evidence: TwoSubmissions


class Timer(StrEnum):
    HEARTBEAT = "heartbeat"
    """Runs always; what may have been lost is said again."""
    VIEW = "view"
    """Runs while something is due from the leader."""


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire ``name`` after ``seconds``; replaces a running timer of the same name.

    The engine's names are ``Timer``; who is built around it (``alliance.hostile``) has others.
    """

    name: StrEnum
    seconds: float


Effect: TypeAlias = (
    Persist
    | Send
    | Broadcast
    | Endorse
    | Combine
    | Decide
    | Certify
    | SendLogFrame
    | OfferCheckpoint
    | SaveCheckpoint
    | Prune
    | SnapshotInstalled
    | Refuse
    | AlreadyOrdered
    | Blame
    | BlameClient
    | SetTimer
)

READS_JOURNAL: frozenset[type[Effect]] = frozenset({SendLogFrame, OfferCheckpoint, Prune, SnapshotInstalled})
"""What is persisted, also lazily, must be durable before these are carried out: they read or prune it."""
