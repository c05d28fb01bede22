"""The pool: per client and over all clients bounded, and fair to the one that has nothing waiting."""

from __future__ import annotations

import pytest

from tests.worlds.cluster import client_id, submission
from verifiable_log import client_pool as module
from verifiable_log.client_pool import Pool

SIZE = len(submission(1, 1, b"x").encoded)


def test_a_crowd_does_not_keep_a_single_client_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOLS_BYTES_MAX", 10 * SIZE)
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


def test_what_is_taken_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOLS_BYTES_MAX", 4 * SIZE)
    pool = Pool()
    for _ in range(3):
        assert all(pool.add(submission(1, seq, b"x")) for seq in range(4))
        assert not pool.add(submission(1, 4, b"x"))
        assert len(pool.take()) == 4
        assert len(pool) == 0
