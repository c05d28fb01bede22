"""alliance.toml and the control state: that with which an alliance begins, and the file of a later one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ssl import DER_cert_to_PEM_cert

from alliance.config.file import FILE, AllianceConfig
from alliance.config.identity import check, read_certificate
from alliance.config.key_changes import KeyChange
from alliance.config.rows import client_of, client_row, member_of, member_row
from alliance.config.terms import Terms
from alliance.errors import ConfigError
from consensus.control import ControlState
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


def current(
    config: AllianceConfig,
    membership: Published,
    keys: Sequence[AgreementKey] = (),
    changes: Sequence[KeyChange] = (),
) -> AllianceConfig:
    """What alliance.toml says of a revision of the same epoch, or of a later epoch.

    ``keys`` are those of the membership's dealing, the agreement key first, and are needed if it is another
    one than the file's. ``changes`` are those by which the public keys have become others, verified, of
    epochs that the file does not know. A client whose certificate is not that of its identity is left out:
    the log does not look into certificates, and nobody could tell who is at the other end. Raises
    ValueError when the membership is of another alliance or of an earlier epoch, or when the file cannot hold
    it.
    """
    epoch, dealing = membership.epoch, membership.dealing
    if membership.alliance_id != config.alliance_id or epoch < config.epoch or dealing < config.dealing:
        raise ValueError("a membership of another alliance, or of an earlier epoch")
    here = config.dealing, [member.identity for member in config.members]
    if epoch == config.epoch and here != (dealing, [row.identity for row in membership.directory.members]):
        raise ValueError("it changes members within an epoch")
    clients = filter(_is_certified, membership.directory.clients.values())
    now = _file(config, membership, clients, keys if dealing != config.dealing else (), changes)
    if epoch == config.epoch:
        return now
    try:
        return AllianceConfig.from_toml(now.to_toml())
    except ConfigError as error:
        raise ValueError(f"a membership that {FILE} cannot hold: {error}") from None


def _file(
    config: AllianceConfig,
    membership: Published,
    clients: Iterable[ClientRow],
    keys: Sequence[AgreementKey],
    changes: Sequence[KeyChange],
) -> AllianceConfig:
    """The file of this membership with these clients. ``keys``: those of its dealing, unless the file has
    them. Raises ValueError for a row that is none, or missing keys."""
    if bool(keys) != (membership.dealing != config.dealing):
        raise ValueError("keys of another dealing, or none")
    before = (config.key, *(key for _, key in config.purpose_keys))
    names = [name for name, _ in config.purpose_keys]
    now = tuple(keys) or before
    founding_keys = config.terms.founding_keys or before
    later = (one for one in changes if config.epoch < one.epoch <= membership.epoch)
    changes = (*config.key_changes, *later)
    return replace(
        config,
        key=now[0],
        purpose_keys=tuple(zip(names, now[1:], strict=True)),
        members=tuple(map(member_of, membership.directory.members)),
        clients=tuple(client_of(row) for row in sorted(clients, key=lambda row: row.name)),
        epoch=membership.epoch,
        revision=membership.revision,
        dealing=membership.dealing,
        changed=_terms(membership, founding_keys if membership.dealing else (), changes),
    )


def _terms(
    membership: Published, founding_keys: tuple[AgreementKey, ...], changes: tuple[KeyChange, ...]
) -> Terms:
    directory = membership.directory
    return Terms(
        directory.system,
        tuple((row.organisation, row.key) for row in directory.operators),
        directory.policy,
        membership.start,
        membership.transcript,
        directory.suspended,
        founding_keys,
        changes,
    )


def _is_certified(row: ClientRow) -> bool:
    """Whether the certificate is that with which the row's identity certifies itself."""
    try:
        certificate = read_certificate(DER_cert_to_PEM_cert(row.certificate).encode())
        check(row.name, row.identity, certificate, row.name)
    except (ValueError, ConfigError):
        return False
    return True


def at(
    config: AllianceConfig,
    state: ControlState,
    keys: Sequence[AgreementKey] = (),
    changes: Sequence[KeyChange] = (),
) -> AllianceConfig:
    """What alliance.toml says from behind the state's slot on: ``canonical`` is then ``state.config``.

    ``config`` is any earlier one of the alliance. ``keys`` are those of the state's dealing, the agreement
    key first, when it is another one than the file's; ``changes`` as for ``current``. Raises ConfigError for
    rows that the file cannot hold, such as a certificate that is none, and ValueError for a state of another
    alliance or missing keys.
    """
    membership = Published.of(state)
    if state.alliance_id != config.alliance_id:
        raise ValueError("a state of another alliance")
    if bool(keys) != (state.dealing != config.dealing):
        raise ValueError("keys of another dealing, or none")
    try:
        changed = _file(config, membership, membership.directory.clients.values(), keys, changes)
    except ValueError as error:
        raise ConfigError(f"{FILE} cannot say what the log says: {error}") from None
    return AllianceConfig.from_toml(changed.to_toml()) if changed.membership != (0, 0) else config
