"""Sizes of generations without a dealer that take no time."""

from __future__ import annotations

from shoup_rsa.dealerless.settings import Settings


def settings_for(parties: int = 4, *, batch: int = 6, key_size: int = 512, context: bytes = b"") -> Settings:
    corruptions = (parties - 1) // 3
    return Settings(
        parties,
        parties - corruptions,
        corruptions,
        context,
        key_size=key_size,
        batch=batch,
        insecure_small_key=True,
    )
