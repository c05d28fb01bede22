"""One member's secret, and what it makes of a message.

Shoup, Protocol 2: the key share s_i gives the signature share x_i = x^(2 s_i) mod N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from shoup_rsa import _arith
from shoup_rsa import proof as proofs
from shoup_rsa.encoding import represent
from shoup_rsa.errors import InvalidKey, InvalidShare
from shoup_rsa.proof import Proof

if TYPE_CHECKING:
    from shoup_rsa.keys import ThresholdPublicKey

_VERSION = 1
_WITHOUT_PROOF = 0
_WITH_PROOF = 1
_HEADER_LENGTH = 4  # version u8, kind u8, index u16


def share_length(modulus_bits: int, with_proof: bool) -> int:
    """Bytes of an encoded signature share, the same for every share of a key."""
    length = _HEADER_LENGTH + modulus_bits // 8
    if with_proof:
        length += proofs.CHALLENGE_BITS // 8 + proofs.response_length(modulus_bits)
    return length


@dataclass(frozen=True, slots=True)
class SignatureShare:
    """A member's part of a signature: x_i in canonical form, and perhaps the proof that it is right.

    `index` is 1..parties. `value` is the smaller one of x_i and N - x_i: both pass the same proof, since it
    speaks about x_i^2, so only one of them is ever accepted. Combination uses x_i^2 too and loses nothing.
    The class itself checks nothing: `from_bytes`, `verify_share` and `combine` do, each against a key.
    """

    index: int
    value: int
    proof: Proof | None = None

    def to_bytes(self, public_key: ThresholdPublicKey) -> bytes:
        """version u8 = 1 | kind u8 (1 with proof, else 0) | index u16 | value | [c, 16 bytes | z],
        big-endian.

        Raises InvalidShare if this is no well-formed share of that key.
        """
        check_form(public_key, self)
        kind = _WITHOUT_PROOF if self.proof is None else _WITH_PROOF
        encoded = bytes((_VERSION, kind)) + self.index.to_bytes(2, "big")
        encoded += self.value.to_bytes(public_key.signature_length, "big")
        if self.proof is not None:
            encoded += self.proof.challenge.to_bytes(proofs.CHALLENGE_BITS // 8, "big")
            encoded += self.proof.response.to_bytes(proofs.response_length(public_key.key_size), "big")
        return encoded

    @classmethod
    def from_bytes(cls, public_key: ThresholdPublicKey, data: bytes) -> SignatureShare:
        """Decode strictly: exactly one byte string stands for a share. The proof is NOT checked here.

        Raises InvalidShare for another length or version, an index that is not 1..parties, a value that is
        not a canonical unit modulo N, or numbers of the proof that are out of range.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"an encoded share must be bytes, not {type(data).__name__}")
        lengths = {
            public_key.share_length(with_proof=False): _WITHOUT_PROOF,
            public_key.share_length(with_proof=True): _WITH_PROOF,
        }
        kind = lengths.get(len(data))
        if kind is None:
            raise InvalidShare(
                None, f"an encoded share has {' or '.join(map(str, lengths))} bytes, not {len(data)}"
            )
        if data[0] != _VERSION:
            raise InvalidShare(
                None, f"version {data[0]} of the encoding is unknown; this code reads {_VERSION}"
            )
        if data[1] != kind:
            raise InvalidShare(None, "the kind of the encoding contradicts its length")
        value_end = _HEADER_LENGTH + public_key.signature_length
        challenge_end = value_end + proofs.CHALLENGE_BITS // 8
        proof = None
        if kind == _WITH_PROOF:
            challenge = int.from_bytes(data[value_end:challenge_end], "big")
            proof = Proof(challenge, int.from_bytes(data[challenge_end:], "big"))
        index = int.from_bytes(data[2:_HEADER_LENGTH], "big")
        share = cls(index, int.from_bytes(data[_HEADER_LENGTH:value_end], "big"), proof)
        check_form(public_key, share)
        return share


def check_index(public_key: ThresholdPublicKey, index: int) -> None:
    """Raise InvalidShare unless index is an integer of 1..parties. (At 0 lies the secret itself.)"""
    if type(index) is not int or not 1 <= index <= public_key.parties:
        claimed = index if type(index) is int else None
        raise InvalidShare(
            claimed, f"the index of a share of this key is an integer of 1..{public_key.parties}"
        )


def check_value(public_key: ThresholdPublicKey, share: SignatureShare) -> None:
    """Raise InvalidShare unless the value is the smaller one of a pair x, N - x of units modulo N."""
    if type(share.value) is not int or not 1 <= share.value < public_key.modulus:
        raise InvalidShare(share.index, "the value is not in 1..N-1")
    if 2 * share.value > public_key.modulus:
        raise InvalidShare(
            share.index, "the value is not canonical: it must be the smaller one of x and N - x"
        )
    if _arith.gcd(share.value, public_key.modulus) != 1:
        raise InvalidShare(share.index, "the value has a common factor with the modulus")


def check_form(public_key: ThresholdPublicKey, share: SignatureShare) -> None:
    """Raise InvalidShare unless index, value and the proof's numbers are in their ranges."""
    check_index(public_key, share.index)
    check_value(public_key, share)
    if share.proof is None:
        return
    if not 0 <= share.proof.challenge < 1 << proofs.CHALLENGE_BITS:
        raise InvalidShare(
            share.index, f"the proof's challenge is not a number of {proofs.CHALLENGE_BITS} bits"
        )
    if not 0 <= share.proof.response < proofs.response_bound(public_key.key_size):
        raise InvalidShare(share.index, "the proof's response is out of range")


def verify_share(public_key: ThresholdPublicKey, message: bytes, share: SignatureShare) -> None:
    """Raise InvalidShare unless the share's proof holds for this message, key, epoch and index."""
    check_form(public_key, share)
    if share.proof is None:
        raise InvalidShare(share.index, "it carries no proof, so nothing can be said about it")
    representative = represent(public_key, message).value
    proofs.check(public_key, share.index, representative, share.value, share.proof)


class KeyShare:
    """One member's secret exponent s_i, bound for life to its index and its public key.

    Made by the dealer and by `open_key_share` only. It shows its secret to nobody: not in repr, not by
    pickling, not by copying. It takes no modulus from outside: raising s_i modulo a number chosen by somebody
    else (say a power of 3) would give s_i away at once.
    """

    __slots__ = ("_index", "_public_key", "_secret")

    _index: int
    _public_key: ThresholdPublicKey
    _secret: int

    def __init__(self, public_key: ThresholdPublicKey, index: int, secret: int) -> None:
        """Raises InvalidKey unless index is 1..parties and 0 < secret < N."""
        if type(index) is not int or not 1 <= index <= public_key.parties:
            raise InvalidKey(
                f"the index of a key share is an integer of 1..{public_key.parties}; 0 is the secret"
            )
        if type(secret) is not int or not 0 < secret < public_key.modulus:
            raise InvalidKey(f"the secret exponent of key share {index} is out of range")
        object.__setattr__(self, "_public_key", public_key)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_secret", secret)

    @property
    def index(self) -> int:
        """The member's index, 1..parties."""
        return self._index

    @property
    def public_key(self) -> ThresholdPublicKey:
        """The key that this share is a share of."""
        return self._public_key

    def sign_share(self, message: bytes, *, proof: bool = False) -> SignatureShare:
        """x_i = x^(2 s_i) mod N in canonical form; with `proof`, also the proof that it is right.

        The message is any bytes; it is hashed here. One constant-time exponentiation, with a proof three.
        Raises TypeError unless the message is bytes.
        """
        public_key = self._public_key
        representative = represent(public_key, message).value
        square = representative * representative % public_key.modulus
        power = _arith.secret_power(square, self._secret, public_key.modulus)
        value = min(power, public_key.modulus - power)
        if not proof:
            return SignatureShare(self._index, value)
        evidence = proofs.prove(public_key, self._index, self._secret, representative, value)
        return SignatureShare(self._index, value, evidence)

    def check(self) -> None:
        """Raise InvalidKey unless v_i = v^(s_i): this share is the one that the public key promises."""
        public_key = self._public_key
        image = _arith.secret_power(public_key.verification_base, self._secret, public_key.modulus)
        if image != public_key.verification_keys[self._index - 1]:
            raise InvalidKey(
                f"key share {self._index} does not match its verification key: it is damaged or of another "
                "key; do not use it and ask the dealer for a new dealing"
            )

    def __repr__(self) -> str:
        return f"KeyShare(index={self._index}, key_id={self._public_key.key_id.hex()[:16]}, secret=<hidden>)"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a key share cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a key share cannot be changed")

    def _refuse_copy(self, *_: object) -> NoReturn:
        raise TypeError("a key share cannot be copied or pickled; use seal_key_share to store it")

    __copy__ = __deepcopy__ = __getstate__ = __reduce__ = __reduce_ex__ = _refuse_copy
