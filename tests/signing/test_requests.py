"""Requests as commands of the log: one form each, and nothing malformed gets further."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.errors import ConfigError, InvalidRequest
from alliance.signing import AuthorityRequest, CertificateRequest, Request, csr_der
from alliance.signing.certificates import CSR_BYTES_MAX
from alliance.signing.order import COMMAND_BYTES_MAX, FORMAT, PREFIX, from_command, to_command
from alliance.signing.ssh import public_key
from tests.signing.samples import SSH_KEY, certificate, csr, holder, login, token

REQUESTS: list[Request] = [token(), certificate(), AuthorityRequest(365), login()]
ids = {"ids": lambda request: request.KIND}


@pytest.mark.parametrize("request_", REQUESTS, **ids)
def test_a_request_comes_back_from_the_log_as_it_was(request_: Request) -> None:
    command = to_command("web", request_)
    assert from_command(command) == ("web", request_)
    assert request_.summary.isprintable()


@pytest.mark.parametrize("request_", REQUESTS, **ids)
def test_every_other_way_to_write_it_is_refused(request_: Request) -> None:
    command = to_command("web", request_)
    table = json.loads(command[len(PREFIX) :])
    for other in (
        PREFIX + json.dumps(table, sort_keys=True).encode(),
        PREFIX + json.dumps(dict(reversed(table.items())), separators=(",", ":")).encode(),
        command + b" ",
        command.replace(b'"purpose":"web"', b'"purpose":"tokens","purpose":"web"'),
        command.replace(b"web", b"\\u0077eb"),
    ):
        assert other != command
        with pytest.raises(InvalidRequest, match="malformed"):
            from_command(other)


@pytest.mark.parametrize("request_", REQUESTS, **ids)
def test_fields_that_are_missing_unknown_or_of_another_type_are_refused(request_: Request) -> None:
    table = {"format": FORMAT, "purpose": "web", "kind": request_.KIND} | request_.to_table()
    wrong: list[Any] = [[], "web", 7, None, {**table, "more": 1}, {**table, "kind": "pgp"}]
    wrong.append({**table, "format": "alliance-signing/2"})
    for key in table:
        wrong.append({name: value for name, value in table.items() if name != key})
        wrong += [{**table, key: value} for value in (None, True, 1.5, -1, 10**30, [1], {"a": 1})]
    for one in wrong:
        with pytest.raises(InvalidRequest):
            from_command(PREFIX + json.dumps(one, sort_keys=True, separators=(",", ":")).encode())


def test_what_is_no_request_at_all_is_refused() -> None:
    for command in (b"", PREFIX[:-1], PREFIX, PREFIX + b"{", PREFIX + b"\xff", PREFIX + b"[" * 5000):
        with pytest.raises(InvalidRequest):
            from_command(command)
    with pytest.raises(InvalidRequest, match="too long"):
        from_command(PREFIX + b" " * COMMAND_BYTES_MAX)
    long = token(audiences=tuple(chr(0x1F600 + at) * 200 for at in range(64)))
    with pytest.raises(InvalidRequest, match="bytes at most"):
        to_command("tokens", long)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: token(issuer=""), "the issuer"),
        (lambda: token(subject="a\nb"), "the subject"),
        (lambda: token(subject="x" * 257), "the subject"),
        (lambda: token(audiences=()), "audiences: name 1 to 64"),
        (lambda: token(audiences=("a", "a")), "each once"),
        (lambda: token(lifetime_seconds=0), "the lifetime"),
        (lambda: token(lifetime_seconds=10**10), "the lifetime"),
        (lambda: token(claims=(("exp", "0"),)), "the claim 'exp' is set"),
        (lambda: token(claims=(("", "0"),)), "claims: ''"),
        (lambda: token(claims=(("a", "0"), ("a", "1"))), "each once"),
        (lambda: token(claims=(("a", "\x1b"),)), "the claim 'a'"),
        (lambda: certificate("UPPER.example"), "DNS names: 'UPPER.example'"),
        (lambda: certificate("*.farm.example"), "DNS names: '*.farm.example'"),
        (lambda: certificate("10.0.0.1"), "DNS names: '10.0.0.1'"),
        (lambda: certificate("a..b"), "DNS names"),
        (lambda: certificate("a" * 63 + ".example"), "DNS names"),
        (lambda: certificate("a.example", "a.example"), "each once"),
        (lambda: certificate(days=0), "the days"),
        (lambda: certificate(days=36_501), "the days"),
        (lambda: certificate(usages=()), "usages"),
        (lambda: certificate(usages=("server", "client")), "in this order"),
        (lambda: CertificateRequest(csr(), 1, ("server",)), "DNS names: name 1"),
        (lambda: CertificateRequest(b"\x30\x00", 1, ("server",)), "no certificate request"),
        (lambda: CertificateRequest(bytes(CSR_BYTES_MAX + 1), 1, ("server",)), "bytes at most"),
        (lambda: AuthorityRequest(0), "the days"),
        (lambda: login(key="ssh-ed25519 AAAA"), "no SSH public key"),
        (lambda: login(key=SSH_KEY + " comment"), "its type and its base64"),
        (lambda: login(type="root"), "for a 'user' or a 'host'"),
        (lambda: login(principals=()), "principals"),
        (lambda: login(principals=("a,b",)), "principals: 'a,b'"),
        (lambda: login(principals=("*",)), "principals"),
        (lambda: login(extensions=("permit-user-rc", "permit-pty")), "in this order"),
        (lambda: login(type="host"), "a host's certificate has no extensions"),
    ],
)
def test_what_nobody_can_sign_is_refused_where_it_is_made(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()
    assert reason in str(error.value)


def request_of(**given: Any) -> CertificateRequest:
    return CertificateRequest(csr(**given), 1, ("server",))


def test_the_names_are_those_of_the_extension_or_else_the_common_name() -> None:
    assert request_of(subject="gate.example").dns_names == ("gate.example",)
    assert CertificateRequest(
        csr("a.example", "b.example", subject="b.example"), 1, ("server",)
    ).dns_names == (
        "a.example",
        "b.example",
    )
    with pytest.raises(ConfigError, match="a common name"):
        CertificateRequest(csr("a.example", subject="b.example"), 1, ("server",))


@pytest.mark.parametrize(
    ("extension", "reason"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "asks for more than names: basicConstraints"),
        (x509.SubjectAlternativeName([x509.RFC822Name("a@b.example")]), "no DNS names"),
        (
            x509.SubjectAlternativeName([x509.DNSName("a.example"), x509.RFC822Name("a@b.example")]),
            "no DNS names",
        ),
    ],
)
def test_a_certificate_request_that_asks_for_more_is_refused(extension: Any, reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        request_of(subject="a.example", extensions=(extension,))
    assert reason in str(error.value)


def test_who_asks_must_have_the_key() -> None:
    data = bytearray(csr("gate.example"))
    data[-1] ^= 1
    with pytest.raises(ConfigError, match="signature is wrong"):
        CertificateRequest(bytes(data), 1, ("server",))
    # The signature fits, but another key stands in the request.
    mine = csr("gate.example")
    point = holder().public_key().public_numbers().x.to_bytes(32, "big")
    other = ec.derive_private_key(8, ec.SECP256R1()).public_key().public_numbers().x.to_bytes(32, "big")
    with pytest.raises(ConfigError):
        CertificateRequest(mine.replace(point, other), 1, ("server",))


def test_keys_that_are_certified() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        assert CertificateRequest(csr("a.example", key=key), 1, ("server",)).dns_names == ("a.example",)
    with pytest.raises(ConfigError, match="of a NIST curve"):
        CertificateRequest(csr("a.example", key=ec.derive_private_key(7, ec.SECP256K1())), 1, ("server",))
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - this is the point
    with pytest.raises(ConfigError, match="RSA of 2048"):
        CertificateRequest(csr("a.example", key=short), 1, ("server",))


def test_certificate_requests_come_in_pem_or_der() -> None:
    der = csr("a.example")
    pem = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)
    assert csr_der(pem) == csr_der(der) == der
    with pytest.raises(ConfigError, match="no certificate request"):
        csr_der(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")


_POINT = base64.b64decode(SSH_KEY.split()[1])[-32:]


def test_ssh_keys_lose_their_comment() -> None:
    assert public_key(SSH_KEY + " anna@farm\n") == SSH_KEY
    blob = b"".join(
        len(part).to_bytes(4, "big") + part for part in (b"sk-ssh-ed25519@openssh.com", _POINT, b"ssh:")
    )
    with pytest.raises(ConfigError, match="keys of this type"):
        public_key(f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()}")
    for line in ("", "ssh-ed25519", "-----BEGIN", "\udc80", 'command="x" ' + SSH_KEY):
        with pytest.raises(ConfigError, match="no SSH public key"):
            public_key(line)
