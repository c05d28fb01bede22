"""Submissions that wait to be decided: organisations are served in turn, and their clients in turn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, KeysView
from dataclasses import dataclass, field
from itertools import islice

from verifiable_log.limits import (
    BATCH_BYTES_MAX,
    BATCH_SUBMISSIONS_MAX,
    POOL_BYTES_MAX,
    POOL_SUBMISSIONS_MAX,
    POOLS_BYTES_MAX,
    SUBMISSION_BYTES_MAX,
)
from verifiable_log.submission import Submission


@dataclass(slots=True)
class _Queue:
    """What waits of one client, by its numbers."""

    organisation: Hashable
    waiting: dict[int, Submission] = field(default_factory=dict)
    size: int = 0


@dataclass(slots=True)
class _Organisation:
    """Its clients that have something waiting; the first one is served next. ``size``: bytes of all."""

    clients: OrderedDict[bytes, _Queue] = field(default_factory=OrderedDict)
    size: int = 0


class Pool:
    """Bounded per client, so that a flood fills its own queue only; and one organisation's clients together,
    however many, take neither the others' turns nor their room."""

    def __init__(self) -> None:
        self._queues: dict[bytes, _Queue] = {}
        # In the order of service: whoever was served goes to the end.
        self._organisations: OrderedDict[Hashable, _Organisation] = OrderedDict()
        self._total = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def fills_a_batch(self) -> bool:
        """Whether there is enough for one."""
        return self._total >= BATCH_BYTES_MAX or self._count >= BATCH_SUBMISSIONS_MAX

    def waiting(self) -> Iterator[tuple[Hashable, KeysView[bytes]]]:
        """The organisations of which something waits, each with those of its clients."""
        return ((whose, one.clients.keys()) for whose, one in self._organisations.items())

    def get(self, client_id: bytes, client_seq: int) -> Submission | None:
        queue = self._queues.get(client_id)
        return None if queue is None else queue.waiting.get(client_seq)

    def newest_of(self, turn: int) -> tuple[bytes, int] | None:
        """Client and number of what came last of one client; for each ``turn`` >= 0 one of another
        organisation, and of that another client than the last time."""
        if not self._organisations:
            return None
        around, at = divmod(turn, len(self._organisations))
        clients = next(islice(self._organisations.values(), at, None)).clients
        client_id = next(islice(clients, around % len(clients), None))
        return client_id, next(reversed(clients[client_id].waiting))

    def add(
        self,
        submission: Submission,
        organisation: Hashable = None,
        waiting_max: int = POOL_SUBMISSIONS_MAX,
        bytes_max: int = POOL_BYTES_MAX,
    ) -> bool:
        """Queues a submission whose number is not in use here; False when there is no room for it.

        ``organisation``: whose client it is; of none, it is one of its own. ``waiting_max``, ``bytes_max``:
        the client's share. One submission is always within it. When all queues together are full, only
        clients with nothing waiting get in, and organisations with less than a largest submission waiting.
        """
        client_id, size = submission.client_id, len(submission.encoded)
        queue = self._queues.get(client_id)
        if queue is not None and (len(queue.waiting) >= waiting_max or queue.size + size > bytes_max):
            return False
        whose = queue.organisation if queue is not None else organisation or client_id
        theirs = self._organisations.get(whose)
        held = 0 if theirs is None else theirs.size
        little = queue is None or held + size <= SUBMISSION_BYTES_MAX
        if not little and self._total + size > POOLS_BYTES_MAX:
            return False
        if theirs is None:
            theirs = self._organisations[whose] = _Organisation()
        if queue is None:
            queue = self._queues[client_id] = theirs.clients[client_id] = _Queue(whose)
        queue.waiting[submission.client_seq] = submission
        queue.size += size
        theirs.size += size
        self._total += size
        self._count += 1
        return True

    def discard(self, client_id: bytes, client_seq: int) -> None:
        """Removes a submission, whatever its content: its number is used."""
        queue = self._queues.get(client_id)
        submission = queue.waiting.pop(client_seq, None) if queue is not None else None
        if queue is None or submission is None:
            return
        size = len(submission.encoded)
        organisation = self._organisations[queue.organisation]
        queue.size -= size
        organisation.size -= size
        self._total -= size
        self._count -= 1
        if not queue.waiting:
            del self._queues[client_id], organisation.clients[client_id]
            if not organisation.clients:
                del self._organisations[queue.organisation]

    def all(self) -> tuple[Submission, ...]:
        organisations = self._organisations.values()
        queues = (queue for one in organisations for queue in one.clients.values())
        return tuple(submission for queue in queues for submission in queue.waiting.values())

    def take(self) -> list[Submission]:
        """Removes what makes the next batch: one submission of each organisation in turn, till it is full."""
        taken: list[Submission] = []
        room = BATCH_BYTES_MAX
        while self._organisations and len(taken) < BATCH_SUBMISSIONS_MAX:
            whose, organisation = next(iter(self._organisations.items()))
            client_id, queue = next(iter(organisation.clients.items()))
            submission = next(iter(queue.waiting.values()))
            if len(submission.encoded) > room:
                break
            room -= len(submission.encoded)
            taken.append(submission)
            self.discard(client_id, submission.client_seq)
            if queue.waiting:
                organisation.clients.move_to_end(client_id)
            if organisation.clients:
                self._organisations.move_to_end(whose)
        return taken
