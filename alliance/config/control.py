"""alliance.toml and the control state: that with which an alliance begins, and the file of a later one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ssl import DER_cert_to_PEM_cert

from alliance.config.file import FILE, AllianceConfig
from alliance.config.identity import check, read_certificate
from alliance.config.rows import client_of, client_row, member_of, member_row
from alliance.config.terms import Terms
from alliance.errors import ConfigError
from consensus.control import ControlState
from consensus.control.directory import Directory
from consensus.control.encoding import MalformedControl
from consensus.control.published import Published
from consensus.control.rows import ClientRow, OperatorRow
from quorum.threshold_rsa import AgreementKey


def founded(config: AllianceConfig) -> ControlState:
    """At slot 0. All members have the same, or their checkpoints differ.

    Raises ConfigError when the file says more than the log can hold, such as 65 applications of one member;
    or when it is not as it was founded.
    """
    if config.changed is not None or config.membership != (0, 0):
        raise ConfigError(
            f"{FILE} is of epoch {config.epoch}, revision {config.revision}, not as it was founded"
        )
    try:
        return ControlState.founded(
            config.alliance_id,
            config.system,
            [member_row(member) for member in config.members],
            [OperatorRow(organisation, key) for organisation, key in config.founding.operators],
            [client_row(client) for client in config.clients],
        )
    except MalformedControl as error:
        raise ConfigError(f"{FILE}: {error}") from None


def current(config: AllianceConfig, membership: Published) -> AllianceConfig:
    """What alliance.toml says of a later revision of the same epoch.

    A client whose certificate is not that of its identity is left out: the log does not look into
    certificates, and nobody could tell who is at the other end. Raises ValueError when the membership is of
    another alliance, or of another epoch.
    """
    directory = membership.directory
    here = config.alliance_id, config.epoch, config.dealing, [member.identity for member in config.members]
    counters = membership.alliance_id, membership.epoch, membership.dealing
    if here != (*counters, [row.identity for row in directory.members]):
        raise ValueError("a membership of another alliance or epoch")
    clients = sorted(filter(_is_certified, directory.clients.values()), key=lambda row: row.name)
    return replace(
        config,
        members=tuple(map(member_of, directory.members)),
        clients=tuple(map(client_of, clients)),
        revision=membership.revision,
        changed=_terms(directory, membership.start, membership.transcript, config.terms.founding_keys),
    )


def _terms(
    directory: Directory, start: int, transcript: bytes, founding_keys: tuple[AgreementKey, ...]
) -> Terms:
    return Terms(
        directory.system,
        tuple((row.organisation, row.key) for row in directory.operators),
        directory.policy,
        start,
        transcript,
        directory.suspended,
        founding_keys,
    )


def _is_certified(row: ClientRow) -> bool:
    """Whether the certificate is that with which the row's identity certifies itself."""
    try:
        certificate = read_certificate(DER_cert_to_PEM_cert(row.certificate).encode())
        check(row.name, row.identity, certificate, row.name)
    except (ValueError, ConfigError):
        return False
    return True


def at(config: AllianceConfig, state: ControlState, keys: Sequence[AgreementKey] = ()) -> AllianceConfig:
    """What alliance.toml says from behind the state's slot on: ``canonical`` is then ``state.config``.

    ``config`` is any earlier one of the alliance. ``keys`` are those of the state's dealing, the agreement
    key first, when it is another one than the file's. Raises ConfigError for rows that the file cannot hold,
    such as a certificate that is none, and ValueError for a state of another alliance or missing keys.
    """
    directory, slot = state.directory, state.slot
    if state.alliance_id != config.alliance_id or bool(keys) != (state.dealing != config.dealing):
        raise ValueError("a state of another alliance, or keys of another dealing")
    before = (config.key, *(key for _, key in config.purpose_keys))
    founding_keys = config.terms.founding_keys or before
    kept = founding_keys if state.dealing else ()
    clients = [row for row in directory.clients.values() if row.admitted(slot + 1)]
    now = keys or before
    names = [name for name, _ in config.purpose_keys]
    try:
        changed = replace(
            config,
            key=now[0],
            purpose_keys=tuple(zip(names, now[1:], strict=True)),
            members=tuple(map(member_of, directory.members)),
            clients=tuple(client_of(row) for row in sorted(clients, key=lambda row: row.name)),
            epoch=state.epoch,
            revision=state.revision,
            dealing=state.dealing,
            changed=_terms(directory, state.start, state.transcript_digest, kept),
        )
    except ValueError as error:
        raise ConfigError(f"{FILE} cannot say what the log says: {error}") from None
    return AllianceConfig.from_toml(changed.to_toml()) if changed.membership != (0, 0) else config
