"""A membership as others read it: all of it, and nothing but what its digest covers."""

from __future__ import annotations

import pytest

from consensus.control.encoding import MalformedControl
from consensus.control.published import Published
from consensus.control.rows import ClientLimits
from tests.consensus.alliance import Log, add_client, client_id
from verifiable_log.limits import POOL_BYTES_MAX


def test_what_is_published_is_read_as_it_was() -> None:
    log = Log()
    first = Published.of(log.state)
    assert Published.read(first.config, first.clients) == first
    assert log.edit("org-a", add_client("newcomer", "org-a")) == ""
    log.to(log.state.effective or 0)
    published = Published.of(log.state)
    assert published.digest == log.state.config_digest
    again = Published.read(published.config, published.clients)
    assert again == published
    assert (again.alliance_id, again.epoch, again.revision) == (log.state.alliance_id, 0, 1)
    assert again.directory.clients[client_id("newcomer")].limits == ClientLimits(waiting_bytes=POOL_BYTES_MAX)
    assert again.directory.members == log.state.directory.members


def test_a_client_is_published_when_it_is_admitted_and_not_when_it_is_decided() -> None:
    log = Log()
    assert log.edit("org-a", add_client("newcomer", "org-a")) == ""
    before = Published.of(log.state)
    assert (before.revision, client_id("newcomer") in before.directory.clients) == (0, False)
    log.to(log.state.effective or 0)
    after = Published.of(log.state)
    assert (after.revision, client_id("newcomer") in after.directory.clients) == (1, True)


def test_whatever_is_cut_or_altered_is_refused_or_another_one() -> None:
    published = Published.of(Log().state)
    for end in range(len(published.config)):
        with pytest.raises(MalformedControl):
            Published.read(published.config[:end], published.clients)
    with pytest.raises(MalformedControl):
        Published.read(published.config + b"\0", published.clients)
    for at in range(0, len(published.clients), 7):
        spoilt = bytearray(published.clients)
        spoilt[at] ^= 1
        with pytest.raises(MalformedControl, match="not the clients"):
            Published.read(published.config, bytes(spoilt))
    for at in range(len(published.config)):
        altered = bytearray(published.config)
        altered[at] ^= 1
        try:
            other = Published.read(bytes(altered), published.clients)
        except MalformedControl:
            continue
        assert other.digest != published.digest
