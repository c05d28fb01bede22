"""What a member or client keeps in its folder: keys at rest, and who may read them.

A folder holds ``identity.pem`` (Ed25519) and ``tls.pem`` (P-256, with its certificate), a member's also its
``shares``, and the first member of an organisation ``operator.pem`` (Ed25519): encrypted under one
passphrase, mode 0600. Other parties pin the identity; the key in ``tls.pem`` is certified by it, and renewed
whenever a third of its life or less remains.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.config.identity import certify_itself, read_certificate
from alliance.config.parties import Member, Party
from alliance.errors import ConfigError, KeyFileError
from alliance.keys import files, handover, sealing, secret_file, shares
from alliance.keys.channel import (
    LIFETIME,
    ChannelKey,
    Clock,
    Credentials,
    certify,
    check_clock,
    is_certified_by,
    utc_now,
)
from alliance.keys.opening import OPENING
from alliance.keys.sealing import require_new_passphrase

IDENTITY, TLS_KEY, OPERATOR = "identity.pem", "tls.pem", "operator.pem"

log = logging.getLogger("alliance.keys")


def public_file(purpose: str) -> str:
    """The public key for a purpose, in PEM."""
    return f"public-{purpose}.pem"


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """The identity key of a party to be, before it is written."""

    name: str
    key: Ed25519PrivateKey = field(repr=False, default_factory=Ed25519PrivateKey.generate)

    @property
    def identity(self) -> bytes:
        """The public key."""
        return self.key.public_key().public_bytes_raw()

    @property
    def certificate(self) -> x509.Certificate:
        return certify_itself(self.name, self.key)


def write_keys(folder: Path, party: Party, identity: Ed25519PrivateKey, passphrase: bytes) -> None:
    """The identity key and a first channel key of a party. Raises OSError."""
    files.write_private(folder / IDENTITY, sealing.seal(identity, passphrase))
    files.write_private(folder / TLS_KEY, _sealed_channel(certify(party, identity, utc_now()), passphrase))


def load_credentials(folder: Path, party: Party, passphrase: bytes, now: Clock = utc_now) -> Credentials:
    """The keys in a folder, checked against what the alliance knows of this party.

    A channel key that is due is renewed; where the folder cannot be written, for this process alone. Raises
    KeyFileError for missing, damaged or foreign keys and a wrong passphrase, ClockError when this machine's
    clock says a time before the channel key was made.
    """
    files.settle(folder)
    identity = _open_identity(folder, party, passphrase)
    channel = _open_channel(folder, party, passphrase)
    check_clock(party, channel, now())
    if channel.is_due(now()):
        channel = certify(party, identity, now())
        try:
            _replace_channel(folder, party, channel, passphrase)
        except (OSError, KeyFileError) as error:
            log.warning(
                "%s holds a TLS certificate that expires soon, and the new one cannot be kept there (%s): it"
                " serves this process only",
                folder,
                error,
            )
    return Credentials(party, identity, channel, file=folder / TLS_KEY, now=now)


def renew(
    folder: Path,
    party: Party,
    passphrase: bytes,
    now: Clock = utc_now,
    lifetime: datetime.timedelta = LIFETIME,
) -> tuple[datetime.datetime | None, datetime.datetime]:
    """Puts a new channel key into the folder, certified by its identity; when the old one (None if it cannot
    be read) and the new one expire.

    Whole or not at all. Raises KeyFileError.
    """
    files.settle(folder)
    identity = _open_identity(folder, party, passphrase)
    before = None
    with contextlib.suppress(KeyFileError, ValueError):
        before = read_certificate(sealing.read(folder / TLS_KEY)).not_valid_after_utc
    channel = certify(party, identity, now(), lifetime)
    try:
        _replace_channel(folder, party, channel, passphrase)
    except OSError as error:
        reason = f"{folder} cannot be written: {error.strerror}; check its owner and space"
        raise KeyFileError(reason) from None
    return before, channel.expires


def _replace_channel(folder: Path, party: Party, channel: ChannelKey, passphrase: bytes) -> None:
    """Raises OSError, and KeyFileError when the passphrase has changed meanwhile: all files have the same."""
    with files.locked(folder):
        _open_identity(folder, party, passphrase)
        files.replace_together(folder, {TLS_KEY: _sealed_channel(channel, passphrase)})


def _sealed_channel(channel: ChannelKey, passphrase: bytes) -> bytes:
    """Key and certificate in one file, so that no reader finds one without the other."""
    return sealing.seal(channel.key, passphrase) + channel.certificate_pem


def _open_identity(folder: Path, party: Party, passphrase: bytes) -> Ed25519PrivateKey:
    path = folder / IDENTITY
    identity = sealing.unseal_signing(sealing.read(path), path, passphrase)
    if identity.public_key().public_bytes_raw() != party.identity:
        raise KeyFileError(
            f"the keys in {folder} are not those of '{party.name}' in alliance.toml:"
            " restore the folder from one backup, or take the alliance.toml that belongs to the keys"
        )
    return identity


def _open_channel(folder: Path, party: Party, passphrase: bytes) -> ChannelKey:
    path = folder / TLS_KEY
    data = sealing.read(path)
    key = sealing.unseal_channel(data, path, passphrase)
    try:
        certificate = read_certificate(data)
    except ValueError:
        raise KeyFileError(f"{path} is damaged: 'alliance renew {folder}' makes a new one") from None
    if certificate.public_key() != key.public_key() or not is_certified_by(party, certificate):
        raise KeyFileError(
            f"the keys in {path} are not those of '{party.name}' in alliance.toml: 'alliance renew {folder}'"
            " makes new ones"
        )
    return ChannelKey(key, certificate)


def reseal(folder: Path, config: AllianceConfig, old: bytes, new: bytes) -> int:
    """Encrypts the key files of a folder under a new passphrase; how many there were.

    All of them or none: whatever fails, and wherever this is killed, one of the two passphrases opens the
    folder and the other one does not. Raises KeyFileError, which says when it is the new one already.
    """
    require_new_passphrase(new)
    try:
        with files.locked(folder):
            sealed = _resealed(folder, config, old, new)
            files.replace_together(folder, sealed)
    except OSError as error:
        reason = f"{folder} cannot be written: {error.strerror}; check its owner and space"
        if files.is_committed(folder):
            reason += ". The new passphrase opens it from now on; use it once more to end the change"
        raise KeyFileError(reason) from None
    return len(sealed)


def _resealed(folder: Path, config: AllianceConfig, old: bytes, new: bytes) -> dict[str, bytes]:
    party = folder_party(config, folder)
    sealed = {
        IDENTITY: sealing.seal(_open_identity(folder, party, old), new),
        TLS_KEY: _sealed_channel(_open_channel(folder, party, old), new),
    }
    operator = folder / OPERATOR
    if operator.exists():  # unless it is kept elsewhere, as it should be
        key = sealing.unseal_signing(sealing.read(operator), operator, old)
        sealed[OPERATOR] = sealing.seal(key, new)
    names = [*map(shares.sealing_file, shares.generations(folder))]
    names += map(handover.receiver_file, handover.receivers(folder))
    if shares.is_there(folder / OPENING):
        names.append(OPENING)
    for name in names:
        sealed[name] = secret_file.seal(name, secret_file.unseal(folder / name, old), new)
    return sealed


def load_name(folder: Path, *kinds: str) -> str:
    """Whose folder this is, a "member" or "client" as ``kinds`` allows: the name in its ``member.name`` or
    ``client.name``. Raises ConfigError."""
    for kind in kinds:
        try:
            return (folder / f"{kind}.name").read_text("utf-8")[:100].strip()
        except (OSError, UnicodeDecodeError):
            continue
    others = [
        kind for kind in ("member", "client") if (folder / f"{kind}.name").exists() and kind not in kinds
    ]
    whose = f"a {others[0]}'s" if others else "no " + " or ".join(f"{kind}'s" for kind in kinds)
    raise ConfigError(f"{folder} is {whose} folder: name {_example(folder, kinds[0])}")


def _example(folder: Path, kind: str) -> str:
    """A folder that might have been meant instead of this one."""
    for home in (folder, folder.parent.parent):
        found = sorted((home / f"{kind}s").glob(f"*/{kind}.name"))
        if found:
            return f"one such as {found[0].parent}"
    return f"one of those that 'alliance request' made, or 'alliance init': …/{kind}s/NAME"


def member_party(config: AllianceConfig, folder: Path) -> tuple[int, Member]:
    """Raises ConfigError."""
    index = config.member_index(load_name(folder, "member"))
    return index, config.members[index]


def folder_party(config: AllianceConfig, folder: Path) -> Party:
    """The member or client whose folder this is. Raises ConfigError."""
    name = load_name(folder, "member", "client")
    if (folder / "member.name").exists():
        return config.members[config.member_index(name)]
    return config.client(name)
