"""Receipts: what a client keeps, and what any third party can check with the alliance's public key.

A receipt is the certificate (one RSA signature of the quorum on the root of the log) and the Merkle paths
from one command to that root. docs/guides/receipts.md gives the format and how to check it without this
library.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.errors import InvalidReceipt
from alliance.proofs.jsonform import octets, parse, read_placement, whole, write_placement
from quorum import AcceptedStatement, Context, DecisionCertificate, InvalidStatement
from verifiable_log.placement import Placement
from verifiable_log.submission import InvalidSubmission, Submission

FORMAT = "alliance-receipt/2"
RECEIPT_BYTES_MAX = 4 * 1024 * 1024
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Receipt:
    """The proof that one command is at one place of the alliance's log. Check it with ``verify``.

    ``slot``, ``position`` (of the submission in the slot's batch) and ``command_index`` (within the
    submission) order all commands of the alliance.
    """

    context: Context
    certificate: DecisionCertificate
    placement: Placement
    submission: Submission = field(repr=False)
    command_index: int
    key_fingerprint: str

    @property
    def slot(self) -> int:
        return self.placement.slot

    @property
    def position(self) -> int:
        return self.placement.index

    @property
    def time_ms(self) -> int:
        """The slot's time stamp, in milliseconds since 1970: the leader's clock, within the members' drift.

        The agreed time of the slot is the highest stamp up to it.
        """
        return self.placement.time_ms

    @cached_property
    def command(self) -> bytes:
        return self.submission.commands()[self.command_index]

    @property
    def message(self) -> bytes:
        """The bytes that the quorum signed: input for ``openssl dgst -sha256 -verify``."""
        return self.certificate.statement.encode(self.context)

    @property
    def signature(self) -> bytes:
        """The quorum's RSA signature (PKCS#1 v1.5, SHA-256) on ``message``."""
        return self.certificate.signature

    def verify(self, key: RSAPublicKey) -> None:
        """Raises InvalidReceipt unless a quorum of the key's alliance ordered the command where it says."""
        if key_fingerprint(key) != self.key_fingerprint:
            raise InvalidReceipt(
                f"the receipt is of another alliance: its key begins {self.key_fingerprint[:16]}, the given"
                f" key {key_fingerprint(key)[:16]}; take the public.pem of the alliance that issued it"
            )
        try:
            key.verify(self.signature, self.message, PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise InvalidReceipt(
                "the signature does not fit: the receipt was altered, or was never issued by this alliance"
            ) from None
        self.verify_placement()

    def verify_placement(self) -> None:
        """The Merkle part alone: the command is under the certificate's root. Raises InvalidReceipt."""
        try:
            root = self.placement.root(self.submission, self.certificate.slot)
        except ValueError as error:
            raise InvalidReceipt(f"a Merkle path of the receipt is broken: {error}") from None
        if root != self.certificate.root:
            raise InvalidReceipt("the command is not in the log that was signed: the receipt was altered")

    # -- JSON ----------------------------------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "alliance_id": self.context.alliance_id.hex(),
            "epoch": self.context.epoch,
            "key_fingerprint": self.key_fingerprint,
            "view": self.certificate.view,
            "certified_slot": self.certificate.slot,
            "root": self.certificate.root.hex(),
            "signature": self.signature.hex(),
            **write_placement(self.placement),
            "submission": self.submission.encoded.hex(),
            "command_index": self.command_index,
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Receipt:
        """Reads a receipt without believing it; raises InvalidReceipt when it is none."""
        if len(text) > RECEIPT_BYTES_MAX:
            raise InvalidReceipt(f"larger than {RECEIPT_BYTES_MAX} bytes: this is no receipt")
        try:
            table = parse(text)
        except (ValueError, RecursionError):
            raise InvalidReceipt("this is no receipt, or a truncated one: it does not read as JSON") from None
        if not isinstance(table, dict) or table.get("format") != FORMAT:
            raise InvalidReceipt(f"this is no receipt: a receipt is a JSON object with the format '{FORMAT}'")
        try:
            receipt = cls._from_dict(table)
        except (KeyError, TypeError, ValueError, InvalidSubmission, InvalidStatement) as error:
            raise InvalidReceipt(f"a field of the receipt is missing or wrong: {error}") from None
        if unknown := sorted(table.keys() - receipt.to_dict().keys()):
            raise InvalidReceipt(f"the receipt has a field that no receipt has: {unknown[0]!r:.40}")
        return receipt

    @classmethod
    def _from_dict(cls, table: dict[str, Any]) -> Receipt:
        epoch = whole(table, "epoch")
        statement = AcceptedStatement(
            whole(table, "view"), whole(table, "certified_slot"), octets(table["root"])
        )
        placement = read_placement(table)
        submission = Submission.decode(octets(table["submission"]))
        command_index = whole(table, "command_index")
        if command_index >= len(submission.commands()):
            raise ValueError(f"no command {command_index} in the submission")
        fingerprint = table["key_fingerprint"]
        if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
            raise ValueError("'key_fingerprint' is not 64 hex digits")
        return cls(
            Context(octets(table["alliance_id"]), epoch),
            DecisionCertificate(epoch, statement, octets(table["signature"])),
            placement,
            submission,
            command_index,
            fingerprint,
        )


def receipts(first: Receipt) -> list[Receipt]:
    """One for each command of the submission whose first command's receipt this is.

    They differ in one number, and a thousand are made at a time: so without the constructor, which sets the
    fields of a frozen object one by one through a call.
    """
    shared = {one.name: getattr(first, one.name) for one in fields(Receipt)}
    made = []
    for command_index in range(first.submission.command_count):
        receipt = object.__new__(Receipt)
        receipt.__dict__.update(shared, command_index=command_index)
        made.append(receipt)
    return made


def key_fingerprint(key: RSAPublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo in DER (``openssl pkey -pubin -outform DER``), in hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()


def load_public_key(pem: bytes) -> RSAPublicKey:
    """The alliance's public key from PEM; raises InvalidReceipt when it is no RSA key."""
    try:
        with warnings.catch_warnings():  # about kinds of keys that are refused below
            warnings.simplefilter("ignore")
            key = serialization.load_pem_public_key(pem)
    except UnsupportedAlgorithm:  # among others: a curve that is unknown here
        raise InvalidReceipt("the key file holds no RSA key: name the alliance's public.pem") from None
    except ValueError:
        raise InvalidReceipt("the key file is no public key in PEM: name the alliance's public.pem") from None
    if not isinstance(key, RSAPublicKey):
        raise InvalidReceipt("the key file holds no RSA key: name the alliance's public.pem")
    return key
