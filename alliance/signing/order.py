"""A request for a signature as a command of the log, and the order that it is when it has its place there.

The command is ``"alliance-sign" 00`` and JSON with sorted keys, without blanks: ``format``, ``purpose``,
``kind`` and the fields of that kind. It has exactly one form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeAlias

from alliance.config.fields import value
from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.errors import ConfigError, InvalidRequest
from alliance.proofs.receipt import Receipt
from alliance.signing.certificates import AuthorityRequest, CertificateRequest
from alliance.signing.occasion import Occasion
from alliance.signing.ssh import SshRequest
from alliance.signing.tokens import TokenRequest
from quorum.threshold_rsa import AgreementKey

PREFIX = b"alliance-sign\x00"
FORMAT = "alliance-signing/1"
COMMAND_BYTES_MAX = 64 * 1024
"""Above what any request that is in form takes."""
RESERVED = (b"alliance/", b"shoup-rsa/")
"""What keys sign for the alliance itself begins like this, and no document does."""

Request: TypeAlias = TokenRequest | CertificateRequest | AuthorityRequest | SshRequest
KINDS: dict[str, type[Request]] = {
    kind.KIND: kind for kind in (TokenRequest, CertificateRequest, AuthorityRequest, SshRequest)
}


@dataclass(frozen=True)
class Order:
    """A request that the alliance has ordered, and when and where. Make it with ``order_of``.

    ``client_id`` is who asked. ``message`` are the bytes to be signed, the same for all who hold the order.
    """

    client_id: bytes
    occasion: Occasion
    request: Request
    message: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the message."""
        return sha256(self.message).digest()

    @property
    def time(self) -> str:
        """The time stamp, such as 2026-01-31T12:00:00Z."""
        moment = datetime.fromtimestamp(min(self.occasion.seconds, 253_402_300_799), UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def document(self, signature: bytes) -> bytes:
        """The whole document, as the content of a file."""
        return self.request.document(self.occasion, self.message, signature)


def to_command(purpose: str, request: Request) -> bytes:
    """Raises InvalidRequest when it is too long."""
    table = {"format": FORMAT, "purpose": purpose, "kind": request.KIND} | request.to_table()
    command = PREFIX + json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    if len(command) > COMMAND_BYTES_MAX:
        raise InvalidRequest(f"a request has {COMMAND_BYTES_MAX:,} bytes at most, not {len(command):,}")
    return command


def from_command(command: bytes) -> tuple[str, Request]:
    """The purpose and the request. Raises InvalidRequest."""
    if not is_request(command) or len(command) > COMMAND_BYTES_MAX:
        raise InvalidRequest("this command is no request for a signature, or too long for one")
    try:
        table = json.loads(command[len(PREFIX) :])
        purpose, request = _read(table)
    except (ValueError, RecursionError, ConfigError) as error:
        raise InvalidRequest(f"the request is malformed: {error}") from None
    if to_command(purpose, request) != command:
        raise InvalidRequest("the request is malformed: it is not written in its one form")
    return purpose, request


def is_request(command: bytes) -> bool:
    return command.startswith(PREFIX)


def signing_key(config: AllianceConfig, purpose: str) -> AgreementKey:
    """The purpose's key. Raises ConfigError, also for the two keys that never sign foreign bytes."""
    if purpose in (AGREEMENT, ATTESTATION):
        raise ConfigError(
            f"the {purpose} key signs no documents: name a purpose of 'alliance init --purpose'"
        )
    return config.purpose_key(purpose)


def order_of(config: AllianceConfig, receipt: Receipt) -> Order:
    """What a receipt orders. The receipt is NOT verified here. Raises InvalidRequest, ConfigError."""
    purpose, request = from_command(receipt.command)
    key = signing_key(config, purpose)
    try:
        occasion = Occasion(
            config.name,
            purpose,
            key,
            receipt.slot,
            receipt.position,
            receipt.command_index,
            receipt.placement.time_ms,
            receipt.placement.root_then(receipt.header(), receipt.certificate.slot),
        )
        message = request.message(occasion)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"no document can be made of this request: {error}") from None
    if message.startswith(RESERVED):
        raise InvalidRequest("what is to be signed begins like what keys sign for the alliance itself")
    return Order(receipt.client_id, occasion, request, message)


def _read(table: object) -> tuple[str, Request]:
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise ConfigError(f"this version signs what has the format '{FORMAT}'")
    fields: Mapping[str, Any] = {
        key: item for key, item in table.items() if key not in ("format", "purpose", "kind")
    }
    kind = KINDS.get(value(table, "kind", str, "request"))
    if kind is None:
        raise ConfigError(f"kinds are {', '.join(KINDS)}")
    purpose: str = value(table, "purpose", str, "request")
    return purpose, kind.from_table(fields, f"{kind.KIND} request")
