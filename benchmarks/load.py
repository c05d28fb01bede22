"""One load process: ``python -m benchmarks.load``, its job as a line of JSON on standard input.

It opens its connections, prints ``ready``, reads the moment to start (``time.monotonic``, which all processes
of a machine share) and prints what it measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from benchmarks.generator import Job, Run
from benchmarks.launch import die_with_parent
from benchmarks.targets import open_connections


async def _run(job: Job) -> None:
    loop = asyncio.get_running_loop()
    connections = await open_connections(job)
    _say("ready")
    start = float(await loop.run_in_executor(None, sys.stdin.readline))
    _say(json.dumps(await Run(job, connections).go(start)))
    os._exit(0)  # hundreds of connections take seconds to be closed, and nobody waits for that


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    die_with_parent()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    asyncio.run(_run(Job(**json.loads(sys.stdin.readline()))))


if __name__ == "__main__":
    main()
