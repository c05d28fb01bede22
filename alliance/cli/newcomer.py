"""A member to be, until its first epoch begins: it follows the log as clients do, and gets its shares by it.

It is let in when the operators have approved of its change. From the log it knows what is dealt to it, and
says there that it has its shares (``resharing``). When the membership that names it is certified, it takes a
checkpoint of its first epoch, and is a member like all others. It may be killed at any time and begins again.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from alliance.changes import followed as following
from alliance.client.client import Client
from alliance.config.file import AllianceConfig
from alliance.config.parties import Party
from alliance.errors import AllianceError, Unreachable
from alliance.keys.channel import Credentials
from alliance.net.channels import Channels
from alliance.net.tasks import until_first
from alliance.resharing.handover import Handover
from alliance.server import arrival
from alliance.server.server import JOURNAL
from consensus.control import ControlState
from consensus.control.record import Phase

PAUSE_SECONDS = 1.0

log = logging.getLogger("alliance.server")


async def become_member(
    folder: Path,
    config: AllianceConfig,
    founded: AllianceConfig,
    mine: Credentials,
    passphrase: bytes,
    pause: float = PAUSE_SECONDS,
) -> None:
    """Returns when the folder's journal is in an epoch in which this party takes part.

    ``config`` is the folder's alliance.toml, ``founded`` how the alliance began. Raises NoLongerMember,
    JournalError, ConfigError and KeyFileError.
    """
    newcomer = _Newcomer(folder, config, founded, mine, passphrase, pause)
    try:
        await until_first(newcomer.follow(), newcomer.handover.run())
        config, first = newcomer.client.config, newcomer.epoch
    finally:
        await newcomer.close()
    log.info("'%s' is a member by the log: it begins when the members have certified that", mine.party.name)
    channels = Channels(mine)
    try:
        await arrival.begin(folder, folder / JOURNAL, config, mine.party, channels, first, pause)
    finally:
        await channels.close()


class _Newcomer:
    """``follow`` returns when the log has made it a member; ``handover`` does its part meanwhile."""

    def __init__(
        self,
        folder: Path,
        config: AllianceConfig,
        founded: AllianceConfig,
        mine: Credentials,
        passphrase: bytes,
        pause: float,
    ) -> None:
        self._folder = folder
        self._party = mine.party
        self._pause = pause
        self._told = ""
        self._submitting: dict[bytes, asyncio.Task[None]] = {}
        self._followed = following.load(folder, founded)
        self.client = Client(config, mine, folder)
        self.handover = Handover(folder, mine.party, passphrase, lambda: self.client.config, self._submit)

    @property
    def epoch(self) -> int:
        """That of the log as it was read so far."""
        return self._followed.control.epoch

    async def close(self) -> None:
        for task in self._submitting.values():
            task.cancel()
        await asyncio.gather(*self._submitting.values(), return_exceptions=True)
        await self.client.close()

    async def follow(self) -> None:
        """Reads the log, on and on, whoever can be reached."""
        while not self._look(self._followed.control):
            try:
                until = await self.client.certified_now()
                await following.follow(self.client, self._followed, until, lambda *_: None)
                following.keep(self._folder, self._followed, self.client.config)
                if not self._look(self._followed.control):
                    await following.watch(self.client, self._followed, self._look, lambda *_: None)
            except Unreachable as error:
                self._tell(
                    f"waits to be let in: the operators have to approve of a change that adds"
                    f" '{self._party.name}' ('alliance member add'), and members have to be up ({error})"
                )
                await asyncio.sleep(self._pause)

    def _look(self, state: ControlState) -> bool:
        """The state after one more slot; whether this party is a member by it."""
        if any(row.identity == self._party.identity for row in state.directory.members):
            return True
        self.handover.follow(state)
        if state.slot:
            self._tell(awaited(state, self._party))
        return False

    def _tell(self, what: str) -> None:
        """What it waits for, when that is something else than before."""
        if what != self._told:
            self._told = what
            log.info("%s", what)

    def _submit(self, command: bytes) -> None:
        """Orders a command, unless it is under way: whoever gave it asks again while the log has it not."""
        if command not in self._submitting:
            self._submitting[command] = asyncio.create_task(self._propose(command), name="submit")

    async def _propose(self, command: bytes) -> None:
        try:
            await self.client.propose(command)
        except AllianceError as error:
            log.info("not ordered yet: %s", error)
        finally:
            del self._submitting[command]


def awaited(state: ControlState, party: Party) -> str:
    """What a party that is no member yet waits for, in one line: the same until something is done for it."""
    if not any(party.client_id in one.change.new_keys for one in state.under_way):
        return f"waits for a change that adds '{party.name}': none is approved that is not in effect"
    if state.end is not None:
        return f"waits for the end of epoch {state.epoch} at slot {state.end}"
    active = state.active
    if active is None or party.client_id not in active.approved.change.new_keys:
        return "waits for the next epoch: its change begins again there"
    dealt, needed = len(active.dealings), state.directory.system.decision
    if state.phase is not Phase.READYING and dealt < needed:
        return f"waits for dealings of the keys: {dealt} members have dealt, {needed} are needed"
    try:
        ready, enough = len(active.readies), state.target.system.report
    except ValueError as error:
        return f"waits for another change: this one has become impossible ({error})"
    return f"waits for members that are ready for the next epoch: {ready} are, {enough} are needed"
