"""Receivers' keys: Paillier's encryption against a twin, encodings, and what is refused."""

from __future__ import annotations

import copy
import pickle
import random
from math import gcd

import pytest
from sympy import isprime, nextprime

from shoup_rsa.redistribution import InvalidReceiver, ReceiverKey, ReceiverSecret, generate_receiver, paillier
from tests.shoup_rsa.board import receiver

MAGIC = len(b"shoup-rsa/receiver-key\0")


@pytest.fixture(scope="module")
def secret() -> ReceiverSecret:
    return receiver(1024, 1)


def test_the_primes(secret: ReceiverSecret) -> None:
    """By sympy: two primes that are 3 modulo 4, without a common factor in P - 1 and Q - 1 but 2."""
    first, second = secret._first, secret._second
    assert isprime(first)
    assert isprime(second)
    assert first % 4 == second % 4 == 3
    assert gcd(first - 1, second - 1) == 2
    assert secret.key.modulus == first * second
    assert secret.key.bits == 1024


def test_the_generator_is_an_nth_power(secret: ReceiverSecret) -> None:
    """It encrypts 0, and -x^2 has Jacobi symbol 1 without being a square."""
    n, h = secret.key.modulus, secret.key.generator
    order = (secret._first - 1) * (secret._second - 1)
    assert pow(h, order, n * n) == 1
    assert secret.decrypt(h) == 0
    for prime in (secret._first, secret._second):
        assert pow(h, (prime - 1) // 2, prime) == prime - 1


def test_encryption_against_the_textbook(secret: ReceiverSecret) -> None:
    """Decryption by Carmichael's function, as Paillier's paper has it, with the sign that is closer."""
    n, h = secret.key.modulus, secret.key.generator
    order = (secret._first - 1) * (secret._second - 1)
    dice = random.Random(1)
    for message in (
        0,
        1,
        -1,
        n // 2 - 1,
        -(n // 2) + 1,
        *(dice.randrange(-n // 2, n // 2) for _ in range(5)),
    ):
        ciphertext = paillier.encrypt(n, h, message, dice.getrandbits(512) + 1)
        lifted = (pow(ciphertext, order, n * n) - 1) // n * pow(order, -1, n) % n
        assert lifted == message % n
        assert secret.decrypt(ciphertext) == message
        assert secret.decrypt(ciphertext * pow(h, dice.getrandbits(500), n * n) % (n * n)) == message
        opened = paillier.commitment(n, h, (3 * message, 77), ciphertext, 3, 600)
        assert secret.decrypt(opened) == 0


def test_encodings(secret: ReceiverSecret) -> None:
    key = secret.key
    data = key.to_bytes()
    assert len(data) == MAGIC + 3 + 3 * 128
    assert ReceiverKey.from_bytes(data) == key
    assert ReceiverSecret.from_secret_bytes(secret.secret_to_bytes()).key == key
    assert len({receiver(1024, number).key.fingerprint for number in (1, 2, 3)}) == 3
    for wrong in (b"", data[:-1], data + b"\0", data[1:], bytes(len(data)), data[:MAGIC], data * 2):
        with pytest.raises(InvalidReceiver):
            ReceiverKey.from_bytes(wrong)
        with pytest.raises(InvalidReceiver):
            ReceiverSecret.from_secret_bytes(wrong)
    for at, value, reason in ((0, 2, "version 2"), (1, 0, "length"), (1, 255, "length"), (2, 1, "length")):
        changed = bytearray(data)
        changed[MAGIC + at] = value
        with pytest.raises(InvalidReceiver, match=reason):
            ReceiverKey.from_bytes(bytes(changed))
    with pytest.raises(TypeError, match="must be bytes"):
        ReceiverKey.from_bytes(data.hex())  # type: ignore[arg-type]


def test_what_is_no_key_is_refused(secret: ReceiverSecret) -> None:
    n, h = secret.key.modulus, secret.key.generator
    prime = int(nextprime(3 << 1022))
    root = int(nextprime(3 << 510))
    small = int(nextprime(1 << 16))
    with_factor = small * int(nextprime((1 << 1024) // small - (1 << 900)))
    assert with_factor.bit_length() == 1024
    for modulus, generator, reason in (
        (n - 1, h, "factor below"),
        (with_factor, 4, "factor below"),
        (prime, 4, "prime or a perfect power"),
        (root * root, 4, "prime or a perfect power"),
        (n >> 1 | 1, 4, "multiple of 256 bits"),
        (-n, 4, "multiple of 256 bits"),
        (None, 4, "multiple of 256 bits"),
        ((1 << 65536) - 1, 4, "more than 32768 bits"),
        (n, 0, "between 1 and n"),
        (n, 1, "between 1 and n"),
        (n, n * n, "between 1 and n"),
        (n, None, "between 1 and n"),
        (n, secret._first, "common factor"),
        (n, n, "common factor"),
    ):
        with pytest.raises(InvalidReceiver, match=reason):
            ReceiverKey(modulus, generator)  # type: ignore[arg-type]
    with pytest.raises(InvalidReceiver, match="two primes"):
        ReceiverSecret(int(nextprime(3 << 498)), int(nextprime(3 << 522)), 4)
    with pytest.raises(InvalidReceiver):
        ReceiverSecret(0, 5, 4)
    for bits in (0, 256, 1000, 1 << 16, None, 1024.0):
        with pytest.raises(ValueError, match="multiple of 256"):
            generate_receiver(bits)  # type: ignore[arg-type]


def test_the_secret_is_shown_to_nobody(secret: ReceiverSecret) -> None:
    shown = repr(secret) + str(secret.key)
    assert str(secret._first) not in shown
    assert "hidden" in repr(secret)
    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="secret_to_bytes"):
            copier(secret)
    with pytest.raises(AttributeError):
        secret.index = 1  # type: ignore[attr-defined]


def test_two_keys_differ() -> None:
    assert generate_receiver(512).key != generate_receiver(512).key
