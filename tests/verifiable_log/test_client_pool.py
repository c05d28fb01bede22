"""The pool: per client and over all clients bounded, and fair to the one that has nothing waiting."""

from __future__ import annotations

import pytest

from tests.worlds.cluster import client_id, submission
from verifiable_log import client_pool as module
from verifiable_log.client_pool import Pool

SIZE = len(submission(1, 1, b"x").encoded)


def test_a_crowd_does_not_keep_a_single_client_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOLS_BYTES_MAX", 10 * SIZE)
    monkeypatch.setattr(module, "SUBMISSION_BYTES_MAX", SIZE)
    pool = Pool()
    assert all(pool.add(submission(client, seq, b"x")) for client in range(2) for seq in range(5))
    assert not pool.add(submission(0, 6, b"x"))
    assert pool.add(submission(7, 0, b"x"))
    assert not pool.add(submission(7, 1, b"x"))
    pool.discard(client_id(0), 0)
    pool.discard(client_id(0), 1)
    pool.discard(client_id(0), 1)
    assert pool.add(submission(7, 1, b"x"))
    assert not pool.add(submission(7, 2, b"x"))


def test_an_organisation_with_little_waiting_gets_in_however_full_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POOLS_BYTES_MAX", 10 * SIZE)
    monkeypatch.setattr(module, "SUBMISSION_BYTES_MAX", 3 * SIZE)
    pool = Pool()
    crowd = [pool.add(submission(client, seq, b"x"), "a") for seq in range(2) for client in range(8)]
    assert crowd == [True] * 10 + [False] * 6
    assert [pool.add(submission(100, seq, b"x"), "b") for seq in range(4)] == [True] * 3 + [False]
    assert pool.add(submission(101, 1, b"x"), "b"), "it has nothing waiting"
    assert [whose for whose, _ in pool.waiting()] == ["a", "b"]


def test_organisations_are_served_in_turn_and_then_their_clients() -> None:
    pool = Pool()
    for client in (1, 2, 3, 101, 201, 202):
        assert all(pool.add(submission(client, seq), 1 + client // 100) for seq in range(1 + (client == 1)))
    assert [pool.newest_of(turn) for turn in range(4)] == [
        (client_id(client), int(client == 1)) for client in (1, 101, 201, 2)
    ]
    order = [one.client_id[-1] for one in pool.take()]
    assert order == [1, 101, 201, 2, 202, 3, 1]
    assert (len(pool), list(pool.waiting()), pool.all()) == (0, [], ())


def test_what_is_taken_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOLS_BYTES_MAX", 4 * SIZE)
    monkeypatch.setattr(module, "SUBMISSION_BYTES_MAX", SIZE)
    pool = Pool()
    for _ in range(3):
        assert all(pool.add(submission(1, seq, b"x")) for seq in range(4))
        assert not pool.add(submission(1, 4, b"x"))
        assert len(pool.take()) == 4
        assert len(pool) == 0


def test_a_client_has_a_share_of_its_own() -> None:
    """So many submissions, so many bytes; one is always let in, however small the share."""
    pool = Pool()
    assert [pool.add(submission(1, seq, b"x"), waiting_max=2) for seq in range(3)] == [True, True, False]
    assert [pool.add(submission(2, seq, b"x"), bytes_max=2 * SIZE) for seq in range(3)] == [True, True, False]
    assert pool.add(submission(3, 0, b"x"), waiting_max=1, bytes_max=1)
    assert not pool.add(submission(3, 1, b"x"), waiting_max=1)
    assert pool.add(submission(4, 0, b"x"))


def test_the_newest_of_each_client_in_turn() -> None:
    pool = Pool()
    assert pool.newest_of(0) is None
    for client, seq in ((1, 1), (1, 2), (2, 7), (1, 5)):
        pool.add(submission(client, seq))
    newest = [(client_id(1), 5), (client_id(2), 7)]
    assert [pool.newest_of(turn) for turn in range(5)] == [newest[turn % 2] for turn in range(5)]
    pool.discard(client_id(1), 5)
    assert pool.newest_of(2) == (client_id(1), 2)
