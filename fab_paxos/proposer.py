"""The proposer: the leader gives consecutive slots to batches; others hand it their clients' work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import compress
from operator import and_

from fab_paxos.effects import (
    AlreadyOrdered,
    BlameClient,
    Broadcast,
    Effect,
    EntryRecord,
    Persist,
    RefusalReason,
    Refuse,
    Send,
)
from fab_paxos.evidence import TwoSubmissions
from fab_paxos.limits import PIPELINE_SLOTS, PROPOSE_AHEAD_SLOTS
from fab_paxos.messages import Forward, Propose
from fab_paxos.overlooked import Overlooked
from fab_paxos.uncertified_log import UncertifiedLog
from verifiable_log.batch import Batch, Entry
from verifiable_log.client_pool import Pool
from verifiable_log.client_windows import Freshness, Lookup
from verifiable_log.limits import BATCH_BYTES_MAX, BATCH_SUBMISSIONS_MAX
from verifiable_log.submission import Submission


class Proposer:
    """Hands work to the leader and, as leader, proposes it:
    docs/concepts/protocol.md, section 5, steps 1 and 2.

    ``_pending`` are the submissions of this member's own clients until they are decided; a member that
    is not the leader hands them over, again and again. ``_queue`` is what the leader has yet to propose.
    """

    def __init__(self, log: UncertifiedLog) -> None:
        self._log = log
        self._pending = Pool()
        self._queue = Pool()
        self._unsent: list[Submission] = []
        self._beats: dict[tuple[bytes, int], int] = {}
        self._overlooked = Overlooked()
        self._idle = 0  # and those in which time had to pass, and nothing was decided
        self._tick = False

    def on_submitted(self, submission: Submission, out: list[Effect]) -> None:
        """A client of this member; it hears of every outcome but waiting."""
        judgement = self._log.windows.judge(submission)
        if judgement.freshness is Freshness.FRESH:
            self._admit(submission, out)
        elif judgement.slot > self._log.decided or (
            judgement.freshness is Freshness.EXPIRED and self._log.tip > self._log.decided
        ):
            # Accepted but not decided: no answer is true yet. The decision brings one, and if a change of
            # view drops the slot, the submission is still known here.
            self._admit(submission, out, unsent=False)
        else:
            self._answer(submission, judgement, out)

    def _will_be_admitted(self, submission: Submission) -> bool:
        """Whether its client is admitted once all that is decided has taken effect."""
        return self._log.admits(max(self._log.tip, self._log.goal) + 1, (submission,))

    def _answer(self, submission: Submission, judgement: Lookup, out: list[Effect]) -> None:
        """The log has judged: the submission is in it, or will never be."""
        if judgement.freshness is Freshness.REPEATED:
            out.append(AlreadyOrdered(submission, judgement.slot))
        else:
            expired = judgement.freshness is Freshness.EXPIRED
            out.append(Refuse(submission, RefusalReason.EXPIRED if expired else RefusalReason.CONFLICT))
        self._compare_with_log(submission, judgement, out)

    def _admit(self, submission: Submission, out: list[Effect], *, unsent: bool = True) -> None:
        if not self._will_be_admitted(submission):
            out.append(Refuse(submission, RefusalReason.NOT_ADMITTED))
            return
        waiting = self._pending.get(submission.client_id, submission.client_seq)
        if waiting is not None:
            if waiting.body_digest != submission.body_digest:
                out.append(Refuse(submission, RefusalReason.CONFLICT))
            _compare(waiting, submission, out)
            return
        if not self._pending.add(submission, *self._log.share(submission.client_id)):
            out.append(Refuse(submission, RefusalReason.BUSY))
            return
        if unsent:
            self._unsent.append(submission)

    def _compare_with_log(self, submission: Submission, judgement: Lookup, out: list[Effect]) -> None:
        """The content that used the number first is looked up while its slot, never 0, is in memory."""
        entry = self._log.entry(judgement.slot)
        if entry is not None:
            for used in entry.batch.submissions:
                if (used.client_id, used.client_seq) == (submission.client_id, submission.client_seq):
                    _compare(used, submission, out)

    def on_forwarded(self, submissions: tuple[Submission, ...], out: list[Effect]) -> None:
        """Another member's clients. What does not fit is dropped: that member forwards it again."""
        for submission in submissions:
            self._enqueue(submission, out)

    def _enqueue(self, submission: Submission, out: list[Effect]) -> None:
        judgement = self._log.windows.judge(submission)
        if judgement.freshness is not Freshness.FRESH:
            self._compare_with_log(submission, judgement, out)
            return
        if not self._will_be_admitted(submission):
            return
        waiting = self._queue.get(submission.client_id, submission.client_seq)
        if waiting is None:
            self._queue.add(submission, *self._log.share(submission.client_id))
        else:
            _compare(waiting, submission, out)

    @property
    def pending(self) -> tuple[Submission, ...]:
        """What this member's clients wait for; with a new epoch it is for the new engine to order."""
        return self._pending.all()

    @property
    def waiting(self) -> bool:
        """Whether this member knows of a submission that is not decided."""
        return len(self._pending) > 0 or len(self._queue) > 0

    def is_waiting(self, name: tuple[bytes, int]) -> bool:
        """Whether a client and number are those of a submission that waits here to be decided.

        Without a client the number is that of a slot.
        """
        return self._pending.get(*name) is not None if name[0] else name[1] > self._log.decided

    def newest_of(self, turn: int) -> tuple[bytes, int] | None:
        """What waits here of one client: its newest submission. Of another client for each ``turn``.

        Where nothing else waits, and slots are to pass, the last one of those that may be under way together.
        """
        waiting, slot = self._pending.newest_of(turn), self._log.decided + PIPELINE_SLOTS
        if waiting is None and self._log.decided < self._log.goal:
            return b"", min(slot, self._log.goal)
        return waiting

    def enter_view(self) -> None:
        """What the old leader had queued is anybody's to forward; our own clients' work begins anew."""
        self._queue = Pool()
        self._beats.clear()
        self._overlooked.clear()
        self.hand_over_again()

    def share_pending(self, out: list[Effect]) -> None:
        """The leader is suspected: everybody is to know what it does not order."""
        fresh = (s for s in self._pending.all() if self._log.windows.judge(s).freshness is Freshness.FRESH)
        out.extend(Broadcast(Forward(part)) for part in _parts(fresh))

    def on_shared(self, submissions: tuple[Submission, ...], out: list[Effect]) -> None:
        """Another member suspects the leader over these: they are watched here, too."""
        for submission in submissions:
            waiting = self._pending.get(submission.client_id, submission.client_seq)
            fresh = self._log.windows.judge(submission).freshness is Freshness.FRESH
            fresh = fresh and self._will_be_admitted(submission)
            whose = self._log.organisation(submission.client_id)
            if waiting is None and fresh and self._pending.add(submission, whose):
                self._unsent.append(submission)
            elif waiting is not None:
                _compare(waiting, submission, out)

    def hand_over(self, leader: int, me: int, suspecting: bool, out: list[Effect]) -> None:
        """New submissions go to the leader's queue, here or there; to all while the leader is suspected.

        Others then see for themselves what the leader does with them.
        """
        unsent, self._unsent = self._unsent, []
        if leader == me:
            for submission in unsent:
                self._enqueue(submission, out)
        elif suspecting:
            out.extend(Broadcast(Forward(part)) for part in _parts(unsent))
        else:
            out.extend(Send(leader, Forward(part)) for part in _parts(unsent))

    def hand_over_again(self) -> None:
        """The leader, or the link to it, may have lost what it was sent: all that is pending goes again."""
        self._unsent = [
            submission
            for submission in self._pending.all()
            if self._log.windows.judge(submission).freshness is Freshness.FRESH
        ]

    @property
    def overlooked(self) -> int:
        """For how many heartbeats the leader has passed somebody over whose work waits here.

        Or the alliance itself, with something that has a deadline, for any slot at all.
        """
        return max(self._overlooked.beats, self._idle)

    def on_heartbeat(self, led: bool, out: list[Effect]) -> None:
        """What has waited for 2, 4, 8, … heartbeats is handed over again: rarer as the queue is longer.

        Where time is to pass, a leader with nothing to propose gives the next slot to an empty batch.
        What its client's later numbers have overtaken will never be decided, nor what a client hands in that
        was removed: it hears of it.
        ``led``: another member leads, and could have ordered what waits. Others' progress does not excuse it.
        """
        beats = {}
        for submission in self._pending.all():
            key = (submission.client_id, submission.client_seq)
            reason = self._hopeless(submission)
            if reason is not None:
                self._pending.discard(*key)
                out.append(Refuse(submission, reason))
                continue
            age = beats[key] = self._beats.get(key, 0) + 1
            if age > 1 and age & (age - 1) == 0:
                self._unsent.append(submission)
        self._beats = beats
        self._tick = self._log.control is not None and self._log.control.needs_time
        self._idle = self._idle + 1 if led and self._tick else 0
        if led:
            self._overlooked.on_heartbeat(self._pending.waiting())

    def _hopeless(self, submission: Submission) -> RefusalReason | None:
        """Why it will never be ordered."""
        if not self._will_be_admitted(submission):
            return RefusalReason.NOT_ADMITTED
        expired = self._log.windows.judge(submission).freshness is Freshness.EXPIRED
        return RefusalReason.EXPIRED if expired else None

    def on_snapshot_installed(self, out: list[Effect]) -> None:
        """Much was decided without us: whoever waits here for what is among it hears where it is."""
        for submission in self._pending.all():
            judgement = self._log.windows.judge(submission)
            if judgement.freshness is not Freshness.FRESH:
                self._pending.discard(submission.client_id, submission.client_seq)
                self._answer(submission, judgement, out)
        for submission in self._queue.all():
            if self._log.windows.judge(submission).freshness is not Freshness.FRESH:
                self._queue.discard(submission.client_id, submission.client_seq)

    def propose(self, view: int, now_ms: int, out: list[Effect]) -> list[Entry]:
        """The leader's turn: proposes while there is work and room; the entries, accepted by itself.

        ``now_ms`` is the time stamp of its batches, also of the empty ones by which slots pass.

        The Propose leaves only when the entry is durable, so that a restarted leader repeats itself
        and never contradicts itself. A leader whose log was exchanged proposes no more: its view is over.
        """
        log = self._log
        entries: list[Entry] = []
        early: list[Submission] = []
        while (
            not log.muted_up_to
            and log.tip < log.base + PROPOSE_AHEAD_SLOTS
            and log.tip != log.end
            and self._worth_a_slot()
            and ((submissions := self._queue.take()) or self._filling)
        ):
            flags = log.windows.preview(log.tip + 1, submissions)
            if log.control is not None:
                admitted = [log.admits(log.tip + 1, (one,)) for one in submissions]
                waits = (one for one, now in zip(submissions, admitted, strict=True) if not now)
                early += filter(self._will_be_admitted, waits)
                flags = tuple(map(and_, flags, admitted))
            if not any(flags) and not self._filling:
                continue
            batch = Batch.of(compress(submissions, flags), now_ms)
            entry = log.append(view, batch, log.next_frontier(batch), b"")
            entries.append(entry)
            out.append(Persist(EntryRecord(entry)))
            out.append(Broadcast(Propose(view, entry.slot, batch, entry.root)))
            self._tick = False
        for one in early:
            self._queue.add(one, self._log.organisation(one.client_id))
        return entries

    @property
    def _filling(self) -> bool:
        """Whether the next slot is needed, whatever is in it."""
        return self._log.tip < self._log.goal or (self._tick and self._log.tip == self._log.decided)

    def _worth_a_slot(self) -> bool:
        """A further proposal is a full batch, or holds as much as all those under way together.

        A slot costs all members the same whatever is in it. So what comes while nothing is under way is
        proposed at once, and what comes under load gathers into few and large batches.
        """
        if self._log.tip >= self._log.decided + PIPELINE_SLOTS:
            return False
        undecided = filter(None, map(self._log.entry, range(self._log.decided + 1, self._log.tip + 1)))
        under_way = sum(len(entry.batch.submissions) for entry in undecided)
        return self._queue.fills_a_batch or len(self._queue) >= under_way or self._filling

    def on_decided(self, entry: Entry) -> None:
        """What is decided waits no longer, whatever content won its number."""
        self._idle = 0
        for submission in entry.batch.submissions:
            self._pending.discard(submission.client_id, submission.client_seq)
            self._queue.discard(submission.client_id, submission.client_seq)
            if self._overlooked:
                whose = self._log.organisation(submission.client_id)
                self._overlooked.on_decided(whose, submission.client_id)


def _compare(first: Submission, second: Submission, out: list[Effect]) -> None:
    """Two submissions of one client under one number."""
    if first.body_digest != second.body_digest:
        out.append(BlameClient(TwoSubmissions(first, second)))


def _parts(submissions: Iterable[Submission]) -> Iterator[tuple[Submission, ...]]:
    """In messages of a batch's size: much may have gathered while there was no link to the leader."""
    part: list[Submission] = []
    room = BATCH_BYTES_MAX
    for submission in submissions:
        if len(submission.encoded) > room or len(part) == BATCH_SUBMISSIONS_MAX:
            yield tuple(part)
            part, room = [], BATCH_BYTES_MAX
        part.append(submission)
        room -= len(submission.encoded)
    if part:
        yield tuple(part)
