"""A dumb twin of the package: the paper's formulas, one by one.

It uses Python's `pow`, fractions, sympy and `cryptography`, shares no code with `shoup_rsa` and takes no
short cut, so that an agreement of the two means something.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial, lcm

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sympy import gcdex, jacobi_symbol

E = 65537


def emsa_pkcs1_v1_5(message: bytes, length: int) -> int:
    prefix = bytes([0x30, 0x31, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20])
    tail = b"\x00" + prefix + hashlib.sha256(message).digest()
    return int.from_bytes((b"\x00\x01").ljust(length - len(tail), b"\xff") + tail, "big")


def lagrange(parties: int, indices: Sequence[int]) -> list[Fraction]:
    """The rational coefficients at 0 times parties!."""
    result = []
    for j in indices:
        product = Fraction(factorial(parties))
        for i in indices:
            if i != j:
                product *= Fraction(0 - i, j - i)
        result.append(product)
    return result


@dataclass(frozen=True)
class Twin:
    """Everything, secrets included."""

    p: int
    q: int
    n: int
    k: int
    t: int
    epoch: int
    coefficients: tuple[int, ...]  # a_1 .. a_(k-1)
    v: int
    u: int

    @property
    def N(self) -> int:
        return self.p * self.q

    @property
    def m(self) -> int:
        return (self.p - 1) // 2 * ((self.q - 1) // 2)

    @property
    def width(self) -> int:
        return self.N.bit_length() // 8

    def secret(self, i: int) -> int:
        f = pow(E, -1, self.m) + sum(a * i**j for j, a in enumerate(self.coefficients, start=1))
        return int(f * pow(factorial(self.n), -1, self.m) % self.m)

    def verification_key(self, i: int) -> int:
        return pow(self.v, self.secret(i), self.N)

    def public_key(self) -> bytes:
        head = b"shoup-rsa/public-key\x00" + bytes([1, 2])
        for number, size in (
            (self.N.bit_length(), 2),
            (self.n, 2),
            (self.k, 2),
            (self.t, 2),
            (self.epoch, 8),
            (E, 4),
        ):
            head += number.to_bytes(size, "big")
        numbers = [self.N, self.v, self.u] + [self.verification_key(i + 1) for i in range(self.n)]
        return head + b"".join(number.to_bytes(self.width, "big") for number in numbers)

    def key_id(self) -> bytes:
        return hashlib.sha256(self.public_key()).digest()

    def plain_signature(self, message: bytes) -> bytes:
        """What the owner of the undivided key would sign."""
        d = pow(E, -1, lcm(self.p - 1, self.q - 1))
        return pow(emsa_pkcs1_v1_5(message, self.width), d, self.N).to_bytes(self.width, "big")

    def symbol(self, message: bytes) -> int:
        return int(jacobi_symbol(emsa_pkcs1_v1_5(message, self.width), self.N))

    def x(self, message: bytes) -> int:
        encoded = emsa_pkcs1_v1_5(message, self.width)
        return encoded if self.symbol(message) == 1 else encoded * pow(self.u, E, self.N) % self.N

    def share(self, i: int, message: bytes) -> int:
        value = pow(self.x(message), 2 * self.secret(i), self.N)
        return min(value, self.N - value)

    def proof(self, i: int, message: bytes, r: int) -> tuple[int, int]:
        base = pow(self.x(message), 4, self.N)
        numbers = [
            self.v,
            base,
            self.verification_key(i),
            pow(self.share(i, message), 2, self.N),
            pow(self.v, r, self.N),
            pow(base, r, self.N),
        ]
        text = b"shoup-rsa/v1/protocol-2/share-proof\x00" + self.key_id()
        text += self.epoch.to_bytes(8, "big") + i.to_bytes(4, "big")
        text += b"".join(number.to_bytes(self.width, "big") for number in numbers)
        c = int(hashlib.sha256(text).hexdigest()[:32], 16)
        return c, self.secret(i) * c + r

    def share_bytes(self, i: int, message: bytes, r: int | None = None) -> bytes:
        encoded = bytes([1, 0 if r is None else 1]) + i.to_bytes(2, "big")
        encoded += self.share(i, message).to_bytes(self.width, "big")
        if r is not None:
            c, z = self.proof(i, message, r)
            encoded += c.to_bytes(16, "big") + z.to_bytes(self.width + 33, "big")
        return encoded

    def combine(self, message: bytes, shares: dict[int, int]) -> bytes:
        w = 1
        for coefficient, value in zip(lagrange(self.n, list(shares)), shares.values(), strict=True):
            if coefficient.denominator != 1:
                raise ArithmeticError("not an integer")
            w = w * pow(value, 2 * coefficient.numerator, self.N) % self.N
        a, b, one = (int(number) for number in gcdex(4, E))
        if one != 1:
            raise ArithmeticError("4 and e are coprime")
        y = pow(w, a, self.N) * pow(self.x(message), b, self.N) % self.N
        if self.symbol(message) == -1:
            y = y * pow(self.u, -1, self.N) % self.N
        return y.to_bytes(self.width, "big")


def opened_share(pem: bytes, passphrase: bytes) -> bytes:
    """The plaintext inside a sealed key share, found by counting bytes."""
    raw = b64decode(b"".join(pem.splitlines()[1:-1]))
    cost_log2, salt, nonce = raw[21], raw[22:38], raw[38:50]
    key_end = 120 + int.from_bytes(raw[116:120], "big")
    derived = hashlib.scrypt(passphrase, salt=salt, n=1 << cost_log2, r=8, p=1, dklen=48, maxmem=1 << 29)
    return AESGCM(derived[:32]).decrypt(nonce, raw[key_end + 16 : -32], raw[: key_end + 16])


def sealed_share(
    twin: Twin,
    index: int,
    passphrase: bytes,
    salt: bytes,
    nonce: bytes,
    cost_log2: int,
    *,
    key_id: bytes | None = None,
    fingerprint: bytes | None = None,
    width: int | None = None,
) -> bytes:
    """The sealed key share by another library's scrypt, AES-GCM and DER.

    The last three arguments are for lies.
    """
    numbers = RSAPublicNumbers(E, twin.N).public_key()
    spki = numbers.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    derived = hashlib.scrypt(passphrase, salt=salt, n=1 << cost_log2, r=8, p=1, dklen=48, maxmem=1 << 29)
    front = b"shoup-rsa/key-share\x00" + bytes([1, cost_log2]) + salt + nonce + (key_id or twin.key_id())
    front += index.to_bytes(2, "big") + (fingerprint or hashlib.sha256(spki).digest())
    front += len(twin.public_key()).to_bytes(4, "big") + twin.public_key() + derived[32:]
    secret = twin.secret(index).to_bytes(width or twin.width, "big")
    body = front + AESGCM(derived[:32]).encrypt(nonce, secret, front)
    text = b64encode(body + hashlib.sha256(body).digest()).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    begin, end = "-----BEGIN SHOUP RSA KEY SHARE-----", "-----END SHOUP RSA KEY SHARE-----"
    return ("\n".join([begin, *lines, end]) + "\n").encode()
