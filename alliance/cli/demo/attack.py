"""One member lies: it is set among the others, they are put to work, and it is seen what becomes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from alliance.cli.demo.load import Load, Throughput
from alliance.cli.demo.proofs import PartFailed
from alliance.cli.demo.run import Run
from alliance.cli.demo.verdict import Blames, one_log, short
from alliance.cli.output import plural

if TYPE_CHECKING:
    from alliance.cli.demo.attack_kinds import AttackPlan
    from alliance.client import Client, MemberStatus

WATCH_SECONDS = 0.1


@dataclass
class Outcome:
    """The figures of an attack. Rates are in commands per second, as clients see them."""

    attack: str
    member: str | None = None
    before: Throughput | None = None
    during: Throughput | None = None
    replaced_after_ms: float | None = None
    lies: dict[str, int] = field(default_factory=dict)
    blamed: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    log_sha256: str | None = None

    def report(self) -> dict[str, Any]:
        return asdict(self)


class Attack:
    """The parts of an attack, to be called in their order."""

    def __init__(self, run: Run, clients: Sequence[Client], plan: AttackPlan) -> None:
        self._run = run
        self._narration = run.narration
        self._client = clients[0]
        self._plan = plan
        self._load = Load(clients, run.receipts)
        self._blames = Blames(())
        self.outcome = Outcome(plan.attack)

    @property
    def _correct(self) -> list[str]:
        return [name for name in self._run.names if name != self.outcome.member]

    async def _told(self) -> list[MemberStatus]:
        """What the correct members say of themselves."""
        return [member for member in await self._client.status() if member.name in self._correct]

    async def compare(self, seconds: float) -> None:
        """Without the attack."""
        with self._narration.waiting("two clients propose"):
            self.outcome.before = throughput = await self._load.run(seconds)
        self._narration.fact(
            f"two clients at once, all members honest: {throughput.per_second:g} commands a second, a receipt"
            f" takes {throughput.p50_ms:g} ms (p50), {throughput.p99_ms:g} ms (p99)"
        )

    async def begin(self) -> None:
        """The leader's server is exchanged for one that lies. Raises PartFailed, ServerFailed."""
        run = self._run
        leader = (await run.settled(self._client, run.names)).leader
        self.outcome.member = leader
        self._narration.chapter(self._plan.title, self._plan.text.format(leader=leader))
        cluster = run.cluster
        with self._narration.waiting(f"{leader} is exchanged"):
            await cluster.kill(leader)
            self._blames = Blames(await self._told())
            await cluster.start_liar(leader, self._plan.attack)
            now = await run.settled(self._client, self._correct, run.names)
        if now.leader != leader:
            raise PartFailed(f"{leader} lost its place before it could lie: is this machine very busy?")

    async def endure(self) -> None:
        """The clients go on until the liar has what it deserves. Raises PartFailed if it keeps its place."""
        plan, outcome = self._plan, self.outcome
        watch = asyncio.create_task(self._watch())
        try:
            with self._narration.waiting(f"two clients propose, and {outcome.member} lies"):
                outcome.during = throughput = await self._load.run(plan.seconds, self._seen)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        before = f" instead of {outcome.before.per_second:g}" if outcome.before is not None else ""
        self._narration.fact(
            f"{plural(throughput.commands, 'command')} decided all the same,"
            f" {throughput.per_second:g} a second{before}; the longest gap was {throughput.gap_ms:g} ms,"
            f" and a command of client-1 took up to {throughput.first_client_ms:g} ms"
        )
        replaced = outcome.replaced_after_ms
        if plan.replaced is True and replaced is None:
            raise PartFailed(f"the others did not replace {outcome.member}")
        self._narration.fact(
            f"the others replaced {outcome.member} as leader after {replaced:g} ms"
            if replaced is not None
            else f"{outcome.member} still leads"
        )

    def _seen(self) -> bool:
        """Whether it is replaced and blamed, where that is to be shown: a busy machine takes longer."""
        replaced = self.outcome.replaced_after_ms is not None or not self._plan.replaced
        return replaced and (bool(self.outcome.blamed) or not self._plan.blamed)

    async def _watch(self) -> None:
        """Notes whom the correct members blame, and when all have another leader, ten times a second."""
        begin, outcome = time.monotonic(), self.outcome
        while not self._seen() or outcome.replaced_after_ms is None:
            await asyncio.sleep(WATCH_SECONDS)
            members = await self._told()
            outcome.blamed = self._blames.read(members)
            follow = all(m.reachable and m.leader != outcome.member for m in members)
            if follow and outcome.replaced_after_ms is None:
                outcome.replaced_after_ms = round(1000 * (time.monotonic() - begin), 1)

    async def agree(self) -> None:
        """Raises PartFailed unless all correct members have one log, which is that of the receipts."""
        outcome, receipts = self.outcome, self._run.receipts
        await self._run.settled(self._client, self._correct)
        outcome.log_sha256 = await one_log(self._client, self._correct, receipts)
        self._narration.fact(
            f"the {len(self._correct)} correct members tell one log, at each place what the receipts prove:"
            f" {plural(len(receipts), 'command')}, SHA-256 {short(outcome.log_sha256)}"
        )

    async def judge(self) -> None:
        """Ends the liar. Raises PartFailed when it did nothing, or when others are blamed, or it is not."""
        outcome, liar = self.outcome, self.outcome.member or ""
        outcome.lies = await self._run.cluster.end_liar(liar)
        if not outcome.lies:
            raise PartFailed(f"{liar} did not lie: nothing has been shown")
        did = ", ".join(f"{what}: {count:,}" for what, count in outcome.lies.items())
        self._narration.fact(f"what {liar} did, by its own account: {did}")
        outcome.blamed = self._blames.read(await self._told())
        for member, reasons in outcome.blamed.items():
            for reason, by in reasons.items():
                who = f"all {len(by)}" if len(by) == len(self._correct) else ", ".join(sorted(by))
                self._narration.fact(f'{who} blame {member}: "{reason}"')
        expected = {liar} if self._plan.blamed else set()
        if wrong := sorted(outcome.blamed.keys() - expected):
            raise PartFailed(
                f"{', '.join(wrong)} did nothing that others could hold against it, and is blamed"
            )
        if expected and not outcome.blamed:
            raise PartFailed(f"nobody blames {liar}: no correct member was shown what proves its lie")
        self._narration.remark(self._plan.moral)
