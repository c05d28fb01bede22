"""A member's part of a signature under a composite key: a part for every factor, or it is no share.

    version u8 = 4 | kind u8 | index u16 | for each factor: x_i and its proof, as in `shoup_rsa.share`

The kind is that of all parts: 0 without proofs, 1 with compact ones, 2 with batchable ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shoup_rsa import share as single
from shoup_rsa.errors import InvalidShare
from shoup_rsa.key_data import KeyData
from shoup_rsa.proof import BatchableProof, Proof
from shoup_rsa.resolve import AnySignatureShare, EncodesShares, ProofForm
from shoup_rsa.share import PROOF_FORMS, SignatureShare

VERSION = 4
_INDEX_LENGTH = 2


@dataclass(frozen=True, slots=True)
class CompositeSignatureShare:
    """As `SignatureShare`, but `value` is a tuple, with one entry a factor, in order; so is `proof`, or None.

    index: 1..parties, the same for all factors. The class itself checks nothing, like `SignatureShare`.
    """

    index: int
    value: tuple[int, ...]
    proof: tuple[Proof | BatchableProof, ...] | None = None

    @classmethod
    def of(cls, parts: tuple[SignatureShare, ...]) -> CompositeSignatureShare:
        """From one share a factor, all of one index and one form of proof."""
        proofs = tuple(part.proof for part in parts if part.proof is not None)
        return cls(parts[0].index, tuple(part.value for part in parts), proofs or None)

    @property
    def parts(self) -> tuple[SignatureShare, ...]:
        """One share a factor. Each is worth nothing without the others."""
        proofs = self.proof if self.proof is not None else (None,) * len(self.value)
        pairs = zip(self.value, proofs, strict=True)
        return tuple(SignatureShare(self.index, value, proof) for value, proof in pairs)

    def to_bytes(self, public_key: EncodesShares) -> bytes:
        """The one encoding of this share. Raises InvalidShare if it is no well-formed share of that key."""
        return public_key.share_to_bytes(self)

    @classmethod
    def from_bytes(cls, public_key: DecodesShares, data: bytes) -> CompositeSignatureShare:
        """Decode strictly: exactly one byte string stands for a share. The proofs are NOT checked here.

        Raises InvalidShare, as `SignatureShare.from_bytes` does; TypeError unless data is bytes.
        """
        return public_key.share_from_bytes(data)


class DecodesShares(Protocol):
    """A `CompositePublicKey`, as far as its shares must know it."""

    def share_from_bytes(self, data: bytes) -> CompositeSignatureShare:
        """The share that these bytes stand for."""
        ...


def from_bytes(factors: Sequence[KeyData], data: bytes) -> CompositeSignatureShare:
    """The contract is that of `CompositeSignatureShare.from_bytes`."""
    lengths = [encoded_length(factors, form) for form in PROOF_FORMS]
    kind, index, body = single.read_head(data, VERSION, _INDEX_LENGTH, lengths)
    length = len(body) // len(factors)
    parts = (
        single.read_body(factor, index, kind, body[place * length : (place + 1) * length])
        for place, factor in enumerate(factors)
    )
    share = CompositeSignatureShare.of(tuple(parts))
    check_form(factors, share)
    return share


def encoded_length(factors: Sequence[KeyData], form: ProofForm) -> int:
    """Bytes of an encoded share with proofs of this form, one of PROOF_FORMS."""
    bodies = (single.body_length(factor, PROOF_FORMS.index(form)) for factor in factors)
    return 2 + _INDEX_LENGTH + sum(bodies)


def to_bytes(factors: Sequence[KeyData], share: AnySignatureShare) -> bytes:
    """The contract is that of `BasePublicKey.share_to_bytes`."""
    parts = check_form(factors, share).parts
    head = bytes((VERSION, single.kind_of(parts[0].proof))) + share.index.to_bytes(_INDEX_LENGTH, "big")
    pairs = zip(factors, parts, strict=True)
    return head + b"".join(single.write_body(factor, part) for factor, part in pairs)


def check_index(factors: Sequence[KeyData], share: AnySignatureShare) -> CompositeSignatureShare:
    """Raise TypeError unless it is a CompositeSignatureShare, InvalidShare unless its index is 1..parties."""
    if not isinstance(share, CompositeSignatureShare):
        raise TypeError(f"expected a CompositeSignatureShare, not {type(share).__name__}")
    single.check_index(factors[0], share.index)
    return share


def check_form(factors: Sequence[KeyData], share: AnySignatureShare) -> CompositeSignatureShare:
    """Everything about a share that needs no exponentiation. Raises InvalidShare, TypeError."""
    checked = check_index(factors, share)
    count = len(factors)
    if type(checked.value) is not tuple or len(checked.value) != count:
        raise InvalidShare(checked.index, f"it must have {count} values, one for every factor")
    if checked.proof is not None:
        if type(checked.proof) is not tuple or len(checked.proof) != count:
            raise InvalidShare(checked.index, f"it must have {count} proofs or none, one for every factor")
        if len({type(proof) for proof in checked.proof}) != 1:
            raise InvalidShare(checked.index, "its proofs are not all of one form")
    for place, (factor, part) in enumerate(zip(factors, checked.parts, strict=True), start=1):
        try:
            single.check_form(factor, part)
        except InvalidShare as error:
            raise of_factor(place, error) from None
        if checked.proof is not None and part.proof is None:
            raise InvalidShare(checked.index, f"factor {place}: the proof is missing")
    return checked


def of_factor(place: int, error: InvalidShare) -> InvalidShare:
    """The same about the whole share, saying which factor it is about."""
    return InvalidShare(error.index, f"factor {place}: {error.reason}")
