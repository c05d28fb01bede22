"""Twins: ``python -m tests.campaigns.explorer.run_twins`` (``make twins SCENARIOS=10000 FIRST=0``).

A failure prints the command that runs this scenario alone. The last line is for scripts.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from time import process_time

from tests.campaigns.explorer.twins import FOUR, Twins, scenario, scenarios
from tests.campaigns.explorer.uncollected import uncollected
from tests.worlds.cluster import SIX

PROGRESS_SCENARIOS = 1_000


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.explorer.run_twins", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=10_000, help="so many (0: all there are)")
    parser.add_argument("--lean", action="store_true", help="of four members in profile lean, not of six")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    options = parser.parse_args(arguments)
    system = FOUR if options.lean else SIX
    count = options.scenarios or scenarios(system)
    began, twins, decided, failures = process_time(), Twins(system), 0, 0
    with uncollected():
        for number in range(options.first, options.first + count):
            try:
                decided += any(twins.run(scenario(number, system)))
            except Exception as error:
                failures += 1
                views = scenario(number, system)
                _say(
                    f"FAILED {type(error).__name__}: {error}; (leader, sides) by view: {views};"
                    f" replay: make twins SCENARIOS=1 FIRST={number}{' LEAN=1' if options.lean else ''}"
                )
                break
            done = number + 1 - options.first
            if done % PROGRESS_SCENARIOS == 0:
                sys.stderr.write(f"{done:,} scenarios" + ("   \r" if sys.stderr.isatty() else "\n"))
    seconds = process_time() - began
    done = number + 1 - options.first
    _say(
        f"twins: {'FAILED' if failures else 'ok'} scenarios={done} of={scenarios(system)} decided={decided}"
        f" failures={failures} turns={twins.turns} cpu_seconds={seconds:.1f} per_second={done / seconds:.0f}"
    )
    return 1 if failures else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
