"""A dumb twin of the package: the paper's formulas, one by one.

It uses Python's `pow`, fractions, sympy and `cryptography`, shares no code with `shoup_rsa` and takes no
short cut, so that an agreement of the two means something.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from math import factorial, lcm

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sympy import gcdex, jacobi_symbol

E = 65537


def emsa_pkcs1_v1_5(message: bytes, length: int, bits: int = 256) -> int:
    size, which = bits // 8, {256: 1, 384: 2, 512: 3}[bits]
    prefix = bytes(
        [0x30, size + 17, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, which, 5, 0, 4, size]
    )
    tail = b"\x00" + prefix + hashlib.new(f"sha{bits}", message).digest()
    return int.from_bytes((b"\x00\x01").ljust(length - len(tail), b"\xff") + tail, "big")


def emsa_pss(message: bytes, modulus: int, bits: int) -> int:
    """RFC 8017, section 9.1.1, MGF1 with the same hash; the salt is the one that members agree on."""
    name, length = f"sha{bits}", bits // 8

    def digest(data: bytes) -> bytes:
        return hashlib.new(name, data).digest()

    width = modulus.bit_length() // 8
    message_digest = digest(message)
    salt = digest(b"shoup-rsa/v1/pss-salt\x00" + modulus.to_bytes(width, "big") + message_digest)
    h = digest(bytes(8) + message_digest + salt)
    block = bytes(width - 2 * length - 2) + b"\x01" + salt
    mask = b"".join(digest(h + counter.to_bytes(4, "big")) for counter in range(width))[: len(block)]
    masked = bytearray(a ^ b for a, b in zip(block, mask, strict=True))
    masked[0] &= 0x7F  # an encoded message has one bit less than the modulus
    return int.from_bytes(bytes(masked) + h + b"\xbc", "big")


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
    u: int  # unused in Protocol 1
    protocol: int = 2
    scheme: str = "RS256"

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
        return int(f * (pow(factorial(self.n), -1, self.m) if self.protocol == 2 else 1) % self.m)

    def verification_key(self, i: int) -> int:
        return pow(self.v, self.secret(i), self.N)

    def public_key(self) -> bytes:
        version = 1 if self.protocol == 2 and self.n <= 256 else 2
        size_of_sizes = 2 * version
        head = b"shoup-rsa/public-key\x00" + bytes([version, self.protocol])
        for number, size in (
            (self.N.bit_length(), 2),
            (self.n, size_of_sizes),
            (self.k, size_of_sizes),
            (self.t, size_of_sizes),
            (self.epoch, 8),
            (E, 4),
        ):
            head += number.to_bytes(size, "big")
        numbers = (
            [self.N, self.v]
            + [self.u] * (self.protocol - 1)
            + [self.verification_key(i + 1) for i in range(self.n)]
        )
        return head + b"".join(number.to_bytes(self.width, "big") for number in numbers)

    def key_id(self) -> bytes:
        return hashlib.sha256(self.public_key()).digest()

    def encoded(self, message: bytes) -> int:
        bits = int(self.scheme[2:])
        if self.scheme.startswith("PS"):
            return emsa_pss(message, self.N, bits)
        return emsa_pkcs1_v1_5(message, self.width, bits)

    def plain_signature(self, message: bytes) -> bytes:
        """What the owner of the undivided key would sign."""
        d = pow(E, -1, lcm(self.p - 1, self.q - 1))
        return pow(self.encoded(message), d, self.N).to_bytes(self.width, "big")

    def symbol(self, message: bytes) -> int:
        return int(jacobi_symbol(self.encoded(message), self.N))

    def x(self, message: bytes) -> int:
        encoded = self.encoded(message)
        return (
            encoded
            if self.protocol == 1 or self.symbol(message) == 1
            else encoded * pow(self.u, E, self.N) % self.N
        )

    def share(self, i: int, message: bytes) -> int:
        exponent = 2 * self.secret(i) * (factorial(self.n) if self.protocol == 1 else 1)
        value = pow(self.x(message), exponent, self.N)
        return min(value, self.N - value)

    def commitments(self, message: bytes, r: int) -> tuple[int, int]:
        return pow(self.v, r, self.N), pow(self.proof_base(message), r, self.N)

    def proof_base(self, message: bytes) -> int:
        return pow(self.x(message), 4 * (factorial(self.n) if self.protocol == 1 else 1), self.N)

    def proof(self, i: int, message: bytes, r: int) -> tuple[int, int]:
        numbers = [
            self.v,
            self.proof_base(message),
            self.verification_key(i),
            pow(self.share(i, message), 2, self.N),
            *self.commitments(message, r),
        ]
        text = b"shoup-rsa/v1/protocol-%d/share-proof\x00" % self.protocol + self.key_id()
        text += self.epoch.to_bytes(8, "big") + i.to_bytes(4, "big")
        text += b"".join(number.to_bytes(self.width, "big") for number in numbers)
        c = int(hashlib.sha256(text).hexdigest()[:32], 16)
        return c, self.secret(i) * c + r

    def share_bytes(self, i: int, message: bytes, r: int | None = None, *, batchable: bool = False) -> bytes:
        version = 1 if self.protocol == 2 and self.n <= 256 else 2
        kind = 0 if r is None else 2 if batchable else 1
        encoded = bytes([version, kind]) + i.to_bytes(2 * version, "big")
        encoded += self.share(i, message).to_bytes(self.width, "big")
        if r is not None:
            c, z = self.proof(i, message, r)
            if batchable:
                numbers = self.commitments(message, r)
                encoded += b"".join(number.to_bytes(self.width, "big") for number in numbers)
            else:
                encoded += c.to_bytes(16, "big")
            encoded += z.to_bytes(self.width + 33, "big")
        return encoded

    def combine(self, message: bytes, shares: dict[int, int]) -> bytes:
        w = 1
        for coefficient, value in zip(lagrange(self.n, list(shares)), shares.values(), strict=True):
            if coefficient.denominator != 1:
                raise ArithmeticError("not an integer")
            w = w * pow(value, 2 * coefficient.numerator, self.N) % self.N
        e_prime = 4 if self.protocol == 2 else 4 * factorial(self.n) ** 2
        a, b, one = (int(number) for number in gcdex(e_prime, E))
        if one != 1:
            raise ArithmeticError("e' and e are coprime")
        y = pow(w, a, self.N) * pow(self.x(message), b, self.N) % self.N
        if self.protocol == 2 and self.symbol(message) == -1:
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
    version: int | None = None,
    embedded: bytes | None = None,
) -> bytes:
    """The sealed key share by another library's scrypt, AES-GCM and DER.

    The arguments after the cost are for lies.
    """
    version = version or (1 if twin.protocol == 2 and twin.n <= 256 else 2)
    encoded = twin.public_key() if embedded is None else embedded
    secret = twin.secret(index).to_bytes(width or twin.width, "big")
    named = key_id or twin.key_id(), index.to_bytes(2 * version, "big"), fingerprint or spki_hash(twin.N)
    return sealed(bytes([version, cost_log2]), salt, nonce, named, encoded, secret, passphrase)


def spki_hash(modulus: int) -> bytes:
    numbers = RSAPublicNumbers(E, modulus).public_key()
    return hashlib.sha256(numbers.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def sealed(
    head: bytes,
    salt: bytes,
    nonce: bytes,
    named: tuple[bytes, bytes, bytes],
    encoded: bytes,
    secret: bytes,
    passphrase: bytes,
) -> bytes:
    """head: version and logarithm of the cost; named: key id, index and the hash of the SPKI."""
    derived = hashlib.scrypt(passphrase, salt=salt, n=1 << head[1], r=8, p=1, dklen=48, maxmem=1 << 29)
    front = b"shoup-rsa/key-share\x00" + head + salt + nonce + b"".join(named)
    front += len(encoded).to_bytes(4, "big") + encoded + derived[32:]
    body = front + AESGCM(derived[:32]).encrypt(nonce, secret, front)
    text = b64encode(body + hashlib.sha256(body).digest()).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    begin, end = "-----BEGIN SHOUP RSA KEY SHARE-----", "-----END SHOUP RSA KEY SHARE-----"
    return ("\n".join([begin, *lines, end]) + "\n").encode()


@dataclass(frozen=True)
class FactorTwin(Twin):
    """One factor: what it signs is as long as the whole, and its proofs are bound to the whole."""

    whole: int = 0
    context: bytes = b""

    def encoded(self, message: bytes) -> int:
        bits = int(self.scheme[2:])
        if self.scheme.startswith("PS"):
            return emsa_pss(message, self.whole, bits) % self.N
        return emsa_pkcs1_v1_5(message, self.whole.bit_length() // 8, bits) % self.N

    def key_id(self) -> bytes:
        return self.context


@dataclass(frozen=True)
class CompositeTwin:
    """A key of several dealers, all of whose secrets it knows. Protocol 2."""

    dealt: tuple[Twin, ...]
    scheme: str = "RS256"

    @property
    def N(self) -> int:
        product = 1
        for twin in self.dealt:
            product *= twin.N
        return product

    def public_key(self) -> bytes:
        head = b"shoup-rsa/composite-key\x00" + bytes([1, len(self.dealt)])
        return head + b"".join(twin.public_key() for twin in self.dealt)

    def key_id(self) -> bytes:
        return hashlib.sha256(self.public_key()).digest()

    def factors(self) -> list[FactorTwin]:
        result = []
        for place, twin in enumerate(self.dealt, start=1):
            label = b"shoup-rsa/v1/composite/factor\x00" + self.key_id() + bytes([place])
            known = {field.name: getattr(twin, field.name) for field in fields(twin)} | {
                "scheme": self.scheme
            }
            result.append(FactorTwin(**known, whole=self.N, context=hashlib.sha256(label).digest()))
        return result

    def plain_signature(self, message: bytes) -> bytes:
        """What somebody who knew all primes would sign."""
        order = lcm(*(prime - 1 for twin in self.dealt for prime in (twin.p, twin.q)))
        length, bits = self.N.bit_length() // 8, int(self.scheme[2:])
        if self.scheme.startswith("PS"):
            encoded = emsa_pss(message, self.N, bits)
        else:
            encoded = emsa_pkcs1_v1_5(message, length, bits)
        return pow(encoded, pow(E, -1, order), self.N).to_bytes(length, "big")

    def share_bytes(
        self, i: int, message: bytes, r: Sequence[int] | None = None, *, batchable: bool = False
    ) -> bytes:
        """Each factor's share without the four bytes in front, behind four of its own."""
        nonces = r or [None] * len(self.dealt)
        shares = [
            factor.share_bytes(i, message, nonce, batchable=batchable)
            for factor, nonce in zip(self.factors(), nonces, strict=True)
        ]
        return bytes([4, shares[0][1]]) + i.to_bytes(2, "big") + b"".join(share[4:] for share in shares)

    def sealed_share(self, index: int, passphrase: bytes, salt: bytes, nonce: bytes, cost_log2: int) -> bytes:
        secret = b"".join(twin.secret(index).to_bytes(twin.width, "big") for twin in self.dealt)
        named = self.key_id(), index.to_bytes(2, "big"), spki_hash(self.N)
        return sealed(bytes([4, cost_log2]), salt, nonce, named, self.public_key(), secret, passphrase)
