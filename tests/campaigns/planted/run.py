"""``make bugs``: plants every bug, one at a time, and tells what found it and at what cost.

The table goes to standard output, progress to standard error. Exits 1 unless every bug is found that should
be, nothing is found in the product as it is, and one liar too many is noticed.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor, as_completed
from statistics import median

from tests.campaigns.planted.bugs import PLANTED
from tests.campaigns.planted.finder import CONTROL_FINDER, ROOT, Result, search_apart
from tests.campaigns.planted.planting import Bug

DOCUMENT = ROOT / "docs" / "development" / "planted_bugs.md"
HEAD = ("| planted | part | found by | CPU s |", "|---|---|---|---|")
CLEAN, TOO_MANY = "nothing is planted", "f + 1 members lie"


def wrong(bug: Bug, result: Result) -> str:
    """What is to be complained of, or nothing."""
    if result.trouble:
        return result.trouble
    if bug.harmless:
        return f"{result.found_by} finds it: is it harmless?" if result.found_by is not None else ""
    return "" if result.found_by is not None else "NOT FOUND"


def row(bug: Bug, result: Result) -> str:
    if result.found_by is None:
        return f"| {bug.name} | {bug.part} | not found; {bug.harmless} | |"
    test = result.found_by.partition("[")[0]
    found = f"`{test}`" if "::" in test else test
    return f"| {bug.name} | {bug.part} | {found} | {result.seconds:.1f} |"


def headline(rows: list[str], planted: int) -> str:
    """``planted``: how many bugs there are, searched for or not."""
    cells = [row.strip("| ").split(" | ") for row in rows]
    times = [float(cell[3]) for cell in cells if len(cell) > 3]
    middle, longest = (median(times), max(times)) if times else (0.0, 0.0)
    left = f" The other {planted - len(rows)} wait for their search." if len(rows) < planted else ""
    return (
        f"{len(times)} of {len(rows)} planted bugs are found; the median takes {middle:.1f} s of CPU, the"
        f" longest {longest:.0f} s.{left}"
    )


def waiting(document: str) -> list[Bug]:
    """Those that have no row yet."""
    searched = {line.strip("| ").partition(" | ")[0] for line in document.splitlines() if line[:1] == "|"}
    return [bug for name, bug in PLANTED.items() if name not in searched]


def written(document: str, new: dict[str, str]) -> str:
    """The document with these rows by bug; those of the others stay. The headline stands before the table."""
    lines = document.splitlines()
    begin = lines.index(HEAD[0])
    end = next((at for at in range(begin, len(lines)) if not lines[at].startswith("|")), len(lines))
    rows = {row.strip("| ").partition(" | ")[0]: row for row in lines[begin + 2 : end]} | new
    kept = [rows[name] for name in PLANTED if name in rows]
    return (
        "\n".join([*lines[: begin - 2], headline(kept, len(PLANTED)), "", *HEAD, *kept, *lines[end:]]) + "\n"
    )


def _controls(workers: ThreadPoolExecutor) -> list[str]:
    clean = workers.submit(search_apart, "")
    liars = workers.submit(search_apart, "", CONTROL_FINDER)
    complaints = []
    for name, future in ((TOO_MANY, liars), (CLEAN, clean)):
        result = future.result()
        trouble = result.trouble or (result.found_by and f"{result.found_by} fails")
        _say(f"control, {name}: {trouble or 'as it should be'} ({result.seconds:.1f} s)")
        complaints += [f"{name}: {trouble}"] if trouble else []
    return complaints


def _search(bugs: list[Bug], workers: ThreadPoolExecutor) -> dict[str, Result]:
    searches = {workers.submit(search_apart, bug.name): bug for bug in bugs}
    results = {}
    for done, search in enumerate(as_completed(searches), 1):
        bug, result = searches[search], search.result()
        results[bug.name] = result
        told = wrong(bug, result) or result.found_by or "not found, as expected"
        _say(f"[{done:3}/{len(bugs)}] {bug.part}: {bug.name}: {told} ({result.seconds:.1f} s)")
    return {bug.name: results[bug.name] for bug in bugs}


def _named(only: str) -> list[Bug]:
    return [bug for bug in PLANTED.values() if only == bug.part] or [
        bug for bug in PLANTED.values() if only in bug.name
    ]


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.planted.run", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="the bugs of this part, or with this in their name"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--write", action="store_true", help="put the rows into docs/development/planted_bugs.md"
    )
    parser.add_argument("--waiting", action="store_true", help="the bugs that have no row there yet")
    options = parser.parse_args(arguments)
    bugs = waiting(DOCUMENT.read_text("utf-8")) if options.waiting else _named(options.only)
    if not bugs:
        parser.error("no bug waits" if options.waiting else "no bug is of this part or has this in its name")
    with ThreadPoolExecutor(options.workers) as workers:
        results = _search(bugs, workers)
        complaints = [f"{bug.name}: {w}" for bug in bugs if (w := wrong(bug, results[bug.name]))]
        if not options.only and not options.waiting:
            complaints += _controls(workers)
    rows = {bug.name: row(bug, results[bug.name]) for bug in bugs}
    sys.stdout.write("\n".join([*HEAD, *rows.values(), "", headline(list(rows.values()), len(rows))]) + "\n")
    for complaint in complaints:
        _say(f"WRONG: {complaint}")
    if options.write:
        good = {name: line for name, line in rows.items() if not wrong(PLANTED[name], results[name])}
        DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), good), "utf-8")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
