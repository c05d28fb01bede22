"""Sequence numbers: never twice, whoever asks and whatever crashes."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alliance.client import sequence
from alliance.client.sequence import BLOCK, FILE, Sequence
from alliance.errors import ConfigError


def test_numbers_grow_from_one(tmp_path: Path) -> None:
    numbers = Sequence(tmp_path)
    assert [numbers.next() for _ in range(3 * BLOCK)] == list(range(1, 3 * BLOCK + 1))


def test_interleaved_processes_never_share_a_number(tmp_path: Path) -> None:
    """The lock is on the open file, so two objects stand for two processes."""
    one, two = Sequence(tmp_path), Sequence(tmp_path)
    taken = [number for _ in range(3 * BLOCK) for number in (one.next(), two.next(), two.next())]
    assert len(set(taken)) == len(taken)


def test_many_at_once_never_share_a_number(tmp_path: Path) -> None:
    def take(_: int) -> list[int]:
        mine = Sequence(tmp_path)
        return [mine.next() for _ in range(2 * BLOCK + 1)]

    with ThreadPoolExecutor(8) as pool:
        taken = [number for numbers in pool.map(take, range(16)) for number in numbers]
    assert len(set(taken)) == len(taken) == 16 * (2 * BLOCK + 1)


def test_what_a_crash_left_unused_is_skipped(tmp_path: Path) -> None:
    crashed = Sequence(tmp_path)
    used = [crashed.next() for _ in range(3)]
    after = Sequence(tmp_path).next()
    assert after == BLOCK + 1
    assert after not in used


class Killed(Exception):
    pass


@pytest.mark.parametrize("moment", ["fsync", "link", "unlink"])
def test_a_crash_between_any_two_steps_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def die(*_: object) -> None:
        raise Killed

    taken = [Sequence(tmp_path).next()]
    for folder in (tmp_path, tmp_path / "fresh"):
        folder.mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, moment, die)
            victim = Sequence(folder)
            try:
                number = victim.next()
            except Killed:
                pass
            else:
                taken.append(number)
        if folder == tmp_path:
            taken.append(Sequence(folder).next())
    assert len(set(taken)) == len(taken)
    assert Sequence(tmp_path / "fresh").next() >= 1


def test_the_number_is_durable_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Sequence(tmp_path).next()

    def fail(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match="no space left"):
        Sequence(tmp_path).next()


GOOD = b"%020d\n" % 17


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GOOD[:-1],
        GOOD[:10],
        GOOD + b"1",
        b"\x00" * 21,
        b"-0000000000000000017\n",
        b"+0000000000000000017\n",
        b"0000000000000000_017\n",
        b" 0000000000000000017\n",
        b"%020d\n" % 0,
        b"%020d\n" % 2**63,
        b"9" * 20 + b"\n",
        "\u0661".encode() * 10 + b"\n",
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match="sequence"):
        Sequence(tmp_path).next()
    assert (tmp_path / FILE).read_bytes() == content


def test_a_folder_that_is_missing_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Sequence(tmp_path / "nowhere").next()
    assert "\n" not in str(caught.value)


def test_nothing_else_stays_in_the_folder(tmp_path: Path) -> None:
    Sequence(tmp_path).next()
    assert [path.name for path in tmp_path.iterdir()] == [sequence.FILE]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
