"""Consensus between organisations that cooperate but do not trust each other.

The doors: ``connect`` gives a ``Client`` that proposes and listens; ``alliance.sync.connect`` its blocking
twin; ``Receipt`` is the proof that a command was ordered. Errors are ``AllianceError``, and all that clients
meet are here; but a command over a limit is an ``InvalidSubmission``, which is a ValueError, a wrong argument
a TypeError or ValueError, and a client that is used in the wrong process or event loop a RuntimeError.

The doors that need the network are imported when they are first used, so that the signer process and
offline verification stay small.
"""

import os
from typing import TYPE_CHECKING, Any

from alliance.errors import (
    AllianceError,
    ClockError,
    ConfigError,
    InvalidReceipt,
    InvalidRequest,
    KeyFileError,
    LogPruned,
    OutcomeUnknown,
    SubmissionRefused,
    Unreachable,
    VotesMissing,
)
from alliance.version import VERSION

if TYPE_CHECKING:
    from alliance.client import Client, MemberStatus, connect
    from alliance.client.delivery import LogEntry
    from alliance.execution.errors import CommandRefused, ReplyMissing
    from alliance.proofs.receipt import Receipt
    from alliance.signing.errors import SharesMissing, SigningRefused
    from verifiable_log import InvalidSubmission

# gRPC's own handlers of forks give up while an event loop polls, which is always, and then a child that ends
# takes its parent with it. gRPC reads this when it is imported; see alliance.net.forks.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

__version__ = VERSION

__all__ = [
    "AllianceError",
    "Client",
    "ClockError",
    "CommandRefused",
    "ConfigError",
    "InvalidReceipt",
    "InvalidRequest",
    "InvalidSubmission",
    "KeyFileError",
    "LogEntry",
    "LogPruned",
    "MemberStatus",
    "OutcomeUnknown",
    "Receipt",
    "ReplyMissing",
    "SharesMissing",
    "SigningRefused",
    "SubmissionRefused",
    "Unreachable",
    "VotesMissing",
    "__version__",
    "connect",
]

_LAZY = {
    "Client": "alliance.client",
    "MemberStatus": "alliance.client",
    "connect": "alliance.client",
    "LogEntry": "alliance.client",
    "Receipt": "alliance.proofs.receipt",
    "CommandRefused": "alliance.execution.errors",
    "ReplyMissing": "alliance.execution.errors",
    "SharesMissing": "alliance.signing.errors",
    "SigningRefused": "alliance.signing.errors",
    "InvalidSubmission": "verifiable_log",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'alliance' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
