"""Receipts: what a client keeps, and what any third party can check with the alliance's public key.

A receipt is the certificate (one RSA signature of the quorum on the root of the log) and the Merkle paths
from one command to that root: by the commands of its submission, the submissions of its batch, and the log.
It shows nothing of other commands but SHA-256 digests. docs/guides/receipts.md gives the format and how to
check it without this library.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.errors import InvalidReceipt
from alliance.proofs.jsonform import (
    base64,
    hash_string,
    octets,
    packed,
    packed_hashes,
    parse,
    read_placement,
    whole,
    write_placement,
)
from alliance.proofs.votes import Vote, read_votes, verify_votes, write_votes
from quorum import AcceptedStatement, Context, DecisionCertificate, InvalidStatement
from verifiable_log.command_tree import CommandProof, command_proofs
from verifiable_log.placement import Placement
from verifiable_log.submission import SIGNATURE_BYTES, Submission, SubmissionHeader

FORMAT = "alliance-receipt/3"
RECEIPT_BYTES_MAX = 1024 * 1024
"""Room for the largest command in base64, and for a vote of every member of the largest alliance."""

ACCEPTED = "ACCEPTED"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_PADDING, _DIGEST = PKCS1v15(), hashes.SHA256()


@dataclass(frozen=True)
class Receipt:
    """The proof that one command is at one place of the alliance's log. Check it with ``verify``.

    ``slot``, ``position`` (of the submission in the slot's batch) and ``command_index`` (within the
    submission) order all commands of the alliance. ``client_id``, ``client_seq`` and ``client_signature`` are
    those of the submission. ``votes`` are members' own signatures beside the quorum's, if there are any.
    """

    alliance_id: bytes
    certificate: DecisionCertificate
    placement: Placement
    client_id: bytes
    client_seq: int
    client_signature: bytes = field(repr=False)
    command: bytes = field(repr=False)
    proof: CommandProof = field(repr=False)
    key_fingerprint: str
    votes: tuple[Vote, ...] = ()

    @property
    def context(self) -> Context:
        """The alliance, and the epoch whose members certified the command."""
        return Context(self.alliance_id, self.certificate.epoch)

    @property
    def slot(self) -> int:
        return self.placement.slot

    @property
    def position(self) -> int:
        return self.placement.index

    @property
    def command_index(self) -> int:
        return self.proof.command_index

    @property
    def time_ms(self) -> int:
        """The slot's time stamp, in milliseconds since 1970: the leader's clock, within the members' drift.

        The agreed time of the slot is the highest stamp up to it.
        """
        return self.placement.time_ms

    @property
    def message(self) -> bytes:
        """The bytes that the quorum signed: input for ``openssl dgst -sha256 -verify``."""
        return self.certificate.statement.encode(self.context)

    @property
    def signature(self) -> bytes:
        """The quorum's RSA signature (PKCS#1 v1.5, SHA-256) on ``message``."""
        return self.certificate.signature

    def header(self) -> SubmissionHeader:
        """The submission's, as this receipt has it. Raises ValueError when its proof is none."""
        body = self.proof.body_digest(self.command)
        return SubmissionHeader(self.client_id, self.client_seq, body, self.client_signature)

    def verify(self, key: RSAPublicKey, identities: Sequence[Ed25519PublicKey] | None = None) -> None:
        """Raises InvalidReceipt unless a quorum of the key's alliance ordered the command where it says.

        ``identities`` are the keys of the members of the receipt's epoch, in order. With them the votes are
        checked as well: each that is there must be right. Whether they are enough is for the caller to say:
        f + 1 are more than f liars make.
        """
        if key_fingerprint(key) != self.key_fingerprint:
            raise InvalidReceipt(
                f"the receipt is of another alliance: its key begins {self.key_fingerprint[:16]}, the given"
                f" key {key_fingerprint(key)[:16]}; take the public.pem of the alliance that issued it,"
                f" or the one of epoch {self.context.epoch} if it has got new keys"
            )
        try:
            key.verify(self.signature, self.message, _PADDING, _DIGEST)
        except InvalidSignature:
            raise InvalidReceipt(
                "the signature does not fit: the receipt was altered, or was never issued by this alliance"
            ) from None
        self.verify_placement()
        if identities is not None:
            verify_votes(self.votes, self.certificate.statement, self.context, identities)

    def verify_placement(self) -> None:
        """The Merkle part alone: the command is under the certificate's root. Raises InvalidReceipt."""
        try:
            header = self.header()
        except ValueError as error:
            raise InvalidReceipt(f"a Merkle path of the receipt is broken: {error}") from None
        require_placed(header, self.placement, self.certificate)

    # -- JSON ----------------------------------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def to_dict(self) -> dict[str, Any]:
        table = {
            "format": FORMAT,
            "alliance_id": self.alliance_id.hex(),
            "key_fingerprint": self.key_fingerprint,
            "certificate": {
                "tag": ACCEPTED,
                "epoch": self.certificate.epoch,
                "view": self.certificate.view,
                "slot": self.certificate.slot,
                "root": self.certificate.root.hex(),
                "signature": base64(self.signature),
            },
            **write_placement(self.placement),
            "client_id": self.client_id.hex(),
            "client_seq": self.client_seq,
            "client_signature": base64(self.client_signature),
            "command_count": self.proof.command_count,
            "command_index": self.proof.command_index,
            "command_group": hash_string(self.proof.group),
            "command_path": hash_string(self.proof.path),
            "command": base64(self.command),
        }
        return table | {"votes": write_votes(self.votes)} if self.votes else table

    @classmethod
    def from_json(cls, text: str | bytes) -> Receipt:
        """Reads a receipt without believing it; raises InvalidReceipt when it is none."""
        if len(text) > RECEIPT_BYTES_MAX:
            raise InvalidReceipt(f"larger than {RECEIPT_BYTES_MAX} bytes: this is no receipt")
        try:
            table = parse(text)
        except (ValueError, RecursionError):
            raise InvalidReceipt("this is no receipt, or a truncated one: it does not read as JSON") from None
        _require_format(table)
        try:
            receipt = cls._from_dict(table)
        except (KeyError, TypeError, ValueError, InvalidStatement) as error:
            raise InvalidReceipt(f"a field of the receipt is missing or wrong: {error}") from None
        written = receipt.to_dict()
        if unknown := sorted(table.keys() - written.keys()):
            raise InvalidReceipt(f"the receipt has a field that no receipt has: {unknown[0]!r:.40}")
        if table != written:
            raise InvalidReceipt("a part of the receipt has a field that no receipt has: it was altered")
        return receipt

    @classmethod
    def _from_dict(cls, table: dict[str, Any]) -> Receipt:
        signed = table["certificate"]
        if not isinstance(signed, dict) or signed.get("tag") != ACCEPTED:
            raise ValueError(f"'certificate' is no object with the tag '{ACCEPTED}'")
        statement = AcceptedStatement(whole(signed, "view"), whole(signed, "slot"), octets(signed["root"]))
        alliance_id, epoch = octets(table["alliance_id"]), whole(signed, "epoch")
        client_id, client_signature = octets(table["client_id"]), packed(table["client_signature"])
        sizes = (len(alliance_id), len(client_id), len(client_signature))
        if sizes != (32, 32, SIGNATURE_BYTES):
            raise ValueError("'alliance_id', 'client_id' or 'client_signature' has another length")
        fingerprint = table["key_fingerprint"]
        if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
            raise ValueError("'key_fingerprint' is not 64 hex digits")
        return cls(
            alliance_id,
            DecisionCertificate(epoch, statement, packed(signed["signature"])),
            read_placement(table),
            client_id,
            whole(table, "client_seq", 2**64),
            client_signature,
            packed(table["command"]),
            CommandProof(
                whole(table, "command_count"),
                whole(table, "command_index"),
                packed_hashes(table["command_group"]),
                packed_hashes(table["command_path"]),
            ),
            fingerprint,
            read_votes(table["votes"]) if "votes" in table else (),
        )


def receipts(
    alliance_id: bytes,
    certificate: DecisionCertificate,
    placement: Placement,
    submission: Submission,
    key_fingerprint: str,
) -> list[Receipt]:
    """One for each command of a submission, in order.

    They differ in two fields, and a thousand are made at a time: so without the constructor, which sets the
    fields of a frozen object one by one through a call.
    """
    commands = submission.commands()
    proofs = command_proofs(commands)
    owner = (submission.client_id, submission.client_seq, submission.signature)
    first = Receipt(alliance_id, certificate, placement, *owner, commands[0], proofs[0], key_fingerprint)
    made = []
    for command, proof in zip(commands, proofs, strict=True):
        receipt = object.__new__(Receipt)
        receipt.__dict__.update(first.__dict__, command=command, proof=proof)
        made.append(receipt)
    return made


def require_placed(header: SubmissionHeader, placement: Placement, certificate: DecisionCertificate) -> None:
    """The submission of this header is where the placement says, under the certificate's root.

    Raises InvalidReceipt.
    """
    try:
        root = placement.root(header, certificate.slot)
    except ValueError as error:
        raise InvalidReceipt(f"a Merkle path of the receipt is broken: {error}") from None
    if root != certificate.root:
        raise InvalidReceipt("the command is not in the log that was signed: the receipt was altered")


def _require_format(table: object) -> None:
    said = table.get("format") if isinstance(table, dict) else None
    if said in ("alliance-receipt/1", "alliance-receipt/2"):
        raise InvalidReceipt(
            f"a receipt of the format '{said}', which earlier versions of alliance wrote: this one reads"
            f" '{FORMAT}' alone; check it with the version that wrote it"
        )
    if said != FORMAT:
        raise InvalidReceipt(f"this is no receipt: a receipt is a JSON object with the format '{FORMAT}'")


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
