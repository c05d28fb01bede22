"""Handing the leadership over before this member is stopped, so that nobody has to miss its leader first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from alliance.config.file import AllianceConfig
from alliance.server.driver import Engine, Inbox
from alliance.server.peers import Link
from fab_paxos.events import StepDown

log = logging.getLogger("alliance.server")

LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class HandOver:
    """What came of it: whether this member had ``led``, and who leads which view now (members from 0)."""

    led: bool
    leader: int
    view: int


class Leadership:
    """``hand_over`` waits until another member leads and this one follows it: then it may end."""

    def __init__(
        self, config: AllianceConfig, me: int, engine: Engine, inbox: Inbox, links: Mapping[int, Link]
    ) -> None:
        self.me = me
        self._config = config
        self._engine = engine
        self._inbox = inbox
        self._links = links

    async def hand_over(self) -> HandOver:
        """For one view time-out at most, and not at all where too few members are there to elect another.

        Whoever waited in vain finds itself as the leader.
        """
        view = self._engine.status.view
        if not self._leads():
            return HandOver(False, self._leader, view)
        log.info("view %d: hands the leadership over", view)
        self._inbox.post(StepDown())
        end = asyncio.get_running_loop().time() + self._config.timing.view_timeout_seconds
        while self._enough() and self._under_way() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
        done = HandOver(True, self._leader, self._engine.status.view)
        if self._leads():
            log.warning("view %d: no other member has taken the leadership over", view)
        else:
            log.info("view %d: %s leads", done.view, self._config.members[done.leader].name)
        return done

    @property
    def _leader(self) -> int:
        return self._config.system.leader(self._engine.status.view)

    def _leads(self) -> bool:
        return self._leader == self.me

    def _under_way(self) -> bool:
        return self._leads() or not self._engine.status.active

    def _enough(self) -> bool:
        connected = sum(link.connected for link in self._links.values())
        return 1 + connected >= self._config.system.decision
