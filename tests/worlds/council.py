"""The operators of an alliance that runs: they decide by the product's own files; one client carries them.

    async with Council(folder, folder / "clients" / "client-2", PASSPHRASE.encode()) as council:
        await council.decide(council.refreshing, approvals=4)

Each organisation runs one member, in whose folder its operator's key still is. Requests of members to be are
made here, too: with receiver keys of the stock, so that they cost nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import approval, drafting, followed, member_drafting
from alliance.changes.carry import Carried, Fate, carry, commands_of, fate_of
from alliance.changes.change_file import ChangeFile
from alliance.changes.followed import Followed
from alliance.changes.member_drafting import Wanted
from alliance.client.client import Client, connect
from alliance.config import file as config_file
from alliance.errors import OutcomeUnknown, Unreachable
from alliance.founding import join, party
from alliance.founding.by_request import read_request
from alliance.keys import sealing
from alliance.keys.folder import OPERATOR
from alliance.keys.revision import load_founded
from consensus.control import ControlState
from quorum.receivers import receiver_bits
from tests.worlds.founding import cheap_key_files, receiver

CARRY_SECONDS = 30.0
PAUSE_SECONDS = 0.1
DAY_MS = 24 * 3600 * 1000

Drafting = Callable[[ControlState, str, int], ChangeFile]
Watcher = Callable[[ControlState], None]


@dataclass(frozen=True, slots=True)
class Decided:
    """``approved`` and ``over`` are moments of ``time.monotonic``: the last approval that it took has its
    receipt, and the log is at the end of the epoch. ``began`` tells whether another epoch came of it."""

    approved: float
    over: float
    began: bool
    control: ControlState


class Council:
    """To be used as ``async with``."""

    def __init__(self, folder: Path, carrier: Path, passphrase: bytes) -> None:
        self._folder, self._carrier, self._passphrase = folder, carrier, passphrase
        config = config_file.load(carrier)
        self._bits = receiver_bits(party.largest_key(config))
        self._alliance_id = config.alliance_id
        self.names = [member.name for member in config.members]
        self._keys = {name: self._key(folder / "members" / name / OPERATOR) for name in self.names}
        self._receivers = iter(range(len(self.names), 28))
        self._client: Client
        self._followed: Followed

    def _key(self, path: Path) -> Ed25519PrivateKey:
        return sealing.unseal_signing(path.read_bytes(), path, self._passphrase)

    async def __aenter__(self) -> Council:
        self._client = await connect(self._carrier, self._passphrase)
        self._followed = Followed.founded(load_founded(self._carrier))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    @property
    def control(self) -> ControlState:
        return self._followed.control

    def ask(self, name: str, address: str, home: Path) -> None:
        """Somebody makes keys under a member's name, in a new folder, which knows of the alliance then."""
        secret = receiver(next(self._receivers))
        with cheap_key_files(), patch.object(party, "generate_receiver", lambda _: secret):
            key, size = self._keys[name], party.largest_key(config_file.load(self._carrier))
            place = (name, name, address, size, self._passphrase, key, self._alliance_id)
            party.ask_as_member(home, *place)
        join.join(home, self._carrier, self._passphrase)

    def replacing(self, name: str, home: Path) -> Drafting:
        path = party.request_file(home, name)
        return self._full(Wanted(replaced=[(str(path), read_request(path))]))

    @property
    def refreshing(self) -> Drafting:
        return self._full(Wanted())

    def leading(self, suspended: list[str], again: list[str]) -> Drafting:
        return lambda state, by, until: member_drafting.lead(state, by, suspended, again, until)

    def moving(self, name: str, address: str) -> Drafting:
        """An organisation's own edit: a revision."""
        return lambda state, by, until: drafting.set_address(state, name, address, {})

    def _full(self, wanted: Wanted) -> Drafting:
        return lambda state, by, until: member_drafting.members(state, by, wanted, self._bits, until)

    async def decide(self, draft: Drafting, approvals: int, watcher: Watcher = lambda _: None) -> Decided:
        """Proposed by one organisation, approved by so many with it, and followed to its end.

        ``watcher`` is told of each state of the log meanwhile. For an edit: until it is in effect.
        """
        await self._catch_up()
        until_ms = max(int(time.time() * 1000), self.control.time_ms) + DAY_MS
        change = draft(self.control, self.names[0], until_ms)
        who = change.organisation
        signers = [who, *(name for name in self.names if name != who)][:approvals]
        signed = [(name, approval.sign(change, self._keys[name], name)) for name in signers]
        carried = await self._carried(change, signed)
        approved, epoch = time.monotonic(), self.control.epoch
        if carried.fate not in (Fate.BEGUN, Fate.TAKEN):
            raise AssertionError(f"the members do not take it: {carried}")
        watcher(self.control)
        await self._watched(change, carried, watcher)
        return Decided(approved, time.monotonic(), self.control.epoch > epoch, self.control)

    async def _catch_up(self) -> None:
        while True:
            try:
                now = await self._client.certified_now()
                return await followed.follow(self._client, self._followed, now, lambda *_: None)
            except Unreachable:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _carried(self, change: ChangeFile, signed: list[tuple[str, approval.Approval]]) -> Carried:
        """Whatever is sent again is ordered once."""
        while True:
            await self._catch_up()
            there = fate_of(self.control, change, self.control.slot)
            if there.fate in (Fate.BEGUN, Fate.TAKEN):
                return there
            try:
                commands = commands_of(change, signed, self.control)
                told = (self._client, self._followed, change, commands)
                return await carry(*told, CARRY_SECONDS, lambda *_: None)
            except (Unreachable, OutcomeUnknown):
                await asyncio.sleep(PAUSE_SECONDS)

    async def _watched(self, change: ChangeFile, carried: Carried, watcher: Watcher) -> None:
        epoch = self.control.epoch

        def over(state: ControlState) -> bool:
            watcher(state)
            if state.epoch != epoch:
                return True
            if any(one.change_id == change.digest for one in state.under_way):
                return False
            return carried.fate is Fate.BEGUN or state.slot >= (carried.effective or 0)

        while True:
            try:
                return await followed.watch(self._client, self._followed, over, lambda *_: None)
            except Unreachable:
                await asyncio.sleep(PAUSE_SECONDS)
