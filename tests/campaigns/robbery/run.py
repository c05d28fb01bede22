"""``make robbery``: a thousand damages on killed members; none of them votes on less than it had said.

One line for each kind of damage on standard output. Exits 1 when a member voted from a journal that says
less than the one that it left; the case is printed and comes again by its number.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from tests.alliance.farm import Chain, Farm
from tests.campaigns.fuzz.targets import found_alliance
from tests.campaigns.robbery.crimes import CRIMES
from tests.campaigns.robbery.scene import FOLLOWER, HARMLESS, LEADER, REFUSED, SHAPES, STOPPED, WRONG, Scene

COLUMNS = (REFUSED, STOPPED, HARMLESS, WRONG)


@dataclass
class Figures:
    """How often each crime came to what, and the cases in which a member voted that must not have."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, crime: str, verdict: str, case: str) -> None:
        column = WRONG if verdict.startswith(WRONG) else verdict
        self.counts[crime, column] += 1
        if column == WRONG:
            self.wrong.append(f"{case}: {verdict}")

    def table(self) -> Iterable[str]:
        yield f"{'':34}" + "".join(f"{column:>13}" for column in COLUMNS)
        for crime in sorted({crime for crime, _ in self.counts}, key=list(CRIMES).index):
            yield f"{crime:34}" + "".join(f"{self.counts[crime, column]:13}" for column in COLUMNS)
        totals = (sum(self.counts[crime, column] for crime in CRIMES) for column in COLUMNS)
        yield f"{'all':34}" + "".join(f"{total:13}" for total in totals)


def robbery(farm: Farm, chain: Chain, folder: Path, first: int, cases: int) -> Figures:
    """So many cases, from number ``first``: each is a function of its number."""
    figures = Figures()
    crimes, shapes = list(CRIMES), list(SHAPES)
    numbers = range(first, first + cases)
    for at, shape in enumerate(shapes):
        mine = [number for number in numbers if number % len(shapes) == at]
        if not mine:
            continue
        scene = Scene(farm, chain, folder / shape, SHAPES[shape])
        with scene.others() as others:
            for number in mine:
                dice = Random(f"robbery {number}")
                crime = crimes[number // len(shapes) % len(crimes)]
                me, power = dice.choice((LEADER, FOLLOWER)), dice.random() < 0.5
                left = scene.left[me]
                files = replace(left.files, mark=left.synced) if power else left.files
                robbed = CRIMES[crime](left, files, dice)
                verdict = asyncio.run(scene.judge(me, robbed, others, dice))
                how = "after lost power" if power else "after a kill"
                figures.note(crime, verdict, f"case {number} (member {me + 1}, {shape}, {how}, {crime})")
    return figures


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="make robbery", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        farm, _ = found_alliance(Path(folder) / "farm")
        chain = Chain(farm).grow(20, size=2)
        figures = robbery(farm, chain, Path(folder), options.first, options.cases)
    sys.stdout.write("".join(f"{line}\n" for line in (*figures.table(), *figures.wrong)))
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
