""" "Everything from outside is bounded": what one member, or one client, can make an engine hold."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from fab_paxos.limits import WINDOW_SLOTS
from fab_paxos.messages import (
    Accepted,
    Certified,
    CertifyRequest,
    Endorsed,
    Fetch,
    Forward,
    Propose,
    ProveShare,
    Status,
)
from quorum import AcceptedStatement, Endorsement
from tests.worlds.checkers import check_all
from tests.worlds.cluster import Cluster, submission
from tests.worlds.single import Bench, Script
from verifiable_log.limits import POOL_SUBMISSIONS_MAX

FLOOD = 3000


def held(engine: object) -> int:
    """How many objects an engine holds, however deep."""
    seen: set[int] = set()
    waiting = [engine]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | int | bytes | str):
            continue
        seen.add(id(one))
        waiting.extend(_inside(one))
    return len(seen)


def _inside(one: object) -> Iterable[object]:
    if isinstance(one, dict):
        return [*one.keys(), *one.values()]
    if isinstance(one, list | tuple | set) or type(one).__name__ == "deque":
        return tuple(one)  # type: ignore[arg-type]
    names = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
    return [getattr(one, name) for name in [*names, *getattr(one, "__dict__", {})] if hasattr(one, name)]


def test_endorsements_of_slots_far_and_near_are_bounded() -> None:
    bench = Bench()
    for slot in range(1, FLOOD):
        for root in (b"\x01" * 32, b"\x02" * 32):
            statement = AcceptedStatement(0, slot, root)
            bench.hear(2, Endorsed(Endorsement(statement, 2, b"junk")))
    assert len(bench.replica.rooms.certifier.signing._collectors) == 2 * WINDOW_SLOTS
    assert all(len(c._endorsements) == 1 for c in bench.replica.rooms.certifier.signing._collectors.values())
    bench.hear(2, Endorsed(Endorsement(AcceptedStatement(0, 2**64 - 1, bytes(32)), 2, b"junk")))
    assert len(bench.replica.rooms.certifier.signing._collectors) == 2 * WINDOW_SLOTS


def test_accepted_of_slots_that_do_not_exist_are_bounded() -> None:
    bench = Bench()
    for slot in range(1, FLOOD):
        bench.hear(2, Accepted(0, slot, bytes(32)), Accepted(0, 2**63 + slot, bytes(32)))
    assert [len(words) for words in bench.replica.rooms.learner._words] == [0, 0, 2 * WINDOW_SLOTS, 0, 0, 0]


def test_a_member_that_fills_its_own_room_does_not_take_that_of_others() -> None:
    script, bench = Script(), Bench()
    script.add(submission(1, 0))
    for slot in range(1, FLOOD):
        bench.hear(4, Accepted(0, slot, bytes(32)))
        bench.hear(4, Endorsed(Endorsement(AcceptedStatement(0, slot, bytes(32)), 4, b"junk")))
    for member in (1, 2, 3):
        bench.hear(member, script.accepted(1))
    bench.hear(0, script.propose(1))
    assert bench.decided == [1]


def test_proposals_far_ahead_are_bounded() -> None:
    script, bench = Script(), Bench()
    for seq in range(3 * WINDOW_SLOTS):
        script.add(submission(1, seq))
    for slot in range(2, 3 * WINDOW_SLOTS):
        bench.hear(0, script.propose(slot))
    assert len(bench.replica.rooms.acceptor._ahead) == WINDOW_SLOTS - 1
    bench.hear(0, Propose(0, 2**64 - 1, script.batches[0], bytes(32), b"s"))
    assert len(bench.replica.rooms.acceptor._ahead) == WINDOW_SLOTS - 1
    bench.hear(0, script.propose(1))
    assert len(bench.replica.rooms.acceptor._ahead) == 0


def test_a_client_that_floods_through_every_member_fills_its_own_queue() -> None:
    bench = Bench(me=1)
    for member in (2, 3, 4, 5):
        bench.hear(member, Forward(tuple(submission(member % 2, seq) for seq in range(FLOOD))))
    assert len(bench.replica.rooms.proposer._pending) == 2 * POOL_SUBMISSIONS_MAX


def test_a_flood_of_every_kind_from_one_member_leaves_the_memory_flat() -> None:
    """Three further floods leave no more behind than the first one did."""
    script, bench = Script(), Bench()
    script.add(submission(1, 0))

    def flood(round_: int) -> None:
        for place in range(1, FLOOD // 3):
            slot = place + round_ * FLOOD
            statement = AcceptedStatement(0, slot, bytes([round_]) * 32)
            bench.hear(
                3,
                Accepted(0, slot, bytes(32)),
                Endorsed(Endorsement(statement, 3, b"junk")),
                ProveShare(statement),
                Status(0, slot, slot, slot),
                Fetch(slot),
                CertifyRequest(0, slot),
                Certified(script.certificate(1)),
                Forward((submission(1, slot),)),
            )
            bench.log.clear()

    flood(0)
    after_one = held(bench.replica)
    for round_ in range(1, 4):
        flood(round_)
    assert held(bench.replica) <= after_one + 50
    assert sys.getsizeof(bench.replica.rooms.certifier.beyond) < 1000


def test_an_engine_that_ran_for_long_holds_no_more_than_one_that_ran_briefly() -> None:
    cluster = Cluster(seed=1)
    sizes = []
    for seq in range(600):
        cluster.submit(0, submission(1, seq % 200 if seq < 200 else seq))
        cluster.run()
        if seq % 200 == 199:
            sizes.append([held(member.engine) for member in cluster.members])
    check_all(cluster)
    grown = [last - first for first, last in zip(sizes[0], sizes[-1], strict=True)]
    assert max(grown) <= 400 + 50, "only the client's window grows, by its numbers"


def test_a_flooding_member_does_not_stop_the_others() -> None:
    cluster = Cluster(seed=2)
    cluster.run()
    for seq in range(10):
        cluster.submit(seq % 5, submission(1, seq))
        for slot in range(1, 60):
            for to in range(5):
                junk = Endorsement(AcceptedStatement(0, slot, bytes(32)), 5, b"junk")
                cluster.inject(5, to, Accepted(0, slot, bytes(32)), Endorsed(junk), Status(0, slot, 99, 99))
        cluster.run(300)
    cluster.silent.add(5)
    cluster.settle(beats=20)
    check_all(cluster)
