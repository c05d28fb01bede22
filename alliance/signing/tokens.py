"""JSON Web Tokens (RFC 7519), signed by RS256: the request, the bytes to be signed, the policy."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from alliance.config.fields import only, texts, value
from alliance.errors import ConfigError
from alliance.signing import rules, shares
from alliance.signing.occasion import Occasion

REGISTERED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")
"""RFC 7519, section 4.1: these have their own fields here, or are set by the alliance."""
_CLAIM = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}")
_FIELDS = ("issuer", "subject", "audiences", "lifetime_seconds", "claims")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """``claims`` are (name, text) beside the registered ones. Raises ConfigError."""

    KIND: ClassVar[str] = "jwt"
    issuer: str
    subject: str
    audiences: tuple[str, ...]
    lifetime_seconds: int
    claims: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        rules.text("the issuer", self.issuer)
        rules.text("the subject", self.subject)
        rules.several("audiences", self.audiences)
        rules.count("the lifetime in seconds", self.lifetime_seconds, rules.SECONDS_MAX)
        names = [name for name, _ in self.claims]
        if names:
            rules.several("claims", tuple(names), _CLAIM)
        for name, given in self.claims:
            if name in REGISTERED:
                raise ConfigError(f"the claim '{name}' is set by its own option, or by the alliance")
            rules.text(f"the claim '{name}'", given)

    @property
    def summary(self) -> str:
        return f"a token of {self.issuer} for {self.subject}, {self.lifetime_seconds} s"

    def to_table(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "subject": self.subject,
            "audiences": list(self.audiences),
            "lifetime_seconds": self.lifetime_seconds,
            "claims": dict(self.claims),
        }

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> TokenRequest:
        """Raises ConfigError."""
        only(table, _FIELDS, where)
        claims = table.get("claims")
        if not isinstance(claims, dict) or not all(isinstance(text, str) for text in claims.values()):
            raise ConfigError(f"{where}: 'claims' are names with a string each")
        return cls(
            value(table, "issuer", str, where),
            value(table, "subject", str, where),
            texts(table, "audiences", where),
            value(table, "lifetime_seconds", int, where),
            tuple(sorted(claims.items())),
        )

    def message(self, occasion: Occasion) -> bytes:
        """The bytes to be signed: head and body. ``iat`` is the time stamp, ``jti`` the request's number."""
        head = {"alg": "RS256", "kid": occasion.key.jwk_thumbprint, "typ": "JWT"}
        audience = list(self.audiences) if len(self.audiences) > 1 else self.audiences[0]
        body = dict(self.claims) | {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": audience,
            "iat": occasion.seconds,
            "exp": occasion.seconds + self.lifetime_seconds,
            "jti": str(occasion.number),
        }
        return _part(head) + b"." + _part(body)

    def document(self, occasion: Occasion, message: bytes, signature: bytes) -> bytes:
        """The token, and nothing after it: verifiers are strict."""
        return shares.jwt(occasion.key, message, signature)


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """What one member allows. ``claims`` are (name, patterns of its value); other claims are refused."""

    KINDS: ClassVar[tuple[str, ...]] = (TokenRequest.KIND,)
    issuers: tuple[str, ...]
    subjects: tuple[str, ...]
    audiences: tuple[str, ...]
    lifetime_seconds_max: int
    claims: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> TokenPolicy:
        """Raises ConfigError."""
        only(table, ("issuers", "subjects", "audiences", "lifetime_seconds_max", "claims"), where)
        claims = table.get("claims", {})
        if not isinstance(claims, dict):
            raise ConfigError(f"{where}: write claims as a table: a list of patterns for each name")
        return cls(
            rules.patterns(table, "issuers", where),
            rules.patterns(table, "subjects", where),
            rules.patterns(table, "audiences", where),
            rules.most(table, "lifetime_seconds_max", where),
            {name: rules.patterns(claims, name, f"{where}, claims") for name in claims},
        )

    def judge(self, request: object) -> None:
        """Raises Refused."""
        if not isinstance(request, TokenRequest):
            raise rules.Refused("this key signs JSON Web Tokens only")
        rules.require("the issuer", request.issuer, rules.allows(self.issuers, request.issuer))
        rules.require("the subject", request.subject, rules.allows(self.subjects, request.subject))
        for audience in request.audiences:
            rules.require("the audience", audience, rules.allows(self.audiences, audience))
        rules.require_within("the lifetime in seconds", request.lifetime_seconds, self.lifetime_seconds_max)
        for name, given in request.claims:
            rules.require("the claim", name, name in self.claims)
            rules.require(f"the claim '{name}' with", given, rules.allows(self.claims[name], given))


def _part(table: Mapping[str, Any]) -> bytes:
    text = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=")
