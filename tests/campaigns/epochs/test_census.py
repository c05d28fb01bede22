"""What ``make lasting`` counts by: what grows is told, and nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace
from pathlib import Path

from tests.campaigns.epochs.census import Census, Folder

SOCKETS = 1000


class Term:
    """Of a name that each epoch has once."""


def test_what_a_process_keeps_is_found() -> None:
    async def scenario() -> None:
        earlier = Census.take()
        assert Census.take().growth(earlier, 0.05, SOCKETS) == []
        kept = Term()
        assert Census.take().growth(earlier, 0.05, SOCKETS) == [
            f"Term: {earlier.kinds['Term']}, then {earlier.kinds['Term'] + 1}"
        ]
        del kept
        pipe = os.pipe()
        assert Census.take().descriptors == earlier.descriptors + len(pipe)
        for end in pipe:
            os.close(end)
        with socket.socket():
            more = Census.take()
        assert (more.descriptors, more.sockets) == (earlier.descriptors, earlier.sockets + 1)
        assert more.growth(earlier, 0.05, earlier.sockets) == [
            f"sockets: {earlier.sockets}, then {more.sockets}, and {earlier.sockets} at most"
        ]
        waiting = asyncio.create_task(asyncio.Event().wait())
        assert Census.take().growth(earlier, 0.05, SOCKETS) == ["tasks: 1, then 2"]
        waiting.cancel()
        more = replace(earlier, resident=earlier.resident * 2)
        assert more.swelling(earlier, 0.05) == [f"bytes: {earlier.resident:,}, then {more.resident:,}"]

    asyncio.run(scenario())


def test_what_a_folder_keeps_is_found(tmp_path: Path) -> None:
    (tmp_path / "epochs").mkdir()
    for name in ("epochs/1.toml", "journal.sqlite", "share-1.0-agreement.pem", f"receiver-{'a' * 64}.pem"):
        (tmp_path / name).write_bytes(bytes(100))
    earlier = Folder.of(tmp_path)
    assert (earlier.epochs, earlier.log) == (100, 100)
    (tmp_path / "share-1.0-agreement.pem").rename(tmp_path / "share-2.0-agreement.pem")
    for name in ("epochs/2.toml", "journal.sqlite-wal"):
        (tmp_path / name).write_bytes(bytes(100))
    assert Folder.of(tmp_path).growth(earlier, 0.05) == []
    for name in (f"receiver-{'b' * 64}.pem", "new.tmp"):
        (tmp_path / name).write_bytes(bytes(100))
    assert Folder.of(tmp_path).growth(earlier, 0.05) == [
        "new.tmp: 0 bytes, then 100",
        "receiver-*.pem: 100 bytes, then 200",
    ]
