"""The past epochs of an alliance, in a folder ``epochs`` beside alliance.toml: who took part in each.

    epochs/N.toml           alliance.toml as it was when the epoch began
    epochs/N.certificate    from epoch 1 on: the members' of the epoch before, on who takes part

What members signed with their own keys is judged with the members of its own epoch: evidence, votes beside
receipts. An epoch is kept when it begins, and never changed. Nothing here is secret, and each file proves
itself: [founding] gives the alliance_id, and the alliance's public key, which stays, checks the certificates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from alliance.config import file as config_file
from alliance.config.bounded import read_file
from alliance.config.file import AllianceConfig
from alliance.config.parties import Member
from alliance.errors import ConfigError
from alliance.keys import revision
from alliance.keys.files import sync, write_whole
from alliance.storage.journal_epochs import EpochMembership
from alliance.wire.membership import MembershipProof
from consensus.control.encoding import MalformedControl
from quorum import InvalidCertificate, InvalidStatement, QuorumCertificate

FOLDER = "epochs"
CERTIFICATE_BYTES_MAX = 64 * 1024
FORMER_EPOCHS = 64
_EPOCH = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)


def keep(folder: Path, config: AllianceConfig, membership: EpochMembership | None) -> None:
    """This epoch, durable when it returns, as it began: not a later revision, nor if it is kept already.

    ``membership`` is that of the journal. Raises OSError.
    """
    home = folder / FOLDER
    if config.revision or (home / _toml(config.epoch)).exists():
        return
    home.mkdir(mode=0o700, exist_ok=True)
    sync(folder)
    if membership is not None:
        write_whole(home / _certificate(config.epoch), membership.certificate.encode())
    write_whole(home / _toml(config.epoch), config.to_toml().encode())


def of_epoch(folder: Path, present: AllianceConfig, epoch: int) -> AllianceConfig:
    """Who took part in an epoch: ``present``, or what the folder has kept. Raises ConfigError.

    Of the first epoch every party's folder keeps how it began, members' and others'.
    """
    return present if epoch == present.epoch else _kept(folder, present, epoch)


def all_known(folder: Path, present: AllianceConfig) -> Iterator[AllianceConfig]:
    """``present``, and how the epochs began of which the folder knows that, the newest first.

    For clients, who come and go within an epoch, too: one that is in none of them may have been one all the
    same. Raises ConfigError.
    """
    yield present
    names = (path.stem for path in (folder / FOLDER).glob("*.toml"))
    known = {int(name) for name in names if _EPOCH.fullmatch(name)}
    if (folder / revision.FOUNDED).exists():
        known.add(0)
    for epoch in sorted(known, reverse=True):
        yield _kept(folder, present, epoch)


def _kept(folder: Path, present: AllianceConfig, epoch: int) -> AllianceConfig:
    home = folder / FOLDER
    path = home / _toml(epoch)
    if not path.exists():
        if epoch == 0 and (folder / revision.FOUNDED).exists():
            return revision.load_founded(folder)
        raise ConfigError(
            f"{path} does not exist, and {folder / config_file.FILE} is of epoch {present.epoch}: a member"
            f" that took part in epoch {epoch} keeps who did, in its folder '{FOLDER}'"
        )
    found = config_file.read(path)
    if (found.alliance_id, *found.membership) != (present.alliance_id, epoch, 0):
        raise ConfigError(f"{path} is not of the beginning of epoch {epoch} of this alliance")
    if epoch:
        _require_certified(home / _certificate(epoch), found, present)
    return found


def former_members(folder: Path, present: AllianceConfig) -> tuple[Member, ...]:
    """Who took part in earlier epochs and takes part no more, as far as this folder knows, the last first.

    Of the newest FORMER_EPOCHS only: each is read and checked.
    """
    found: dict[bytes, Member] = {}
    try:
        for config in islice(all_known(folder, present), 1 + FORMER_EPOCHS):
            found = {member.identity: member for member in config.members} | found
    except ConfigError:  # it came in the middle
        pass
    now = {member.identity for member in present.members}
    return tuple(member for member in reversed(found.values()) if member.identity not in now)


def beginning(folder: Path, present: AllianceConfig) -> MembershipProof | None:
    """How the present epoch began, as its members can prove it to others; None in the first one.

    Raises ConfigError where the folder has it not.
    """
    if not present.epoch:
        return None
    home = folder / FOLDER
    try:
        config = config_file.read(home / _toml(present.epoch))
        encoded = read_file(home / _certificate(present.epoch), CERTIFICATE_BYTES_MAX)
        certificate = QuorumCertificate.decode(encoded)
        clients = config.terms.directory(config.members, config.clients).encoded_clients
        keys = [key.to_bytes() for key in config.handed_on]
        changes = config.terms.key_changes
        return MembershipProof.of(certificate, config.canonical, clients, keys, changes)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from None
    except (InvalidStatement, MalformedControl) as error:
        raise ConfigError(f"{home} does not prove how epoch {present.epoch} began: {error}") from None


def _require_certified(path: Path, config: AllianceConfig, present: AllianceConfig) -> None:
    """Raises ConfigError unless the members of the epoch before have certified it, under the present key."""
    try:
        certificate = QuorumCertificate.decode(read_file(path, CERTIFICATE_BYTES_MAX))
        membership = EpochMembership(config.canonical, certificate)
        certificate.verify(present.scheme.in_epoch(certificate.epoch))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (InvalidStatement, InvalidCertificate, ValueError) as error:
        raise ConfigError(f"{path} does not prove who took part in epoch {config.epoch}: {error}") from None
    if membership.epoch != config.epoch:
        raise ConfigError(f"{path} is the certificate of epoch {membership.epoch}")


def _toml(epoch: int) -> str:
    return f"{epoch}.toml"


def _certificate(epoch: int) -> str:
    return f"{epoch}.certificate"
