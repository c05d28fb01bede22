"""Many seeds: ``python -m tests.simulation.run --seeds 10000 --seed 1`` (or ``SEEDS=10000``).

A failure prints the command that replays it. The last line: how many ran, how many failed, and a hash of
all traces, which is the same for the same seeds.
"""

from __future__ import annotations

import sys
import traceback
from argparse import ArgumentParser
from collections import Counter
from hashlib import sha256

from tests.simulation.adversaries import KINDS
from tests.simulation.campaign import campaign


def main(arguments: list[str]) -> int:
    spelled = [f"--seeds={word[6:]}" if word.startswith("SEEDS=") else word for word in arguments]
    parser = ArgumentParser(prog="python -m tests.simulation.run")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=list(KINDS))
    parser.add_argument("--keep-going", action="store_true", help="report every failing seed")
    options = parser.parse_args(spelled)
    traces, failures, counts = sha256(), 0, Counter[str]()
    for seed in range(options.seed, options.seed + options.seeds):
        try:
            world = campaign(seed, options.kind, traced=True)
        except AssertionError as error:
            failures += 1
            _say(f"FAILED {error}")
            if options.seeds == 1:
                traceback.print_exc()
            if not options.keep_going:
                break
            continue
        traces.update(world.trace().encode())
        counts["decided"] += max(len(member.decided()) for member in world.honest)
        counts["views"] += max(member.engine.view for member in world.honest)
        counts["blames"] += sum(len(member.blames) for member in world.honest)
    told = " ".join(f"{name}={count}" for name, count in sorted(counts.items()))
    _say(f"seeds={options.seeds} failures={failures} {told} trace={traces.hexdigest()[:16]}")
    return 1 if failures else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
