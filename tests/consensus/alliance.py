"""An alliance of six organisations for tests of the control state, with real keys, and a log that it is fed.

Everything follows from names: the same name gives the same key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.identity import certify_itself
from consensus.control import ControlState, Outcome
from consensus.control.changes import Change, ChangeKind, base_digest
from consensus.control.commands import (
    Approve,
    ControlCommand,
    Deal,
    Edit,
    Propose,
    Ready,
    SignedCommand,
)
from consensus.control.draft import key_message
from consensus.control.edits import AddClient, EditOperation
from consensus.control.operations import ChangeOperation, PutMember, PutOperator
from consensus.control.record import Account
from consensus.control.rows import (
    ClientRow,
    MemberRow,
    OperatorRow,
    PolicyRow,
    Role,
    key_id,
    receiver_statement,
)
from quorum import QuorumSystem
from verifiable_log import Batch, Entry, Submission, UnsignedSubmission
from verifiable_log.merkle import Frontier

ALLIANCE = sha256(b"alliance").digest()
ORGANISATIONS = tuple(f"org-{letter}" for letter in "abcdef")
SIX = QuorumSystem(6, 1)
NEVER = 2**62
CARRIER = sha256(b"anybody").digest()


@cache
def secret(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())


@cache
def public(name: str) -> bytes:
    return secret(name).public_key().public_bytes_raw()


@cache
def certified_by(name: str, key: str) -> bytes:
    """The certificate of a party of this name, in DER, by the key of that one."""
    return certify_itself(name, secret(key)).public_bytes(Encoding.DER)


@cache
def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def member_row(name: str, organisation: str, key: str = "", receiver: str = "first") -> MemberRow:
    """``key`` names its identity: the member's own name, unless it is said."""
    identity, sealed = public(key or name), f"receiver {receiver} of {name}".encode()
    row = MemberRow(name, organisation, identity, certified_by(name, key or name), f"{name}.example:7400")
    if not receiver:
        return row
    signature = secret(key or name).sign(receiver_statement(name, identity, sealed))
    return replace(row, receiver=sealed, receiver_signature=signature)


def client_row(name: str, organisation: str) -> ClientRow:
    return ClientRow(name, organisation, public(name), certified_by(name, name))


@cache
def found(
    system: QuorumSystem = SIX,
    organisations: tuple[str, ...] = ORGANISATIONS,
    policy: PolicyRow | None = None,
    receiver: str = "first",
) -> ControlState:
    """One member for each organisation, ``m-a`` of ``org-a``, and one client, ``c-a``."""
    letters = [organisation[-1] for organisation in organisations]
    return ControlState.founded(
        ALLIANCE,
        system,
        [member_row(f"m-{letter}", f"org-{letter}", receiver=receiver) for letter in letters],
        [OperatorRow(organisation, public(organisation)) for organisation in organisations],
        [client_row(f"c-{letter}", f"org-{letter}") for letter in letters],
        policy,
    )


def proof(organisation: str, role: Role, key: str) -> bytes:
    return secret(key).sign(key_message(ALLIANCE, organisation, role, public(key)))


def add_client(name: str, organisation: str, role: Role = Role.USER, key: str = "") -> AddClient:
    own = key or name
    return AddClient(name, public(own), certified_by(name, own), proof(organisation, role, own), role)


def put_member(name: str, organisation: str, key: str = "", receiver: str = "first") -> PutMember:
    """A new member, or a new identity for the name."""
    row = member_row(name, organisation, key, receiver)
    return PutMember(row, proof(organisation, Role.MEMBER, key or name))


def put_operator(organisation: str, key: str) -> PutOperator:
    return PutOperator(OperatorRow(organisation, public(key)), proof(organisation, Role.OPERATOR, key))


class Log:
    """A log of which only the control state is kept; ``told`` are the outcomes of the last slot.

    ``keys`` are the names of the operators' keys, by organisation, and of members' identities.
    """

    def __init__(self, state: ControlState | None = None) -> None:
        self.state = state or found()
        self.told: tuple[Outcome, ...] = ()
        self.keys: dict[str, str] = {}
        self.history: list[Entry] = []
        self._seq = 0

    def slot(self, *encoded: bytes, time_ms: int = 0) -> tuple[Outcome, ...]:
        """Decides one slot, each command in a submission of its own."""
        return self.submit([[one] for one in encoded], time_ms)

    def submit(self, submissions: Iterable[Sequence[bytes]], time_ms: int = 0) -> tuple[Outcome, ...]:
        made: list[Submission] = []
        for commands in submissions:
            made.append(UnsignedSubmission(CARRIER, self._seq, commands).sign(bytes(64)))
            self._seq += 1
        entry = entry_of(self.state.slot + 1, made, time_ms)
        self.history.append(entry)
        self.state, self.told = self.state.apply(entry, verify)
        return self.told

    def run(self, slots: int, time_ms: int = 0) -> None:
        """Empty slots; the first of them has the stamp."""
        for number in range(slots):
            self.slot(time_ms=0 if number else time_ms)

    def to(self, slot: int) -> None:
        self.run(slot - self.state.slot)

    def sign(self, command: ControlCommand, key: str = "") -> bytes:
        signer = secret(key or self.keys.get(command.signer, command.signer))
        return SignedCommand(command, signer.sign(self.state.message(command))).encode()

    def do(self, *commands: ControlCommand) -> list[str]:
        """The refusals of commands that are signed by whom they say, all in one slot."""
        return [told.refusal for told in self.slot(*map(self.sign, commands))]

    def counter(self, organisation: str) -> int:
        return self.state.accounts.get(organisation, Account()).counter + 1

    def edit(self, organisation: str, *operations: EditOperation) -> str:
        """The refusal, if any."""
        return self.do(Edit(organisation, self.counter(organisation), operations))[0]

    def change(
        self, kind: ChangeKind, *operations: ChangeOperation, slots: int = NEVER, ms: int = NEVER
    ) -> Change:
        state = self.state
        base = base_digest(state.directory, operations)
        return Change(kind, state.epoch, base, slots, ms, operations)

    def propose(self, organisation: str, change: Change) -> tuple[bytes, str]:
        """The change_id, and the refusal if any."""
        command = Propose(organisation, self.counter(organisation), change)
        return command.change_id, self.do(command)[0]

    def agree(self, change: Change, organisations: Sequence[str] = ORGANISATIONS[:4]) -> bytes:
        """Proposes and approves; everything must be accepted. The change_id."""
        change_id, refusal = self.propose(organisations[0], change)
        assert not refusal
        for organisation in organisations[1:]:
            assert self.do(Approve(organisation, change_id)) == [""]
        return change_id

    def deal(self, members: Iterable[str], attempt: int = 0) -> list[str]:
        """Dealings of these members for the active change."""
        change_id = self.state.dealt_for.approved.change_id
        return self.do(*(Deal(name, change_id, attempt, b"dealing of " + name.encode()) for name in members))

    def ready(self, members: Iterable[str], transcript: bytes = b"t" * 32, attempt: int = 0) -> list[str]:
        change_id = self.state.dealt_for.approved.change_id
        return self.do(*(self.ready_command(name, change_id, transcript, attempt) for name in members))

    def ready_command(
        self, name: str, change_id: bytes, transcript: bytes, attempt: int = 0, again: str = ""
    ) -> Ready:
        identity = self.keys.get(name, name)
        receiver = f"receiver of {name} after {change_id.hex()[:8]}{again}".encode()
        signature = secret(identity).sign(receiver_statement(name, public(identity), receiver))
        return Ready(name, change_id, attempt, transcript, receiver, signature)

    def finish(self) -> None:
        """Goes on to the end of the epoch, and into the next one."""
        assert self.state.end is not None
        self.to(self.state.end)
        self.state = self.state.next_epoch()


def entry_of(slot: int, submissions: Sequence[Submission], time_ms: int = 0) -> Entry:
    batch = Batch.of(submissions, time_ms)
    return Entry(slot, 0, batch, bytes(32), Frontier(), b"", (True,) * len(submissions))


def client_id(name: str) -> bytes:
    return key_id(public(name))
