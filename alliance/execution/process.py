"""An executor as a process: until SIGTERM or SIGINT, with one line on standard output when it listens."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from alliance.config import file as config_file
from alliance.errors import AllianceError
from alliance.execution.executor import Executor
from alliance.execution.machine import StateMachine
from alliance.keys import folder as keys
from alliance.net.process_log import LogFormat, log_to_stderr
from alliance.net.tasks import until_signal


async def serve(
    folder: str | Path,
    machine: StateMachine,
    *,
    application: str,
    passphrase: bytes,
    listen: str | None = None,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Runs the executor of the member whose folder this is, until cancelled; then saves its state.

    ``listen`` is a local host:port other than the one in alliance.toml; ``ready`` is told the address.
    Raises ConfigError, KeyFileError, ClockError, StateError, SignerError, PortTaken, StateDiverged.
    """
    executor = Executor.open(Path(folder), application, machine, passphrase)
    try:
        ready(await executor.start(passphrase, listen))
        await executor.run()
    finally:
        await executor.stop()


def run_executor(
    folder: str | Path,
    machine: StateMachine,
    *,
    application: str,
    listen: str | None = None,
    log_format: Literal["text", "json"] = "text",
) -> int:
    """``serve`` as a whole program; its exit code. The passphrase is asked for as ``alliance serve`` does.

    It logs on standard error, in UTC; as ``"json"`` each line is an object.
    """
    from alliance.keys import passphrase

    try:
        _, member = keys.member_party(config_file.load(Path(folder)), Path(folder))
        secret = passphrase.obtain(None, prompt=f"Passphrase of {member.name}")
        log_to_stderr(member.name, application, form=LogFormat(log_format))

        def ready(address: str) -> None:
            told = {"event": "ready", "member": member.name, "address": address, "pid": os.getpid()}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()

        life = serve(folder, machine, application=application, passphrase=secret, listen=listen, ready=ready)
        if asyncio.run(until_signal(life)):
            logging.getLogger("alliance.execution").info("ended")
    except AllianceError as error:
        sys.stderr.write(f"{application}: {error}\n")
        return error.exit_code
    finally:
        gc.collect()  # streams of gRPC lie in circles; left to the interpreter's end, they delay it by 2 s
    return 0
