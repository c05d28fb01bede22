"""``alliance demo --attack``: one way to lie, and what it costs the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from alliance.cli.demo.attack import Siege
from alliance.cli.demo.attack_kinds import Plot
from alliance.cli.demo.narration import Story
from alliance.cli.demo.run import Course, Figures

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.config.file import AllianceConfig

COMPARE_SECONDS = 2.0


@dataclass
class AttackFigures(Figures):
    PARTS: ClassVar[tuple[str, ...]] = ("withstood", "logs_agree", "blame_is_right", "openssl")
    liar: dict[str, Any] | None = None


class Attacked(Course):
    """An alliance at work, first without a liar, then with one."""

    ESSENTIAL = ("servers", "ordering", "attack")
    figures: AttackFigures

    def __init__(
        self, folder: Path, config: AllianceConfig, passphrase: str, plot: Plot, story: Story
    ) -> None:
        super().__init__(folder, config, passphrase, story)
        self._plot = plot
        self.figures = AttackFigures(config.system.member_count, config.system.faulty_max)

    async def live(self, first: Client, second: Client) -> None:
        siege = Siege(self, [first, second], self._plot)
        try:
            await self.part("ordering", lambda: self._compare(siege))
            await self.part("attack", siege.begin)
            await self.part("withstood", siege.endure)
            self.story.chapter(
                "Nothing wrong is decided",
                "Each correct member is asked for its log, and what it tells is checked against the quorum's"
                " signature and against the receipts that the clients got.",
            )
            await self.part("logs_agree", siege.agree)
            await self.part("blame_is_right", siege.judge)
        finally:
            self.figures.liar = siege.outcome.report()

    async def _compare(self, siege: Siege) -> None:
        self.story.chapter(
            "Honest, for comparison",
            "Two clients have eight commands under way at once, two of client-1 and six of client-2.",
        )
        await siege.compare(COMPARE_SECONDS)
