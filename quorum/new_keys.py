"""New keys in place of the alliance's present ones: made by one dealer, for the members of the next epoch.

A dealing is public: the new keys, and for each member its shares, sealed to its receiver key. Canonical
(``shoup_rsa`` encodes the keys)::

    "alliance-new-keys/1" 00 | keys: count u8, each u32 length | key
    | members: count u16, each: of every key u32 length | ciphertext

Imports shoup_rsa, as ``quorum.threshold_rsa`` does, and is therefore not imported by ``quorum/__init__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorum.receivers import ReceiverKey, ReceiverSecret
from quorum.threshold_rsa import (
    AgreementKey,
    InvalidAgreementKey,
    ThresholdRsaEndorser,
    factors_of,
    read_agreement_key,
)
from shoup_rsa import KeyShare, ThresholdPublicKey
from shoup_rsa.redistribution.fresh import open_fresh, seal_fresh

_MAGIC = b"alliance-new-keys/1\x00"


@dataclass(frozen=True)
class NewKeysDealing:
    """``keys`` in the order of alliance.toml; ``sealed`` has for each member, in order, a part for each."""

    keys: tuple[AgreementKey, ...]
    sealed: tuple[tuple[bytes, ...], ...]

    def encode(self) -> bytes:
        parts = [_MAGIC, len(self.keys).to_bytes(1, "big")]
        parts += [_blob(key.to_bytes()) for key in self.keys]
        parts.append(len(self.sealed).to_bytes(2, "big"))
        parts += [_blob(part) for member in self.sealed for part in member]
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> NewKeysDealing:
        """Raises InvalidAgreementKey for bytes that are none, or not in this one spelling."""
        reader = _Reader(data)
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise InvalidAgreementKey("these are no new keys, or of another version")
        keys = tuple(read_agreement_key(reader.blob()) for _ in range(reader.number(1)))
        count = reader.number(2)
        sealed = tuple(tuple(reader.blob() for _ in keys) for _ in range(count))
        found = cls(keys, sealed)
        if not keys or found.encode() != data:
            raise InvalidAgreementKey("these are no new keys: none are there, or more than keys")
        return found

    def require(
        self,
        present: Sequence[AgreementKey],
        members: int,
        thresholds: Sequence[int],
        faulty_max: int,
        epoch: int,
    ) -> None:
        """Raises InvalidAgreementKey unless they can take the place of the ``present`` keys.

        They are for so many members, in this dealing, with these thresholds, and share no factor with each
        other or with the keys before; each is as long as the one whose place it takes: shares of a longer one
        could take too long to sign with, and no receiver key be found in time for them. Nor do they take the
        place of keys that no dealer knows (``require_one_dealer``).
        """
        require_one_dealer(present)
        if len(self.keys) != len(present) or len(self.sealed) != members:
            raise InvalidAgreementKey(f"{len(present)} keys are wanted, for {members} members")
        seen = {key.modulus for key in present}
        for key, old, threshold in zip(self.keys, present, thresholds, strict=True):
            if not isinstance(key, ThresholdPublicKey) or key.form is not None:
                raise InvalidAgreementKey("a new key is not one that a dealer has just made")
            if (key.parties, key.threshold, key.corruptions, key.epoch) != (
                *(members, threshold, faulty_max),
                epoch,
            ):
                raise InvalidAgreementKey("a new key is for other sizes, or of another dealing")
            if key.key_size != old.key_size:
                raise InvalidAgreementKey("a new key is not as long as the one before")
            if key.modulus in seen:
                raise InvalidAgreementKey("a new key has the modulus of another one")
            seen.add(key.modulus)
            key.check_dealing()

    def receive(self, member: int, secret: ReceiverSecret) -> tuple[ThresholdRsaEndorser, ...]:
        """A member's shares, each checked. Raises InvalidAgreementKey."""
        opened = []
        for key, sealed in zip(self.keys, self.sealed[member], strict=True):
            if not isinstance(key, ThresholdPublicKey):
                raise InvalidAgreementKey("a new key is not one that a dealer has just made")
            opened.append(ThresholdRsaEndorser(open_fresh(key, member + 1, sealed, secret)))
        return tuple(opened)


def require_one_dealer(present: Sequence[AgreementKey]) -> None:
    """Raises InvalidAgreementKey unless these are keys in whose place one dealer's may come.

    Who has a composite key trusts no dealer alone. One that deals in its place would know all of the key that
    it deals, and what its alliance was founded to be safe from would have come to pass.
    """
    if any(len(factors_of(key)) > 1 for key in present):
        raise InvalidAgreementKey(
            "the keys of this alliance are by several dealers, so that none of them knows one, and the new"
            " ones would be one dealer's, who does"
        )


def seal_new_keys(
    dealt: Sequence[tuple[AgreementKey, Sequence[ThresholdRsaEndorser]]], receivers: Sequence[ReceiverKey]
) -> NewKeysDealing:
    """What was dealt, (key, shares) each, to the members with these receiver keys, in their order.

    Nothing secret is left in what it returns. Raises InvalidReceiver for a receiver key that is too short.
    """
    sealed = []
    for member, receiver in enumerate(receivers):
        parts = []
        for _, endorsers in dealt:
            share = endorsers[member].key_share
            if not isinstance(share, KeyShare):
                raise InvalidAgreementKey("a new key is one that a dealer has just made")
            parts.append(seal_fresh(share, receiver))
        sealed.append(tuple(parts))
    return NewKeysDealing(tuple(key for key, _ in dealt), tuple(sealed))


def _blob(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) != length:
            raise InvalidAgreementKey("new keys that end too early")
        self._at += length
        return taken

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def blob(self) -> bytes:
        return self.take(self.number(4))
