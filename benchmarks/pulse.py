"""A client in a process of its own that proposes a command every 20 ms: ``python -m benchmarks.pulse DIR``.

For each command that got its receipt it prints when it was to be sent and when the receipt was there
(``time.monotonic``, which all processes of a machine share).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import alliance
from alliance.client import Client
from benchmarks.launch import die_with_parent

INTERVAL_SECONDS = 0.02


async def _beat(folder: str) -> None:
    async with await alliance.connect(folder, os.environb[b"ALLIANCE_PASSPHRASE"]) as client:
        begin = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        number = 0
        while True:
            intended = begin + number * INTERVAL_SECONDS
            await asyncio.sleep(max(0.0, intended - time.monotonic()))
            task = asyncio.create_task(_one(client, intended))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1


async def _one(client: Client, intended: float) -> None:
    try:
        await client.propose(b"%020.6f" % intended)
    except alliance.AllianceError:
        return
    sys.stdout.write(f"{intended!r} {time.monotonic()!r}\n")
    sys.stdout.flush()


def main() -> None:
    die_with_parent()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    asyncio.run(_beat(sys.argv[1]))


if __name__ == "__main__":
    main()
