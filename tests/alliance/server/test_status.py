"""What a member tells of itself and of the others when it is asked."""

from __future__ import annotations

from typing import cast

from alliance.config.directory import Directory
from alliance.net.budget import Budget
from alliance.net.limits import CALLS_MAX, PROCESS_BYTES_MAX
from alliance.server.clocks import PeerClocks
from alliance.server.member_log import MemberLog
from alliance.server.peers import Link, Packer
from alliance.server.retention import ApplicationState, Retention
from alliance.server.signer import Signer
from alliance.server.status import StatusSource, Watched
from alliance.storage.journal_check import JournalCheck
from fab_paxos.effects import Effect, Offence
from fab_paxos.events import Event
from fab_paxos.messages import Status
from tests.alliance.farm import Farm


class Still:
    """An engine to which nothing happens."""

    status = Status(7, accepted=9, decided=8, certified=6)

    def step(self, event: Event) -> tuple[Effect, ...]:
        return ()


class Checked:
    """A journal that was read again."""

    passed = (5, 2.5)


class Beside:
    """Applications that run beside a member."""

    applications = (ApplicationState("kv", 1024, ""), ApplicationState("lock", 0, "they differ"))


def test_everything_noticed_is_told_by_name(farm: Farm) -> None:
    links = {peer: Link(peer, Packer(0)) for peer in (0, 1, 3)}
    links[1].open(links[1].take_over())
    log = MemberLog(farm.config)
    log.rejected(0, "junk")
    log.rejected(0, "junk")
    log.doubted(3, "it forgot")
    log.offences.update({(3, Offence.BAD_SHARE): 1, (0, Offence.TWO_VOTES): 2})
    log.filled = 40
    log.offences.update({(0, Offence.OTHER_LOG): 1, (1, Offence.STAMP_AHEAD): 3})
    clocks = PeerClocks(farm.config)
    for peer, clock_ms in enumerate((5_000, 9_000, 9_500)):
        clocks.note(peer, clock_ms, 10_000)
    budget = Budget()
    budget.open("a:1", bytes(32), "client-1", member=False, bytes_max=100).arrived(100)
    evidence, checked = {"member-4": 2, "member-1": 1}, cast(JournalCheck, Checked())
    retention = cast(Retention, Beside())
    mine, signer = farm.members[2], Signer(farm.config.context, lambda *_: None)
    parts = Still(), links, log, clocks, evidence, checked, mine, budget, retention, signer
    watched = Watched(*parts, lambda: "no receiver key of member-2")
    reply = StatusSource(Directory(farm.config), 2, watched).reply()
    assert (reply.journal_checked, reply.journal_checked_seconds_ago, reply.filled) == (5, 2.5, 40)
    assert not reply.without_share
    assert reply.refresh_hindrance == "no receiver key of member-2"
    assert (reply.name, reply.view, reply.leader) == ("member-3", 7, "member-2")
    assert (reply.accepted, reply.decided, reply.certified) == (9, 8, 6)
    assert [(peer.name, peer.connected, peer.rejected, peer.alarm) for peer in reply.peers] == [
        ("member-1", False, 2, ""),
        ("member-2", True, 0, ""),
        ("member-4", False, 0, "it forgot"),
    ]
    assert list(reply.blamed) == ["member-1", "member-4"]
    assert [(one.member, one.name, one.times) for one in reply.offences] == [
        ("member-4", "BAD_SHARE", 1),
        ("member-1", "TWO_VOTES", 2),
        ("member-1", "OTHER_LOG", 1),
        ("member-2", "STAMP_AHEAD", 3),
    ]
    assert list(reply.suspected) == ["member-1", "member-2"]
    assert reply.clock_ahead_ms == 1_000
    assert (reply.connections, reply.calls, reply.calls_refused, reply.connections_cut) == (1, 1, 0, 0)
    assert 0 < reply.descriptors < reply.descriptors_max
    assert reply.connections_max < reply.descriptors_max
    assert (reply.calls_max, reply.bytes_in_flight_max) == (CALLS_MAX, PROCESS_BYTES_MAX)
    assert [(one.name, one.snapshot, one.alarm) for one in reply.applications] == [
        ("kv", 1024, ""),
        ("lock", 0, "they differ"),
    ]
    assert [(kept.culprit, kept.files) for kept in reply.evidence] == [("member-1", 1), ("member-4", 2)]
