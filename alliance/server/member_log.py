"""The server's log lines about members: at most one per kind, member and second."""

from __future__ import annotations

import logging
import time

from alliance.config.file import AllianceConfig

log = logging.getLogger("alliance.server")


class MemberLog:
    """A flood, of messages or of links, must not fill the disk."""

    def __init__(self, config: AllianceConfig) -> None:
        self._config = config
        self._last: dict[tuple[str, int], float] = {}

    def connected(self, member: int) -> None:
        if self._is_due("connected", member):
            log.info("connected to %s", self._name(member))

    def lost(self, member: int) -> None:
        if self._is_due("lost", member):
            log.info("lost %s", self._name(member))

    def leads(self, view: int, member: int) -> None:
        log.info("view %d: leader is now %s", view, self._name(member))

    def accuse(self, member: int, text: str) -> None:
        """Of something that a correct member does not do."""
        if self._is_due("accused", member):
            log.warning("%s: %s", self._name(member), text)

    def _name(self, member: int) -> str:
        return self._config.members[member].name

    def _is_due(self, kind: str, member: int) -> bool:
        now = time.monotonic()
        last = self._last.get((kind, member))
        due = last is None or now - last >= 1.0
        if due:
            self._last[kind, member] = now
        return due
