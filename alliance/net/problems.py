"""Why a server could not be reached, in words for the person who asked instead of gRPC's."""

from __future__ import annotations

_UNAVAILABLE = "unavailable: "
_WORDS = (
    (
        ("certificate has expired",),
        "its TLS certificate has expired: 'alliance renew DIR' there, if the clock here is right",
    ),
    (
        ("certificate is not yet valid",),
        "its TLS certificate is not yet valid: the clock here is behind, or the one there was ahead",
    ),
    (("connection refused",), "connection refused"),
    (("dns resolution",), "its host name is not known here"),
    (("ssl", "certificate"), "TLS handshake failed: another alliance, or a clock that is wrong"),
    (("handshake", "timed out", "timeout"), "it does not answer"),
    (("reset by peer", "broken pipe", "closed"), "the connection broke"),
    (("unreachable", "no route"), "there is no route to it"),
)
"""What gRPC's text contains, in lower case, and what it means. The first that fits counts."""


def plainly(problem: str) -> str:
    """``problem`` is ``status: details``. What is not gRPC's own about a connection is left as it is."""
    text = problem.lower()
    if text.startswith(_UNAVAILABLE):
        for signs, words in _WORDS:
            if any(sign in text for sign in signs):
                return words
    return problem
