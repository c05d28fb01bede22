"""What each of those who recover an alliance hands to the others, one file each. All of it is public.

    NAME.approval      an operator's signature on the act
    NAME.dealing       what the holder of a member's shares deals to the new members, with the act and the
                       approvals by which it does
    NAME.share         its share of the signature on the next membership

JSON, with one spelling. None of them is believed before ``ceremony`` has checked it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from alliance.founding.public_text import name_of, read_json, read_text, require_unedited
from alliance.proofs.jsonform import base64, items, octets, packed
from consensus.control.recovery import RecoveryAct, RecoveryApproval
from consensus.control.rows import SIGNATURE_BYTES
from quorum import InvalidStatement, MembershipStatement
from quorum.statement import decode_joint

FILE_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Part(ABC):
    """A file of the ceremony: ``table`` and ``from_table`` are inverse."""

    FORMAT: ClassVar[str]
    SUFFIX: ClassVar[str]
    WHAT: ClassVar[str]

    @abstractmethod
    def table(self) -> dict[str, Any]: ...

    @classmethod
    @abstractmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self: ...

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps({"format": self.FORMAT} | self.table(), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """``where`` is the file, which errors begin with. Raises ConfigError."""
        found = read_json(text, where, cls.WHAT, cls.FORMAT, FILE_BYTES_MAX, cls.from_table)
        require_unedited(found.to_json(), text, where, "it was made", "ask for it anew")
        return found

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ConfigError with the file's name."""
        return cls.from_json(read_text(path, FILE_BYTES_MAX, f"a file of {cls.WHAT}"), str(path))


@dataclass(frozen=True, slots=True)
class Approval(_Part):
    """``act`` is the digest of the act."""

    FORMAT: ClassVar[str] = "alliance-recovery-approval/1"
    SUFFIX: ClassVar[str] = ".approval"
    WHAT: ClassVar[str] = "approval of a recovery"
    act: bytes
    approval: RecoveryApproval

    def table(self) -> dict[str, Any]:
        return {"act": self.act.hex(), **_approval(self.approval)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Approval:
        return cls(octets(table["act"]), _read_approval(table))


@dataclass(frozen=True, slots=True)
class Dealing(_Part):
    """``member`` is whose shares are dealt, ``dealing`` as a Deal in the log has it."""

    FORMAT: ClassVar[str] = "alliance-recovery-dealing/1"
    SUFFIX: ClassVar[str] = ".dealing"
    WHAT: ClassVar[str] = "dealing of a recovery"
    act: RecoveryAct
    approvals: tuple[RecoveryApproval, ...]
    member: str
    dealing: bytes = field(repr=False)

    def table(self) -> dict[str, Any]:
        approvals = [_approval(one) for one in self.approvals]
        head = {"act": base64(self.act.encode()), "approvals": approvals}
        return head | {"member": self.member, "dealing": base64(self.dealing)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Dealing:
        approvals = tuple(map(_read_approval, items(table, "approvals")))
        act = RecoveryAct.decode(packed(table["act"]))
        return cls(act, approvals, name_of(table["member"]), packed(table["dealing"]))


@dataclass(frozen=True, slots=True)
class Share(_Part):
    """``share`` is that of ``member``, with its proof, on ``statement``."""

    FORMAT: ClassVar[str] = "alliance-recovery-share/1"
    SUFFIX: ClassVar[str] = ".share"
    WHAT: ClassVar[str] = "share of a recovery"
    act: bytes
    member: str
    statement: MembershipStatement
    share: bytes = field(repr=False)

    def table(self) -> dict[str, Any]:
        said = {"statement": self.statement.fields().hex(), "share": base64(self.share)}
        return {"act": self.act.hex(), "member": self.member} | said

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Share:
        try:
            statement = decode_joint(MembershipStatement.TAG, octets(table["statement"]))
        except InvalidStatement as error:
            raise ValueError(str(error)) from None
        if not isinstance(statement, MembershipStatement):
            raise ValueError("it is no share of a membership")
        return cls(octets(table["act"]), name_of(table["member"]), statement, packed(table["share"]))


def _approval(one: RecoveryApproval) -> dict[str, Any]:
    return {"organisation": one.organisation, "signature": one.signature.hex()}


def _read_approval(table: Mapping[str, Any]) -> RecoveryApproval:
    signature = octets(table["signature"])
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError(f"a signature has {SIGNATURE_BYTES} bytes")
    return RecoveryApproval(name_of(table["organisation"]), signature)
