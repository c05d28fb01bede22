"""What an engine is built from: its place in the alliance, and what its journal gave back."""

from __future__ import annotations

from dataclasses import dataclass, field

from fab_paxos.control import Control
from fab_paxos.limits import CHECKPOINT_SLOTS
from fab_paxos.messages import Progress
from quorum import QuorumCertificate, Quorums
from verifiable_log.batch import Batch
from verifiable_log.client_windows import ClientWindows
from verifiable_log.merkle import Frontier
from verifiable_log.ordering_state import Checkpoint


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """``me`` counts from 0. Times in seconds.

    ``overlooked_heartbeats``: so long an organisation's work may wait under one leader, without any of it
    being decided, before the leader is suspected of censorship; or a client's, while others of its
    organisation have turn after turn. A leader serves them in turn, so even under load each organisation gets
    something within a round; the default, 16 s, is a generous round.
    ``tenure_slots``, ``tenure_seconds``: a leader is replaced after so many decided slots, or so much time in
    which something was decided, counted in heartbeats: leaders are compared with each other.
    ``drift_ms``: a proposal is taken without others' word only if its time stamp lies this near to the clock.
    ``retain_slots``: how much of the log is kept below the stable checkpoint; None for all of it.
    """

    system: Quorums
    me: int
    heartbeat_seconds: float = 0.5
    view_timeout_seconds: float = 0.5
    overlooked_heartbeats: int = 32
    tenure_slots: int = 100_000
    tenure_seconds: float = 600.0
    drift_ms: int = 10_000
    checkpoint_slots: int = CHECKPOINT_SLOTS
    retain_slots: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.me < self.system.member_count:
            raise ValueError(f"no member {self.me} among {self.system.member_count}")


@dataclass(frozen=True, slots=True)
class RestoredEntry:
    """An accepted entry above the proven slots, as the journal kept it."""

    slot: int
    view: int
    batch: Batch
    root: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class RestoredState:
    """The engine's memory after a restart; the default is that of a member that never ran.

    ``frontier`` and ``windows`` are those of the proven log. ``entries`` lie above it: those of ``view``
    follow it without a gap, the others were accepted in earlier views. ``certificate`` is the newest one
    at or below the proven slot, ``beyond`` a newer one, whose log is not all here. ``muted_up_to`` is that
    of the last TruncateRecord in this view, or 0. ``openings`` are those of the last ProgressRecord.
    ``control`` is what the proven log says of the alliance itself; None where nothing of that kind counts.
    ``start`` is the last slot of the epoch before: a log without a certificate is certified to there.
    """

    view: int = 0
    election: QuorumCertificate | None = None
    new_view_digest: bytes | None = None
    frontier: Frontier = field(default_factory=lambda: Frontier(0, ()))
    windows: ClientWindows = field(default_factory=ClientWindows)
    certificate: QuorumCertificate | None = None
    beyond: QuorumCertificate | None = None
    entries: tuple[RestoredEntry, ...] = ()
    checkpoint: Checkpoint | None = None
    pruned: int = 0
    muted_up_to: int = 0
    openings: tuple[Progress, ...] = ()
    control: Control | None = None
    start: int = 0
