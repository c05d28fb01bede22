"""``python -m tests.checks.commits``: subjects of commits since the last tag, or since BASE if there is none.

Complains on standard error and exits 1. Where the history is missing it says that it skipped, and exits 0.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASE = "82cca36fc0325a4788a500531ff48b71a6e53b0f"  # the last commit before the rule
LENGTH_MAX = 72
BESIDES = ("build", "ci", "release")
FORM = re.compile(r"(?P<area>[a-z_]+)(?:[./][\w./-]+)?: (?P<verb>[a-z]+)\b")
NARRATED = re.compile(r"(?!embed|shed|shred|alias|bias)\w+(?:[^su]s|[^e]ed)")
"""'adds' and 'added'; not 'pass', 'focus' or 'feed'."""


def complaint(subject: str) -> str | None:
    """What is wrong with the subject of a commit, if anything."""
    if len(subject) > LENGTH_MAX:
        return f"{len(subject)} characters, {LENGTH_MAX} are allowed"
    form = FORM.match(subject)
    if form is None or not (form["area"] in BESIDES or (ROOT / form["area"]).is_dir()):
        return (
            f"does not begin with a folder or one of {', '.join(BESIDES)}, then ': ' and a verb in lower case"
        )
    if NARRATED.fullmatch(form["verb"]):
        return f"{form['verb']!r} is not in the imperative"
    return None


def main(root: Path = ROOT, base: str = BASE) -> int:
    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)

    try:
        tag = git("describe", "--tags", "--abbrev=0")
        since = base if tag.returncode else tag.stdout.strip()
        listed = git("log", "--no-merges", "--format=%h %s", f"{since}..HEAD")
    except FileNotFoundError:
        listed = subprocess.CompletedProcess([], 1, "", "git is not installed")
    if (
        listed.returncode or not (root / ".git").exists()
    ):  # the folder may lie within a clone of something else
        sys.stderr.write(
            f"commit subjects: skipped: {listed.stderr.partition(chr(10))[0] or 'not a clone'}\n"
        )
        return 0
    commits = [line.split(" ", 1) for line in listed.stdout.splitlines()]
    wrong = [f"{name} {subject}: {why}\n" for name, subject in commits if (why := complaint(subject))]
    sys.stderr.writelines(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
