"""A client's signed commands, as everybody stores, sends and hashes them.

Encodings are canonical and big-endian; digests and signatures are made over them, never over protobuf.

Submission::

    client_id[32] | client_seq u64 | count u32 | length u32 x count | commands | signature[64]

``client_id`` is the SHA-256 digest of the client's Ed25519 public key. The signature is over the
SubmissionStatement whose ``body_digest`` is the root of the Merkle tree over the commands: ``command_tree``.

Header, the leaf of a batch's tree, of 136 bytes::

    client_id[32] | client_seq u64 | body_digest[32] | signature[64]

It says all of a submission: ``body_digest`` binds the commands, and with them their number and lengths. So
whoever is shown that one command was ordered need not see the others.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate, pairwise

from quorum import Context, SubmissionStatement
from verifiable_log.command_tree import body_digest
from verifiable_log.limits import (
    COMMAND_BYTES_MAX,
    SUBMISSION_BYTES_MAX,
    SUBMISSION_COMMANDS_MAX,
)

_HEAD = struct.Struct(">32sQI")
_HEADER = struct.Struct(">32sQ32s64s")
SIGNATURE_BYTES = 64


class InvalidSubmission(ValueError):
    """Bytes or commands from which no submission can be made; the text says which limit is broken."""


@dataclass(frozen=True, slots=True)
class SubmissionHeader:
    """What a batch's tree holds of a submission: whose it is, what was signed, and the signature.

    Raises InvalidSubmission for fields of another size.
    """

    client_id: bytes
    client_seq: int
    body_digest: bytes
    signature: bytes

    def __post_init__(self) -> None:
        # ``pack`` fills up what is too short: two headers would have one encoding.
        sizes = (len(self.client_id), len(self.body_digest), len(self.signature))
        if sizes != (32, 32, SIGNATURE_BYTES) or not 0 <= self.client_seq < 2**64:
            raise InvalidSubmission(
                "a submission's header is a client_id and a digest of 32 bytes, a client_seq of 0 to 2^64-1"
                f" and a signature of {SIGNATURE_BYTES} bytes"
            )

    @classmethod
    def decode(cls, encoded: bytes) -> SubmissionHeader:
        """Parses outside bytes. Raises InvalidSubmission."""
        if len(encoded) != _HEADER.size:
            raise InvalidSubmission(f"a submission's header has {_HEADER.size} bytes")
        return cls(*_HEADER.unpack(encoded))

    def encode(self) -> bytes:
        """The leaf."""
        return _HEADER.pack(self.client_id, self.client_seq, self.body_digest, self.signature)


@dataclass(frozen=True, slots=True)
class Submission:
    """A client's signed commands under one sequence number.

    The engine never looks inside: commands are split only where somebody wants them.
    """

    client_id: bytes
    client_seq: int
    body_digest: bytes
    encoded: bytes

    @classmethod
    def decode(cls, encoded: bytes) -> Submission:
        """Parses outside bytes. The form is checked, the signature is not. Raises InvalidSubmission."""
        if not _HEAD.size + 4 + SIGNATURE_BYTES <= len(encoded) <= SUBMISSION_BYTES_MAX:
            raise InvalidSubmission(f"a submission has {SUBMISSION_BYTES_MAX} bytes at most")
        client_id, client_seq, count = _HEAD.unpack_from(encoded)
        if not 1 <= count <= SUBMISSION_COMMANDS_MAX:
            raise InvalidSubmission(f"a submission has 1 to {SUBMISSION_COMMANDS_MAX} commands")
        begin = _HEAD.size + 4 * count
        if begin + SIGNATURE_BYTES > len(encoded):
            raise InvalidSubmission("the submission ends within its list of lengths")
        lengths = struct.unpack_from(f">{count}I", encoded, _HEAD.size)
        if max(lengths) > COMMAND_BYTES_MAX:
            raise InvalidSubmission(f"a command has {COMMAND_BYTES_MAX} bytes at most")
        if begin + sum(lengths) + SIGNATURE_BYTES != len(encoded):
            raise InvalidSubmission("the lengths of the commands do not add up")
        end = begin
        digests = [sha256(encoded[end : (end := end + length)]).digest() for length in lengths]
        return cls(client_id, client_seq, body_digest(digests), encoded)

    def statement(self) -> SubmissionStatement:
        """What the client signs."""
        return SubmissionStatement(self.client_id, self.client_seq, self.body_digest)

    def header(self) -> SubmissionHeader:
        return SubmissionHeader(self.client_id, self.client_seq, self.body_digest, self.signature)

    @property
    def signature(self) -> bytes:
        return self.encoded[-SIGNATURE_BYTES:]

    @property
    def command_count(self) -> int:
        return int.from_bytes(self.encoded[_HEAD.size - 4 : _HEAD.size], "big")

    def commands(self) -> tuple[bytes, ...]:
        """The commands, in the client's order."""
        count = self.command_count
        lengths = struct.unpack_from(f">{count}I", self.encoded, _HEAD.size)
        bounds = accumulate(lengths, initial=_HEAD.size + 4 * count)
        encoded = self.encoded
        return tuple([encoded[begin:end] for begin, end in pairwise(bounds)])


class UnsignedSubmission:
    """A submission that lacks its client's signature: ``statement`` is what to sign, ``sign`` adds it."""

    def __init__(self, client_id: bytes, client_seq: int, commands: Sequence[bytes]) -> None:
        """Raises InvalidSubmission when a limit is broken."""
        if len(client_id) != 32 or not 0 <= client_seq < 2**64:
            raise InvalidSubmission("a client_id has 32 bytes, and a client_seq is 0 to 2^64-1")
        if not 1 <= len(commands) <= SUBMISSION_COMMANDS_MAX:
            raise InvalidSubmission(f"a submission has 1 to {SUBMISSION_COMMANDS_MAX} commands")
        for place, command in enumerate(commands):
            if len(command) > COMMAND_BYTES_MAX:
                raise InvalidSubmission(
                    f"command {place + 1} has {len(command)} bytes; a command has {COMMAND_BYTES_MAX} at"
                    " the most: keep large data elsewhere and propose its digest"
                )
        lengths = struct.pack(f">{len(commands)}I", *map(len, commands))
        self._bytes = _HEAD.pack(client_id, client_seq, len(commands)) + lengths + b"".join(commands)
        self._submission = Submission.decode(self._bytes + bytes(SIGNATURE_BYTES))

    def message(self, context: Context) -> bytes:
        """The bytes to sign."""
        return self._submission.statement().encode(context)

    def sign(self, signature: bytes) -> Submission:
        """Raises InvalidSubmission for a signature of another length."""
        if len(signature) != SIGNATURE_BYTES:
            raise InvalidSubmission(f"a signature has {SIGNATURE_BYTES} bytes")
        return replace(self._submission, encoded=self._bytes + signature)


def submission_bytes(commands: Iterable[bytes]) -> int:
    """The size of the submission that these commands would make."""
    return _HEAD.size + SIGNATURE_BYTES + sum(4 + len(command) for command in commands)
