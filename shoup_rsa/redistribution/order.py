"""What a redistribution is about: which key goes to how many members, and all sizes that follow from it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from shoup_rsa import _arith
from shoup_rsa.errors import InvalidKey
from shoup_rsa.integer_form import HIDING_BITS, SLACK_BITS, IntegerForm, largest_coefficients
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.lagrange import lagrange_at_zero
from shoup_rsa.proof import CHALLENGE_BITS
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.sizes import EPOCH_MAX, KEY_SIZES, PUBLIC_EXPONENT, check_integer_form, check_sizes, delta

CONTEXT_LENGTH_MAX = 1024
ATTEMPT_MAX = 2**64 - 1

MASK_BITS = CHALLENGE_BITS + HIDING_BITS + 8
"""What a proof's mask is longer than a secret it hides; the byte is for the up to 63 secrets of one mask."""

RESPONSE_BITS = MASK_BITS + 1
"""What a proof's response may be longer; so a cheating dealer's numbers are up to 2^265 times too large."""

_RECEIVER_BITS_STEP = 256
_DOMAIN = b"shoup-rsa/v1/redistribution/order\x00"
_LAYOUT = struct.Struct(">32sHHHHQ?H")


@dataclass(frozen=True)
class Order:
    """The order to hand `key` on, which all members must have agreed on before anybody deals.

    key: the present key, in any form. Its shares are handed on; N, e, v and u stay.
    parties, threshold, corruptions: n', k' and t' of the key to come, t' < k' <= n' - t'.
    index_bound: M', at least n' and at least the present M (in Protocols 1 and 2 the present n); 64 at most.
    attempt: 0..2^64 - 1, another one for each attempt from the same key.
    context: what else the messages shall be bound to (the name of the alliance, say); at most 1024 bytes.
    restart: hand on a key of the integer form as if a dealer had just dealt it. Its shares become some
    hundred bits longer for ever, so this is for one case only: when somebody who knows the factors of N has
    spoilt the shares, and no set of dealings fits together. Keys of Protocols 1 and 2 always go this way.

    Raises InvalidKey when a size is wrong, shrinks the index bound, or leaves the format's limits.
    """

    key: ThresholdPublicKey
    parties: int
    threshold: int
    corruptions: int
    index_bound: int
    attempt: int
    context: bytes
    restart: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.key, BasePublicKey) and len(self.key.factors) > 1:
            raise InvalidKey(
                "not a key of one dealer: shoup_rsa.composite.redistribution hands such a key on"
            )
        if self.key.epoch >= EPOCH_MAX:
            raise InvalidKey("the key is in its last epoch: deal a new one")
        check_sizes(3, self.parties, self.threshold, self.corruptions, self.key.epoch + 1)
        if type(self.index_bound) is not int or self.index_bound < self._bound_before:
            raise InvalidKey(
                f"index_bound = {self.index_bound}: it must not shrink under one modulus, and was "
                f"{self._bound_before}"
            )
        check_integer_form(3, self.parties, self.key.key_size, self.index_bound, self.key.key_size)
        if type(self.restart) is not bool or (self.restart and self.key.form is None):
            raise InvalidKey("restart is a flag, and for keys of the integer form only")
        if type(self.attempt) is not int or not 0 <= self.attempt <= ATTEMPT_MAX:
            raise InvalidKey(f"attempt = {self.attempt}: must be in 0..2^64 - 1")
        if type(self.context) is not bytes or len(self.context) > CONTEXT_LENGTH_MAX:
            raise InvalidKey(f"the context is at most {CONTEXT_LENGTH_MAX} bytes")
        check_integer_form(3, self.parties, self.key.key_size, self.index_bound, self.form.secret_bits)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name this order, its key and its context."""
        fields = _LAYOUT.pack(
            self.key.key_id,
            self.parties,
            self.threshold,
            self.corruptions,
            self.index_bound,
            self.attempt,
            self.restart,
            len(self.context),
        )
        return hashlib.sha256(_DOMAIN + fields + self.context).digest()

    @cached_property
    def form(self) -> IntegerForm:
        """The sizes of the key to come."""
        bits = self.key.secret_bits
        if self.starts_anew:
            # |d~| = |alpha sum lambda_j s_j + beta|
            largest = self.key.threshold * largest_coefficients(self._bound_before)[self.key.threshold - 1]
            bits = ((largest * self._factor << self.key.share_bits_max) + abs(self._addend)).bit_length()
        return IntegerForm(self.index_bound, self.threshold, bits)

    @property
    def epoch(self) -> int:
        """Of the key to come."""
        return self.key.epoch + 1

    @property
    def origin(self) -> str:
        """Of the key to come: the present one's."""
        return self.key.origin

    @cached_property
    def nonresidue(self) -> int:
        """u of the key to come: the present one, or after Protocol 1 the least with Jacobi symbol -1."""
        least = (number for number in count(2) if _arith.jacobi(number, self.key.modulus) == -1)
        return self.key.nonresidue or next(least)

    @property
    def starts_anew(self) -> bool:
        """Whether d~ is chosen here: for keys of Protocols 1 and 2, and at a restart."""
        return self.restart or self.key.form is None

    @cached_property
    def multiplier(self) -> int:
        """What a dealer's share is multiplied by before it is divided: g^2 with g = D' / D, or D'^2 alpha."""
        if self.starts_anew:
            return self.form.delta**2 * self._factor
        return (self.form.delta // delta(self._bound_before)) ** 2

    @property
    def divisor(self) -> int:
        """What it is then divided by: 2 D^2, so that remainders are public; or 1, and there are none."""
        form = self.key.form
        return 1 if self.starts_anew or form is None else form.divisor

    @property
    def constant(self) -> int:
        """What is added to the sum of the dealt numbers: 0, or D'^2 beta."""
        return self.form.delta**2 * self._addend if self.starts_anew else 0

    def coefficients(self, dealers: Sequence[int]) -> tuple[int, ...]:
        """lambda_j = D prod i / (i - j) over these dealers; D belongs to the present key."""
        least, scaled = lagrange_at_zero(tuple(dealers))
        whole = delta(self._bound_before) // least
        return tuple(whole * coefficient for coefficient in scaled)

    @cached_property
    def subshare_bits(self) -> int:
        """Every |F_j(i)| of an honest dealer is below 2 to this power, however long its share was made."""
        return (self._constant_bound + self.form.mask_sum).bit_length()

    @cached_property
    def receiver_bits(self) -> int:
        """The least length of the receivers' moduli: four times any |F_j(i)| that passes, and more."""
        return receiver_bits(self._constant_bound, self.form)

    @property
    def _bound_before(self) -> int:
        return self.key.parties if self.key.form is None else self.key.index_bound

    @property
    def _constant_bound(self) -> int:
        """Of |F_j(0)| = 2 D' |q_j|."""
        return dealt_bound(self.multiplier << self.key.share_bits_max, self.divisor, self.form)

    @cached_property
    def _scale(self) -> int:
        """sum lambda_j s_j = this times d, modulo m."""
        if self.key.form is not None:
            return self.key.form.delta * self.key.form.content
        return 1 if self.key.protocol == 2 else delta(self.key.parties)

    @cached_property
    def _factor(self) -> int:
        """alpha > 0 of alpha scale + beta e = 1, so that alpha (scale d) + beta = d modulo m."""
        return _arith.inverse(self._scale, self.key.public_exponent)

    @property
    def _addend(self) -> int:
        return (1 - self._factor * self._scale) // self.key.public_exponent


def receiver_bits_ahead(key_size: int, index_bound: int, secret_bits: int = 0) -> int:
    """A length of receiver keys for every order of such a key with M' <= `index_bound`, if it is no restart.

    For those who post their next key before anybody knows the next order. At 2048 bits: 2560 for up to 7
    members, 2816 for 16, 3328 for 31; of a composite key it is the size of one factor that counts.
    secret_bits: the present key's, which a restart has made longer once and for all; 0 for a key of Protocol
    1 or 2. A restart itself may ask for more, and tells so to whose key is too short. Raises InvalidKey when
    a number is out of range.
    """
    check_integer_form(3, 1, key_size, index_bound, key_size if secret_bits == 0 else secret_bits)
    if key_size not in KEY_SIZES:
        raise InvalidKey(f"a key size of {key_size} bits is not supported")
    # The longest subshares are those of a refresh with the largest sizes, after a conversion from Protocol 1.
    largest = index_bound * max(largest_coefficients(index_bound))
    converted = key_size + largest.bit_length() + PUBLIC_EXPONENT.bit_length()
    form = IntegerForm(index_bound, index_bound, max(converted, secret_bits))
    constant_bound = dealt_bound(1 << form.share_bits + SLACK_BITS, form.divisor, form)
    return receiver_bits(constant_bound, form)


def dealt_bound(share_bound: int, divisor: int, form: IntegerForm) -> int:
    """Of |F_j(0)|, for dealt numbers up to `share_bound` before they are divided."""
    # Divided down: of a negative share it is one more.
    return 2 * form.delta * (share_bound // divisor + 1)


def receiver_bits(constant_bound: int, form: IntegerForm) -> int:
    """The least length of a receiver's modulus, in steps of 256 bits."""
    longest = constant_bound + (form.mask_sum << RESPONSE_BITS)
    return -(-(longest.bit_length() + 2) // _RECEIVER_BITS_STEP) * _RECEIVER_BITS_STEP
