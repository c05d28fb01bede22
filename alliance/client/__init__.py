"""The client library: propose, listen, and the proofs that make a client believe. Loads no engine."""

from alliance.client.client import Client, MemberStatus, connect
from alliance.client.listener import LogEntry

__all__ = ["Client", "LogEntry", "MemberStatus", "connect"]
