"""Bytes on the wire, asked of the kernel: the TCP connections of some processes, by ``sock_diag(7)``.

Payload of TCP as sent and received, TLS and HTTP/2 framing included, headers of TCP and IP not. Connections
that are closed take their counts with them, so ask while they are open.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_INFO = 2
_ESTABLISHED = 1 << 1
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_MESSAGE_BYTES = 72
_PORTS_AT, _INODE_AT = 4, 68
_BYTES_AT = 120
"""Where ``tcpi_bytes_acked`` and ``tcpi_bytes_received`` lie in ``struct tcp_info`` (linux/tcp.h)."""


@dataclass(frozen=True, slots=True)
class Carried:
    """One end of one connection: bytes sent to another of the processes asked about (``inside``), or bytes
    sent to and received from anybody else."""

    inside: bool
    size: int


@dataclass(frozen=True, slots=True)
class _Connection:
    local: int
    remote: int
    inode: int
    sent: int
    received: int


def traffic(pids: Iterable[int]) -> dict[int, Carried]:
    """What these processes' open connections have carried, by inode; empty where the kernel does not tell."""
    inodes = set().union(*map(_sockets, pids))
    try:
        ours = [c for c in _connections() if c.inode in inodes]
    except OSError:
        return {}
    ends = {(c.local, c.remote) for c in ours}
    found = {}
    for c in ours:
        inside = (c.remote, c.local) in ends
        found[c.inode] = Carried(inside, c.sent if inside else c.sent + c.received)
    return found


def _sockets(pid: int) -> set[int]:
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
                if match is not None:
                    found.add(int(match[1]))
    return found


def _connections() -> Iterator[_Connection]:
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as channel:
            body = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ESTABLISHED)
            channel.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + body)
            more = True
            while more:
                data, place = channel.recv(1 << 18), 0
                while place < len(data):
                    length, kind, _, _, _ = _HEADER.unpack_from(data, place)
                    if kind != _BY_FAMILY:
                        more = False
                        break
                    yield _parse(data[place + _HEADER.size : place + length])
                    place += (length + 3) & ~3


def _parse(message: bytes) -> _Connection:
    local, remote = struct.unpack_from(">HH", message, _PORTS_AT)
    (inode,) = struct.unpack_from("=I", message, _INODE_AT)
    sent = received = 0
    place = _MESSAGE_BYTES
    while place + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, place)
        if kind == _INFO and length >= 4 + _BYTES_AT + 16:
            sent, received = struct.unpack_from("=QQ", message, place + 4 + _BYTES_AT)
        place += max((length + 3) & ~3, 4)
    return _Connection(local, remote, inode, sent, received)
