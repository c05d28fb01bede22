"""``lock NAME -- COMMAND``: a program that runs while a lock is held, and not for longer."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from alliance.errors import ConfigError
from examples.lock_service.client import Held, LeaseLost, LockClient

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_SECONDS = 10.0
"""From SIGTERM to SIGKILL, for a program whose lock is lost."""


def keep(held: Held, path: Path) -> None:
    """Writes the ticket for its owner's eyes only. Raises ConfigError."""
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(held.ticket.to_json())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None


async def hold(locks: LockClient) -> None:
    """Until a signal asks us to end. Raises LeaseLost."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, end.set)
    try:
        ends = [asyncio.ensure_future(end.wait()), asyncio.ensure_future(locks.lost.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in ends:
            one.cancel()
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
    if locks.lost.is_set():
        raise LeaseLost("the lease is over: others may hold the lock by now")


async def run(locks: LockClient, held: Held, command: Sequence[str]) -> int:
    """Runs a program with LOCK_NAME, LOCK_TOKEN and LOCK_TICKET (a file) in its environment; its exit code.

    It is handed our signals. If the lock is lost it is ended. Raises ConfigError if it does not start, and
    LeaseLost.
    """
    with tempfile.TemporaryDirectory(prefix="lock-") as folder:
        ticket = Path(folder) / "ticket.json"
        keep(held, ticket)
        told = {"LOCK_NAME": held.name, "LOCK_TOKEN": str(held.token), "LOCK_TICKET": str(ticket)}
        try:
            process = await asyncio.create_subprocess_exec(*command, env=os.environ | told)
        except OSError as error:
            raise ConfigError(f"{command[0]} does not run: {error.strerror or error}") from None
        return await _accompany(locks, process)


async def _accompany(locks: LockClient, process: asyncio.subprocess.Process) -> int:
    loop = asyncio.get_running_loop()

    def pass_on(number: signal.Signals) -> None:
        if process.returncode is None:
            process.send_signal(number)

    for number in ENDING:
        loop.add_signal_handler(number, pass_on, number)
    ended, lost = asyncio.ensure_future(process.wait()), asyncio.ensure_future(locks.lost.wait())
    try:
        await asyncio.wait([ended, lost], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            process.terminate()
            try:
                await asyncio.wait_for(asyncio.shield(ended), GRACE_SECONDS)
            except TimeoutError:
                process.kill()
            await ended
            raise LeaseLost("the lease was lost, and the program ended: others may hold the lock by now")
        code = await ended
        return code if code >= 0 else 128 - code  # as a shell says it of one that a signal ended
    finally:
        lost.cancel()
        for number in ENDING:
            loop.remove_signal_handler(number)
