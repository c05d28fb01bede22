"""What dealing and judging need of an order, and of the key that is handed on, of whichever kind they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shoup_rsa.integer_form import IntegerForm


class HandedOn(Protocol):
    """A threshold key, or a key in additive pieces: what dealings say something about."""

    @property
    def modulus(self) -> int:
        """N."""

    @property
    def public_exponent(self) -> int:
        """e."""

    @property
    def parties(self) -> int:
        """How many may deal."""

    @property
    def threshold(self) -> int:
        """How many must deal."""

    @property
    def verification_base(self) -> int:
        """v."""

    @property
    def verification_keys(self) -> tuple[int, ...]:
        """v to the power of what each dealer deals."""

    @property
    def signature_length(self) -> int:
        """Bytes of a number modulo N."""


class AnyOrder(Protocol):
    """An `Order`, or an `additive.AdditiveOrder`."""

    @property
    def key(self) -> HandedOn:
        """What is handed on."""

    @property
    def parties(self) -> int:
        """n' of the key to come."""

    @property
    def threshold(self) -> int:
        """k' of the key to come."""

    @property
    def corruptions(self) -> int:
        """t' of the key to come."""

    @property
    def index_bound(self) -> int:
        """M' of the key to come."""

    @property
    def epoch(self) -> int:
        """Of the key to come."""

    @property
    def origin(self) -> str:
        """Of the key to come."""

    @property
    def digest(self) -> bytes:
        """32 bytes that name the order."""

    @property
    def form(self) -> IntegerForm:
        """The sizes of the key to come."""

    @property
    def nonresidue(self) -> int:
        """u of the key to come."""

    @property
    def multiplier(self) -> int:
        """What a dealer's secret is multiplied by."""

    @property
    def divisor(self) -> int:
        """What it is then divided by."""

    @property
    def constant(self) -> int:
        """What is added to the sum of the dealt numbers."""

    @property
    def subshare_bits(self) -> int:
        """Every honest |F_j(i)| is below 2 to this power."""

    @property
    def receiver_bits(self) -> int:
        """The least length of the receivers' moduli."""

    def coefficients(self, dealers: Sequence[int]) -> tuple[int, ...]:
        """What the dealt numbers are multiplied by before they are added up."""
