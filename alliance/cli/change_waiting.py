"""Waiting until a change is in effect, and what somebody at a terminal sees of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli.output import talk, talker
from alliance.errors import AllianceError, ChangeRefused, NotInEffect

if TYPE_CHECKING:
    from alliance.changes.carry import Carried
    from alliance.changes.change_file import ChangeFile
    from alliance.changes.followed import Advance, Followed
    from alliance.client import Client
    from consensus.control import ControlState

PROGRESS_SLOTS = 64
"""From so many slots on, there is something to watch."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a command waits: for ``timeout`` seconds at each step, reading the log by its client.

    ``tell`` is told what happens; whoever sits at a terminal is, if it is None.
    """

    folder: Path
    timeout: float
    client: Client
    followed: Followed
    advance: Advance
    tell: Callable[[str], None] | None = None

    async def until_in_effect(self, slot: int, effective: int) -> None:
        """Until the log is at ``effective``, of what was taken at ``slot``. Raises NotInEffect."""
        from alliance.changes.followed import follow

        try:
            async with asyncio.timeout(self.timeout):
                await follow(self.client, self.followed, effective, self.advance)
                return
        except TimeoutError:
            problem = f"it did not get there within {self.timeout:g} s"
        except AllianceError as error:
            problem = str(error)
        raise NotInEffect(
            f"the change is taken at slot {slot} and is in effect behind slot {effective}, and the log is at"
            f" slot {self.followed.frontier.size} ({problem}); do not send it again: 'alliance change show"
            f" {self.folder}' says when it is in effect"
        )

    async def until_it_has_ended(self, change: ChangeFile, carried: Carried) -> Carried:
        """Until the epoch of a change that has begun begins. Raises NotInEffect when nothing new comes of it.

        Raises ChangeRefused when it is given up: after its last attempt, or because operators end it.
        """
        from alliance.changes.carry import Fate
        from alliance.changes.followed import watch
        from alliance.changes.progress import Progress

        story = Story(change.digest, self.followed.control, self.tell or _at_a_terminal())
        try:
            async with asyncio.timeout(self.timeout) as clock:
                loop = asyncio.get_running_loop()
                story.again = lambda: clock.reschedule(loop.time() + self.timeout)
                await watch(self.client, self.followed, story.over, self.advance)
        except TimeoutError:
            problem = f"nothing new came of it within {self.timeout:g} s"
        except AllianceError as error:
            problem = str(error)
        else:
            if story.scheduled:
                return replace(carried, fate=Fate.TAKEN, effective=self.followed.control.start)
            raise ChangeRefused(
                f"the change is given up at slot {self.followed.control.slot}, after its last attempt or"
                " because operators ended it: the alliance runs on as it was; find out who did not deal or"
                " was not ready, and propose it anew"
            )
        far = Progress.of(self.followed.control)
        raise NotInEffect(
            f"the change is approved at slot {carried.slot}, and {problem}: {_how_far(far)}; do not send it"
            f" again: 'alliance change show {self.folder} --watch' tells how it goes on"
        )


@dataclass
class Story:
    """What is told of a change under way, slot by slot. ``again`` is called when there was news.

    ``scheduled``: its epoch has begun, or its end is known.
    """

    digest: bytes
    control: ControlState
    tell: Callable[[str], None]
    again: Callable[[], None] = lambda: None
    scheduled: bool = False

    def over(self, control: ControlState) -> bool:
        """Whether nothing more will come of the change, after one more slot."""
        from alliance.changes.progress import news

        before, self.control = self.control, control
        lines = news(before, control)
        for line in lines:
            self.tell(line)
        if lines:
            self.again()
        if any(one.change_id == self.digest for one in control.scheduled):
            self.scheduled = True
        return self.digest not in [one.change_id for one in control.under_way]


def _how_far(far: object) -> str:
    from alliance.changes.progress import Progress, counted

    if not isinstance(far, Progress):
        return "nothing is under way"
    dealt = f" {counted(len(far.dealt), far.dealers)} have dealt," if far.dealers else ""
    return f"attempt {far.attempt},{dealt} {counted(len(far.ready), far.readies)} are ready"


def _at_a_terminal() -> Callable[[str], None]:
    return talk if talker().is_terminal else lambda line: None


@contextmanager
def progress() -> Iterator[Advance]:
    """A bar on standard error while slots pass, if somebody is watching and there are enough of them."""
    console = talker()
    if not console.is_terminal:
        yield lambda slot, until: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("slot"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("slots", visible=False)

        begun: dict[int, int] = {}

        def advance(slot: int, until: int) -> None:
            many = until - begun.setdefault(until, slot) >= PROGRESS_SLOTS
            bar.update(task, completed=slot, total=until, visible=many)

        yield advance
