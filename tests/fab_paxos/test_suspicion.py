"""Suspecting with others: one member's word moves nobody, one more than may lie does."""

from __future__ import annotations

from fab_paxos.effects import Endorse
from fab_paxos.messages import Endorsed
from quorum import Endorsement, SuspectStatement
from tests.worlds.single import Bench, only


def suspect(member: int, view: int) -> Endorsed:
    return Endorsed(Endorsement(SuspectStatement(view), member, b"a share"))


def test_a_member_joins_when_one_more_suspect_than_may_lie() -> None:
    for view in (0, 4):  # for this view, or for a later one that we have not reached
        bench = Bench(me=5)
        assert not only(bench.hear(2, suspect(2, view), suspect(2, view + 1)), Endorse)
        assert only(bench.hear(3, suspect(3, view)), Endorse) == [Endorse(SuspectStatement(0))]
        assert not only(bench.hear(4, suspect(4, view)), Endorse), "it has said so"
