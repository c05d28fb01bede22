"""What a server notices of the other members: told in its log, and counted for who asks."""

from __future__ import annotations

import logging
import time
from collections import Counter

from alliance.config.file import AllianceConfig
from alliance.server.alarms import Alarms
from fab_paxos.effects import Offence

log = logging.getLogger("alliance.server")


class MemberLog:
    """At most one line per kind, member and second: a flood, of messages or of links, must not fill the disk.

    ``refused``: how many messages and frames of each member were; ``alarms``: why links to them were refused;
    ``offences``: for what, and how often, the engine has blamed or suspected whom; ``filled``: how many slots
    were decided that a new view left empty.
    """

    def __init__(self, config: AllianceConfig) -> None:
        self._config = config
        self._last: dict[tuple[str, int], float] = {}
        self.refused: Counter[int] = Counter()
        self.alarms = Alarms()
        self.offences: Counter[tuple[int, Offence]] = Counter()
        self.filled = 0

    def connected(self, member: int) -> None:
        if self.alarms.ended(member) is not None:
            log.info("%s greets as it should again: its alarm has ended", self._name(member))
        if self._is_due("connected", member):
            log.info("connected to %s", self._name(member))

    def lost(self, member: int) -> None:
        if self._is_due("lost", member):
            log.info("lost %s", self._name(member))

    def leads(self, view: int, member: int) -> None:
        log.info("view %d: leader is now %s", view, self._name(member))

    def rejected(self, member: int, text: str) -> None:
        """Something that it sent was refused."""
        self.refused[member] += 1
        self.accuse(member, text)

    def mismatched(self, member: int, reason: str) -> None:
        """It is set up in another way: nothing is held against it."""
        if self._is_due("mismatched", member):
            log.warning("no link with %s: %s", self._name(member), reason)

    def doubted(self, member: int, reason: str) -> None:
        """Its identity is in doubt."""
        self.alarms.raised(member, reason)
        self.accuse(member, f"the link was refused: {reason}")

    def accuse(self, member: int, text: str) -> None:
        """Of something that a correct member does not do."""
        if self._is_due("accused", member):
            log.warning("%s: %s", self._name(member), text)

    def suspect(self, member: int, text: str) -> None:
        """Of something that somebody else may have brought about."""
        if self._is_due("suspected", member):
            log.warning("%s is suspected: %s", self._name(member), text)

    def wrong_key(self, reason: str) -> None:
        """The key that decides does not sign, and no member is to blame: the dealers are, or one of them."""
        if self._is_due("wrong key", len(self._config.members)):
            log.error("nothing can be certified: %s", reason)

    def _name(self, member: int) -> str:
        return self._config.members[member].name

    def _is_due(self, kind: str, member: int) -> bool:
        now = time.monotonic()
        last = self._last.get((kind, member))
        due = last is None or now - last >= 1.0
        if due:
            self._last[kind, member] = now
        return due
