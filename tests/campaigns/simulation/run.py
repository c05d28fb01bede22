"""Simulated alliances, many or one: ``python -m tests.campaigns.simulation.run --seeds 10000 --workers 2``.

The last line on stdout: ``sim: ok`` or ``sim: FAILED``, a hash of all traces, which is the same for the same
seeds however many workers there are, and the counts. A failure prints the command that replays it; with
``--shrink`` that of a smaller schedule that fails in the same way. With ``--figures FILE`` what is done is
kept there, block by block, and not done again.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from quorum.system import CLASSIC, LEAN
from tests.campaigns.simulation.campaign import KINDS_OF, campaign
from tests.campaigns.simulation.figures import Figures
from tests.campaigns.simulation.plan import Plan, make_plan
from tests.campaigns.simulation.shrink import Cut, shrink

BLOCK = 20
"""Seeds that one worker does at a time; the trace is a hash over blocks."""


def run_block(kind: str | None, profile: str, seeds: range) -> Figures:
    """``kind``: what the first liar is; None leaves it to the seed."""
    figures = Figures()
    for seed in seeds:
        plan, begin = make_plan(seed, kind, list(KINDS_OF[profile]), profile), time.process_time()
        try:
            world = campaign(seed, kind, plan=plan, profile=profile)
        except AssertionError as error:
            figures.failures.append(str(error))
            continue
        figures.add_seed(plan, world, time.process_time() - begin)
    return figures


def run_blocks(kind: str | None, profile: str, blocks: list[range], workers: int) -> Iterator[Figures]:
    """In the order of the blocks."""
    if workers == 1:
        yield from map(partial(run_block, kind, profile), blocks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(run_block, kind, profile), blocks)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if options.seeds == 1 or options.steps is not None or options.shrink:
        return _one(
            make_plan(options.seed, options.kind, list(KINDS_OF[options.profile]), options.profile), options
        )
    seeds = range(options.seed, options.seed + options.seeds)
    blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
    kept = _Kept(options.figures, options.kind, options.profile)
    missing = [
        block for block in blocks if block.start not in kept.done or kept.sizes[block.start] != len(block)
    ]
    with _progress() as progress:
        bar = progress.add_task("seeds", total=len(seeds), completed=len(seeds) - sum(map(len, missing)))
        for block, figures in zip(
            missing, run_blocks(options.kind, options.profile, missing, options.workers), strict=True
        ):
            kept.keep(block, figures)
            progress.advance(bar, len(block))
            for failure in figures.failures:
                progress.console.print(f"FAILED {failure}", markup=False, highlight=False, soft_wrap=True)
            if figures.failures and not options.keep_going:
                break
    total = Figures()
    for block in blocks:
        if block.start in kept.done:
            total.add(kept.done[block.start])
    return _verdict(total)


def _verdict(total: Figures) -> int:
    sys.stderr.write(total.table() + "\n")
    for failure in total.failures:
        _say(f"FAILED {failure}")
    _say(f"sim: {'FAILED' if total.failures else 'ok'} {total.line()}")
    return 1 if total.failures else 0


def _one(plan: Plan, options: Namespace) -> int:
    """One seed, step by step: whole, cut as the options say, or as small as it gets."""
    cut = Cut.nothing(plan)
    if options.steps is not None:
        liars = options.liars if options.liars is not None else cut.liars
        cut = Cut(options.steps, liars, options.words)
    if options.shrink:
        try:
            cut = shrink(plan, lambda what: sys.stderr.write(f"{what}\n"))
        except ValueError as error:
            _say(f"sim: ok {error}")
            return 0
    smaller = cut.of(plan)
    for me, kind, _ in smaller.liars:
        _say(f"member {me}: {kind}")
    for step in smaller.steps:
        _say(str(step))
    figures, begin = Figures(), time.process_time()
    try:
        world = campaign(options.seed, options.kind, plan=smaller, profile=options.profile)
        figures.add_seed(smaller, world, time.process_time() - begin)
    except AssertionError as error:
        traceback.print_exc()
        figures.failures.append(f"{error} {cut.arguments(plan) if cut != Cut.nothing(plan) else ''}".rstrip())
    return _verdict(figures)


class _Kept:
    """Figures of blocks that are done, one JSON line each, in a file if there is one."""

    def __init__(self, path: Path | None, kind: str | None, profile: str) -> None:
        self.done: dict[int, Figures] = {}
        self.sizes: dict[int, int] = {}
        self._path = path
        self._kind = kind
        self._profile = profile
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                kept = json.loads(line)
                if (kept["kind"], kept["profile"]) == (self._kind, self._profile):
                    self.done[kept["first"]] = Figures.from_json(kept["figures"])
                    self.sizes[kept["first"]] = kept["seeds"]

    def keep(self, block: range, figures: Figures) -> None:
        self.done[block.start] = figures
        self.sizes[block.start] = len(block)
        if self._path is not None:
            kept = {
                "kind": self._kind,
                "profile": self._profile,
                "first": block.start,
                "seeds": len(block),
                "figures": figures.to_json(),
            }
            with self._path.open("a") as file:
                file.write(json.dumps(kept) + "\n")


def _options(arguments: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m tests.campaigns.simulation.run")
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--kind", choices=list(KINDS_OF[LEAN]), help="what the first liar is")
    parser.add_argument("--profile", choices=list(KINDS_OF), default=CLASSIC, help="of the alliances")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--figures", type=Path, help="keep what is done in this file, and go on from it")
    parser.add_argument("--keep-going", action="store_true", help="report every failing seed")
    parser.add_argument("--shrink", action="store_true", help="make the failing schedule of --seed smaller")
    parser.add_argument("--steps", type=_numbers, help="only these steps of the plan of --seed")
    parser.add_argument("--liars", type=_numbers, help="only these of its liars")
    parser.add_argument("--words", type=int, help="no more than so many misdeeds of each")
    return parser.parse_args(arguments)


def _numbers(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(int(word) for word in text.split(","))


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
