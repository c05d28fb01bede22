"""From a signing request and its signature to the document: X.509, JSON Web Tokens, SSH certificates.

In these formats what is signed holds the whole document but its signature. So the request is all that must
be kept while members make up their minds; here the signature is put where the format wants it.
"""

from __future__ import annotations

import base64
import struct

from shoup_rsa.errors import InvalidRequest
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.request import SigningRequest
from shoup_rsa.scheme import Scheme

# DER of the object identifiers of RFC 8017, appendix A.2 and C.
_RSA_OID = bytes.fromhex("06092a864886f70d0101")
_MGF1_OID = _RSA_OID + b"\x08"
_PSS_OID = _RSA_OID + b"\x0a"
_PKCS1V15_OIDS = {"sha256": _RSA_OID + b"\x0b", "sha384": _RSA_OID + b"\x0c", "sha512": _RSA_OID + b"\x0d"}
_SHA2_OID = bytes.fromhex("06096086480165030402")
_HASH_OIDS = {"sha256": _SHA2_OID + b"\x01", "sha384": _SHA2_OID + b"\x02", "sha512": _SHA2_OID + b"\x03"}
_HASH_LENGTHS = {"sha256": 32, "sha384": 48, "sha512": 64}
_NULL = b"\x05\x00"
_SEQUENCE, _INTEGER, _BIT_STRING = 0x30, 0x02, 0x03

# RFC 8332. SSH knows no PSS.
_SSH_ALGORITHMS = {Scheme.PKCS1V15_SHA256: b"rsa-sha2-256", Scheme.PKCS1V15_SHA512: b"rsa-sha2-512"}
_SSH_CERTIFICATE = b"-cert-v01@openssh.com"


def finish_x509(public_key: BasePublicKey, request: SigningRequest, signature: bytes) -> bytes:
    """The certificate, certificate signing request or revocation list in DER (RFC 5280, RFC 2986).

    Raises InvalidSignature; InvalidRequest when the request is for another key or signs no such thing.
    """
    _check(public_key, request, signature)
    if not _is_one_sequence(request.message):
        raise InvalidRequest("what was signed is not one DER sequence, so no part of an X.509 document")
    return _der(
        _SEQUENCE,
        request.message + _algorithm(request.scheme) + _der(_BIT_STRING, b"\x00" + signature),
    )


def finish_jwt(public_key: BasePublicKey, request: SigningRequest, signature: bytes) -> str:
    """The JSON Web Token, or other JWS in compact form (RFC 7515, section 3.1).

    Raises InvalidSignature; InvalidRequest when the request is for another key or signs no such thing.
    """
    _check(public_key, request, signature)
    if not request.message.isascii() or request.message.count(b".") != 1:
        raise InvalidRequest("what was signed is not the head and the body of a JSON Web Token")
    return request.message.decode() + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def finish_ssh_certificate(public_key: BasePublicKey, request: SigningRequest, signature: bytes) -> bytes:
    """The OpenSSH certificate as the line of a file, without a final newline (PROTOCOL.certkeys).

    Raises InvalidSignature; InvalidRequest when the request is for another key or signs no such thing.
    """
    _check(public_key, request, signature)
    algorithm = _SSH_ALGORITHMS.get(request.scheme)
    if algorithm is None:
        raise InvalidRequest(f"SSH has no signatures by {request.scheme.value}; it has RS256 and RS512")
    name_length = int.from_bytes(request.message[:4], "big")
    name = request.message[4 : 4 + name_length]
    if len(name) != name_length or not name.endswith(_SSH_CERTIFICATE) or not name.isascii():
        raise InvalidRequest("what was signed is not an SSH certificate")
    blob = request.message + _ssh_string(_ssh_string(algorithm) + _ssh_string(signature))
    return name + b" " + base64.b64encode(blob)


def _check(public_key: BasePublicKey, request: SigningRequest, signature: bytes) -> None:
    request.check_key(public_key)
    public_key.verify(request.message, signature, request.scheme)


def _algorithm(scheme: Scheme) -> bytes:
    """AlgorithmIdentifier (RFC 4055), in the one form that is usual: hashes with NULL as their parameter."""
    if scheme.value.startswith("RS"):
        return _der(_SEQUENCE, _PKCS1V15_OIDS[scheme.hash_name] + _NULL)
    hashed = _der(_SEQUENCE, _HASH_OIDS[scheme.hash_name] + _NULL)
    parameters = _der(0xA0, hashed) + _der(0xA1, _der(_SEQUENCE, _MGF1_OID + hashed))
    parameters += _der(0xA2, _der(_INTEGER, bytes((_HASH_LENGTHS[scheme.hash_name],))))
    return _der(_SEQUENCE, _PSS_OID + _der(_SEQUENCE, parameters))


def _der(tag: int, content: bytes) -> bytes:
    """One element of DER: X.690, section 10.1 on lengths."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    encoded = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(encoded))) + encoded + content


def _is_one_sequence(data: bytes) -> bool:
    """Whether the outermost element is a SEQUENCE that ends where the data ends."""
    heads = (2, 3, 4, 5, 6)  # lengths below 2^32 are all that a request can have
    return any(data == _der(_SEQUENCE, data[head:]) for head in heads)


def _ssh_string(data: bytes) -> bytes:
    """RFC 4251, section 5."""
    return struct.pack(">I", len(data)) + data
