"""Signatures of purpose keys on documents of the outside. Beside quorum.threshold_rsa the only door to
shoup_rsa.

Members give shares on the bytes of a document (RS256: PKCS#1 v1.5 with SHA-256); whoever has enough of them
has the document's signature, which is an ordinary one.
"""

from __future__ import annotations

from collections.abc import Callable

from quorum.threshold_rsa import AgreementKey
from shoup_rsa import AnySignatureShare, CombineFailed, InvalidShare, Scheme, SigningRequest
from shoup_rsa.private_key import (
    ThresholdPrivateKey,
    finish_jwt,
    finish_ssh_certificate,
    finish_x509,
    prepare,
)

__all__ = ["Shares", "jwt", "ssh_certificate", "to_be_signed", "x509_certificate"]


def to_be_signed(key: AgreementKey, build: Callable[[ThresholdPrivateKey], object]) -> bytes:
    """What ``build`` wants signed when it is handed the key."""
    return prepare(key, build).message


def jwt(key: AgreementKey, message: bytes, signature: bytes) -> bytes:
    """The JSON Web Token in compact form."""
    return finish_jwt(key, _request(key, message), signature).encode()


def x509_certificate(key: AgreementKey, message: bytes, signature: bytes) -> bytes:
    """The certificate in DER."""
    return finish_x509(key, _request(key, message), signature)


def ssh_certificate(key: AgreementKey, message: bytes, signature: bytes) -> bytes:
    """The certificate as the line of a file, without a newline."""
    return finish_ssh_certificate(key, _request(key, message), signature)


class Shares:
    """The shares of one message. Each is checked by its proof when it comes: a bad one has a name at once."""

    def __init__(self, key: AgreementKey, message: bytes) -> None:
        self._key = key
        self._message = message
        self._good: dict[int, AnySignatureShare] = {}

    @property
    def members(self) -> tuple[int, ...]:
        """Whose shares are good, counted from 0."""
        return tuple(sorted(self._good))

    @property
    def enough(self) -> bool:
        return len(self._good) >= self._key.threshold

    def add(self, member: int, encoded: bytes) -> None:
        """Raises ValueError, with the reason, for what is no valid share of this member's."""
        try:
            share = self._key.share_from_bytes(encoded)
            if share.index != member + 1:
                raise ValueError(f"it is the share of member {share.index}")
            self._key.verify_share(self._message, share)
        except InvalidShare as error:
            raise ValueError(error.reason) from None
        self._good[member] = share

    def signature(self) -> bytes:
        """Combined and verified. There must be enough.

        Raises ValueError when right shares do not combine: then the key's dealer is to blame, and no member.
        """
        try:
            return _request(self._key, self._message).combine(self._key, self._good.values())
        except CombineFailed as error:
            raise ValueError(str(error)) from None


def _request(key: AgreementKey, message: bytes) -> SigningRequest:
    return SigningRequest(key.key_id, Scheme.PKCS1V15_SHA256, message)
