"""Bytes as text that survives mail, editors and printing: PEM's lines, and a checksum that finds damage.

    -----BEGIN <label>----- | base64 of data and SHA-256(data), 64 characters a line | -----END <label>-----

Line ends, and blanks around the text, may differ; all else must be as written, down to the last bit.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from shoup_rsa.errors import InvalidKeyFile

RESTORE = "restore the file from a backup, or ask the dealer for a new dealing"
_CHECKSUM_LENGTH = 32


def armour(label: str, data: bytes) -> bytes:
    """The text, in ASCII, with a final newline."""
    begin, end = _lines(label)
    text = base64.b64encode(data + hashlib.sha256(data).digest())
    lines = (text[position : position + 64] + b"\n" for position in range(0, len(text), 64))
    return begin + b"".join(lines) + end


def remove_armour(label: str, text: bytes, length_max: int) -> bytes:
    """The data inside. Raises InvalidKeyFile, which says what is wrong; TypeError unless text is bytes."""
    name = label.lower().replace("rsa", "RSA").replace("shoup", "Shoup")
    if not isinstance(text, bytes):
        raise TypeError(f"the {name} must be bytes, not {type(text).__name__}")
    if len(text) > length_max:
        raise InvalidKeyFile(f"{len(text)} bytes are too many for a {name}; is this the right file?")
    begin, end = _lines(label)
    text = text.replace(b"\r\n", b"\n").strip() + b"\n"
    if not text.startswith(begin):
        raise InvalidKeyFile(f"this is not a {name} (its first line is missing); is this the right file?")
    if not text.endswith(b"\n" + end):
        raise InvalidKeyFile(f"the {name} is truncated (its last line is missing); {RESTORE}")
    try:
        data = base64.b64decode(text[len(begin) : -len(end)].replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise InvalidKeyFile(f"the {name} is damaged (not base64); {RESTORE}") from None
    body, checksum = data[:-_CHECKSUM_LENGTH], data[-_CHECKSUM_LENGTH:]
    if hashlib.sha256(body).digest() != checksum:
        raise InvalidKeyFile(f"the {name} is damaged (its checksum is wrong); {RESTORE}")
    if armour(label, body) != text:
        raise InvalidKeyFile(f"the {name} is not in its canonical form; {RESTORE}")
    return body


def _lines(label: str) -> tuple[bytes, bytes]:
    return f"-----BEGIN {label}-----\n".encode(), f"-----END {label}-----\n".encode()
