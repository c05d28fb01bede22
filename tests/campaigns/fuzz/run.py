"""``make fuzz``: nearly valid bytes into every decoder, for so many seconds each.

One line per target on standard output: executions, and how many inputs were let through. Exits 1 when a
promise is broken (the input is printed) or when a target had fewer executions than a run must have.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.campaigns.fuzz import EXECUTIONS_MIN, NAMES
from tests.campaigns.fuzz.targets import Target, found_alliance, targets

POOL_MAX = 512
"""Inputs that were let through are mutated further; so many of them are kept."""

SHOWN_BYTES_MAX = 4096


@dataclass
class Outcome:
    executions: int = 0
    admitted: int = 0
    broken: bytes | None = None
    error: str = ""


def fuzz(target: Target, dice: Random, seconds: float, executions: int | None = None) -> Outcome:
    """Until the time is over, or after so many executions; ends with the first broken promise."""
    outcome, pool = Outcome(), list(target.corpus)
    ends = time.monotonic() + seconds
    while outcome.executions != executions:
        if executions is None and outcome.executions % 256 == 0 and time.monotonic() >= ends:
            break
        data = b""
        try:
            if outcome.executions < len(target.corpus):  # first of all what nobody has changed
                data = target.corpus[outcome.executions]
            else:
                data = target.mutate(dice, dice.choice(pool), target.corpus)
            admitted = target.run(data)
        except Exception:
            outcome.broken, outcome.error = data, traceback.format_exc()
            break
        outcome.executions += 1
        if admitted:
            outcome.admitted += 1
            if len(pool) < POOL_MAX:
                pool.append(data)
            else:
                pool[dice.randrange(len(target.corpus), POOL_MAX)] = data
    return outcome


def complaint(target: Target, outcome: Outcome, least: int = EXECUTIONS_MIN) -> str:
    """What is wrong with this outcome, or nothing."""
    if outcome.broken is not None:
        shown = outcome.broken[:SHOWN_BYTES_MAX].hex()
        return f"{target.name}: a promise is broken by {len(outcome.broken)} bytes: {shown}\n{outcome.error}"
    if outcome.executions < least:
        return (
            f"{target.name}: {outcome.executions} executions, of {least} at the least: give it more SECONDS"
        )
    return ""


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.fuzz.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=NAMES, help="this one alone")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        every = targets(*found_alliance(Path(folder) / "alliance"))
        chosen = [target for target in every if options.target in (None, target.name)]
        failed = False
        for target in chosen:
            outcome = fuzz(target, Random(f"{options.seed} {target.name}"), options.seconds)
            wrong = complaint(target, outcome)
            _say(f"{target.name}: executions={outcome.executions} admitted={outcome.admitted}")
            if wrong:
                failed = True
                sys.stderr.write(f"FAILED {wrong}\n")
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
