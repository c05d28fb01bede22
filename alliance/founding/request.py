"""A request file: what a party asks to be in an alliance that somebody else founds, signed by its own keys.

The party makes its keys on its own machine and hands out this text; whoever founds the alliance never holds
them. Everything in it is public. It has one spelling: ``to_toml`` of what was read gives the same text again,
so that whoever compares fingerprints has compared everything.

A member's request brings three more public keys: its organisation's operator key, which signs for the place
of this member in the organisation; a one-time key to which the founding's shares are sealed (X25519, for
RFC 9180); and its receiver key for the next time that shares are handed on.

A request may be for an alliance that exists: then it names the alliance, and the party's key has signed for
its place there, without which no alliance admits it. So has a member's operator key: its organisation may be
a new one. No share of the founding is sealed to such a member, and it needs no one-time key.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config import receiver as receivers
from alliance.config.fields import hexed, only, parse, value
from alliance.config.framing import framed
from alliance.config.identity import certify_itself
from alliance.config.parties import (
    Client,
    Member,
    Party,
    party_lines,
    read_address,
    read_key,
    read_name,
    read_party,
)
from alliance.config.receiver import Receiver
from alliance.errors import ConfigError
from alliance.keys import ed25519
from consensus.control.draft import key_message
from consensus.control.rows import Role
from quorum.receivers import InvalidReceiver, ReceiverKey, read_receiver

FORMAT = "alliance-request/1"
FILE_BYTES_MAX = 16 * 1024
SUFFIX = ".request"
_DOMAIN = b"alliance/v1 request\x00"
_OPERATOR_DOMAIN = b"alliance/v1 request operator\x00"
_BASE64_WIDTH = 76
DIGEST_BYTES = 32
_PARTY_KEYS = ("format", "kind", "name", "identity", "certificate", "signature", "organisation")
_ADMISSION = ("alliance_id", "proof")
_CLIENT_KEYS = (*_PARTY_KEYS, *_ADMISSION)
_SEAT_KEYS = (*_PARTY_KEYS, "address", "operator", "operator_signature", *receivers.FIELDS)
_MEMBER_KEYS = (*_SEAT_KEYS, "opening_key")
_NEWCOMER_KEYS = (*_SEAT_KEYS, *_ADMISSION, "operator_proof")


@dataclass(frozen=True, slots=True)
class Seat:
    """What a member's request says beyond a client's. Keys are public, 32 bytes each.

    ``operator`` is the Ed25519 key of the organisation, ``opening_key`` the member's one-time X25519 key, or
    empty for an alliance that exists.
    """

    organisation: str
    address: str
    operator: bytes
    opening_key: bytes
    receiver: Receiver
    operator_signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Admission:
    """Which alliance a party asks to be admitted to. ``proof`` is its signature on ``key_message``.

    ``operator_proof`` is that of a member's operator key, as a new one of its organisation.
    """

    alliance_id: bytes
    proof: bytes = field(repr=False)
    operator_proof: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, checked when it was read or made: ``seat`` is None for a client.

    ``client_of`` is the organisation that is to answer for a client, or empty for whoever comes first.
    ``admission`` is there when it asks an alliance that exists; a client's ``client_of`` is not empty then.
    """

    name: str
    identity: bytes
    certificate: x509.Certificate
    seat: Seat | None
    client_of: str = ""
    signature: bytes = field(repr=False, default=b"")
    admission: Admission | None = None

    @property
    def kind(self) -> str:
        return "client" if self.seat is None else "member"

    @property
    def party(self) -> Party:
        """The member or client as alliance.toml is to have it."""
        if self.seat is None:
            return Client(self.name, self.identity, self.certificate, self.client_of)
        seat = self.seat
        return Member(
            self.name,
            self.identity,
            self.certificate,
            seat.address,
            seat.organisation,
            receiver=seat.receiver,
        )

    @property
    def _reader(self) -> str:
        if self.admission is None:
            return "founds the alliance"
        return "is an operator there" if self.seat else f"is the operator of '{self.client_of}'"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file in hex, as sha256sum prints it."""
        return sha256(self.to_toml().encode()).hexdigest()

    def statement(self) -> bytes:
        """What the identity signs: the domain, then all fields, each after its length as u32."""
        parts = [self.kind.encode(), self.name.encode(), self.identity]
        parts.append(self.certificate.public_bytes(Encoding.DER))
        if (seat := self.seat) is not None:
            parts += [seat.organisation.encode(), seat.address.encode(), seat.operator, seat.opening_key]
            parts += [seat.receiver.key, seat.receiver.signature, seat.operator_signature]
        elif self.client_of:
            parts.append(self.client_of.encode())
        if (asked := self.admission) is not None:
            parts += [asked.alliance_id, asked.proof, asked.operator_proof]
        return _DOMAIN + framed(*parts)

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        lines = [
            f"# '{self.name}' asks to be in an alliance. Public, made by 'alliance request', never edited.",
            f"# Send it to whoever {self._reader}, and read out by telephone what sha256sum says of it.",
            f'format = "{FORMAT}"',
            f'kind = "{self.kind}"',
            f'name = "{self.name}"',
        ]
        if (seat := self.seat) is not None:
            lines += [f'organisation = "{seat.organisation}"', f'address = "{seat.address}"']
        elif self.client_of:
            lines.append(f'organisation = "{self.client_of}"')
        lines += party_lines(self.party)
        if (asked := self.admission) is not None:
            lines += [f'alliance_id = "{asked.alliance_id.hex()}"', f'proof = "{asked.proof.hex()}"']
        if seat is not None:
            lines.append(f'operator = "{seat.operator.hex()}"')
            if asked is None:
                lines.append(f'opening_key = "{seat.opening_key.hex()}"')
            else:
                lines.append(f'operator_proof = "{asked.operator_proof.hex()}"')
            encoded = textwrap.wrap(base64.b64encode(seat.receiver.key).decode(), _BASE64_WIDTH)
            lines += ['receiver_key = """', *encoded, '"""']
            lines.append(f'receiver_signature = "{seat.receiver.signature.hex()}"')
            lines.append(f'operator_signature = "{seat.operator_signature.hex()}"')
        return "\n".join([*lines, f'signature = "{self.signature.hex()}"']) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str) -> Request:
        """``where`` is the file, which errors begin with. Raises ConfigError, also for a false signature."""
        if len(text) > FILE_BYTES_MAX:
            raise ConfigError(f"{where} is larger than {FILE_BYTES_MAX} bytes: it is no request")
        try:
            table = parse(text)
        except (ValueError, RecursionError):
            raise ConfigError(f"{where} is no request, or a truncated one: ask for the file again") from None
        if table.get("format") != FORMAT:
            raise ConfigError(
                f"{where} is no request that this version reads: its format is not '{FORMAT}'; 'alliance"
                " request' makes one"
            )
        kind = value(table, "kind", str, where)
        if kind not in ("member", "client"):
            raise ConfigError(f"{where}: the kind is 'member' or 'client', not {kind!r:.80}")
        known = _NEWCOMER_KEYS if "alliance_id" in table else _MEMBER_KEYS
        only(table, known if kind == "member" else _CLIENT_KEYS, where)
        name, identity, certificate = read_party(table, where)
        seat = _seat(table, name, identity, where) if kind == "member" else None
        named = seat is None and "organisation" in table
        client_of = read_name(table, where, "organisation") if named else ""
        admission = _admission(table, where) if named or seat is not None else None
        signature = _signature(table, "signature", where)
        request = cls(name, identity, certificate, seat, client_of, signature, admission)
        request._verify(where)
        if request.to_toml() != text:
            raise ConfigError(
                f"{where}: the request of '{name}' is not as it was made: it was edited on its way; ask for"
                " the file again"
            )
        return request

    def _verify(self, where: str) -> None:
        _check_signature(self.identity, self.signature, self.statement(), "signature", where)
        if (seat := self.seat) is not None:
            statement = operator_statement(seat.organisation, seat.operator, self.name, self.identity)
            _check_signature(seat.operator, seat.operator_signature, statement, "operator_signature", where)
        if (asked := self.admission) is not None:
            organisation, role = self.client_of, Role.USER
            if seat is not None:
                organisation, role = seat.organisation, Role.MEMBER
                message = key_message(asked.alliance_id, organisation, Role.OPERATOR, seat.operator)
                _check_signature(seat.operator, asked.operator_proof, message, "operator_proof", where)
            message = key_message(asked.alliance_id, organisation, role, self.identity)
            _check_signature(self.identity, asked.proof, message, "proof", where)


def operator_statement(organisation: str, operator: bytes, name: str, identity: bytes) -> bytes:
    """What an organisation's operator key signs: that the member of this name and identity is run by it."""
    return _OPERATOR_DOMAIN + framed(organisation.encode(), operator, name.encode(), identity)


def request_as_client(
    name: str, identity: Ed25519PrivateKey, organisation: str = "", alliance_id: bytes | None = None
) -> Request:
    """A client's request, signed. Names as names of parties must be; without organisation, of any.

    ``alliance_id``: of the alliance that exists already, in which the organisation is.
    """
    public = identity.public_key().public_bytes_raw()
    asked = None
    if alliance_id is not None:
        proof = identity.sign(key_message(alliance_id, organisation, Role.USER, public))
        asked = Admission(alliance_id, proof)
    certificate = certify_itself(name, identity)
    return _signed(Request(name, public, certificate, None, organisation, admission=asked), identity)


def request_as_member(
    name: str,
    organisation: str,
    address: str,
    identity: Ed25519PrivateKey,
    operator: Ed25519PrivateKey,
    place: X25519PublicKey | bytes,
    receiver: ReceiverKey,
) -> Request:
    """A member's request, signed by its identity and by its organisation's operator key.

    ``place``: its one-time key for an alliance to be founded, or the alliance_id of one that exists.
    """
    public = identity.public_key().public_bytes_raw()
    operator_public = operator.public_key().public_bytes_raw()
    encoded = receiver.to_bytes()
    asked, opening_key = None, b""
    if isinstance(place, bytes):
        own = key_message(place, organisation, Role.MEMBER, public)
        message = key_message(place, organisation, Role.OPERATOR, operator_public)
        asked = Admission(place, identity.sign(own), operator.sign(message))
    else:
        opening_key = place.public_bytes_raw()
    seat = Seat(
        organisation,
        address,
        operator_public,
        opening_key,
        Receiver(encoded, identity.sign(Receiver.statement(name, public, encoded))),
        operator.sign(operator_statement(organisation, operator_public, name, public)),
    )
    certificate = certify_itself(name, identity)
    return _signed(Request(name, public, certificate, seat, admission=asked), identity)


def grouped(digest: str) -> str:
    """A fingerprint as one reads it out: hex digits in groups of four."""
    return " ".join(textwrap.wrap(digest, 4))


def _signed(request: Request, identity: Ed25519PrivateKey) -> Request:
    return replace(request, signature=identity.sign(request.statement()))


def _seat(table: Mapping[str, Any], name: str, identity: bytes, where: str) -> Seat:
    key = "".join(value(table, "receiver_key", str, where).split())
    receiver = receivers.read({**table, "receiver_key": key}, name, identity, where)
    if receiver is None:
        raise ConfigError(f"{where}: 'receiver_key' is missing")
    try:
        read_receiver(receiver.key)
    except InvalidReceiver as error:
        raise ConfigError(f"{where}: '{name}' cannot receive shares: {error}") from None
    opening_key = b"" if "alliance_id" in table else _opening_key(table, where)
    operator = read_key(table, "operator", where)
    if operator == identity:
        raise ConfigError(f"{where}: the operator key is the identity: an organisation has a key of its own")
    return Seat(
        read_name(table, where, "organisation"),
        read_address(value(table, "address", str, where), where),
        operator,
        opening_key,
        receiver,
        _signature(table, "operator_signature", where),
    )


def _opening_key(table: Mapping[str, Any], where: str) -> bytes:
    try:
        opening_key = bytes.fromhex(value(table, "opening_key", str, where))
        # A point of small order gives the same secret to everybody.
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(opening_key))
    except ValueError:
        raise ConfigError(f"{where}: 'opening_key' must be an X25519 public key, 64 hex digits") from None
    return opening_key


def _admission(table: Mapping[str, Any], where: str) -> Admission | None:
    if "alliance_id" not in table:
        return None
    alliance_id, proof = hexed(table, "alliance_id", DIGEST_BYTES, where), _signature(table, "proof", where)
    by_operator = _signature(table, "operator_proof", where) if table["kind"] == "member" else b""
    return Admission(alliance_id, proof, by_operator)


def _signature(table: Mapping[str, Any], key: str, where: str) -> bytes:
    try:
        return bytes.fromhex(value(table, key, str, where))
    except ValueError:
        raise ConfigError(f"{where}: '{key}' is not hex digits") from None


def _check_signature(key: bytes, signature: bytes, statement: bytes, what: str, where: str) -> None:
    if not ed25519.is_signed(key, signature, statement):
        raise ConfigError(
            f"{where}: its {what} does not fit: the request was altered, or made with another key; ask for"
            " the file again"
        )
