"""``alliance demo --change``: members come and go, shares are handed on, and the public key stays."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from alliance.cli.demo.load import LONGEST_SECONDS
from alliance.cli.demo.narration import Narration
from alliance.cli.demo.operators import STEP_SECONDS, Operators, ask
from alliance.cli.demo.proofs import PartFailed, alliance
from alliance.cli.demo.run import Figures, Run
from alliance.cli.demo.verdict import one_log, short
from alliance.cli.output import plural, write_file

if TYPE_CHECKING:
    from alliance.client import Client
    from alliance.config.file import AllianceConfig
    from alliance.proofs.receipt import Receipt

FIRST_COMMANDS = 20
PAUSE_SECONDS = 0.2
"""Between two commands of the client that proposes all the time: the machine has other things to do."""


@dataclass
class ChangeFigures(Figures):
    """``epochs``: the kind of each change, the epoch that it began, and the seconds it took."""

    PARTS: ClassVar[tuple[str, ...]] = (
        *("members_changed", "shares_refreshed", "none_lost", "logs_agree", "key_unchanged"),
        *("openssl", "last_receipt"),
    )
    replaced: str | None = None
    joined: str | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    decided_meanwhile: int = 0
    gap_ms: float | None = None
    log_sha256: str | None = None


class Steady:
    """One client that proposes one command after the other, whatever happens to the members."""

    def __init__(self, client: Client, receipts: list[Receipt]) -> None:
        """``receipts`` grows by all that is proposed."""
        self._client, self._receipts = client, receipts
        self._number = itertools.count(1)
        self._ending = False
        self._gap = 0.0
        self._task = asyncio.create_task(self._propose())

    async def end(self) -> float:
        """When the command under way has its receipt: the longest time without one, in ms.

        Raises what ``propose`` raises, and InvalidCertificate.
        """
        self._ending = True
        await self._task
        return round(1000 * self._gap, 1)

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _propose(self) -> None:
        last = time.monotonic()
        while not self._ending:
            receipt = await self._client.propose(b"reading %d" % next(self._number), timeout=LONGEST_SECONDS)
            receipt.verify(self._client.public_key)
            self._receipts.append(receipt)
            self._gap = max(self._gap, time.monotonic() - last)
            last = time.monotonic()
            await asyncio.sleep(PAUSE_SECONDS)


class Changed(Run):
    """A disk is destroyed and its member replaced, one more organisation comes, all shares are refreshed."""

    ESSENTIAL = ("servers", "ordering", "members_changed")
    figures: ChangeFigures

    def __init__(
        self, folder: Path, config: AllianceConfig, passphrase: str, address: str, narration: Narration
    ) -> None:
        """``address`` is for the organisation that comes."""
        super().__init__(folder, config, passphrase, narration)
        self._address = address
        self._secret = folder.parent / "passphrase"
        self._begin = time.monotonic()
        self._old, self._new = self.names[-1], f"member-{len(self.names) + 1}"
        carrier = folder / "clients" / "client-3"
        self._operators = Operators(folder.parent / "operators", carrier, self._secret, self._event)
        for member in config.members:
            self._operators.take(member.organisation, self.cluster.home(member.name))
        self.figures = ChangeFigures(config.system.member_count, config.system.faulty_max)

    @property
    def shown(self) -> Receipt:
        """The first one, from before all changes."""
        return self.receipts[0]

    async def live(self, first: Client, second: Client) -> None:
        await self.part("ordering", lambda: self._order(first))
        steady = Steady(first, self.receipts)
        try:
            await self.part("members_changed", self._change_members)
            await self.part("shares_refreshed", self._refresh)
            await self.part("none_lost", lambda: self._count(steady))
        finally:
            await steady.cancel()
        await self.part("logs_agree", lambda: self._compare(first))

    async def prove(self) -> None:
        await self.part("key_unchanged", self._same_key)
        await super().prove()
        await self.part("last_receipt", self._last)

    def _event(self, text: str) -> None:
        self.narration.fact(f"{time.monotonic() - self._begin:5.1f} s  {text}")

    # -- the parts -----------------------------------------------------------------------------------

    async def _order(self, client: Client) -> None:
        self.narration.chapter(
            "The first minute",
            "A client proposes, and keeps the receipt of its first command. From then on it proposes all the"
            " time, whatever becomes of the members.",
        )
        for number in range(1, FIRST_COMMANDS + 1):
            self.receipts.append(await client.propose(b"contract %d" % number))
        self.receipts[0].verify(client.public_key)
        self._event(f"{plural(FIRST_COMMANDS, 'command')} decided; the first one's receipt is kept")

    async def _change_members(self) -> None:
        old, new = self._old, self._new
        self.narration.chapter(
            "A disk is destroyed, and another organisation wants to come",
            f"{old} is killed, and its folder deleted, with its identity, its journal, and its share of the"
            " key. Nobody has a copy. Its organisation begins with an empty folder and new keys; so does"
            f" {new}, which was none of the founders. Both make a request, join, and start their servers.",
        )
        pid = await self.cluster.kill(old)
        shutil.rmtree(self.cluster.home(old))
        self.figures.replaced, self.figures.joined = old, new
        self._event(f"{old} is dead (process {pid}), and its folder is gone")
        serving = await self._ask()
        try:
            await self._let_in()
            await serving
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        self.names.append(new)
        self._event(f"{old} and {new} listen, and take part with shares of their own")

    async def _ask(self) -> asyncio.Task[None]:
        """Both members to be have their keys, and servers that wait until they are members."""
        old, new, home = self._old, self._new, self.cluster.home
        address = {member.name: member.address for member in self.config.members}[old]
        source = self.folder / "clients" / "client-3"
        self.narration.quote(
            f"alliance request {old} --organisation {old} --address {address} --alliance alliance.toml"
            " --operator operator.pem"
        )
        with self.narration.waiting(f"{old} and {new} make their keys"):
            await asyncio.gather(
                ask(old, home(old), address, source, self._secret, self._operators.key(old)),
                ask(new, home(new), self._address, source, self._secret, None),
            )
        self._operators.take(new, home(new))
        self._event(f"{old} and {new} have made their keys, and joined; their servers follow the log")
        return asyncio.create_task(self.cluster.start([old, new], STEP_SECONDS))

    async def _let_in(self) -> None:
        """The operators decide: first that there is one more of them, then about the members."""
        from alliance.changes.offered_keys import read_operator
        from alliance.changes.operator_drafting import operators
        from alliance.founding.by_request import read_request

        old, new = self._old, self._new
        self.narration.chapter(
            "The operators decide, and the others hand the keys on",
            "Whoever answers for an organisation signs for it, offline, and the log counts: no server can let"
            f" anybody in. {self.config.system.decision} members deal new shares to those to come, who check"
            " them. No key is ever put together, and nobody stops deciding meanwhile.",
        )
        there = self.names
        requests = {name: self.cluster.home(name) / f"{name}.request" for name in (old, new)}
        offered = [(str(requests[new]), read_operator(requests[new]))]
        self.narration.quote(f"alliance operator add DIR {new}.request --operator operator.pem")
        await self._operators.decide(
            there,
            lambda state, proposer, until_ms: operators(state, proposer, until_ms, added=offered),
        )
        self._event(f"the organisation {new} has a vote in changes")
        self.narration.quote(f"alliance member replace DIR {old}.request --add {new}.request --operator …")
        asked = {name: (str(path), read_request(path)) for name, path in requests.items()}
        await self._members("replace and add", added=[asked[new]], replaced=[asked[old]])

    async def _refresh(self) -> None:
        self.narration.chapter(
            "All shares are refreshed",
            "Whoever has stolen some of the shares by now has nothing: all members get others, of the same"
            " keys, and erase those that they had.",
        )
        self.narration.quote("alliance refresh DIR --operator operator.pem")
        await self._members("refresh")

    async def _members(self, kind: str, **wanted: Any) -> None:
        """A full change, from the proposal to its epoch."""
        from alliance.changes.member_drafting import Wanted, members
        from alliance.founding.party import largest_key
        from quorum.receivers import receiver_bits

        bits, begin, before = receiver_bits(largest_key(self.config)), time.monotonic(), len(self.receipts)
        done = await self._operators.decide(
            self.names,
            lambda state, proposer, until_ms: members(state, proposer, Wanted(**wanted), bits, until_ms),
        )
        seconds, decided = time.monotonic() - begin, len(self.receipts) - before
        self.figures.epochs.append({"change": kind, "epoch": done.epoch, "seconds": round(seconds, 2)})
        self._event(
            f"epoch {done.epoch} after {seconds:.1f} s, in which {plural(decided, 'command')} were decided"
        )

    async def _count(self, steady: Steady) -> None:
        self.narration.chapter(
            "Nothing is lost",
            "The client never stopped. What it has receipts for is compared with what each member tells, the"
            " two new ones, too.",
        )
        gap = await steady.end()
        self.figures.gap_ms, self.figures.decided_meanwhile = gap, len(self.receipts) - FIRST_COMMANDS
        self._event(
            f"{plural(self.figures.decided_meanwhile, 'command')} proposed meanwhile, each with its receipt;"
            f" the longest gap was {gap:g} ms"
        )

    async def _compare(self, client: Client) -> None:
        await self.settled(client, self.names)
        self.figures.log_sha256 = digest = await one_log(client, self.names, self.receipts)
        self._event(
            f"all {len(self.names)} members tell one log, at each place what the receipts prove:"
            f" {plural(len(self.receipts), 'command')}, SHA-256 {short(digest)}"
        )

    async def _same_key(self) -> None:
        """Raises PartFailed when a member's public key is not the founding's."""
        key = (self.folder / "public.pem").read_bytes()
        for name in self.names:
            if (self.cluster.home(name) / "public.pem").read_bytes() != key:
                raise PartFailed(f"the public key of {name} is not that of the founding")

    async def _last(self) -> None:
        """The receipt of the last epoch, under the key of the first. Raises PartFailed."""
        path = self.folder / "last.json"
        write_file(path, self.receipts[-1].to_json().encode())
        code, said = await alliance("verify", "--key", str(self.folder / "public.pem"), str(path))
        if code != 0:
            raise PartFailed(f"alliance verify refuses the last receipt: {said}")
        self._event("the last receipt, signed with the third shares, is proven by the same key")
