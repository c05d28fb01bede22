"""The client library: propose, listen, and the proofs that make a client believe. Loads no engine."""

from alliance.client.client import Client, connect
from alliance.client.delivery import LogEntry
from alliance.client.member_status import MemberStatus

__all__ = ["Client", "LogEntry", "MemberStatus", "connect"]
