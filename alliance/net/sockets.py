"""The TCP connections of this process as the kernel has them: who is at the other end, and how much has come.

It needs ``/proc`` and ``TCP_INFO``, that is, Linux: see ``AVAILABLE``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from alliance.net import descriptors

_BYTES = struct.Struct("=QQ")
_BYTES_AT = 120
"""In the kernel's ``struct tcp_info``: bytes that the other end has confirmed, and bytes received."""

AVAILABLE = os.path.isdir(descriptors.FOLDER) and hasattr(socket, "TCP_INFO")
"""Whether connections can be measured on this system."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A connection: its descriptor here, the other end as host:port, and bytes since it was opened."""

    descriptor: int
    key: str
    received: int
    sent: int


def measure(open_now: list[int], wanted: Callable[[int, str], bool]) -> list[Sample]:
    """Of these descriptors the connections with a local port and another end that are ``wanted``."""
    found = []
    for descriptor in open_now:
        with contextlib.suppress(OSError):  # no socket, not connected, or gone by now
            sample = _measure(descriptor, wanted)
            if sample is not None:
                found.append(sample)
    return found


def _measure(descriptor: int, wanted: Callable[[int, str], bool]) -> Sample | None:
    borrowed = socket.socket(fileno=descriptor)
    try:
        if borrowed.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        port = borrowed.getsockname()[1]
        key = key_of(borrowed.getpeername())
        if not wanted(port, key):
            return None
        information = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        sent, received = _BYTES.unpack_from(information, _BYTES_AT)
        return Sample(descriptor, key, received, sent)
    finally:
        borrowed.detach()


def cut(descriptor: int, key: str) -> None:
    """Closes the connection, if it is still that to ``key``: gRPC finds it broken."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as held:
        if key_of(held.getpeername()) == key:  # the number may stand for another one by now
            held.shutdown(socket.SHUT_RDWR)


def key_of(name: tuple[str, int]) -> str:
    """A socket's name as host:port, the same for IPv4 within IPv6."""
    return f"{name[0].removeprefix('::ffff:').partition('%')[0]}:{name[1]}"
