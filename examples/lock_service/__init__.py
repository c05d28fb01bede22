"""A lock service between organisations: leases on agreed time, and fencing tokens that anybody can check.

A lock is a lease: it protects nothing by itself. What protects a resource is the token of each grant, which
rises with each grant and is signed by the alliance; the resource refuses who comes with an old one.
``machine`` is the service, ``client`` and ``sync`` are its library, ``resource`` shows what to check. Run
``python -m examples.lock_service --help`` for the command line; docs/guides/locks.md says what is promised.
"""

from examples.lock_service.client import Held, LeaseLost, LockClient, LockRefused, LockTaken, connect
from examples.lock_service.encoding import Mode
from examples.lock_service.fences import Fences, StaleToken, WrongMode
from examples.lock_service.machine import LockMachine
from examples.lock_service.ticket import APPLICATION, InvalidTicket, Ticket

__all__ = [
    "APPLICATION",
    "Fences",
    "Held",
    "InvalidTicket",
    "LeaseLost",
    "LockClient",
    "LockMachine",
    "LockRefused",
    "LockTaken",
    "Mode",
    "StaleToken",
    "Ticket",
    "WrongMode",
    "connect",
]
