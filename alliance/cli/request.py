"""``alliance request``: a party makes its own keys, and asks to be in an alliance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import passphrase
from alliance.cli.output import Format, Output, emit, lesson, prose, reporting, say
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from alliance.config.file import AllianceConfig
    from alliance.founding.request import Request

EPILOG = lesson(
    """
    alliance request anna --organisation north --address anna.example:7400
    alliance request bert --organisation north --address bert.example:7400 --operator anna/operator.pem
    alliance request carola --client
    alliance request dieter --client --alliance farm/alliance.toml --organisation north
    alliance request emil --organisation east --address emil.example:7400 --alliance farm/alliance.toml
    alliance request --show anna.request
    """,
    "0 made, or shown  ·  2 refused, and nothing was written; or the file is no request, or was altered"
    "  ·  9 made, but the report was not taken",
)
ALLIANCE_ID = re.compile(r"[0-9a-f]{64}")
OPERATOR_VARIABLE = "ALLIANCE_OPERATOR_PASSPHRASE"
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The party's name.", show_default=False)]
Organisation = Annotated[
    str | None,
    typer.Option(
        "--organisation",
        metavar="NAME",
        help="Who runs the member, or answers for the client.",
        show_default=False,
    ),
]
Existing = Annotated[
    str | None,
    typer.Option(
        "--alliance",
        metavar="F|ID",
        help="The alliance.toml, or the alliance_id, of an alliance that exists already.",
        show_default=False,
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="Where others reach the member.", show_default=False),
]
Directory = Annotated[
    Path | None, typer.Option("--directory", metavar="DIR", help="The new folder.", show_default="NAME")
]
Operator = Annotated[
    Path | None,
    typer.Option(
        "--operator",
        metavar="F",
        help="The operator.pem of an organisation that has one, from its first member.",
        show_default=False,
    ),
]
OperatorPassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--operator-passphrase-file",
        metavar="F",
        help=f"File with the passphrase of that. Else {OPERATOR_VARIABLE}, else a prompt.",
        show_default=False,
    ),
]
Show = Annotated[
    Path | None,
    typer.Option("--show", metavar="F", help="Only tell what a request file says.", show_default=False),
]


def register(app: typer.Typer) -> None:
    app.command("request", help=prose(request), epilog=EPILOG)(request)


def request(
    name: Name = None,
    organisation: Organisation = None,
    address: Address = None,
    client: Annotated[bool, typer.Option("--client", help="A client, which runs no server.")] = False,
    existing: Existing = None,
    key_bits: Annotated[
        int | None,
        typer.Option(
            "--key-bits",
            metavar="N",
            help="The largest shared RSA keys that it is to receive.",
            show_default="2048, or what --alliance has",
        ),
    ] = None,
    directory: Directory = None,
    operator: Operator = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    show: Show = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Make a party's own keys, and the request file by which it asks to be in an alliance.

    The new folder gets an identity and a TLS key; for a member also a key to receive shares with, a one-time
    key for the founding's shares, and its organisation's operator key: operator.pem, for changes of the
    alliance itself. Keep that elsewhere, offline: no server needs it. Further members of the organisation
    name it with --operator. All keys stay here, encrypted with the passphrase. NAME.request is public: send
    it to whoever founds the alliance by 'alliance init --from', and read its fingerprint out by telephone.
    Then 'alliance join' completes the folder.

    A party can come to an alliance that exists already: --alliance says to which. A client names the
    --organisation that answers for it there, whose operator lets it in by 'alliance client add'. A member's
    request goes to any operator there, for 'alliance member add', or for 'alliance member replace' where its
    name is that of a member whose disk is lost or whose key was stolen. An organisation that runs a member
    already names its operator key with --operator; a new one comes by 'alliance operator add' first.
    """
    if show is not None:
        _refuse("--show", {"NAME": name, "--organisation": organisation, "--address": address})
        _refuse("--show", {"--client": client or None, "--directory": directory, "--operator": operator})
        _refuse("--show", {"--alliance": existing})
        _show(show, output)
        return
    if name is None:
        raise ConfigError("name the party, or a request file with --show: see 'alliance request --help'")
    from alliance.founding import party

    folder = Path(name) if directory is None else directory
    if client:
        _refuse("--client", {"--address": address, "--operator": operator})
        alliance_id = None if existing is None else _asked_by_client(existing, organisation)
        secret = _new_passphrase(passphrase_file, name)
        made = party.ask_as_client(folder, name, secret, organisation or "", alliance_id)
    elif organisation is None or address is None:
        raise ConfigError(
            f"'{name}' needs --organisation, by which it is run, and --address HOST:PORT, where others reach"
            " it; a client, which needs neither, is made with --client"
        )
    else:
        alliance_id, bits = _asked_by_member(existing, key_bits)
        party.check_member(name, organisation, address, bits)
        key = None if operator is None else operator_key(operator, operator_passphrase_file)
        secret = _new_passphrase(passphrase_file, name)
        made = party.ask_as_member(folder, name, organisation, address, bits, secret, key, alliance_id)
    with reporting(f"the keys of '{name}' are in {folder}"):
        _tell(made, folder, output, operator_is_here=operator is None and not client)


def alliance_named(existing: str) -> tuple[bytes, AllianceConfig | None]:
    """The id of an alliance that exists, and its file where that is named. Raises ConfigError."""
    from alliance.config import file as config

    if ALLIANCE_ID.fullmatch(existing):
        return bytes.fromhex(existing), None
    path = Path(existing)
    known = config.load(path if path.is_dir() else path.parent)
    return known.alliance_id, known


def _asked_by_client(existing: str, organisation: str | None) -> bytes:
    """The id of the alliance that a client asks, by an organisation of it. Raises ConfigError."""
    if organisation is None:
        raise ConfigError("--alliance needs --organisation: who answers for the client there")
    alliance_id, known = alliance_named(existing)
    if known is not None and organisation not in (names := [name for name, _ in known.terms.operators]):
        raise ConfigError(f"the alliance has no organisation '{organisation:.80}', but {', '.join(names)}")
    return alliance_id


def _asked_by_member(existing: str | None, key_bits: int | None) -> tuple[bytes | None, int]:
    """The id of the alliance, and the largest shared keys that the member is to receive, in bits."""
    alliance_id, known = (None, None) if existing is None else alliance_named(existing)
    if key_bits is None and known is not None:
        from alliance.founding.party import largest_key

        return alliance_id, largest_key(known)
    return alliance_id, 2048 if key_bits is None else key_bits


def _new_passphrase(file: Path | None, name: str) -> bytes:
    return passphrase.obtain(file, prompt=f"Passphrase for the keys of {name}", confirm=True)


def operator_key(path: Path, file: Path | None) -> Ed25519PrivateKey:
    """The key in an operator.pem. ``file`` has its passphrase. Raises ConfigError, KeyFileError."""
    from alliance.keys import sealing

    option, sealed = "--operator-passphrase-file", sealing.read(path)
    secret = passphrase.obtain(
        file, variable=OPERATOR_VARIABLE, option=option, prompt=f"Passphrase of {path}"
    )
    source = f"{OPERATOR_VARIABLE}, {option} or the prompt"
    return sealing.unseal_signing(sealed, path, secret, source)


def _refuse(option: str, others: Mapping[str, object]) -> None:
    for other, value in others.items():
        if value is not None:
            raise ConfigError(f"{other} does not go with {option}: leave one of them out")


def _show(path: Path, output: Format) -> None:
    from alliance.founding.by_request import read_request
    from alliance.founding.request import grouped

    asked = read_request(path)
    if output is Format.JSON:
        emit(_report(asked, path))
        return
    for key, value in _report(asked, path).items():
        say(f"{key.replace('_', ' '):<20} {grouped(value) if key == 'fingerprint' else value}")
    say("Its signatures fit. Whose it is, the fingerprint tells, compared by telephone.")


def _report(asked: Request, path: Path) -> dict[str, Any]:
    report: dict[str, Any] = {
        "request": str(path),
        "kind": asked.kind,
        "name": asked.name,
        "identity": asked.identity.hex(),
        "fingerprint": asked.fingerprint,
    }
    if asked.client_of:
        report["organisation"] = asked.client_of
    if asked.admission is not None:
        report["alliance_id"] = asked.admission.alliance_id.hex()
    if (seat := asked.seat) is not None:
        from quorum.receivers import ReceiverKey

        report |= {"organisation": seat.organisation, "address": seat.address}
        receiver_bits = ReceiverKey.from_bytes(seat.receiver.key).bits
        report |= {"operator": seat.operator.hex(), "receiver_bits": receiver_bits}
    return report


def _tell(made: Request, folder: Path, output: Format, *, operator_is_here: bool) -> None:
    from alliance.founding.party import request_file
    from alliance.founding.request import grouped
    from alliance.keys.folder import OPERATOR

    path = request_file(folder, made.name)
    if output is Format.JSON:
        here = {"operator_key": str(folder / OPERATOR)} if operator_is_here else {}
        emit({"folder": str(folder)} | _report(made, path) | here)
        return
    say(f"The keys of {made.kind} '{made.name}' are in {folder}, encrypted; they stay with you.")
    if operator_is_here and made.seat is not None:
        say(f"  {folder / OPERATOR}   the key of '{made.seat.organisation}': keep it elsewhere, offline")
    say(f"  {path}   public")
    say("")
    reader = "whoever founds the alliance"
    if made.admission is not None:
        reader = "an operator of the alliance" if made.seat else f"the operator of '{made.client_of}'"
    say(f"Next: send {path.name} to {reader}, and read this out by telephone:")
    say(f"  {grouped(made.fingerprint)}")
    say("When you have got the alliance's folder from there:")
    say(f"  alliance join {folder} ITS-FOLDER")
