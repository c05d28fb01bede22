"""``alliance init``: a dealer creates an alliance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import founded, passphrase
from alliance.cli.output import Folder, Format, Output, emit, lesson, plural, prose, reporting, talker
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.founding.plan import Founding

EPILOG = lesson(
    """
    alliance init farm
    alliance init farm --members 4
    alliance init farm --members 11 --faults 2 --bits 3072
    alliance init farm --purpose web:4 --purpose tokens:3
    alliance init farm --from anna.request bert.request carl.request dora.request emil.request fritz.request
    alliance init farm --names anna,bert,carl,dora,emil,fritz --address anna.example:7400 --address …
    """,
    "0 created  ·  2 refused, and nothing was written  ·  9 created, but the report was not taken",
)
OWN = ("--members", "--host", "--base-port", "--address", "--names", "--organisations", "--clients")
"""What the dealer is told only when it makes everybody's keys."""
_STAGES = {
    "first prime": "searching for the first safe prime: {:,} candidates",
    "second prime": "searching for the second safe prime: {:,} candidates",
    "shares": "sharing out the key",
    "receivers": "making keys for the next shares: {:,}",
    "folders": "writing folders: {:,}",
}


Requests = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[REQUEST]…", help="Further request files, after --from.", show_default=False),
]
From = Annotated[
    list[Path] | None,
    typer.Option(
        "--from",
        metavar="REQUEST…",
        help="Deal to the parties that made these files by 'alliance request'.",
        show_default=False,
    ),
]
Members = Annotated[
    int | None, typer.Option("--members", min=1, max=255, help="Number of members.", show_default="6")
]
Faults = Annotated[
    int, typer.Option("--faults", help="Members that may fail or lie; f take 5f+1, or 5f-1 in profile lean.")
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="classic|lean",
        help="How a new leader finds what was decided.",
        show_default="lean for 5f-1 and 5f members, else classic",
    ),
]
BasePort = Annotated[
    int | None,
    typer.Option(
        "--base-port",
        min=1,
        max=65535,
        help="Port of the first member; the next ones follow.",
        show_default="7400",
    ),
]
Addresses = Annotated[
    list[str] | None,
    typer.Option(
        "--address", metavar="HOST:PORT", help="Address of a member; once per member.", show_default=False
    ),
]
Clients = Annotated[
    int | None, typer.Option("--clients", min=0, max=10_000, help="Number of clients.", show_default="2")
]
Attest = Annotated[
    int | None,
    typer.Option(
        "--attest",
        metavar="N",
        help="Executors that certify a reply together: f+1 to n-f.",
        show_default="2f+1",
    ),
]
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
    requests: Requests = None,
    given: From = None,
    members: Members = None,
    faults: Faults = 1,
    profile: Profile = None,
    bits: Annotated[int, typer.Option("--bits", help="Size of the RSA keys.")] = 2048,
    host: Annotated[
        str | None, typer.Option("--host", help="Host of all addresses.", show_default="127.0.0.1")
    ] = None,
    base_port: BasePort = None,
    address: Addresses = None,
    names: Annotated[
        str | None,
        typer.Option("--names", metavar="A,B,C…", help="Names of the members.", show_default="member-1,…"),
    ] = None,
    organisations: Annotated[
        str | None,
        typer.Option(metavar="A,B,C…", help="Who runs each member, in order.", show_default="the members"),
    ] = None,
    clients: Clients = None,
    name: Annotated[str, typer.Option("--name", help="Name of the alliance.")] = "alliance",
    attest: Attest = None,
    purpose: Purposes = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Create an alliance: on this machine, or for parties that have made their own keys.

    One RSA key is dealt to the members: enough of them together sign with it, fewer cannot. With a second one
    members certify the replies of applications. With each --purpose there is one more, for documents that the
    alliance signs for others. Whoever runs this sees these keys, so run it where all are willing to trust it.

    With --from, every party has made its own keys by 'alliance request', and sends its request file. DIR gets
    what everybody may see: alliance.toml, the public keys, and alliance.dealing, in which each member's
    shares are sealed to it. Send DIR to all; each runs 'alliance join'. The dealer never holds an identity.

    Without it, the dealer makes everybody's keys, which is for trying out, and for few who trust one another:
    DIR also gets members/NAME and clients/NAME, one folder for each party, its keys encrypted with the
    passphrase; 'alliance rekey' changes that later. The operator.pem in a member's folder is its
    organisation's key for changes of the alliance itself: keep it elsewhere, offline.
    """
    terms = Terms(name, faults, bits, [purpose_of(text) for text in purpose or []], attest, profile)
    if given:
        own = dict(zip(OWN, (members, host, base_port, address, names, organisations, clients), strict=True))
        _refuse_own({**own, "--passphrase-file": passphrase_file})
        _deal_to([*given, *(requests or [])], terms, folder, output)
        return
    if requests:
        raise ConfigError(f"{requests[0]}: name request files after --from, or one folder alone")
    listed = _names(members, names)
    _found(
        terms.founding(
            listed,
            _addresses(listed, address or [], host or "127.0.0.1", base_port or 7400),
            2 if clients is None else clients,
            _listed(organisations),
        ),
        folder,
        passphrase_file,
        output,
    )


@contextmanager
def founding_progress() -> Iterator[Callable[[str, int], None]]:
    """What the dealer does, on one line of standard error if that is a terminal."""
    with talker().status("creating the alliance") as status:
        yield lambda stage, count: status.update(_STAGES.get(stage, stage).format(count))


@dataclass(frozen=True)
class Terms:
    """What is agreed on, whoever the parties are."""

    name: str
    faults: int
    bits: int
    purposes: list[tuple[str, int]]
    attest: int | None
    profile: str | None

    def founding(self, names: list[str], addresses: list[str], clients: int, runs: list[str]) -> Founding:
        """For parties whose keys the dealer makes."""
        from alliance.founding.plan import Founding

        return Founding(
            name=self.name,
            member_names=names,
            addresses=addresses,
            client_names=[f"client-{number}" for number in range(1, clients + 1)],
            faulty_max=self.faults,
            key_size=self.bits,
            purposes=self.purposes,
            organisations=runs,
            attest=self.attest,
            profile=self.profile,
        )


def _found(founding: Founding, folder: Path, passphrase_file: Path | None, output: Format) -> None:
    from alliance.founding import dealer, plan

    plan.check(founding)
    _check_vacant(folder)
    secret = passphrase.obtain(passphrase_file, prompt="Passphrase for the new keys", confirm=True)
    with founding_progress() as progress:
        config = dealer.found(founding, folder, secret, progress)
    with reporting(f"'{config.name}' is created in {folder}"):
        if output is Format.JSON:
            emit(founded.on_one_machine(config, folder))
        else:
            founded.tell_on_one_machine(config, folder)


def _deal_to(files: list[Path], terms: Terms, folder: Path, output: Format) -> None:
    from alliance.founding import by_request
    from alliance.keys.passphrase import keep_out_of_core_files

    requests = by_request.read_requests(files)
    founding = by_request.plan(
        requests,
        name=terms.name,
        faults=terms.faults,
        key_size=terms.bits,
        purposes=terms.purposes,
        attest=terms.attest,
        profile=terms.profile,
    )
    _check_vacant(folder)
    keep_out_of_core_files()
    with founding_progress() as progress:
        config = by_request.found_for(founding, list(requests.values()), folder, progress)
    with reporting(f"'{config.name}' is created in {folder}"):
        if output is Format.JSON:
            emit(founded.by_request(config, folder, requests))
        else:
            founded.tell_by_request(config, folder, requests)


def _refuse_own(options: Mapping[str, object]) -> None:
    for option, value in options.items():
        if value is not None and value != []:
            raise ConfigError(
                f"{option} does not go with --from: the parties' requests say it, and no passphrase is needed"
            )


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


def purpose_of(text: str) -> tuple[str, int]:
    name, colon, threshold = text.rpartition(":")
    if not colon or not (threshold.isascii() and threshold.isdecimal() and len(threshold) < 6):
        raise ConfigError(f"{text!r:.80} is no purpose: write --purpose NAME:THRESHOLD, such as web:4")
    return name, int(threshold)


def _check_vacant(folder: Path) -> None:
    """Before anybody is asked for a passphrase."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty: name a new folder")
