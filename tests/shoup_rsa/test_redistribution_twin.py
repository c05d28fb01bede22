"""A whole redistribution, computed a second time by the equations, and every number of it compared.

The twin has Python's integers and `pow`, sympy's rationals and polynomials, and what the dealers drew;
nothing of the package. The equations and layouts are those of docs/reference/shoup_rsa.md.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import pytest
from sympy import Integer, Poly, Rational, factorial, gcdex, interpolate, jacobi_symbol, lcm, prod, symbols

from shoup_rsa import KeyShare, ThresholdPublicKey
from shoup_rsa import redistribution as package
from shoup_rsa.redistribution import Order, ReceiverSecret, Redistribution, conclude, judge, receive
from tests.shoup_rsa.board import open_to_all, order_for, receiver
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.twin import emsa_pkcs1_v1_5

X = symbols("X")
E = 65537
DOMAIN = b"shoup-rsa/v1/redistribution/"
MESSAGE = b"computed twice"


def lagrange(scale: Integer, chosen: tuple[int, ...]) -> list[int]:
    """scale * prod i / (i - j), which must be integers."""
    found = [scale * prod([Rational(i, i - j) for i in chosen if i != j]) for j in chosen]
    assert all(number.is_Integer for number in found)
    return [int(number) for number in found]


def named(label: bytes, context: bytes, *numbers: int) -> bytes:
    """The hash of a label, 32 bytes, and numbers with their count and lengths."""
    data = DOMAIN + label + b"\0" + context + len(numbers).to_bytes(4, "big")
    for number in numbers:
        length = -(-number.bit_length() // 8)
        data += length.to_bytes(4, "big") + number.to_bytes(length, "big")
    return hashlib.sha256(data).digest()


def challenge(label: bytes, context: bytes, *numbers: int) -> int:
    return int.from_bytes(named(label, context, *numbers)[:16], "big")


@dataclass(frozen=True)
class Form:
    """Protocol 3's sizes, from M, k and the bits of the bound of |d~|."""

    m: int
    k: int
    bits: int

    @cached_property
    def d(self) -> Integer:
        return factorial(self.m)

    @cached_property
    def c(self) -> int:
        return int(2 * self.d**3)

    @cached_property
    def masks(self) -> int:
        """R."""
        return int(2**128 * max(1, self.k * (self.k - 1)) * 2 * self.d * 2 * self.d**2 * 2**self.bits)

    @cached_property
    def sums(self) -> int:
        """What |2 a_1 i + 2 a_2 i^2 + ..| is at most."""
        return 2 * self.masks * sum(self.m**power for power in range(1, self.k))

    @cached_property
    def lowest(self) -> int:
        """What c d~ and the masks of k dealers, times their coefficients, may come to."""
        largest = max(largest_coefficient(self.m, k) * k for k in range(1, self.m + 1))
        return self.c * 2**self.bits + largest * self.sums

    @cached_property
    def offset(self) -> int:
        """O."""
        return int(2 ** self.lowest.bit_length()) if self.k > 1 else 0

    @cached_property
    def share_bits(self) -> int:
        return (self.lowest + self.m * self.offset).bit_length()


def largest_coefficient(m: int, k: int) -> int:
    sets = combinations(range(1, m + 1), k)
    return max(abs(coefficient) for chosen in sets for coefficient in lagrange(factorial(m), chosen))


@dataclass
class Twin:
    """One redistribution: what is public of the old key, the old shares, the receivers, and the draws."""

    old: ThresholdPublicKey
    shares: dict[int, int]
    receivers: list[ReceiverSecret]
    new: tuple[int, int, int]
    bound: int
    attempt: int
    context: bytes
    restart: bool

    def __post_init__(self) -> None:
        old = self.old
        anew = self.restart or old.protocol != 3
        m = old.index_bound or old.parties
        d = self.d_old = factorial(m)
        before = Form(m, old.threshold, old.secret_bits) if old.protocol == 3 else None
        longest = before.share_bits + 266 if before else old.modulus.bit_length()
        kappa = int(d * before.c) if before else {1: int(d), 2: 1}[old.protocol]
        alpha = int(gcdex(kappa, E)[0]) % E
        assert (1 - alpha * kappa) % E == 0
        beta = (1 - alpha * kappa) // E
        bits = old.secret_bits
        if anew:
            span = old.threshold * largest_coefficient(m, old.threshold) * alpha * 2**longest
            bits = (span + abs(beta)).bit_length()
        form = self.form = Form(self.bound, self.new[1], bits)
        self.t = int(2 * form.d)
        g_squared = int(form.d**2) * alpha if anew else int(form.d / d) ** 2
        self.multiplier, self.nab = g_squared, 1 if anew else int(2 * d**2)
        self.extra = int(form.d**2) * beta if anew else 0
        self.longest = self.t * (g_squared * 2**longest // self.nab + 1)
        chosen = self.chosen
        whole = sum(a * self.shares[j] for a, j in zip(lagrange(d, chosen), chosen, strict=True))
        self.d_tilde = alpha * whole + beta if anew else whole // (int(d) * before.c if before else 1)
        assert pow(4, self.d_tilde * E, old.modulus) == 4, "an inverse of e"

    @property
    def chosen(self) -> tuple[int, ...]:
        """The first k of the log: the members post from the highest index down."""
        return tuple(sorted(self.shares, reverse=True))[: self.old.threshold]

    @cached_property
    def subshare_bits(self) -> int:
        return (self.longest + self.form.sums).bit_length()

    @cached_property
    def digest(self) -> bytes:
        """Of the order, and of all receivers."""
        n, k, t = self.new
        fields = b"".join(number.to_bytes(2, "big") for number in (n, k, t, self.bound))
        fields += self.attempt.to_bytes(8, "big") + bytes([self.restart])
        fields += len(self.context).to_bytes(2, "big") + self.context
        order = hashlib.sha256(DOMAIN + b"order\0" + self.old.key_id + fields).digest()
        prints = b""
        for secret in self.receivers:
            size = secret.key.bits // 8
            numbers = secret.key.modulus.to_bytes(size, "big") + secret.key.generator.to_bytes(
                2 * size, "big"
            )
            head = b"shoup-rsa/receiver-key\0\1" + (8 * size).to_bytes(2, "big")
            prints += hashlib.sha256(head + numbers).digest()
        return hashlib.sha256(DOMAIN + b"set\0" + order + prints).digest()

    def deal(self, j: int, drawn: list[int]) -> tuple[bytes, Poly, list[int]]:
        """The bytes that member j posts, F_j, and v^F_j(i) for every receiver."""
        n_old, v = self.old.modulus, self.old.verification_base
        draws = iter(drawn)
        q, rem = divmod(self.multiplier * self.shares[j], self.nab)
        masks = [1 + next(draws) for _ in range(self.new[1] - 1)]
        polynomial = Poly([2 * a for a in reversed(masks)] + [self.t * q], X)
        image, commitments = pow(v, q, n_old), [pow(v, a, n_old) for a in masks]
        base = named(b"base", self.digest, j, rem, image, *commitments)
        cover = 1 + next(draws)
        mask_commitment = pow(v, cover, n_old)
        response = cover + sum(
            challenge(b"coefficient", base, mask_commitment, power) * a
            for power, a in enumerate(masks, start=1)
        )
        width = n_old.bit_length() // 8
        written = [(rem, -(-(self.nab - 1).bit_length() // 8)), (image, width)]
        written += [(number, width) for number in (*commitments, mask_commitment)]
        written.append((response, -(-(self.form.masks.bit_length() + 265) // 8)))
        images = []
        for i, secret in enumerate(self.receivers, start=1):
            content = int(polynomial.eval(i))
            images.append(pow(v, content, n_old))
            n, h, half = secret.key.modulus, secret.key.generator, secret.key.bits // 2
            a = 1 + next(draws)
            ct = (1 + n * content) * pow(h, a, n * n) % (n * n)
            cover = 2 ** (self.subshare_bits + 128) + next(draws)
            a_cover = 1 + next(draws)
            commitments_i = pow(v, cover, n_old), (1 + n * cover) * pow(h, a_cover, n * n) % (n * n)
            x = challenge(b"subshare", base, i, ct, images[-1], *commitments_i)
            written += [(ct, half // 2), (x, 16)]
            written.append((cover + x * content, -(-(self.subshare_bits + 265) // 8)))
            written.append((a_cover + x * a, -(-(half + 265) // 8)))
            assert i != j or textbook_decryption(secret, ct) == content
        assert list(draws) == []
        head = b"shoup-rsa/share-dealing\0\1" + self.digest + j.to_bytes(2, "big")
        return head + b"".join(n.to_bytes(w, "big") for n, w in written), polynomial, images

    def new_shares(self, dealt: dict[int, Poly]) -> list[int]:
        coefficients = lagrange(self.d_old, self.chosen)
        rests = [self.multiplier * self.shares[j] % self.nab for j in self.chosen]
        total = Rational(sum(a * b for a, b in zip(coefficients, rests, strict=True)), self.nab)
        assert total.is_Integer
        rho = int(total) + self.extra
        polynomial = Poly(self.t * rho + self.form.offset * X, X)
        for a, j in zip(coefficients, self.chosen, strict=True):
            polynomial += a * dealt[j]
        assert polynomial.degree() < self.new[1]
        assert polynomial.eval(0) == self.form.c * self.d_tilde, "the same secret"
        return [int(polynomial.eval(i)) for i in range(1, self.new[0] + 1)]


def textbook_decryption(secret: ReceiverSecret, ciphertext: int) -> int:
    """By Carmichael's function, as in Paillier's paper."""
    n = secret.key.modulus
    order = int(lcm(secret._first - 1, secret._second - 1))
    message = (pow(ciphertext, order, n * n) - 1) // n * pow(order, -1, n) % n
    return message if 2 * message < n else message - n


class Drawing:
    """A generator whose numbers are kept."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.drawn: list[int] = []

    def __call__(self, bound: int) -> int:
        self.drawn.append(self._dice.randrange(bound))
        return self.drawn[-1]


@pytest.mark.parametrize(
    ("protocol", "old", "new", "bound", "restart"),
    [
        (1, (3, 2, 1), (3, 3, 0), 3, False),
        (2, (4, 3, 1), (3, 2, 1), 5, False),
        (3, (4, 3, 1), (5, 4, 1), 6, False),
        (3, (3, 2, 1), (2, 1, 0), 3, True),
    ],
    ids=str,
)
def test_every_number_is_that_of_the_equations(
    deal: Deal,
    protocol: int,
    old: tuple[int, int, int],
    new: tuple[int, int, int],
    bound: int,
    restart: bool,
) -> None:
    dealing = deal(*old, protocol=protocol)
    key = dealing.public_key
    order = order_for(key, *new, index_bound=bound, attempt=5, context=b"twice", restart=restart)
    change = open_to_all(order)
    secrets = [receiver(order.receiver_bits, i) for i in range(1, new[0] + 1)]
    held = {share.index: share._secret for share in dealing.key_shares}
    twin = Twin(key, held, secrets, new, bound, 5, b"twice", restart)
    assert change.digest == twin.digest
    check_sizes(order, twin)
    polynomials, images, posted = {}, [], []  # of one member more than are needed
    for share in dealing.key_shares[: -old[1] - 2 : -1]:
        data, polynomials[share.index], seen = post(change, share, twin)
        images.append(tuple(seen))
        posted.append((share.index, data))
    judgement = judge(change, posted)
    assert [verified.images for verified in judgement.valid] == images
    outcome = conclude(change, judgement.valid)
    assert outcome is not None
    assert outcome.dealers == twin.chosen
    shares = twin.new_shares(polynomials)
    assert [receive(outcome, i, s)._secret for i, s in enumerate(secrets, start=1)] == shares
    v, modulus = key.verification_base, key.modulus
    following = outcome.public_key
    assert following.verification_keys == tuple(pow(v, share, modulus) for share in shares)
    assert (following.modulus, following.verification_base) == (modulus, v)
    assert following.nonresidue == (key.nonresidue or least_nonresidue(modulus))
    assert (following.epoch, following.protocol) == (key.epoch + 1, 3)
    assert (following.index_bound, following.secret_bits) == (bound, twin.form.bits)
    compare_signatures(outcome.public_key, shares, twin)


def post(change: Redistribution, share: KeyShare, twin: Twin) -> tuple[bytes, Poly, list[int]]:
    """What the package posts for this share; the twin, with the same draws, posts the same."""
    drawing = Drawing(share.index)
    data = package.deal(change, share, random_below=drawing).to_bytes(change)
    expected, polynomial, images = twin.deal(share.index, drawing.drawn)
    assert data == expected
    return data, polynomial, images


def check_sizes(order: Order, twin: Twin) -> None:
    """And that a receiver's modulus holds what passes, with the room that the design asks for."""
    form = order.form
    assert (form.content, form.mask_bound, form.offset) == (twin.form.c, twin.form.masks, twin.form.offset)
    assert (form.share_bits, form.secret_bits) == (twin.form.share_bits, twin.form.bits)
    assert order.subshare_bits == twin.subshare_bits
    passing = twin.longest + (twin.form.sums << 265)
    assert 2 * passing < Rational(9, 16) * 2**order.receiver_bits


def least_nonresidue(modulus: int) -> int:
    return next(u for u in range(2, 1000) if jacobi_symbol(u, modulus) == -1)


def compare_signatures(key: ThresholdPublicKey, shares: list[int], twin: Twin) -> None:
    """The polynomial through a quorum's shares has c d~ at 0, and the quorum signs as d~ does.

    y^2 = EM^(2 d~) and y^e = EM give y, whatever d~ is modulo 2.
    """
    quorum = list(enumerate(shares, start=1))[-key.threshold :]
    assert interpolate(quorum, X).subs(X, 0) == twin.form.c * twin.d_tilde
    given = [KeyShare(key, i, share).sign_share(MESSAGE) for i, share in quorum]
    encoded = emsa_pkcs1_v1_5(MESSAGE, key.signature_length)
    signature = pow(encoded, 1 - twin.d_tilde * (E - 1), key.modulus)
    assert key.combine(MESSAGE, given) == signature.to_bytes(key.signature_length, "big")
