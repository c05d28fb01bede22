"""Replicated applications: a state machine of yours at every member, and replies that prove themselves.

``serve`` is the application process of one member, ``connect`` its client. docs/guides/execution.md explains
both.
"""

from alliance.execution.client import ExecutionClient, connect
from alliance.execution.executor import Executor
from alliance.execution.machine import (
    PAYLOAD_BYTES_MAX,
    REPLY_BYTES_MAX,
    Command,
    Kind,
    Refused,
    StateMachine,
    unwrap,
    wrap,
)
from alliance.execution.outcome import Outcome, Status
from alliance.execution.process import run_executor, serve
from alliance.execution.reply import Reply
from alliance.execution.runner import Runner

__all__ = [
    "PAYLOAD_BYTES_MAX",
    "REPLY_BYTES_MAX",
    "Command",
    "ExecutionClient",
    "Executor",
    "Kind",
    "Outcome",
    "Refused",
    "Reply",
    "Runner",
    "StateMachine",
    "Status",
    "connect",
    "run_executor",
    "serve",
    "unwrap",
    "wrap",
]
