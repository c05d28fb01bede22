"""A share backup: a member's shares in one file, which the operator key of its organisation alone opens.

The shares are sealed under a random key as in a member's folder, and that key is sealed to the operator by
HPKE (RFC 9180, base mode: DHKEM with X25519, HKDF-SHA256, AES-256-GCM). The receiving key is the X25519 form
of the operator's Ed25519 key (RFC 7748, section 4.1, has the map): an organisation has one offline key,
everybody knows its public half from the alliance itself, and no server holds it. One pair of keys for
signatures and for this is sound: the two do not help against each other (Thormarker, "On using the same key
pair for Ed25519 and an X25519 based KEM", ePrint 2021/509).

Everything else in the file is bound to what is sealed: the alliance, the member, the keys with their dealing.
A file of an earlier dealing is of no use to its owner, and of all the use of a share to a thief: any
``threshold`` shares of one dealing sign for ever.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519, crypto_sign_ed25519_sk_to_curve25519
from nacl.exceptions import RuntimeError as NaclError

from alliance.config.file import AllianceConfig
from alliance.config.founding import AGREEMENT, CREATED, KEYS_MAX
from alliance.config.framing import framed, u32
from alliance.errors import ConfigError, KeyFileError
from alliance.founding.public_text import name_of, read_json, read_text, require_unedited
from alliance.keys import shares
from alliance.keys.shares import Generation
from alliance.proofs.jsonform import items, octets
from quorum import InvalidEndorsement
from quorum.threshold_rsa import (
    AgreementKey,
    InvalidAgreementKey,
    InvalidKeyFile,
    ThresholdRsaEndorser,
    WrongEpoch,
    WrongPassphrase,
)

FORMAT = "alliance-share-backup/1"
SUFFIX = ".backup"
FILE_BYTES_MAX = 4 * 1024 * 1024
MAKER, AGAIN = "'alliance share backup' made it", "take another copy of it"
_AEAD = HPKE.AEAD.AES256_GCM
_DOMAIN = b"alliance/v1 share backup\x00"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class ShareBackup:
    """``operator`` is the Ed25519 key (32 bytes) that opens it; ``keys`` are (purpose, key id), in the order
    of alliance.toml; ``shares`` are sealed share files in the same order. ``made`` is in UTC, as its maker's
    clock said.
    """

    alliance_id: bytes
    member: str
    index: int
    organisation: str
    operator: bytes
    generation: Generation
    made: str
    keys: tuple[tuple[str, bytes], ...]
    encapsulated: bytes
    wrapped_key: bytes = field(repr=False)
    shares: tuple[bytes, ...] = field(repr=False)

    def to_json(self) -> str:
        """The file's text; ``from_json`` gives back an equal value."""
        table = {
            "format": FORMAT,
            "alliance_id": self.alliance_id.hex(),
            "member": self.member,
            "index": self.index,
            "organisation": self.organisation,
            "operator": self.operator.hex(),
            "generation": str(self.generation),
            "made": self.made,
            "keys": [{"purpose": purpose, "key_id": key_id.hex()} for purpose, key_id in self.keys],
            "encapsulated_key": self.encapsulated.hex(),
            "wrapped_key": self.wrapped_key.hex(),
            "shares": [share.decode("ascii") for share in self.shares],
        }
        return json.dumps(table, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> ShareBackup:
        """``where`` is the file, which errors begin with. Raises ConfigError."""
        found = read_json(text, where, "share backup", FORMAT, FILE_BYTES_MAX, cls._from_table)
        require_unedited(found.to_json(), text, where, MAKER, AGAIN)
        return found

    @classmethod
    def _from_table(cls, table: Mapping[str, Any]) -> ShareBackup:
        generation, made, index = Generation.parse(table["generation"]), table["made"], table["index"]
        if generation is None or not CREATED.fullmatch(made) or type(index) is not int or index < 0:
            raise ValueError("its generation, time or index is none")
        keys = tuple((name_of(entry["purpose"]), octets(entry["key_id"])) for entry in items(table, "keys"))
        sealed = tuple(text.encode("ascii") for text in items(table, "shares"))
        if len(sealed) != len(keys) or not 0 < len(keys) <= KEYS_MAX:
            raise ValueError("there is one share for each key")
        names = name_of(table["member"]), index, name_of(table["organisation"])
        tail = octets(table["encapsulated_key"]), octets(table["wrapped_key"]), sealed
        head = octets(table["alliance_id"]), *names, octets(table["operator"])
        return cls(*head, generation, made, keys, *tail)

    @property
    def time(self) -> datetime:
        """When it was made."""
        return datetime.strptime(f"{self.made[:-1]}+0000", f"{_TIME[:-1]}%z")

    def require_current(self, config: AllianceConfig, where: str) -> None:
        """Raises ConfigError unless it holds the shares that count in the alliance as ``config`` has it."""
        if self.alliance_id != config.alliance_id:
            raise ConfigError(f"{where} is of another alliance")
        if self.generation.epoch != config.dealing:
            older = self.generation.epoch < config.dealing
            what = (
                "its shares went out of use, and still sign for whoever opens it: destroy every copy of it,"
                " and make another backup"
                if older
                else "the folder's alliance.toml is an old one: compare with that of another member"
            )
            raise ConfigError(
                f"{where} is of dealing {self.generation.epoch}, the alliance's keys are of dealing"
                f" {config.dealing}: {what}"
            )
        if self.keys != _key_ids(config):
            raise ConfigError(f"{where} is not of the keys of this alliance.toml; {AGAIN}")
        if config.member_index(self.member) != self.index:
            raise ConfigError(f"{where} has a wrong index for '{self.member}'; {AGAIN}")

    def open(
        self, operator: Ed25519PrivateKey, config: AllianceConfig, where: str
    ) -> dict[str, ThresholdRsaEndorser]:
        """The shares by purpose, each checked against its verification key, and tried out.

        Raises ConfigError for what is not of the present dealing, KeyFileError for another operator's key and
        for damage.
        """
        self.require_current(config, where)
        public = operator.public_key().public_bytes_raw()
        if public != self.operator:
            raise KeyFileError(
                f"{where} opens with the operator key that '{self.organisation}' had when it was made, and"
                " this is another one"
            )
        try:
            secret = crypto_sign_ed25519_sk_to_curve25519(operator.private_bytes_raw() + public)
            receiver = import_x25519_private_key(secret)
            channel = HPKE.new(receiver_key=receiver, aead_id=_AEAD, info=self._info(), enc=self.encapsulated)
            sealing_key = channel.unseal(self.wrapped_key)
        except ValueError:
            raise KeyFileError(f"{where} was altered, and does not open; {AGAIN}") from None
        pairs = zip(_keys(config), self.shares, strict=True)
        return {purpose: self._opened(share, sealing_key, key, where) for (purpose, key), share in pairs}

    def _opened(
        self, share: bytes, sealing_key: bytes, key: AgreementKey, where: str
    ) -> ThresholdRsaEndorser:
        try:
            endorser = ThresholdRsaEndorser.open(share, sealing_key, key)
            endorser.test_itself()
        except (
            WrongPassphrase,
            WrongEpoch,
            InvalidKeyFile,
            InvalidAgreementKey,
            InvalidEndorsement,
        ) as error:
            raise KeyFileError(f"{where} holds a share that does not work ({error}); {AGAIN}") from None
        if endorser.member != self.index:
            raise KeyFileError(f"{where} holds the share of another member; {AGAIN}")
        return endorser

    def _info(self) -> bytes:
        """What the sealed key is bound to: all that the file says before it."""
        parts = [self.alliance_id, self.member.encode(), u32(self.index), self.organisation.encode()]
        parts += [self.operator, str(self.generation).encode(), self.made.encode()]
        for purpose, key_id in self.keys:
            parts += [purpose.encode(), key_id]
        return _DOMAIN + framed(*parts)


def back_up(
    folder: Path, config: AllianceConfig, index: int, passphrase: bytes, now: datetime
) -> ShareBackup:
    """The shares that count in a member's folder, sealed to the operator of its organisation.

    Each is opened, checked and tried out before. Raises KeyFileError, which says what is wrong with it.
    """
    member = config.members[index]
    operator = dict(config.terms.operators)[member.organisation]
    where = f"the operator key of '{member.organisation}'"
    generation = shares.require_current(folder)
    names = [name for name, _ in config.purpose_keys]
    endorsers = [shares.load_endorser(folder, config, index, passphrase, name) for name in (None, *names)]
    for endorser in endorsers:
        try:
            endorser.test_itself()
        except InvalidEndorsement as error:
            raise KeyFileError(
                f"a share in {folder} does not work ({error.reason}): nothing was backed up"
            ) from None
    sealing_key = secrets.token_bytes(shares.SEALING_KEY_BYTES)
    sealed = tuple(endorser.seal(sealing_key) for endorser in endorsers)
    whose = config.alliance_id, member.name, index, member.organisation, operator
    blank = ShareBackup(*whose, generation, now.strftime(_TIME), _key_ids(config), b"", b"", sealed)
    channel = HPKE.new(receiver_key=_receiver(operator, where), aead_id=_AEAD, info=blank._info())
    wrapped = channel.seal(sealing_key)
    return ShareBackup(*whose, generation, blank.made, blank.keys, channel.enc, wrapped, sealed)


def _receiver(operator: bytes, where: str) -> Any:
    """Raises ConfigError for bytes that are no key of anybody."""
    try:
        return import_x25519_public_key(crypto_sign_ed25519_pk_to_curve25519(operator))
    except (ValueError, NaclError):
        raise ConfigError(
            f"{where} is no Ed25519 key that anybody holds: nothing can be sealed to it"
        ) from None


def read_backup(path: Path) -> ShareBackup:
    """Raises ConfigError with the file's name."""
    return ShareBackup.from_json(read_text(path, FILE_BYTES_MAX, "a share backup"), str(path))


def _keys(config: AllianceConfig) -> tuple[tuple[str, AgreementKey], ...]:
    return ((AGREEMENT, config.key), *config.purpose_keys)


def _key_ids(config: AllianceConfig) -> tuple[tuple[str, bytes], ...]:
    return tuple((purpose, key.key_id) for purpose, key in _keys(config))
