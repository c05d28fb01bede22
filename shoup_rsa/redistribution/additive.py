"""The first distribution of a key that no dealer made: from additive pieces of d, all of which are dealt.

    d = sum d_i + rho,  v_i = v^d_i,  q_i = D'^2 d_i,  rem_i = 0,  lambda_i = 1,  and rho D'^2 is added

All parties deal, each its own piece, as `shoup_rsa.redistribution` says of members and shares. `order.form`
belongs to |d~| = d < N. What comes out is an ordinary key of Protocol 3 in epoch 0, origin "distributed".
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from shoup_rsa import _arith
from shoup_rsa.encoding import byte_length
from shoup_rsa.errors import InvalidKey
from shoup_rsa.integer_form import IntegerForm
from shoup_rsa.redistribution.order import CONTEXT_LENGTH_MAX, dealt_bound, receiver_bits
from shoup_rsa.sizes import PUBLIC_EXPONENT, check_sizes

_DOMAIN = b"shoup-rsa/v1/redistribution/additive\x00"
_LAYOUT = struct.Struct(">HHHHI")


@dataclass(frozen=True)
class AdditiveKey:
    """N, v and the v_i = v^d_i of n parties, all of which are needed. |d_i| < N.

    Raises InvalidKey when a number is no unit modulo N.
    """

    modulus: int
    verification_base: int
    verification_keys: tuple[int, ...]
    public_exponent: int = PUBLIC_EXPONENT

    def __post_init__(self) -> None:
        for number in (self.verification_base, *self.verification_keys):
            if not 0 < number < self.modulus or _arith.gcd(number, self.modulus) != 1:
                raise InvalidKey("a power of v is no unit modulo N")

    @property
    def parties(self) -> int:
        """n."""
        return len(self.verification_keys)

    @property
    def threshold(self) -> int:
        """n as well."""
        return self.parties

    @property
    def key_size(self) -> int:
        """The length of the modulus in bits."""
        return self.modulus.bit_length()

    @property
    def signature_length(self) -> int:
        """Bytes of a number modulo N."""
        return byte_length(self.key_size)


@dataclass(frozen=True)
class AdditiveOrder:
    """How the pieces become a key of which any `threshold` of as many parties sign.

    constant_piece: rho, public. context: what else binds the messages, at most 1024 bytes. The other members
    are those of `Order`. Raises InvalidKey when a size is wrong.
    """

    key: AdditiveKey
    threshold: int
    corruptions: int
    constant_piece: int
    context: bytes

    def __post_init__(self) -> None:
        check_sizes(3, self.parties, self.threshold, self.corruptions, 0)
        if type(self.context) is not bytes or len(self.context) > CONTEXT_LENGTH_MAX:
            raise InvalidKey(f"the context is at most {CONTEXT_LENGTH_MAX} bytes")

    @property
    def parties(self) -> int:
        """n."""
        return self.key.parties

    @property
    def index_bound(self) -> int:
        """M' = n."""
        return self.parties

    @property
    def epoch(self) -> int:
        """Of the key to come."""
        return 0

    @property
    def origin(self) -> str:
        """Of the key to come."""
        return "distributed"

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name the pieces, the sizes and the context."""
        key = self.key
        numbers = (key.modulus, key.verification_base, *key.verification_keys)
        fields = _LAYOUT.pack(
            self.parties, self.threshold, self.corruptions, key.signature_length, len(self.context)
        )
        packed = b"".join(number.to_bytes(key.signature_length, "big") for number in numbers)
        rho = self.constant_piece.to_bytes(8, "big", signed=True)
        return hashlib.sha256(_DOMAIN + fields + rho + packed + self.context).digest()

    @cached_property
    def form(self) -> IntegerForm:
        """The sizes of the key to come."""
        return additive_form(self.parties, self.threshold, self.key.key_size)

    @cached_property
    def nonresidue(self) -> int:
        """u: the least with Jacobi symbol -1."""
        return next(number for number in count(2) if _arith.jacobi(number, self.key.modulus) == -1)

    @cached_property
    def multiplier(self) -> int:
        """D'^2."""
        return self.form.delta**2

    @property
    def divisor(self) -> int:
        """1: there are no remainders."""
        return 1

    @property
    def constant(self) -> int:
        """D'^2 rho."""
        return self.multiplier * self.constant_piece

    def coefficients(self, dealers: Sequence[int]) -> tuple[int, ...]:
        """1 for everybody."""
        return (1,) * len(dealers)

    @cached_property
    def subshare_bits(self) -> int:
        """Every |F_j(i)| of an honest dealer is below 2 to this power."""
        bound = _bound(self.form, self.key.key_size)
        return (bound + self.form.mask_sum).bit_length()

    @cached_property
    def receiver_bits(self) -> int:
        """The least length of the receivers' moduli."""
        return additive_receiver_bits(self.parties, self.threshold, self.key.key_size)


def additive_form(parties: int, threshold: int, key_size: int) -> IntegerForm:
    """The sizes of a key that is made from additive pieces."""
    return IntegerForm(parties, threshold, key_size)


def additive_receiver_bits(parties: int, threshold: int, key_size: int) -> int:
    """How long the receivers' moduli are, which is known before there is a key."""
    form = additive_form(parties, threshold, key_size)
    return receiver_bits(_bound(form, key_size), form)


def _bound(form: IntegerForm, key_size: int) -> int:
    return dealt_bound(form.delta**2 << key_size, 1, form)
