"""One redistribution: the order, and the frozen set of receivers. All challenges are bound to both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from shoup_rsa.encoding import byte_length
from shoup_rsa.errors import InvalidReceiver
from shoup_rsa.proof import CHALLENGE_BITS
from shoup_rsa.redistribution.handed_on import AnyOrder
from shoup_rsa.redistribution.receivers import BITS_SPARE, ReceiverKey

_DOMAIN = b"shoup-rsa/v1/redistribution/"


@dataclass(frozen=True)
class Redistribution:
    """The order and the receivers, by their new index. A dealing counts against exactly this set.

    absent: indices of new members that have no receiver key, or none that fits: nothing is dealt to them, and
    `receivers` are those of all others. At most t' may be: each of the others has to get its share. Who is
    absent must follow from what everybody knows; who is slow is not.

    spent: the `secret_id`s of receiver keys whose owners' shares of a finished redistribution are out. They
    are refused: their secrets are erased, or should be.

    Receivers post their keys before there is an order, so their moduli need not be of one length: each has
    `order.receiver_bits` or up to BITS_SPARE more. That is safe. What has to hold is that a modulus is four
    times as large as every subshare that passes, so that none comes out as another number: the bounds of the
    responses say so, they follow from the order alone, and a longer modulus leaves only more room. A receiver
    chooses nothing for others by its length: to each modulus belong masks, a table and widths of its own, all
    lengths are in the digest, so a dealing has one encoding as before; and what receivers can make others
    compute is bounded: at 2048 bits to twice the shortest time of a check, and 2.3 times that of a dealing.

    Two receivers may have the same modulus. Who takes another one's, to have that one refused, gets a
    subshare that only the other one can open: every ciphertext has random numbers of its own, its proof is
    bound to its receiver's index, and a liar's share is not the one to be hidden.

    Raises InvalidReceiver, which names the index: another number of receivers than all that are not absent,
    too many absent ones, a modulus that is too short or too long, a key that was used before.
    """

    order: AnyOrder
    receivers: tuple[ReceiverKey, ...]
    spent: frozenset[bytes] = field(default=frozenset(), compare=False, repr=False)
    absent: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len(self.absent) > self.order.corruptions or not self.absent <= set(self._all):
            raise InvalidReceiver(
                None,
                f"of the new members 1..{self.order.parties}, {self.order.corruptions} at most may be absent",
            )
        if type(self.receivers) is not tuple or len(self.receivers) != len(self.indices):
            raise InvalidReceiver(None, f"there must be a tuple of {len(self.indices)}, one a new member")
        for index, receiver in zip(self.indices, self.receivers, strict=True):
            if not isinstance(receiver, ReceiverKey):
                raise InvalidReceiver(index, f"it is a {type(receiver).__name__}")
            bits = self.order.receiver_bits
            if not bits <= receiver.bits <= bits + BITS_SPARE:
                raise InvalidReceiver(
                    index,
                    f"its modulus must have {bits}..{bits + BITS_SPARE} bits, not {receiver.bits}; "
                    "its owner must post another one",
                )
            if receiver.secret_id in self.spent:
                raise InvalidReceiver(
                    index, "it served a redistribution before; its owner must post a new one"
                )

    @property
    def _all(self) -> range:
        return range(1, self.order.parties + 1)

    @cached_property
    def indices(self) -> tuple[int, ...]:
        """Those of `receivers`, ascending."""
        return tuple(index for index in self._all if index not in self.absent)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name the key, the sizes, the attempt, the context and every receiver.

        Of an absent one there are zeros in place of the fingerprint.
        """
        fingerprints = dict(zip(self.indices, (one.fingerprint for one in self.receivers), strict=True))
        listed = b"".join(fingerprints.get(index, bytes(32)) for index in self._all)
        return hashlib.sha256(_DOMAIN + b"set\x00" + self.order.digest + listed).digest()

    def base(self, dealer: int, remainder: int, image: int, commitments: tuple[int, ...]) -> bytes:
        """What all challenges of one dealing begin with: all that its ciphertexts must agree with."""
        return _hash(b"base", self.digest, (dealer, remainder, image, *commitments))


def coefficient_challenge(base: bytes, commitment: int, power: int) -> int:
    """ch_c, for the coefficient of X^power."""
    return _challenge(_hash(b"coefficient", base, (commitment, power)))


def subshare_challenge(
    base: bytes, receiver: int, ciphertext: int, image: int, commitments: tuple[int, int]
) -> int:
    """x_i, for the ciphertext of receiver i; the commitments are to v and to the encryption."""
    return _challenge(_hash(b"subshare", base, (receiver, ciphertext, image, *commitments)))


def _challenge(digest: bytes) -> int:
    return int.from_bytes(digest[: CHALLENGE_BITS // 8], "big")


def _hash(label: bytes, context: bytes, numbers: tuple[int, ...]) -> bytes:
    """SHA-256 of a label, 32 bytes, and numbers >= 0, how many and how long each is in front."""
    digest = hashlib.sha256(_DOMAIN + label + b"\x00" + context + len(numbers).to_bytes(4, "big"))
    for number in numbers:
        length = byte_length(number.bit_length())
        digest.update(length.to_bytes(4, "big") + number.to_bytes(length, "big"))
    return digest.digest()
