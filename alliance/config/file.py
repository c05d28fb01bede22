"""What an alliance is: its members, clients and public keys, as one TOML file that all share.

The file is public, and says who takes part now. Its ``alliance_id`` binds what was fixed when the alliance
was created; what has changed since the members have certified. Neither binds timing.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from alliance.config.bounded import read_file
from alliance.config.fields import only, parse, suggest, tables, value
from alliance.config.founding import FoundingMember, FoundingRecord, distinct
from alliance.config.key_changes import KeyChange, former_keys
from alliance.config.key_check import check_keys
from alliance.config.membership import Membership
from alliance.config.parties import (
    Client,
    Member,
    client_lines,
    member_lines,
    read_client,
    read_member,
)
from alliance.config.public_keys import read_public_key, read_purpose_keys
from alliance.config.terms import Terms, canonical, count, read_terms
from alliance.config.timing import DEFAULT_TIMING, Timing
from alliance.errors import ConfigError
from consensus.control.directory import config_digest
from consensus.control.encoding import MalformedControl
from consensus.control.state import default_policy
from quorum import Context, QuorumSystem
from quorum.threshold_rsa import AgreementKey, ThresholdRsaScheme

FILE = "alliance.toml"
FORMAT = 2
FILE_BYTES_MAX = 16 * 1024 * 1024
ATTESTATION = "attestation"
"""The purpose of the key that certifies applications' replies."""


@dataclass(frozen=True, slots=True)
class AllianceConfig:
    """The whole of an alliance.toml, checked.

    ``purpose_keys`` are (purpose, key) beside the agreement key, each with a modulus of its own. ``epoch``,
    ``revision`` and ``dealing`` count the changes of members, of their addresses and clients, and of key
    shares. ``changed`` are the terms of an epoch or revision after the founding; None as founded. Members,
    clients and keys are those of now, ``founding`` and the ``alliance_id`` of it stay.
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
    changed: Terms | None = None

    @property
    def name(self) -> str:
        return self.founding.name

    @property
    def terms(self) -> Terms:
        """Those that hold now."""
        if self.changed is not None:
            return self.changed
        system, operators = self.founding.system, tuple(sorted(self.founding.operators))
        return Terms(system, operators, default_policy(system, len(operators)))

    @property
    def system(self) -> QuorumSystem:
        """With those that lead, where some are suspended."""
        if self.changed is None:
            return self.founding.system
        system, suspended = self.changed.system, self.changed.suspended
        if not suspended:
            return system
        leaders = (index for index, one in enumerate(self.members) if one.name not in suspended)
        return replace(system, leaders=tuple(leaders))

    @property
    def start(self) -> int:
        """The last slot of the epoch before; 0 in the first."""
        return 0 if self.changed is None else self.changed.start

    @property
    def canonical(self) -> bytes:
        """Who takes part, as members certify it: ``config`` of ``consensus.control.directory``.

        Raises ConfigError when the file says more than that can hold.
        """
        counters = self.epoch, self.dealing, self.revision
        try:
            directory = self.terms.directory(self.members, self.clients)
        except MalformedControl as error:
            raise ConfigError(f"{FILE}: {error}") from None
        return canonical(self.alliance_id, counters, self.terms, directory)

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
        return self.scheme_at(0)

    @property
    def key_changes(self) -> tuple[KeyChange, ...]:
        """How the keys came to be others than those of the founding, oldest first; normally there is none."""
        return self.changed.key_changes if self.changed is not None else ()

    def scheme_at(self, place: int) -> ThresholdRsaScheme:
        """Of the key at this place of their order, 0 for the agreement key; with those that it had before."""
        founding = self.changed.founding_keys if self.changed is not None else ()
        former = former_keys(founding, self.key_changes, place)
        return ThresholdRsaScheme(self.keys[place], self.context, former)

    @property
    def keys(self) -> tuple[AgreementKey, ...]:
        """All of them, the agreement key first, then those of the purposes in their order."""
        return (self.key, *(key for _, key in self.purpose_keys))

    @property
    def handed_on(self) -> tuple[AgreementKey, ...]:
        """All keys, the agreement key first, once they were handed on: with the proof of a membership comes
        what the founding does not say. Empty in dealing 0."""
        return self.keys if self.dealing else ()

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
        return self.scheme_at(self.place_of(ATTESTATION))

    def place_of(self, purpose: str) -> int:
        """Among ``keys``. Raises ConfigError when the alliance was founded without it."""
        self.purpose_key(purpose)
        return 1 + [name for name, _ in self.purpose_keys].index(purpose)

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
            *(self.terms.to_lines(config_digest(self.canonical)) if self._is_changed else []),
            *self.timing.to_lines(),
        ]
        for purpose, key in self.purpose_keys:
            encoded = base64.b64encode(key.to_bytes()).decode()
            lines += ["", "[[purposes]]", f'name = "{purpose}"', f'key = "{encoded}"']
        for member in self.members:
            lines += ["", "[[members]]", *member_lines(member)]
        for client in self.clients:
            lines += ["", "[[clients]]", f'name = "{client.name}"', *client_lines(client)]
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
            key=read_public_key(table, "agreement_key", FILE),
            members=tuple(read_member(entry, f"{FILE}, members") for entry in tables(table, "members", FILE)),
            clients=tuple(read_client(entry, f"{FILE}, clients") for entry in tables(table, "clients", FILE)),
            timing=Timing.from_table(table.get("timing", {}), f"{FILE}, timing"),
            purpose_keys=read_purpose_keys(table, f"{FILE}, purposes"),
            epoch=count(table, "epoch", FILE),
            revision=count(table, "revision", FILE),
            dealing=count(table, "dealing", FILE),
        )
        digest = b""
        if config._is_changed:
            terms = table.get("membership")
            if not isinstance(terms, dict):
                raise ConfigError(f"{FILE}: the table [membership] is missing")
            changed, digest = read_terms(terms, len(config.members), f"{FILE}, membership")
            config = replace(config, changed=changed)
        elif "membership" in table:
            raise ConfigError(f"{FILE}: a table [membership], and nothing was changed since the founding")
        if value(table, "alliance_id", str, FILE) != config.alliance_id.hex():
            raise ConfigError(
                f"{FILE} was altered: its alliance_id does not fit its table [founding];"
                " get a fresh copy from another member"
            )
        config._check_parties()
        keys, counters = (config.key, config.purpose_keys), (config.epoch, config.dealing)
        check_keys(*keys, config.founding, config.terms, *counters)
        if config._is_changed and config_digest(config.canonical) != digest:
            raise ConfigError(
                f"{FILE} was altered: its config_digest is not that of its members, clients and terms, which"
                " the alliance changes, and not who has the file; get a fresh copy from another member"
            )
        return config

    @property
    def _is_changed(self) -> bool:
        return (self.epoch, self.revision, self.dealing) != (0, 0, 0)

    def _check_parties(self) -> None:
        distinct("clients", "name", (client.name for client in self.clients))
        keys = [party.identity for party in (*self.members, *self.clients)]
        operators = self.terms.operators
        distinct("parties", "identity", [*keys, *(key for _, key in operators)])
        organisations = [name for name, _ in operators]
        for client in self.clients:
            if client.organisation not in organisations:
                raise ConfigError(
                    f"{FILE}, clients: '{client.name}' belongs to '{client.organisation}', which runs no"
                    f" member{suggest(client.organisation, organisations)}"
                )
        now = tuple(FoundingMember(one.name, one.organisation, one.identity) for one in self.members)
        if self.epoch == 0 and (now, self.system) != (self.founding.members, self.founding.system):
            raise ConfigError(
                f"{FILE} was altered: its members are not those of [founding], and members change with an"
                " epoch only; get a fresh copy from another member"
            )
        if self.epoch < self.dealing:
            raise ConfigError(f"{FILE}: keys are handed on with an epoch, at most once")


def load(folder: Path) -> AllianceConfig:
    """The alliance that a folder describes. Raises ConfigError."""
    path = folder / FILE
    try:
        return read(path)
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


def read(path: Path) -> AllianceConfig:
    """An alliance file. Raises ConfigError; FileNotFoundError and NotADirectoryError are the caller's."""
    try:
        data = read_file(path, FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes: it is no alliance file")
        text = data.decode("utf-8").replace("\r\n", "\n")  # as another system may have it
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    return AllianceConfig.from_toml(text)


_COUNTERS = ("epoch", "revision", "dealing")
_TOP_KEYS = (
    "format",
    "alliance_id",
    *_COUNTERS,
    "agreement_key",
    "founding",
    "membership",
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
