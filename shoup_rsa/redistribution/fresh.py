"""Shares of a key that was just dealt, sealed to receivers: for the members that a new key is for.

Whoever made the key encrypts each share itself, with Paillier's encryption, to the key that its member has
published. There is no proof beside it: a share that does not fit its verification key is found out by the
member that opens it, before it says that it has it.
"""

from __future__ import annotations

from shoup_rsa import _arith
from shoup_rsa._entropy import RandomBelow, random_below
from shoup_rsa.errors import InvalidKey, InvalidReceiver
from shoup_rsa.key_share import KeyShare
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.redistribution import paillier
from shoup_rsa.redistribution.receivers import ReceiverKey, ReceiverSecret


def sealed_bytes(receiver: ReceiverKey) -> int:
    """The length of what ``seal_fresh`` gives for this receiver."""
    return receiver.bits // 4


def seal_fresh(share: KeyShare, receiver: ReceiverKey, *, random_below: RandomBelow = random_below) -> bytes:
    """The share, which only the owner of the receiver's secret opens.

    Raises InvalidReceiver for a receiver key that is too short for it.
    """
    if receiver.bits <= share.public_key.key_size + 1:
        raise InvalidReceiver(None, f"its modulus has {receiver.bits} bits, too few for a share of this key")
    randomizer = 1 + random_below((1 << paillier.randomizer_bits(receiver.bits)) - 1)
    ciphertext = paillier.encrypt(receiver.modulus, receiver.generator, share._secret, randomizer)
    return ciphertext.to_bytes(sealed_bytes(receiver), "big")


def open_fresh(key: ThresholdPublicKey, index: int, sealed: bytes, secret: ReceiverSecret) -> KeyShare:
    """Member ``index``'s share of ``key``, checked against its verification key. Raises InvalidKey."""
    modulus = secret.key.modulus
    ciphertext = int.from_bytes(sealed, "big")
    if len(sealed) != sealed_bytes(secret.key) or _arith.gcd(ciphertext % modulus, modulus) != 1:
        raise InvalidKey(f"what is sealed to member {index} is no ciphertext of its receiver key")
    share = KeyShare(key, index, secret.decrypt(ciphertext % (modulus * modulus)))
    share.check()
    return share
