"""How views began, as the journal keeps it for the Reports of profile lean."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from alliance.storage.journal_openings import pack_openings, unpack_openings
from fab_paxos.messages import Progress
from quorum import AcceptedStatement, ProgressStatement, QuorumCertificate, SuspectStatement

BASE = QuorumCertificate(0, AcceptedStatement(1, 5, b"r" * 32), b"signature")


def opening(view: int, base: QuorumCertificate | None, *vector: bytes) -> Progress:
    progress = Progress(view, b"d" * 32, base, vector, BASE)
    statement = ProgressStatement(view, progress.digest)
    return replace(progress, certificate=QuorumCertificate(0, statement, b"joint"))


ONE, TWO = opening(3, None), opening(7, BASE, b"a" * 32, b"b" * 32)


@pytest.mark.parametrize("kept", [(), (ONE,), (ONE, TWO), (TWO, ONE)])
def test_they_come_back_as_they_were(kept: tuple[Progress, ...]) -> None:
    assert unpack_openings(pack_openings(kept)) == kept
    assert unpack_openings(None) == ()


def test_a_changed_byte_is_not_read_as_another_opening() -> None:
    """At most as one with another signature or epoch; the seal of the note covers those."""
    packed = pack_openings((ONE, TWO))
    unread = 0
    for place in range(len(packed)):
        changed = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
        try:
            read = unpack_openings(changed)
        except (ValueError, struct.error):
            unread += 1
        else:
            assert [(one.view, one.digest, one.vector) for one in read] == [
                (one.view, one.digest, one.vector) for one in (ONE, TWO)
            ]
    assert unread > len(packed) / 2


@pytest.mark.parametrize("length", [1, 40, -1, -20])
def test_one_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises((ValueError, struct.error)):
        unpack_openings(pack_openings((ONE, TWO))[:length])


def test_a_base_or_certificate_of_another_kind_is_refused() -> None:
    other = QuorumCertificate(0, SuspectStatement(3), b"signature")
    with pytest.raises(ValueError, match="not the certified one"):
        unpack_openings(pack_openings((replace(ONE, certificate=other),)))
    with pytest.raises(ValueError, match="not a decision certificate"):
        unpack_openings(pack_openings((replace(TWO, base=other),)))
