"""What members sign with their own keys, remembered for them: each one's furthest proposal and furthest vote
of an epoch.

A member whose disk was rolled back does not know what it said last. Its peers do, and tell it
(``incarnation``), also when all lost power together: with each of its own records a peer makes durable what
it has heard so far, in the same transaction. So whoever has voted for a proposal, or acted on a vote with
anything that it had to write down, holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alliance.pb import peer_pb2 as pb
from alliance.storage.journal_records import in_epoch
from alliance.wire.bounds import SIGNATURE_BYTES, Malformed
from quorum import (
    Context,
    GreetingStatement,
    IndividualStatement,
    InvalidStatement,
    ProposeStatement,
    VoteStatement,
    decode_individual,
)


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement, and the Ed25519 signature of the member that made it."""

    statement: IndividualStatement
    signature: bytes

    def encode(self) -> pb.SignedStatement:
        tag, fields = self.statement.TAG, self.statement.fields()
        return pb.SignedStatement(tag=tag, fields=fields, signature=self.signature)

    @classmethod
    def decode(cls, wire: pb.SignedStatement) -> SignedStatement:
        """Nothing about it is verified yet. Raises Malformed."""
        if len(wire.signature) != SIGNATURE_BYTES:
            raise Malformed(f"a signature of {len(wire.signature)} bytes")
        try:
            return cls(decode_individual(wire.tag, wire.fields), wire.signature)
        except InvalidStatement as error:
            raise Malformed(str(error)) from None

    def pack(self) -> bytes:
        """``tag u8 | fields | signature``, for the journal."""
        return bytes([self.statement.TAG]) + self.statement.fields() + self.signature

    @classmethod
    def unpack(cls, packed: bytes) -> SignedStatement:
        """Raises ValueError."""
        tag, fields, signature = packed[:1], packed[1:-SIGNATURE_BYTES], packed[-SIGNATURE_BYTES:]
        return cls(decode_individual(int.from_bytes(tag), fields), signature)

    def verify(self, key: Ed25519PublicKey, context: Context) -> None:
        """Raises Malformed when this key's holder did not sign it."""
        try:
            key.verify(self.signature, self.statement.encode(context))
        except InvalidSignature:
            raise Malformed("a statement that was not signed by its member") from None


def place(statement: IndividualStatement) -> tuple[int, int]:
    """View and slot of a statement. What a correct member signs only goes forward in this order."""
    if isinstance(statement, ProposeStatement | VoteStatement):
        return statement.view, statement.slot
    return (0, 0) if isinstance(statement, GreetingStatement) else (statement.view, 0)


class LatestStatements:
    """Of one epoch; two statements for each of its members, whatever comes: memory stays flat."""

    def __init__(self, member_count: int, epoch: int = 0) -> None:
        self._member_count = member_count
        self._epoch = epoch
        self._latest: dict[str, SignedStatement] = {}
        self._news: dict[str, bytes] = {}

    def recall(self, kept: Callable[[str], bytes | None]) -> None:
        """Goes on from the journal's notes. Raises ValueError when one is no statement."""
        for member in range(self._member_count):
            for kind in _KINDS:
                if (note := kept(key := self._key(kind, member))) is not None:
                    self._latest[key] = SignedStatement.unpack(note)

    def note(self, member: int, statement: IndividualStatement, signature: bytes) -> None:
        """A statement whose signature is verified. Kept if it lies further than all before it."""
        key = self._key("proposal" if isinstance(statement, ProposeStatement) else "vote", member)
        held = self._latest.get(key)
        if held is None or place(statement) > place(held.statement):
            self._latest[key] = signed = SignedStatement(statement, signature)
            self._news[key] = signed.pack()

    def take_news(self) -> dict[str, bytes]:
        """The journal's notes of what was heard since this was last called."""
        news, self._news = self._news, {}
        return news

    def furthest(self, member: int) -> list[SignedStatement]:
        """At most one proposal and one vote, or other statement that is no proposal."""
        keys = [self._key(kind, member) for kind in _KINDS]
        return [self._latest[key] for key in keys if key in self._latest]

    def _key(self, kind: str, member: int) -> str:
        return in_epoch(f"{kind} of member {member + 1}", self._epoch)


_KINDS = ("proposal", "vote")
