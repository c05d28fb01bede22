"""``alliance verify`` and ``alliance receipt export``: what a third party does with a receipt."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli.output import (
    Force,
    Format,
    Output,
    as_json,
    check_writable,
    emit,
    lesson,
    place,
    prose,
    read_file,
    reporting,
    say,
    shown,
    talk,
    utc,
    write_file,
)
from alliance.errors import ConfigError, InvalidReceipt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from alliance.config.file import AllianceConfig
    from alliance.proofs.receipt import Receipt

VERIFY_EPILOG = lesson(
    "alliance verify --key farm/public.pem receipt.json",
    "0 proven  ·  1 not proven: altered, truncated, of another alliance, or no receipt  ·  2 a file cannot be"
    " read, or the key is not one",
)
EXPORT_EPILOG = lesson(
    """
    alliance receipt export receipt.json --message M.bin --signature S.bin --key farm/public.pem
    openssl dgst -sha256 -verify farm/public.pem -signature S.bin M.bin
    """,
    "0 written  ·  1 not a receipt, or its parts do not fit together  ·  2 a file cannot be read or written"
    "  ·  9 written, but the report was not taken",
)
KEY_BYTES_MAX = 64 * 1024

ReceiptFile = Annotated[
    Path,
    typer.Argument(
        metavar="R.json", help="The receipt, as 'alliance propose --receipt' wrote it.", show_default=False
    ),
]
KeyOption = Annotated[
    Path,
    typer.Option(
        "--key",
        metavar="public.pem",
        help="The alliance's public key; or its alliance.toml, which has those of all epochs.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    app.command("verify", help=prose(verify), epilog=VERIFY_EPILOG)(verify)
    group = typer.Typer(help="Work with receipts.", rich_markup_mode="rich", no_args_is_help=False)
    group.callback()(_receipt)
    group.command("export", help=prose(export), epilog=EXPORT_EPILOG)(export)
    app.add_typer(group, name="receipt")


def _receipt() -> None:
    """Take receipts apart, for those who check them without this program."""


def verify(
    file: ReceiptFile,
    key: KeyOption,
    alliance: Annotated[
        Path | None,
        typer.Option(
            "--alliance",
            metavar="DIR",
            help="Also check the votes of members that it has, by the keys in this folder: its alliance.toml"
            " or, for members of another epoch, 'epochs' beside that.",
            show_default=False,
        ),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Check a receipt: that a quorum of the alliance ordered this command at this place.

    Needs the receipt and the alliance's public.pem, which must come from somebody you trust; contacts
    nobody. A receipt is good for ever, whoever the members are today: it names the epoch of those that made
    it, and is checked by the public key of then.
    """
    receipt = _read(file)
    public_key = _key_of(key, receipt)
    members = _members(alliance, receipt) if alliance is not None else None
    try:
        if members is None:
            receipt.verify(public_key)
        else:
            receipt.verify(public_key, [member.identity_key for member in members.members])
            _require_votes(receipt, members)
    except InvalidReceipt as error:
        raise InvalidReceipt(f"{file} proves nothing: {error}") from None
    if receipt.votes and members is None:
        talk(
            "the receipt has votes of members as well, which were not checked: that takes their keys, from"
            " --alliance DIR"
        )
    certified, epoch = receipt.certificate.slot, receipt.context.epoch
    client = receipt.client_id.hex()
    if output is Format.JSON:
        emit(
            {
                "valid": True,
                "slot": receipt.slot,
                "position": receipt.position,
                "command_index": receipt.command_index,
                "client_id": client,
                "seq": receipt.client_seq,
                "time_ms": receipt.time_ms,
                "certified_slot": certified,
                "alliance_id": receipt.context.alliance_id.hex(),
                "epoch": epoch,
                "votes_checked": len(receipt.votes) if members is not None else 0,
                "key_fingerprint": receipt.key_fingerprint,
                **as_json(receipt.command),
            }
        )
    else:
        quorum = f"the quorum's signature of epoch {epoch}" if epoch else "the quorum's signature"
        votes = f", and by {len(receipt.votes)} members' votes" if members is not None else ""
        say(
            f"proven: {shown(receipt.command)} is at"
            f" {place(receipt.slot, receipt.position, receipt.command_index)}; proposed by client"
            f" {client[:16]}…; stamped {utc(receipt.time_ms)}; certified by {quorum} on the log"
            f" up to slot {certified}, key {receipt.key_fingerprint[:16]}…{votes}"
        )


def _members(folder: Path, receipt: Receipt) -> AllianceConfig:
    """Who took part in the receipt's epoch, as the folder says. Raises ConfigError."""
    from alliance.config import file as config
    from alliance.storage import epochs

    known = config.load(folder)
    if known.alliance_id != receipt.alliance_id:
        raise ConfigError(
            f"{folder / config.FILE} is of another alliance than the receipt, whose alliance_id begins"
            f" {receipt.alliance_id.hex()[:16]}: name the folder of that one"
        )
    return epochs.of_epoch(folder, known, receipt.context.epoch)


def _require_votes(receipt: Receipt, members: AllianceConfig) -> None:
    """More votes than liars make. Raises InvalidReceipt."""
    enough = members.system.one_correct
    if len(receipt.votes) < enough:
        raise InvalidReceipt(
            f"it has {len(receipt.votes)} votes of members of epoch {members.epoch}, and {enough} at least"
            " are more than liars make; without --alliance the quorum's signature alone is checked"
        )


def export(
    file: ReceiptFile,
    message: Annotated[
        Path,
        typer.Option("--message", metavar="M.bin", help="Where the signed bytes go.", show_default=False),
    ],
    signature: Annotated[
        Path,
        typer.Option("--signature", metavar="S.bin", help="Where the signature goes.", show_default=False),
    ],
    key: Annotated[
        Path,
        typer.Option(
            "--key", metavar="public.pem", help="The alliance's public key, for the command that is printed."
        ),
    ] = Path("public.pem"),
    force: Force = False,
    output: Output = Format.TEXT,
) -> None:
    """Write what openssl needs to check the quorum's signature, and print the command that does it.

    The message names the root of the log; that the command is in that log is checked here before anything
    is written. docs/guides/receipts.md tells how to check that part by oneself.
    """
    receipt = _read(file)
    try:
        receipt.verify_placement()
    except InvalidReceipt as error:
        raise InvalidReceipt(f"{file} proves nothing: {error}; nothing was written") from None
    if message.absolute() == signature.absolute():
        raise ConfigError("--message and --signature name the same file: name two")
    for path in (message, signature):
        check_writable(path, force=force)
    write_file(message, receipt.message)
    write_file(signature, receipt.signature)
    with reporting(f"{message} and {signature} are written"):
        _tell_export(message, signature, key, output)


def _tell_export(message: Path, signature: Path, key: Path, output: Format) -> None:
    command = f"openssl dgst -sha256 -verify {_word(key)} -signature {_word(signature)} {_word(message)}"
    if output is Format.JSON:
        emit({"message": str(message), "signature": str(signature), "command": command})
    else:
        say(command)
        if not key.is_file():
            talk(f"{key} is not here: give the path of the alliance's public key instead, or with --key")


def _word(path: Path) -> str:
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def _read(path: Path) -> Receipt:
    from alliance.proofs.receipt import RECEIPT_BYTES_MAX, Receipt

    data = read_file(path, "a receipt that 'alliance propose --receipt' wrote", RECEIPT_BYTES_MAX)
    try:
        return Receipt.from_json(data)
    except InvalidReceipt as error:
        raise InvalidReceipt(f"{path}: {error}") from None


def _key_of(path: Path, receipt: Receipt) -> RSAPublicKey:
    """That of the receipt's epoch. Raises ConfigError, and InvalidReceipt for a slot that it is not for."""
    from alliance.config import file as config
    from alliance.proofs.epoch_keys import EpochKeys

    if path.suffix != ".toml":
        return _read_key(path)
    try:
        known = config.read(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    return EpochKeys(lambda: known).key_for(receipt)


def _read_key(path: Path) -> RSAPublicKey:
    from alliance.proofs.receipt import load_public_key

    data = read_file(path, "the alliance's public.pem", KEY_BYTES_MAX)
    try:
        return load_public_key(data)
    except InvalidReceipt as error:
        raise ConfigError(f"{path}: {error}") from None
