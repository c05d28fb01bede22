"""What a member says of itself, as the client gives it on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from alliance.config.file import AllianceConfig
from alliance.net.budget import Usage
from alliance.net.channels import one_line
from alliance.pb import client_pb2 as pb


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """What one member says of itself, or why it says nothing. Not proven by anything."""

    name: str
    address: str
    reachable: bool
    problem: str = ""
    version: str = ""
    epoch: int = 0
    revision: int = 0
    """Of the membership that it is in."""
    clients: int = 0
    """How many it admits."""
    without_share: bool = False
    """It was away when the keys were handed on, and signs nothing with the others until it gets its share."""
    view: int = 0
    leader: str = ""
    accepted: int = 0
    decided: int = 0
    certified: int = 0
    uptime_seconds: float = 0.0
    connected: tuple[str, ...] = ()
    blamed: tuple[str, ...] = ()
    """Members that it saw do what no correct member does."""
    suspected: tuple[str, ...] = ()
    """Members that may have done such a thing; or others led them into it, or its own clock is wrong."""
    clock_ahead_ms: int | None = None
    """How far its clock is ahead of the median of the others', in milliseconds; None if it does not know."""
    alarms: tuple[str, ...] = ()
    """Members whose identity is in doubt, or was in the last hour ("(ended …)"), each with what was seen."""
    evidence: dict[str, int] = field(default_factory=dict)
    offences: dict[str, dict[str, int]] = field(default_factory=dict)
    """How often whom for what: by member, and by the names of ``alliance.evidence.Offence``."""
    journal_checked: int = 0
    """Up to this slot it has last read its journal again, and found it good; 0: not yet since it started."""
    journal_checked_seconds_ago: float = 0.0
    filled: int = 0
    """Slots decided since it started that a new view left empty: something was proposed beyond them."""
    refresh_hindrance: str = ""
    """Why the members' shares are not refreshed although the policy wants it; empty where nothing hinders."""
    certificate_expires: int = 0
    """When the TLS certificate that it shows expires, in seconds since 1970."""
    usage: dict[str, int] = field(default_factory=dict)
    """What others make it hold, each beside its bound: by the names of ``alliance.net.budget.Usage``."""
    snapshots: dict[str, int] = field(default_factory=dict)
    """The slot of the newest certified snapshot of each application that runs beside it; 0: none yet."""
    application_alarms: dict[str, str] = field(default_factory=dict)
    """What is wrong with the snapshots of an application, where something is."""


def told_by(config: AllianceConfig, member: int, reply: pb.StatusReply) -> MemberStatus:
    """Its answer, without names that the alliance does not have."""
    who = config.members[member]
    names = {other.name for other in config.members}
    parties = names | {client.name for client in config.clients}
    return MemberStatus(
        name=who.name,
        address=who.address,
        reachable=True,
        version=one_line(reply.version),
        epoch=reply.epoch,
        revision=reply.revision,
        clients=reply.clients,
        without_share=reply.without_share,
        view=reply.view,
        leader=reply.leader if reply.leader in names else "",
        accepted=reply.accepted,
        decided=reply.decided,
        certified=reply.certified,
        uptime_seconds=reply.uptime_seconds,
        certificate_expires=reply.certificate_expires,
        connected=tuple(peer.name for peer in reply.peers if peer.connected and peer.name in names),
        blamed=tuple(name for name in reply.blamed if name in names),
        suspected=tuple(name for name in reply.suspected if name in names),
        clock_ahead_ms=reply.clock_ahead_ms if reply.HasField("clock_ahead_ms") else None,
        alarms=tuple(
            f"{peer.name}: {one_line(peer.alarm)}"
            for peer in reply.peers
            if peer.alarm and peer.name in names
        ),
        evidence={kept.culprit: kept.files for kept in reply.evidence if kept.culprit in parties},
        offences={
            name: {one_line(o.name): o.times for o in reply.offences if o.member == name}
            for name in dict.fromkeys(o.member for o in reply.offences)
            if name in names
        },
        journal_checked=reply.journal_checked,
        journal_checked_seconds_ago=reply.journal_checked_seconds_ago,
        filled=reply.filled,
        refresh_hindrance=one_line(reply.refresh_hindrance),
        usage={part.name: getattr(reply, part.name) for part in dataclasses.fields(Usage)},
        snapshots={one_line(one.name): one.snapshot for one in reply.applications},
        application_alarms={
            one_line(one.name): one_line(one.alarm) for one in reply.applications if one.alarm
        },
    )
