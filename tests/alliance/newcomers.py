"""Parties that come to an alliance while it runs, and the revisions in which they do."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.config.identity import certify_itself
from alliance.config.parties import Client
from alliance.keys.channel import Credentials, certify, utc_now


def newcomer(name: str = "newcomer", organisation: str = "member-1") -> Credentials:
    """A client that was made a moment ago, of no alliance yet."""
    key = Ed25519PrivateKey.generate()
    party = Client(name, key.public_key().public_bytes_raw(), certify_itself(name, key), organisation)
    return Credentials(party, key, certify(party, key, utc_now()))


def admitting(config: AllianceConfig, *more: Credentials) -> AllianceConfig:
    """The next revision, with these clients, too."""
    return revised(config, (*config.clients, *(client_of(one) for one in more)))


def client_of(one: Credentials) -> Client:
    """Whose credentials these are."""
    assert isinstance(one.party, Client)
    return one.party


def removing(config: AllianceConfig, *names: str) -> AllianceConfig:
    """The next revision, without the clients of these names."""
    return revised(config, tuple(client for client in config.clients if client.name not in names))


def revised(config: AllianceConfig, clients: tuple[Client, ...]) -> AllianceConfig:
    return replace(config, clients=clients, revision=config.revision + 1)


def moved(config: AllianceConfig, member: int, port: int) -> AllianceConfig:
    """The next revision, in which this member is at another port of this machine."""
    members = list(config.members)
    members[member] = replace(members[member], address=f"127.0.0.1:{port}")
    return replace(config, members=tuple(members), revision=config.revision + 1)
