"""A change that brings new public keys, made here and now by one dealer, for the members that there are."""

from __future__ import annotations

from alliance.changes.change_file import ChangeFile
from alliance.changes.drafting import proposal
from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError
from consensus.control import ControlState
from consensus.control.changes import ChangeKind
from consensus.control.operations import NewKeys
from consensus.control.transcript import transcript_digest
from quorum.new_keys import require_one_dealer, seal_new_keys
from quorum.receivers import InvalidReceiver, read_receiver
from quorum.threshold_rsa import InvalidAgreementKey, deal_key
from verifiable_log.limits import COMMAND_BYTES_MAX

_AROUND_BYTES = 1024
"""What else is in the command: names, digests, a signature."""


def new_keys(state: ControlState, organisation: str, config: AllianceConfig, until_ms: int) -> ChangeFile:
    """Other keys of the same sizes in place of all that the alliance has. ``config`` has these.

    The private keys exist here while this runs, as at the founding by one dealer. Takes seconds for a key of
    2048 bits. Raises ConfigError.
    """
    _require_known(state, config)
    system, members = state.directory.system, state.directory.members
    without = [row.name for row in members if not row.receiver]
    if without:
        raise ConfigError(
            f"{', '.join(without)}: no receiver key, without which nobody can seal a share to them: 'alliance"
            " member replace' gives them one"
        )
    made = [deal_key(system, key.threshold, key.key_size, state.dealing + 1) for key in config.keys]
    try:
        dealing = seal_new_keys(made, [read_receiver(row.receiver) for row in members])
    except InvalidReceiver as error:
        raise ConfigError(f"the receiver key of a member does not fit: {error}") from None
    encoded = dealing.encode()
    if len(encoded) > COMMAND_BYTES_MAX - _AROUND_BYTES:
        raise ConfigError(
            f"{len(made)} new keys for {len(members)} members take {len(encoded)} bytes, and a command has at"
            f" most {COMMAND_BYTES_MAX}: have fewer members first, or create another alliance"
        )
    operation = NewKeys(transcript_digest([key.to_bytes() for key in dealing.keys]), encoded)
    return proposal(state, organisation, [operation], until_ms, ChangeKind.FULL)


def _require_known(state: ControlState, config: AllianceConfig) -> None:
    """Raises ConfigError unless the keys are those of now, and such as one dealer may replace."""
    if config.dealing != state.dealing:
        raise ConfigError(
            f"this folder's alliance.toml is of dealing {config.dealing} of the keys, and the alliance of"
            f" {state.dealing}: repeat the command, which has it brought up to date"
        )
    try:
        require_one_dealer(config.keys)
    except InvalidAgreementKey as error:
        raise ConfigError(
            f"{error}. Where fewer shares of one dealing than sign may have leaked, 'alliance refresh'"
            " without --new-key makes them worthless; otherwise found another alliance by 'alliance"
            " ceremony', and tell its alliance_id by another way than this one's log, which whoever has the"
            " shares can go on with"
        ) from None
