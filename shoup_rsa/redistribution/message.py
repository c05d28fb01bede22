"""A member's dealing: its numbers, and their one encoding.

    "shoup-rsa/share-dealing" 00 | version u8 = 1 | digest of the redistribution 32 | dealer u16 | rem | Q |
    c_1 .. c_(k'-1) | A | z | for each receiver: ct | x 16 | z | za

All numbers are big-endian and of fixed lengths, which follow from the redistribution; so do the counts. The
lengths of ct and za follow each receiver's modulus.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from shoup_rsa import _arith
from shoup_rsa.encoding import byte_length
from shoup_rsa.errors import InvalidDealing
from shoup_rsa.proof import CHALLENGE_BITS
from shoup_rsa.redistribution.order import RESPONSE_BITS
from shoup_rsa.redistribution.paillier import randomizer_bits
from shoup_rsa.redistribution.receivers import ReceiverKey
from shoup_rsa.redistribution.transcript import Redistribution

_MAGIC = b"shoup-rsa/share-dealing\x00"
_HEAD = struct.Struct(">B32sH")


@dataclass(frozen=True, slots=True)
class SealedSubshare:
    """F_j(i) for receiver i, encrypted, with the proof that it is the one behind the commitments.

    ciphertext: ct, a unit modulo n^2. challenge: x of 128 bits. response: z = w' + x F_j(i);
    randomizer_response: za = w'' + x alpha.
    """

    ciphertext: int
    challenge: int
    response: int
    randomizer_response: int


@dataclass(frozen=True, slots=True)
class ShareDealing:
    """What member `dealer` posts: a polynomial F_j, hidden, for all receivers at once.

    remainder, image: rem and Q = v^q, where q * divisor + rem is its share times the order's multiplier.
    commitments: c_1 .. c_(k'-1) to the coefficients. mask_commitment, response: (A, z), the proof of them.
    subshares: one a receiver, by index. The class checks nothing: `verify_dealing` does.
    """

    dealer: int
    remainder: int = field(repr=False)  # numbers of thousands of digits, which would flood any log
    image: int = field(repr=False)
    commitments: tuple[int, ...] = field(repr=False)
    mask_commitment: int = field(repr=False)
    response: int = field(repr=False)
    subshares: tuple[SealedSubshare, ...] = field(repr=False)

    def to_bytes(self, redistribution: Redistribution) -> bytes:
        """The one encoding of this dealing. Raises InvalidDealing if it is none of that redistribution's."""
        check_form(redistribution, self)
        head = _MAGIC + _HEAD.pack(1, redistribution.digest, self.dealer)
        numbers = [self.remainder, self.image, *self.commitments, self.mask_commitment, self.response]
        for subshare in self.subshares:
            numbers += (subshare.ciphertext, subshare.challenge)
            numbers += (subshare.response, subshare.randomizer_response)
        widths = _widths(redistribution)
        return head + b"".join(n.to_bytes(w, "big") for n, w in zip(numbers, widths, strict=True))

    @classmethod
    def from_bytes(cls, redistribution: Redistribution, dealer: int, data: bytes) -> ShareDealing:
        """Decode what member `dealer` posted, strictly, without any exponentiation; proofs are NOT checked.

        Raises InvalidDealing: another length or version, another redistribution or attempt, another member's
        index, numbers out of range; TypeError unless data is bytes.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"an encoded dealing must be bytes, not {type(data).__name__}")
        length = dealing_length(redistribution)
        if len(data) != length:
            raise InvalidDealing(dealer, f"a dealing has {length} bytes, not {len(data)}")
        if not data.startswith(_MAGIC):
            raise InvalidDealing(dealer, "this is not an encoded dealing")
        version, digest, stated = _HEAD.unpack_from(data, len(_MAGIC))
        if version != 1:
            raise InvalidDealing(dealer, f"version {version} of the encoding is unknown; this code reads 1")
        if digest != redistribution.digest:
            raise InvalidDealing(dealer, "it is of another redistribution: another key, attempt or receivers")
        if stated != dealer:
            raise InvalidDealing(dealer, f"it states that it is the dealing of member {stated}")
        numbers = []
        position = len(_MAGIC) + _HEAD.size
        for width in _widths(redistribution):
            numbers.append(int.from_bytes(data[position : position + width], "big"))
            position += width
        count = redistribution.order.threshold - 1
        rest = numbers[4 + count :]
        dealing = cls(
            dealer,
            numbers[0],
            numbers[1],
            tuple(numbers[2 : 2 + count]),
            numbers[2 + count],
            numbers[3 + count],
            tuple(SealedSubshare(*rest[at : at + 4]) for at in range(0, len(rest), 4)),
        )
        check_form(redistribution, dealing)
        return dealing


def dealing_length(redistribution: Redistribution) -> int:
    """Bytes of every dealing of this redistribution, known before one arrives: 9 KB at (6, 5), 2048 bits."""
    return len(_MAGIC) + _HEAD.size + sum(_widths(redistribution))


def randomizer_response_bits(receiver: ReceiverKey) -> int:
    """za, to that receiver, is below 2 to this power."""
    return randomizer_bits(receiver.bits) + RESPONSE_BITS


def check_form(redistribution: Redistribution, dealing: ShareDealing) -> None:
    """All that needs no exponentiation. Raises InvalidDealing."""
    order = redistribution.order
    dealer = dealing.dealer
    if type(dealer) is not int or not 1 <= dealer <= order.key.parties:
        raise InvalidDealing(dealer, f"dealers are the present members 1..{order.key.parties}")
    if len(dealing.commitments) != order.threshold - 1:
        raise InvalidDealing(dealer, f"there must be {order.threshold - 1} commitments to coefficients")
    count = len(redistribution.receivers)
    if len(dealing.subshares) != count:
        raise InvalidDealing(dealer, f"there must be {count} subshares, one a receiver")
    _check_range(dealer, "remainder", dealing.remainder, order.divisor)
    _check_range(dealer, "response", dealing.response, order.form.mask_bound << RESPONSE_BITS)
    modulus = order.key.modulus
    for number in (dealing.image, dealing.mask_commitment, *dealing.commitments):
        _check_unit(dealer, "a commitment", number, modulus, modulus)
    triples = zip(redistribution.indices, redistribution.receivers, dealing.subshares, strict=True)
    for index, receiver, subshare in triples:
        name = f"the ciphertext for receiver {index}"
        _check_unit(dealer, name, subshare.ciphertext, receiver.modulus, receiver.modulus**2)
        _check_range(dealer, f"challenge {index}", subshare.challenge, 1 << CHALLENGE_BITS)
        bits = order.subshare_bits + RESPONSE_BITS
        _check_range(dealer, f"response {index}", subshare.response, 1 << bits)
        bits = randomizer_response_bits(receiver)
        _check_range(dealer, f"randomizer's response {index}", subshare.randomizer_response, 1 << bits)


def _widths(redistribution: Redistribution) -> list[int]:
    """The lengths in bytes of a dealing's numbers, in their order."""
    order = redistribution.order
    width = order.key.signature_length
    widths = [byte_length((order.divisor - 1).bit_length()), width]
    widths += [width] * order.threshold
    widths.append(byte_length(order.form.mask_bound.bit_length() + RESPONSE_BITS))
    for receiver in redistribution.receivers:
        widths += (receiver.bits // 4, CHALLENGE_BITS // 8)
        widths.append(byte_length(order.subshare_bits + RESPONSE_BITS))
        widths.append(byte_length(randomizer_response_bits(receiver)))
    return widths


def _check_range(dealer: int, name: str, number: int, bound: int) -> None:
    if type(number) is not int or not 0 <= number < bound:
        raise InvalidDealing(dealer, f"the {name} is out of range")


def _check_unit(dealer: int, name: str, number: int, modulus: int, bound: int) -> None:
    if type(number) is not int or not 1 <= number < bound:
        raise InvalidDealing(dealer, f"{name} is out of range")
    if _arith.gcd(number, modulus) != 1:
        raise InvalidDealing(dealer, f"{name} has a common factor with its modulus")
