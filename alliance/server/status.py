"""What Status tells of a member: where its engine is, and what it has noticed of the others."""

from __future__ import annotations

import time
from collections.abc import Mapping

from alliance.config.file import AllianceConfig
from alliance.keys.channel import Credentials
from alliance.pb import client_pb2 as pb
from alliance.server.clocks import PeerClocks
from alliance.server.driver import Engine
from alliance.server.member_log import MemberLog
from alliance.server.peers import Link
from alliance.storage.journal_check import JournalCheck
from alliance.version import VERSION


class StatusSource:
    def __init__(
        self,
        config: AllianceConfig,
        me: int,
        engine: Engine,
        links: Mapping[int, Link],
        log: MemberLog,
        clocks: PeerClocks,
        evidence: Mapping[str, int],
        check: JournalCheck,
        credentials: Credentials,
    ) -> None:
        """``evidence``: how many files are kept against whom, by name."""
        self._check = check
        self._config = config
        self._me = me
        self._engine = engine
        self._links = links
        self._log = log
        self._clocks = clocks
        self._evidence = evidence
        self._credentials = credentials
        self._started = time.monotonic()

    def reply(self) -> pb.StatusReply:
        status = self._engine.status
        members, membership = self._config.members, self._config.membership
        checked, seconds = self._check.passed or (0, 0.0)
        return pb.StatusReply(
            name=members[self._me].name,
            version=VERSION,
            view=status.view,
            epoch=membership.epoch,
            revision=membership.revision,
            leader=members[self._config.system.leader(status.view)].name,
            accepted=status.accepted,
            decided=status.decided,
            certified=status.certified,
            uptime_seconds=time.monotonic() - self._started,
            certificate_expires=int(self._credentials.channel().expires.timestamp()),
            peers=[
                pb.PeerStatus(
                    name=members[peer].name,
                    connected=link.connected,
                    rejected=self._log.refused[peer],
                    alarm=self._log.alarms.get(peer, ""),
                )
                for peer, link in self._links.items()
            ],
            blamed=self._names(certain=True),
            suspected=self._names(certain=False),
            clock_ahead_ms=self._clocks.ahead_ms,
            evidence=[
                pb.Evidence(culprit=name, files=files) for name, files in sorted(self._evidence.items())
            ],
            offences=[
                pb.Offence(member=members[member].name, name=offence.name, times=times)
                for (member, offence), times in self._log.offences.items()
            ],
            journal_checked=checked,
            journal_checked_seconds_ago=seconds,
        )

    def _names(self, *, certain: bool) -> list[str]:
        """Of members with an offence of this kind."""
        found = {member for member, offence in self._log.offences if offence.certain is certain}
        return [self._config.members[member].name for member in sorted(found)]
