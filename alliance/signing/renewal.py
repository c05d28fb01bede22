"""A desk goes from epoch to epoch with its member: at each one it is opened anew, with the shares of then.

The desk before is dropped at once, and with it the shares that it held. Until the member has those of the
present keys its desk answers nobody, who asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from alliance.config.directory import Directory, place_of
from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError, KeyFileError, NoLongerMember
from alliance.signing.desk import Desk

RETRY_SECONDS = 1.0

log = logging.getLogger("alliance.signing")

Open = Callable[[AllianceConfig, int], Desk | None]
"""The desk of the member of this place in an epoch; None: it has no share of its keys yet. It may take long.
Raises ConfigError or KeyFileError."""


class Serves(Protocol):
    desk: Desk | None


class Renewal:
    """``run`` is to be running as long as the service is."""

    def __init__(self, service: Serves, directory: Directory, identity: bytes, reopen: Open) -> None:
        """``identity``: the member's."""
        self._service = service
        self._directory = directory
        self._identity = identity
        self._open = reopen
        self._epoch = directory.config.epoch
        self._crossed = asyncio.Event()
        directory.follow(self._update)

    def _update(self, config: AllianceConfig) -> None:
        if config.epoch != self._epoch:
            self._epoch, self._service.desk = config.epoch, None
            self._crossed.set()

    async def run(self) -> None:
        """Until cancelled. Raises NoLongerMember when the member takes no part any more."""
        while True:
            await self._crossed.wait()
            self._crossed.clear()
            config = self._directory.config
            place = place_of(config, self._identity)
            if place is None:
                raise NoLongerMember(f"the member takes no part in epoch {config.epoch}: its desk ends")
            while not self._crossed.is_set():
                desk = await self._attempt(config, place)
                if desk is not None and not self._crossed.is_set():
                    self._service.desk = desk
                    log.info("it signs with the shares of epoch %d", config.epoch)
                    break
                await asyncio.sleep(RETRY_SECONDS)

    async def _attempt(self, config: AllianceConfig, place: int) -> Desk | None:
        try:
            return await asyncio.to_thread(self._open, config, place)
        except (ConfigError, KeyFileError) as error:
            log.warning("epoch %d: it does not sign yet: %s", config.epoch, error)
            return None
