"""What an alliance is: its members, clients, sizes and public key, as one TOML file that all share.

The file is public. Its ``alliance_id`` binds name, sizes, members and key, so that members who hold
different files notice; addresses, clients and timing may change without creating another alliance.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from alliance.config.fields import only, suggest, tables, value
from alliance.config.parties import Member, Party, party_lines, read_client, read_member, read_name
from alliance.config.timing import DEFAULT_TIMING, Timing
from alliance.errors import ConfigError
from quorum import Context, QuorumSystem, UnsatisfiableSizes
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey, ThresholdRsaScheme

FILE = "alliance.toml"
FORMAT = 1
CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
FILE_BYTES_MAX = 16 * 1024 * 1024
KEY_BITS_MIN = 2048
ATTESTATION = "attestation"
"""The purpose of the key that certifies applications' replies; its threshold is f + 1."""
AGREEMENT = "agreement"
"""What nobody may call a further key: the one that decides signs nothing else."""
PURPOSES_MAX = 16
_ID_DOMAIN = b"alliance/v1 founding\x00"


@dataclass(frozen=True, slots=True)
class AllianceConfig:
    """The whole of an alliance.toml, checked.

    ``purpose_keys`` are (purpose, key) beside the agreement key, each with a modulus of its own.
    """

    name: str
    created: str
    epoch: int
    system: QuorumSystem
    key: AgreementKey
    members: tuple[Member, ...]
    clients: tuple[Party, ...]
    timing: Timing = DEFAULT_TIMING
    purpose_keys: tuple[tuple[str, AgreementKey], ...] = ()

    @property
    def alliance_id(self) -> bytes:
        parts: list[bytes] = [
            self.name.encode(),
            self.created.encode(),
            struct.pack(">II", self.system.member_count, self.system.faulty_max),
            self.key.key_id,
        ]
        for member in self.members:
            parts += [member.name.encode(), member.identity, member.fingerprint]
        for purpose, key in self.purpose_keys:
            parts += [b"purpose", purpose.encode(), key.key_id]
        framed = b"".join(struct.pack(">I", len(part)) + part for part in parts)
        return sha256(_ID_DOMAIN + framed).digest()

    @property
    def context(self) -> Context:
        return Context(self.alliance_id, self.epoch)

    @property
    def scheme(self) -> ThresholdRsaScheme:
        return ThresholdRsaScheme(self.key, self.context)

    def purpose_key(self, purpose: str) -> AgreementKey:
        """Raises ConfigError when the alliance was founded without it."""
        for name, key in self.purpose_keys:
            if name == purpose:
                return key
        if purpose == ATTESTATION:
            raise ConfigError(
                "this alliance was created by a version without attestation keys: create another"
            )
        known = [name for name, _ in self.purpose_keys if name != ATTESTATION]
        raise ConfigError(
            f"this alliance has no key for '{purpose:.80}'{suggest(purpose, known)}: 'init --purpose'"
            f" deals keys when it is created, and here they are for {', '.join(known) or 'nothing'}"
        )

    @property
    def attestation(self) -> ThresholdRsaScheme:
        """How f + 1 members certify an application's reply. Raises ConfigError without that key."""
        return ThresholdRsaScheme(self.purpose_key(ATTESTATION), self.context)

    def member_index(self, name: str) -> int:
        for index, member in enumerate(self.members):
            if member.name == name:
                return index
        raise ConfigError(f"{FILE} knows no member '{name}'{suggest(name, (m.name for m in self.members))}")

    def client(self, name: str) -> Party:
        for client in self.clients:
            if client.name == name:
                return client
        raise ConfigError(f"{FILE} knows no client '{name}'{suggest(name, (c.name for c in self.clients))}")

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        lines = [
            "# What this alliance is. Public; every member and client holds the same file.",
            f"format = {FORMAT}",
            f'name = "{self.name}"',
            f'alliance_id = "{self.alliance_id.hex()}"',
            f'created = "{self.created}"',
            f"epoch = {self.epoch}",
            f"faulty_max = {self.system.faulty_max}",
            f'agreement_key = "{base64.b64encode(self.key.to_bytes()).decode()}"',
            *self.timing.to_lines(),
        ]
        for purpose, key in self.purpose_keys:
            encoded = base64.b64encode(key.to_bytes()).decode()
            lines += ["", "[[purposes]]", f'name = "{purpose}"', f'key = "{encoded}"']
        for member in self.members:
            lines += ["", "[[members]]", f'name = "{member.name}"', f'address = "{member.address}"']
            if member.applications:
                listed = ", ".join(f'"{name}" = "{address}"' for name, address in member.applications)
                lines.append(f"applications = {{ {listed} }}")
            lines += party_lines(member)
        for client in self.clients:
            lines += ["", "[[clients]]", f'name = "{client.name}"', *party_lines(client)]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> AllianceConfig:
        """Raises ConfigError with what is wrong and where."""
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{FILE} is not TOML: {error}; get a fresh copy from another member") from None
        only(table, _TOP_KEYS, FILE)
        if table.get("format") != FORMAT:
            raise ConfigError(f"{FILE} has format {table.get('format')}, this version reads format {FORMAT}")
        members = tuple(read_member(entry, f"{FILE}, members") for entry in tables(table, "members", FILE))
        clients = tuple(read_client(entry, f"{FILE}, clients") for entry in tables(table, "clients", FILE))
        _distinct("members", [*members])
        _distinct("clients", [*clients])
        try:
            system = QuorumSystem(len(members), value(table, "faulty_max", int, FILE))
        except UnsatisfiableSizes as error:
            raise ConfigError(f"{FILE}: {error}") from None
        created = value(table, "created", str, FILE)
        if not CREATED.fullmatch(created):
            raise ConfigError(f"{FILE}: 'created' must be a time like 2026-01-31T12:00:00Z")
        config = cls(
            name=read_name(table, FILE),
            created=created,
            epoch=value(table, "epoch", int, FILE),
            system=system,
            key=_agreement_key(value(table, "agreement_key", str, FILE)),
            members=members,
            clients=clients,
            purpose_keys=_purpose_keys(table),
            timing=Timing.from_table(table.get("timing", {}), f"{FILE}, timing"),
        )
        config._check_key()
        if value(table, "alliance_id", str, FILE) != config.alliance_id.hex():
            raise ConfigError(
                f"{FILE} was altered: its alliance_id does not fit its members, sizes and key;"
                " get a fresh copy from another member"
            )
        return config

    def _check_key(self) -> None:
        key, system = self.key, self.system
        for purpose, other in (("agreement", key), *self.purpose_keys):
            if other.key_size < KEY_BITS_MIN:
                raise ConfigError(
                    f"{FILE}: the {purpose} key has {other.key_size} bits, fewer than {KEY_BITS_MIN}"
                )
        if (key.parties, key.threshold, key.epoch) != (system.member_count, system.decision, self.epoch):
            raise ConfigError(
                f"{FILE}: the agreement key is for {key.threshold} of {key.parties} members in epoch"
                f" {key.epoch}, the alliance needs {system.decision} of {system.member_count} in {self.epoch}"
            )
        moduli = {key.modulus: AGREEMENT}
        for purpose, other in self.purpose_keys:
            if moduli.setdefault(other.modulus, purpose) != purpose:
                raise ConfigError(f"{FILE}: the key for '{purpose}' is the {moduli[other.modulus]} key")
            enough = system.one_correct <= other.threshold <= system.report
            if (other.parties, other.epoch) != (system.member_count, self.epoch) or not enough:
                raise ConfigError(f"{FILE}: the key for '{purpose}' is not one of this alliance")
            if purpose == ATTESTATION and other.threshold != system.one_correct:
                raise ConfigError(
                    f"{FILE}: the attestation key needs {other.threshold} members, not {system.one_correct}"
                )


def load(folder: Path) -> AllianceConfig:
    """The alliance that a folder describes. Raises ConfigError."""
    path = folder / FILE
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes: it is no alliance file")
        return AllianceConfig.from_toml(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist: name a folder that 'alliance init' made"
            " (an alliance, or one of its members/… or clients/…)"
        ) from None
    except NotADirectoryError:
        raise ConfigError(f"{folder} is not a folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


_TOP_KEYS = (
    "format",
    "name",
    "alliance_id",
    "created",
    "epoch",
    "faulty_max",
    "agreement_key",
    "timing",
    "purposes",
    "members",
    "clients",
)


def _purpose_keys(table: Mapping[str, Any]) -> tuple[tuple[str, AgreementKey], ...]:
    where = f"{FILE}, purposes"
    found: dict[str, AgreementKey] = {}
    for entry in tables(table, "purposes", FILE):
        only(entry, ("name", "key"), where)
        name = read_name(entry, where)
        if name == AGREEMENT:
            raise ConfigError(f"{where}: '{AGREEMENT}' is no further purpose")
        if name in found or len(found) == PURPOSES_MAX:
            raise ConfigError(f"{where}: '{name}' is there twice, or there are more than {PURPOSES_MAX}")
        found[name] = _agreement_key(value(entry, "key", str, where), f"the key for '{name}'")
    return tuple(found.items())


def _agreement_key(text: str, what: str = "'agreement_key'") -> AgreementKey:
    try:
        return AgreementKey.from_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, InvalidAgreementKey) as error:
        raise ConfigError(f"{FILE}: {what} is no threshold public key: {error}") from None


def _distinct(kind: str, parties: list[Party]) -> None:
    for attribute in ("name", "identity", "fingerprint"):
        values = [getattr(party, attribute) for party in parties]
        if len(set(values)) != len(values):
            raise ConfigError(f"{FILE}: two {kind} have the same {attribute}")
