"""Making a key for an alliance that exists: its secret stays in a folder, its file goes to the operators."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes.offered_keys import OPERATOR_SUFFIX, OfferedOperator
from alliance.config.parties import NAME
from alliance.errors import ConfigError
from alliance.founding.folders import new_folder
from alliance.keys import files, sealing
from alliance.keys.folder import OPERATOR
from alliance.keys.sealing import require_new_passphrase


def offer_operator(folder: Path, organisation: str, alliance_id: bytes, passphrase: bytes) -> Path:
    """An operator's key in ``folder``, new or empty; the public file beside it.

    Raises ConfigError, KeyFileError.
    """
    if not NAME.fullmatch(organisation):
        raise ConfigError(f"{organisation!r:.80} is no name: use a-z, 0-9 and '-', 63 characters at most")
    require_new_passphrase(passphrase)
    key = Ed25519PrivateKey.generate()
    offered = OfferedOperator.made_with(key, alliance_id, organisation)
    path = folder / f"{organisation}{OPERATOR_SUFFIX}"
    with new_folder(folder, 0o700):
        files.write_private(folder / OPERATOR, sealing.seal(key, passphrase))
        files.write_private(path, offered.to_toml().encode())
        files.sync(folder)
    return path
