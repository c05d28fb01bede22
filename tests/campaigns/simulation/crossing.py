"""From one epoch to the next in the middle of trouble: ``python -m tests.campaigns.simulation.crossing``.

``stages`` says what happens, ``crossing_plan`` what a seed stands for. Windows are small, so that epochs end
soon. A failure prints the command that replays it. With ``--figures FILE`` what is done is kept there, block
by block, and not done again.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.campaigns.simulation.crossing_figures import CrossingFigures, Kept
from tests.campaigns.simulation.crossing_plan import CrossingPlan
from tests.campaigns.simulation.stages import Crossing

BLOCK = 20


def cross(seed: int, kind: str | None = None, *, new_keys: bool = False) -> Crossing:
    """A run with all its checks. An error of any kind says how to replay it."""
    crossing = Crossing(CrossingPlan(seed, kind, new_keys))
    try:
        crossing.run()
    except Exception as error:
        which = f" --kind '{kind}'" if kind is not None else ""
        which += " --new-keys" if new_keys else ""
        replay = f"python -m tests.campaigns.simulation.crossing --seed {seed} --seeds 1{which}"
        raise AssertionError(f"{type(error).__name__}: {error}; replay: {replay}") from error
    return crossing


def run_block(kind: str | None, new_keys: bool, seeds: range) -> CrossingFigures:
    figures = CrossingFigures()
    for seed in seeds:
        try:
            figures.add_crossing(cross(seed, kind, new_keys=new_keys))
        except AssertionError as error:
            figures.failures.append(str(error))
    return figures


def _run_blocks(
    run: Callable[[range], CrossingFigures], blocks: list[range], workers: int
) -> Iterator[CrossingFigures]:
    """In the order of the blocks."""
    if workers == 1:
        yield from map(run, blocks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(run, blocks)


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.simulation.crossing")
    parser.add_argument("--seeds", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--kind", help="what the first liar of the first epoch is")
    parser.add_argument("--new-keys", action="store_true", help="epochs that begin with other keys")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--figures", type=Path, help="keep what is done in this file, and go on from it")
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.seeds)
    blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
    kept = Kept(options.figures, options.kind, new_keys=options.new_keys)
    run = partial(run_block, options.kind, options.new_keys)
    missing = [block for block in blocks if not kept.has(block)]
    for block, figures in zip(missing, _run_blocks(run, missing, options.workers), strict=True):
        kept.keep(block, figures)
        for failure in figures.failures:
            _say(f"FAILED {failure}")
    total = kept.total(blocks)
    _say(f"crossings: {'FAILED' if total.failures else 'ok'} {total.line()}")
    return 1 if total.failures else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
