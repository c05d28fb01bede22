"""A directory while a command changes it: all of its operations are carried out, or none.

Whoever is refused throws the draft away. It looks at all clients once, and not for each operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

from consensus.control.certificate import certificate, certified, signature_in
from consensus.control.directory import Directory, Refused
from consensus.control.encoding import text, u8
from consensus.control.rows import ClientRow, MemberRow, Role, key_id, receiver_statement
from quorum import Context, ControlStatement

Verify: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""``verify(key, message, signature)``: whether the signature (64 bytes) is one by an Ed25519 public key (32).

All members must use one implementation, and one version of it: where two differ, on keys of small order or on
encodings that are not canonical, their logs would come to mean different things."""


def trust(key: bytes, message: bytes, signature: bytes) -> bool:
    """A Verify for what was verified before."""
    return True


_DOMAIN = b"alliance-control-key/1\x00"


def key_message(alliance_id: bytes, organisation: str, role: Role, key: bytes) -> bytes:
    """What a new key signs, to be added to an organisation in a role::

        CONTROL statement of H("alliance-control-key/1" 00 | organisation text | role u8 | key[32])

    So nobody burns another one's key by adding and removing it.
    """
    digest = sha256(_DOMAIN + text(organisation) + u8(role) + key).digest()
    return ControlStatement(digest).encode(Context(alliance_id, 0))


@dataclass(frozen=True, slots=True)
class KeyRules:
    """No key is there twice, be it a member's, an operator's or a client's, now or ever before.

    A client_id that came back could have its old submissions ordered twice. ``past`` are the digests
    (``rows.key_id``) of keys that were there once, ``reserved`` those of keys that an active change will add.
    """

    alliance_id: bytes
    verify: Verify
    past: frozenset[bytes]
    reserved: frozenset[bytes] = frozenset()

    def require_proof(self, key: bytes, organisation: str, role: Role, proof: bytes) -> None:
        """Raises Refused unless the key has signed ``key_message``."""
        if not self.verify(key, key_message(self.alliance_id, organisation, role, key), proof):
            raise Refused("the new key has not signed that it is to be added: make its request anew")

    def require_certificate(self, name: str, identity: bytes, encoded: bytes) -> None:
        """Raises Refused unless it is the one with which this identity certifies itself."""
        signature = signature_in(encoded)
        own = encoded == certificate(name, identity, signature)
        if not own or not self.verify(identity, certified(name, identity), signature):
            raise Refused(f"the certificate of '{name}' is not the one with which its key certifies itself")

    def require_receiver(self, row: MemberRow) -> None:
        """Raises Refused unless the row's identity has signed its receiver key."""
        message = receiver_statement(row.name, row.identity, row.receiver)
        if not self.verify(row.identity, message, row.receiver_signature):
            raise Refused(f"the receiver key of '{row.name}' is not signed by its identity")


class Draft:
    """``effective``: what is done here is in effect behind this slot."""

    def __init__(self, directory: Directory, keys: KeyRules, effective: int) -> None:
        self.effective = effective
        self.members = {row.name: row for row in directory.members}
        self.operators = {row.organisation: row for row in directory.operators}
        self.policy = directory.policy
        self.suspended = set(directory.suspended)
        self.profile, self.faulty_max = directory.profile, directory.faulty_max
        self.burnt: set[bytes] = set()
        self._keys = keys
        self._directory = directory
        self._clients: dict[bytes, ClientRow] | None = None

    @property
    def clients(self) -> dict[bytes, ClientRow]:
        """A copy: there may be thousands, and most commands do not need it."""
        if self._clients is None:
            self._clients = dict(self._directory.clients)
        return self._clients

    def finish(self) -> Directory:
        """Raises MalformedControl when the rows do not fit together."""
        return Directory(
            self.profile,
            self.faulty_max,
            tuple(self.members.values()),
            tuple(row for _, row in sorted(self.operators.items())),
            self.policy,
            self._directory.clients if self._clients is None else self._clients,
            tuple(sorted(self.suspended)),
        )

    def member(self, name: str) -> MemberRow:
        """Raises Refused."""
        if name not in self.members:
            raise Refused(f"there is no member '{name}'")
        return self.members[name]

    def client(self, client_id: bytes) -> ClientRow:
        """Raises Refused, also for one that was removed and is admitted for some slots yet."""
        row = self.clients.get(client_id)
        if row is None or not row.live:
            raise Refused(f"there is no client {client_id.hex()[:16]}")
        return row

    def require_new_key(self, key: bytes, organisation: str, role: Role, proof: bytes) -> None:
        """Raises Refused unless the key is nowhere, never was, and proves itself."""
        digest = key_id(key)
        others = [row.identity for row in self.members.values()] + [
            row.key for row in self.operators.values()
        ]
        if digest in self.clients or digest in self._keys.reserved or key in others:
            raise Refused("the key is there already: every member, operator and client has its own")
        if digest in self._keys.past or digest in self.burnt:
            raise Refused("the key was in use once, and no key comes back: make a new one")
        self._keys.require_proof(key, organisation, role, proof)

    def require_certificate(self, name: str, identity: bytes, encoded: bytes) -> None:
        """As that of KeyRules."""
        self._keys.require_certificate(name, identity, encoded)

    def require_receiver(self, row: MemberRow) -> None:
        """Raises Refused unless the row's receiver key, if it has one, is signed by its identity."""
        if row.receiver:
            self._keys.require_receiver(row)

    def remove_client(self, row: ClientRow) -> None:
        until = max(row.from_slot, self.effective + 1)
        self.clients[row.client_id] = replace(row, until_slot=until)
