"""Submissions that wait to be decided: a queue per client, served round robin."""

from __future__ import annotations

from itertools import islice

from verifiable_log.limits import (
    BATCH_BYTES_MAX,
    BATCH_SUBMISSIONS_MAX,
    POOL_BYTES_MAX,
    POOL_SUBMISSIONS_MAX,
    POOLS_BYTES_MAX,
)
from verifiable_log.submission import Submission


class Pool:
    """Bounded per client, so that a flood fills its own queue only."""

    def __init__(self) -> None:
        # Insertion order is the order of service: a client that was served goes to the end.
        self._queues: dict[bytes, dict[int, Submission]] = {}
        self._bytes: dict[bytes, int] = {}
        self._total = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def fills_a_batch(self) -> bool:
        """Whether there is enough for one."""
        return self._total >= BATCH_BYTES_MAX or self._count >= BATCH_SUBMISSIONS_MAX

    def get(self, client_id: bytes, client_seq: int) -> Submission | None:
        return self._queues.get(client_id, {}).get(client_seq)

    def newest_of(self, turn: int) -> tuple[bytes, int] | None:
        """Client and number of what came last of one client; of another one for each ``turn`` >= 0."""
        if not self._queues:
            return None
        client_id = next(islice(self._queues, turn % len(self._queues), None))
        return client_id, next(reversed(self._queues[client_id]))

    def add(
        self,
        submission: Submission,
        waiting_max: int = POOL_SUBMISSIONS_MAX,
        bytes_max: int = POOL_BYTES_MAX,
    ) -> bool:
        """Queues a submission whose number is not in use here; False when the client's share is full.

        ``waiting_max``, ``bytes_max``: that share. One submission is always let in, so that it goes on.
        """
        queue = self._queues.get(submission.client_id, {})
        held, size = self._bytes.get(submission.client_id, 0), len(submission.encoded)
        if queue and (len(queue) >= waiting_max or held + size > bytes_max):
            return False
        if queue and self._total + size > POOLS_BYTES_MAX:
            return False
        queue[submission.client_seq] = submission
        self._queues[submission.client_id] = queue
        self._bytes[submission.client_id] = held + size
        self._total += size
        self._count += 1
        return True

    def discard(self, client_id: bytes, client_seq: int) -> None:
        """Removes a submission, whatever its content: its number is used."""
        queue = self._queues.get(client_id)
        submission = queue.pop(client_seq, None) if queue else None
        if submission is not None:
            self._bytes[client_id] -= len(submission.encoded)
            self._total -= len(submission.encoded)
            self._count -= 1
        if queue is not None and not queue:
            del self._queues[client_id]
            self._bytes.pop(client_id, None)

    def all(self) -> tuple[Submission, ...]:
        return tuple(submission for queue in self._queues.values() for submission in queue.values())

    def take(self) -> list[Submission]:
        """Removes what makes the next batch: one submission of each client in turn, until it is full."""
        taken: list[Submission] = []
        room = BATCH_BYTES_MAX
        while self._queues and len(taken) < BATCH_SUBMISSIONS_MAX:
            client_id = next(iter(self._queues))
            submission = next(iter(self._queues[client_id].values()))
            if len(submission.encoded) > room:
                break
            room -= len(submission.encoded)
            taken.append(submission)
            self.discard(client_id, submission.client_seq)
            if client_id in self._queues:
                self._queues[client_id] = self._queues.pop(client_id)
        return taken
