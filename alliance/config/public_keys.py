"""The alliance's public keys in alliance.toml."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from alliance.config.fields import only, tables, value
from alliance.config.founding import AGREEMENT, KEYS_MAX
from alliance.config.parties import read_name
from alliance.errors import ConfigError
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey, read_agreement_key

PURPOSES_MAX = KEYS_MAX - 1


def read_public_key(
    table: Mapping[str, Any], field: str, where: str, what: str | None = None
) -> AgreementKey:
    """The key in base64 under ``field``; an error calls it ``what``. Raises ConfigError."""
    text = value(table, field, str, where)
    try:
        return read_agreement_key(base64.b64decode(text, validate=True))
    except (binascii.Error, InvalidAgreementKey) as error:
        raise ConfigError(f"{where}: {what or repr(field)} is no threshold public key: {error}") from None


def read_purpose_keys(table: Mapping[str, Any], where: str) -> tuple[tuple[str, AgreementKey], ...]:
    """Those under ``[[purposes]]``, with their names. Raises ConfigError."""
    found: dict[str, AgreementKey] = {}
    for entry in tables(table, "purposes", where):
        only(entry, ("name", "key"), where)
        name = read_name(entry, where)
        if name == AGREEMENT:
            raise ConfigError(f"{where}: '{AGREEMENT}' is no further purpose")
        if name in found or len(found) == PURPOSES_MAX:
            raise ConfigError(f"{where}: '{name}' is there twice, or there are more than {PURPOSES_MAX}")
        found[name] = read_public_key(entry, "key", where, f"the key for '{name}'")
    return tuple(found.items())
