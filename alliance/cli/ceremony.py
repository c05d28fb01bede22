"""``alliance ceremony``: several organisations deal the keys of an alliance together, and none learns one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli import founded, passphrase
from alliance.cli.init import Attest, Faults, From, Profile, Purposes, Requests, founding_progress, purpose_of
from alliance.cli.output import Folder, Format, Output, emit, lesson, prose, reporting, say
from alliance.cli.request import OperatorPassphraseFile, operator_key
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from alliance.founding.ceremony_plan import CeremonyPlan
    from alliance.founding.commitment import Commitment
    from alliance.founding.opening import Opening

PLAN_EPILOG = lesson(
    """
    alliance ceremony plan farm.plan --from *.request
    alliance ceremony plan farm.plan --from *.request --dealers north,south,west --name farm
    """,
    "0 written  ·  2 a request or option is wrong, and nothing was written  ·  9 written, but the report was"
    " not taken",
)
DEAL_EPILOG = lesson(
    """
    alliance ceremony deal north farm.plan --operator operator.pem
    """,
    "0 dealt, now or before  ·  2 plan, folder, key or passphrase is wrong  ·  9 dealt, but the report was"
    " not taken",
)
OPEN_EPILOG = lesson(
    """
    alliance ceremony open north farm.plan *.commitment --operator operator.pem
    """,
    "0 opened, now or before  ·  1 a commitment is missing or wrong: the line says whose  ·  2 plan, folder,"
    " key or passphrase is wrong  ·  9 opened, but the report was not taken",
)
FINISH_EPILOG = lesson(
    """
    alliance ceremony finish farm farm.plan *.opening *.commitment
    """,
    "0 created  ·  1 an opening or commitment is missing or wrong: the line says whose  ·  2 refused, and"
    " nothing was written  ·  9 created, but the report was not taken",
)
Plan = Annotated[
    Path, typer.Argument(metavar="PLAN", help="The file of 'ceremony plan'.", show_default=False)
]
Working = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="This dealer's working folder, made by 'deal'.", show_default=False),
]
Operator = Annotated[
    Path,
    typer.Option(
        "--operator", metavar="F", help="The operator.pem of the dealer's organisation.", show_default=False
    ),
]
Dealers = Annotated[
    str | None,
    typer.Option(
        "--dealers",
        metavar="A,B,C…",
        help="Organisations that deal, f+1 or more.",
        show_default="the first f+1",
    ),
]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help="Every dealer's opening; and commitments.", show_default=False),
]
Commitments = Annotated[
    list[Path],
    typer.Argument(metavar="COMMITMENT…", help="Every dealer's, this one's included.", show_default=False),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=prose(_ceremony),
        rich_markup_mode="rich",
        no_args_is_help=False,
    )
    group.callback()(_ceremony)
    group.command("plan", help=prose(plan), epilog=PLAN_EPILOG)(plan)
    group.command("deal", help=prose(deal), epilog=DEAL_EPILOG)(deal)
    group.command("open", help=prose(open_), epilog=OPEN_EPILOG)(open_)
    group.command("finish", help=prose(finish), epilog=FINISH_EPILOG)(finish)
    app.add_typer(group, name="ceremony")


def _ceremony() -> None:
    """Found an alliance whose keys no dealer knows: each of several organisations deals a factor of every
    key.

    Somebody writes a plan of everybody's requests; each dealer deals, and sends its commitment to all
    dealers; when all commitments are there, each opens, and sends its opening to everybody; anybody finishes,
    and all get the same alliance. One honest dealer is enough that nobody knows a key. One that lies or stops
    is named, and the others begin anew without it, with another plan.
    """


def plan(
    path: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The new file for the plan.", show_default=False)
    ],
    requests: Requests = None,
    given: From = None,
    dealers: Dealers = None,
    faults: Faults = 1,
    profile: Profile = None,
    bits: Annotated[int, typer.Option("--bits", help="Size of each dealer's factor of a key.")] = 2048,
    name: Annotated[str, typer.Option("--name", help="Name of the alliance.")] = "alliance",
    attest: Attest = None,
    purpose: Purposes = None,
    output: Output = Format.TEXT,
) -> None:
    """Write the plan of a ceremony: who takes part, how many must sign, and who deals.

    Everything of the alliance but its keys is in this public file: the requests that the parties made by
    'alliance request', and the options here. Each dealer deals one factor of every key, so that a key has as
    many times --bits as there are dealers; it takes more of them than may be faulty, and a dealer's machine
    should not be a member's. Every party finds its own request in it, and all compare its digest by telephone
    before anybody deals.
    """
    from alliance.founding import by_request
    from alliance.founding.ceremony_plan import make_plan

    made = make_plan(
        by_request.read_requests([*(given or []), *(requests or [])]),
        name=name,
        faults=faults,
        factor_bits=bits,
        dealers=[one.strip() for one in dealers.split(",")] if dealers else (),
        purposes=[purpose_of(text) for text in purpose or []],
        attest=attest,
        profile=profile,
    )
    _write_new(path, made.to_toml())
    with reporting(f"the plan is in {path}"):
        if output is Format.JSON:
            emit(_plan_report(made, path))
        else:
            _tell_plan(made, path)


def deal(
    folder: Working,
    path: Plan,
    operator: Operator,
    operator_passphrase_file: OperatorPassphraseFile = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Make this dealer's factors of all keys, and its commitment to them.

    DIR is made for it, on a machine that should not be a member's: whoever keeps what this process knew can
    spoil the alliance's signatures later, though never forge one alone. The shares are sealed to the members
    as they are dealt; neither they nor the primes are written. What is to be opened later stays in DIR,
    encrypted with the passphrase. NAME.commitment is public: send it to all other dealers. Typed again, this
    gives the same commitment; with another DIR it would make a second one, which would be taken for a lie.
    """
    from alliance.founding import ceremony_folder
    from alliance.founding.commitment import SUFFIX

    agreed = ceremony_folder.read_plan(path)
    key, secret = _secrets(folder, operator, operator_passphrase_file, passphrase_file, confirm=True)
    with founding_progress() as progress:
        made = ceremony_folder.deal(folder, agreed, key, secret, progress)
    written = folder / f"{made.dealer}{SUFFIX}"
    with reporting(f"the commitment of '{made.dealer}' is {written}"):
        if output is Format.JSON:
            emit({"dealer": made.dealer, "plan_digest": agreed.digest.hex(), "commitment": str(written)})
            return
        say(f"'{made.dealer}' has dealt its factors of {len(agreed.thresholds)} keys.")
        say(f"  {written}   public")
        say("")
        say("Next: send it to all other dealers. When the commitments of all are there, and not before:")
        say(f"  alliance ceremony open {folder} {path} {written} OTHERS.commitment… --operator {operator}")


def open_(
    folder: Working,
    path: Plan,
    files: Commitments,
    operator: Operator,
    operator_passphrase_file: OperatorPassphraseFile = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Show this dealer's factors, when the commitments of all dealers are there.

    Refuses as long as one is missing or wrong, and says whose. NAME.opening has the public halves, each
    member's shares, sealed to it, and this dealer's signature on the list of all commitments, which convicts
    whoever gave two. It is public: send it to everybody. What was kept in DIR for it is erased. Typed again,
    this gives the same opening.
    """
    from alliance.founding import ceremony_folder
    from alliance.founding.opening import SUFFIX

    agreed = ceremony_folder.read_plan(path)
    commitments = [ceremony_folder.read_commitment(one) for one in files]
    key, secret = _secrets(folder, operator, operator_passphrase_file, passphrase_file, confirm=False)
    shown = ceremony_folder.open_all(folder, agreed, commitments, key, secret)
    written = folder / f"{shown.dealer}{SUFFIX}"
    with reporting(f"the opening of '{shown.dealer}' is {written}"):
        if output is Format.JSON:
            emit({"dealer": shown.dealer, "plan_digest": agreed.digest.hex(), "opening": str(written)})
            return
        say(f"'{shown.dealer}' has opened its factors, and keeps nothing of them.")
        say(f"  {written}   public")
        say("")
        say("Next: send it to everybody. Whoever has the openings of all dealers:")
        say(f"  alliance ceremony finish {agreed.founding.name} {path} *.opening")


def finish(folder: Folder, path: Plan, files: Files, output: Output = Format.TEXT) -> None:
    """Create the alliance that the plan and the openings found. Anybody can, and all get the same.

    Everything that the dealers signed is checked: that each opened what it had committed to, and on the same
    list; that no two factors are related; that the shares' verification keys fit; that signatures under each
    factor are unique. Whoever did otherwise is named: then begin anew without it. DIR gets what everybody may
    see: alliance.toml, the public keys, the plan and the openings. Send it to all; each runs 'alliance join',
    which checks all of this again.
    """
    from alliance.founding import ceremony_folder

    agreed = ceremony_folder.read_plan(path)
    openings, commitments = _read(files)
    config = ceremony_folder.finish(folder, agreed, openings, commitments)
    with reporting(f"'{config.name}' is created in {folder}"):
        if output is Format.JSON:
            emit(founded.by_ceremony(config, folder, agreed))
        else:
            founded.tell_by_ceremony(config, folder, agreed)


def _secrets(
    folder: Path, operator: Path, operator_file: Path | None, file: Path | None, *, confirm: bool
) -> tuple[Any, bytes]:
    """The operator key, and the passphrase of the working folder: a new one if nothing is there yet."""
    from alliance.founding.ceremony_folder import KEY

    new = confirm and not (folder / KEY).exists()
    key = operator_key(operator, operator_file)
    return key, passphrase.obtain(file, prompt=f"Passphrase of {folder}", confirm=new)


def _read(files: Sequence[Path]) -> tuple[list[Opening], list[Commitment]]:
    """Which is which says the end of its name."""
    from alliance.founding import ceremony_folder, commitment, opening

    openings, commitments = [], []
    for path in files:
        if path.suffix == opening.SUFFIX:
            openings.append(ceremony_folder.read_opening(path))
        elif path.suffix == commitment.SUFFIX:
            commitments.append(ceremony_folder.read_commitment(path))
        else:
            raise ConfigError(f"{path} is named neither …{opening.SUFFIX} nor …{commitment.SUFFIX}")
    return openings, commitments


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists: name a new file; dealers never deal twice for one plan") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _plan_report(made: CeremonyPlan, path: Path) -> dict[str, Any]:
    return {
        "plan": str(path),
        "digest": made.digest.hex(),
        "name": made.founding.name,
        "dealers": list(made.dealers),
        "profile": made.system.profile,
        "faults": made.founding.faulty_max,
        "factor_bits": made.founding.key_size,
        "key_bits": len(made.dealers) * made.founding.key_size,
        "keys": [{"name": purpose, "threshold": threshold} for purpose, threshold in made.thresholds],
        "requests": [
            {"kind": one.kind, "name": one.name, "fingerprint": one.fingerprint} for one in made.requests
        ],
    }


def _tell_plan(made: CeremonyPlan, path: Path) -> None:
    from alliance.founding.request import grouped

    bits = len(made.dealers) * made.founding.key_size
    say(f"The plan of '{made.founding.name}' is {path}: {', '.join(made.dealers)} deal keys of {bits} bits.")
    for purpose, threshold in made.thresholds:
        say(f"  {purpose:<20} {threshold} of {len(made.members)} members sign")
    say("")
    say("Send it to every party. Each reads out by telephone the fingerprint of its own request:")
    for request in made.requests:
        say(f"  {request.name:<20} {grouped(request.fingerprint)}")
    say("and all compare what sha256sum says of the plan:")
    say(f"  {grouped(made.digest.hex())}")
    say("")
    say("Next, each dealer, on a machine that is no member's:")
    say(f"  alliance ceremony deal {made.dealers[0]} {path} --operator operator.pem")
