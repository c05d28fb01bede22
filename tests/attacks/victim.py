"""A client that proposes one small command after another, and tells how long each took; a program.

It reads one JSON object: ``folder`` and ``seconds``. Its first line says that it has begun; its second holds
pairs of the moment, by the monotonic clock, and the seconds until the receipt was there (or null: none came).
"""

from __future__ import annotations

import json
import os
import sys
import time

from alliance import sync
from alliance.errors import AllianceError

TIMEOUT_SECONDS = 10.0


def main() -> int:
    job = json.load(sys.stdin)
    took: list[tuple[float, float | None]] = []
    with sync.connect(job["folder"], os.environb[b"ALLIANCE_PASSPHRASE"]) as client:
        client.propose(b"ready", timeout=60.0)
        sys.stdout.write(json.dumps({"begun": time.monotonic()}) + "\n")
        sys.stdout.flush()
        end = time.monotonic() + job["seconds"]
        while (begun := time.monotonic()) < end:
            try:
                client.propose(b"x" * 100, timeout=TIMEOUT_SECONDS)
                took.append((begun, time.monotonic() - begun))
            except AllianceError:
                took.append((begun, None))
    sys.stdout.write(json.dumps(took) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
