"""How the endorsements of a quorum become one certificate, whatever the cryptography."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from quorum.endorsement import Endorsement, VerifiedEndorsement
from quorum.statement import Context


class InvalidCertificate(Exception):
    """A certificate does not prove its statement; the text says what was expected."""


class InvalidEndorsement(Exception):
    """An endorsement that its member could not have made honestly, or that proves nothing yet."""

    def __init__(self, member: int, reason: str) -> None:
        super().__init__(f"member {member}: {reason}")
        self.member = member
        self.reason = reason


class CombineFailed(Exception):
    """The endorsements do not combine.

    ``culprits`` are the members *proven* to have sent a bad signature; ``unproven`` those whose
    endorsement carries no proof, so that nothing can be said of them yet: ask them for one. ``wrong_key`` is
    a line for people when proven endorsements of a whole quorum do not combine: then whoever made the key is
    to blame, and no member. Otherwise it is empty.
    """

    def __init__(self, culprits: tuple[int, ...], unproven: tuple[int, ...], wrong_key: str = "") -> None:
        super().__init__(f"proven bad: {list(culprits)}, without a proof: {list(unproven)}")
        self.culprits = culprits
        self.unproven = unproven
        self.wrong_key = wrong_key


class Scheme(Protocol):
    """A quorum's way to speak with one voice."""

    @property
    def context(self) -> Context:
        """The alliance and epoch whose statements this scheme signs."""
        ...

    @property
    def last_slot(self) -> int | None:
        """No statement on a later slot is signed by it: another key has taken its place. None: any is."""
        ...

    @property
    def threshold(self) -> int:
        """How many members' endorsements make a certificate."""
        ...

    def combine(self, endorsements: Sequence[Endorsement]) -> bytes:
        """The signature of a certificate, checked. All endorsements are on the same statement.

        Raises CombineFailed, or ValueError when there are fewer than ``threshold`` members or the
        statements differ.
        """
        ...

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises InvalidCertificate unless a quorum signed these bytes."""
        ...

    def verify_endorsement(self, endorsement: Endorsement) -> VerifiedEndorsement:
        """Checks one member's signature; raises InvalidEndorsement."""
        ...


class Endorser(Protocol):
    """One member's power to endorse; holds the secret."""

    def endorse(self, message: bytes, *, proven: bool) -> bytes:
        """This member's signature on the bytes of a statement; ``proven`` adds a proof of correctness.

        Raises InvalidStatement for bytes that this key cannot sign.
        """
        ...


def one_statement(endorsements: Sequence[Endorsement], threshold: int) -> dict[int, Endorsement]:
    """One endorsement per member, all on one statement, at least ``threshold``; raises ValueError."""
    by_member = {endorsement.member: endorsement for endorsement in endorsements}
    if len(by_member) < threshold:
        raise ValueError(f"{threshold} members are needed, {len(by_member)} endorsed")
    if any(e.statement != endorsements[0].statement for e in endorsements):
        raise ValueError("endorsements of different statements cannot be combined")
    return by_member
