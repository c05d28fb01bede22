"""The judge of a world: takes the evidence of correct members through the file, and looks whom it convicts.

Nothing is signed while the world runs. When a piece of evidence comes up, each of its words gets its author's
real signature, if the gate has it on record that the author said it; so the court can be lied to no more
than the verifier of real files.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.evidence.portable import PortableEvidence, SignedBytes, export
from alliance.evidence.verdict import Conviction, opened, verify
from alliance.storage.history import History
from fab_paxos.effects import Blame, BlameClient
from fab_paxos.evidence import Evidence, Repetition, TwoSubmissions
from quorum import (
    NewViewStatement,
    ProposeStatement,
    QuorumSystem,
    ReportStatement,
    SubmissionStatement,
    VoteStatement,
)
from tests.worlds.gate import Gate
from tests.worlds.member import Member
from tests.worlds.require import require
from tests.worlds.standin import CONTEXT
from verifiable_log.merkle import Frontier, MerkleLog, slot_leaf


class Court:
    def __init__(self, system: QuorumSystem, gate: Gate) -> None:
        self._system = system
        self._gate = gate
        self.convictions: dict[tuple[int, str], Conviction] = {}
        """By the member that blamed, and the place of the offence."""
        self.files: list[str] = []

    def hear(self, witness: Member, blame: Blame | BlameClient) -> None:
        """What convicts once, convicts for good: a witness's further evidence of it is not looked at."""
        if blame.evidence is None or (witness.me, key := _offence(blame)) in self.convictions:
            return
        culprit = (
            f"member-{blame.member}" if isinstance(blame, Blame) else _client(blame.evidence.first.client_id)
        )
        base = blame.evidence.base if isinstance(blame.evidence, Repetition) else 0
        named = isinstance(blame.evidence, Repetition) and blame.evidence.batch is None
        if min(base, blame.evidence.slot - 1 if named else base) < witness.disk.base.size:
            return  # the log that would complete it is pruned
        self.convictions[witness.me, key] = self.judge(culprit, blame.evidence, _history(witness, base))

    def judge(self, culprit: str, evidence: Evidence | TwoSubmissions, history: History) -> Conviction:
        found = export(CONTEXT, culprit, evidence, history)
        signed = replace(found, statements=tuple(self._signed(culprit, said) for said in found.statements))
        self.files.append(signed.to_json())
        judge = config(self._system, culprit, self._gate.start)
        return verify(judge, PortableEvidence.from_json(self.files[-1]))

    def _signed(self, culprit: str, word: SignedBytes) -> SignedBytes:
        number = int(culprit.partition("-")[2])
        match opened(CONTEXT, word.statement):
            case ProposeStatement(view, slot, digest, root):
                said = self._gate.has_said(number, "propose", view, slot, digest, root)
            case VoteStatement(view, slot, root):
                said = self._gate.has_said(number, "accepted", view, slot, root)
            case ReportStatement(view, digest):
                said = self._gate.has_said(number, "report", view, digest)
            case NewViewStatement(view, digest):
                said = self._gate.has_said(number, "new view", view, digest)
            case SubmissionStatement() as statement:
                said = self._gate.knows(statement)
        require(said, f"evidence of what {culprit} never said: {word}")
        return SignedBytes(word.statement, _key(culprit).sign(word.statement))


def config(system: QuorumSystem, client: str = "client-0", start: int = 0) -> Any:
    """As much of an alliance.toml as a judge needs. The epoch begins behind ``start``."""
    number = int(client.partition("-")[2])
    return SimpleNamespace(
        name="simulated",
        alliance_id=CONTEXT.alliance_id,
        epoch=CONTEXT.epoch,
        context=CONTEXT,
        system=system,
        start=start,
        members=[_party(f"member-{me}") for me in range(system.member_count)],
        clients=[_party(f"client-{number}", number.to_bytes(32, "big"))],
    )


@cache
def _party(name: str, client_id: bytes = b"") -> Any:
    return SimpleNamespace(name=name, identity_key=_key(name).public_key(), client_id=client_id)


@cache
def _key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(b"identity of " + name.encode()).digest())


def _client(client_id: bytes) -> str:
    return f"client-{int.from_bytes(client_id, 'big')}"


def _history(witness: Member, slots: int) -> History:
    log = MerkleLog(witness.disk.base if slots else Frontier())
    for slot in range(log.size + 1, slots + 1):
        log.append(slot_leaf(slot, witness.disk.entries[slot].batch.digest))
    disk: Any = witness.disk
    return History(disk, log, None)


def _offence(blame: Blame | BlameClient) -> str:
    if isinstance(blame, BlameClient):
        first = blame.evidence.first
        return f"client {first.client_id.hex()}, {first.client_seq}"
    return f"{blame.member}: {blame.reason}"
