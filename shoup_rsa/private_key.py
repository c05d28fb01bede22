"""A private key that nobody has, for programs that want one: the `RSAPrivateKey` of `cryptography`.

    key = ThresholdPrivateKey(public_key, ask)              # ask(request) gives the members' shares
    certificate = builder.sign(key, hashes.SHA256())        # and CSRs, CRLs, SSH certificates
    token = jwt.encode(claims, key, "RS256")                # PyJWT

Where members answer later, the two halves are apart. The first leaves a request; the request alone is kept:

    request = prepare(public_key, lambda key: builder.sign(key, hashes.SHA256()))
    signature = request.combine(public_key, shares)         # another day, in another process
    der = finish_x509(public_key, request, signature)

This module needs the packages `cryptography` and `shoup_rsa`, and is not imported by the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding as paddings
from cryptography.hazmat.primitives.asymmetric import rsa

from shoup_rsa.documents import finish_jwt, finish_ssh_certificate, finish_x509
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.request import SigningRequest
from shoup_rsa.resolve import AnySignatureShare
from shoup_rsa.scheme import Scheme

__all__ = ["Ask", "ThresholdPrivateKey", "finish_jwt", "finish_ssh_certificate", "finish_x509", "prepare"]

Ask = Callable[[SigningRequest], Iterable[AnySignatureShare]]
"""Ask the members for shares of a request. Shares are taken one by one, and no more once they suffice: a
generator that asks one member after the other does not ask more than it must. What it raises goes through."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class ThresholdPrivateKey(rsa.RSAPrivateKey):
    """Signs by asking the members; everything else that private keys do, it refuses.

    PSS is deterministic here: the salt is a hash, as long as the scheme's hash (see `Scheme`). Not for
    signing what was hashed before: members must see what they sign.
    """

    def __init__(self, public_key: BasePublicKey, ask: Ask) -> None:
        """ask: called once for each signature."""
        self._threshold_key = public_key
        self._ask = ask

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self._threshold_key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """(N, e), for stock verifiers."""
        key = self._threshold_key
        return rsa.RSAPublicNumbers(key.public_exponent, key.modulus).public_key()

    def sign(self, data: bytes, padding: object, algorithm: object) -> bytes:
        """Ask the members, combine their shares, verify the result.

        Raises UnsupportedAlgorithm for anything but PKCS1v15, or PSS with MGF1 of the same hash and a salt of
        its length, with SHA-256, SHA-384 or SHA-512; NotEnoughShares; CombineFailed; what `ask` raises.
        """
        key = self._threshold_key
        request = SigningRequest(key.key_id, _scheme(padding, algorithm), bytes(data))
        return request.combine(key, self._ask(request))

    def decrypt(self, ciphertext: bytes, padding: object) -> NoReturn:
        """Refused: a key that signs must not decrypt, and members could not see what they do."""
        raise UnsupportedAlgorithm("a threshold key signs; it does not decrypt")

    def private_numbers(self) -> NoReturn:
        """Refused: nobody has them."""
        raise UnsupportedAlgorithm("nobody has the private numbers of a threshold key")

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:
        """Refused: nobody has them."""
        raise UnsupportedAlgorithm("nobody has the private bytes of a threshold key")

    def __copy__(self) -> ThresholdPrivateKey:
        return self

    def __deepcopy__(self, memo: object) -> ThresholdPrivateKey:
        return self

    def __repr__(self) -> str:
        return f"ThresholdPrivateKey({self._threshold_key!r})"


def prepare(public_key: BasePublicKey, build: Callable[[ThresholdPrivateKey], object]) -> SigningRequest:
    """Run `build` up to the place where it signs, and return what it wants signed.

    build: called with a key; it leaves by an exception at the first signature. Raises ValueError when it
    wants none; whatever it raises before.
    """

    def _leave(request: SigningRequest) -> NoReturn:
        raise _Asked(request)

    try:
        build(ThresholdPrivateKey(public_key, _leave))
    except _Asked as asked:
        return asked.request
    raise ValueError("build() has not asked for a signature")


class _Asked(BaseException):
    """Leaves `build`. Not an Exception: nothing on the way should take it for an error of its own."""

    def __init__(self, request: SigningRequest) -> None:
        super().__init__()
        self.request = request


def _scheme(padding: object, algorithm: object) -> Scheme:
    if not isinstance(algorithm, _HASHES):
        raise UnsupportedAlgorithm(
            "a threshold key signs with SHA-256, SHA-384 and SHA-512, and messages rather than digests"
        )
    bits = 8 * algorithm.digest_size
    if isinstance(padding, paddings.PKCS1v15):
        return Scheme(f"RS{bits}")
    if not isinstance(padding, paddings.PSS):
        raise UnsupportedAlgorithm("a threshold key signs by PKCS1v15 and PSS")
    # No public attribute tells these two; they have had these names in every release.
    if not isinstance(padding._mgf, paddings.MGF1) or not isinstance(
        padding._mgf._algorithm, type(algorithm)
    ):
        raise UnsupportedAlgorithm("PSS is for MGF1 with the hash of the message")
    if padding._salt_length not in (algorithm.digest_size, paddings.PSS.DIGEST_LENGTH):
        raise UnsupportedAlgorithm(
            f"the salt of PSS is as long as the hash here: salt_length={algorithm.digest_size}"
        )
    return Scheme(f"PS{bits}")
