"""Who takes part: members, operators, clients and the policy, one row each, with one encoding each.

Encodings (``encoding`` says what the words mean)::

    member     name text | organisation text | identity[32] | certificate blob | address text
               | applications list of (name text | address text), by name | receiver blob
               | receiver_signature[64]
    operator   organisation text | key[32]
    client     name text | organisation text | identity[32] | certificate blob | role u8
               | waiting u16 | bytes u32 | from_slot u64 | until_slot u64
    policy     faulty u8 | clients_max u16 | attempt_seconds u32 | refresh_days u16

A row cannot be made with values out of range: it raises MalformedControl.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from consensus.control.encoding import MalformedControl, Reader, blob, listed, text, u8, u16, u32, u64
from consensus.limits import APPLICATIONS_MAX, CERTIFICATE_BYTES_MAX, CLIENT_IDS_MAX, RECEIVER_BYTES_MAX
from verifiable_log.limits import POOL_BYTES_MAX, POOL_SUBMISSIONS_MAX

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ADDRESS = re.compile(r"[A-Za-z0-9._:\[\]%-]{1,255}:[0-9]{1,5}")
NAME_BYTES_MAX, ADDRESS_BYTES_MAX = 63, 261
KEY_BYTES, SIGNATURE_BYTES = 32, 64
ORGANISATIONS_MAX = 255
"""As many as there can be members."""
FOREVER = 2**64 - 1
"""The last slot of a client that nobody has removed."""
ATTEMPT_SECONDS_MIN, ATTEMPT_SECONDS_MAX = 10, 7 * 24 * 3600


class Role(IntEnum):
    """What a key is for. A client's row has USER, the only role that organisations give."""

    USER = 1
    MEMBER = 2
    OPERATOR = 3


def key_id(key: bytes) -> bytes:
    """SHA-256 of an Ed25519 public key: a client's or member's client_id, and what is kept of past keys."""
    return sha256(key).digest()


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise MalformedControl(problem)


def check_name(name: str) -> None:
    _require(
        NAME.fullmatch(name) is not None, f"{name!r:.80} is no name: a-z, 0-9 and '-', at most 63 of them"
    )


def check_address(address: str) -> None:
    _require(
        ADDRESS.fullmatch(address) is not None and 0 < int(address.rpartition(":")[2]) < 2**16,
        f"{address!r:.80} is no address: host:port",
    )


def check_places(address: str, applications: tuple[tuple[str, str], ...]) -> None:
    """As ``alliance.config.parties`` reads them: what a row may say, everybody's alliance.toml can."""
    check_address(address)
    names = [name for name, _ in applications]
    _require(len(names) <= APPLICATIONS_MAX, f"a member lists at most {APPLICATIONS_MAX} applications")
    _require(names == sorted(set(names)), "applications are listed by name, each once")
    for name, place in applications:
        check_name(name)
        check_address(place)
    _require(
        len({address, *(place for _, place in applications)}) == len(names) + 1,
        "two processes of a member are at one address",
    )


def check_party(name: str, identity: bytes, certificate: bytes) -> None:
    check_name(name)
    _require(len(identity) == KEY_BYTES, f"an identity has {KEY_BYTES} bytes")
    _require(
        0 < len(certificate) <= CERTIFICATE_BYTES_MAX,
        f"a certificate has at most {CERTIFICATE_BYTES_MAX} bytes",
    )


def encode_applications(applications: tuple[tuple[str, str], ...]) -> bytes:
    return listed(text(name) + text(address) for name, address in applications)


def read_applications(reader: Reader) -> tuple[tuple[str, str], ...]:
    return reader.listed(lambda r: (r.text(NAME_BYTES_MAX), r.text(ADDRESS_BYTES_MAX)), APPLICATIONS_MAX)


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member. ``certificate`` is the identity's own, in DER (``certificate``).

    ``receiver`` is the member's key for the next dealing of shares, or empty; ``receiver_signature`` is its
    identity's on ``receiver_statement``, 64 zero bytes without a key.
    """

    name: str
    organisation: str
    identity: bytes
    certificate: bytes
    address: str
    applications: tuple[tuple[str, str], ...] = ()
    receiver: bytes = b""
    receiver_signature: bytes = bytes(SIGNATURE_BYTES)

    def __post_init__(self) -> None:
        check_party(self.name, self.identity, self.certificate)
        check_name(self.organisation)
        check_places(self.address, self.applications)
        _require(
            len(self.receiver) <= RECEIVER_BYTES_MAX, f"a receiver key has at most {RECEIVER_BYTES_MAX} bytes"
        )
        _require(len(self.receiver_signature) == SIGNATURE_BYTES, f"a signature has {SIGNATURE_BYTES} bytes")
        _require(bool(self.receiver) or not any(self.receiver_signature), "a signature on no receiver key")

    @property
    def client_id(self) -> bytes:
        return key_id(self.identity)

    def encode(self) -> bytes:
        head = text(self.name) + text(self.organisation) + self.identity + blob(self.certificate)
        places = text(self.address) + encode_applications(self.applications)
        return head + places + blob(self.receiver) + self.receiver_signature

    @classmethod
    def read(cls, reader: Reader) -> MemberRow:
        """Raises MalformedControl."""
        return cls(
            *_read_party(reader),
            reader.text(ADDRESS_BYTES_MAX),
            read_applications(reader),
            reader.blob(RECEIVER_BYTES_MAX),
            reader.fixed(SIGNATURE_BYTES),
        )


def receiver_statement(name: str, identity: bytes, key: bytes) -> bytes:
    """What a member's identity signs to say that a receiver key is its own."""
    return b"alliance/v1 receiver\x00" + blob(name.encode()) + blob(identity) + blob(key)


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """The offline Ed25519 key that speaks for an organisation."""

    organisation: str
    key: bytes

    def __post_init__(self) -> None:
        check_name(self.organisation)
        _require(len(self.key) == KEY_BYTES, f"an operator's key has {KEY_BYTES} bytes")

    def encode(self) -> bytes:
        return text(self.organisation) + self.key

    @classmethod
    def read(cls, reader: Reader) -> OperatorRow:
        """Raises MalformedControl."""
        return cls(reader.text(NAME_BYTES_MAX), reader.fixed(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What of a client waits at one member at most: submissions, and their bytes together, 1 on."""

    waiting: int = POOL_SUBMISSIONS_MAX
    waiting_bytes: int = POOL_BYTES_MAX

    def __post_init__(self) -> None:
        _require(
            0 < self.waiting <= POOL_SUBMISSIONS_MAX,
            f"1 to {POOL_SUBMISSIONS_MAX} submissions of a client wait",
        )
        _require(0 < self.waiting_bytes <= POOL_BYTES_MAX, f"1 to {POOL_BYTES_MAX} bytes of a client wait")

    def encode(self) -> bytes:
        return u16(self.waiting) + u32(self.waiting_bytes)

    @classmethod
    def read(cls, reader: Reader) -> ClientLimits:
        """Raises MalformedControl."""
        return cls(reader.number(2), reader.number(4))


NO_LIMITS = ClientLimits()
"""None beside those of every client."""


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client: admitted in the slots ``from_slot`` to ``until_slot`` - 1."""

    name: str
    organisation: str
    identity: bytes
    certificate: bytes
    role: Role = Role.USER
    limits: ClientLimits = NO_LIMITS
    from_slot: int = 0
    until_slot: int = FOREVER

    def __post_init__(self) -> None:
        check_party(self.name, self.identity, self.certificate)
        check_name(self.organisation)
        _require(
            0 <= self.from_slot <= self.until_slot <= FOREVER, "a client's first slot is behind its last"
        )

    @property
    def client_id(self) -> bytes:
        return key_id(self.identity)

    @property
    def live(self) -> bool:
        """Nobody has removed it."""
        return self.until_slot == FOREVER

    def admitted(self, slot: int) -> bool:
        return self.from_slot <= slot < self.until_slot

    def encode(self) -> bytes:
        head = text(self.name) + text(self.organisation) + self.identity + blob(self.certificate)
        return head + u8(self.role) + self.limits.encode() + u64(self.from_slot) + u64(self.until_slot)

    @classmethod
    def read(cls, reader: Reader) -> ClientRow:
        """Raises MalformedControl."""
        return cls(
            *_read_party(reader),
            read_role(reader),
            ClientLimits.read(reader),
            reader.number(8),
            reader.number(8),
        )


def read_role(reader: Reader) -> Role:
    """Raises MalformedControl."""
    number = reader.number(1)
    try:
        return Role(number)
    except ValueError:
        raise MalformedControl(f"there is no role {number}") from None


def _read_party(reader: Reader) -> tuple[str, str, bytes, bytes]:
    names = reader.text(NAME_BYTES_MAX), reader.text(NAME_BYTES_MAX)
    return *names, reader.fixed(KEY_BYTES), reader.blob(CERTIFICATE_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """What operators may do. ``policy`` computes from it how many must approve.

    ``faulty``: of so many operators' keys the alliance stands the loss or the theft. ``clients_max``: of each
    organisation, at one time. ``attempt_seconds``: so long, in agreed time, an attempt at a change has.
    ``refresh_days``: shares are refreshed so often, in agreed time; 0 for never.
    """

    faulty: int
    clients_max: int = 1024
    attempt_seconds: int = 120
    refresh_days: int = 0

    def __post_init__(self) -> None:
        _require(0 <= self.faulty < 2**8, "at most 255 operators may be faulty")
        _require(
            0 <= self.clients_max <= CLIENT_IDS_MAX, f"an organisation has at most {CLIENT_IDS_MAX} clients"
        )
        low, high = ATTEMPT_SECONDS_MIN, ATTEMPT_SECONDS_MAX
        _require(low <= self.attempt_seconds <= high, f"an attempt has {low} to {high} seconds")
        _require(0 <= self.refresh_days < 2**16, "shares are refreshed every 65,535 days at the latest")

    def encode(self) -> bytes:
        return u8(self.faulty) + u16(self.clients_max) + u32(self.attempt_seconds) + u16(self.refresh_days)

    @classmethod
    def read(cls, reader: Reader) -> PolicyRow:
        """Raises MalformedControl."""
        return cls(reader.number(1), reader.number(2), reader.number(4), reader.number(2))
