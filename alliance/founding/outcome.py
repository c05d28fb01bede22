"""What a founding gives to everybody: alliance.toml and the public keys, whoever made the keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from alliance.config.file import FILE, AllianceConfig
from alliance.config.founding import FoundingMember, FoundingRecord
from alliance.config.parties import Client, Member
from alliance.founding.folders import write_files
from alliance.keys.channel import utc_now
from alliance.keys.folder import public_file
from quorum import QuorumSystem
from quorum.threshold_rsa import AgreementKey

PUBLIC_KEY = "public.pem"


def assemble(
    name: str,
    system: QuorumSystem,
    members: Sequence[Member],
    clients: Sequence[Client],
    operators: Mapping[str, bytes],
    keys: Sequence[tuple[str, AgreementKey]],
    created: str | None = None,
) -> AllianceConfig:
    """The alliance that begins now, or began at ``created``, checked as every reader of its file checks it.

    ``operators`` are the Ed25519 public keys of the organisations that run members; ``keys`` are (purpose,
    key), the agreement key first. Clients that name no organisation belong to the first one. Raises
    ConfigError.
    """
    first = next(iter(operators), "")
    config = AllianceConfig(
        founding=FoundingRecord(
            name,
            created or utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            system,
            tuple(FoundingMember(one.name, one.organisation, one.identity) for one in members),
            tuple(operators.items()),
            tuple((purpose, key.key_id) for purpose, key in keys),
        ),
        key=keys[0][1],
        members=tuple(members),
        clients=tuple(replace(one, organisation=one.organisation or first) for one in clients),
        purpose_keys=tuple(keys[1:]),
    )
    return AllianceConfig.from_toml(config.to_toml())


def public_files(config: AllianceConfig) -> dict[str, bytes]:
    """Name and content of the files that all parties have alike; alliance.toml is the last of them."""
    pems = {PUBLIC_KEY: config.key.to_pem()}
    pems |= {public_file(purpose): key.to_pem() for purpose, key in config.purpose_keys}
    return pems | {FILE: config.to_toml().encode()}


def write_public(folder: Path, config: AllianceConfig) -> None:
    """Into a new folder. Raises OSError."""
    write_files(folder, public_files(config))
