"""Explore: ``python -m tests.campaigns.explorer.run --views 2`` (``make explore VIEWS=2 SLOTS=1 NEWS=2``).

The instances are: the liar leads no view, each one view, and all of them. Progress goes to stderr; on stdout
a line for each instance with its bound, and a last one for scripts. A broken promise prints its schedule, and
the exit code is 1; ``--replay FILE`` plays it again. ``--plant`` puts a bug into the engine first.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import process_time

from quorum import QuorumSystem
from quorum.system import LEAN
from tests.campaigns.explorer.instance import Instance
from tests.campaigns.explorer.schedule import read, replay, tell
from tests.campaigns.explorer.search import Found, Search
from tests.campaigns.explorer.uncollected import uncollected
from tests.campaigns.planted.bugs import PLANTED, planted
from tests.worlds.cluster import SIX

FOUR = QuorumSystem(4, 1, LEAN)
UNBOUNDED = sys.maxsize


def instances(
    views: int,
    slots: int,
    values: str,
    restarts: int,
    news: int | None = None,
    system: QuorumSystem = SIX,
) -> Iterator[Instance]:
    """The liar leads none, one, or every one of so many views."""
    members = system.member_count
    if not 1 <= views < members:
        raise ValueError(f"1 to {members - 1} views, not {views}")
    for liar in (members - 1, *range(views)):
        yield Instance(liar, tuple(range(views)), slots, values, restarts, news, system)
    if views > 1:
        yield Instance(0, tuple(range(0, members * views, members)), slots, values, restarts, news, system)


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.explorer.run", description=__doc__)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--states", type=int, default=0, help="at most so many for each instance; 0: all")
    parser.add_argument(
        "--values", choices=("A", "AB"), default="AB", help="batches that leaders choose from"
    )
    parser.add_argument("--restarts", type=int, default=0, help="crashes of correct members, in all")
    parser.add_argument(
        "--news",
        choices=("any", "0", "1", "2", "3"),
        default="2",
        help="how often somebody learns of a decision",
    )
    parser.add_argument("--lean", action="store_true", help="four members in profile lean, not six")
    parser.add_argument("--plant", choices=list(PLANTED))
    parser.add_argument("--replay", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    news = None if options.news == "any" else int(options.news)
    bounds = (options.views, options.slots, options.values, options.restarts, news)
    with planted(options.plant) if options.plant else nullcontext():
        if options.replay is not None:
            return _replayed(options.replay)
        return _explored(
            list(instances(*bounds, FOUR if options.lean else SIX)),
            options.states or UNBOUNDED,
        )


def _explored(chosen: list[Instance], states_max: int) -> int:
    found: list[Found] = []
    began = process_time()
    for instance in chosen:
        start = process_time()
        with uncollected():
            one = Search(instance).run(states_max, _progress)
        found.append(one)
        _say(_line(one, process_time() - start))
        if one.violation is not None:
            _say(f"broken: {one.violation}\n{tell(instance, one.schedule)}")
            break
    broken = any(one.violation for one in found)
    states, seconds = sum(one.states for one in found), process_time() - began
    _say(
        f"explore: {'FAILED' if broken else 'ok'} instances={len(found)}"
        f" exhausted={sum(one.exhausted for one in found)} states={states}"
        f" transitions={sum(one.transitions for one in found)} depth={max(one.depth for one in found)}"
        f" cpu_seconds={seconds:.1f} states_per_second={states / seconds:.0f}"
        f" memory_mib={getrusage(RUSAGE_SELF).ru_maxrss // 1024}"
    )
    return 1 if broken else 0


def _line(found: Found, seconds: float) -> str:
    return (
        f"{found.instance}: states={found.states} transitions={found.transitions} depth={found.depth}"
        f" engine_states={found.engines} engine_turns={found.turns}"
        f" decided={','.join(found.decided) or '-'}"
        f" {'exhausted' if found.exhausted else 'not exhausted'} cpu_seconds={seconds:.1f}"
    )


def _replayed(file: Path) -> int:
    violation = replay(*read(file.read_text("utf-8")))
    _say(f"broken: {violation}" if violation else "nothing is broken")
    return 1 if violation else 0


def _progress(states: int, depth: int) -> None:
    sys.stderr.write(f"{states:,} states, depth {depth}" + ("   \r" if sys.stderr.isatty() else "\n"))
    sys.stderr.flush()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
