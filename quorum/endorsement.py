"""One member's signed response, before and after somebody checked its signature."""

from __future__ import annotations

from dataclasses import dataclass

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
