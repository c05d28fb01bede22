"""What members sign with their own keys, remembered for them: the furthest statement of each.

A member whose disk was rolled back does not know what it said last. Its peers do, and tell it
(``incarnation``).
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alliance.pb import peer_pb2 as pb
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
    """One statement for each member, whatever comes: memory stays flat."""

    def __init__(self, member_count: int) -> None:
        self._places = [(0, 0)] * member_count
        self._latest: list[SignedStatement | None] = [None] * member_count

    def note(self, member: int, statement: IndividualStatement, signature: bytes) -> None:
        """A statement whose signature is verified. Kept if it lies further than all before it."""
        where = place(statement)
        if where > self._places[member]:
            self._places[member] = where
            self._latest[member] = SignedStatement(statement, signature)

    def furthest(self, member: int) -> SignedStatement | None:
        return self._latest[member]
