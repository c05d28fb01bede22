"""Looks for one planted bug, in a process of its own, with everything that may find it.

``FINDERS`` is the table of what there is: to add one (a new search, another file of tests), add its name
there and to the ``SEARCHES`` that should use it. ``python -m tests.campaigns.planted.finder BUG`` prints the
result as JSON.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from pathlib import Path

import pytest

from quorum.system import CLASSIC, LEAN
from tests.campaigns.planted.bugs import PLANTED
from tests.campaigns.planted.planting import Bug, NotPlanted, in_place

ROOT = Path(__file__).resolve().parents[3]
CAMPAIGN_SEEDS = 150
CROSSING_SEEDS = 60
TWINS_SCENARIOS = 200
EXPLORED_STATES = 6000
TIMEOUT_SECONDS = 3600

CONTROL = "tests/campaigns/simulation/test_scenarios_more.py::test_24_one_liar_too_many_is_detected"
"""It expects a disagreement itself, so a bug does not make it fail."""

BROKEN = re.compile(r"\b(NameError|UnboundLocalError|SyntaxError|IndentationError|ImportError)\b")
"""Errors of a bug that is badly written. It would be found by anything, and prove nothing."""

Finder = Callable[[], str | None]
"""Searches in this process; says what found it, briefly, or None."""


class Unusable(RuntimeError):
    """A finder could not run, or what it found is no finding."""


def campaign_seeds(seeds: int, profile: str = CLASSIC) -> str | None:
    from tests.campaigns.simulation.campaign import campaign

    for seed in range(seeds):
        try:
            campaign(seed, profile=profile)
        except Exception as error:
            _check_plant(f"{error}")
            return f"{profile + ' ' if profile != CLASSIC else ''}campaign, seed {seed}"
    return None


def crossings(seeds: int) -> str | None:
    from tests.campaigns.simulation.crossing import cross

    for seed in range(seeds):
        try:
            cross(seed)
        except Exception as error:
            _check_plant(f"{error}")
            return f"crossing, seed {seed}"
    return None


def explored(states: int) -> str | None:
    from tests.campaigns.explorer.finder import explore

    found = explore(states)
    _check_plant(found or "")
    return None if found is None else "explorer"


def twins(scenarios: int) -> str | None:
    from tests.campaigns.explorer.finder import run_twins

    found = run_twins(scenarios)
    _check_plant(found or "")
    return None if found is None else "twins"


class _First:
    """The first test that fails, and why."""

    def __init__(self) -> None:
        self.failed = ""
        self.text = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed, self.text = report.nodeid, str(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.text = str(report.longrepr)


def pytest_on(*nodes: str, without: tuple[str, ...] = ()) -> str | None:
    """The first failing test of these files or node ids, run in this process."""
    first, printed = _First(), StringIO()
    left_out = [word for node in without for word in ("--deselect", node)]
    with redirect_stdout(printed):
        code = pytest.main(
            ["-x", "-p", "no:xdist", "--no-header", "--tb=short", *left_out, *nodes], plugins=[first]
        )
    if code == pytest.ExitCode.TESTS_FAILED:
        _check_plant(first.text)
        return first.failed.removeprefix("tests/")
    if code != pytest.ExitCode.OK:
        raise Unusable(f"pytest ended with {code}: {first.text or printed.getvalue()[-400:]}")
    return None


def _check_plant(text: str) -> None:
    broken = BROKEN.search(text)
    if broken is not None:
        raise Unusable(f"the bug itself is broken: {broken[0]} in {text[-400:]}")


CONTROL_FINDER = "control"
_EXHAUSTIVE = "tests/campaigns/simulation/test_exhaustive.py"
_PLANTS_ITSELF = f"{_EXHAUSTIVE}::test_sizes_off_by_one_disagree"
_FLOOD = "tests/alliance/wire/test_matrix.py::test_a_flood_of_bad_messages_leaves_memory_and_log_small"
_CHAOS = "tests/fab_paxos/test_chaos.py"
_HANDING_ON = "tests/alliance/resharing/test_handing_on.py"
_IN_SERVER = "tests/alliance/server/test_server.py::test_epoch_"

FINDERS: dict[str, Finder] = {
    "campaign": partial(campaign_seeds, CAMPAIGN_SEEDS),
    "lean campaign": partial(campaign_seeds, CAMPAIGN_SEEDS, LEAN),
    "lean tests": partial(
        pytest_on,
        "tests/campaigns/simulation/test_lean.py",
        "tests/fab_paxos/test_lean_selection.py",
        "tests/fab_paxos/test_report_evidence.py",
    ),
    "weight tests": partial(
        pytest_on,
        "tests/quorum/test_weighted.py",
        "tests/quorum/test_weighted_rsa.py",
        "tests/fab_paxos/test_weighted_quorums.py",
    ),
    "crossings": partial(crossings, CROSSING_SEEDS),
    "life tests": partial(
        pytest_on,
        "tests/campaigns/simulation/test_lives.py",
        "tests/fab_paxos/test_next_epoch.py",
        "tests/fab_paxos/test_evidence.py",
        "tests/alliance/storage/test_journal_epochs.py",
    ),
    "end tests": partial(
        pytest_on,
        "tests/fab_paxos/test_end_of_epoch.py",
        "tests/fab_paxos/test_next_epoch.py",
        "tests/campaigns/simulation/test_crossings.py",
    ),
    "scenarios": partial(
        pytest_on,
        "tests/campaigns/simulation/test_scenarios.py",
        "tests/campaigns/simulation/test_scenarios_more.py",
        without=(CONTROL,),
    ),
    "exhaustive": partial(pytest_on, _EXHAUSTIVE, without=(_PLANTS_ITSELF,)),
    "explorer": partial(explored, EXPLORED_STATES),
    "twins": partial(twins, TWINS_SCENARIOS),
    "engine tests": partial(pytest_on, "tests/fab_paxos", without=(_CHAOS,)),
    "passage tests": partial(
        pytest_on,
        *(
            f"tests/fab_paxos/test_{name}.py"
            for name in (
                "snapshots",
                "large_states",
                "leader_monitor",
                "missing_batches",
                "reports",
                "checkpoints",
                "certificates",
                "view_change",
            )
        ),
    ),
    "gate tests": partial(
        pytest_on,
        "tests/alliance/server/test_gate.py",
        "tests/alliance/server/test_gate_views.py",
        "tests/alliance/wire",
        without=(_FLOOD,),
    ),
    "quorum tests": partial(pytest_on, "tests/quorum"),
    "signer tests": partial(pytest_on, "tests/alliance/server/test_signer.py"),
    "receipt tests": partial(
        pytest_on,
        "tests/alliance/proofs/test_receipt.py",
        "tests/verifiable_log/test_merkle.py",
        "tests/verifiable_log/test_command_tree.py",
    ),
    "journal tests": partial(
        pytest_on,
        "tests/alliance/server/test_driver.py",
        "tests/alliance/storage/test_journal.py",
        "tests/alliance/storage/test_journal_owner.py",
        "tests/alliance/storage/test_journal_files.py",
        "tests/alliance/storage/test_journal_check.py",
        "tests/alliance/storage/test_journal_epochs.py",
        "tests/alliance/storage/test_epoch_entry.py",
    ),
    "starts tests": partial(pytest_on, "tests/alliance/server/test_incarnation.py"),
    "evidence tests": partial(
        pytest_on,
        "tests/fab_paxos/test_evidence.py",
        "tests/alliance/evidence/test_evidence.py",
        "tests/campaigns/simulation/test_evidence.py",
    ),
    "resharing tests": partial(pytest_on, "tests/quorum/test_redistribution.py", "tests/alliance/resharing"),
    "member tests": partial(
        pytest_on,
        *(
            f"tests/alliance/server/test_{name}.py"
            for name in (
                "arrival",
                "succession",
                "parting",
                "incarnation_epochs",
                "kills",
                "own_commands",
                "vouching",
            )
        ),
        f"{_IN_SERVER}what_is_of_the_old_epoch_goes_and_what_clients_wait_for_stays",
        f"{_IN_SERVER}who_is_removed_goes_on_answering_before_it_ends",
    ),
    "key tests": partial(
        pytest_on,
        "tests/consensus/test_new_keys.py",
        "tests/alliance/config/test_key_changes.py",
        "tests/signing/test_desk.py",
        "tests/execution/test_snapshot_folder.py",
        "tests/signing/test_client.py",
        f"{_HANDING_ON}::test_new_keys_that_cannot_be_are_not_taken",
        f"{_HANDING_ON}::test_one_dealers_keys_do_not_take_the_place_of_those_of_several",
        f"{_HANDING_ON}::test_a_share_of_a_new_key_that_is_another_members_is_found_out",
    ),
    "control state tests": partial(pytest_on, "tests/consensus"),
    CONTROL_FINDER: partial(pytest_on, CONTROL),
}

SEARCHES: dict[str, tuple[str, ...]] = {
    "engine": ("campaign", "twins", "scenarios", "exhaustive", "explorer", "engine tests"),
    "passage": ("passage tests", "engine tests", "campaign", "scenarios"),
    "gate": ("gate tests", "quorum tests", "signer tests"),
    "receipts": ("receipt tests",),
    "journal": ("journal tests",),
    "starts": ("starts tests", "journal tests"),
    "evidence": ("evidence tests", "scenarios"),
    "lean": ("lean campaign", "lean tests"),
    "weights": ("weight tests",),
    "control": ("control state tests",),
    "end": ("crossings", "end tests"),
    "resharing": ("resharing tests",),
    "lives": ("crossings", "campaign", "life tests"),
    "keys": ("key tests",),
    "members": ("member tests",),
}
"""Who searches for the bugs of a part, in this order. No bug has a finder of its own that knows of it."""


@dataclass(frozen=True)
class Result:
    """``found_by`` is None when all of the search was in vain. CPU seconds, from planting to finding."""

    bug: str
    found_by: str | None
    seconds: float
    trouble: str = ""


def search(bug: Bug | None, finders: tuple[str, ...]) -> Result:
    """In this process: it stays planted in whatever was imported, so use one process for each."""
    name = bug.name if bug is not None else ""
    begun = _cpu()
    try:
        with in_place(bug) if bug is not None else nullcontext():
            for finder in finders:
                found = FINDERS[finder]()
                if found is not None:
                    return Result(name, found, _cpu() - begun)
    except (NotPlanted, Unusable) as error:
        return Result(name, None, _cpu() - begun, str(error))
    return Result(name, None, _cpu() - begun)


def search_apart(name: str, *finders: str) -> Result:
    """The same in a new process; ``name`` is that of a bug, or empty for the product as it is."""
    words = [sys.executable, "-m", "tests.campaigns.planted.finder", name, *finders]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        return Result(**json.loads(last))
    except (ValueError, TypeError):
        return Result(name, None, 0.0, f"the search broke off: {(done.stderr or done.stdout)[-400:]}")


def _cpu() -> float:
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def main(arguments: list[str]) -> int:
    name, *finders = arguments
    os.chdir(ROOT)
    bug = PLANTED[name] if name else None
    chosen = tuple(finders) or (SEARCHES[bug.part] if bug is not None else tuple(FINDERS))
    sys.stdout.write(json.dumps(asdict(search(bug, chosen))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
