"""A member's part of a signature: its form, its bytes, and what makes it valid.

Layout, numbers big-endian, those modulo N of key_size / 8 bytes each, index u32 if the key's encoding version
is 2 and u16 if it is 1 or 3:

    version u8 | kind u8 | index | x_i | kind 0: nothing
                                       | kind 1, compact proof: c, 16 bytes | z
                                       | kind 2, batchable proof: v' | x' | z
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoup_rsa import _arith
from shoup_rsa import proof as proofs
from shoup_rsa.errors import InvalidShare
from shoup_rsa.key_data import KeyData
from shoup_rsa.proof import BatchableProof, Proof

ProofForm = Literal["none", "compact", "batchable"]
"""Without a proof; with one that is short; or with one that is longer and checked with others at once."""

_KINDS: tuple[ProofForm, ...] = ("none", "compact", "batchable")
_INDEX_LENGTHS = {1: 2, 2: 4, 3: 2}
_CHALLENGE_LENGTH = proofs.CHALLENGE_BITS // 8


def share_length(key: KeyData, form: ProofForm) -> int:
    """Bytes of an encoded signature share, the same for every share of a key. ValueError: an unknown form."""
    if form not in _KINDS:
        raise ValueError(f'the forms of a proof are "none", "compact" and "batchable", not {form!r}')
    length = 2 + _INDEX_LENGTHS[key.encoding_version] + key.signature_length
    if form == "compact":
        length += _CHALLENGE_LENGTH + proofs.response_length(key.share_bits_max)
    elif form == "batchable":
        length += 2 * key.signature_length + proofs.response_length(key.share_bits_max)
    return length


@dataclass(frozen=True, slots=True)
class SignatureShare:
    """A member's part of a signature: x_i in canonical form, and perhaps the proof that it is right.

    `index` is 1..parties. `value` is the smaller one of x_i and N - x_i: both pass the same proof, since it
    speaks about x_i^2, so only one of them is ever accepted. Combination uses x_i^2 too and loses nothing.
    The class itself checks nothing: `from_bytes`, `verify_share` and `combine` do, each against a key.
    """

    index: int
    value: int
    proof: Proof | BatchableProof | None = None

    def to_bytes(self, public_key: KeyData) -> bytes:
        """The one encoding of this share, as in the head of this module.

        Raises InvalidShare if this is no well-formed share of that key.
        """
        check_form(public_key, self)
        width = public_key.signature_length
        kind, fields = 0, [(self.value, width)]
        if isinstance(self.proof, Proof):
            kind = 1
            fields.append((self.proof.challenge, _CHALLENGE_LENGTH))
        elif isinstance(self.proof, BatchableProof):
            kind = 2
            fields += [(self.proof.base_commitment, width), (self.proof.message_commitment, width)]
        if self.proof is not None:
            fields.append((self.proof.response, proofs.response_length(public_key.share_bits_max)))
        version = public_key.encoding_version
        head = bytes((version, kind)) + self.index.to_bytes(_INDEX_LENGTHS[version], "big")
        return head + b"".join(number.to_bytes(length, "big") for number, length in fields)

    @classmethod
    def from_bytes(cls, public_key: KeyData, data: bytes) -> SignatureShare:
        """Decode strictly: exactly one byte string stands for a share. The proof is NOT checked here.

        Raises InvalidShare for another length or version, an index that is not 1..parties, a value that is
        not a canonical unit modulo N, or numbers of the proof that are out of range; TypeError unless data
        is bytes.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"an encoded share must be bytes, not {type(data).__name__}")
        lengths = [share_length(public_key, form) for form in _KINDS]
        if len(data) not in lengths:
            raise InvalidShare(
                None, f"an encoded share has {', '.join(map(str, lengths))} bytes, not {len(data)}"
            )
        version = public_key.encoding_version
        if data[0] != version:
            raise InvalidShare(
                None, f"version {data[0]} of the encoding is unknown; shares of this key have {version}"
            )
        if data[1] >= len(_KINDS) or len(data) != lengths[data[1]]:
            raise InvalidShare(None, "the kind of the encoding contradicts its length")
        start = 2 + _INDEX_LENGTHS[version]
        width = public_key.signature_length
        cuts = {0: (), 1: (_CHALLENGE_LENGTH,), 2: (width, width)}[data[1]]
        numbers = []
        position = start
        for length in (width, *cuts, len(data)):
            numbers.append(int.from_bytes(data[position : position + length], "big"))
            position += length
        proof = {1: Proof, 2: BatchableProof}.get(data[1])
        index = int.from_bytes(data[2:start], "big")
        share = cls(index, numbers[0], proof(*numbers[1:]) if proof is not None else None)
        check_form(public_key, share)
        return share


def check_index(public_key: KeyData, index: int) -> None:
    """Raise InvalidShare unless index is an integer of 1..parties. (At 0 lies the secret itself.)"""
    if type(index) is not int or not 1 <= index <= public_key.parties:
        claimed = index if type(index) is int else None
        raise InvalidShare(
            claimed, f"the index of a share of this key is an integer of 1..{public_key.parties}"
        )


def check_form(public_key: KeyData, share: SignatureShare) -> None:
    """Everything about a share that needs no exponentiation. Raises InvalidShare, TypeError."""
    if not isinstance(share, SignatureShare):
        raise TypeError(f"expected a SignatureShare, not {type(share).__name__}")
    check_index(public_key, share.index)
    modulus = public_key.modulus
    _check_unit(share.index, "value", share.value, modulus)
    if 2 * share.value > modulus:
        raise InvalidShare(share.index, "the value is not canonical: of x and N - x the smaller is sent")
    proof = share.proof
    if proof is None:
        return
    if not isinstance(proof, Proof | BatchableProof):
        raise InvalidShare(share.index, "the proof is of no known form")
    bound = proofs.response_bound(public_key.share_bits_max)
    if type(proof.response) is not int or not 0 <= proof.response < bound:
        raise InvalidShare(share.index, "the proof's response is out of range")
    if isinstance(proof, BatchableProof):
        _check_unit(share.index, "proof's commitment to v", proof.base_commitment, modulus)
        _check_unit(share.index, "proof's commitment to the message", proof.message_commitment, modulus)
    elif type(proof.challenge) is not int or not 0 <= proof.challenge < 1 << proofs.CHALLENGE_BITS:
        raise InvalidShare(
            share.index, f"the proof's challenge is not a number of {proofs.CHALLENGE_BITS} bits"
        )


def _check_unit(index: int, name: str, number: int, modulus: int) -> None:
    if type(number) is not int or not 1 <= number < modulus:
        raise InvalidShare(index, f"the {name} is not in 1..N-1")
    if _arith.gcd(number, modulus) != 1:
        raise InvalidShare(index, f"the {name} has a common factor with the modulus")
