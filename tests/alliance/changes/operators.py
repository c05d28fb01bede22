"""The operators of the farm, and changes that they make."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import approval, simulation
from alliance.changes.change_file import ChangeFile
from alliance.config.control import founded
from alliance.founding.request import Request, request_as_client
from alliance.keys import sealing
from alliance.keys.folder import OPERATOR
from consensus.control import ControlState
from consensus.control.commands import SignedCommand
from tests.alliance.farm import PASSPHRASE, Farm

NORTH, SOUTH = "member-1", "member-2"
"""Each member of the farm is run by an organisation of its own name; the clients are the first one's."""


@dataclass
class Operators:
    """The keys, by organisation, and the state of a log that only they change."""

    state: ControlState
    keys: dict[str, Ed25519PrivateKey] = field(repr=False)

    @classmethod
    def of(cls, farm: Farm) -> Operators:
        keys = {}
        for index, member in enumerate(farm.config.members):
            path = farm.member_home(index) / OPERATOR
            keys[member.organisation] = sealing.unseal_signing(sealing.read(path), path, PASSPHRASE)
        return cls(founded(farm.config), keys)

    def signed(self, change: ChangeFile, *organisations: str, abort: bool = False) -> list[SignedCommand]:
        """What these say of a change; its own organisation if none is named."""
        return [
            approval.sign(change, self.keys[name], name, abort=abort).command_on(change, name)
            for name in organisations or (change.organisation,)
        ]

    def order(self, *commands: SignedCommand) -> list[str]:
        """Decides them in one slot; why each is refused, or nothing."""
        self.state, outcomes = simulation.apply(self.state, commands)
        return [one.refusal for one in outcomes]

    def carry_out(self, change: ChangeFile) -> None:
        """With the approval of everybody who is asked."""
        organisations = [name for name, _ in change.operators] or [change.organisation]
        own_first = sorted(organisations, key=lambda name: name != change.organisation)
        for name in own_first:
            self.order(*self.signed(change, name))

    def request(self, name: str, organisation: str = NORTH) -> Request:
        """Of a client that has just made its key."""
        key = Ed25519PrivateKey.generate()
        return request_as_client(name, key, organisation, self.state.alliance_id)

    def client_names(self) -> set[str]:
        """Of the clients that nobody has removed."""
        return {row.name for row in self.state.directory.clients.values() if row.live}
