"""``alliance demo``: all of it, with real processes; and that it admits what does not hold."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from alliance.cli.demo import change_run
from alliance.cli.demo import command as demo
from alliance.cli.demo.newcomer_run import DemoFigures
from alliance.cli.demo.verdict import difference
from alliance.errors import Unreachable
from tests.cli.conftest import RUN_SECONDS, Run
from tests.worlds.processes import STOP_SECONDS, environment, started

ROOT = Path(__file__).resolve().parents[2]


# The demo, but it is founded and its key files open at once, and its attacks are short.
_BRIEF = """
from dataclasses import replace
from alliance.cli import main
from alliance.cli.demo import attack_kinds, attack_run
from tests.worlds.founding import cheaply
attack_run.COMPARE_SECONDS = 0.2
attack_kinds.PLANS = {attack: replace(plan, seconds=1.0) for attack, plan in attack_kinds.PLANS.items()}
with cheaply():
    main()
"""


def _brief(*arguments: str) -> list[str]:
    return [sys.executable, "-c", _BRIEF, "demo", *arguments]


def await_no_process_of(folder: Path) -> None:
    """Who was told to end, or lost its parent, may take a moment; nobody stays."""
    deadline = time.monotonic() + STOP_SECONDS
    while left := _processes_of(folder):
        assert time.monotonic() < deadline, f"these still run after {STOP_SECONDS:g} s: {left}"


def _processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_all_of_it_holds_and_nothing_is_left_behind(alliance: Run, tmp_path: Path) -> None:
    result = alliance("demo", "-o", "json", passphrase=None, TMPDIR=str(tmp_path))
    assert (result.code, result.err) == (0, "")
    assert len(result.text.splitlines()) == 1
    report = json.loads(result.text)
    assert (report["ok"], report["failed"]) == (True, [])
    assert (report["members"], report["faults"]) == (6, 1)
    for part in DemoFigures.PARTS:
        assert report[part] is True
    assert report["leader_gap_ms"] > 0
    assert report["killed"] == "member-6"
    assert report["decided_meanwhile"] == 25
    assert 0 < report["p50_ms"] <= report["p99_ms"]
    assert 0 < report["caught_up_seconds"] < report["seconds"]
    liar = report["liar"]
    assert liar["member"] != report["leader_killed"]
    assert list(liar["blamed"]) == [liar["member"]]
    assert all(count > 0 for count in liar["lies"].values())
    assert liar["during"]["commands"] > 0
    assert report["decided_commands"] == 200 + liar["before"]["commands"] + liar["during"]["commands"]
    assert len(liar["log_sha256"]) == 64
    first_token, second_token = report["tokens"]
    assert first_token < second_token
    assert list(tmp_path.iterdir()) == []
    await_no_process_of(tmp_path)


def test_an_attack_is_told_and_a_missing_openssl_is_admitted_with_what_to_install(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        _brief("--attack", "equivocate"),
        cwd=ROOT,
        env={**environment(None), "PATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        start_new_session=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines == [line.rstrip() for line in lines]
    told = " ".join(done.stdout.split())
    assert "4 The leader tells two stories" in told
    assert "slots proposed in two versions: " in told
    (liar,) = re.findall(r"replaced (\S+) as leader after", told)
    assert f'blame {liar}: "two proposals"' in told
    assert "✓ the 5 correct members tell one log" in told
    assert "✓ alliance verify, which contacts nobody: proven" in told
    assert "✗ openssl is not installed" in told
    assert "All of it held" not in told
    assert done.stderr.splitlines()[-1].startswith("alliance: 1 part did not hold: openssl: openssl is not")
    assert "apt-get install openssl" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    told = {**environment(None), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with started(_brief(), cwd=ROOT, stdin=subprocess.DEVNULL, env=told, start_new_session=True) as process:
        for line in process.stdout:
            if b"servers are ready" in line:
                break
        process.send_signal(number)
        _, said = process.communicate(timeout=RUN_SECONDS)
    assert (process.returncode, said) == (130, b"alliance: interrupted\n")
    assert list(tmp_path.iterdir()) == []
    await_no_process_of(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--members", "3"], "n >= 5f-1"),
        (["--faults", "2"], "9 members"),
        (["--file", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["--file", "any.txt", "--attack", "slow"], "leave out --file or --attack"),
        (["--attack", "rumour"], "'--attack'"),
        (["--change", "--attack", "slow"], "nobody lies: leave out the other one"),
        (["--change", "--file", "any.txt"], "--change proposes commands of its own"),
        (["--change", "--members", "31"], "keys are handed on to at most 31 members"),
        (["--faults", "0"], "'--faults'"),
    ],
)
def test_what_cannot_be_shown(inside: Run, arguments: list[str], says: str) -> None:
    result = inside("demo", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert says in result.error


def test_a_short_file_is_filled_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"one\n\ntwo\n")
    commands = demo._commands(path)
    assert commands[:3] == [b"one", b"", b"two"]
    assert len(commands) == demo.FEWEST_COMMANDS
    assert "3 lines" in capsys.readouterr().err


class Proposing:
    """A client whose commands are decided at once, ``good`` of them."""

    public_key = None

    def __init__(self, good: int, enough: asyncio.Event) -> None:
        self._good, self._enough, self.verified = good, enough, 0

    async def propose(self, command: bytes, timeout: float) -> Any:
        if not self._good:
            raise Unreachable("nobody answers")
        self._good -= 1
        if not self._good:
            self._enough.set()
        return SimpleNamespace(command=command, verify=self._verify)

    def _verify(self, key: object) -> None:
        self.verified += 1


def test_who_proposes_all_the_time_loses_nothing_or_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_run, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(change_run, "time", SimpleNamespace(monotonic=map(float, itertools.count()).__next__))

    async def story() -> None:
        enough, receipts = asyncio.Event(), list[Any]()
        client = Proposing(3, enough)
        steady = change_run.Steady(cast(Any, client), receipts)
        await enough.wait()
        assert await steady.end() == 1000.0
        assert [one.command for one in receipts] == [b"reading 1", b"reading 2", b"reading 3"]
        assert client.verified == 3
        steady = change_run.Steady(cast(Any, Proposing(0, enough)), receipts)
        await asyncio.sleep(0)
        with pytest.raises(Unreachable):
            await steady.end()
        await steady.cancel()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ([1, 2, 3], [1, 2], "they agree as far as both go, and have 3 and 2 commands"),
        ([], [1], "they agree as far as both go, and have 0 and 1 commands"),
        ([1, 2, 3], [1, 4], "they contradict each other, 2 here and 4 there"),
        ([1, 2], [2, 1], "they contradict each other, 1 here and 2 there"),
    ],
)
def test_a_log_that_is_behind_never_passes_for_one_that_contradicts(
    first: list[int], second: list[int], says: str
) -> None:
    assert difference(first, second) == says
