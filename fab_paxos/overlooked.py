"""Whom a leader passes over although it makes progress: an organisation, or one of an organisation's clients.

A correct leader serves organisations in turn, and the clients of each in turn. So an organisation that waits
gets something within a round; and of its clients none is served twice while another one waits for its first
turn, but for what was proposed before that one's work came to the leader. How long a client waits says
nothing by itself: the thousandth of a flooding organisation waits for all the others.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turns:
    """Of an organisation of which something waits here. Its turns count from 1 since then.

    ``idle``: heartbeats since its last turn. ``last``: of each client that had one. ``again``: since the last
    heartbeat a client had another turn, whose one before was this. ``waiting``: of each client that waits,
    the turn after which it began to, and the heartbeats in which others had another turn meanwhile.
    """

    count: int = 0
    idle: int = 0
    again: int = 0
    last: dict[bytes, int] = field(default_factory=dict)
    waiting: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def take(self, client_id: bytes) -> None:
        self.count += 1
        self.idle = 0
        self.again = max(self.again, self.last.get(client_id, 0))
        self.last[client_id] = self.count
        self.waiting.pop(client_id, None)

    def beat(self, clients: Iterable[bytes]) -> None:
        waiting = {}
        for client_id in clients:
            since, beats = self.waiting.get(client_id, (self.count, 0))
            waiting[client_id] = since, beats + (since < self.again)
        self.waiting = waiting
        self.idle += 1
        self.again = 0

    @property
    def beats(self) -> int:
        return max([self.idle, *(beats for _, beats in self.waiting.values())])


class Overlooked:
    """In one view. Memory: the clients that wait or were served, of each organisation that waits."""

    def __init__(self) -> None:
        self._organisations: dict[Hashable, _Turns] = {}

    def on_heartbeat(self, waiting: Iterable[tuple[Hashable, Iterable[bytes]]]) -> None:
        """``waiting``: each organisation of which something waits here, with its clients."""
        before = self._organisations
        self._organisations = {}
        for whose, clients in waiting:
            turns = self._organisations[whose] = before.get(whose) or _Turns()
            turns.beat(clients)

    def on_decided(self, whose: Hashable, client_id: bytes) -> None:
        """Something of this client of this organisation was ordered."""
        if (turns := self._organisations.get(whose)) is not None:
            turns.take(client_id)

    def clear(self) -> None:
        self._organisations.clear()

    def __bool__(self) -> bool:
        """Whether anybody is watched."""
        return bool(self._organisations)

    @property
    def beats(self) -> int:
        """For how many heartbeats somebody has been passed over."""
        return max((turns.beats for turns in self._organisations.values()), default=0)
