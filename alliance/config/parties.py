"""Members and clients of an alliance: who they are, and how alliance.toml writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.fields import only, value
from alliance.config.identity import check, read_certificate
from alliance.errors import ConfigError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ADDRESS = re.compile(r"[A-Za-z0-9._:\[\]%-]{1,255}:[0-9]{1,5}")
APPLICATION_PORT = 100


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
    at the derived address, which is that of the member with a port higher by APPLICATION_PORT.
    """

    address: str
    organisation: str
    applications: tuple[tuple[str, str], ...] = ()

    def application_address(self, application: str) -> str:
        """Where this member's executor of an application answers clients."""
        host, _, port = self.address.rpartition(":")
        return dict(self.applications).get(application, f"{host}:{int(port) + APPLICATION_PORT}")


def party_lines(party: Party) -> list[str]:
    """What members and clients have in common, in TOML."""
    pem = party.certificate.public_bytes(Encoding.PEM).decode().strip()
    return [f'identity = "{party.identity.hex()}"', f'certificate = """\n{pem}\n"""']


def read_member(table: Mapping[str, Any], where: str) -> Member:
    """Raises ConfigError."""
    only(table, ("name", "organisation", "address", "applications", "identity", "certificate"), where)
    address = _address(value(table, "address", str, where), where)
    applications = table.get("applications", {})
    if not isinstance(applications, dict):
        raise ConfigError(f'{where}: write applications = {{ "name" = "host:port" }}')
    for name, elsewhere in applications.items():
        if not NAME.fullmatch(name) or not isinstance(elsewhere, str):
            raise ConfigError(f'{where}: write applications = {{ "name" = "host:port" }}')
        _address(elsewhere, where)
    return Member(
        *_party(table, where), address, read_name(table, where, "organisation"), tuple(applications.items())
    )


def read_client(table: Mapping[str, Any], where: str) -> Party:
    """Raises ConfigError."""
    only(table, ("name", "identity", "certificate"), where)
    return Party(*_party(table, where))


def read_name(table: Mapping[str, Any], where: str, key: str = "name") -> str:
    """Raises ConfigError."""
    name: str = value(table, key, str, where)
    if not NAME.fullmatch(name):
        raise ConfigError(f"{where}: {name!r:.80} is no name: use a-z, 0-9 and '-', 63 characters at most")
    return name


def _address(address: str, where: str) -> str:
    if not ADDRESS.fullmatch(address) or not 0 < int(address.rpartition(":")[2]) < 65536:
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


def _party(table: Mapping[str, Any], where: str) -> tuple[str, bytes, x509.Certificate]:
    """What members and clients have in common."""
    name, identity = read_name(table, where), read_key(table, "identity", where)
    certificate = _certificate(table, where)
    check(name, identity, certificate, where)
    return name, identity, certificate


def _certificate(table: Mapping[str, Any], where: str) -> x509.Certificate:
    try:
        return read_certificate(value(table, "certificate", str, where).encode())
    except ValueError as error:
        raise ConfigError(f"{where}: 'certificate' is {error}") from None
