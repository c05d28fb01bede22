"""``python -m benchmarks``: run, peers, soak, scale, checkpoints, change, profile."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# gRPC's core otherwise writes its own lines to stderr; it reads this when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from benchmarks import changes, checkpoints, plot, profiling, scaling, soak, verdict
from benchmarks.plan import FULL, SMOKE, Plan
from benchmarks.processes import BenchmarkFailed
from benchmarks.report import Report, conditions
from benchmarks.suite import NAMES, Suite

_EXAMPLES = """examples:
  python -m benchmarks run                      the default set, under five minutes on idle cores
  python -m benchmarks run --only small,leader  some scenarios
  python -m benchmarks run --full               longer windows, 20 kills, 10,000 slots
  python -m benchmarks peers -o json            beside etcd, ZooKeeper and PySyncObj
  python -m benchmarks soak --minutes 60        memory under full load
  python -m benchmarks scale                    the tables of docs/development/scaling.md
  python -m benchmarks checkpoints              turns of one member around a checkpoint of busy clients
  python -m benchmarks change                   a full and a light change, and a revision, under load
exit codes: 0 all was measured; 1 something did not start or gave no answer, and is named; 2 wrong usage"""


class _Bar:
    """A line on standard error: how far, and what now. Without a terminal, a line per step."""

    def __init__(self) -> None:
        self.steps = 1
        self._done = 0
        self._begin = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __call__(self, what: str) -> None:
        filled = min(20, 20 * self._done // max(1, self.steps))
        bar = "#" * filled + "." * (20 - filled)
        line = f"[{bar}] {time.monotonic() - self._begin:4.0f} s  {what}"
        sys.stderr.write(f"\r\x1b[K{line[:100]}" if self._terminal else f"{line}\n")
        sys.stderr.flush()
        self._done += 1

    def end(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except BenchmarkFailed as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("bench: interrupted\n")
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="run|peers|soak|scale|checkpoints|change|profile")
    for name, function, about in (
        ("run", _run, "measure the product and its ceiling"),
        ("peers", _peers, "measure the product beside etcd, ZooKeeper and PySyncObj"),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(run=function)
        command.add_argument("-o", "--output", choices=("text", "json"), default="text", help="on stdout")
        command.add_argument(
            "--to",
            type=Path,
            default=Path(__file__).parent / "results",
            help="folder for the JSON and the PNG",
        )
        size = command.add_mutually_exclusive_group()
        size.add_argument("--full", action="store_true", help="longer windows, 20 kills, all 10,000 slots")
        size.add_argument("--smoke", action="store_true", help="everything once and briefly: no figures")
        if name == "run":
            command.add_argument("--only", type=_names, default=(), help=f"of {','.join(NAMES)}")
            command.add_argument("--peers", action="store_true", help="and the peers in the same run")
    scale = commands.add_parser("scale", help="how costs grow with the members, in a simulated network")
    scale.set_defaults(run=_scale)
    scale.add_argument("-o", "--output", choices=("text", "json"), default="text", help="on stdout")
    about = "what a checkpoint of busy clients does to a member's turns"
    busy = commands.add_parser("checkpoints", help=about, description=about)
    busy.set_defaults(run=_checkpoints)
    busy.add_argument("-o", "--output", choices=("text", "json"), default="text", help="on stdout")
    about = "what changes of members cost while a client proposes all the time"
    change = commands.add_parser("change", help=about, description=about)
    change.set_defaults(run=_change)
    change.add_argument("-o", "--output", choices=("text", "json"), default="text", help="on stdout")
    long = commands.add_parser("soak", help="memory under full load, for as long as one likes")
    long.set_defaults(run=_soak)
    long.add_argument("-o", "--output", choices=("text", "json"), default="text", help="on stdout")
    long.add_argument("--minutes", type=float, default=60.0, help="of load (default 60)")
    profile = commands.add_parser("profile", help="where the time of servers and clients goes (py-spy)")
    profile.set_defaults(run=_profile)
    profile.add_argument("load", choices=profiling.LOADS, help="the kind of load")
    profile.add_argument("--seconds", type=float, default=15.0, help="of load (default 15)")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no scenario {unknown[0]!r}; there are {', '.join(NAMES)}")
    return names


def _plan(options: argparse.Namespace) -> Plan:
    return FULL if options.full else SMOKE if options.smoke else Plan()


def _run(options: argparse.Namespace) -> int:
    report = Report(conditions=conditions())
    plan = _plan(options)
    if options.peers:
        return _with_peers(options, report, plan, options.only)
    bar = _Bar()
    suite = Suite(plan, report, bar, options.only)
    bar.steps = suite.steps()
    suite.run()
    bar.end()
    _show(report, options, "bench")
    return 0


def _peers(options: argparse.Namespace) -> int:
    return _with_peers(
        options,
        Report(conditions=conditions()),
        _plan(options),
        ("latency", "locks", "broadcast", "batches", "small", "ceiling"),
    )


def _with_peers(options: argparse.Namespace, report: Report, plan: Plan, only: Sequence[str]) -> int:
    from benchmarks.peers import race

    bar = _Bar()
    suite = Suite(plan, report, bar, only)
    bar.steps = suite.steps() + race.STEPS
    suite.run()
    missing = race.run(plan, report, bar)
    bar.end()
    _show(report, options, "bench-peers")
    for line in missing:
        sys.stderr.write(f"bench: {line}\n")
    return 0


def _soak(options: argparse.Namespace) -> int:
    report = Report(conditions=conditions())
    bar = _Bar()
    bar.steps = soak.steps(60.0 * options.minutes)
    soak.run(60.0 * options.minutes, report, bar)
    bar.end()
    sys.stdout.write((report.to_json() if options.output == "json" else report.text()) + "\n")
    return 0


def _scale(options: argparse.Namespace) -> int:
    bar = _Bar()
    bar.steps = scaling.STEPS
    tables = scaling.run(options.output, bar)
    bar.end()
    sys.stdout.write(f"{tables}\n")
    return 0


def _checkpoints(options: argparse.Namespace) -> int:
    report = Report(conditions=conditions())
    bar = _Bar()
    bar.steps = 2 * len(checkpoints.CLIENTS)
    checkpoints.run(report, bar)
    bar.end()
    sys.stdout.write((report.to_json() if options.output == "json" else report.text()) + "\n")
    return 0


def _change(options: argparse.Namespace) -> int:
    report = Report(conditions=conditions())
    bar = _Bar()
    bar.steps = 1 + len(changes.STEPS)
    changes.run(report, bar)
    bar.end()
    sys.stdout.write((report.to_json() if options.output == "json" else report.text()) + "\n")
    return 0


def _profile(options: argparse.Namespace) -> int:
    bar = _Bar()
    bar.steps = 2
    tables = profiling.run(options.load, options.seconds, bar)
    bar.end()
    sys.stdout.write(f"{tables}\n")
    return 0


def _show(report: Report, options: argparse.Namespace, name: str) -> None:
    """Tables or JSON on standard output, both files in the folder."""
    options.to.mkdir(parents=True, exist_ok=True)
    (options.to / f"{name}.json").write_text(report.to_json() + "\n", "utf-8")
    if options.output == "json":
        sys.stdout.write(report.to_json() + "\n")
    else:
        told = ", ".join(f"{key} {value}" for key, value in report.conditions.items())
        sys.stdout.write(f"{told}\n\n{report.text()}\n\n{verdict.text(report)}\n")
    if not plot.write(report, options.to / f"{name}.png"):
        sys.stderr.write("bench: no picture without matplotlib: pip install 'alliance[bench]'\n")
    sys.stderr.write(f"bench: figures are in {options.to}/{name}.json and .png\n")


if __name__ == "__main__":
    sys.exit(main())
