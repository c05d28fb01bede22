"""One member's secret, and what it makes of a message.

Shoup, section 2: the key share s_i gives the signature share x_i = x^(2 Delta s_i) in Protocol 1 and
x_i = x^(2 s_i) in Protocols 2 and 3. In all it is base^(s_i), with the base of `encoding.Representative`.
"""

from __future__ import annotations

from shoup_rsa import _arith
from shoup_rsa import proof as proofs
from shoup_rsa.blinding import Blinding, NoncePool
from shoup_rsa.encoding import Representative, represent
from shoup_rsa.errors import InvalidKey
from shoup_rsa.hidden import HiddenKeyShare
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.resolve import ProofForm
from shoup_rsa.scheme import Scheme
from shoup_rsa.share import SignatureShare, share_length


class KeyShare(HiddenKeyShare):
    """One member's secret exponent s_i, bound for life to its index and its public key.

    Made by the dealer, by a redistribution and by `open_key_share` only. It shows its secret to nobody: not
    in repr, not by pickling, not by copying. It takes no modulus from outside: raising s_i modulo a number
    chosen by somebody else (say a power of 3) would give s_i away at once. Threads may share it, and forked
    processes too.
    """

    __slots__ = ("_blinding", "_index", "_nonces", "_public_key", "_secret")

    _blinding: Blinding | None
    _index: int
    _nonces: NoncePool
    _public_key: ThresholdPublicKey
    _secret: int

    def __init__(self, public_key: ThresholdPublicKey, index: int, secret: int) -> None:
        """Raises InvalidKey unless index is 1..parties and 0 < secret < N.

        In Protocol 3 secrets have signs: 0 < |secret| < 2^share_bits_max.
        """
        if type(index) is not int or not 1 <= index <= public_key.parties:
            raise InvalidKey(
                f"the index of a key share is an integer of 1..{public_key.parties}; 0 is the secret"
            )
        if type(secret) is not int or not _in_range(public_key, secret):
            raise InvalidKey(f"the secret exponent of key share {index} is out of range")
        object.__setattr__(self, "_public_key", public_key)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_secret", secret)
        object.__setattr__(self, "_blinding", None)
        object.__setattr__(self, "_nonces", NoncePool())

    @property
    def index(self) -> int:
        """The member's index, 1..parties."""
        return self._index

    @property
    def public_key(self) -> ThresholdPublicKey:
        """The key that this share is a share of."""
        return self._public_key

    @property
    def factor_shares(self) -> tuple[KeyShare, ...]:
        """This share, of the one factor that its key has."""
        return (self,)

    def sign_share(
        self, message: bytes, scheme: Scheme = Scheme.PKCS1V15_SHA256, *, proof: ProofForm = "none"
    ) -> SignatureShare:
        """This member's part of the signature of `message`, in canonical form, blinded while it is computed.

        The message is any bytes; it is hashed here. proof: "none"; "compact", for one reader; "batchable",
        twice as long, for readers that check many at once. One constant-time exponentiation; with a proof
        three, or two if `precompute` was called before. The first call takes two more, for the blinding.

        Raises TypeError unless the message is bytes and the scheme a Scheme, ValueError for another form of
        proof or a key too short for the scheme.
        """
        share_length(self._public_key, proof)  # refuses an unknown form
        return self.sign(represent(self._public_key, message, scheme), proof)

    def sign(self, representative: Representative, proof: ProofForm) -> SignatureShare:
        """`sign_share` of a message that was represented under this share's key, or under a composite one."""
        key = self._public_key
        mask, unmask = self._masks().next()
        masked = _arith.multiply(representative.base, mask, key.modulus)
        power = _power(key, masked, self._secret)
        power = _arith.multiply(power, unmask, key.modulus)
        value = min(power, key.modulus - power)
        if proof == "none":
            return SignatureShare(self._index, value)
        nonce = self._nonces.take() or proofs.draw_nonce(key)
        batchable = proof == "batchable"
        evidence = proofs.prove(
            key, self._index, self._secret, representative, value, nonce, batchable=batchable
        )
        return SignatureShare(self._index, value, evidence)

    def _masks(self) -> Blinding:
        """Made on first use: whoever only opens a key share need not wait for it."""
        blinding = self._blinding
        if blinding is None:
            key = self._public_key
            image = key.verification_keys[self._index - 1]
            blinding = Blinding(key.verification_base, image, key.modulus)
            object.__setattr__(self, "_blinding", blinding)
        return blinding

    def precompute(self, proofs_ahead: int) -> None:
        """Prepare for that many proofs, in a quiet moment: each then takes one exponentiation less.

        What is prepared is as secret as the key share, stays in this process and its memory, and is used
        once; a forked child does not inherit it. DO NOT use it where a running machine may be copied (by a
        snapshot): the two copies would prove with the same random numbers, and two such proofs give the key
        share away. Raises ValueError beyond 4096 kept at a time.
        """
        for _ in range(proofs_ahead - len(self._nonces)):
            self._nonces.put(proofs.draw_nonce(self._public_key))

    def check(self) -> None:
        """Raise InvalidKey unless v_i = v^(s_i): this share is the one that the public key promises."""
        key = self._public_key
        image = _power(key, key.verification_base, self._secret)
        if image != key.verification_keys[self._index - 1]:
            raise InvalidKey(
                f"key share {self._index} does not match its verification key: it is damaged or of another "
                "key; do not use it and ask the dealer for a new dealing"
            )

    def secret_to_bytes(self) -> bytes:
        """What `seal_key_share` encrypts: s_i, of `public_key.secret_length` bytes, signed in Protocol 3."""
        key = self._public_key
        return self._secret.to_bytes(key.secret_length, "big", signed=key.form is not None)

    @classmethod
    def from_secret_bytes(cls, public_key: ThresholdPublicKey, index: int, secret: bytes) -> KeyShare:
        """The opposite. Raises InvalidKey as the constructor does; a wrong secret is for `check` to find."""
        return cls(public_key, index, int.from_bytes(secret, "big", signed=public_key.form is not None))

    def __repr__(self) -> str:
        return f"KeyShare(index={self._index}, key_id={self._public_key.key_id.hex()[:16]}, secret=<hidden>)"


def _in_range(key: ThresholdPublicKey, secret: int) -> bool:
    if key.form is None:
        return 0 < secret < key.modulus
    return secret != 0 and secret.bit_length() <= key.share_bits_max


def _power(key: ThresholdPublicKey, base: int, secret: int) -> int:
    """base^secret; secrets of the integer form have a sign."""
    raise_to = _arith.secret_power if key.form is None else _arith.signed_secret_power
    return raise_to(base, secret, key.modulus)
