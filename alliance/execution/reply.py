"""Certified replies: what executors say came of a command, in one RSA signature of the attestation key.

More than f of them sign, so at least one is correct: whoever holds ``public-attestation.pem`` may rely on it,
offline.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.errors import InvalidReceipt
from alliance.execution.machine import REPLY_BYTES_MAX, Kind, wrap
from alliance.execution.outcome import Outcome, Status
from alliance.proofs.jsonform import octets, parse, path, whole
from alliance.proofs.receipt import key_fingerprint
from quorum import Context, InvalidStatement

FORMAT = "alliance-reply/1"
REPLY_JSON_BYTES_MAX = 2 * REPLY_BYTES_MAX + 64 * 1024
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Reply:
    """The certified answer to one command. Check it with ``verify``, which contacts nobody.

    ``slot`` is where the command was executed, ``time_ms`` the agreed time there.
    """

    context: Context
    outcome: Outcome
    signature: bytes = field(repr=False)
    key_fingerprint: str = field(repr=False)

    @property
    def payload(self) -> bytes:
        """What the state machine answered."""
        return self.outcome.payload

    @property
    def slot(self) -> int:
        return self.outcome.slot

    @property
    def time_ms(self) -> int:
        return self.outcome.time_ms

    @property
    def status(self) -> Status:
        return self.outcome.status

    @property
    def client_id(self) -> bytes:
        return self.outcome.client_id

    @property
    def client_seq(self) -> int:
        return self.outcome.client_seq

    @property
    def command_index(self) -> int:
        return self.outcome.command_index

    def answers(self, application: str, payload: bytes, kind: Kind = Kind.APPLY) -> bool:
        """Whether this is the reply to this command (or query) of this application."""
        return sha256(wrap(application, kind, payload)).digest() == self.outcome.command_digest

    @property
    def message(self) -> bytes:
        """The bytes that the executors signed: input for ``openssl dgst -sha256 -verify``.

        They hold the root to which ``outcome.path`` leads from this answer.
        """
        return self.outcome.statement().encode(self.context)

    def verify(self, key: RSAPublicKey) -> None:
        """Raises InvalidReceipt unless so many members of the key's alliance as it needs gave this answer."""
        if key_fingerprint(key) != self.key_fingerprint:
            raise InvalidReceipt(
                f"the reply is of another key: its key begins {self.key_fingerprint[:16]}, the given one"
                f" {key_fingerprint(key)[:16]}; take the alliance's public-attestation.pem"
            )
        try:
            key.verify(self.signature, self.message, PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise InvalidReceipt(
                "the signature does not fit: the reply was altered, or was never given by this alliance"
            ) from None

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def to_dict(self) -> dict[str, Any]:
        outcome = self.outcome
        return {
            "format": FORMAT,
            "alliance_id": self.context.alliance_id.hex(),
            "epoch": self.context.epoch,
            "key_fingerprint": self.key_fingerprint,
            "client_id": outcome.client_id.hex(),
            "client_seq": outcome.client_seq,
            "command_index": outcome.command_index,
            "slot": outcome.slot,
            "time_ms": outcome.time_ms,
            "command_digest": outcome.command_digest.hex(),
            "status": outcome.status.name.lower(),
            "payload": outcome.payload.hex(),
            "rank": outcome.rank,
            "count": outcome.count,
            "path": [digest.hex() for digest in outcome.path],
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Reply:
        """Reads a reply without believing it; raises InvalidReceipt when it is none."""
        if len(text) > REPLY_JSON_BYTES_MAX:
            raise InvalidReceipt(f"larger than {REPLY_JSON_BYTES_MAX} bytes: this is no reply")
        try:
            table = parse(text)
        except (ValueError, RecursionError):
            raise InvalidReceipt("this is no reply, or a truncated one: it does not read as JSON") from None
        if not isinstance(table, dict) or table.get("format") != FORMAT:
            raise InvalidReceipt(f"this is no reply: a reply is a JSON object with the format '{FORMAT}'")
        try:
            reply = cls._from_dict(table)
        except (KeyError, TypeError, ValueError, InvalidStatement) as error:
            raise InvalidReceipt(f"a field of the reply is missing or wrong: {error}") from None
        if unknown := sorted(table.keys() - reply.to_dict().keys()):
            raise InvalidReceipt(f"the reply has a field that no reply has: {unknown[0]!r:.40}")
        return reply

    @classmethod
    def _from_dict(cls, table: dict[str, Any]) -> Reply:
        statuses = {status.name.lower(): status for status in Status}
        fingerprint = table["key_fingerprint"]
        if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
            raise ValueError("'key_fingerprint' is not 64 hex digits")
        client_id, digest = octets(table["client_id"]), octets(table["command_digest"])
        index = whole(table, "command_index")
        if len(client_id) != 32 or len(digest) != 32 or index >= 2**32:
            raise ValueError("'client_id', 'command_digest' or 'command_index' is out of range")
        outcome = Outcome(
            client_id,
            whole(table, "client_seq"),
            index,
            whole(table, "slot"),
            whole(table, "time_ms"),
            digest,
            statuses[table["status"]],
            octets(table["payload"]),
            whole(table, "rank"),
            whole(table, "count"),
            path(table, "path"),
        )
        outcome.statement()  # its fields are in range, and its path leads somewhere
        context = Context(octets(table["alliance_id"]), whole(table, "epoch"))
        return cls(context, outcome, octets(table["signature"]), fingerprint)
