"""How fast a listener takes in what it has missed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import aclosing

import alliance
from benchmarks.launch import die_with_parent
from benchmarks.processes import Child, python
from benchmarks.report import Row
from benchmarks.servers import Servers
from benchmarks.targets import PASSPHRASE
from benchmarks.usage import cpu_seconds

SECTION = "A new listener reads the whole log"
READ_SECONDS = 180.0


def catch_up(servers: Servers, seconds: float) -> Row:
    """A process of its own listens from slot 1 on to what is certified, for so many seconds at most."""
    environment = {"ALLIANCE_PASSPHRASE": PASSPHRASE}
    folder = servers.folder / "clients" / "client-1"
    before = servers.used()
    child = Child("listener", python("benchmarks.listening", str(folder), str(seconds)), environment)
    try:
        result = json.loads(child.line(READ_SECONDS))
    finally:
        child.kill()
    usage = servers.used().since(before)
    commands = max(1, result["commands"])
    figures = {
        "commands": result["commands"],
        "slots": result["slots"],
        "commands_per_second": result["commands"] / result["seconds"],
        "listener_us": 1e6 * result["cpu_seconds"] / commands,
        "servers_us": 1e6 * usage.cpu_seconds / commands,
    }
    return Row(SECTION, f"{len(servers.names)} members", figures)


async def _listen(folder: str, seconds: float) -> dict[str, float]:
    commands = slot = 0
    me = os.getpid()
    async with await alliance.connect(folder, os.environb[b"ALLIANCE_PASSPHRASE"]) as client:
        begin, cpu = time.monotonic(), cpu_seconds(me)
        async with aclosing(client.listen(start=1, follow=False)) as entries:
            async for entry in entries:
                commands += 1
                slot = entry.slot
                if not commands % 1024 and time.monotonic() > begin + seconds:
                    break
        taken, cpu = time.monotonic() - begin, cpu_seconds(me) - cpu
    return {"commands": commands, "slots": slot, "seconds": taken, "cpu_seconds": cpu}


def main() -> None:
    die_with_parent()
    sys.stdout.write(json.dumps(asyncio.run(_listen(sys.argv[1], float(sys.argv[2])))) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
