"""What an alliance is: its members, clients and public keys, as one TOML file that all share.

The file is public. Its ``alliance_id`` binds what was fixed when the alliance was created, so that members
who hold different files notice; addresses, clients and timing may change without creating another alliance.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alliance.config.fields import only, parse, suggest, tables, value
from alliance.config.founding import AGREEMENT, KEYS_MAX, FoundingMember, FoundingRecord, distinct
from alliance.config.membership import Membership
from alliance.config.parties import Client, Member, party_lines, read_client, read_member, read_name
from alliance.config.timing import DEFAULT_TIMING, Timing
from alliance.errors import ConfigError
from quorum import Context, QuorumSystem
from quorum.threshold_rsa import (
    AgreementKey,
    InvalidAgreementKey,
    ThresholdRsaScheme,
    factors_of,
    read_agreement_key,
)

FILE = "alliance.toml"
FORMAT = 2
FILE_BYTES_MAX = 16 * 1024 * 1024
KEY_BITS_MIN = 2048
"""Of each modulus that a dealer has made: a composite key with one shorter factor has a dealer the less."""
ATTESTATION = "attestation"
"""The purpose of the key that certifies applications' replies."""
PURPOSES_MAX = KEYS_MAX - 1


@dataclass(frozen=True, slots=True)
class AllianceConfig:
    """The whole of an alliance.toml, checked.

    ``purpose_keys`` are (purpose, key) beside the agreement key, each with a modulus of its own. ``epoch``,
    ``revision`` and ``dealing`` count the changes of members, of their addresses and clients, and of key
    shares; this version makes none of them, so that all are 0.
    """

    founding: FoundingRecord
    key: AgreementKey
    members: tuple[Member, ...]
    clients: tuple[Client, ...]
    timing: Timing = DEFAULT_TIMING
    purpose_keys: tuple[tuple[str, AgreementKey], ...] = ()
    epoch: int = 0
    revision: int = 0
    dealing: int = 0

    @property
    def name(self) -> str:
        return self.founding.name

    @property
    def system(self) -> QuorumSystem:
        return self.founding.system

    @property
    def alliance_id(self) -> bytes:
        return self.founding.alliance_id

    @property
    def context(self) -> Context:
        return Context(self.alliance_id, self.epoch)

    @property
    def membership(self) -> Membership:
        """As answers to clients name it."""
        return Membership(self.epoch, self.revision)

    @property
    def scheme(self) -> ThresholdRsaScheme:
        return ThresholdRsaScheme(self.key, self.context)

    def purpose_key(self, purpose: str) -> AgreementKey:
        """Raises ConfigError when the alliance was founded without it."""
        for name, key in self.purpose_keys:
            if name == purpose:
                return key
        known = [name for name, _ in self.purpose_keys if name != ATTESTATION]
        raise ConfigError(
            f"this alliance has no key for '{purpose:.80}'{suggest(purpose, known)}: 'init --purpose'"
            f" deals keys when it is created, and here they are for {', '.join(known) or 'nothing'}"
        )

    @property
    def attestation(self) -> ThresholdRsaScheme:
        """How members certify an application's reply together. Raises ConfigError without that key."""
        return ThresholdRsaScheme(self.purpose_key(ATTESTATION), self.context)

    def member_index(self, name: str) -> int:
        for index, member in enumerate(self.members):
            if member.name == name:
                return index
        raise ConfigError(f"{FILE} knows no member '{name}'{suggest(name, (m.name for m in self.members))}")

    def client(self, name: str) -> Client:
        for client in self.clients:
            if client.name == name:
                return client
        raise ConfigError(f"{FILE} knows no client '{name}'{suggest(name, (c.name for c in self.clients))}")

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        lines = [
            "# What this alliance is. Public; every member and client holds the same file.",
            f"format = {FORMAT}",
            f'alliance_id = "{self.alliance_id.hex()}"',
            *(f"{counter} = {getattr(self, counter)}" for counter in _COUNTERS),
            f'agreement_key = "{base64.b64encode(self.key.to_bytes()).decode()}"',
            *self.founding.to_lines(),
            *self.timing.to_lines(),
        ]
        for purpose, key in self.purpose_keys:
            encoded = base64.b64encode(key.to_bytes()).decode()
            lines += ["", "[[purposes]]", f'name = "{purpose}"', f'key = "{encoded}"']
        for member in self.members:
            lines += ["", "[[members]]", f'name = "{member.name}"']
            lines += [f'organisation = "{member.organisation}"', f'address = "{member.address}"']
            if member.applications:
                listed = ", ".join(f'"{name}" = "{address}"' for name, address in member.applications)
                lines.append(f"applications = {{ {listed} }}")
            lines += party_lines(member)
            if member.receiver is not None:
                lines += member.receiver.to_lines()
        for client in self.clients:
            lines += ["", "[[clients]]", f'name = "{client.name}"']
            lines += [f'organisation = "{client.organisation}"', *party_lines(client)]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> AllianceConfig:
        """Raises ConfigError with what is wrong and where."""
        try:
            table = parse(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{FILE} is not TOML: {error}; get a fresh copy from another member") from None
        if table.get("format") != FORMAT:
            raise ConfigError(_other_format(table.get("format")))
        only(table, _TOP_KEYS, FILE)
        founding = table.get("founding")
        if not isinstance(founding, dict):
            raise ConfigError(f"{FILE}: the table [founding] is missing")
        config = cls(
            founding=FoundingRecord.from_table(founding, f"{FILE}, founding"),
            key=_agreement_key(value(table, "agreement_key", str, FILE)),
            members=tuple(read_member(entry, f"{FILE}, members") for entry in tables(table, "members", FILE)),
            clients=tuple(read_client(entry, f"{FILE}, clients") for entry in tables(table, "clients", FILE)),
            timing=Timing.from_table(table.get("timing", {}), f"{FILE}, timing"),
            purpose_keys=_purpose_keys(table),
            **{counter: _none_yet(table, counter) for counter in _COUNTERS},
        )
        if value(table, "alliance_id", str, FILE) != config.alliance_id.hex():
            raise ConfigError(
                f"{FILE} was altered: its alliance_id does not fit its table [founding];"
                " get a fresh copy from another member"
            )
        config._check_parties()
        config._check_key()
        return config

    def _check_parties(self) -> None:
        distinct("clients", "name", (client.name for client in self.clients))
        keys = [party.identity for party in (*self.members, *self.clients)]
        distinct("parties", "identity", [*keys, *(key for _, key in self.founding.operators)])
        organisations = [name for name, _ in self.founding.operators]
        for client in self.clients:
            if client.organisation not in organisations:
                raise ConfigError(
                    f"{FILE}, clients: '{client.name}' belongs to '{client.organisation}', which runs no"
                    f" member{suggest(client.organisation, organisations)}"
                )
        now = tuple(FoundingMember(one.name, one.organisation, one.identity) for one in self.members)
        if now != self.founding.members:
            raise ConfigError(
                f"{FILE} was altered: its members are not those of [founding], and this version changes"
                " none; get a fresh copy from another member"
            )

    def _check_key(self) -> None:
        key, system = self.key, self.system
        ids = tuple((name, one.key_id) for name, one in ((AGREEMENT, key), *self.purpose_keys))
        if ids != self.founding.keys:
            raise ConfigError(
                f"{FILE} was altered: its keys are not those of [founding]; get a fresh copy from another"
                " member"
            )
        for purpose, other in ((AGREEMENT, key), *self.purpose_keys):
            bits = min(factor.key_size for factor in factors_of(other))
            if bits < KEY_BITS_MIN:
                raise ConfigError(
                    f"{FILE}: the {purpose} key has a modulus of {bits} bits, fewer than {KEY_BITS_MIN}"
                )
        if (key.parties, key.threshold, key.epoch) != (system.member_count, system.decision, self.epoch):
            raise ConfigError(
                f"{FILE}: the agreement key is for {key.threshold} of {key.parties} members in epoch"
                f" {key.epoch}, the alliance needs {system.decision} of {system.member_count} in {self.epoch}"
            )
        moduli = {factor.modulus: AGREEMENT for factor in factors_of(key)}
        for purpose, other in self.purpose_keys:
            for factor in factors_of(other):
                if (owner := moduli.setdefault(factor.modulus, purpose)) != purpose:
                    raise ConfigError(f"{FILE}: the key for '{purpose}' has the modulus of the {owner} key")
            enough = system.one_correct <= other.threshold <= system.report
            if (other.parties, other.epoch) != (system.member_count, self.epoch) or not enough:
                raise ConfigError(f"{FILE}: the key for '{purpose}' is not one of this alliance")


def load(folder: Path) -> AllianceConfig:
    """The alliance that a folder describes. Raises ConfigError."""
    path = folder / FILE
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(FILE_BYTES_MAX + 1)
        if len(text) > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes: it is no alliance file")
        return AllianceConfig.from_toml(text)
    except FileNotFoundError:
        if any(folder.glob("*.request")):
            raise ConfigError(
                f"{path} does not exist: this party has made a request, and has not joined. When whoever"
                f" founds the alliance has sent its folder: 'alliance join {folder} ITS-FOLDER'"
            ) from None
        raise ConfigError(
            f"{path} does not exist: name a folder that 'alliance init' made (an alliance, or one of its"
            " members/… or clients/…), or one that has joined by 'alliance join'"
        ) from None
    except NotADirectoryError:
        raise ConfigError(f"{folder} is not a folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


_COUNTERS = ("epoch", "revision", "dealing")
_TOP_KEYS = (
    "format",
    "alliance_id",
    *_COUNTERS,
    "agreement_key",
    "founding",
    "timing",
    "purposes",
    "members",
    "clients",
)


def _other_format(found: object) -> str:
    text = f"{FILE} has format {found!r:.80}, this version reads format {FORMAT}"
    if found == 1:
        return (
            f"{text}: an earlier version created this alliance, and before 1.0 nothing is converted. Create a"
            " new alliance with 'alliance init', or use the version that wrote it"
        )
    return f"{text}: use the version of alliance that wrote it"


def _none_yet(table: Mapping[str, Any], counter: str) -> int:
    found: int = value(table, counter, int, FILE)
    if found != 0:
        raise ConfigError(f"{FILE}: this version supports {counter} = 0 only, not {found}")
    return found


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
        return read_agreement_key(base64.b64decode(text, validate=True))
    except (binascii.Error, InvalidAgreementKey) as error:
        raise ConfigError(f"{FILE}: {what} is no threshold public key: {error}") from None
