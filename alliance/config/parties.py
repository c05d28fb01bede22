"""Members and clients of an alliance: who they are, and how alliance.toml writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config import receiver as receivers
from alliance.config.fields import only, value
from alliance.config.identity import check, read_certificate
from alliance.config.receiver import Receiver
from alliance.errors import ConfigError
from consensus.control.encoding import MalformedControl
from consensus.control.rows import FOREVER, NO_LIMITS, ClientLimits

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ADDRESS = re.compile(r"[A-Za-z0-9._:\[\]%-]{1,255}:[0-9]{1,5}")
PORT_MAX = 65535
APPLICATION_PORT = 100
APPLICATION_PLACES = 64
"""An application's port lies so many APPLICATION_PORTs at most above its member's: its name says how many."""

_PARTY_KEYS = ("name", "identity", "certificate")
_CLIENT_NUMBERS = {
    "waiting": NO_LIMITS.waiting,
    "waiting_bytes": NO_LIMITS.waiting_bytes,
    "from_slot": 0,
    "until_slot": FOREVER,
}
"""Each with what holds where it is not said."""
_MEMBER_KEYS = (*_PARTY_KEYS, "organisation", "address", "applications", *receivers.FIELDS)


def require_application(name: str) -> str:
    """Raises ConfigError for what cannot name an application."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r:.80} names no application: use a-z, 0-9 and '-'")
    return name


@dataclass(frozen=True, slots=True)
class Party:
    """A member or client: a name, and the Ed25519 key that it is known by.

    ``certificate`` is that key's own (``config.identity``): what it certifies is this party's channel.
    """

    name: str
    identity: bytes
    certificate: x509.Certificate

    @property
    def identity_key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.identity)

    @property
    def client_id(self) -> bytes:
        return sha256(self.identity).digest()


@dataclass(frozen=True, slots=True)
class Member(Party):
    """``address`` is host:port, as its peers and clients reach it; ``organisation`` is who runs it.

    ``applications`` are (name, host:port) of the application processes that this member runs elsewhere than
    at the address that follows from their names. ``receiver`` is its key for the next dealing of shares; who
    was made by a dealer on one machine has none yet.
    """

    address: str
    organisation: str
    applications: tuple[tuple[str, str], ...] = ()
    receiver: Receiver | None = None

    def application_address(self, application: str) -> str:
        """Where this member's executor of an application answers clients.

        Unless it is listed: the member's port, and APPLICATION_PORT times 1 to APPLICATION_PLACES, which is 1
        plus the first byte of SHA-256 of the name modulo APPLICATION_PLACES. So several applications of one
        member do not meet, nor those of members with neighbouring ports. Raises ConfigError where there is no
        such port.
        """
        if application in (listed := dict(self.applications)):
            return listed[application]
        host, _, port = self.address.rpartition(":")
        place = 1 + sha256(application.encode()).digest()[0] % APPLICATION_PLACES
        derived = int(port) + APPLICATION_PORT * place
        if derived > PORT_MAX:
            raise ConfigError(
                f"there is no port {derived} for '{application}' at {self.name}: give it an address under"
                f" 'applications' of {self.name} in every alliance.toml"
            )
        return f"{host}:{derived}"


@dataclass(frozen=True, slots=True)
class Client(Party):
    """``organisation`` answers for it: its operator alone removes it, or gives it another key.

    ``limits`` are its own beside those of every client. It is admitted in the slots ``from_slot`` to
    ``until_slot`` - 1.
    """

    organisation: str
    limits: ClientLimits = NO_LIMITS
    from_slot: int = 0
    until_slot: int = FOREVER


def party_lines(party: Party) -> list[str]:
    """What members and clients have in common, in TOML."""
    pem = party.certificate.public_bytes(Encoding.PEM).decode().strip()
    return [f'identity = "{party.identity.hex()}"', f'certificate = """\n{pem}\n"""']


def read_member(table: Mapping[str, Any], where: str) -> Member:
    """Raises ConfigError."""
    only(table, _MEMBER_KEYS, where)
    address = read_address(value(table, "address", str, where), where)
    applications = read_applications(table, where)
    _apart([("the server", address), *((f"'{name}'", at) for name, at in applications)], where)
    name, identity, certificate = read_party(table, where)
    return Member(
        name,
        identity,
        certificate,
        address,
        read_name(table, where, "organisation"),
        applications,
        receivers.read(table, name, identity, where),
    )


def member_lines(member: Member) -> list[str]:
    """In TOML, as ``read_member`` reads it."""
    lines = [f'name = "{member.name}"', f'organisation = "{member.organisation}"']
    lines.append(f'address = "{member.address}"')
    if member.applications:
        listed = ", ".join(f'"{name}" = "{address}"' for name, address in member.applications)
        lines.append(f"applications = {{ {listed} }}")
    receiver = [] if member.receiver is None else member.receiver.to_lines()
    return [*lines, *party_lines(member), *receiver]


def read_applications(table: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    """The (name, host:port) under 'applications'; none is none. Raises ConfigError."""
    applications = table.get("applications", {})
    if not isinstance(applications, dict):
        raise ConfigError(f'{where}: write applications = {{ "name" = "host:port" }}')
    for name, elsewhere in applications.items():
        if not NAME.fullmatch(name) or not isinstance(elsewhere, str):
            raise ConfigError(f'{where}: write applications = {{ "name" = "host:port" }}')
        read_address(elsewhere, where)
    return tuple(applications.items())


def read_client(table: Mapping[str, Any], where: str) -> Client:
    """Raises ConfigError."""
    only(table, (*_PARTY_KEYS, "organisation", *_CLIENT_NUMBERS), where)
    party = *read_party(table, where), read_name(table, where, "organisation")
    waiting, waiting_bytes, from_slot, until_slot = (
        value(table, key, int, where) if key in table else default for key, default in _CLIENT_NUMBERS.items()
    )
    try:
        client = Client(*party, ClientLimits(waiting, waiting_bytes), from_slot, until_slot)
    except MalformedControl as error:
        raise ConfigError(f"{where}: {error}") from None
    if not 0 <= from_slot <= until_slot <= FOREVER:
        raise ConfigError(f"{where}: '{client.name}' has a 'from_slot' behind its 'until_slot'")
    return client


def client_lines(client: Client) -> list[str]:
    """In TOML, without the name."""
    values = client.limits.waiting, client.limits.waiting_bytes, client.from_slot, client.until_slot
    numbers = zip(_CLIENT_NUMBERS.items(), values, strict=True)
    own = [f"{key} = {number}" for (key, default), number in numbers if number != default]
    return [f'organisation = "{client.organisation}"', *own, *party_lines(client)]


def read_name(table: Mapping[str, Any], where: str, key: str = "name") -> str:
    """Raises ConfigError."""
    name: str = value(table, key, str, where)
    if not NAME.fullmatch(name):
        raise ConfigError(f"{where}: {name!r:.80} is no name: use a-z, 0-9 and '-', 63 characters at most")
    return name


def _apart(listeners: Sequence[tuple[str, str]], where: str) -> None:
    """Raises ConfigError when two of them have one address."""
    seen: dict[str, str] = {}
    for who, address in listeners:
        if address in seen:
            raise ConfigError(f"{where}: {seen[address]} and {who} are both at {address}: give each its own")
        seen[address] = who


def read_address(address: str, where: str) -> str:
    """Raises ConfigError unless it is host:port."""
    if not ADDRESS.fullmatch(address) or not 0 < int(address.rpartition(":")[2]) <= PORT_MAX:
        raise ConfigError(f"{where}: {address!r:.80} is no address: write host:port")
    return address


def read_key(table: Mapping[str, Any], key: str, where: str) -> bytes:
    """An Ed25519 public key in hex. Raises ConfigError."""
    text = value(table, key, str, where)
    try:
        found = bytes.fromhex(text)
        Ed25519PublicKey.from_public_bytes(found)
    except ValueError:
        raise ConfigError(f"{where}: '{key}' must be an Ed25519 public key, 64 hex digits") from None
    if found.hex() != text:
        raise ConfigError(f"{where}: write '{key}' as 64 hex digits in lower case, without blanks")
    return found


def read_party(table: Mapping[str, Any], where: str) -> tuple[str, bytes, x509.Certificate]:
    """What members and clients have in common. Raises ConfigError."""
    name, identity = read_name(table, where), read_key(table, "identity", where)
    certificate = _certificate(table, where)
    check(name, identity, certificate, where)
    return name, identity, certificate


def _certificate(table: Mapping[str, Any], where: str) -> x509.Certificate:
    try:
        return read_certificate(value(table, "certificate", str, where).encode())
    except ValueError as error:
        raise ConfigError(f"{where}: 'certificate' is {error}") from None
