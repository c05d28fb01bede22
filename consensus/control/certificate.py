"""The certificate with which an identity certifies itself, byte for byte: all but its signature follows from
name and key.

A row's certificate is read by everybody who writes the alliance's file, or lets the party in. One operator
could stop them all with bytes that are none, so a row that is added has exactly this one: X.509 in DER, as
``alliance.config.identity`` makes and explains it.
"""

from __future__ import annotations

from hashlib import sha1, sha256

_ED25519 = bytes.fromhex("300506032b6570")
_COMMON_NAME, _SERIAL_NUMBER = bytes.fromhex("0603550403"), bytes.fromhex("0603550405")
_VALIDITY = bytes.fromhex("3020170d") + b"200101000000Z" + bytes.fromhex("180f") + b"99991231235959Z"
_VERSION = bytes.fromhex("a003020102")
_BASIC_CONSTRAINTS = bytes.fromhex("30120603551d130101ff040830060101ff020100")
_KEY_USAGE = bytes.fromhex("300e0603551d0f0101ff040403020204")
_NAME_CONSTRAINTS, _KEY_IDENTIFIER = bytes.fromhex("0603551d1e0101ff"), bytes.fromhex("0603551d0e")
_SEQUENCE, _SET, _INTEGER, _BITS, _OCTETS, _UTF8, _PRINTABLE = 0x30, 0x31, 0x02, 0x03, 0x04, 0x0C, 0x13
_SIGNATURE_BYTES = 64
_SERIAL_BITS = 159


def certified(name: str, identity: bytes) -> bytes:
    """What the identity (32 bytes) of this name signs."""
    subject = _der(
        _SEQUENCE,
        _der(_SET, _der(_SEQUENCE, _COMMON_NAME, _der(_UTF8, name.encode()))),
        _der(_SET, _der(_SEQUENCE, _SERIAL_NUMBER, _der(_PRINTABLE, identity.hex().encode()))),
    )
    serial = int.from_bytes(sha256(identity).digest(), "big") >> (256 - _SERIAL_BITS) or 1
    # A leading bit of 1 would make it negative.
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    tree = _der(_SEQUENCE, _der(0xA0, _der(_SEQUENCE, _der(0x82, name.encode()))))
    key_identifier = _der(_OCTETS, sha1(identity, usedforsecurity=False).digest())
    extensions = _der(
        _SEQUENCE,
        _BASIC_CONSTRAINTS,
        _KEY_USAGE,
        _der(_SEQUENCE, _NAME_CONSTRAINTS, _der(_OCTETS, tree)),
        _der(_SEQUENCE, _KEY_IDENTIFIER, _der(_OCTETS, key_identifier)),
    )
    key = _der(_SEQUENCE, _ED25519, _der(_BITS, b"\x00", identity))
    parts = (_VERSION, _der(_INTEGER, number), _ED25519, subject, _VALIDITY, subject, key)
    return _der(_SEQUENCE, *parts, _der(0xA3, extensions))


def certificate(name: str, identity: bytes, signature: bytes) -> bytes:
    """The certificate with this signature (64 bytes) on ``certified``."""
    return _der(_SEQUENCE, certified(name, identity), _ED25519, _der(_BITS, b"\x00", signature))


def signature_in(encoded: bytes) -> bytes:
    """The signature of a certificate, if it is one."""
    return encoded[-_SIGNATURE_BYTES:]


def _der(tag: int, *parts: bytes) -> bytes:
    """ITU-T X.690: a tag, the length in its shortest form, the content."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content
