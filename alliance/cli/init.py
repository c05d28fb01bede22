"""``alliance init``: a dealer creates an alliance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import passphrase
from alliance.cli.output import Folder, Format, Output, emit, lesson, plural, prose, reporting, say, talker
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.config.file import AllianceConfig
    from alliance.founding.plan import Founding

EPILOG = lesson(
    """
    alliance init farm
    alliance init farm --members 11 --faults 2 --bits 3072
    alliance init farm --purpose web:4 --purpose tokens:3
    alliance init farm --names anna,bert,carl,dora,emil,fritz --address anna.example:7400 --address …
    """,
    "0 created  ·  2 refused, and nothing was written  ·  9 created, but the report was not taken",
)
TRUST = (
    "The dealer, which was this process, saw every key: everybody in this alliance has trusted it, and this"
    " machine, to forget them. Its secrets (the primes, the whole RSA key) were never written and are gone."
)
_STAGES = {
    "first prime": "searching for the first safe prime: {:,} candidates",
    "second prime": "searching for the second safe prime: {:,} candidates",
    "shares": "sharing out the key",
    "folders": "writing folders: {:,}",
}


Purposes = Annotated[
    list[str] | None,
    typer.Option(
        "--purpose",
        metavar="NAME:THRESHOLD",
        help="A further key, for 'alliance sign': so many members must agree; once per key.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    app.command("init", help=prose(init), epilog=EPILOG)(init)


def init(
    folder: Folder,
    members: Annotated[
        int | None, typer.Option("--members", min=1, max=255, help="Number of members.", show_default="6")
    ] = None,
    faults: Annotated[int, typer.Option("--faults", help="Members that may fail or lie; f take 5f+1.")] = 1,
    bits: Annotated[int, typer.Option("--bits", help="Size of the RSA key.")] = 2048,
    host: Annotated[str, typer.Option("--host", help="Host of all addresses.")] = "127.0.0.1",
    base_port: Annotated[
        int,
        typer.Option("--base-port", min=1, max=65535, help="Port of the first member; the next ones follow."),
    ] = 7400,
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address", metavar="HOST:PORT", help="Address of a member; once per member.", show_default=False
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option("--names", metavar="A,B,C…", help="Names of the members.", show_default="member-1,…"),
    ] = None,
    organisations: Annotated[
        str | None,
        typer.Option(metavar="A,B,C…", help="Who runs each member, in order.", show_default="the members"),
    ] = None,
    clients: Annotated[int, typer.Option("--clients", min=0, max=10_000, help="Number of clients.")] = 2,
    name: Annotated[str, typer.Option("--name", help="Name of the alliance.")] = "alliance",
    purpose: Purposes = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Create an alliance: keys, certificates, and a folder for each party.

    One RSA key is dealt to the members: enough of them together sign with it, fewer cannot. With a second one
    f+1 of them certify the replies of applications. With each --purpose there is one more, for documents that
    the alliance signs for others. DIR gets alliance.toml, public.pem and public-attestation.pem (for
    everybody), members/NAME and clients/NAME (one folder for each party, its keys encrypted with the
    passphrase; 'alliance rekey' changes that later). The operator.pem in a member's folder is its
    organisation's key for changes of the alliance itself, which a later version makes: keep it elsewhere,
    offline. Whoever runs this sees every key, so run it where all parties are willing to trust it.
    """
    from alliance.founding import dealer, plan

    member_names = _names(members, names)
    founding = plan.Founding(
        name=name,
        member_names=member_names,
        addresses=_addresses(member_names, address or [], host, base_port),
        client_names=[f"client-{number}" for number in range(1, clients + 1)],
        faulty_max=faults,
        key_size=bits,
        purposes=[_purpose(text) for text in purpose or []],
        organisations=_listed(organisations),
    )
    plan.check(founding)
    _check_vacant(folder)
    secret = passphrase.obtain(passphrase_file, prompt="Passphrase for the new keys", confirm=True)
    with founding_progress() as progress:
        config = dealer.found(founding, folder, secret, progress)
    with reporting(f"'{config.name}' is created in {folder}"):
        if output is Format.JSON:
            emit(_report(founding, config, folder))
        else:
            _tell(config, folder)


@contextmanager
def founding_progress() -> Iterator[Callable[[str, int], None]]:
    """What the dealer does, on one line of standard error if that is a terminal."""
    with talker().status("creating the alliance") as status:
        yield lambda stage, count: status.update(_STAGES.get(stage, stage).format(count))


def _names(members: int | None, names: str | None) -> list[str]:
    if names is None:
        return [f"member-{number}" for number in range(1, (members or 6) + 1)]
    listed = _listed(names)
    if members is not None and members != len(listed):
        raise ConfigError(f"--members says {members}, but --names lists {len(listed)}: drop one of the two")
    return listed


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


def _addresses(names: list[str], given: list[str], host: str, base_port: int) -> list[str]:
    if not given:
        if base_port + len(names) - 1 > 65535:
            raise ConfigError(
                f"{len(names)} ports from {base_port} on do not exist: take a lower --base-port"
            )
        return [f"{host}:{base_port + number}" for number in range(len(names))]
    if len(given) != len(names):
        raise ConfigError(
            f"{plural(len(given), '--address')} for {plural(len(names), 'member')}: give one each"
        )
    if len(set(given)) != len(given):
        raise ConfigError("two members have the same --address")
    return given


def _purpose(text: str) -> tuple[str, int]:
    name, colon, threshold = text.rpartition(":")
    if not colon or not (threshold.isascii() and threshold.isdecimal() and len(threshold) < 6):
        raise ConfigError(f"{text!r:.80} is no purpose: write --purpose NAME:THRESHOLD, such as web:4")
    return name, int(threshold)


def _check_vacant(folder: Path) -> None:
    """Before anybody is asked for a passphrase."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty: name a new folder")


def _report(founding: Founding, config: AllianceConfig, folder: Path) -> dict[str, Any]:
    from alliance.keys.folder import public_file
    from alliance.proofs.receipt import key_fingerprint, load_public_key

    return {
        "directory": str(folder),
        "name": config.name,
        "alliance_id": config.alliance_id.hex(),
        "members": [
            {
                "name": member.name,
                "organisation": member.organisation,
                "address": member.address,
                "folder": str(folder / "members" / member.name),
            }
            for member in config.members
        ],
        "clients": [
            {"name": client.name, "folder": str(folder / "clients" / client.name)}
            for client in config.clients
        ],
        "faults": config.system.faulty_max,
        "decision_quorum": config.system.decision,
        "key_bits": founding.key_size,
        "key_fingerprint": key_fingerprint(load_public_key(config.key.to_pem())),
        "public_key": str(folder / "public.pem"),
        "purposes": [
            {
                "name": purpose,
                "threshold": key.threshold,
                "public_key": str(folder / public_file(purpose)),
            }
            for purpose, key in config.purpose_keys
        ],
        "note": TRUST,
    }


def _tell(config: AllianceConfig, folder: Path) -> None:
    from alliance.config.file import ATTESTATION
    from alliance.keys.folder import public_file
    from alliance.proofs.receipt import key_fingerprint, load_public_key

    system = config.system
    say(
        f"Founded '{config.name}': {plural(system.member_count, 'member')}, {system.decision} of them decide"
        f" and sign, {plural(system.faulty_max, 'fault')} withstood."
    )
    say(f"  {folder}/alliance.toml, public.pem   public; everybody has the same")
    for purpose, key in config.purpose_keys:
        if purpose != ATTESTATION:
            say(f"  {folder}/{public_file(purpose)}   {key.threshold} members sign for '{purpose}'")
    for kind, parties in (("members", config.members), ("clients", config.clients)):
        listed = [party.name for party in parties]
        brief = ", ".join(listed if len(listed) <= 6 else [*listed[:2], "…", listed[-1]])
        if listed:
            say(f"  {folder}/{kind}/   {brief}")
    say("")
    say("Everybody compares, by telephone, what is in the folder with what the dealer reads out here:")
    say(f"  alliance_id in alliance.toml   {config.alliance_id.hex()}")
    say(f"  SHA-256 of public.pem in DER   {key_fingerprint(load_public_key(config.key.to_pem()))}")
    say("")
    say(f"{TRUST} Hand each folder to its party, delete it here, and let the party run 'alliance rekey'.")
    say("")
    say("Next:")
    say(f"  alliance serve {folder}/members/{config.members[0].name}      (and every other member)")
    if config.clients:
        client = f"{folder}/clients/{config.clients[0].name}"
        say(f"  alliance status {client}")
        say(f"  alliance propose {client} 'open the gate' --receipt receipt.json")
        say(f"  alliance verify --key {folder}/public.pem receipt.json")
