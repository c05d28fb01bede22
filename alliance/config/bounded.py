"""Files of which no more is read than can be right.

``file.read(limit)`` takes memory for the whole limit before it reads a byte, and what it does not need it
gives back with holes: a server that read small files under bounds of many megabytes grew with every epoch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

PIECE_BYTES = 64 * 1024


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_at_most(file: _Readable, limit: int) -> bytes:
    """The next bytes of ``file``, to its end or to ``limit``; memory is taken for what there is.

    Whoever must tell a file of ``limit`` bytes from a larger one asks for one byte more. Raises OSError.
    """
    pieces: list[bytes] = []
    while limit > 0 and (piece := file.read(min(limit, PIECE_BYTES))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def read_file(path: Path, limit: int) -> bytes:
    """The first ``limit`` bytes of the file. Raises OSError."""
    with path.open("rb") as file:
        return read_at_most(file, limit)
