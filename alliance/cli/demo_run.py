"""The demo's course: an alliance lives, loses a member, gets it back, and can prove all it did."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.cli.demo_cluster import Cluster
from alliance.cli.demo_proofs import PartFailed, Proofs
from alliance.cli.demo_story import Story
from alliance.cli.output import plural, shown, write_file
from alliance.errors import AllianceError

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.config import AllianceConfig

SINGLES_MAX = 100
"""Commands proposed one at a time, to see what one takes."""

CATCH_UP_SECONDS = 30.0
POLL_SECONDS = 0.02


@dataclass
class Figures:
    """What the demo reports."""

    members: int
    faults: int
    decided_commands: int = 0
    seconds: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None
    killed: str | None = None
    decided_meanwhile: int = 0
    caught_up_seconds: float | None = None
    leader_killed: str | None = None
    leader_gap_ms: float | None = None
    held: dict[str, bool] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        value = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("held", "failed")
        }
        names = (
            "listeners_agree",
            "kept_deciding",
            "caught_up",
            "leader_replaced",
            "openssl",
            "tampered_refused",
        )
        value |= {name: self.held.get(name, False) for name in names}
        return {**value, "failed": self.failed, "ok": not self.failed}


class Demo:
    """One run. ``run`` goes through the parts; what does not hold is noted, the rest goes on if it can."""

    def __init__(
        self, folder: Path, config: AllianceConfig, passphrase: str, commands: Sequence[bytes], story: Story
    ) -> None:
        self._folder = folder
        self._config = config
        self._passphrase = passphrase
        self._story = story
        self._names = [member.name for member in config.members]
        # The last quarter is for the times when one member is dead, half of it for when that is the leader.
        cut = max(1, len(commands) * 3 // 4)
        late = max(cut + 1, len(commands) * 7 // 8)
        self._before, self._meanwhile, self._after = commands[:cut], commands[cut:late], commands[late:]
        self._proposed: list[bytes] = []
        self.cluster = Cluster(folder, passphrase)
        self.figures = Figures(config.system.member_count, config.system.faulty_max)

    async def run(self) -> None:
        from alliance.client import connect

        try:
            await self._part("servers", self._servers)
            secret = self._passphrase.encode()
            home = self._folder / "clients"
            async with (
                await connect(home / "client-1", secret) as first,
                await connect(home / "client-2", secret) as second,
            ):
                await self._part("ordering", lambda: self._order(first))
                await self._part("listeners_agree", lambda: self._listen(first, second))
                await self._part("kept_deciding", lambda: self._kill(first))
                await self._part("caught_up", lambda: self._restart(first))
                await self._part("leader_replaced", lambda: self._kill_leader(first))
            await self._prove()
        except _Over:
            pass
        finally:
            with self._story.waiting("ending the servers"):
                await self.cluster.stop()

    async def _part(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (AllianceError, OSError) as error:
            self.figures.failed.append(f"{name}: {error}")
            self.figures.held[name] = False
            self._story.fault(str(error))
            if name in ("servers", "ordering"):
                raise _Over from None
        else:
            self.figures.held[name] = True

    # -- the parts -----------------------------------------------------------------------------------

    async def _servers(self) -> None:
        count = len(self._names)
        self._story.chapter(
            "Each organisation runs its own server",
            "Real processes with mutual TLS between them. Each knows the others by their certificates, keeps"
            " a journal that is synced before it speaks, and holds its share of the key in a process apart.",
        )
        with self._story.waiting(f"starting {count} servers"):
            begin = time.monotonic()
            await self.cluster.start(self._names)
        self._story.fact(f"{count} servers are ready after {time.monotonic() - begin:.1f} s")

    async def _order(self, client: Client) -> None:
        system = self._config.system
        self._story.chapter(
            "A client proposes",
            f"The leader, {self._names[0]}, gives a command its place; {system.decision} of"
            f" {system.member_count} members accept it, and it is decided, after two message delays: also if"
            f" {plural(system.faulty_max, 'other member')} should be silent, or lie. The answer is a receipt,"
            " signed by the quorum.",
        )
        alone = min(SINGLES_MAX, max(1, len(self._before) // 2))
        latencies = []
        # The first one opens the connection, which takes longer and happens once.
        await self._propose_all(client, self._before[:1])
        with self._story.waiting("proposing one command at a time"):
            for command in self._before[1 : 1 + alone]:
                begin = time.monotonic()
                receipt = await client.propose(command)
                latencies.append(time.monotonic() - begin)
                receipt.verify(client.public_key)
                self._proposed.append(command)
        latencies.sort()
        self.figures.p50_ms, self.figures.p99_ms = _percentile(latencies, 0.5), _percentile(latencies, 0.99)
        self._story.fact(
            f"{plural(alone, 'command')} one after the other: a receipt takes {self.figures.p50_ms:g} ms"
            f" (p50), {self.figures.p99_ms:g} ms (p99)"
        )
        if rest := self._before[1 + alone :]:
            seconds = await self._propose_all(client, rest)
            self._story.fact(f"{len(rest):,} more together, in {seconds:.2f} s")

    async def _listen(self, first: Client, second: Client) -> None:
        near, far = self._names[1 % len(self._names)], self._names[-2 % len(self._names)]
        self._story.chapter(
            "Two listeners hear the same",
            "Total order is what an alliance is for. Two clients ask two servers and believe neither: each"
            " checks what it hears against the quorum's signature.",
        )
        heard = await asyncio.gather(_hear(first, near), _hear(second, far))
        for number, command in enumerate(heard[0][:3], 1):
            self._story.quote(f"{number}  {shown(command)}")
        self._story.quote("…")
        if heard[0] != heard[1]:
            raise PartFailed(
                f"{near} and {far} give different orders: {_digest(heard[0])}, {_digest(heard[1])}"
            )
        if heard[0] != self._proposed:
            raise PartFailed("what is heard is not what was proposed")
        for name, commands in zip((near, far), heard, strict=True):
            self._story.fact(f"{name}: {plural(len(commands), 'command')}, SHA-256 {_digest(commands)}")

    async def _kill(self, client: Client) -> None:
        victim = self._names[-1]
        self._story.chapter(
            "One member dies",
            f"{victim} gets SIGKILL: no farewell, no last write. {self._config.system.decision} members are"
            " left, which is enough.",
        )
        pid = await self.cluster.kill(victim)
        self.figures.killed = victim
        self._story.fact(f"{victim} is dead (process {pid})")
        seconds = await self._propose_all(client, self._meanwhile)
        self.figures.decided_meanwhile = len(self._meanwhile)
        self._story.fact(
            f"the others decide {plural(len(self._meanwhile), 'command')} in {seconds:.2f} s, as if"
            " nothing had happened"
        )

    async def _restart(self, client: Client) -> None:
        victim = self._names[-1]
        self._story.chapter(
            "It comes back",
            "It replays its journal, finds its peers, and fetches what it missed. It believes none of them:"
            " what they send is checked against the quorum's signature, too.",
        )
        begin = time.monotonic()
        with self._story.waiting(f"{victim} starts"):
            await self.cluster.start([victim])
            ready = time.monotonic() - begin
            slot = await self._caught_up(client, victim)
        self.figures.caught_up_seconds = round(time.monotonic() - begin, 2)
        self._story.fact(
            f"{victim} listens after {ready:.1f} s, and after {self.figures.caught_up_seconds:g} s it can"
            f" prove everything up to slot {slot}, as the others can"
        )

    async def _kill_leader(self, client: Client) -> None:
        leader, heir = self._names[0], self._names[1 % len(self._names)]
        self._story.chapter(
            "The leader dies",
            f"{leader}, which gave every command its place, gets SIGKILL. The others miss its decisions,"
            f" suspect it together, and report to {heir} what they accepted. What may be decided stays: each"
            f" member computes that for itself and takes no word of {heir}'s for it.",
        )
        pid = await self.cluster.kill(leader)
        begin = time.monotonic()
        self.figures.leader_killed = leader
        self._story.fact(f"{leader} is dead (process {pid})")
        with self._story.waiting("the others elect another leader"):
            receipt = await client.propose(
                self._after[0] if self._after else b"the next leader's first order"
            )
        self.figures.leader_gap_ms = round(1000 * (time.monotonic() - begin), 1)
        receipt.verify(client.public_key)
        self._proposed.append(receipt.command)
        views = {member.view for member in await client.status() if member.reachable}
        if 0 in views:
            raise PartFailed(f"{leader} is dead, and some members still wait for it")
        self._story.fact(f"the next command has its receipt {self.figures.leader_gap_ms:g} ms later")
        if self._after[1:]:
            seconds = await self._propose_all(client, self._after[1:])
            self._story.fact(
                f"{plural(len(self._after) - 1, 'command')} more under the new leader, in {seconds:.2f} s"
            )
        heard = await asyncio.gather(_hear(client, heir), _hear(client, self._names[-1]))
        if any(commands != self._proposed for commands in heard):
            raise PartFailed("after the change of leaders, what is heard is not what was proposed")
        self.figures.decided_commands = len(self._proposed)
        self._story.fact(f"all {len(self._proposed)} are heard in the order in which they were proposed")

    async def _caught_up(self, client: Client, victim: str) -> int:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                for _ in itertools.count():
                    members = {member.name: member for member in await client.status()}
                    slots = {member.certified for member in members.values() if member.reachable}
                    if members[victim].reachable and slots == {members[victim].certified}:
                        return members[victim].certified
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            pass
        raise PartFailed(f"{victim} did not catch up within {CATCH_UP_SECONDS:g} s")

    async def _prove(self) -> None:
        proofs = Proofs(self._folder, self._story)
        self._story.chapter(
            "A receipt convinces strangers",
            "The responses of the quorum are combined into one RSA signature. Whoever has public.pem can"
            " check it with tools that never heard of this project.",
        )
        await self._part("openssl", proofs.openssl)
        self._story.chapter(
            "A forger does not get through",
            "Fewer members than a quorum cannot sign, and nobody can bend what was signed.",
        )
        await self._part("tampered_refused", proofs.tampered)

    async def _propose_all(self, client: Client, commands: Sequence[bytes]) -> float:
        begin = time.monotonic()
        last = None
        with self._story.waiting(f"proposing {plural(len(commands), 'command')}"):
            async for last in client.propose_all(commands):
                self._proposed.append(last.command)
        self.figures.decided_commands = len(self._proposed)
        if last is not None:
            last.verify(client.public_key)
            write_file(self._folder / "receipt.json", last.to_json().encode())
        return time.monotonic() - begin


class _Over(Exception):
    """What follows makes no sense any more."""


async def _hear(client: Client, server: str) -> list[bytes]:
    return [entry.command async for entry in client.listen(follow=False, server=server)]


def _digest(commands: Sequence[bytes]) -> str:
    framed = b"".join(len(command).to_bytes(4, "big") + command for command in commands)
    return sha256(framed).hexdigest()[:16] + "…"


def _percentile(ordered: Sequence[float], share: float) -> float:
    """In milliseconds: the smallest value that at least ``share`` of all values do not exceed."""
    return round(1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)
