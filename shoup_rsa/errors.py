"""What can go wrong, one class per thing that a caller may want to treat differently.

No error text ever contains a secret or anything computed from one. Errors survive pickling, because a signer
usually lives in a process of its own.
"""

from __future__ import annotations


class ShoupError(Exception):
    """The common base: everything this package raises about its inputs, save plain `TypeError`."""


class InvalidKey(ShoupError, ValueError):
    """Key parameters, a public key or a key share that break a rule of the scheme."""


class InvalidSignature(ShoupError):
    """The signature does not belong to this message under this key."""


class InvalidRequest(ShoupError, ValueError):
    """A signing request that is malformed, for another key, or for another kind of document."""


class InvalidShare(ShoupError):
    """A signature share that is malformed, or whose proof does not hold.

    `index` is the share's index as it claims it, or None where the bytes do not even give one; `reason` is a
    sentence.
    """

    def __init__(self, index: int | None, reason: str) -> None:
        super().__init__(index, reason)
        self.index = index
        self.reason = reason

    def __str__(self) -> str:
        name = "signature share" if self.index is None else f"signature share {self.index}"
        return f"{name}: {self.reason}"


class InvalidShares(ShoupError):
    """Of several shares, not all are proven good.

    `culprits`: an InvalidShare for each share that is PROVEN bad (malformed, or with a proof that does not
    hold). `unproven`: the indices of shares that carry no proof, about which nothing can be said. Both are
    sorted by index; the shares in neither are proven good.
    """

    def __init__(self, culprits: tuple[InvalidShare, ...], unproven: tuple[int, ...]) -> None:
        super().__init__(culprits, unproven)
        self.culprits = culprits
        self.unproven = unproven

    def __str__(self) -> str:
        parts = [str(culprit) for culprit in self.culprits]
        if self.unproven:
            parts.append(f"without proof: {list(self.unproven)}")
        return "; ".join(parts)


class NotEnoughShares(ShoupError):
    """Fewer distinct shares than the threshold. `needed` and `given` are counts."""

    def __init__(self, needed: int, given: int) -> None:
        super().__init__(needed, given)
        self.needed = needed
        self.given = given

    def __str__(self) -> str:
        return f"{self.needed} shares with distinct indices are needed, {self.given} were given"


class CombineFailed(ShoupError):
    """The shares do not give a valid signature.

    `culprits`: indices whose share is PROVEN bad (malformed, or with a proof that does not hold).
    `unproven`: indices whose share carries no proof, so that nothing can be said about it: ask these for a
    proof and combine again. An index in neither tuple has proven its share good. Both are sorted.
    """

    def __init__(self, culprits: tuple[int, ...], unproven: tuple[int, ...]) -> None:
        super().__init__(culprits, unproven)
        self.culprits = culprits
        self.unproven = unproven

    def __str__(self) -> str:
        if self.unproven:
            advice = "ask the unproven for proofs, leave the culprits out, and combine again"
        elif self.culprits:
            advice = "leave the culprits out and wait for shares of others"
        else:
            advice = "every share is proven good, so the dealing itself is wrong: run check_dealing()"
        return (
            "the shares do not combine into a valid signature "
            f"(proven bad: {list(self.culprits)}, without proof: {list(self.unproven)}); {advice}"
        )


class BadFactor(CombineFailed):
    """A composite key's shares are proven good, and give no signature modulo some factors: REDEAL.

    `factors`: which of the factors, counted from 1. Only their dealers, who know the primes, can bring this
    about. It costs signatures, never secrecy. `culprits` and `unproven` are of the other shares.
    """

    def __init__(
        self, culprits: tuple[int, ...], unproven: tuple[int, ...], factors: tuple[int, ...]
    ) -> None:
        super().__init__(culprits, unproven)
        self.args = (culprits, unproven, factors)
        self.factors = factors

    def __str__(self) -> str:
        return (
            f"a quorum's shares are proven good and do not combine modulo factor {list(self.factors)}: its "
            "dealer has cheated; found a new key, with another dealer for this factor"
        )


class InvalidOpening(ShoupError):
    """What was opened is not what its dealer had committed to."""


class InvalidReceiver(ShoupError):
    """A receiver's key that cannot be used in a redistribution.

    `index` is the receiver's, or None where the key is not yet anybody's; `reason` is a sentence.
    """

    def __init__(self, index: int | None, reason: str) -> None:
        super().__init__(index, reason)
        self.index = index
        self.reason = reason

    def __str__(self) -> str:
        return f"receiver key{'' if self.index is None else f' {self.index}'}: {self.reason}"


class InvalidDealing(ShoupError):
    """A member's dealing in a redistribution that is malformed, or in which something is proven wrong.

    `dealer` is the index of the member that posted it; `reason` is a sentence.
    """

    def __init__(self, dealer: int, reason: str) -> None:
        super().__init__(dealer, reason)
        self.dealer = dealer
        self.reason = reason

    def __str__(self) -> str:
        return f"the dealing of member {self.dealer}: {self.reason}"


class NoNewShare(ShoupError):
    """Valid dealings do not give a new member its share: a dealer knows the factors of the modulus.

    `index` is the new member's; `culprits` are the dealers whose subshare for it is not the one that they
    committed to, ascending, as only this member can see. It is no evidence for others.
    """

    def __init__(self, index: int, culprits: tuple[int, ...]) -> None:
        super().__init__(index, culprits)
        self.index = index
        self.culprits = culprits

    def __str__(self) -> str:
        return (
            f"the dealings do not give new member {self.index} its share (wrong subshares from: "
            f"{list(self.culprits)}); order another attempt, without them or with restart"
        )


class InvalidMessage(ShoupError):
    """A message of a key generation without a dealer that its alleged sender has not signed like this.

    `sender` is who is said to have sent it; `reason` is a sentence. It convicts nobody.
    """

    def __init__(self, sender: int, reason: str) -> None:
        super().__init__(sender, reason)
        self.sender = sender
        self.reason = reason

    def __str__(self) -> str:
        return f"a message said to be from party {self.sender}: {self.reason}"


class InvalidTranscript(ShoupError, ValueError):
    """What is no transcript of a key generation without a dealer, or one that no run can have left behind."""


class InvalidKeyFile(ShoupError):
    """A sealed key share that is truncated, altered, of another format, or for another key."""


class WrongEpoch(InvalidKeyFile):
    """A key share of the same key, but from before or after a redistribution.

    `found` and `expected` are epochs.
    """

    def __init__(self, found: int, expected: int) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        if self.found < self.expected:
            advice = (
                "it went out of use; take the file of the present epoch, or take part in a redistribution"
            )
        else:
            advice = "the public key is out of date: fetch the present one"
        return f"this key share is of epoch {self.found}, the key of epoch {self.expected}: {advice}"


class WrongPassphrase(ShoupError):
    """The sealed key share is intact, but this passphrase does not open it."""
