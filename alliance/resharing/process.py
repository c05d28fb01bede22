"""The process that works while keys are handed on: it does one task, and ends.

Judging takes seconds, and dealing and receiving need what the process that talks to the world never holds.
The task, with the passphrase, comes over the inherited socket, and the answer goes back over it; each with
its length as u32 before it, the answer after a status u8. The folder is its only argument.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from alliance.errors import AllianceError, KeyFileError, SignerError
from alliance.keys.passphrase import keep_out_of_core_files
from alliance.resharing.work import Answer, Task, work

FRAME_BYTES_MAX = 96 * 1024 * 1024
"""255 dealings of 256 KiB, as long as liars make theirs, and public keys."""
NICENESS = 5
"""Nobody waits for it but the change: the members' agreement goes on beside it."""
_OK, _REFUSED = 0, 1


async def perform(folder: Path, task: Task) -> Answer:
    """Has the task done by a process of its own.

    Raises KeyFileError, which says why it cannot be done, and SignerError when the process ends without an
    answer. Cancelling it ends the process; what it has begun is done again by the next one.
    """
    process, ours = _spawn(folder)
    try:
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            return await _ask(reader, writer, task)
        finally:
            writer.close()
    finally:
        process.kill()
        process.wait()


def _spawn(folder: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process, and our end of the channel to it. Raises SignerError."""
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "alliance.resharing.process", str(folder), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        ours.close()
        raise SignerError(f"the process that hands keys on does not start: {error}") from None
    finally:
        theirs.close()
    return process, ours


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: Task) -> Answer:
    encoded = task.encode()
    try:
        writer.write(struct.pack(">I", len(encoded)) + encoded)
        await writer.drain()
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        body = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        raise SignerError("the process that hands keys on has ended: see its message above") from None
    if body[0] != _OK:
        raise KeyFileError(body[1:].decode("utf-8", "replace"))
    return Answer.decode(body[1:])


# -- the process -------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    keep_out_of_core_files()
    # A terminal interrupts all processes; this one ends when its server wants it to, or has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    folder = Path(arguments[0])
    with socket.socket(fileno=int(arguments[1])) as channel:
        request = _receive(channel)
        if request is None:
            return 1
        try:
            status, body = _OK, work(folder, Task.decode(request)).encode()
        except AllianceError as error:
            status, body = _REFUSED, str(error).encode()
        except OSError as error:
            text = f"{folder} cannot be written: {error.strerror}; check its owner and space"
            status, body = _REFUSED, text.encode()
        with suppress(ConnectionError):
            channel.sendall(struct.pack(">IB", 1 + len(body), status) + body)
    return 0


def _receive(channel: socket.socket) -> bytes | None:
    """The request; None when the server has ended."""
    head = _exactly(channel, 4)
    if head is None:
        return None
    (length,) = struct.unpack(">I", head)
    return _exactly(channel, length) if 0 < length <= FRAME_BYTES_MAX else None


def _exactly(channel: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        try:
            part = channel.recv(min(count - len(data), 1 << 20))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
