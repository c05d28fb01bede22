"""A resource that locks protect: a small server of files, one under each lock, over HTTP.

``PUT /NAME`` writes and ``GET /NAME`` reads, with the header ``Lock-Ticket: BASE64``: a ticket of the lock
NAME. It contacts no member of the alliance, and has no use for a clock. It checks the alliance's signature on
the ticket, and compares the token with the highest that it has seen:

    401  no ticket, or a forged one; of another alliance, service or lock
    404  nothing was written yet
    409  a later grant was seen here: the lock of whoever comes with this token is over
    413  more than FILE_BYTES_MAX

This is an example of what to check, and no web server: put TLS in front of it, for tickets are bearer tokens.
"""

from __future__ import annotations

import base64
import contextlib
import os
import sqlite3
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from examples.lock_service.fences import Fences, Marks, StaleToken, WrongMode
from examples.lock_service.operations import Grant
from examples.lock_service.ticket import InvalidTicket, Ticket

HEADER = "Lock-Ticket"
FILE_BYTES_MAX = 1024 * 1024
CONNECTIONS_MAX = 32
REQUEST_SECONDS = 20.0


class Files:
    """The files of a folder, and in ``fences.sqlite`` the tokens that were seen. One process at a time."""

    def __init__(self, folder: Path, key: RSAPublicKey) -> None:
        """``key``: the alliance's attestation key. Raises OSError or sqlite3.Error, also if it is in use."""
        self._folder = folder
        self._key = key
        self._mutex = threading.Lock()
        folder.mkdir(exist_ok=True)
        self._database = sqlite3.connect(
            folder / "fences.sqlite", timeout=0.0, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("BEGIN EXCLUSIVE")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, seen INTEGER, written INTEGER)"
        )
        self._database.execute("COMMIT")
        rows = self._database.execute("SELECT name, seen, written FROM marks")
        self._fences = Fences({name: Marks(seen, written) for name, seen, written in rows})

    def close(self) -> None:
        self._database.close()

    def write(self, name: str, ticket: Ticket, content: bytes) -> None:
        """Raises InvalidTicket, WrongMode or StaleToken; then nothing is changed."""
        grant = self._granted(name, ticket)
        with self._mutex:
            # The mark first: a crash between the two forbids older tokens more, and allows none.
            self._mark(name, self._fences.write(name, grant.mode, grant.token))
            fresh = self._path(name).with_suffix(".new")
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path(name))
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def read(self, name: str, ticket: Ticket) -> bytes | None:
        """None if nothing was written yet. Raises InvalidTicket or StaleToken."""
        grant = self._granted(name, ticket)
        with self._mutex:
            self._mark(name, self._fences.read(name, grant.token))
            try:
                return self._path(name).read_bytes()
            except FileNotFoundError:
                return None

    def _granted(self, name: str, ticket: Ticket) -> Grant:
        grant = ticket.verify(self._key)
        if grant.name != name:
            raise InvalidTicket(f"the ticket is one of the lock '{grant.name}'")
        return grant

    def _mark(self, name: str, marks: Marks) -> None:
        if self._fences.marks.get(name) != marks:
            row = (name, marks.seen, marks.written)
            self._database.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", row)
            self._fences.marks[name] = marks

    def _path(self, name: str) -> Path:
        return self._folder / (name.replace("/", ",") + ".file")  # flat, so that '..' in it leads nowhere


class Server(ThreadingHTTPServer):
    """``serve_forever`` serves; ``shutdown`` ends that.

    When there are too many connections, the oldest one of the address that has most of them is closed: a
    request that is whole takes milliseconds, so whoever is slow on purpose loses to whoever is not.
    """

    daemon_threads = True
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, address: tuple[str, int], files: Files) -> None:
        super().__init__(address, Handler)
        self.files = files
        self._mutex = threading.Lock()
        self._open: dict[Any, tuple[str, float]] = {}  # the oldest first: address, and when it began

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._mutex:
            if len(self._open) >= CONNECTIONS_MAX:
                counts = Counter(address for address, _ in self._open.values())
                ((busiest, _),) = counts.most_common(1)
                self._end(next(each for each, (address, _) in self._open.items() if address == busiest))
            self._open[request] = client_address[0], time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._mutex:
                self._open.pop(request, None)

    def service_actions(self) -> None:
        """Called twice a second: a whole request has REQUEST_SECONDS, not each byte of it."""
        begun = time.monotonic() - REQUEST_SECONDS
        with self._mutex:
            for request in [request for request, (_, at) in self._open.items() if at < begun]:
                self._end(request)

    def _end(self, request: Any) -> None:
        """Its thread finds the connection closed."""
        del self._open[request]
        with contextlib.suppress(OSError):
            request.shutdown(SHUT_RDWR)

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        pass  # a connection that broke off


class Handler(BaseHTTPRequestHandler):
    """One request for each connection."""

    timeout = REQUEST_SECONDS
    server: Server

    def do_PUT(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 18:
            return self._answer(HTTPStatus.LENGTH_REQUIRED, b"say how long the content is\n")
        if int(length) > FILE_BYTES_MAX:
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"%d bytes at most\n" % FILE_BYTES_MAX)
        content = self.rfile.read(int(length))
        if len(content) != int(length):
            return None

        def work(name: str, ticket: Ticket) -> tuple[HTTPStatus, bytes]:
            self.server.files.write(name, ticket, content)
            return HTTPStatus.OK, b"written\n"

        return self._guarded(work)

    def do_GET(self) -> None:
        def work(name: str, ticket: Ticket) -> tuple[HTTPStatus, bytes]:
            content = self.server.files.read(name, ticket)
            if content is None:
                return HTTPStatus.NOT_FOUND, b"nothing was written yet\n"
            return HTTPStatus.OK, content

        self._guarded(work)

    def _guarded(self, work: Any) -> None:
        try:
            text = base64.b64decode(self.headers.get(HEADER, ""), validate=True)
            answer = work(unquote(self.path[1:]), Ticket.from_json(text))
        except (InvalidTicket, WrongMode, ValueError) as error:
            answer = HTTPStatus.UNAUTHORIZED, f"{error}\n".encode("utf-8", "replace")
        except StaleToken as error:
            answer = HTTPStatus.CONFLICT, f"{error}\n".encode()
        except (OSError, sqlite3.Error):
            answer = HTTPStatus.INTERNAL_SERVER_ERROR, b"the disk does not take it: nothing is promised\n"
        self._answer(*answer)

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent: requests hold tickets."""
