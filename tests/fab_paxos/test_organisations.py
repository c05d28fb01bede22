"""One organisation's clients, however many, take nobody's turns: docs/concepts/protocol.md, section 5."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest

from consensus.control import CheckedControl, ControlState
from consensus.control.changes import ChangeKind
from consensus.control.rows import ClientRow
from fab_paxos.messages import Forward, Message
from fab_paxos.overlooked import Overlooked
from quorum import QuorumSystem
from tests.consensus.alliance import ALLIANCE, Log, client_id, found, put_member, verify
from tests.worlds.checkers import check
from tests.worlds.cluster import Cluster, Tamper
from verifiable_log import Submission, UnsignedSubmission, client_pool

SIX = QuorumSystem(6, 1)
CROWD = 1000


def crowd_client(number: int) -> bytes:
    return sha256(identity(number)).digest()


def identity(number: int) -> bytes:
    return b"%032d" % number


def crowded() -> CheckedControl:
    """Each organisation has one client, and ``org-a`` a thousand more."""
    rows = found().directory
    crowd = [ClientRow(f"crowd-{n}", "org-a", identity(n), b"certificate") for n in range(CROWD)]
    clients = [*rows.clients.values(), *crowd]
    state = ControlState.founded(ALLIANCE, SIX, rows.members, rows.operators, clients)
    return CheckedControl(state, verify)


def submission(client: bytes, seq: int) -> Submission:
    return UnsignedSubmission(client, seq, [b"command %d" % seq]).sign(bytes(64))


def test_epoch_client_flood_one_organisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """While several wait, each organisation gets as much of each batch as any other."""
    monkeypatch.setattr(client_pool, "BATCH_SUBMISSIONS_MAX", 6)
    control = crowded()
    cluster = Cluster(SIX, 3, founded=control)
    for number in range(CROWD):
        cluster.submit(number % 6, submission(crowd_client(number), 1))
    cluster.run(600)
    for seq in range(40):
        cluster.submit(0, *(submission(client_id(name), seq) for name in ("c-b", "c-c")))
    cluster.settle(2)
    check(cluster)
    served = [
        Counter(str(control.organisation(one.client_id)) for one in entry.batch.submissions)
        for _, entry in sorted(cluster.members[5].decisions().items())
    ]
    three = [at for at, batch in enumerate(served) if len(batch) == 3]
    assert len(three) >= 10
    while_all_wait = served[three[1] : three[-1]]
    assert while_all_wait == [Counter({"org-a": 2, "org-b": 2, "org-c": 2})] * len(while_all_wait)
    assert sum(served, Counter()) == {"org-a": CROWD, "org-b": 40, "org-c": 40}
    assert {member.engine.view for member in cluster.members} == {0}


def without(*clients: bytes) -> Tamper:
    """The leader never hears of what these submit, nor proposes it."""

    def tamper(_: int, to: int, said: Message) -> list[Message]:
        if isinstance(said, Forward) and to == 0:
            kept = tuple(one for one in said.submissions if one.client_id not in clients)
            return [Forward(kept)] if kept else []
        return [said]

    return tamper


def test_overlooked_is_an_organisation() -> None:
    """Of a thousand clients of one organisation each waits for the others, and that is nobody's fault; a
    leader that serves one organisation only passes the other over."""
    cluster = Cluster(SIX, 5, founded=crowded())
    kept_out = client_id("c-a"), client_id("c-b")
    for member in range(1, 6):
        cluster.tampers[member] = without(*kept_out)
    cluster.submit(2, submission(client_id("c-a"), 1))
    cluster.submit(3, submission(client_id("c-b"), 1))
    for beat in range(4):
        for member in (2, 3):
            cluster.submit(member, submission(crowd_client(2 * beat + member), 1))
        cluster.run()
        cluster.beat()
    cluster.run()
    waited = [cluster.members[me].engine.rooms.proposer.overlooked for me in (2, 3)]
    assert waited == [1, 4]


def test_a_client_is_overlooked_when_others_of_its_organisation_have_another_turn() -> None:
    watch = Overlooked()
    waiting = [("org-a", (b"c", b"d")), ("org-b", (b"x",))]
    watch.on_heartbeat(waiting)
    for client in (b"e", b"f", b"g", b"d"):
        watch.on_decided("org-a", client)
        watch.on_decided("org-b", b"x")
        watch.on_heartbeat(waiting)
    assert watch.beats == 1, "one after the other: no sooner could it be the turn of c"
    for beats in (1, 2, 3):
        watch.on_decided("org-a", b"e")
        watch.on_decided("org-b", b"x")
        assert watch.beats == beats - 1
        watch.on_heartbeat(waiting)
        watch.on_decided("org-a", b"d")
        watch.on_decided("org-b", b"x")
        assert watch.beats == beats
    watch.on_decided("org-a", b"c")
    watch.on_heartbeat(waiting[:1])
    assert watch.beats == 1
    watch.on_heartbeat([])
    assert not watch


def test_members_count_under_their_organisation_and_so_do_newcomers() -> None:
    log = Log(found())
    assert log.state.organisation(client_id("m-b")) == log.state.organisation(client_id("c-b")) == "org-b"
    assert log.state.organisation(client_id("nobody")) == client_id("nobody")
    log.agree(log.change(ChangeKind.FULL, put_member("m-f", "org-f", "new f")))
    assert log.state.organisation(client_id("new f")) == "org-f"
