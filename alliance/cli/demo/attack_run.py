"""``alliance demo --attack``: one way to lie, and what it costs the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from alliance.cli.demo.attack import Attack
from alliance.cli.demo.attack_kinds import AttackPlan
from alliance.cli.demo.narration import Narration
from alliance.cli.demo.run import Figures, Run

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.config.file import AllianceConfig

COMPARE_SECONDS = 2.0


@dataclass
class AttackFigures(Figures):
    PARTS: ClassVar[tuple[str, ...]] = ("withstood", "logs_agree", "blame_is_right", "openssl")
    liar: dict[str, Any] | None = None


class Attacked(Run):
    """An alliance at work, first without a liar, then with one."""

    ESSENTIAL = ("servers", "ordering", "attack")
    figures: AttackFigures

    def __init__(
        self, folder: Path, config: AllianceConfig, passphrase: str, plan: AttackPlan, narration: Narration
    ) -> None:
        super().__init__(folder, config, passphrase, narration)
        self._plan = plan
        self.figures = AttackFigures(config.system.member_count, config.system.faulty_max)

    async def live(self, first: Client, second: Client) -> None:
        attack = Attack(self, [first, second], self._plan.among(self.config.system))
        try:
            await self.part("ordering", lambda: self._compare(attack))
            await self.part("attack", attack.begin)
            await self.part("withstood", attack.endure)
            self.narration.chapter(
                "Nothing wrong is decided",
                "Each correct member is asked for its log, and what it tells is checked against the quorum's"
                " signature and against the receipts that the clients got.",
            )
            await self.part("logs_agree", attack.agree)
            await self.part("blame_is_right", attack.judge)
        finally:
            self.figures.liar = attack.outcome.report()

    async def _compare(self, attack: Attack) -> None:
        self.narration.chapter(
            "Honest, for comparison",
            "Two clients have eight commands under way at once, two of client-1 and six of client-2.",
        )
        await attack.compare(COMPARE_SECONDS)
