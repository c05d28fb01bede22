"""One member's secrets of all factors, which act as one: all of them make a signature share, or none does."""

from __future__ import annotations

from shoup_rsa.composite.key import CompositePublicKey, PublicKey
from shoup_rsa.composite.signature_share import CompositeSignatureShare
from shoup_rsa.errors import InvalidKey
from shoup_rsa.hidden import HiddenKeyShare
from shoup_rsa.key_share import KeyShare
from shoup_rsa.resolve import ProofForm
from shoup_rsa.scheme import Scheme


class CompositeKeyShare(HiddenKeyShare):
    """A key share of every factor, bound for life to its index and its composite key.

    It does all that a `KeyShare` does, and hides its secrets as well. Each factor has its own random numbers:
    for blinding, and for proofs. The key shares that it was made of should not be used, nor kept, alone: what
    a factor signs alone nobody has agreed to, and a member's share is all of them or lost.
    """

    __slots__ = ("_public_key", "_shares")

    _public_key: CompositePublicKey
    _shares: tuple[KeyShare, ...]

    def __init__(self, public_key: CompositePublicKey, shares: tuple[KeyShare, ...]) -> None:
        """shares: one of each factor, in the key's order. Raises InvalidKey unless all are of one index."""
        if type(shares) is not tuple or len(shares) != len(public_key.factors):
            raise InvalidKey(
                f"a share of this key is a tuple of {len(public_key.factors)} key shares, one a factor"
            )
        for place, (factor, share) in enumerate(zip(public_key.factors, shares, strict=True), start=1):
            if not isinstance(share, KeyShare) or share.public_key != factor:
                raise InvalidKey(f"factor {place}: the key share is of another key")
            if share.index != shares[0].index:
                raise InvalidKey(
                    f"factor {place}: the key share is member {share.index}'s, the first is member "
                    f"{shares[0].index}'s"
                )
        object.__setattr__(self, "_public_key", public_key)
        object.__setattr__(self, "_shares", shares)

    @property
    def index(self) -> int:
        """The member's index, 1..parties."""
        return self._shares[0].index

    @property
    def public_key(self) -> CompositePublicKey:
        """The key that this share is a share of."""
        return self._public_key

    @property
    def factor_shares(self) -> tuple[KeyShare, ...]:
        """The shares of all factors, to be handed on. Not to sign with: see above."""
        return self._shares

    def sign_share(
        self, message: bytes, scheme: Scheme = Scheme.PKCS1V15_SHA256, *, proof: ProofForm = "none"
    ) -> CompositeSignatureShare:
        """This member's part of the signature of `message`, as by `KeyShare.sign_share`, for every factor.

        As many times one factor's exponentiations as there are factors: for two of 2048 bits about a third of
        those for one modulus of 4096.
        """
        key = self._public_key
        key.share_length(proof)  # refuses an unknown form
        message_parts = key.represent(message, scheme).parts
        pairs = zip(self._shares, message_parts, strict=True)
        return CompositeSignatureShare.of(tuple(share.sign(part, proof) for share, part in pairs))

    def precompute(self, proofs_ahead: int) -> None:
        """Prepare for that many proofs, for every factor; see `KeyShare.precompute` for when not to."""
        for share in self._shares:
            share.precompute(proofs_ahead)

    def check(self) -> None:
        """Raise InvalidKey, which names the factor, unless every factor's share is the one it promises."""
        for place, share in enumerate(self._shares, start=1):
            try:
                share.check()
            except InvalidKey as error:
                raise InvalidKey(f"factor {place}: {error}") from None

    def secret_to_bytes(self) -> bytes:
        """What `seal_key_share` encrypts: every factor's secret, in order."""
        return b"".join(share.secret_to_bytes() for share in self._shares)

    @classmethod
    def from_secret_bytes(
        cls, public_key: CompositePublicKey, index: int, secret: bytes
    ) -> CompositeKeyShare:
        """The opposite. Raises InvalidKey; a wrong secret is for `check` to find."""
        length = public_key.factors[0].secret_length
        parts = (secret[at : at + length] for at in range(0, len(secret), length))
        pairs = zip(public_key.factors, parts, strict=True)
        shares = (KeyShare.from_secret_bytes(factor, index, part) for factor, part in pairs)
        return cls(public_key, tuple(shares))

    def __repr__(self) -> str:
        return (
            f"CompositeKeyShare(index={self.index}, key_id={self._public_key.key_id.hex()[:16]}, "
            "secret=<hidden>)"
        )


AnyKeyShare = KeyShare | CompositeKeyShare
"""A member's secret of either kind."""


def key_share_from_secret(public_key: PublicKey, index: int, secret: bytes) -> AnyKeyShare:
    """What `secret_to_bytes` gave, `public_key.secret_length` bytes. Raises InvalidKey."""
    if isinstance(public_key, CompositePublicKey):
        return CompositeKeyShare.from_secret_bytes(public_key, index, secret)
    return KeyShare.from_secret_bytes(public_key, index, secret)


def key_share_of(public_key: PublicKey, shares: tuple[KeyShare, ...]) -> AnyKeyShare:
    """A member's share, from its shares of all factors: of a key of one dealer, the only one."""
    if isinstance(public_key, CompositePublicKey):
        return CompositeKeyShare(public_key, shares)
    (share,) = shares
    return share
