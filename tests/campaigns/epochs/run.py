"""``make epochs``: real servers go from epoch to epoch while they are killed and paused, by seed.

In each run one member is replaced, all shares are refreshed, one member is suspended and reinstated, in
an order and with kills and pauses that follow from the seed (``plan``), while a client proposes all the time.
One line for each run on standard output. Exits 1 when a run has failed, and tells where its logs are.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is imported

from alliance.client.client import connect
from alliance.keys import shares
from tests.campaigns.epochs import judge
from tests.campaigns.epochs.plan import Kind, Step, plan
from tests.campaigns.epochs.pulse import Pulse
from tests.campaigns.epochs.town import NO_LONGER_MEMBER, Disorder, Town, approvals
from tests.worlds.council import Council
from tests.worlds.processes import PASSPHRASE, ServerProcess
from tests.worlds.require import require

SECRET = PASSPHRASE.encode()
STEP_SECONDS = 400.0
ATTEMPTS = 3
TOLD_SECONDS = 120.0


@dataclass
class Figures:
    """Of one run. ``took`` are the seconds of each step, from its approval until its epoch has begun."""

    took: list[tuple[Kind, float]] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        steps = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in self.took)
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        return f"{steps}; longest gap {max(self.gaps):.1f} s; {counts}"


class Run:
    """One seed. ``play`` raises AssertionError, or what the product raises, when anything is wrong."""

    def __init__(self, town: Town, steps: tuple[Step, ...]) -> None:
        self._town, self._steps = town, steps
        self.figures = Figures()

    async def play(self) -> Figures:
        town, pulse = self._town, Pulse()
        for server in [town.start(name) for name in town.homes]:
            server.await_ready()
        working = asyncio.create_task(pulse.run(town.client_folder("client-1"), SECRET))
        async with Council(town.folder, town.client_folder("client-2"), SECRET) as council:
            for step in self._steps:
                taking = asyncio.create_task(self._take(step, council, pulse))
                await asyncio.wait({taking, working}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    taking.cancel()
                    working.result()
                await taking
            pulse.over = True
            await working
            control = council.control
        await self._settle(control.epoch, control.dealing, pulse)
        self.figures.counts["commands"] = len(pulse.receipts)
        return self.figures

    async def _take(self, step: Step, council: Council, pulse: Pulse) -> None:
        """The change, its blows, and everybody back in the epoch that it leads to."""
        town, epoch = self._town, council.control.epoch
        draft = council.refreshing
        if step.kind is Kind.REPLACE:
            place = next(row.address for row in council.control.directory.members if row.name == step.member)
            town.replace(step, council, place)
            draft = council.replacing(step.member, town.homes[step.member])
        elif step.kind is not Kind.REFRESH:
            names: tuple[list[str], list[str]] = ([step.member], [])
            draft = council.leading(*(names if step.kind is Kind.SUSPEND else reversed(names)))
        disorder = Disorder(town, step, epoch)
        async with asyncio.timeout(STEP_SECONDS):
            for _ in range(ATTEMPTS):
                decided = await council.decide(draft, approvals(step.kind), disorder.seen)
                if decided.began:
                    break
                self.figures.counts["changes that were given up"] += 1
        require(council.control.epoch == epoch + 1, f"{step}: no epoch has come of it")
        await disorder.settle()
        self.figures.took.append((step.kind, decided.over - decided.approved))
        async with await connect(town.client_folder("client-2"), SECRET) as client:
            await judge.reached(client, epoch + 1, list(town.homes))
        self.figures.gaps.append(pulse.longest_gap(decided.approved, time.monotonic()))
        self.figures.counts.update(str(blow.harm) for blow in step.blows)
        sys.stderr.write(f"  {time.strftime('%H:%M:%S')} epoch {epoch + 1}: {step}\n")

    async def _settle(self, epoch: int, dealing: int, pulse: Pulse) -> None:
        town = self._town
        async with await connect(town.client_folder("client-2"), SECRET) as client:
            await judge.level(client, epoch, list(town.homes))
        await judge.delivered(town.client_folder("client-1"), SECRET, pulse.receipts)
        await judge.erased(town.homes, dealing)
        for home, old in town.left:
            server = old or town.again(home)  # by somebody who does not know
            await self._ended(home, server)
        for name, server in town.running.items():
            code = await asyncio.to_thread(server.stop, signal.SIGTERM)
            require(code == 0, f"{name} has ended with {code}")
        self.figures.counts["slots"] = judge.one_log(town.homes)
        self.figures.counts["epochs"] = epoch + 1

    async def _ended(self, home: Path, server: ServerProcess) -> None:
        """By itself, with its shares erased."""
        code = await asyncio.to_thread(server.wait, TOLD_SECONDS)
        require(code == NO_LONGER_MEMBER, f"{home.name}, which was replaced, has ended with {code}")
        require(not shares.pieces(home), f"{home.name} was replaced, and has shares")
        self.figures.counts["replaced and ended"] += 1


def one(seed: int, kept: Path) -> str:
    """A run; its line. Raises whatever went wrong, and keeps the folder then."""
    home = Path(tempfile.mkdtemp(prefix=f"alliance-epochs-{seed}-"))
    began, used = time.monotonic(), _processor()
    with Town(home) as town:
        try:
            line = asyncio.run(Run(town, plan(seed)).play()).line()
        except BaseException:
            kept.mkdir(exist_ok=True)
            (kept / f"{seed}.log").write_text("\n".join(town.logs()))
            raise
        finally:
            town.close()
            shutil.rmtree(home)
    return f"{time.monotonic() - began:.0f} s, {_processor() - used:.0f} s of processors: {line}"


def _processor() -> float:
    """Of this process and of all that it has started and seen end, in seconds."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="make epochs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()) / "alliance-epochs")
    options = parser.parse_args(arguments)
    failed = 0
    for seed in range(options.seed, options.seed + options.runs):
        for step in plan(seed):
            sys.stdout.write(f"seed {seed}: {step}\n")
        try:
            told = one(seed, options.logs)
        except Exception as error:
            failed += 1
            told = f"FAILED, its members' words are in {options.logs / str(seed)}.log: {error!r}"
        sys.stdout.write(f"seed {seed}: {told}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{options.runs - failed} of {options.runs} runs passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
