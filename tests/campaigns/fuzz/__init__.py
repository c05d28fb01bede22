"""Fuzzing: nearly valid bytes into everything that decodes bytes from outside. ``run`` is what to run."""

EXECUTIONS_MIN = 100_000
"""A target that had fewer in a run was not fuzzed."""

NAMES = (
    "envelope",
    "message",
    "gate",
    "submission",
    "listener's frame",
    "receipt",
    "evidence",
    "handshake",
    "state",
    "state transfer",
    "journal's batch",
    "journal's row",
    "journal's position",
    "journal's starts",
    "journal's checkpoint",
    "journal's membership",
    "control command",
    "control state",
    "new keys",
    "change of keys",
    "request file",
    "dealing file",
    "ceremony file",
    "request to sign",
    "certificate request",
    "signature share",
)
"""Of ``targets``; here, so that they are known before anything is imported."""
