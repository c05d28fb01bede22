"""docs/development/testing.md, scenario 11: kill at every journal point; torn tail. With the real journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from alliance.storage.journal import Journal
from fab_paxos.effects import Record
from fab_paxos.messages import Status
from tests.worlds import journals
from tests.worlds.checkers import lacking
from tests.worlds.cluster import submission
from tests.worlds.journals import (
    LOG_HEADER_BYTES,
    SECTOR,
    Files,
    JournalDisk,
    cut_at,
    differs,
    mixed,
    mixed_log,
)
from tests.worlds.member import Member
from tests.worlds.standin import CONTEXT
from tests.worlds.timed import MILLISECOND, SECOND, TimedWorld

VICTIMS = (0, 3)


class OneJournal(TimedWorld):
    """The victim has a real journal; the others' disks are models, for speed."""

    def __init__(self, victim: int, plan: dict[tuple[int, int], int]) -> None:
        self._victim = victim
        super().__init__(seed=victim, checkpoint_slots=2, retain_slots=0)
        self.crash_plan.update(plan)

    def equip(self, member: Member) -> None:
        if member.me == self._victim:
            member.disk = self.journal_disk(member.me)


def _small_run(world: TimedWorld, victim: int) -> None:
    """Some submissions over a change of the leader; the victim dies as planned, and comes back."""
    for number in range(4):
        world.submit((victim + 1 + number) % 6, world.write(number % 2, number))
        world.advance(world.now + 15 * MILLISECOND)
        if number == 1:
            world.fire_view_timers()
        if world.members[victim].replica is None:
            world.restart(victim)
    for _ in range(40):
        world.advance(world.now + SECOND // 4)
        if world.members[victim].replica is None:
            world.restart(victim)
        elif not lacking(world, world.members) and len(set(map(_progress, world.members))) == 1:
            break


def _progress(member: Member) -> Status:
    """How far it is, whoever waits beside it."""
    return replace(member.engine.status, proofs_wanted=True)


def _points(victim: int) -> list[tuple[int, int]]:
    """Every turn of the victim in a small run, and every moment in it at which it can die."""
    points: list[tuple[int, int]] = []
    with closing(OneJournal(victim, {})) as world:
        member = world.members[victim]
        turn = member.turn

        def counted(*arguments: Any) -> None:
            turn(*arguments)
            points.extend((member.turns, moment) for moment in range(member.carried_out + 2))

        member.turn = counted  # type: ignore[method-assign]
        _small_run(world, victim)
    return points


@pytest.mark.parametrize("victim", VICTIMS)
def test_11_kill_at_every_journal_point(victim: int) -> None:
    """ "kill at every journal point": before, while and after it writes, and between any two effects."""
    died = tears = 0
    for turn, moment in _points(victim):
        with closing(OneJournal(victim, {(victim, turn): moment})) as world:
            _small_run(world, victim)
            world.check_all()
            died += len(world.members[victim].runs) == 2
            disk = world.members[victim].disk
            tears += isinstance(disk, JournalDisk) and disk.tears
    assert died > 60
    assert tears > 3


def _appends(folder: Path) -> list[tuple[Files, Files, Sequence[Record]]]:
    """Appends of two records each, with the files before and after them."""
    world = TimedWorld(seed=1)
    written: list[Sequence[Record]] = []
    disk = world.members[0].disk
    write = disk.write
    disk.write = lambda records: (written.append(records), write(records))  # type: ignore
    for number in range(6):
        world.submit(0, submission(1, number))
        world.advance(world.now + SECOND // 8)
    twin = JournalDisk(folder, 0, Random(0), epoch=CONTEXT.epoch)
    twin.restore()
    done = []
    flat = [record for records in written for record in records]
    for at in range(0, len(flat), 2):
        records = flat[at : at + 2]
        before = Files.of(twin.path)
        twin.write(records)
        done.append((before, Files.of(twin.path), records))
    twin.close()
    return done


def test_11_torn_tail(tmp_path: Path) -> None:
    """ "torn tail": the log cut anywhere within the last append, or any mixture of its sectors, is that
    append or nothing of it, and everything before."""
    dice, cases = Random(11), 0
    appends = _appends(tmp_path)
    assert any(before.main != after.main for before, after, _ in appends), "pages were moved, too"
    for number, (before, after, _) in enumerate(appends):
        main, log = before.main or b"", before.log or b""
        left = replace(after, mark=before.mark)  # and the states of checkpoints: they were durable before
        later_main, later_log = after.main or b"", after.log or b""
        # A log that begins anew: its header is a part of one sector, and so is there or not.
        first = differs(log, later_log)
        written = range(first if first >= LOG_HEADER_BYTES else LOG_HEADER_BYTES, len(later_log) + 1)
        cuts = {*written[:: 2 * SECTOR - 1], *written[:3], *written[-3:]}
        torn = [replace(left, main=main, log=cut_at(log, later_log, cut)) for cut in sorted(cuts)]
        torn += [replace(left, main=main, log=mixed_log(log, later_log, dice)) for _ in range(4)]
        if main != later_main:
            torn += [replace(left, main=mixed(main, later_main, dice), log=later_log) for _ in range(8)]
        for files in torn:
            disk = _twin(tmp_path / "torn", [records for _, _, records in appends[: number + 1]], files)
            disk.restore()  # raises when it is neither
            disk.close()
            cases += 1
    assert cases > 100


def _twin(folder: Path, appends: Sequence[Sequence[Record]], files: Files) -> JournalDisk:
    """A disk that acknowledged all appends but the last, and was left with these files."""
    folder.mkdir(exist_ok=True)
    disk = JournalDisk(folder, 0, Random(0), epoch=CONTEXT.epoch)
    for records in appends[:-1]:
        disk.model_only(records)
    disk.left_with(files, appends[-1])
    return disk


class _Hasty(Journal):
    """A planted bug: each record in a transaction of its own."""

    def append(self, records: Sequence[Record], notes: Mapping[str, bytes] | None = None) -> None:
        for record in records:
            super().append([record])


class _Forgetful(Journal):
    """A planted bug: every append is acknowledged before it is written, with the next one."""

    _waiting: Sequence[Record] = ()

    def append(self, records: Sequence[Record], notes: Mapping[str, bytes] | None = None) -> None:
        waiting, self._waiting = self._waiting, records
        super().append(waiting)


def test_11_a_wrong_journal_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the oracle sees records that were torn apart, and such that were lost."""
    monkeypatch.setattr(journals, "Journal", _Hasty)
    with pytest.raises(AssertionError, match="another state"):
        test_11_torn_tail(tmp_path)
    monkeypatch.setattr(journals, "Journal", _Forgetful)
    with pytest.raises(AssertionError, match="another state"):
        test_11_kill_at_every_journal_point(VICTIMS[0])
