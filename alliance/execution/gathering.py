"""How executors certify a snapshot: each signs what it has come to, and asks the others until enough agree.

Whoever has enough shares, or is shown a certificate, has it. Executors that differ bring no certificate
about, and are named.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from alliance.config.directory import Directory
from alliance.errors import StateDiverged, StateError
from alliance.execution.others import STATEMENTS_MAX, Others, SaidSnapshot, SaidSnapshots
from alliance.execution.snapshot_folder import Held, SnapshotFolder
from alliance.keys.files import write_whole
from alliance.proofs.snapshot import alarm_path
from quorum import (
    CombineFailed,
    Endorsement,
    InvalidCertificate,
    InvalidEndorsement,
    JointStatement,
    QuorumCertificate,
    SnapshotStatement,
    combine,
)
from quorum.threshold_rsa import ThresholdRsaScheme

log = logging.getLogger("alliance.execution")

ROUND_SECONDS = 2.0
LONG_SECONDS = 60.0
"""A snapshot without a certificate for so long is worth an alarm."""


class Signs(Protocol):
    @property
    def epoch(self) -> int:
        """In which the shares are that ``sign`` gives."""
        ...

    async def sign(self, statement: JointStatement, *, proven: bool) -> bytes | None:
        """This member's share on a statement; None if its signer refuses."""
        ...


class Gathering:
    """``note`` each snapshot that this executor has made; ``run`` gets them certified."""

    def __init__(
        self,
        directory: Directory,
        name: str,
        application: str,
        folder: SnapshotFolder,
        others: Others,
        signs: Signs,
    ) -> None:
        """``name``: the member's."""
        self._directory = directory
        self._name = name
        self._application = application
        self._folder = folder
        self._others = others
        self._signs = signs
        self._statements: dict[int, SnapshotStatement] = {}
        self._since: dict[int, float] = {}
        self._suspicious: set[int] = set()
        self._named: set[tuple[int, int]] = set()
        self._alarm: str | None = None

    def note(self, held: Held) -> None:
        """It is this executor's own."""
        self._statements[held.slot] = held.statement
        for old in sorted(self._statements)[:-STATEMENTS_MAX]:
            del self._statements[old]

    async def said(self, *, proven: bool) -> list[QuorumCertificate]:
        """This executor's statements, the newest first, each with its share in the place of a signature."""
        told = []
        for _, statement in sorted(self._statements.items(), reverse=True):
            share = await self._signs.sign(statement, proven=proven)
            if share is not None:
                told.append(QuorumCertificate(self._signs.epoch, statement, share))
        return told

    async def run(self) -> None:
        """Raises StateDiverged when the alliance has certified another state than this executor's."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await self.round()

    async def round(self) -> None:
        """Asks the others once, if anything lacks its certificate. Raises StateDiverged, StateError."""
        pending = self._folder.pending
        slots = {held.slot for held in pending}
        self._named = {named for named in self._named if named[0] in slots}
        self._since = {slot: since for slot, since in self._since.items() if slot in slots}
        self._suspicious &= slots
        if not pending:
            return
        proven = any(held.slot in self._suspicious for held in pending)
        members = self._others.members
        answers = await asyncio.gather(*(self._others.snapshots(one, proven=proven) for one in members))
        told = dict(zip(members, answers, strict=True))
        alarms = [await self._settle(held, told) for held in pending]
        self._set_alarm(next(filter(None, reversed(alarms)), ""))

    async def _settle(self, held: Held, told: Mapping[int, SaidSnapshots]) -> str:
        """What is wrong with this snapshot, if it is not certified, or not everybody's."""
        now = asyncio.get_running_loop().time()
        shares = {member: self._of(held.slot, said.shares) for member, said in told.items()}
        differ = [m for m, said in shares.items() if said is not None and said.statement != held.statement]
        for member in differ:
            if (held.slot, member) not in self._named:
                self._named.add((held.slot, member))
                log.warning(
                    "%s: its snapshot of '%s' after slot %d is another one than this executor's",
                    self._others.name(member),
                    self._application,
                    held.slot,
                )
        names = ", ".join(map(self._others.name, differ))
        certificate = self._shown(held, told) or await self._combined(held, shares)
        if certificate is not None:
            self._folder.certify(held.slot, certificate, now)
            log.info("the snapshot of '%s' after slot %d is certified", self._application, held.slot)
            return f"after slot {held.slot} {names} came to another state than is certified" if differ else ""
        if differ:
            return (
                f"no certified snapshot after slot {held.slot}: {names} came to another state than this one"
            )
        if now - self._since.setdefault(held.slot, now) < LONG_SECONDS:
            return ""
        agree = 1 + sum(said is not None for said in shares.values())
        needed = self._directory.config.attestation.threshold
        return f"no certified snapshot after slot {held.slot}: {agree} of {needed} executors have signed it"

    @staticmethod
    def _of(slot: int, said: tuple[SaidSnapshot, ...]) -> SaidSnapshot | None:
        return next((one for one in said if one.statement.slot == slot), None)

    def _shown(self, held: Held, told: Mapping[int, SaidSnapshots]) -> QuorumCertificate | None:
        """A certificate that others have. Raises StateDiverged if it is one of another state."""
        for said in told.values():
            shown = self._of(held.slot, said.certificates)
            if shown is None:
                continue
            with suppress(InvalidCertificate):
                if self._folder.check(shown.certificate) == held.statement:
                    return shown.certificate
                self._folder.discard(held.slot)
                application = self._application
                raise StateDiverged(
                    f"{self._name} has another state of '{application}' after slot {held.slot} than is"
                    " certified: it halts. If the application is the same version everywhere, delete"
                    f" {application}.state and {application}.lock in the member's folder and start it again;"
                    " if it happens again, the state machine is not deterministic"
                )
        return None

    async def _combined(
        self, held: Held, shares: Mapping[int, SaidSnapshot | None]
    ) -> QuorumCertificate | None:
        """From this executor's share and those of others on the same in this epoch, if they suffice."""
        statement, scheme = held.statement, self._directory.config.attestation
        proven = held.slot in self._suspicious
        endorsements = []
        for member, said in shares.items():
            place = self._others.place(member)
            if said is None or place is None or said.statement != statement:
                continue
            endorsement = Endorsement(statement, place, said.signature)
            if said.epoch == scheme.context.epoch and (not proven or self._is_good(scheme, endorsement)):
                endorsements.append(endorsement)
        if len(endorsements) + 1 < scheme.threshold:
            return None
        mine, me = await self._signs.sign(statement, proven=proven), self._others.me
        if mine is None or me is None or self._signs.epoch != scheme.context.epoch:
            return None
        endorsements.append(Endorsement(statement, me, mine))
        try:
            return await asyncio.to_thread(combine, scheme, endorsements)
        except CombineFailed as failure:
            log.warning("the shares on a snapshot after slot %d do not combine: %s", held.slot, failure)
            self._suspicious.add(held.slot)
            return None

    def _is_good(self, scheme: ThresholdRsaScheme, endorsement: Endorsement) -> bool:
        try:
            scheme.verify_endorsement(endorsement)
        except InvalidEndorsement as error:
            name = self._directory.config.members[endorsement.member].name
            log.warning("%s: its share on a snapshot is wrong: %s", name, error.reason)
            return False
        return True

    def _set_alarm(self, text: str) -> None:
        """In a file, because the member's server shows it to the operator."""
        if text == self._alarm:
            return
        if text:
            log.warning("%s", text)
        path = alarm_path(self._folder.path)
        try:
            if text:
                write_whole(path, text.encode())
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}; free some space") from None
        self._alarm = text
