"""The last checks of the one candidate that may become the key, and its exponent d.

Beside the ROUNDS more of the biprimality test:

    coprime   N and p + q - 1 have no common factor (Boneh and Franklin, section 3.1). A random r is
              shared, and (p + q - 1) r modulo N opened, which is as random as r: its factors in common with N
              are those of p + q - 1
    residue   every party opens (p_i + q_i) mod e, so that phi mod e is known; it must not be 0. This tells
              p + q mod 65537 to everybody
    square    v = prod h_i^2. No h_i is ever shown: who knows a root of v could deal what is not its share

All that a party says here it has committed to before. Then, with zeta = -1 / phi mod e, the C_i add up to 1 +
zeta phi, a multiple of e:

    C_1 = 1 + zeta (N + 1 - p_1 - q_1),  C_i = -zeta (p_i + q_i),  d_i, rem_i = divmod(C_i, e)
    w_i = v^((p_i + q_i - 6 [i = 1]) / 4),  V_i = v^d_i
    checked by all: prod w_i = v^((N - 5) / 4), and V_i^e v^rem_i = v^C_i, computed from w_i

so d = sum d_i + rho with rho = sum rem_i / e, and who does not use in d what it used in the test is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from shoup_rsa import _arith
from shoup_rsa.dealerless import biprimality
from shoup_rsa.dealerless.numbers import Malformed, check_length, pack, unpack
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.dealerless.sharing import evaluate, expand, interpolation
from shoup_rsa.encoding import byte_length
from shoup_rsa.sizes import PUBLIC_EXPONENT

SALT_LENGTH = 32
_RESIDUE_BYTES = 3
_COMMITMENT_DOMAIN = b"shoup-rsa/v1/dealerless/commitment\x00"


def commitment(settings: Settings, label: bytes, party: int, content: bytes) -> bytes:
    """A hash commitment to content that begins with SALT_LENGTH random bytes."""
    head = _COMMITMENT_DOMAIN + settings.session + label + b"\x00" + party.to_bytes(2, "big")
    return hashlib.sha256(head + content).digest()


@dataclass(frozen=True)
class Randomness:
    """What follows from a party's seed of the candidate: r, coefficients modulo N, and h."""

    mask: Sequence[int]
    part: Sequence[int]
    zero: Sequence[int]
    root: int


def randomness(settings: Settings, seed: bytes, modulus: int) -> Randomness:
    """See there."""
    t = settings.corruptions
    numbers = expand(seed, b"final", ((4 * t + 2, modulus),))
    return Randomness(numbers[: t + 1], numbers[t + 1 : 2 * t + 1], numbers[2 * t + 1 : -1], numbers[-1])


def shares_at(index: int, part: int, random: Randomness, modulus: int, receiver: int) -> tuple[int, int, int]:
    """A party's three numbers for a receiver: of p + q - 1, of r, and of zero."""
    own = part - 1 if index == 1 else part
    return (
        evaluate((own, *random.part), receiver, modulus),
        evaluate(random.mask, receiver, modulus),
        receiver * evaluate(random.zero, receiver, modulus) % modulus,
    )


def opening_value(shares: Sequence[int], modulus: int) -> int:
    """What a party opens of (p + q - 1) r."""
    first, second, zero = shares
    return (_arith.multiply(first, second, modulus) + zero) % modulus


@dataclass(frozen=True)
class Statement:
    """What a party says: v_i of each round, h_i^2, (p_i + q_i) mod e, and its share of the masked value."""

    images: list[int]
    square: int
    residue: int
    masked: int

    def encode(self, settings: Settings, salt: bytes) -> bytes:
        """Of which the commitment is the hash."""
        width = byte_length(settings.key_size)
        numbers = pack((*self.images, self.square, self.masked), width)
        return salt + numbers + self.residue.to_bytes(_RESIDUE_BYTES, "big")


def statement_length(settings: Settings) -> int:
    """Bytes of an encoded statement."""
    return SALT_LENGTH + (biprimality.ROUNDS + 2) * byte_length(settings.key_size) + _RESIDUE_BYTES


def decode(settings: Settings, body: bytes, modulus: int) -> Statement:
    """The opposite. Raises Malformed."""
    check_length(body, statement_length(settings))
    *images, square, masked = unpack(
        body[SALT_LENGTH:-_RESIDUE_BYTES], byte_length(settings.key_size), modulus
    )
    residue = int.from_bytes(body[-_RESIDUE_BYTES:], "big")
    if residue >= PUBLIC_EXPONENT:
        raise Malformed("a residue is out of range")
    if _arith.gcd(square, modulus) != 1:
        raise Malformed("a square has a common factor with the modulus")
    return Statement(images, square, residue, masked)


def statement_of(
    index: int, part: int, random: Randomness, bases: Sequence[int], modulus: int, sums: Sequence[int]
) -> Statement:
    """A party's. sums: the shares of (p + q - 1), r and zero that it got from all."""
    return Statement(
        [biprimality.image(index, part, base, modulus) for base in bases],
        _arith.multiply(random.root, random.root, modulus),
        part % PUBLIC_EXPONENT,
        opening_value(sums, modulus),
    )


def bases(settings: Settings, chain: bytes, modulus: int) -> list[int]:
    """Of the further rounds."""
    return [biprimality.base(settings, chain, modulus, number) for number in range(biprimality.ROUNDS)]


def accepts(settings: Settings, statements: Sequence[Statement], bases: Sequence[int], modulus: int) -> bool:
    """Whether the candidate passes all that is checked of these statements, in the parties' order."""
    fit = interpolation(settings.parties, 2 * settings.corruptions)
    masked = fit.zero([one.masked for one in statements], modulus)
    if masked is None or _arith.gcd(masked, modulus) != 1:
        return False
    if totient_residue(statements, modulus) == 0:
        return False
    base = verification_base(statements, modulus)
    if _arith.gcd(base * base - 1, modulus) != 1:
        return False
    return all(
        biprimality.passes([one.images[number] for one in statements], base, modulus)
        for number, base in enumerate(bases)
    )


def totient_residue(statements: Sequence[Statement], modulus: int) -> int:
    """phi(N) mod e."""
    return (modulus + 1 - sum(one.residue for one in statements)) % PUBLIC_EXPONENT


def verification_base(statements: Sequence[Statement], modulus: int) -> int:
    """v."""
    return biprimality.product([one.square for one in statements], modulus)


@dataclass(frozen=True)
class Exponent:
    """All that is public of d, from the statements: N, v, zeta, and rem_1..rem_n."""

    modulus: int
    base: int
    zeta: int
    remainders: tuple[int, ...]

    @property
    def constant(self) -> int:
        """rho = sum rem_i / e: what is added to the sum of the d_i."""
        return sum(self.remainders) // PUBLIC_EXPONENT

    def content(self, index: int, part: int) -> int:
        """C_i of a party."""
        own = 1 + self.zeta * (self.modulus + 1) if index == 1 else 0
        return own - self.zeta * part

    def piece(self, index: int, part: int) -> int:
        """d_i of a party."""
        return self.content(index, part) // PUBLIC_EXPONENT

    def passes(self, test_images: list[int]) -> bool:
        """Whether prod w_i = v^((N - 5) / 4), with this sign: v is a square."""
        return biprimality.product(test_images, self.modulus) == biprimality.target(self.base, self.modulus)

    def fits(self, index: int, test_image: int, image: int) -> bool:
        """Whether V_i is v^d_i with the same p_i + q_i as in w_i."""
        modulus = self.modulus
        part = _arith.power(test_image, 4, modulus)
        own = 0
        if index == 1:
            part = _arith.multiply(part, _arith.power(self.base, 6, modulus), modulus)
            own = 1 + self.zeta * (modulus + 1)
        left = _arith.multiply(
            _arith.power(image, PUBLIC_EXPONENT, modulus),
            _arith.power(self.base, self.remainders[index - 1], modulus),
            modulus,
        )
        left = _arith.multiply(left, _arith.power(part, self.zeta, modulus), modulus)
        return left == _arith.power(self.base, own, modulus)


def exponent_of(statements: Sequence[Statement], modulus: int) -> Exponent:
    """For statements that were accepted."""
    zeta = -_arith.inverse(totient_residue(statements, modulus), PUBLIC_EXPONENT) % PUBLIC_EXPONENT
    remainders = [-zeta * one.residue % PUBLIC_EXPONENT for one in statements]
    remainders[0] = (remainders[0] + 1 + zeta * (modulus + 1)) % PUBLIC_EXPONENT
    return Exponent(modulus, verification_base(statements, modulus), zeta, tuple(remainders))


def images_of(settings: Settings, index: int, part: int, exponent: Exponent) -> bytes:
    """A party's (w_i, V_i), encoded."""
    piece = exponent.piece(index, part)
    image = _arith.signed_secret_power(exponent.base, piece, exponent.modulus)
    test_image = biprimality.image(index, part, exponent.base, exponent.modulus)
    return pack((test_image, image), byte_length(settings.key_size))


def decode_images(settings: Settings, body: bytes, modulus: int) -> tuple[int, int]:
    """(w_i, V_i), two units. Raises Malformed."""
    width = byte_length(settings.key_size)
    check_length(body, 2 * width)
    first, second = unpack(body, width, modulus)
    if _arith.gcd(first, modulus) != 1 or _arith.gcd(second, modulus) != 1:
        raise Malformed("a number has a common factor with the modulus")
    return first, second
