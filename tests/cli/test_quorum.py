"""``alliance quorum``: what is survived, offline, from alliance.toml alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.worlds.processes import Cluster


def test_show_tells_what_is_survived_and_what_is_not(inside: Run, founded: Cluster) -> None:
    for folder in (founded.folder, founded.folder / "alliance.toml", founded.client_folder("client-1")):
        told = inside("quorum", "show", folder, passphrase=None)
        assert told.code == 0, told.err
        for line in (
            "1 of 6 members may be faulty, 5 decide (profile classic)",
            "survives: any 1 member that lies, is down or is cut off",
            "  member-2 runs member-2",
        ):
            assert line in told.text.splitlines()
    report = json.loads(inside("quorum", "show", founded.folder, "-o", "json", passphrase=None).out)
    assert (report["decision"], report["smallest_unsafe"], report["too_large"]) == (5, 2, [])


@pytest.mark.parametrize(
    ("failing", "first", "second"),
    [
        (["--down", "member-2"], "safe: 0 lie, and 1 may", "live: 5 are left, 5 decide"),
        (["--lying", "member-2"], "safe: 1 lie, and 1 may", "live: 5 are left, 5 decide"),
        (["--lying", "member-2", "--down", "member-2"], "safe: 1 lie", "live: 5 are left"),
        (["--lying", "member-2", "--down", "member-3"], "safe: 1 lie", "halted: 4 are left"),
        (["--lying", "member-2", "--lying", "member-3"], "not safe: 2 lie, and 1 may", ""),
    ],
)
def test_simulate_says_what_is_left(
    inside: Run, founded: Cluster, failing: list[str], first: str, second: str
) -> None:
    told = inside("quorum", "simulate", founded.folder, *failing, passphrase=None)
    assert told.code == 0, told.err
    lines = told.text.splitlines()
    assert lines[0].startswith(first)
    assert (lines[1] if second else "").startswith(second)
    report = json.loads(
        inside("quorum", "simulate", founded.folder, *failing, "-o", "json", passphrase=None).out
    )
    assert (report["safe"], report["live"]) == (first.startswith("safe"), second.startswith("live"))


def test_compare_says_what_would_be_different(inside: Run, founded: Cluster) -> None:
    told = inside("quorum", "compare", founded.folder, "--profile", "lean", passphrase=None)
    assert told.code == 0, told.err
    assert "  members that are down halt it: 2 before, 3 then" in told.text.splitlines()
    same = inside("quorum", "compare", founded.folder, "--other", founded.folder, passphrase=None)
    assert "  the same is survived" in same.text.splitlines()
    larger = ("quorum", "compare", founded.folder, "--members", "11", "--faulty", "2", "-o", "json")
    report = json.loads(inside(*larger, passphrase=None).out)
    assert report["after"]["faulty_max"] == 2
    assert "members decide: 5 before, 9 then" in report["differences"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["simulate"], "say what fails"),
        (
            ["simulate", "--down", "nobody"],
            "no member and no organisation is called 'nobody'; there are member-1",
        ),
        (["compare"], "say what to compare it with"),
        (["compare", "--faulty", "2"], "n >= 5f+1 = 11 members are needed"),
        (["compare", "--profile", "fast"], "the profile is 'classic' or 'lean'"),
        (["compare", "--faulty", "1", "--other", "."], "name one of the two"),
        (["compare", "--other", "nowhere"], "nowhere/alliance.toml does not exist"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    inside: Run, founded: Cluster, arguments: list[str], says: str
) -> None:
    told = inside("quorum", arguments[0], founded.folder, *arguments[1:], passphrase=None)
    assert told.code == 2
    assert says in told.error


def test_a_folder_that_is_none_is_refused(inside: Run, tmp_path: Path) -> None:
    assert inside("quorum", "show", tmp_path / "nothing", passphrase=None).code == 2
