"""Making a key for an alliance that exists: its secret stays in a folder, its file goes to the operators."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes.offered_keys import (
    OPERATOR_SUFFIX,
    RECEIVER_SUFFIX,
    OfferedOperator,
    OfferedReceiver,
    read_offered_receiver,
)
from alliance.config import file as config_file
from alliance.config.parties import NAME
from alliance.errors import ConfigError
from alliance.founding.folders import new_folder
from alliance.founding.party import largest_key
from alliance.keys import files, handover, sealing
from alliance.keys.folder import OPERATOR, load_credentials, member_party
from alliance.keys.sealing import require_new_passphrase
from consensus.control.rows import receiver_statement
from quorum.receivers import generate_receiver, read_receiver, receiver_bits


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


def offer_receiver(folder: Path, passphrase: bytes) -> Path:
    """A receiver key in a member's folder that has none yet; the public file beside it, also a second time.

    Raises ConfigError, KeyFileError, OSError.
    """
    config = config_file.load(folder)
    _, member = member_party(config, folder)
    path = folder / f"{member.name}{RECEIVER_SUFFIX}"
    if member.receiver is not None:
        raise ConfigError(f"'{member.name}' has a receiver key already; the next ones come by themselves")
    identity = load_credentials(folder, member, passphrase).signing_key
    if path.exists():
        made = read_receiver(read_offered_receiver(path).key)
        if made.fingerprint in handover.receivers(folder):
            return path
    receiver = generate_receiver(receiver_bits(largest_key(config)))
    handover.keep_receiver(folder, receiver.key.fingerprint, receiver.secret_to_bytes(), passphrase)
    encoded = receiver.key.to_bytes()
    signature = identity.sign(receiver_statement(member.name, member.identity, encoded))
    offered = OfferedReceiver(config.alliance_id, member.name, encoded, signature)
    files.write_whole(path, offered.to_toml().encode())
    return path
