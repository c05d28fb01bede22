"""A log on paper: commands are carried into a real control state, slot by slot, and no server runs.

It plays all parties that matter here, the operators and the members' identities, and what a client does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import approval
from alliance.changes.change_file import ChangeFile
from alliance.changes.followed import Followed
from alliance.config.file import AllianceConfig
from alliance.founding.request import Request, request_as_member
from alliance.keys import folder as keys
from alliance.keys import sealing
from consensus.control import ControlState
from consensus.control.commands import Deal, Ready, SignedCommand
from consensus.control.rows import receiver_statement
from quorum.receivers import receiver_bits
from tests.worlds.founding import receiver
from verifiable_log import Batch, UnsignedSubmission

TIME_MS = 1_800_000_000_000
CARRIER = bytes(32)
RECEIVER_BITS = receiver_bits(2048)
"""Of the receiver keys here, as of the alliances' keys."""


@dataclass
class Paper:
    """``operators`` by organisation, ``identities`` by member's name: whoever is new is put in there.

    ``script`` are further slots, each a function that gives the commands of one: what happens meanwhile.
    """

    state: Followed
    operators: dict[str, Ed25519PrivateKey] = field(repr=False)
    identities: dict[str, Ed25519PrivateKey] = field(repr=False)
    script: list[Callable[[], Sequence[SignedCommand]]] = field(default_factory=list)
    log: list[Batch] = field(default_factory=list)
    seq: int = 0

    @classmethod
    def of(cls, config: AllianceConfig, folder: Path, passphrase: bytes) -> Paper:
        """Of an alliance on disk."""
        operators, identities = {}, {}
        for member in config.members:
            home = folder / "members" / member.name
            path = home / keys.OPERATOR
            operators[member.organisation] = sealing.unseal_signing(sealing.read(path), path, passphrase)
            identities[member.name] = keys.load_credentials(home, member, passphrase).signing_key
        paper = cls(Followed.founded(config), operators, identities)
        for _ in range(6):  # some time has passed, and the log knows how late it is
            paper.order()
        return paper

    @property
    def control(self) -> ControlState:
        return self.state.control

    # -- what parties sign ---------------------------------------------------------------------------

    def signed(self, change: ChangeFile, *organisations: str, abort: bool = False) -> list[SignedCommand]:
        """What these say of a change; its own organisation if none is named."""
        return [
            approval.sign(change, self.operators[name], name, abort=abort).command_on(change, name)
            for name in organisations or (change.organisation,)
        ]

    def agree(self, change: ChangeFile) -> None:
        """Orders it with as many approvals as it takes: its own, and the last ones of the list."""
        needed = self.control.needed(change.command.change)  # type: ignore[union-attr]
        others = [row.organisation for row in self.control.directory.operators]
        others.remove(change.organisation)
        for organisation in (change.organisation, *others[::-1][: needed - 1]):
            assert self.order(*self.signed(change, organisation)) == [""]

    def dealings(self, names: Iterable[str]) -> list[SignedCommand]:
        active = self.control.dealt_for
        head = active.approved.change_id, active.attempt
        return [self._by(Deal(name, *head, b"dealing of " + name.encode())) for name in names]

    def readies(self, names: Iterable[str], transcript: bytes = b"t" * 32) -> list[SignedCommand]:
        active, made = self.control.dealt_for, []
        for name in names:
            row = self.control.target.member(name)
            key = f"key of {name} from slot {self.control.slot} on".encode()
            signature = self.identities[name].sign(receiver_statement(name, row.identity, key))
            head = active.approved.change_id, active.attempt
            made.append(self._by(Ready(name, *head, transcript, key, signature)))
        return made

    def _by(self, command: Deal | Ready) -> SignedCommand:
        key = self.identities[command.signer]
        return SignedCommand(command, key.sign(self.control.message(command)))

    def asks(
        self, name: str, organisation: str, operator: Ed25519PrivateKey | None = None, port: int = 7499
    ) -> Request:
        """The request of a member for this alliance, whose identity is new and kept here."""
        identity = Ed25519PrivateKey.generate()
        operator = operator or self.operators.setdefault(organisation, Ed25519PrivateKey.generate())
        place, key = self.control.alliance_id, receiver(6).key
        self.identities[name] = identity
        address = f"127.0.0.1:{port}"
        return request_as_member(name, organisation, address, identity, operator, place, key)

    # -- slots ----------------------------------------------------------------------------------------

    def order(self, *commands: SignedCommand) -> list[str]:
        """Decides them in one slot; why each is refused, or nothing."""
        first = self.seq
        made = [self._submission(one.encode()) for one in commands]
        self.log.append(Batch.of(made, TIME_MS + len(self.log)))
        self._read()
        return [self.state.outcomes[CARRIER, number].refusal for number in range(first, self.seq)]

    def run(self, slots: int = 1) -> None:
        for _ in range(slots):
            self.order()

    def finish(self) -> None:
        """To the end of the epoch, and into the next one."""
        assert self.control.end is not None
        self.run(self.control.end - self.control.slot)

    def hand_on(self, absent: Sequence[str] = ()) -> None:
        """Everybody deals, and is ready, but those that are absent; up to the next epoch."""
        old = [row.name for row in self.control.directory.members if row.name not in absent]
        new = [row.name for row in self.control.target.members if row.name not in absent]
        self.order(*self.dealings(old))
        refused = self.order(*self.readies(new))
        assert not any(refused), refused
        self.finish()

    def _submission(self, command: bytes) -> Any:
        self.seq += 1
        return UnsignedSubmission(CARRIER, self.seq - 1, [command]).sign(bytes(64))

    def _read(self) -> None:
        self.state.apply(self.state.frontier.size + 1, self.log[self.state.frontier.size])

    # -- as a client ------------------------------------------------------------------------------------

    async def propose(self, command: bytes, timeout: float) -> Any:
        """As ``Client.propose``, whose receipt says this much."""
        self.log.append(Batch.of([self._submission(command)], TIME_MS + len(self.log)))
        return SimpleNamespace(slot=len(self.log), client_id=CARRIER, client_seq=self.seq - 1)

    async def follow(self, client: Any, followed: Followed, until: int, advance: Any) -> None:
        """As ``followed.follow``: an idle leader fills the slots."""
        assert followed is self.state
        while followed.frontier.size < until:
            if followed.frontier.size == len(self.log):
                self.log.append(Batch.of([], TIME_MS + len(self.log)))
            self._read()
            advance(followed.frontier.size, until)

    async def watch(
        self, client: Any, followed: Followed, done: Callable[[ControlState], bool], advance: Any
    ) -> None:
        """As ``followed.watch``, with the script."""
        while True:
            commands = self.script.pop(0)() if self.script else []
            self.order(*commands)
            if done(self.control):
                return
