"""``python -m tests.attacks``: list, NAME, all."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.attacks import member_flood
from tests.attacks.measure import ATTACKS, Measured, measure

Run = Callable[[Path, float], Measured]
RUNS: dict[str, tuple[str, Run]] = {
    attack.name: (attack.about, partial(measure, attack)) for attack in ATTACKS.values()
} | {"flood": (member_flood.ABOUT, member_flood.member_flood)}

_HEAD = f"{'attack':<11} {'RSS, MiB: before':>16} {'peak':>6} {'p50, ms: quiet':>15} {'attacked':>9}  verdict"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.attacks",
        description="Attacks on real servers, and what they cost others.",
        epilog="exit codes: 0 all stayed under their bars, 1 some did not, 2 wrong usage",
    )
    parser.add_argument("name", choices=["list", "all", *RUNS], metavar="list|all|NAME")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each goes on")
    parser.add_argument("-o", dest="output", choices=["text", "json"], default="text")
    options = parser.parse_args()
    if options.name == "list":
        for name, (about, _) in RUNS.items():
            sys.stdout.write(f"{name:<11} {about}\n")
        return 0
    results = []
    if options.output == "text":
        sys.stdout.write(_HEAD + "\n")
    for name in RUNS if options.name == "all" else [options.name]:
        _, run = RUNS[name]
        with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
            results.append(run(Path(folder), options.seconds))
        if options.output == "text":
            sys.stdout.write(_line(name, results[-1]) + "\n")
        else:
            sys.stdout.write(json.dumps(results[-1].to_dict()) + "\n")
        sys.stdout.flush()
    bad = [result.name for result in results if result.problems]
    if options.output == "text":
        sys.stdout.write(f"{len(results) - len(bad)} of {len(results)} were withstood\n")
    return 1 if bad else 0


def _line(name: str, got: Measured) -> str:
    verdict = "; ".join(got.problems) or "ok"
    return (
        f"{name:<11} {got.before_mib:>16} {got.peak_mib:>6} {got.quiet_ms:>15.1f}"
        f" {got.attacked_ms:>9.1f}  {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
