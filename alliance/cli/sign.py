"""``alliance sign jwt|x509|ca|ssh``: asks the members to sign a document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import passphrase, sign_desk
from alliance.cli.output import (
    ClientFolder,
    Force,
    Format,
    Output,
    lesson,
    prose,
    read_file,
)
from alliance.cli.sign_job import Job, run
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.signing import Request

CODES = (
    "0 signed  ·  2 wrong usage, folder or key, or a request that nobody could sign: nothing was ordered  ·"
    "  3 unknown whether it was ordered, or too few members answered  ·  5 no server reachable  ·"
    "  6 members refuse  ·  9 signed, but the report was not taken"
)
INPUT_BYTES_MAX = 64 * 1024

Purpose = Annotated[
    str, typer.Option("--purpose", metavar="NAME", help="Which key is to sign.", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="F", help="Write the document here, not to standard output.", show_default=False
    ),
]
ReceiptOut = Annotated[
    Path | None,
    typer.Option("--receipt", metavar="R.json", help="Keep the receipt of the request.", show_default=False),
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, metavar="S", help="Seconds to wait.")]
Lifetime = Annotated[int, typer.Option("--lifetime", metavar="S", help="Seconds for which it is valid.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Have documents signed by decision of the members.",
        rich_markup_mode="rich",
        no_args_is_help=False,
    )
    group.callback()(_sign)
    for name, function, example in (
        ("jwt", jwt, JWT_EXAMPLE),
        ("x509", x509, X509_EXAMPLE),
        ("ca", ca, CA_EXAMPLE),
        ("ssh", ssh, SSH_EXAMPLE),
    ):
        group.command(name, help=prose(function), epilog=lesson(example, CODES))(function)
    sign_desk.register(group)
    app.add_typer(group, name="sign")


def _sign() -> None:
    """Tokens and certificates of the alliance, each with a key of its own for which members have policies."""


JWT_EXAMPLE = """
    alliance sign jwt farm/clients/client-1 --purpose tokens --issuer farm --subject anna --audience gate
    alliance sign jwt … --purpose tokens --issuer farm --subject anna --audience gate --claim role=reader
    """
X509_EXAMPLE = """
    alliance sign x509 farm/clients/client-1 --purpose web --csr gate.csr --out gate.pem
    openssl verify -CAfile ca.pem gate.pem
    """
CA_EXAMPLE = "alliance sign ca farm/clients/client-1 --purpose web --days 3650 --out ca.pem"
SSH_EXAMPLE = """
    alliance sign ssh farm/clients/client-1 --purpose logins --key id.pub --principal anna --out id-cert.pub
    ssh-keygen -L -f id-cert.pub
    """


def jwt(
    folder: ClientFolder,
    purpose: Purpose,
    issuer: Annotated[str, typer.Option("--issuer", help="Who says it (iss).", show_default=False)],
    subject: Annotated[str, typer.Option("--subject", help="Of whom (sub).", show_default=False)],
    audience: Annotated[
        list[str], typer.Option("--audience", help="To whom (aud); repeatable.", show_default=False)
    ],
    lifetime: Lifetime = 900,
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="NAME=TEXT", help="A further claim.", show_default=False),
    ] = None,
    out: Out = None,
    receipt: ReceiptOut = None,
    timeout: Timeout = 30.0,
    force: Force = False,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Have a JSON Web Token signed (RS256).

    The alliance sets iat from the time that it agreed on, exp from that and the lifetime, and jti, which no
    other token has. Members give their shares to the client that asked and to nobody else.
    """

    def make() -> Request:
        from alliance.signing import TokenRequest

        claims = dict(map(_claim, claim or []))
        if len(claims) < len(claim or []):
            raise ConfigError("a --claim is there twice")
        return TokenRequest(issuer, subject, tuple(audience), lifetime, tuple(sorted(claims.items())))

    run(Job(folder, purpose, out, receipt, timeout, force, passphrase_file, output), make)


def x509(
    folder: ClientFolder,
    purpose: Purpose,
    csr: Annotated[
        Path,
        typer.Option(
            "--csr", metavar="F", help="The certificate request, in PEM or DER.", show_default=False
        ),
    ],
    days: Annotated[int, typer.Option("--days", help="Days for which it is valid.")] = 90,
    usage: Annotated[
        list[str] | None,
        typer.Option("--usage", metavar="server|client", help="Repeatable.", show_default="server"),
    ] = None,
    out: Out = None,
    receipt: ReceiptOut = None,
    timeout: Timeout = 30.0,
    force: Force = False,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Have a certificate signed, for the key and the DNS names of a certificate request.

    The request may hold DNS names and a common name that is one of them, and nothing else. Its own signature,
    which proves that who made it has the key, is checked by every member.
    """

    def make() -> Request:
        from alliance.signing import CertificateRequest, csr_der

        data = read_file(csr, "what 'openssl req -new' made", INPUT_BYTES_MAX)
        return CertificateRequest(
            csr_der(data), days, _in_order("usage", usage or ["server"], ("client", "server"))
        )

    run(Job(folder, purpose, out, receipt, timeout, force, passphrase_file, output), make)


def ca(
    folder: ClientFolder,
    purpose: Purpose,
    days: Annotated[int, typer.Option("--days", help="Days for which it is valid.")] = 3650,
    out: Out = None,
    receipt: ReceiptOut = None,
    timeout: Timeout = 30.0,
    force: Force = False,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Have the certificate of the authority itself signed, which all who are to trust it need.

    It certifies the purpose's key and no other: nobody becomes an authority by asking. Members sign it only
    while their policies say ca = true.
    """

    def make() -> Request:
        from alliance.signing import AuthorityRequest

        return AuthorityRequest(days)

    run(Job(folder, purpose, out, receipt, timeout, force, passphrase_file, output), make)


def ssh(
    folder: ClientFolder,
    purpose: Purpose,
    key: Annotated[
        Path, typer.Option("--key", metavar="ID.pub", help="The public key to certify.", show_default=False)
    ],
    principal: Annotated[
        list[str],
        typer.Option("--principal", help="User or host name; repeatable.", show_default=False),
    ],
    kind: Annotated[str, typer.Option("--type", metavar="user|host", help="Whom it is for.")] = "user",
    lifetime: Lifetime = 86_400,
    extension: Annotated[
        list[str] | None,
        typer.Option("--extension", metavar="permit-…", help="Repeatable.", show_default="none"),
    ] = None,
    out: Out = None,
    receipt: ReceiptOut = None,
    timeout: Timeout = 30.0,
    force: Force = False,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Have an OpenSSH certificate signed, for a user's or a host's public key."""

    def make() -> Request:
        from alliance.signing import SshRequest
        from alliance.signing.ssh import EXTENSIONS, public_key

        line = public_key(read_file(key, "the .pub file", INPUT_BYTES_MAX).decode("utf-8", "replace"))
        permitted = _in_order("extension", extension or [], EXTENSIONS)
        return SshRequest(line, kind, tuple(principal), lifetime, permitted)

    run(Job(folder, purpose, out, receipt, timeout, force, passphrase_file, output), make)


def _claim(text: str) -> tuple[str, str]:
    name, equals, given = text.partition("=")
    if not equals:
        raise ConfigError(f"{text!r:.80} is no claim: write --claim NAME=TEXT")
    return name, given


def _in_order(what: str, given: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the known ones that are given. Raises ConfigError for others."""
    for one in given:
        if one not in known:
            raise ConfigError(f"there is no --{what} {one!r:.80}: there is {', '.join(known)}")
    return tuple(one for one in known if one in given)
