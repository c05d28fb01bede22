"""What Status tells of a member: where its engine is, and what it has noticed of itself and of the others."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from alliance.config.directory import Directory
from alliance.keys.channel import Credentials
from alliance.net.budget import Budget
from alliance.pb import client_pb2 as pb
from alliance.server.clocks import PeerClocks
from alliance.server.driver import Engine
from alliance.server.member_log import MemberLog
from alliance.server.peers import Link
from alliance.server.retention import Retention
from alliance.server.signer import Signer
from alliance.storage.journal_check import JournalCheck
from alliance.version import VERSION


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts of a member that a Status is read from; ``evidence``: how many files are kept, by culprit.

    ``refresh_hindrance``: why the members' shares are not refreshed although the policy wants it.
    """

    engine: Engine
    links: Mapping[int, Link]
    log: MemberLog
    clocks: PeerClocks
    evidence: Mapping[str, int]
    check: JournalCheck
    credentials: Credentials
    budget: Budget
    retention: Retention
    signer: Signer
    refresh_hindrance: Callable[[], str] = str


class StatusSource:
    def __init__(self, directory: Directory, me: int, watched: Watched) -> None:
        self._directory = directory
        self._me = me
        self._watched = watched
        self._started = time.monotonic()

    def reply(self) -> pb.StatusReply:
        watched, log = self._watched, self._watched.log
        status = watched.engine.status
        config = self._directory.config
        members, membership = config.members, config.membership
        checked, seconds = watched.check.passed or (0, 0.0)
        return pb.StatusReply(
            name=members[self._me].name,
            version=VERSION,
            view=status.view,
            epoch=membership.epoch,
            revision=membership.revision,
            clients=len(config.clients),
            without_share=not watched.signer.has_share,
            leader=members[config.system.leader(status.view)].name,
            accepted=status.accepted,
            decided=status.decided,
            certified=status.certified,
            uptime_seconds=time.monotonic() - self._started,
            certificate_expires=int(watched.credentials.channel().expires.timestamp()),
            peers=[
                pb.PeerStatus(
                    name=members[peer].name,
                    connected=link.connected,
                    rejected=log.refused[peer],
                    alarm=log.alarms.told(peer),
                )
                for peer, link in watched.links.items()
            ],
            blamed=self._names(certain=True),
            suspected=self._names(certain=False),
            clock_ahead_ms=watched.clocks.ahead_ms,
            evidence=[
                pb.Evidence(culprit=name, files=files) for name, files in sorted(watched.evidence.items())
            ],
            offences=[
                pb.Offence(member=members[member].name, name=offence.name, times=times)
                for (member, offence), times in log.offences.items()
            ],
            journal_checked=checked,
            journal_checked_seconds_ago=seconds,
            filled=log.filled,
            refresh_hindrance=watched.refresh_hindrance(),
            applications=[
                pb.ApplicationStatus(**dataclasses.asdict(one)) for one in watched.retention.applications
            ],
            **dataclasses.asdict(watched.budget.usage),
        )

    def alarms(self, *, acknowledge: bool) -> pb.AlarmsReply:
        """All that is noted, as it was before the operator's word that it has been seen."""
        noted = [
            pb.Alarm(
                member=self._directory.config.members[alarm.member].name,
                reason=alarm.reason,
                since_ms=alarm.since_ms,
                times=alarm.times,
                ended_ms=alarm.ended_ms,
                acknowledged=alarm.acknowledged,
            )
            for alarm in self._watched.log.alarms.all()
        ]
        if acknowledge:
            self._watched.log.alarms.acknowledge()
        return pb.AlarmsReply(alarms=noted)

    def _names(self, *, certain: bool) -> list[str]:
        """Of members with an offence of this kind."""
        found = {member for member, offence in self._watched.log.offences if offence.certain is certain}
        return [self._directory.config.members[member].name for member in sorted(found)]
