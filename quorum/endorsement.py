"""One member's signed response, before and after somebody checked its signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quorum.statement import JointStatement


@dataclass(frozen=True, slots=True)
class Endorsement:
    """What a member claims to have signed. The signature is unverified: counting it is a guess.

    ``member`` counts from 0 and comes from the authenticated channel, never from a message.
    """

    statement: JointStatement
    member: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class VerifiedEndorsement:
    """An endorsement whose signature a scheme has checked (``Scheme.verify_endorsement``)."""

    endorsement: Endorsement


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two different words of one member where only one is allowed: the member is faulty.

    It convinces third parties only when both words carry signatures of the member's own key.
    """

    member: int
    first: Any
    second: Any
