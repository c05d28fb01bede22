"""The canonical bytes of a public key: what its name is the hash of.

Numbers are big-endian, those modulo N of key_size / 8 bytes each:

    "shoup-rsa/public-key" 00 | version u8 | protocol u8 | key_size u16 | parties | threshold | corruptions |
    epoch u64 | e u32 | N | v | [u] | v_1 .. v_n

Version 1 is for Protocol 2 with at most 256 parties; its three sizes are u16. Version 2 is for all other
keys; its three sizes are u32. u is there in Protocol 2 only. So every key has exactly one encoding.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from shoup_rsa.errors import InvalidKey
from shoup_rsa.sizes import KEY_SIZES, check_sizes

if TYPE_CHECKING:
    from shoup_rsa.keys import ThresholdPublicKey

_MAGIC = b"shoup-rsa/public-key\x00"
_VERSION_1_PARTIES_MAX = 256
_LAYOUTS = {1: struct.Struct(">BBHHHHQI"), 2: struct.Struct(">BBHIIIQI")}


def encoding_version(protocol: int, parties: int) -> int:
    """1 or 2: the version of the encodings of such a key, of its key shares and its signature shares."""
    return 1 if protocol == 2 and parties <= _VERSION_1_PARTIES_MAX else 2


def encode_public_key(key: ThresholdPublicKey) -> bytes:
    """The canonical encoding."""
    header = _LAYOUTS[key.encoding_version].pack(
        key.encoding_version,
        key.protocol,
        key.key_size,
        key.parties,
        key.threshold,
        key.corruptions,
        key.epoch,
        key.public_exponent,
    )
    numbers = [key.modulus, key.verification_base]
    if key.nonresidue is not None:
        numbers.append(key.nonresidue)
    numbers += key.verification_keys
    return _MAGIC + header + b"".join(number.to_bytes(key.signature_length, "big") for number in numbers)


def decode_public_key(data: bytes) -> dict[str, Any]:
    """The arguments of `ThresholdPublicKey`, which validates what is not checked here: the numbers.

    Raises InvalidKey for everything that is not the one encoding of some sizes, before reading the numbers;
    TypeError unless data is bytes.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"an encoded public key must be bytes, not {type(data).__name__}")
    if len(data) <= len(_MAGIC) or data[: len(_MAGIC)] != _MAGIC:
        raise InvalidKey("this is not an encoded threshold public key")
    layout = _LAYOUTS.get(data[len(_MAGIC)])
    if layout is None:
        raise InvalidKey(f"encoding version {data[len(_MAGIC)]} is unknown; this code reads 1 and 2")
    start = len(_MAGIC) + layout.size
    if len(data) < start:
        raise InvalidKey("the encoded threshold public key is truncated")
    version, protocol, key_size, parties, threshold, corruptions, epoch, exponent = layout.unpack_from(
        data, len(_MAGIC)
    )
    check_sizes(protocol, parties, threshold, corruptions, epoch)
    if version != encoding_version(protocol, parties):
        raise InvalidKey(f"protocol {protocol} with {parties} parties is not encoded in version {version}")
    if key_size not in KEY_SIZES:
        raise InvalidKey(f"a key size of {key_size} bits is not supported")
    width = key_size // 8
    length = start + (protocol + 1 + parties) * width
    if len(data) != length:
        raise InvalidKey(f"the encoding should have {length} bytes, not {len(data)}")
    numbers = [int.from_bytes(data[at : at + width], "big") for at in range(start, length, width)]
    if numbers[0].bit_length() != key_size:
        raise InvalidKey(f"the modulus does not have exactly {key_size} bits")
    return {
        "modulus": numbers[0],
        "public_exponent": exponent,
        "parties": parties,
        "threshold": threshold,
        "corruptions": corruptions,
        "epoch": epoch,
        "verification_base": numbers[1],
        "verification_keys": tuple(numbers[protocol + 1 :]),
        "nonresidue": numbers[2] if protocol == 2 else None,
        "protocol": protocol,
    }
