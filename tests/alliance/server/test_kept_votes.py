"""Votes that a member has heard, for those who want some in a receipt: bounded, whoever votes for what."""

from __future__ import annotations

import random

import pytest

from alliance.server import kept_votes as module
from alliance.server.gate import Gate, Seal
from alliance.server.kept_votes import KeptVotes
from fab_paxos.messages import Accepted
from quorum import AcceptedStatement, VoteStatement
from tests.alliance.farm import Farm

ENOUGH = 2


def vote(slot: int, root: bytes = b"r" * 32) -> VoteStatement:
    return VoteStatement(0, slot, root)


def accepted(slot: int, root: bytes = b"r" * 32) -> AcceptedStatement:
    return AcceptedStatement(0, slot, root)


def size(kept: KeptVotes) -> int:
    """Signatures in memory."""
    return sum(map(len, kept._recent.values())) + sum(map(len, kept._certified.values()))


def test_votes_are_told_before_and_after_the_certificate() -> None:
    kept = KeptVotes(0, ENOUGH)
    kept.note(1, vote(7), b"by 1")
    kept.note(2, vote(7, b"o" * 32), b"by 2")
    assert kept.of(vote(7)) == {1: b"by 1"}
    kept.certified(accepted(7))
    assert kept.of(vote(7)) == {1: b"by 1"}
    assert size(kept) == 2
    kept.note(3, vote(7), b"by 3")
    assert kept.of(vote(7)) == {1: b"by 1", 3: b"by 3"}
    kept.certified(accepted(7))
    assert kept.of(vote(7)) == {1: b"by 1", 3: b"by 3"}
    kept.note(4, vote(7), b"more than it takes")
    assert kept.of(vote(7)) == {1: b"by 1", 3: b"by 3"}
    assert kept.of(vote(8)) == {}


def test_who_votes_for_whatever_it_likes_displaces_nobody() -> None:
    kept = KeptVotes(0, ENOUGH)
    for member in (1, 2):
        kept.note(member, vote(7), b"true")
    for slot in range(10 * module.RECENT_MAX):
        kept.note(5, vote(slot, b"f" * 32), b"flood")
    assert size(kept) == module.RECENT_MAX + 2
    kept.certified(accepted(7))
    assert kept.of(vote(7)) == {1: b"true", 2: b"true"}


def test_memory_stays_flat_and_holds_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes when: never more than is said, and what is certified last is there."""
    monkeypatch.setattr(module, "RECENT_MAX", 8)
    monkeypatch.setattr(module, "CERTIFIED_MAX", 4)
    chance, kept, members = random.Random(5), KeptVotes(0, ENOUGH), range(6)
    for slot in range(1, 400):
        for member in members:
            kept.note(member, vote(slot, bytes([chance.randrange(2)]) * 32), b"%d" % member)
        if chance.random() < 0.3:
            root = bytes([chance.randrange(2)]) * 32
            before = kept.of(vote(slot, root))
            kept.certified(accepted(slot, root))
            after = kept.of(vote(slot, root))
            assert after.items() <= before.items()
            assert len(after) == min(ENOUGH, len(before))
        assert size(kept) <= 6 * 8 + 4 * ENOUGH


def test_the_gate_keeps_what_it_has_verified_and_nothing_else(farm: Farm) -> None:
    """Of the member that says it, under its own signature."""
    gate, said = Gate(farm.config), Accepted(0, 7, b"r" * 32)
    true = Seal(farm.config, 1, farm.members[1].signing_key).close(said)
    gate.admit(1, true)
    gate.admit(2, true)
    forged = farm.accepted(0, 7, b"r" * 32, signer=3)
    gate.admit(4, Seal(farm.config, 4, farm.members[4].signing_key).close(forged))
    signature = farm.accepted(0, 7, b"r" * 32, signer=1).signature
    assert gate.votes.of(vote(7)) == {1: signature}
    assert gate.votes.epoch == farm.config.epoch
