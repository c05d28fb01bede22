"""Which public key checks what an epoch has signed: where an alliance has got new keys, not that of now."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.config.file import AllianceConfig
from alliance.errors import InvalidReceipt
from alliance.proofs.receipt import Receipt, key_fingerprint, load_public_key
from quorum import DecisionCertificate, InvalidCertificate, QuorumCertificate


class UnknownKey(InvalidCertificate):
    """A certificate does not verify, and is of an epoch that may have another key, which is not known yet."""


def verify_in(config: AllianceConfig, certificate: DecisionCertificate | QuorumCertificate) -> None:
    """By the key of its epoch. Raises UnknownKey, or another InvalidCertificate."""
    try:
        certificate.verify(config.scheme.in_epoch(certificate.epoch))
    except InvalidCertificate as error:
        if certificate.epoch > config.epoch:
            raise UnknownKey(f"epoch {certificate.epoch} is not known here yet: {error}") from None
        raise


class EpochKey(NamedTuple):
    """``last_slot``: it says nothing of later slots, where another key has its place. None: it is in use."""

    key: RSAPublicKey
    fingerprint: str
    last_slot: int | None


class EpochKeys:
    """The keys at one place of their order, 0 for the agreement key, as ``config`` has them when asked."""

    def __init__(self, config: Callable[[], AllianceConfig], place: int = 0) -> None:
        self._config, self._place = config, place
        self._known: dict[tuple[int, int], EpochKey] = {}

    def of(self, epoch: int) -> EpochKey:
        """The key of an epoch; for a later one than is known, the newest."""
        config = self._config()
        changes = config.key_changes
        # A key of an epoch stays; that another one has taken its place may yet become known.
        number = (len(changes), sum(change.epoch <= epoch for change in changes))
        found = self._known.get(number)
        if found is None:
            scheme = config.scheme_at(self._place).in_epoch(epoch)
            key = load_public_key(scheme.key.to_pem())
            found = self._known[number] = EpochKey(key, key_fingerprint(key), scheme.last_slot)
        return found

    def key_for(self, receipt: Receipt) -> RSAPublicKey:
        """By which to verify it. Raises InvalidReceipt for a slot behind the last one of its epoch's key."""
        epoch, slot = receipt.context.epoch, receipt.certificate.slot
        found = self.of(epoch)
        if found.last_slot is not None and slot > found.last_slot:
            raise InvalidReceipt(
                f"it is certified up to slot {slot} by the key of epoch {epoch}, in whose place another one"
                f" came at slot {found.last_slot}: whoever made it has got hold of old shares"
            )
        return found.key
