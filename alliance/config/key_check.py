"""The public keys in alliance.toml: of the alliance's sizes, and by its founding or what came after."""

from __future__ import annotations

from alliance.config.founding import AGREEMENT, FoundingRecord
from alliance.config.key_changes import leads_to
from alliance.config.terms import Terms
from alliance.errors import ConfigError
from quorum import Context
from quorum.threshold_rsa import AgreementKey, factors_of

KEY_BITS_MIN = 2048
"""Of each modulus that a dealer has made: a composite key with one shorter factor has a dealer the less."""


def check_keys(
    key: AgreementKey,
    purpose_keys: tuple[tuple[str, AgreementKey], ...],
    founding: FoundingRecord,
    terms: Terms,
    epoch: int,
    dealing: int,
) -> None:
    """Raises ConfigError unless they are of the sizes of ``terms``, and the founding's or in their place."""
    system, named = terms.system, ((AGREEMENT, key), *purpose_keys)
    _require_origin(named, founding, terms, epoch, dealing)
    for purpose, other in named:
        bits = min(factor.key_size for factor in factors_of(other))
        if bits < KEY_BITS_MIN:
            raise ConfigError(
                f"alliance.toml: the {purpose} key has a modulus of {bits} bits, fewer than {KEY_BITS_MIN}"
            )
    if (key.parties, key.threshold, key.epoch) != (system.member_count, system.decision, dealing):
        raise ConfigError(
            f"alliance.toml: the agreement key is for {key.threshold} of {key.parties} members by dealing"
            f" {key.epoch}, the alliance needs {system.decision} of {system.member_count} by dealing"
            f" {dealing}"
        )
    moduli = {factor.modulus: AGREEMENT for factor in factors_of(key)}
    for purpose, other in purpose_keys:
        for factor in factors_of(other):
            if (owner := moduli.setdefault(factor.modulus, purpose)) != purpose:
                raise ConfigError(
                    f"alliance.toml: the key for '{purpose}' has the modulus of the {owner} key"
                )
        enough = system.one_correct <= other.threshold <= system.report
        if (other.parties, other.epoch) != (system.member_count, dealing) or not enough:
            raise ConfigError(f"alliance.toml: the key for '{purpose}' is not one of this alliance")


def _require_origin(
    named: tuple[tuple[str, AgreementKey], ...],
    founding: FoundingRecord,
    terms: Terms,
    epoch: int,
    dealing: int,
) -> None:
    """The keys are those of [founding], or have their public parts; or came in the place of such."""
    keys = tuple(key for _, key in named)
    dealt = (terms.founding_keys if dealing else keys) or keys
    names = (name for name, _ in named)
    same = founding.keys == tuple(zip(names, (one.key_id for one in dealt), strict=False))
    context = Context(founding.alliance_id, epoch)
    if not same or not leads_to(dealt, terms.key_changes, keys, context):
        raise ConfigError(
            "alliance.toml was altered: its keys are not those of [founding], nor such as came in their"
            " place; get a fresh copy from another member"
        )
