"""Keys that several dealers make together: each deals one factor of a key, and none of them knows the key.

Beside ``quorum.threshold_rsa`` an importer of shoup_rsa, and as that not imported by ``quorum/__init__``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import gcd

import shoup_rsa
from quorum.system import QuorumSystem
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey, ThresholdRsaEndorser
from shoup_rsa import composite, trials
from shoup_rsa.composite.key import FACTORS, KEY_SIZE_MAX

NONCE_BYTES = 32
FACTORS_MAX = FACTORS[-1]
KEY_BITS_MAX = KEY_SIZE_MAX
TRIALS = trials.TRIALS
"""Trial signatures under each factor."""


@dataclass(frozen=True)
class DealtFactor:
    """One dealer's factor of one key: the public key, the members' shares, in order, and trial signatures.

    ``trials`` show that signatures under the factor are unique: that the public exponent has no factor in
    common with the order of its group. Nobody could see it in the modulus.
    """

    key: AgreementKey
    endorsers: tuple[ThresholdRsaEndorser, ...] = field(repr=False)
    trials: tuple[bytes, ...] = field(repr=False)


def deal_factor(
    system: QuorumSystem,
    threshold: int,
    key_size: int,
    factors: int,
    progress: Callable[[str, int], None] | None = None,
) -> DealtFactor:
    """One of so many factors of a key of epoch 0; ``key_size`` is the factor's own.

    As ``deal_key``, but the modulus is in the upper part of its range: so the product has its full length.
    """
    dealing = shoup_rsa.generate_threshold_key(
        system.member_count,
        threshold,
        system.faulty_max,
        key_size,
        factors=factors,
        progress=progress,
    )
    key = dealing.public_key
    scheme, quorum = trials.trial_scheme(key), dealing.key_shares[:threshold]
    signatures = tuple(
        # Without proofs: the dealer knows its shares.
        key.combine(message, [share.sign_share(message, scheme) for share in quorum], scheme)
        for message in trials.trial_messages(key)
    )
    return DealtFactor(key, tuple(map(ThresholdRsaEndorser, dealing.key_shares)), signatures)


def new_nonce() -> bytes:
    """For one commitment."""
    return composite.new_commitment_nonce()


def commit(key: AgreementKey, nonce: bytes) -> bytes:
    """What a dealer publishes before it shows its factor."""
    return composite.commit(_ordinary(key), nonce)


def require_opening(commitment: bytes, key: AgreementKey, nonce: bytes) -> None:
    """Raises InvalidAgreementKey unless the commitment was to this key."""
    try:
        composite.check_opening(commitment, _ordinary(key), nonce)
    except composite.InvalidOpening as error:
        raise InvalidAgreementKey(str(error)) from None


def check_factor(key: AgreementKey, signatures: Sequence[bytes]) -> None:
    """Raises InvalidAgreementKey unless the verification keys fit the modulus and the trials are right."""
    key.check_dealing()
    trials.check_trials(_ordinary(key), signatures)


def is_long_enough(key: AgreementKey, factors: int) -> bool:
    """Whether the product of so many factors like this one has its full length: an honest dealer's are."""
    return 2 * factors * key.modulus >= (2 * factors - 1) << key.key_size


def have_common_prime(first: AgreementKey, second: AgreementKey) -> bool:
    """Or the same modulus."""
    return gcd(first.modulus, second.modulus) != 1


def compose(factors: Sequence[AgreementKey]) -> AgreementKey:
    """The key of these factors, in this order, which are by as many dealers. Raises InvalidAgreementKey."""
    return composite.CompositePublicKey(tuple(map(_ordinary, factors)))


def _ordinary(key: AgreementKey) -> shoup_rsa.ThresholdPublicKey:
    if not isinstance(key, shoup_rsa.ThresholdPublicKey):
        raise InvalidAgreementKey("a factor has one modulus, of one dealer")
    return key
