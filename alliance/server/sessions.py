"""Clients that wait for their submissions: who waits for what, and the outcomes that answer them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

from alliance.pb import client_pb2 as pb
from alliance.storage.history import History, Pruned
from alliance.wire.certificates import encode_certificate
from verifiable_log.batch import Entry
from verifiable_log.placement import Placement
from verifiable_log.submission import Submission

OUTCOMES_MAX = 2048
"""Outcomes that wait for a client that does not read; beyond it the session is closed."""

OUTCOMES_PER_FRAME_MAX = 1024
"""About 2 MiB at most: many may become true at once, and a gRPC message is bounded."""

_REASONS = {
    "conflict": (pb.Refusal.CONFLICT, "another content was submitted under this sequence number"),
    "expired": (pb.Refusal.EXPIRED, "the sequence number lies below the client's window"),
    "busy": (pb.Refusal.BUSY, "too much of this client is waiting here"),
    "invalid": (pb.Refusal.INVALID, ""),
    "not admitted": (pb.Refusal.INVALID, "the alliance admits this client no longer: ask its own operator"),
    "unproven": (pb.Refusal.UNPROVEN, ""),
}
_FORGOTTEN = "the sequence number was used long ago; for what is no longer known here"

_Placed: TypeAlias = "tuple[int, int, int, list[Session]]"
"""Sequence number, slot, index in the batch, and who wants to know."""


class Session:
    """One Submit stream: its outcomes, in the order in which they became true."""

    def __init__(self, client_id: bytes) -> None:
        self.client_id = client_id
        self.overrun = asyncio.Event()
        self._outcomes: list[pb.Outcomes] = []
        self._unwritten = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def put(self, outcomes: pb.Outcomes) -> None:
        """Refusals share a frame with those before them: each frame costs as much as a thousand outcomes."""
        count = len(outcomes.outcomes)
        if self._unwritten + count > OUTCOMES_MAX:
            self.overrun.set()
        else:
            self._unwritten += count
            if not (self._outcomes and _joined(self._outcomes[-1], outcomes)):
                self._outcomes.append(outcomes)
        if self._unwritten > OUTCOMES_PER_FRAME_MAX:
            self._room.clear()
        self._wake.set()

    async def room(self) -> None:
        """Waits while a frame's worth of outcomes has not been read by the client: it is to send no more."""
        await self._room.wait()

    def written(self, outcomes: pb.Outcomes) -> None:
        """The client has taken these."""
        self._unwritten -= len(outcomes.outcomes)
        if self._unwritten <= OUTCOMES_PER_FRAME_MAX:
            self._room.set()

    async def take(self) -> list[pb.Outcomes]:
        """Waits for outcomes and takes all of them."""
        await self._wake.wait()
        self._wake.clear()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes


class Sessions:
    """From submissions to the sessions that wait for them. Memory is bounded by the pool's quotas."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._waiting: dict[tuple[bytes, int], list[tuple[Session, bytes]]] = {}
        self._placed: list[_Placed] = []

    def expect(self, session: Session, submission: Submission) -> None:
        """The session is to hear what becomes of the submission."""
        key = (submission.client_id, submission.client_seq)
        waiting = self._waiting.setdefault(key, [])
        if not any(other is session and digest == submission.body_digest for other, digest in waiting):
            waiting.append((session, submission.body_digest))

    def leave(self, session: Session) -> None:
        """The stream has ended."""
        for key in [key for key, waiting in self._waiting.items() if any(s is session for s, _ in waiting)]:
            self._waiting[key] = [(s, digest) for s, digest in self._waiting[key] if s is not session]
            if not self._waiting[key]:
                del self._waiting[key]
        for _, _, _, sessions in self._placed:
            if session in sessions:
                sessions.remove(session)

    def decided(self, entry: Entry) -> None:
        """Notes where awaited submissions are; a number that other content won refuses the loser."""
        if not self._waiting:
            return
        submissions = zip(entry.batch.submissions, entry.fresh, strict=True)
        for index, (submission, fresh) in enumerate(submissions):
            key = (submission.client_id, submission.client_seq)
            if not fresh or key not in self._waiting:
                continue
            winners = []
            for session, digest in self._waiting.pop(key):
                if digest == submission.body_digest:
                    winners.append(session)
                else:
                    session.put(refusal(submission.client_seq, "conflict"))
            if winners:
                self._placed.append((submission.client_seq, entry.slot, index, winners))

    def located(self, submission: Submission, slot: int) -> None:
        """The number was used before, in ``slot``, or, if that is 0, long ago: its session hears as soon as a
        certificate covers that, or at once that it was used for something else."""
        sessions = self._called(submission)
        if not sessions:
            return
        if not slot:
            _refuse(sessions, submission.client_seq, "expired", _FORGOTTEN)
            return
        try:
            index = self._history.locate(submission, slot)
        except Pruned:
            _refuse(sessions, submission.client_seq, "unproven", _unproven(slot))
            return
        if index is None:
            _refuse(sessions, submission.client_seq, "conflict")
            return
        placed = (submission.client_seq, slot, index, sessions)
        if slot <= self._history.certified_slot:
            self._prove([placed])
        else:
            self._placed.append(placed)

    def snapshot_installed(self) -> None:
        """The log goes on from a checkpoint: what was decided below it has no proof here any more."""
        pruned = self._history.pruned
        for seq, slot, _, sessions in self._placed:
            if slot <= pruned:
                _refuse(sessions, seq, "unproven", _unproven(slot))
        self._placed = [placed for placed in self._placed if placed[1] > pruned]

    def certified(self) -> None:
        """A newer certificate: whoever it covers gets the proof, with the certificate it leads to."""
        covered = self._history.certified_slot
        ready = [placed for placed in self._placed if placed[1] <= covered]
        self._placed = [placed for placed in self._placed if placed[1] > covered]
        self._prove(ready)

    def _prove(self, ready: list[_Placed]) -> None:
        certificate = self._history.certificate
        if certificate is None:
            return
        proofs: dict[Session, list[pb.Outcome]] = {}
        for seq, slot, index, sessions in ready:
            if sessions:
                outcome = _placed(seq, self._history.placement(slot, index))
                for session in sessions:
                    proofs.setdefault(session, []).append(outcome)
        wire = encode_certificate(certificate.certificate)
        for session, outcomes in proofs.items():
            for at in range(0, len(outcomes), OUTCOMES_PER_FRAME_MAX):
                part = outcomes[at : at + OUTCOMES_PER_FRAME_MAX]
                session.put(pb.Outcomes(certificate=wire, outcomes=part))

    def refused(self, submission: Submission, reason: str) -> None:
        """The engine will not order this content under this number."""
        _refuse(self._called(submission), submission.client_seq, reason)

    def _called(self, submission: Submission) -> list[Session]:
        """Who waits for exactly this content; they wait no longer, those with another content do."""
        key = (submission.client_id, submission.client_seq)
        waiting = self._waiting.pop(key, [])
        kept = [(session, digest) for session, digest in waiting if digest != submission.body_digest]
        if kept:
            self._waiting[key] = kept
        return [session for session, digest in waiting if digest == submission.body_digest]


def _unproven(slot: int) -> str:
    return f"it was decided in slot {slot}, whose proof is no longer kept here"


def _refuse(sessions: Iterable[Session], client_seq: int, reason: str, detail: str = "") -> None:
    """Each gets an object of its own, since others may be joined to it."""
    for session in sessions:
        session.put(refusal(client_seq, reason, detail))


def _joined(last: pb.Outcomes, more: pb.Outcomes) -> bool:
    """Adds refusals to a frame of refusals; whether there was room in it."""
    certified = last.HasField("certificate") or more.HasField("certificate")
    if certified or len(last.outcomes) + len(more.outcomes) > OUTCOMES_PER_FRAME_MAX:
        return False
    last.outcomes.extend(more.outcomes)
    return True


def refusal(client_seq: int, reason: str, detail: str = "") -> pb.Outcomes:
    """A refusal for the wire; ``reason`` is one of ``_REASONS``."""
    kind, text = _REASONS[reason]
    refused = pb.Refusal(reason=kind, detail=detail or text)
    return pb.Outcomes(outcomes=[pb.Outcome(client_seq=client_seq, refusal=refused)])


def _placed(client_seq: int, place: Placement) -> pb.Outcome:
    placement = pb.Placement(
        slot=place.slot,
        index=place.index,
        batch_size=place.batch_size,
        time_ms=place.time_ms,
        batch_path=place.batch_path,
        log_path=place.log_path,
    )
    return pb.Outcome(client_seq=client_seq, placement=placement)
