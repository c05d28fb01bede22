"""What requests are made of, and what policies say about it: forms of texts and keys, patterns, refusals.

A pattern is a string, which allows itself, or ends with ``*`` and allows what begins like it. Patterns of DNS
names are the other way round: ``*.example.org`` allows every name below ``example.org``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from alliance.config.fields import texts, value
from alliance.errors import ConfigError

TEXT_MAX = 256
ITEMS_MAX = 64
SECONDS_MAX = 100 * 366 * 86400
DNS_NAME = re.compile(
    r"(?=.{1,64}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)

RSA_BITS_MIN, RSA_BITS_MAX = 2048, 8192
CURVES = ("secp256r1", "secp384r1", "secp521r1")
Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
"""What is certified."""


class Refused(Exception):
    """A member's policy does not allow a request; the text is one sentence for the requester."""


# -- requests ----------------------------------------------------------------------------------------


def text(what: str, given: str) -> str:
    """Raises ConfigError for a string that is empty, too long or does not print."""
    if not 0 < len(given) <= TEXT_MAX or not given.isprintable():
        raise ConfigError(f"{what} must be 1 to {TEXT_MAX} printable characters, not {given!r:.80}")
    return given


def several(what: str, given: tuple[str, ...], form: re.Pattern[str] | None = None) -> tuple[str, ...]:
    """Raises ConfigError unless these are 1 to ITEMS_MAX different texts (of that form)."""
    if not 0 < len(given) <= ITEMS_MAX or len(set(given)) != len(given):
        raise ConfigError(f"{what}: name 1 to {ITEMS_MAX}, each once")
    for one in given:
        if form is not None and not form.fullmatch(one):
            raise ConfigError(f"{what}: {one!r:.80} cannot be signed here")
        text(what, one)
    return given


def key(given: object) -> Key:
    """Raises ConfigError for a key that is not certified."""
    match given:
        case ed25519.Ed25519PublicKey():
            return given
        case ec.EllipticCurvePublicKey() if given.curve.name in CURVES:
            return given
        case rsa.RSAPublicKey() if RSA_BITS_MIN <= given.key_size <= RSA_BITS_MAX:
            return given
    raise ConfigError(
        f"a key must be Ed25519, of a NIST curve, or RSA of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits"
    )


def count(what: str, given: int, most: int) -> int:
    if not 1 <= given <= most:
        raise ConfigError(f"{what} must be 1 to {most:,}, not {given}")
    return given


# -- policies ----------------------------------------------------------------------------------------


def patterns(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Raises ConfigError when a ``*`` stands elsewhere than at the end."""
    found = texts(table, key, where)
    for pattern in found:
        if not pattern or "*" in pattern[:-1]:
            raise ConfigError(
                f"{where}: {key}: {pattern!r:.80} is not a pattern: a string, with '*' only at its end"
            )
    return found


def dns_patterns(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Raises ConfigError for what is neither a DNS name nor ``*.`` and a name."""
    found = texts(table, key, where)
    for pattern in found:
        if not DNS_NAME.fullmatch(pattern.removeprefix("*.")):
            raise ConfigError(
                f"{where}: {key}: {pattern!r:.80} is not a pattern: a name in lower case, or '*.' and a name"
            )
    return found


def choice(table: Mapping[str, Any], key: str, known: Iterable[str], where: str) -> tuple[str, ...]:
    found = texts(table, key, where)
    for one in found:
        if one not in known:
            raise ConfigError(f"{where}: {key}: there is no {one!r:.80}; there is {', '.join(known)}")
    return found


def most(table: Mapping[str, Any], key: str, where: str) -> int:
    """A number from 1 on. Raises ConfigError."""
    found: int = value(table, key, int, where)
    return count(f"{where}: '{key}'", found, SECONDS_MAX)


def allows(patterns: Iterable[str], given: str) -> bool:
    return any(
        given.startswith(pattern[:-1]) if pattern.endswith("*") else given == pattern for pattern in patterns
    )


def allows_name(patterns: Iterable[str], name: str) -> bool:
    return any(
        name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern for pattern in patterns
    )


def require(what: str, given: str, allowed: bool) -> None:
    """Raises Refused."""
    if not allowed:
        raise Refused(f"{what} {given!r:.100} is not allowed")


def require_within(what: str, given: int, most: int) -> None:
    """Raises Refused."""
    if given > most:
        raise Refused(f"{what} is {given:,}, allowed are {most:,} at most")
