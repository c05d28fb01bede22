"""Requests for signatures, as anybody may have them ordered, and the certificate requests within them."""

from __future__ import annotations

import json
from contextlib import suppress

from alliance.config.file import ATTESTATION
from alliance.errors import ConfigError, InvalidRequest
from alliance.signing import AuthorityRequest, CertificateRequest
from alliance.signing.occasion import Occasion
from alliance.signing.order import FORMAT, PREFIX, from_command, to_command
from tests.alliance.farm import TIME_MS, Farm
from tests.signing.samples import certificate, csr, login, token
from tests.worlds.require import require


def requests() -> list[bytes]:
    """The JSON of requests, without what comes before it in a command."""
    made = (token(), token(claims=()), certificate(), AuthorityRequest(365), login())
    return [to_command("web", request).removeprefix(PREFIX) for request in made]


class RequestTarget:
    """What is let through has one form, and every desk makes the same document of it."""

    def __init__(self, farm: Farm) -> None:
        key = farm.config.purpose_key(ATTESTATION)
        self._occasion = Occasion("fuzzed", "web", key, 7, 0, 0, TIME_MS, bytes(32))

    def __call__(self, data: bytes) -> bool:
        written = data
        with suppress(ValueError, RecursionError):
            written = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()
        try:
            purpose, request = from_command(PREFIX + written)
        except InvalidRequest:
            return False
        require(to_command(purpose, request) == PREFIX + written, "a request has two forms")
        require(json.loads(written)["format"] == FORMAT, "a request of another version")
        _, again = from_command(PREFIX + written)
        same = request.message(self._occasion) == again.message(self._occasion)
        require(same and request.summary.isprintable(), "two documents of one request")
        return True


def csrs() -> list[bytes]:
    return [csr("gate.example"), csr("a.example", "b.example", subject="a.example"), csr(subject="a.example")]


def run_csr(data: bytes) -> bool:
    """A signed thing cannot be altered: what is let through is one of the corpus, or says the same."""
    try:
        request = CertificateRequest(data, 1, ("server",))
    except ConfigError:
        return False
    require(all(name.endswith(".example") for name in request.dns_names), "a name that nobody signed")
    return True
