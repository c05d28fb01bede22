"""Profile lean: how the views began whose entries a member may still have to report, as the journal keeps it.

One note, ``openings``, that each ProgressRecord replaces. A member that lost it could not prove its Reports.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from fab_paxos.messages import Progress
from quorum import AcceptedStatement, ProgressStatement, QuorumCertificate

OPENINGS = "openings"
"""The key of the note."""
_HEAD = struct.Struct(">Q32sIII")
_DIGEST_BYTES = 32


def pack_openings(openings: Iterable[Progress]) -> bytes:
    """``(view u64 | reports_digest[32] | three lengths u32 | base | vector | certificate)*``.

    The lengths are those of base certificate (0: none), vector and progress certificate, in bytes.
    """
    parts = []
    for opening in openings:
        base = opening.base.encode() if opening.base is not None else b""
        vector, certificate = b"".join(opening.vector), opening.certificate.encode()
        lengths = (len(base), len(vector), len(certificate))
        parts += [_HEAD.pack(opening.view, opening.reports_digest, *lengths), base, vector, certificate]
    return b"".join(parts)


def unpack_openings(packed: bytes | None) -> tuple[Progress, ...]:
    """Raises ValueError or struct.error, also when a certificate is not that of its NewView."""
    return tuple(_unpack(packed)) if packed is not None else ()


def _unpack(packed: bytes) -> Iterator[Progress]:
    place = 0
    while place < len(packed):
        view, reports_digest, *lengths = _HEAD.unpack_from(packed, place)
        place += _HEAD.size
        parts = []
        for length in lengths:
            parts.append(packed[place : place + length])
            place += length
        if place > len(packed) or len(parts[1]) % _DIGEST_BYTES:
            raise ValueError("an opening is cut short")
        base = QuorumCertificate.decode(parts[0]) if parts[0] else None
        if base is not None and not isinstance(base.statement, AcceptedStatement):
            raise ValueError("the base of an opening is not a decision certificate")
        vector = tuple(parts[1][at : at + _DIGEST_BYTES] for at in range(0, len(parts[1]), _DIGEST_BYTES))
        opening = Progress(view, reports_digest, base, vector, QuorumCertificate.decode(parts[2]))
        if opening.certificate.statement != ProgressStatement(view, opening.digest):
            raise ValueError(f"the opening of view {view} is not the certified one")
        yield opening
