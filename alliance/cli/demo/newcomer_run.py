"""The demo's run: an alliance loses members, gets them back, withstands a liar, and can prove it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from alliance.cli.demo.attack import Attack
from alliance.cli.demo.attack_kinds import ALL
from alliance.cli.demo.load import percentile
from alliance.cli.demo.lock import Locking, available
from alliance.cli.demo.narration import Narration
from alliance.cli.demo.proofs import PartFailed, Proofs
from alliance.cli.demo.run import Figures, Run
from alliance.cli.demo.verdict import digest, hear, short
from alliance.cli.output import plural, shown

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.config.file import AllianceConfig

SINGLES_MAX = 100
"""Commands proposed one at a time, to see what one takes."""

COMPARE_SECONDS = 1.5


@dataclass
class DemoFigures(Figures):
    PARTS: ClassVar[tuple[str, ...]] = (
        *("listeners_agree", "kept_deciding", "caught_up", "leader_replaced", "withstood_liar"),
        *("logs_agree", "liar_blamed", "openssl", "tampered_refused"),
    )
    p50_ms: float | None = None
    p99_ms: float | None = None
    killed: str | None = None
    decided_meanwhile: int = 0
    caught_up_seconds: float | None = None
    leader_killed: str | None = None
    leader_gap_ms: float | None = None
    liar: dict[str, Any] | None = None
    tokens: list[int] | None = None


class Demo(Run):
    """The whole narration. Of the members, never more than one is dead or lying at the same time."""

    ESSENTIAL = ("servers", "ordering")
    figures: DemoFigures

    def __init__(
        self,
        folder: Path,
        config: AllianceConfig,
        passphrase: str,
        commands: Sequence[bytes],
        narration: Narration,
    ) -> None:
        super().__init__(folder, config, passphrase, narration)
        # The last quarter is for the times when one member is dead, half of it for when that is the leader.
        cut = max(1, len(commands) * 3 // 4)
        late = max(cut + 1, len(commands) * 7 // 8)
        self._before, self._meanwhile, self._after = commands[:cut], commands[cut:late], commands[late:]
        self.figures = DemoFigures(config.system.member_count, config.system.faulty_max)

    async def live(self, first: Client, second: Client) -> None:
        await self.part("ordering", lambda: self._order(first))
        await self.part("listeners_agree", lambda: self._listen(first, second))
        await self.part("kept_deciding", lambda: self._kill(first))
        await self.part("caught_up", lambda: self._restart(first))
        await self.part("leader_replaced", lambda: self._kill_leader(first))
        attack = Attack(self, [first, second], ALL.among(self.config.system))
        await self.part("withstood_liar", lambda: self._suffer(attack))
        await self.part("logs_agree", attack.agree)
        await self.part("liar_blamed", attack.judge)
        self.figures.liar = attack.outcome.report()

    async def prove(self) -> None:
        await super().prove()
        self.narration.chapter(
            "A forger does not get through",
            "Fewer members than a quorum cannot sign, and nobody can bend what was signed.",
        )
        await self.part("tampered_refused", Proofs(self.folder, self.narration).tampered)
        if available():
            await self.part("stale_token_refused", self._lock)
        else:
            self.narration.remark(
                "The lock service is in examples/ of the source, which is not here: left out."
            )

    # -- the parts -----------------------------------------------------------------------------------

    async def _lock(self) -> None:
        self.figures.tokens = await Locking(
            self.folder, self.config, self._passphrase, self.cluster, self.narration
        ).run()

    async def _order(self, client: Client) -> None:
        system = self.config.system
        self.narration.chapter(
            "A client proposes",
            f"The leader, {self.names[0]}, gives a command its place; {system.decision} of"
            f" {system.member_count} members accept it, and it is decided, after two message delays: also if"
            f" {plural(system.faulty_max, 'other member')} should be silent, or lie. The answer is a receipt,"
            " signed by the quorum.",
        )
        alone = min(SINGLES_MAX, max(1, len(self._before) // 2))
        latencies = []
        # The first one opens the connection, which takes longer and happens once.
        await self._propose_all(client, self._before[:1])
        with self.narration.waiting("proposing one command at a time"):
            for command in self._before[1 : 1 + alone]:
                begin = time.monotonic()
                receipt = await client.propose(command)
                latencies.append(time.monotonic() - begin)
                receipt.verify(client.public_key)
                self.receipts.append(receipt)
        latencies.sort()
        self.figures.p50_ms, self.figures.p99_ms = percentile(latencies, 0.5), percentile(latencies, 0.99)
        self.narration.fact(
            f"{plural(alone, 'command')} one after the other: a receipt takes {self.figures.p50_ms:g} ms"
            f" (p50), {self.figures.p99_ms:g} ms (p99)"
        )
        if rest := self._before[1 + alone :]:
            seconds = await self._propose_all(client, rest)
            self.narration.fact(f"{len(rest):,} more together, in {seconds:.2f} s")

    async def _listen(self, first: Client, second: Client) -> None:
        near, far = self.names[1 % len(self.names)], self.names[-2 % len(self.names)]
        self.narration.chapter(
            "Two listeners hear the same",
            "Total order is what an alliance is for. Two clients ask two servers and believe neither: each"
            " checks what it hears against the quorum's signature.",
        )
        await self.settled(first, self.names)  # the second client knows of no receipt of the first one's
        logs = await asyncio.gather(hear(first, near), hear(second, far))
        heard = [[entry.command for entry in log] for log in logs]
        digests = [short(digest(commands)) for commands in heard]
        for number, command in enumerate(heard[0][:3], 1):
            self.narration.quote(f"{number}  {shown(command)}")
        self.narration.quote("…")
        if heard[0] != heard[1]:
            raise PartFailed(f"{near} and {far} give different orders: {' and '.join(digests)}")
        if heard[0] != self._proposed:
            raise PartFailed("what is heard is not what was proposed")
        for name, commands, said in zip((near, far), heard, digests, strict=True):
            self.narration.fact(f"{name}: {plural(len(commands), 'command')}, SHA-256 {said}")

    async def _kill(self, client: Client) -> None:
        victim = self.names[-1]
        self.narration.chapter(
            "One member dies",
            f"{victim} gets SIGKILL: no farewell, no last write. {self.config.system.decision} members are"
            " left, which is enough.",
        )
        pid = await self.cluster.kill(victim)
        self.figures.killed = victim
        self.narration.fact(f"{victim} is dead (process {pid})")
        seconds = await self._propose_all(client, self._meanwhile)
        self.figures.decided_meanwhile = len(self._meanwhile)
        self.narration.fact(
            f"the others decide {plural(len(self._meanwhile), 'command')} in {seconds:.2f} s, as if"
            " nothing had happened"
        )

    async def _restart(self, client: Client) -> None:
        victim = self.names[-1]
        self.narration.chapter(
            "It comes back",
            "It replays its journal, finds its peers, and fetches what it missed. It believes none of them:"
            " what they send is checked against the quorum's signature, too.",
        )
        ready, seconds, slot = await self._return(client, victim)
        self.figures.caught_up_seconds = seconds
        self.narration.fact(
            f"{victim} listens after {ready:.1f} s, and after {seconds:g} s it can prove everything up to"
            f" slot {slot}, as the others can"
        )

    async def _kill_leader(self, client: Client) -> None:
        standing = await self.settled(client, self.names)
        leader = standing.leader
        heir = self.names[(self.names.index(leader) + 1) % len(self.names)]
        self.narration.chapter(
            "The leader dies",
            f"{leader}, which gave every command its place, gets SIGKILL. The others miss its decisions,"
            f" suspect it together, and report to {heir} what they accepted. What may be decided stays: each"
            f" member computes that for itself and does not rely on {heir}.",
        )
        pid = await self.cluster.kill(leader)
        begin = time.monotonic()
        self.figures.leader_killed = leader
        self.narration.fact(f"{leader} is dead (process {pid})")
        with self.narration.waiting("the others elect another leader"):
            receipt = await client.propose(
                self._after[0] if self._after else b"the next leader's first order"
            )
        self.figures.leader_gap_ms = round(1000 * (time.monotonic() - begin), 1)
        receipt.verify(client.public_key)
        self.receipts.append(receipt)
        views = {member.view for member in await client.status() if member.reachable}
        if standing.view in views:
            raise PartFailed(f"{leader} is dead, and some members still wait for it")
        self.narration.fact(f"the next command has its receipt {self.figures.leader_gap_ms:g} ms later")
        if self._after[1:]:
            seconds = await self._propose_all(client, self._after[1:])
            self.narration.fact(
                f"{plural(len(self._after) - 1, 'command')} more under the new leader, in {seconds:.2f} s"
            )
        logs = await asyncio.gather(hear(client, heir), hear(client, self.names[-1]))
        if any([entry.command for entry in log] != self._proposed for log in logs):
            raise PartFailed("after the change of leaders, what is heard is not what was proposed")
        self.narration.fact(f"all {len(self.receipts)} are heard in the order in which they were proposed")
        _, seconds, _ = await self._return(client, leader)
        self.narration.fact(f"{leader} is back after {seconds:g} s, and follows the new leader")

    async def _suffer(self, attack: Attack) -> None:
        await attack.compare(COMPARE_SECONDS)
        await attack.begin()
        await attack.endure()

    async def _return(self, client: Client, name: str) -> tuple[float, float, int]:
        """Starts a member again: seconds until it listens, and until it has all of the log; its last slot."""
        begin = time.monotonic()
        with self.narration.waiting(f"{name} starts"):
            await self.cluster.start([name])
            ready = time.monotonic() - begin
            standing = await self.settled(client, self.names)
        return ready, round(time.monotonic() - begin, 2), standing.certified

    # -- proposing -----------------------------------------------------------------------------------

    @property
    def _proposed(self) -> list[bytes]:
        return [receipt.command for receipt in self.receipts]

    async def _propose_all(self, client: Client, commands: Sequence[bytes]) -> float:
        begin = time.monotonic()
        with self.narration.waiting(f"proposing {plural(len(commands), 'command')}"):
            async for receipt in client.propose_all(commands):
                self.receipts.append(receipt)
        self.receipts[-1].verify(client.public_key)
        return time.monotonic() - begin
