"""HTTP/2 as an attacker speaks it: frames by hand, RFC 9113, so that nothing keeps to what is decent.

Headers are literals without indexing or Huffman coding (RFC 7541, section 6.2.2).
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from alliance.keys.channel import ChannelKey
from alliance.net.channels import GREETING

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PAYLOAD_MAX = 16384
WINDOW = 65535
INITIAL_WINDOW_SIZE = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def message(data: bytes, *, announced: int | None = None, compressed: bool = False) -> bytes:
    """A gRPC message, or the beginning of one that is said to be longer."""
    length = len(data) if announced is None else announced
    return bytes((compressed,)) + struct.pack(">I", length) + data


def headers(path: str, **more: str) -> bytes:
    fields = {":method": "POST", ":scheme": "https", ":path": path, ":authority": "x", "te": "trailers"}
    fields |= {"content-type": "application/grpc"} | dict(GREETING)
    fields |= {key.replace("_", "-"): more[key] for key in more}
    return b"".join(literal(name, value) for name, value in fields.items())


def literal(name: str, value: str) -> bytes:
    """A header field, of which name and value have 126 bytes at most."""
    return b"\0" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    return bytes((len(text),)) + text.encode()


def tls(mine: ChannelKey, *, server: bool = False) -> ssl.SSLContext:
    """One side that believes any other: it is no victim."""
    purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
    context = ssl.create_default_context(purpose)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "pem"
        pem.write_bytes(mine.certificate_pem + b"\n" + mine.key_pem)
        context.load_cert_chain(pem)
    context.set_alpn_protocols(["h2"])
    return context


@dataclass
class Stream:
    window: int
    unsent: bytes = b""
    announced: int = 0
    """So many bytes more are sent after ``unsent``, of whatever."""
    ended: bool = False
    got: bytearray = field(default_factory=bytearray)

    @property
    def left(self) -> int:
        return len(self.unsent) + self.announced


class Closed(Exception):
    """The server closed the connection."""


class Connection:
    """One connection; sends as much as the server's windows allow. Raises Closed, or OSError."""

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        *,
        reads: bool = True,
        source: str = "127.0.0.1",
    ) -> None:
        """``reads``: grants the server more window as answers come. ``source``: the own address."""
        held = socket.create_connection(address, timeout=5.0, source_address=(source, 0))
        self._socket = context.wrap_socket(held)
        self._socket.settimeout(10.0)
        self._reads = reads
        self._buffer = b""
        self._initial = self.window = WINDOW
        self.streams: dict[int, Stream] = {}
        self.sent = 0
        self._number = -1
        self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def close(self) -> None:
        self._socket.close()

    def open(self, path: str, **more: str) -> Stream:
        self._number += 2
        self._socket.sendall(frame(HEADERS, END_HEADERS, self._number, headers(path, **more)))
        self.streams[self._number] = stream = Stream(self._initial)
        return stream

    def push(self, *, end: bool = False) -> bool:
        """One frame of each stream that has something to send, and a window; whether anything was sent.

        ``end``: the last frame of each ends the stream.
        """
        moved = False
        for number, stream in self.streams.items():
            size = min(stream.window, self.window, PAYLOAD_MAX, stream.left)
            if size <= 0 or stream.ended:
                continue
            part, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            filling = size - len(part)
            stream.announced -= filling
            last = end and not stream.left
            self._socket.sendall(frame(DATA, END_STREAM * last, number, part + bytes(filling)))
            stream.window -= size
            self.window -= size
            self.sent += size
            moved = True
        return moved

    def pump(self, seconds: float) -> None:
        """Takes in what the server says within this time, or has said."""
        end = time.monotonic() + seconds
        while True:
            left = max(0.0, end - time.monotonic())
            if not self._socket.pending() and not select.select([self._socket], [], [], left)[0]:
                return
            data = self._socket.recv(65536)
            if not data:
                raise Closed
            self._buffer += data
            while len(self._buffer) >= 9 and len(self._buffer) >= 9 + int.from_bytes(self._buffer[:3], "big"):
                length = int.from_bytes(self._buffer[:3], "big")
                kind, flags = self._buffer[3:5]
                number = int.from_bytes(self._buffer[5:9], "big")
                payload, self._buffer = self._buffer[9 : 9 + length], self._buffer[9 + length :]
                self._take(kind, flags, number, payload)
            if not seconds:
                return

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self.streams.get(number)
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == INITIAL_WINDOW_SIZE:
                    for each in self.streams.values():
                        each.window += value - self._initial
                    self._initial = value
            self._socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if number == 0:
                self.window += more
            elif stream is not None:
                stream.window += more
        elif kind == GOAWAY:
            raise Closed
        elif stream is not None and (kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM)):
            stream.ended = True
        elif kind == DATA and stream is not None:
            stream.got += payload[:1024]
            if self._reads and payload:
                more = len(payload).to_bytes(4, "big")
                self._socket.sendall(frame(WINDOW_UPDATE, 0, 0, more) + frame(WINDOW_UPDATE, 0, number, more))
