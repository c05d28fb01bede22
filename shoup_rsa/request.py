"""What a member is asked to sign, as bytes that can travel: for members that answer later, or elsewhere.

    "shoup-rsa/signing-request" 00 | version u8 = 1 | key id 32 | scheme, 5 letters of ASCII | message

The message is in it in full, and not only its digest: a member must be able to see what it signs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shoup_rsa.composite.key_share import AnyKeyShare
from shoup_rsa.errors import InvalidRequest, InvalidShare, NotEnoughShares
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.resolve import AnySignatureShare, ProofForm
from shoup_rsa.scheme import Scheme
from shoup_rsa.session import SigningSession

MESSAGE_LENGTH_MAX = 1 << 26
"""64 MiB. Whoever signs larger things signs a list of their digests."""

_MAGIC = b"shoup-rsa/signing-request\x00\x01"
_KEY_ID_LENGTH = 32
_SCHEMES = {scheme.value.encode(): scheme for scheme in Scheme}
_SCHEME_LENGTH = 5
_MESSAGE_AT = len(_MAGIC) + _KEY_ID_LENGTH + _SCHEME_LENGTH


@dataclass(frozen=True)
class SigningRequest:
    """The message, how it is to be signed, and by which key (its `key_id`, so sizes and epoch as well).

    Raises InvalidRequest for a key id of another length than 32 bytes and for more than MESSAGE_LENGTH_MAX
    bytes of message; TypeError for fields of other types.
    """

    key_id: bytes
    scheme: Scheme
    message: bytes

    def __post_init__(self) -> None:
        if not (isinstance(self.key_id, bytes) and isinstance(self.message, bytes)):
            raise TypeError("the key id and the message of a request must be bytes")
        if not isinstance(self.scheme, Scheme):
            raise TypeError(f"the scheme must be a Scheme, not {type(self.scheme).__name__}")
        if len(self.key_id) != _KEY_ID_LENGTH:
            raise InvalidRequest(f"a key id has {_KEY_ID_LENGTH} bytes, not {len(self.key_id)}")
        if len(self.message) > MESSAGE_LENGTH_MAX:
            raise InvalidRequest(f"a message has at most {MESSAGE_LENGTH_MAX} bytes, not {len(self.message)}")

    def to_bytes(self) -> bytes:
        """The one encoding of this request."""
        return _MAGIC + self.key_id + self.scheme.value.encode() + self.message

    @classmethod
    def from_bytes(cls, data: bytes) -> SigningRequest:
        """Decode strictly. Raises InvalidRequest; TypeError unless data is bytes."""
        if not isinstance(data, bytes):
            raise TypeError(f"an encoded request must be bytes, not {type(data).__name__}")
        if not data.startswith(_MAGIC):
            raise InvalidRequest("this is no signing request, or of a version that this code does not read")
        if len(data) < _MESSAGE_AT:
            raise InvalidRequest("the signing request is truncated")
        key_id = data[len(_MAGIC) :][:_KEY_ID_LENGTH]
        scheme = _SCHEMES.get(data[_MESSAGE_AT - _SCHEME_LENGTH : _MESSAGE_AT])
        if scheme is None:
            raise InvalidRequest("the scheme of the signing request is unknown")
        return cls(key_id, scheme, data[_MESSAGE_AT:])

    def check_key(self, public_key: BasePublicKey) -> None:
        """Raise InvalidRequest unless the request is for this key."""
        if self.key_id != public_key.key_id:
            raise InvalidRequest(
                f"the request is for the key {self.key_id.hex()[:16]}, not for {public_key.key_id.hex()[:16]}"
            )

    def sign_share(self, key_share: AnyKeyShare, *, proof: ProofForm = "none") -> AnySignatureShare:
        """This member's part, as by `KeyShare.sign_share`. LOOK AT THE MESSAGE FIRST: nobody else will.

        Raises InvalidRequest if the request is for another key.
        """
        self.check_key(key_share.public_key)
        return key_share.sign_share(self.message, self.scheme, proof=proof)

    def combine(self, public_key: BasePublicKey, shares: Iterable[AnySignatureShare]) -> bytes:
        """The signature from shares as they come; stops at the first that completes it.

        A share that cannot be one is passed over: a member that sends nonsense does not stop the others.
        Raises InvalidRequest if the request is for another key, and when there are no more shares
        NotEnoughShares or CombineFailed(culprits, unproven).
        """
        self.check_key(public_key)
        session = SigningSession(public_key, self.message, self.scheme)
        given = set()
        for share in shares:
            try:
                signature = session.add(share)
            except InvalidShare:
                continue
            given.add(share.index)
            if signature is not None:
                return signature
        if len(given) < public_key.threshold:
            raise NotEnoughShares(public_key.threshold, len(given))
        raise session.failure()

    def __repr__(self) -> str:
        return (
            f"SigningRequest(key_id={self.key_id.hex()[:16]}, scheme={self.scheme.value}, "
            f"message of {len(self.message)} bytes)"
        )
