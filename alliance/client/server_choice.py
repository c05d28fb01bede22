"""Which server a client hands its submissions to: the leader, which is one hop nearer, unless it is slow.

A leader that serves its own clients slowly is seen by nobody else: the others do not know that work waits.
So a client that waits too long there goes to another member, which then sees the delays and suspects it.
"""

from __future__ import annotations

from typing import Protocol

import grpc.aio

from alliance.config.file import AllianceConfig
from alliance.config.membership import Answer
from alliance.config.parties import Member
from quorum import QuorumSystem


class Channels(Protocol):
    """A client's way to the servers. ``config`` is the newest that is known; ``heard`` is told of answers."""

    @property
    def config(self) -> AllianceConfig: ...
    def channel(self, member: Member) -> grpc.aio.Channel: ...
    def heard(self, answer: Answer) -> None: ...


SLOW_OUTCOMES = 8
"""So many outcomes in a row that took longer than half the view time-out are no accident."""


class ServerChoice:
    """``server`` is the member (from 0) that the next stream goes to."""

    def __init__(self, system: QuorumSystem, view_timeout_seconds: float, server: int = 0) -> None:
        self.server = server
        self._system = system
        self._patient_seconds = view_timeout_seconds / 2
        self._slow = 0
        self._shunned: int | None = None  # the view whose leader was slow

    @property
    def order(self) -> list[int]:
        """The servers in which order the next stream is offered to them."""
        count = self._system.member_count
        return [(self.server + further) % count for further in range(count)]

    def pass_over(self, member: int) -> None:
        """The stream to this member ended, or was of no use."""
        if self.server == member:
            self.server = (member + 1) % self._system.member_count

    def follow(self, view: int) -> None:
        """A certificate tells who leads."""
        if view != self._shunned:
            self.server = self._system.leader(view)

    def served(self, member: int, view: int, seconds: float) -> bool:
        """An outcome came from this member, so long after it was asked for. True when it is to be left."""
        if member != self._system.leader(view) or seconds <= self._patient_seconds:
            self._slow = 0
            return False
        self._slow += 1
        if self._slow < SLOW_OUTCOMES:
            return False
        self._slow, self._shunned = 0, view
        self.server = member
        self.pass_over(member)
        return True
