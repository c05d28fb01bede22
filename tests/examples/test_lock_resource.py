"""Tickets prove grants, and nothing else does; a resource refuses whoever was overtaken."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.config.file import ATTESTATION
from alliance.execution import Kind, Outcome, Reply, Status, wrap
from alliance.proofs.receipt import key_fingerprint, load_public_key
from examples.lock_service import (
    APPLICATION,
    InvalidTicket,
    Mode,
    StaleToken,
    Ticket,
    WrongMode,
    operations,
    resource,
)
from examples.lock_service.operations import Acquire, Ask, Grant, Operation, Renew
from examples.lock_service.resource import CONNECTIONS_MAX, FILE_BYTES_MAX, HEADER, Files, Server
from examples.lock_service.ticket import TICKET_BYTES_MAX
from quorum import Context, Endorsement
from tests.alliance.farm import TIME_MS, Farm

SESSION = b"s" * 16
Make = Callable[..., Ticket]


@pytest.fixture(scope="module")
def key(farm: Farm) -> RSAPublicKey:
    return load_public_key(farm.config.purpose_key(ATTESTATION).to_pem())


@pytest.fixture(scope="module")
def make(farm: Farm, key: RSAPublicKey) -> Make:
    """A ticket with a true signature, on whatever is asked for."""

    def make(
        token: int = 1,
        name: str = "gate",
        mode: Mode = Mode.EXCLUSIVE,
        *,
        operation: Operation | None = None,
        answer: bytes | None = None,
        application: str = APPLICATION,
        kind: Kind = Kind.APPLY,
        status: Status = Status.DONE,
    ) -> Ticket:
        command = operations.encode(operation or Acquire(SESSION, mode, 0, name))
        grant = Grant(name, mode, token, farm.client_id(), SESSION, TIME_MS + 30_000)
        payload = answer if answer is not None else operations.encode_answer(grant)
        digest = sha256(wrap(application, kind, command)).digest()
        outcome = Outcome(farm.client_id(), 7, 0, 3, TIME_MS, digest, status, payload)
        statement = outcome.statement()
        message = statement.encode(farm.config.context)
        shares = [
            Endorsement(statement, member, farm.attesters[member].endorse(message, proven=False))
            for member in (0, 1, 2)
        ]
        signature = farm.config.attestation.combine(shares)
        return Ticket(Reply(farm.config.context, outcome, signature, key_fingerprint(key)), command)

    return make


# -- tickets --------------------------------------------------------------------------------------------


def test_a_ticket_says_what_was_granted(make: Make, key: RSAPublicKey) -> None:
    for ticket in (make(5), make(5, operation=Ask(SESSION, "gate"))):
        grant = Ticket.from_json(ticket.to_json()).verify(key)
        assert (grant.name, grant.token, grant.mode) == ("gate", 5, Mode.EXCLUSIVE)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"application": "kv"},  # whose clients choose its answers
        {"kind": Kind.QUERY},
        {"status": Status.REFUSED},
        {"operation": Renew(SESSION)},
        {"answer": b""},
        {"answer": operations.encode_answer(operations.Done())},
        {"answer": operations.encode_answer(operations.Refused(operations.Reason.TAKEN))},
    ],
    ids=str,
)
def test_another_word_of_the_alliance_is_no_ticket(
    make: Make, key: RSAPublicKey, otherwise: dict[str, Any]
) -> None:
    with pytest.raises(InvalidTicket, match="proves nothing"):
        make(**otherwise).verify(key)


def test_an_altered_ticket_and_another_alliances_are_refused(
    make: Make, key: RSAPublicKey, farm: Farm
) -> None:
    ticket = make(5)
    other = make(6)
    forged = replace(ticket, reply=replace(ticket.reply, outcome=other.reply.outcome))
    moved = replace(ticket, reply=replace(ticket.reply, context=Context(bytes(32), 0)))
    asked = replace(ticket, command=operations.encode(Acquire(SESSION, Mode.EXCLUSIVE, 0, "another")))
    for bad in (forged, moved, asked):
        with pytest.raises(InvalidTicket):
            bad.verify(key)
    with pytest.raises(InvalidTicket, match="another key"):
        ticket.verify(load_public_key(farm.config.key.to_pem()))


def test_what_is_no_ticket_is_refused(make: Make) -> None:
    table = json.loads(make().to_json())
    for name in table:
        for bad in (None, 1, "zz", [], {}):
            with pytest.raises(InvalidTicket):
                Ticket.from_json(json.dumps(table | {name: bad}))
    for text in ("", "[]", "[" * 50_000, b"\xff", " " * (TICKET_BYTES_MAX + 1)):
        with pytest.raises(InvalidTicket):
            Ticket.from_json(text)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidTicket):
        Ticket.from_json(data)


# -- files ----------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, key: RSAPublicKey) -> Iterator[Files]:
    files = Files(tmp_path / "files", key)
    yield files
    files.close()


def test_older_tokens_are_refused_once_a_later_one_was_seen(files: Files, make: Make) -> None:
    files.write("gate", make(3), b"three")
    files.write("gate", make(3), b"three again")
    assert files.read("gate", make(4)) == b"three again"
    with pytest.raises(StaleToken, match="token 3 of 'gate' is stale"):
        files.write("gate", make(3), b"late")
    files.write("gate", make(5), b"five")
    with pytest.raises(StaleToken):
        files.read("gate", make(4))
    with pytest.raises(WrongMode):
        files.write("gate", make(6, mode=Mode.SHARED), b"six")
    with pytest.raises(InvalidTicket, match="of the lock 'another'"):
        files.write("gate", make(9, "another"), b"nine")
    assert files.read("gate", make(6, mode=Mode.SHARED)) == b"five"
    assert files.read("another", make(1, "another")) is None


def test_marks_survive_a_restart_and_a_crash_in_between(
    tmp_path: Path, key: RSAPublicKey, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files(tmp_path / "files", key)
    files.write("a/../b", make(3, "a/../b"), b"three")

    def crash(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="No space"):
            files.write("a/../b", make(7, "a/../b"), b"seven")
    files.close()
    again = Files(tmp_path / "files", key)
    with pytest.raises(StaleToken):
        again.write("a/../b", make(6, "a/../b"), b"six")
    assert again.read("a/../b", make(7, "a/../b")) == b"three"
    again.close()
    assert {path.parent for path in tmp_path.rglob("*.file")} == {tmp_path / "files"}


def test_one_process_at_a_time(files: Files, tmp_path: Path, key: RSAPublicKey) -> None:
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Files(tmp_path / "files", key)


# -- over HTTP ------------------------------------------------------------------------------------------


@pytest.fixture
def port(files: Files) -> Iterator[int]:
    server = Server(("127.0.0.1", 0), files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, method: str, path: str, header: str | None, body: bytes | None = None, **more: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = ({} if header is None else {HEADER: header}) | more
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_serves_and_says_why_not(port: int, make: Make) -> None:
    def header(ticket: Ticket) -> str:
        return base64.b64encode(ticket.to_json().encode()).decode()

    assert ask(port, "GET", "/gate", header(make(1))) == (404, b"nothing was written yet\n")
    assert ask(port, "PUT", "/gate", header(make(2)), b"two") == (200, b"written\n")
    assert ask(port, "GET", "/gate", header(make(2))) == (200, b"two")
    status, text = ask(port, "PUT", "/gate", header(make(1)), b"one")
    assert (status, b"is stale" in text) == (409, True)
    for bad in (None, "", "?", base64.b64encode(b"{}").decode(), "x" * 60_000):
        assert ask(port, "PUT", "/gate", bad, b"x")[0] == 401
    assert ask(port, "PUT", "/another", header(make(3)), b"x")[0] == 401
    large = {"Content-Length": str(FILE_BYTES_MAX + 1)}
    assert ask(port, "PUT", "/gate", header(make(3)), b"", **large)[0] == 413
    assert ask(port, "PUT", "/gate", header(make(3)), b"", **{"Content-Length": "-1"})[0] == 411
    assert ask(port, "GET", "/gate", header(make(2))) == (200, b"two")


def slow(port: int) -> socket.socket:
    """A request whose headers do not end."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30.0)
    connection.sendall(b"PUT /gate HTTP/1.1\r\nX-")
    return connection


def test_slow_requests_keep_nobody_out_and_lose_the_oldest(port: int) -> None:
    held = [slow(port) for _ in range(CONNECTIONS_MAX)]
    try:
        for _ in range(5):
            assert ask(port, "GET", "/gate", None)[0] == 401
        assert held[0].recv(1) == b""
        held += [slow(port), slow(port)]
        assert held[1].recv(1) == b""
        assert ask(port, "GET", "/gate", None)[0] == 401
    finally:
        for connection in held:
            connection.close()


def test_a_request_has_so_much_time_however_its_bytes_come(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "REQUEST_SECONDS", 0.2)
    with slow(port) as connection:
        connection.settimeout(0.05)
        for _ in range(1000):
            try:
                connection.sendall(b"X")
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    raise AssertionError("it was never closed")
