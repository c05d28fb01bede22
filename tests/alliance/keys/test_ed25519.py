"""What the gate accepts is what a key's holder signed, and OpenSSL accepts it, too."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.keys.ed25519 import InvalidSignature, verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
MESSAGE = b"open the gate"
SIGNATURE = KEY.sign(MESSAGE)
ORDER = 2**252 + 27742317777372353535851937790883648493


def test_what_was_signed_is_accepted() -> None:
    verify(PUBLIC, SIGNATURE, MESSAGE)
    verify(PUBLIC, KEY.sign(b""), b"")


@pytest.mark.parametrize("place", range(64))
def test_one_wrong_bit_is_refused(place: int) -> None:
    wrong = bytearray(SIGNATURE)
    wrong[place] ^= 1
    with pytest.raises(InvalidSignature):
        verify(PUBLIC, bytes(wrong), MESSAGE)


def test_other_keys_messages_and_lengths_are_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    high = SIGNATURE[:32] + (int.from_bytes(SIGNATURE[32:], "little") + ORDER).to_bytes(32, "little")
    for key, signature, message in (
        (other, SIGNATURE, MESSAGE),
        (PUBLIC, SIGNATURE, MESSAGE + b"!"),
        (PUBLIC, SIGNATURE + MESSAGE[:1], MESSAGE[1:]),
        (PUBLIC, SIGNATURE[:-1], SIGNATURE[-1:] + MESSAGE),
        (PUBLIC, b"", SIGNATURE + MESSAGE),
        (PUBLIC, high, MESSAGE),
    ):
        with pytest.raises(InvalidSignature):
            verify(key, signature, message)


def test_a_key_of_small_order_signs_nothing() -> None:
    """The identity as key and as point would fit every message."""
    identity = (1).to_bytes(32, "little")
    with pytest.raises(InvalidSignature):
        verify(identity, identity + bytes(32), MESSAGE)
