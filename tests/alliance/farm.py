"""What the tests of this package share: one founded alliance, its parties' keys, and logs made with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.keys import folder as keys
from alliance.keys.channel import Credentials
from alliance.keys.shares import load_endorser
from alliance.proofs.receipt import Receipt, key_fingerprint, load_public_key, receipts
from alliance.storage.history import History
from alliance.storage.journal import Journal
from fab_paxos.effects import EntryRecord, ProvenRecord
from fab_paxos.messages import Accepted, Propose
from quorum import (
    AcceptedStatement,
    Context,
    DecisionCertificate,
    Endorsement,
    JointStatement,
    ProposeStatement,
    QuorumCertificate,
    SuspectStatement,
    VoteStatement,
    combine,
)
from quorum.threshold_rsa import ThresholdRsaEndorser, ThresholdRsaScheme
from verifiable_log import Batch, Entry, Submission, UnsignedSubmission
from verifiable_log.client_windows import ClientWindows
from verifiable_log.log_frame import LogFrame
from verifiable_log.merkle import EMPTY, Frontier, MerkleLog, slot_leaf
from verifiable_log.ordering_state import Checkpoint, Snapshot
from verifiable_log.placement import Placement

PASSPHRASE = b"correct horse battery staple"
MEMBERS = tuple(f"member-{number}" for number in range(1, 7))
CLIENTS = ("client-1", "client-2")
TIME_MS = 1_800_000_000_000
"""What the leader's clock shows when it stamps slot 0, so to speak."""


@dataclass
class Farm:
    """An alliance on disk, and everything that its parties hold, in one hand."""

    folder: Path
    config: AllianceConfig
    members: list[Credentials] = field(default_factory=list)
    clients: list[Credentials] = field(default_factory=list)
    endorsers: list[ThresholdRsaEndorser] = field(default_factory=list)
    attesters: list[ThresholdRsaEndorser] = field(default_factory=list)
    primes: tuple[int, int] = (0, 0)

    @classmethod
    def open(cls, folder: Path, config: AllianceConfig) -> Farm:
        farm = cls(folder, config)
        for index, member in enumerate(config.members):
            home = farm.member_home(index)
            farm.members.append(keys.load_credentials(home, member, PASSPHRASE))
            farm.endorsers.append(load_endorser(home, config, index, PASSPHRASE))
            farm.attesters.append(load_endorser(home, config, index, PASSPHRASE, ATTESTATION))
        for client in config.clients:
            home = folder / "clients" / client.name
            farm.clients.append(keys.load_credentials(home, client, PASSPHRASE))
        return farm

    def member_home(self, index: int) -> Path:
        return self.folder / "members" / self.config.members[index].name

    def client_home(self, index: int) -> Path:
        return self.folder / "clients" / self.config.clients[index].name

    def client_id(self, client: int = 0) -> bytes:
        return self.config.clients[client].client_id

    def submission(
        self, seq: int, *commands: bytes, client: int = 0, context: Context | None = None
    ) -> Submission:
        unsigned = UnsignedSubmission(self.client_id(client), seq, commands or (b"command %d" % seq,))
        message = unsigned.message(context or self.config.context)
        return unsigned.sign(self.clients[client].signing_key.sign(message))

    def endorse(self, member: int, statement: JointStatement, context: Context | None = None) -> Endorsement:
        message = statement.encode(context or self.config.context)
        return Endorsement(statement, member, self.endorsers[member].endorse(message, proven=False))

    def certify(self, statement: JointStatement, context: Context | None = None) -> QuorumCertificate:
        decision = self.config.system.decision
        scheme = ThresholdRsaScheme(self.config.key, context or self.config.context)
        return combine(scheme, [self.endorse(member, statement, context) for member in range(decision)])

    def propose(self, entry: Entry, signer: int = 0, context: Context | None = None) -> Propose:
        statement = ProposeStatement(entry.view, entry.slot, entry.batch.digest, entry.root)
        signature = self.members[signer].signing_key.sign(statement.encode(context or self.config.context))
        return Propose(entry.view, entry.slot, entry.batch, entry.root, signature)

    def accepted(
        self, view: int, slot: int, root: bytes, signer: int, context: Context | None = None
    ) -> Accepted:
        message = VoteStatement(view, slot, root).encode(context or self.config.context)
        return Accepted(view, slot, root, self.members[signer].signing_key.sign(message))


class Chain:
    """A log that the alliance might decide, slot by slot, with real certificates."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.entries: list[Entry] = []
        self.frontiers: list[Frontier] = [EMPTY]
        self.log = MerkleLog()
        self._certificates: dict[int, QuorumCertificate] = {}

    def add(self, *submissions: Submission, view: int = 0, fresh: Sequence[bool] | None = None) -> Entry:
        slot = len(self.entries) + 1
        batch = Batch.of(submissions, TIME_MS + slot)
        leaf = slot_leaf(slot, batch.digest)
        frontier = self.frontiers[-1].append(leaf)
        self.log.append(leaf)
        flags = tuple(fresh) if fresh is not None else (True,) * len(submissions)
        entry = Entry(slot, view, batch, frontier.root, frontier, b"\x05" * 64, flags)
        self.entries.append(entry)
        self.frontiers.append(frontier)
        return entry

    def grow(self, slots: int, first_seq: int = 1, size: int = 1) -> Chain:
        """Slots of one submission with ``size`` commands each."""
        for number in range(first_seq, first_seq + slots):
            commands = tuple(b"command %d.%d" % (number, at) for at in range(size))
            self.add(self.farm.submission(number, *commands))
        return self

    def root(self, slot: int) -> bytes:
        return self.frontiers[slot].root

    def certificate(self, slot: int, view: int = 0) -> QuorumCertificate:
        if slot not in self._certificates:
            statement = AcceptedStatement(view, slot, self.root(slot))
            self._certificates[slot] = self.farm.certify(statement)
        return self._certificates[slot]

    def decision(self, slot: int) -> DecisionCertificate:
        return DecisionCertificate.of(self.certificate(slot))

    def snapshot(self, slot: int) -> Snapshot:
        """The log of the first ``slot`` entries, and the state that it leaves."""
        windows = ClientWindows()
        for entry in self.entries[:slot]:
            for submission in entry.batch.submissions:
                windows.admit(entry.slot, submission)
        return Snapshot(self.frontiers[slot], windows.state(), windows.places())

    def checkpoint(self, slot: int) -> Checkpoint:
        """A stable checkpoint of the first ``slot`` entries."""
        snapshot = self.snapshot(slot)
        return Checkpoint(snapshot, self.farm.certify(snapshot.statement))

    def election(self, suspected: int) -> QuorumCertificate:
        """The proof that ends a view."""
        return self.farm.certify(SuspectStatement(suspected))

    def receipt(self, slot: int, position: int, command_index: int, certified: int) -> Receipt:
        """That of a command, by the certificate of a slot at or after its own."""
        batch = self.entries[slot - 1].batch
        path = batch.tree().inclusion_proof(position, len(batch.submissions))
        log_path = self.log.inclusion_proof(slot - 1, certified)
        placement = Placement(slot, position, len(batch.submissions), batch.time_ms, path, log_path)
        fingerprint = key_fingerprint(load_public_key(self.farm.config.key.to_pem()))
        made = receipts(
            self.farm.config.alliance_id,
            self.decision(certified),
            placement,
            batch.submissions[position],
            fingerprint,
        )
        return made[command_index]

    def frame(self, first: int, last: int, certified: int) -> LogFrame:
        batches = tuple(entry.batch for entry in self.entries[first - 1 : last])
        return LogFrame(first, batches, self.certificate(certified), self.log.right_cover(last, certified))


class Told:
    """A member's journal and history, told of a chain by hand, as the engine's effects would."""

    def __init__(self, path: Path, chain: Chain) -> None:
        self.chain = chain
        self.journal = Journal(path, chain.farm.config.alliance_id, MEMBERS[0])
        replayed = self.journal.replay()
        self.history = History(self.journal, replayed.log, replayed.certificate)

    def decide(self, entry: Entry) -> Entry:
        self.journal.append([EntryRecord(entry)])
        self.history.decided(entry)
        return entry

    def certify(self, slot: int) -> None:
        certificate = self.chain.certificate(slot)
        self.journal.append([ProvenRecord(slot, certificate)])
        self.history.certified(certificate)

    def tell_all(self) -> Told:
        for entry in self.chain.entries:
            self.decide(entry)
        self.certify(len(self.chain.entries))
        return self
