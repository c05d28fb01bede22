"""Catching up: who is behind asks one peer at a time, and believes certificates and signatures only."""

from __future__ import annotations

from collections.abc import Sequence

from fab_paxos.answers import FRAME_BYTES, batch_bytes
from fab_paxos.effects import (
    Blame,
    Effect,
    EntryRecord,
    Offence,
    Persist,
    ProvenRecord,
    Send,
    SendLogFrame,
    TruncateRecord,
)
from fab_paxos.limits import FETCH_PROPOSALS_MAX
from fab_paxos.messages import Accepted, Certified, Fetch, Propose, Status
from fab_paxos.state_transfer import Transfer
from fab_paxos.uncertified_log import UncertifiedLog
from quorum import AcceptedStatement, QuorumCertificate, Quorums
from verifiable_log.batch import Batch, Entry
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import Frontier, slot_leaf
from verifiable_log.merkle_proofs import root_from_cover
from verifiable_log.merkle_tree import ProofError
from verifiable_log.ordering_state import Checkpoint

FAILURES_MAX = 6
"""A peer that failed so often in a row rests for 64 heartbeats."""


class CatchUp:
    """One request under way; a peer that does not help is passed over, and rests the longer the oftener.

    So one that says that it knows more, and then supplies nothing, costs two heartbeats, then two of five, of
    nine, of seventeen and so on; when nobody else is there it is asked all the same.
    """

    def __init__(self, system: Quorums, me: int, log: UncertifiedLog, view: int) -> None:
        self._me = me
        self._log = log
        self._view = view
        self._statuses: list[Status | None] = [None] * system.member_count
        self._asked: int | None = None
        self._answered = (0, 0)  # the tip and the decided slot with which our request is answered
        self._beats_since_asked = 0
        self._failures = [0] * system.member_count  # requests that came to nothing, since we last were level
        self._rests = [0] * system.member_count  # heartbeats until it is asked again
        self._last = (log.tip, log.decided, 0)
        self._turn = me
        self.transfer = Transfer()

    def enter_view(self, view: int) -> None:
        """Proposals of the old view that were asked for would be of no use."""
        self._view = view
        self._asked = None

    # -- being behind --------------------------------------------------------------------------------

    def on_status(self, sender: int, status: Status, out: list[Effect]) -> None:
        """A certificate beyond our accepted log means that proposals passed us by: ask at once."""
        first = self._statuses[sender] is None
        self._statuses[sender] = status
        # Who rests does not bring itself to mind, and makes room for who does not.
        free = self._asked is None or self._rests[self._asked] > 0
        news = status.certified > self._log.tip or (first and self._behind(status))
        if free and news and not self._rests[sender]:
            self._ask(sender, out)

    def on_connected(self, peer: int) -> None:
        """What it told before the link broke is old."""
        self._statuses[peer] = None
        if self._asked == peer:
            self._asked = None

    def on_heartbeat(self, out: list[Effect]) -> None:
        """Gives up on a silent source; when nothing has moved since the last beat, asks who knows more."""
        now = (self._log.tip, self._log.decided, self.transfer.received)
        stalled = self._last == now
        if self.transfer.received != self._last[2]:
            self._beats_since_asked = 0  # the source supplies one part after the other
        self._last = now
        self._rests = [max(0, rest - 1) for rest in self._rests]
        self.transfer.drop(self._log.decided)
        if self._asked is not None:
            self._beats_since_asked += 1
            if self._beats_since_asked < 2 and not self._is_answered():
                return
            self._give_up(self._asked)
            self._ask_next(out)
        elif stalled:
            self._ask_next(out)

    def _give_up(self, peer: int) -> None:
        """What it was asked for came from elsewhere, or did not come: then it rests."""
        self._asked = None
        if not self._is_answered():
            self._failures[peer] = min(self._failures[peer] + 1, FAILURES_MAX)
            self._rests[peer] = 1 << self._failures[peer]

    def progressed(self, sender: int, out: list[Effect]) -> None:
        """The source that was asked has helped: when its answer is complete, go on with the next one.

        Another one each time, so that a source that helps as little and as late as it can does not set
        the pace. Each proposal of an answer is no reason to ask anew: that would ask for them all again.
        """
        if sender != self._asked:
            return
        self._beats_since_asked = 0
        if self._is_answered():
            self._asked = None
            self._ask_next(out)

    def _ask_next(self, out: list[Effect]) -> None:
        """The next member, in turn, that knows more; of those that rest, the one that has rested most."""
        count = len(self._statuses)
        turn = [(self._turn + step) % count for step in range(1, count + 1)]
        know = [peer for peer in turn if peer != self._me and self._is_ahead(peer)]
        if know:
            self._ask(min(know, key=lambda peer: self._rests[peer]), out)
        else:
            self._failures = [0] * count

    def _is_ahead(self, peer: int) -> bool:
        status = self._statuses[peer]
        return status is not None and self._behind(status)

    def _is_answered(self) -> bool:
        tip, decided = self._answered
        return self._log.tip >= tip and self._log.decided >= decided

    def _behind(self, status: Status) -> bool:
        """Whether the peer has what can be fetched; the votes that decide come with its own Status."""
        accepts_more = status.view == self._view and status.accepted > self._log.tip
        return accepts_more or status.certified > self._log.decided

    def _ask(self, peer: int, out: list[Effect]) -> None:
        self._asked = self._turn = peer
        self._beats_since_asked = 0
        status = self._statuses[peer]
        certified = status.certified if status is not None else 0
        # Below its certificate a peer gives proof; above, the leader's signed proposals.
        if certified > self._log.decided:
            first = self._log.decided + 1
            self._answered = (0, first)
        else:
            first = self._log.tip + 1
            known = status.accepted if status is not None else first
            self._answered = (min(known, self._log.tip + FETCH_PROPOSALS_MAX), 0)
        out.append(Send(peer, Fetch(first)))

    def on_frame(self, sender: int, frame: LogFrame, out: list[Effect]) -> list[tuple[Batch, Frontier]]:
        """The batches after the decided ones, each with the frontier after it, if the frame proves them."""
        statement = frame.certificate.statement
        last = frame.first_slot + len(frame.batches) - 1
        decided = self._log.decided
        if not isinstance(statement, AcceptedStatement) or not frame.first_slot <= decided + 1 <= last:
            return []
        steps = []
        frontier = self._log.frontier(decided)
        for slot, batch in enumerate(frame.batches[decided + 1 - frame.first_slot :], decided + 1):
            frontier = frontier.append(slot_leaf(slot, batch.digest))
            steps.append((batch, frontier))
        try:
            proven = root_from_cover(frontier, statement.slot, frame.cover) == statement.root
        except ProofError:
            proven = False
        if not proven:
            out.append(Blame(sender, Offence.UNPROVEN_FRAME, str(frame.first_slot)))
            return []
        return steps

    def take(
        self, steps: Sequence[tuple[Batch, Frontier]], certificate: QuorumCertificate, out: list[Effect]
    ) -> list[Entry]:
        """Goes on from the decided log by these, whatever was accepted in their place; the entries."""
        statement, entries = certificate.statement, []
        view = statement.view if isinstance(statement, AcceptedStatement) else 0
        for batch, frontier in steps:
            slot = frontier.size
            held = self._log.entry(slot)
            if held is not None and held.root != frontier.root:
                self._log.truncate(slot - 1)
                out.append(Persist(TruncateRecord(slot - 1, self._log.muted_up_to)))
                held = None
            if held is None:
                held = self._log.append_proven(view, batch, frontier)
                out.append(Persist(EntryRecord(held)))
            entries.append(held)
        out.append(Persist(ProvenRecord(entries[-1].slot, certificate)))
        return entries

    def was_asked(self, peer: int) -> bool:
        """Whether our request is with this peer: nobody else brings us up by a checkpoint."""
        return peer == self._asked

    # -- helping others ------------------------------------------------------------------------------

    def help(
        self,
        sender: int,
        status: Status,
        latest: Accepted | None,
        newest: QuorumCertificate | None,
        stable: Checkpoint | None,
        out: list[Effect],
    ) -> None:
        """A peer that knows less than we do gets our newest certificates and our own latest vote."""
        statement = newest.statement if newest is not None else None
        if (
            newest is not None
            and isinstance(statement, AcceptedStatement)
            and statement.slot > status.certified
        ):
            out.append(Send(sender, Certified(newest)))
        if stable is not None and max(status.stable, self._log.start) < stable.slot <= status.decided:
            out.append(Send(sender, Certified(stable.certificate)))
        if latest is not None and latest.slot > status.decided:
            out.append(Send(sender, latest))

    def on_fetch(
        self, sender: int, first_slot: int, certified: int, view: int, leading: bool, out: list[Effect]
    ) -> int:
        """Below the certificate the log itself; above it the proposals of this view, as the leader
        signed them, which prove themselves to any member. About how many bytes that makes."""
        if first_slot < 1:
            return 0
        if first_slot <= certified:
            out.append(SendLogFrame(sender, first_slot))
            return FRAME_BYTES
        size = 0
        for slot in range(first_slot, min(self._log.tip, first_slot + FETCH_PROPOSALS_MAX - 1) + 1):
            entry = self._log.entry(slot)
            if entry is None or entry.view != view or not (entry.signature or leading):
                break
            size += batch_bytes(entry.batch)
            out.append(Send(sender, Propose(view, slot, entry.batch, entry.root, entry.signature)))
        return size
