"""What operators of organisations order, signed with the keys that an alliance was founded with."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from alliance.keys import sealing
from alliance.keys.channel import Credentials
from alliance.keys.folder import OPERATOR
from consensus.control.changes import Change
from consensus.control.commands import (
    Approve,
    ControlCommand,
    Edit,
    Propose,
    SignedCommand,
    command_message,
)
from consensus.control.draft import key_message
from consensus.control.edits import AddClient, EditOperation, RemoveClient, SetAddress
from consensus.control.rows import Role
from tests.alliance.farm import PASSPHRASE, Farm


class Operator:
    """Of the organisation that runs one member alone; each edit has the next number."""

    def __init__(self, farm: Farm, member: int) -> None:
        self.organisation = farm.config.members[member].organisation
        self._member = farm.config.members[member]
        self._alliance_id = farm.config.alliance_id
        path = farm.member_home(member) / OPERATOR
        key = sealing.unseal_signing(path.read_bytes(), path, PASSPHRASE)
        self._key = key
        self._counter = 0

    def edit(self, *operations: EditOperation) -> bytes:
        """The command to be ordered."""
        self._counter += 1
        return self._signed(Edit(self.organisation, self._counter, operations))

    def propose(self, change: Change) -> Propose:
        """It proposes a change, and approves of it."""
        self._counter += 1
        return Propose(self.organisation, self._counter, change)

    def approve(self, proposed: Propose) -> bytes:
        """The command to be ordered; of who has proposed it that is the proposal itself."""
        if proposed.signer == self.organisation:
            return self._signed(proposed)
        return self._signed(Approve(self.organisation, proposed.change_id))

    def _signed(self, command: ControlCommand) -> bytes:
        return SignedCommand(command, self._key.sign(command_message(self._alliance_id, command))).encode()

    def add(self, client: Credentials, certificate: bytes | None = None) -> AddClient:
        """``certificate``: if it is another one than the identity's own."""
        party = client.party
        message = key_message(self._alliance_id, self.organisation, Role.USER, party.identity)
        der = party.certificate.public_bytes(Encoding.DER) if certificate is None else certificate
        return AddClient(party.name, party.identity, der, client.signing_key.sign(message))

    def remove(self, client: Credentials) -> RemoveClient:
        return RemoveClient(client.party.client_id)

    def move(self, port: int) -> SetAddress:
        return SetAddress(self._member.name, f"127.0.0.1:{port}", self._member.applications)
