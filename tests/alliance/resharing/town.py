"""An alliance that hands its keys on, with real cryptography and small keys: its members' folders, and a log.

The log is a list of slots that a real ControlState is fed; whoever submits something has it in the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import cast

from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.config.identity import certify_itself
from alliance.config.parties import Party
from alliance.keys import files, handover, sealing, shares
from alliance.keys.folder import IDENTITY
from alliance.keys.shares import Generation
from alliance.resharing import steps
from alliance.resharing.handover import Handover, Outcome
from alliance.resharing.steps import Held
from alliance.resharing.work import Answer, Task, work
from consensus.control import ControlState
from consensus.control.changes import ChangeKind
from consensus.control.encoding import Reader
from consensus.control.operations import ChangeOperation, NewKeys, PutMember
from consensus.control.pending import PostedReady
from consensus.control.rows import MemberRow, OperatorRow, PolicyRow, receiver_statement
from consensus.control.transcript import transcript_digest
from quorum import Context, Endorsement, EpochReadyStatement, QuorumSystem, combine
from quorum.new_keys import NewKeysDealing, seal_new_keys
from quorum.receivers import read_receiver
from quorum.threshold_rsa import AgreementKey, ThresholdRsaEndorser, ThresholdRsaScheme
from shoup_rsa import AnyKeyShare, PublicKey
from tests.alliance.farm import PASSPHRASE
from tests.consensus import alliance as rows
from tests.consensus.alliance import ALLIANCE, ORGANISATIONS, Log, public, secret
from tests.shoup_rsa import composites
from tests.shoup_rsa.board import receiver
from tests.shoup_rsa.conftest import deal_once

FULL = ChangeKind.FULL
WAIT_SECONDS = 30
MESSAGE = b"what the alliance signs, whoever its members are"
RECEIVER_BITS = 1024
"""Fit for keys of 512 bits and up to seven members, and made in no time."""

Dealt = tuple[PublicKey, Sequence[AnyKeyShare]]


@cache
def keys_for(system: QuorumSystem, composite: bool) -> tuple[Dealt, Dealt]:
    """The agreement key and the attestation key, with all shares."""
    made: list[Dealt] = []
    for place, threshold in enumerate((system.decision, system.mostly_correct)):
        sizes = system.member_count, threshold, system.faulty_max
        if composite:
            two = composites.compose([composites.factor(*sizes, 2 * place + number) for number in (1, 2)])
            made.append((two.public_key, two.key_shares))
        else:
            one = deal_once(*sizes, f"town {place}", 0, 512, 2)
            made.append((one.public_key, one.key_shares))
    return made[0], made[1]


@dataclass
class Terms:
    founding_keys: tuple[AgreementKey, ...] = ()


@dataclass
class Config:
    """All of an alliance.toml that handing on looks at."""

    key: AgreementKey
    purpose_keys: tuple[tuple[str, AgreementKey], ...]
    dealing: int = 0
    terms: Terms = field(default_factory=Terms)

    def then(self, keys: Sequence[AgreementKey]) -> Config:
        founding = self.terms.founding_keys or (self.key, *(key for _, key in self.purpose_keys))
        return Config(keys[0], ((ATTESTATION, keys[1]),), self.dealing + 1, Terms(founding))


def row_of(name: str, organisation: str, number: int, key: str = "", bits: int = RECEIVER_BITS) -> MemberRow:
    """A member's row, with a real receiver key: ``receiver(bits, number)``."""
    row = rows.member_row(name, organisation, key, receiver="")
    encoded = receiver(bits, number).key.to_bytes()
    return with_receiver(row, encoded, key or name)


def with_receiver(row: MemberRow, encoded: bytes, key: str) -> MemberRow:
    signature = secret(key).sign(receiver_statement(row.name, row.identity, encoded))
    return replace(row, receiver=encoded, receiver_signature=signature)


class Home:
    """A member's folder, and what it does."""

    def __init__(self, folder: Path, name: str, number: int, town: Town, key: str = "") -> None:
        folder.mkdir()
        self.folder, self.name, self.key = folder, name, key or name
        identity = secret(self.key)
        files.write_private(folder / IDENTITY, sealing.seal(identity, PASSPHRASE))
        self.party = Party(name, public(self.key), certify_itself(name, identity))
        own = receiver(RECEIVER_BITS, number)
        handover.keep_receiver(folder, own.key.fingerprint, own.secret_to_bytes(), PASSPHRASE)
        self.config = town.config
        self.switched: list[Generation] = []
        self.submitted: list[bytes] = []
        self.town = town
        self.awake()

    def awake(self, passphrase: bytes = PASSPHRASE) -> None:
        """Starts anew, with nothing but the folder."""
        self.handover = Handover(
            self.folder,
            self.party,
            passphrase,
            lambda: cast(AllianceConfig, self.config),
            self._submit,
            self.switched.append,
            pause_s=self.town.pause_s,
        )

    def _submit(self, command: bytes) -> None:
        self.submitted.append(command)
        self.town.submit(command)

    def give(self, agreement: ThresholdRsaEndorser, attestation: ThresholdRsaEndorser) -> None:
        shares.write_shares(self.folder, 0, {AGREEMENT: agreement, ATTESTATION: attestation}, PASSPHRASE)

    def enter(self, outcome: Outcome) -> None:
        """What entering an epoch does to the shares (``storage.epoch_entry``)."""
        self.config = self.config.then(outcome.keys)
        if (counting := outcome.generation) is None:
            return
        shares.switch_to(self.folder, counting)
        for earlier in shares.pieces(self.folder):
            if earlier < counting:
                shares.erase_shares(self.folder, earlier)

    def endorser(self, member: int, purpose: str | None = None) -> ThresholdRsaEndorser:
        config = cast(AllianceConfig, self.config)
        if purpose is None:
            return shares.load_endorser(self.folder, config, member, PASSPHRASE)
        key = self.config.purpose_keys[0][1]
        counts = shares.require_current(self.folder)
        sealing_key = shares.secret_file.unseal(self.folder / shares.sealing_file(counts), PASSPHRASE)
        return shares.open_share(self.folder / shares.share_file(counts, purpose), sealing_key, key, member)


class Town:
    """The alliance. ``pause_s``: of those who start from now on. ``loses``: every command is lost so many
    times."""

    pause_s, loses, lost = 1000.0, 0, 0

    def __init__(
        self, folder: Path, system: QuorumSystem, *, composite: bool = False, policy: PolicyRow | None = None
    ) -> None:
        organisations = ORGANISATIONS[: system.member_count]
        names = [f"m-{organisation[-1]}" for organisation in organisations]
        members = [
            row_of(name, organisation, number)
            for number, (name, organisation) in enumerate(zip(names, organisations, strict=True))
        ]
        operators = [OperatorRow(organisation, public(organisation)) for organisation in organisations]
        self.folder = folder
        (key, held), (other, others) = keys_for(system, composite)
        self.public = key, other
        self.config = Config(key, ((ATTESTATION, other),))
        self.log = Log(ControlState.founded(ALLIANCE, system, members, operators, policy=policy))
        self.homes: dict[str, Home] = {}
        self.refusals: list[str] = []
        self._queue: list[bytes] = []
        self._times: dict[bytes, int] = {}
        self._news = asyncio.Event()
        self._numbers = len(names)
        for number, name in enumerate(names):
            home = self.homes[name] = Home(folder / name, name, number, self)
            home.give(ThresholdRsaEndorser(held[number]), ThresholdRsaEndorser(others[number]))

    @property
    def state(self) -> ControlState:
        return self.log.state

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.state.directory.members]

    def newcomer(self, name: str, organisation: str, key: str = "") -> PutMember:
        """A folder with a receiver key and no share, and the operation that brings its member in."""
        row = row_of(name, organisation, self._numbers, key)
        home = Home(self.folder / f"{name} {self._numbers}", name, self._numbers, self, key)
        self.homes[name] = home
        self._numbers += 1
        self.log.keys[name] = home.key
        return PutMember(row, rows.proof(organisation, rows.Role.MEMBER, home.key))

    def new_keys(self, fault: str = "") -> NewKeys:
        """Other keys for the members that there are; ``fault``: what is wrong with them."""
        system, dealing = self.state.directory.system, self.state.dealing + (fault != "dealing")
        made: list[tuple[AgreementKey, list[ThresholdRsaEndorser]]] = []
        agreement = system.one_correct if fault == "sizes" else system.decision
        for place, threshold in enumerate((agreement, system.mostly_correct)):
            seed = f"town {place}" if fault == "modulus" else f"new {place}"
            one = deal_once(system.member_count, threshold, system.faulty_max, seed, dealing, 512, 2)
            made.append((one.public_key, [ThresholdRsaEndorser(share) for share in one.key_shares]))
            if fault == "shares":
                made[-1][1][:2] = reversed(made[-1][1][:2])
        receivers = [read_receiver(row.receiver) for row in self.state.directory.members]
        if fault == "receivers":
            receivers[:2] = reversed(receivers[:2])
        dealing_of_new = seal_new_keys(made[: 1 if fault == "count" else 2], receivers)
        encoded = dealing_of_new.encode()
        digest = transcript_digest([key.to_bytes() for key in dealing_of_new.keys])
        return NewKeys(digest, encoded[:-1] if fault == "cut" else encoded)

    @staticmethod
    def bring(operation: NewKeys) -> tuple[PublicKey, PublicKey]:
        first, second = NewKeysDealing.decode(operation.dealing).keys
        return first, second

    @staticmethod
    def moduli(keys: Sequence[PublicKey]) -> list[int]:
        return [key.modulus for key in keys]

    def agree(self, *operations: ChangeOperation) -> bytes:
        """A full change is approved. Its change_id."""
        organisations = [row.organisation for row in self.state.directory.operators]
        return self.log.agree(
            self.log.change(FULL, *operations), organisations[: 4 if len(organisations) > 4 else 3]
        )

    def submit(self, command: bytes) -> None:
        times = self._times[command] = self._times.get(command, 0) + 1
        if times <= self.loses:
            self.lost += 1
        else:
            self._queue.append(command)
            self._news.set()

    def follow(self, names: Collection[str] | None = None) -> None:
        for home in self.homes.values():
            if names is None or home.name in names:
                home.handover.follow(self.state)

    @asynccontextmanager
    async def running(self, names: Collection[str]) -> AsyncIterator[None]:
        """These members do what is due meanwhile."""
        tasks = [asyncio.create_task(self.homes[name].handover.run()) for name in names]
        self.follow(names)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

    async def until(self, done: Callable[[], bool], names: Collection[str]) -> None:
        """Decides what these submit, slot by slot, until it is done."""
        async with self.running(names), asyncio.timeout(WAIT_SECONDS):
            while not done():
                await self._news.wait()
                self._news.clear()
                commands, self._queue = self._queue, []
                self.refusals += [told.refusal for told in self.log.slot(*commands) if told.refusal]
                self.follow(names)

    async def breath(self) -> None:
        """Lets the others get on."""
        await asyncio.wait([asyncio.create_task(asyncio.to_thread(int))])

    async def until_held(self, name: str, done: Callable[[Held], bool]) -> None:
        """Lets a member do what is due until this is in its folder."""
        async with self.running([name]), asyncio.timeout(WAIT_SECONDS):
            while not done(steps.look(self.homes[name].folder)):
                await self.breath()

    async def hand_on(self, *operations: ChangeOperation, silent: Collection[str] = ()) -> None:
        """A full change, from its proposal to the next epoch; ``silent`` members do nothing about it."""
        self.agree(*operations)
        awake = {*self.names, *(row.name for row in self.state.target.members)} - {*silent}
        ready = {row.name for row in self.state.target.members} - {*silent}
        await self.until(lambda: self.ready() >= ready, awake)
        await self.enter(silent)

    def ready(self) -> set[str]:
        return {one.member for one in self.readies}

    @property
    def readies(self) -> tuple[PostedReady, ...]:
        return self.state.active.readies if self.state.active is not None else ()

    async def enter(self, silent: Collection[str] = ()) -> None:
        """All but the silent ones go into the next epoch."""
        assert self.state.end is not None
        self.log.to(self.state.end)
        await self.check_readies()
        for name in {*self.names, *(row.name for row in self.state.target.members)} - {*silent}:
            home = self.homes[name]
            outcome = await home.handover.outcome(self.state)
            stays = name in [row.name for row in self.state.target.members]
            assert (outcome.generation is not None) == stays, name
            assert [key.modulus for key in outcome.keys] == [key.modulus for key in self.public]
            home.enter(outcome)
            self.config = home.config
        self.log.state = self.state.next_epoch()

    async def check_readies(self) -> None:
        """What the ready members have signed in the log makes signatures under the unchanged keys."""
        active, target = self.state.dealt_for, self.state.target
        numbers = {row.name: number for number, row in enumerate(target.members)}
        statement = EpochReadyStatement(active.approved.change_id, active.attempt, active.agreed[0])
        context = Context(ALLIANCE, self.state.epoch + 1)
        some = next(home for home in self.homes.values() if home.name in numbers and home.submitted)
        keys = (await some.handover.outcome(self.state)).keys
        for place, (first, key) in enumerate(zip(self.public, keys, strict=True)):
            scheme = ThresholdRsaScheme(key, context)
            endorsements = []
            for one in active.readies:
                signatures = Reader(one.shares).listed(lambda r: r.blob(1 << 16), 9)
                made = Endorsement(statement, numbers[one.member], signatures[place])
                scheme.verify_endorsement(made)
                endorsements.append(made)
            certificate = combine(scheme, endorsements[: key.threshold])
            first.verify(statement.encode(context), certificate.signature)

    def check_shares(self, names: Collection[str] | None = None) -> None:
        """Every quorum of these members' shares, taken in turn, signs under the unchanged keys."""
        awake = [name for name in self.names if names is None or name in names]
        for purpose, first in ((None, self.public[0]), (ATTESTATION, self.public[1])):
            held = [self.homes[name].endorser(self.names.index(name), purpose) for name in awake]
            key = held[0].key
            made = [key.share_from_bytes(one.endorse(MESSAGE, proven=True)) for one in held]
            for at in range(len(made)):
                some = [made[(at + step) % len(made)] for step in range(key.threshold)]
                first.verify(MESSAGE, key.combine(MESSAGE, some))


async def working(folder: Path, task: Task) -> Answer:
    """As ``process.perform``, by this process."""
    await asyncio.sleep(0)
    return Answer.decode(work(folder, Task.decode(task.encode())).encode())
