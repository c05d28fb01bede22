"""A member's part of a signature: its form, its bytes, and what makes it valid.

Layout, numbers big-endian, those modulo N of key_size / 8 bytes each, index u32 if the key's encoding version
is 2 and u16 if it is 1 or 3:

    version u8 | kind u8 | index | x_i | kind 0: nothing
                                       | kind 1, compact proof: c, 16 bytes | z
                                       | kind 2, batchable proof: v' | x' | z
"""

from __future__ import annotations

from dataclasses import dataclass

from shoup_rsa import _arith
from shoup_rsa import proof as proofs
from shoup_rsa.errors import InvalidShare
from shoup_rsa.key_data import KeyData
from shoup_rsa.proof import BatchableProof, Proof
from shoup_rsa.resolve import AnySignatureShare, EncodesShares, ProofForm

PROOF_FORMS: tuple[ProofForm, ...] = ("none", "compact", "batchable")
_INDEX_LENGTHS = {1: 2, 2: 4, 3: 2}
_CHALLENGE_LENGTH = proofs.CHALLENGE_BITS // 8


def share_length(key: KeyData, form: ProofForm) -> int:
    """Bytes of an encoded signature share, the same for every share of a key. ValueError: an unknown form."""
    if form not in PROOF_FORMS:
        raise ValueError(f'the forms of a proof are "none", "compact" and "batchable", not {form!r}')
    return 2 + _INDEX_LENGTHS[key.encoding_version] + body_length(key, PROOF_FORMS.index(form))


def body_length(key: KeyData, kind: int) -> int:
    """Bytes of the numbers of a share: x_i, and those of its proof."""
    return sum(_widths(key, kind))


def _widths(key: KeyData, kind: int) -> tuple[int, ...]:
    width, response = key.signature_length, proofs.response_length(key.share_bits_max)
    return ((width,), (width, _CHALLENGE_LENGTH, response), (width, width, width, response))[kind]


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

    def to_bytes(self, public_key: EncodesShares) -> bytes:
        """The one encoding of this share, as in the head of this module.

        Raises InvalidShare if this is no well-formed share of that key.
        """
        return public_key.share_to_bytes(self)

    @classmethod
    def from_bytes(cls, public_key: KeyData, data: bytes) -> SignatureShare:
        """Decode strictly: exactly one byte string stands for a share. The proof is NOT checked here.

        Raises InvalidShare for another length or version, an index that is not 1..parties, a value that is
        not a canonical unit modulo N, or numbers of the proof that are out of range; TypeError unless data
        is bytes.
        """
        lengths = [share_length(public_key, form) for form in PROOF_FORMS]
        index_length = _INDEX_LENGTHS[public_key.encoding_version]
        kind, index, body = read_head(data, public_key.encoding_version, index_length, lengths)
        share = read_body(public_key, index, kind, body)
        check_form(public_key, share)
        return share


def to_bytes(public_key: KeyData, share: AnySignatureShare) -> bytes:
    """The contract is that of `BasePublicKey.share_to_bytes`."""
    checked = check_form(public_key, share)
    index_length = _INDEX_LENGTHS[public_key.encoding_version]
    head = bytes((public_key.encoding_version, kind_of(checked.proof)))
    return head + checked.index.to_bytes(index_length, "big") + write_body(public_key, checked)


def kind_of(proof: Proof | BatchableProof | None) -> int:
    """The kind in the encoding."""
    return 0 if proof is None else 1 if isinstance(proof, Proof) else 2


def read_head(data: bytes, version: int, index_length: int, lengths: list[int]) -> tuple[int, int, bytes]:
    """(kind, index, what follows) of an encoded share whose kinds have these lengths. Raises InvalidShare."""
    if not isinstance(data, bytes):
        raise TypeError(f"an encoded share must be bytes, not {type(data).__name__}")
    if len(data) not in lengths:
        raise InvalidShare(
            None, f"an encoded share has {', '.join(map(str, lengths))} bytes, not {len(data)}"
        )
    if data[0] != version:
        raise InvalidShare(
            None, f"version {data[0]} of the encoding is unknown; shares of this key have {version}"
        )
    if data[1] >= len(lengths) or len(data) != lengths[data[1]]:
        raise InvalidShare(None, "the kind of the encoding contradicts its length")
    start = 2 + index_length
    return data[1], int.from_bytes(data[2:start], "big"), data[start:]


def write_body(key: KeyData, share: SignatureShare) -> bytes:
    """x_i and the numbers of the proof, of a share whose form was checked."""
    numbers = [share.value]
    if isinstance(share.proof, Proof):
        numbers += [share.proof.challenge, share.proof.response]
    elif share.proof is not None:
        numbers += [share.proof.base_commitment, share.proof.message_commitment, share.proof.response]
    widths = _widths(key, kind_of(share.proof))
    return b"".join(number.to_bytes(width, "big") for number, width in zip(numbers, widths, strict=True))


def read_body(key: KeyData, index: int, kind: int, data: bytes) -> SignatureShare:
    """The opposite, of exactly as many bytes as a share of this kind has. Nothing is checked."""
    numbers = []
    position = 0
    for width in _widths(key, kind):
        numbers.append(int.from_bytes(data[position : position + width], "big"))
        position += width
    proof = {1: Proof, 2: BatchableProof}.get(kind)
    return SignatureShare(index, numbers[0], proof(*numbers[1:]) if proof is not None else None)


def check_kind(share: AnySignatureShare) -> SignatureShare:
    """Raise TypeError unless it is a SignatureShare."""
    if not isinstance(share, SignatureShare):
        raise TypeError(f"expected a SignatureShare, not {type(share).__name__}")
    return share


def check_index(public_key: KeyData, index: int) -> None:
    """Raise InvalidShare unless index is an integer of 1..parties. (At 0 lies the secret itself.)"""
    if type(index) is not int or not 1 <= index <= public_key.parties:
        claimed = index if type(index) is int else None
        raise InvalidShare(
            claimed, f"the index of a share of this key is an integer of 1..{public_key.parties}"
        )


def check_form(public_key: KeyData, given: AnySignatureShare) -> SignatureShare:
    """Everything about a share that needs no exponentiation. Raises InvalidShare, TypeError."""
    share = check_kind(given)
    check_index(public_key, share.index)
    modulus = public_key.modulus
    _check_unit(share.index, "value", share.value, modulus)
    if 2 * share.value > modulus:
        raise InvalidShare(share.index, "the value is not canonical: of x and N - x the smaller is sent")
    proof = share.proof
    if proof is None:
        return share
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
    return share


def _check_unit(index: int, name: str, number: int, modulus: int) -> None:
    if type(number) is not int or not 1 <= number < modulus:
        raise InvalidShare(index, f"the {name} is not in 1..N-1")
    if _arith.gcd(number, modulus) != 1:
        raise InvalidShare(index, f"the {name} has a common factor with the modulus")
