"""The rule for subjects of commits, and where it is not applied."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.checks.commits import LENGTH_MAX, complaint, main

GOOD = "tests: check the subjects of commits"


@pytest.mark.parametrize(
    "subject",
    [
        GOOD,
        "fab_paxos: join signing in one room",
        "alliance/cli: pass the time-out on",
        "alliance.cli: feed the demo's log to its end",
        "docs: focus on what holds",
        "build: embed the licence",
        f"ci: {'x' * (LENGTH_MAX - 4)}",
    ],
)
def test_subjects_in_the_imperative_with_their_area(subject: str) -> None:
    assert complaint(subject) is None


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        (f"ci: {'x' * (LENGTH_MAX - 3)}", "73 characters"),
        ("Say what is different now", "does not begin with"),
        ("say what is different now", "does not begin with"),
        ("kitchen: say what is different now", "does not begin with"),
        ("docs:say what is different now", "does not begin with"),
        ("docs: Say what is different now", "does not begin with"),
        ("docs: adds a page", "'adds' is not"),
        ("docs: added a page", "'added' is not"),
        ("fixup! docs: add a page", "does not begin with"),
        ("", "does not begin with"),
    ],
)
def test_other_subjects_are_refused(subject: str, why: str) -> None:
    assert why in str(complaint(subject))


class Clone:
    """A repository of its own, whose configuration is nobody's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q")

    def git(self, *words: str) -> str:
        identity = [
            "-c",
            "user.name=n",
            "-c",
            "user.email=e",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "tag.gpgsign=false",
        ]
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, subject: str) -> str:
        self.git("commit", "-q", "--allow-empty", "--no-verify", "-m", subject)
        return self.git("rev-parse", "HEAD")


def test_the_commits_since_the_base_or_the_last_tag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = Clone(tmp_path)
    base = clone.commit("Anything goes before the rule")
    clone.commit(GOOD)
    assert main(tmp_path, base) == 0
    wrong = clone.commit("Anything goes")
    assert main(tmp_path, base) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"{wrong[:7]} Anything goes: does not begin with")
    assert told.count("\n") == 1
    clone.git("tag", "v1")
    clone.commit(GOOD)
    assert main(tmp_path, base) == 0
    clone.commit("docs: added a page")
    assert main(tmp_path, base) == 1


def test_without_the_history_it_says_that_it_was_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert main(tmp_path) == 0
    assert "skipped: fatal: not a git repository" in capsys.readouterr().err
    clone = Clone(tmp_path)
    clone.commit("Anything goes")
    assert main(tmp_path, "0" * 40) == 0  # as in a shallow clone
    assert f"skipped: fatal: Invalid revision range {'0' * 40}..HEAD" in capsys.readouterr().err
    (tmp_path / "unpacked").mkdir()
    assert main(tmp_path / "unpacked", clone.commit("Anything goes")) == 0
    assert "skipped: not a clone" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(tmp_path) == 0
    assert "skipped: git is not installed" in capsys.readouterr().err
