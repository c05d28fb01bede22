"""A party makes its keys at home, before there is an alliance: its folder, and the request for it.

The folder is as one that a dealer hands over, without what the alliance has in common: ``join`` adds that. It
holds no file that ``serve`` would take for an alliance's.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.config.parties import NAME, read_address
from alliance.errors import ConfigError
from alliance.founding.folders import new_folder
from alliance.founding.plan import KEY_SIZES
from alliance.founding.request import SUFFIX, Request, request_as_client, request_as_member
from alliance.keys import files, handover, sealing
from alliance.keys.folder import OPERATOR, write_keys
from alliance.keys.opening import write_opening_key
from alliance.keys.sealing import require_new_passphrase
from quorum.receivers import generate_receiver, receiver_bits
from quorum.threshold_rsa import factors_of


def ask_as_client(
    folder: Path,
    name: str,
    passphrase: bytes,
    organisation: str = "",
    alliance_id: bytes | None = None,
) -> Request:
    """Makes a client's keys in ``folder``, new or empty. Raises ConfigError, KeyFileError.

    ``organisation`` answers for the client; without it, the first one of the alliance will. ``alliance_id``:
    of an alliance that exists already.
    """
    for text in (name, *([organisation] if organisation else [])):
        _require_name(text)
    require_new_passphrase(passphrase)
    identity = Ed25519PrivateKey.generate()
    request = request_as_client(name, identity, organisation, alliance_id)
    with new_folder(folder, 0o700):
        _write(folder, request, identity, passphrase)
    return request


def ask_as_member(
    folder: Path,
    name: str,
    organisation: str,
    address: str,
    key_size: int,
    passphrase: bytes,
    operator: Ed25519PrivateKey | None = None,
    alliance_id: bytes | None = None,
) -> Request:
    """Makes a member's keys in ``folder``, new or empty; nothing of it stays if this fails.

    ``key_size``: the largest shared keys that it is to receive, in bits. Without ``operator``, which is the
    organisation's, a new one is made and kept in the folder. ``alliance_id``: of an alliance that exists
    already. Raises ConfigError, KeyFileError.
    """
    check_member(name, organisation, address, key_size)
    require_new_passphrase(passphrase)
    own_operator = Ed25519PrivateKey.generate() if operator is None else operator
    identity, opening_key = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    receiver = generate_receiver(receiver_bits(key_size))
    place = opening_key.public_key() if alliance_id is None else alliance_id
    request = request_as_member(name, organisation, address, identity, own_operator, place, receiver.key)
    with new_folder(folder, 0o700):
        if operator is None:
            files.write_private(folder / OPERATOR, sealing.seal(own_operator, passphrase))
        if alliance_id is None:
            write_opening_key(folder, opening_key, passphrase)
        handover.keep_receiver(folder, receiver.key.fingerprint, receiver.secret_to_bytes(), passphrase)
        _write(folder, request, identity, passphrase)
    return request


def check_member(name: str, organisation: str, address: str, key_size: int) -> None:
    """What can be known before anybody is asked for a passphrase. Raises ConfigError."""
    for text in (name, organisation):
        _require_name(text)
    read_address(address, name)
    if key_size not in KEY_SIZES:
        raise ConfigError("the shared keys have 2048 to 8192 bits, in steps of 128")


def largest_key(config: AllianceConfig) -> int:
    """The bits of the largest shared key, or factor of one, that an alliance hands on to its members."""
    keys = (config.key, *(key for _, key in config.purpose_keys))
    return max(factor.key_size for key in keys for factor in factors_of(key))


def request_file(folder: Path, name: str) -> Path:
    """Where a party's folder keeps its request."""
    return folder / f"{name}{SUFFIX}"


def _write(folder: Path, request: Request, identity: Ed25519PrivateKey, passphrase: bytes) -> None:
    """The request comes last: a folder that has one is whole."""
    write_keys(folder, request.party, identity, passphrase)
    files.write_private(folder / f"{request.kind}.name", f"{request.name}\n".encode())
    files.sync(folder)
    files.write_private(request_file(folder, request.name), request.to_toml().encode())
    files.sync(folder)


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r:.80} is no name: use a-z, 0-9 and '-', 63 characters at most")
