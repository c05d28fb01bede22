"""``alliance member`` and ``alliance refresh``: who runs the alliance, as its operators decide together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import changing, member_lead, passphrase
from alliance.cli.changing import Days, DryRun, OperatorOption, Proposer, Timeout, To, Ways
from alliance.cli.client import Carrier
from alliance.cli.output import Format, Output, lesson, prose, talk
from alliance.cli.request import OperatorPassphraseFile

if TYPE_CHECKING:
    from alliance.changes.change_file import ChangeFile
    from alliance.changes.member_drafting import Wanted
    from consensus.control import ControlState

ADD_EPILOG = lesson(
    """
    alliance member add farm/clients/client-1 emil.request --operator operator.pem
    alliance member add farm/clients/client-1 a.request b.request c.request d.request e.request --faulty 2
    alliance member add farm/clients/client-1 emil.request --remove anna --organisation north --dry-run
    """,
    changing.EXITS,
)
REPLACE_EPILOG = lesson(
    """
    alliance member replace farm/clients/client-1 new/anna.request --operator operator.pem
    alliance member replace farm/clients/client-1 new/anna.request --organisation north --to anna.change
    """,
    changing.EXITS,
)
REMOVE_EPILOG = lesson(
    """
    alliance member remove farm/clients/client-1 anna --operator operator.pem
    alliance member remove farm/clients/client-1 anna bert --profile lean --organisation north --dry-run
    """,
    changing.EXITS,
)
RESIZE_EPILOG = lesson(
    """
    alliance member resize farm/clients/client-1 --faulty 2 --operator operator.pem
    alliance member resize farm/clients/client-1 --profile lean --organisation north --dry-run
    """,
    changing.EXITS,
)
REFRESH_EPILOG = lesson(
    """
    alliance refresh farm/clients/client-1 --operator operator.pem
    alliance refresh farm/clients/client-1 --organisation north --to refresh.change
    alliance refresh farm/clients/client-1 --new-key --operator operator.pem
    """,
    changing.EXITS,
)
Requests = Annotated[
    list[Path],
    typer.Argument(
        metavar="REQUEST…", help="What 'alliance request NAME --alliance …' made.", show_default=False
    ),
]
Names = Annotated[list[str], typer.Argument(metavar="NAME…", help="Members.", show_default=False)]
Faulty = Annotated[
    int | None,
    typer.Option(
        "--faulty", metavar="F", help="So many members may be faulty from then on.", show_default="as now"
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="P",
        help="classic takes 5f+1 members, lean 5f-1.",
        show_default="as now",
    ),
]
AlsoAdd = Annotated[
    list[Path] | None,
    typer.Option("--add", metavar="REQUEST", help="Who comes by the same change.", show_default=False),
]
AlsoReplace = Annotated[
    list[Path] | None,
    typer.Option(
        "--replace", metavar="REQUEST", help="Who gets other keys by the same change.", show_default=False
    ),
]
AlsoRemove = Annotated[
    list[str] | None,
    typer.Option("--remove", metavar="NAME", help="Who goes by the same change.", show_default=False),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=prose(_member), rich_markup_mode="rich", no_args_is_help=False)
    group.callback()(_member)
    for command, epilog in (
        (add, ADD_EPILOG),
        (replace, REPLACE_EPILOG),
        (remove, REMOVE_EPILOG),
        (resize, RESIZE_EPILOG),
    ):
        group.command(command.__name__, help=prose(command), epilog=epilog)(command)
    member_lead.register(group)
    app.add_typer(group, name="member")
    app.command("refresh", help=prose(refresh), epilog=REFRESH_EPILOG)(refresh)


def _member() -> None:
    """Add, replace, remove and suspend members, while the alliance runs.

    Several operators decide it together, by 'alliance change approve'. Who leads changes at once, with a new
    epoch and the shares that there are. Whoever comes, goes or gets other keys does so by a full change: all
    keys of the alliance are handed on to new shares, under the same public keys, in a minute or so. Until
    everything is ready the alliance runs on as it was, with the members that it had.
    """


def add(
    folder: Carrier,
    paths: Requests,
    also_replace: AlsoReplace = None,
    also_remove: AlsoRemove = None,
    faulty: Faulty = None,
    profile: Profile = None,
    organisation: Proposer = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Bring members in that have made their own keys, by their request files.

    Each makes its own by 'alliance request NAME --organisation ORG --address HOST:PORT --alliance F', and
    reads its fingerprint out by telephone. Before the change is approved, 'alliance join ITS-FOLDER DIR' and
    'alliance serve ITS-FOLDER' have its server up: it fetches the log, and gets its share by it. With more
    members, more of them may be faulty: say so by --faulty.
    """
    ways = Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run)
    _propose(ways, organisation, days, _wanted(paths, also_replace, also_remove, faulty, profile))


def replace(
    folder: Carrier,
    paths: Requests,
    also_add: AlsoAdd = None,
    also_remove: AlsoRemove = None,
    faulty: Faulty = None,
    profile: Profile = None,
    organisation: Proposer = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Give members other keys, of new requests under their names: a disk is lost, or a key was stolen.

    The request names the address, too, and the organisation's operator key by --operator. The name keeps its
    place, its old identity is never admitted again, and its old share is worth nothing once the others have
    new ones. Never start the old folder again, nor a backup of it. Who is merely down need not be replaced.
    """
    ways = Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run)
    _propose(ways, organisation, days, _wanted(also_add, paths, also_remove, faulty, profile))


def remove(
    folder: Carrier,
    names: Names,
    also_add: AlsoAdd = None,
    also_replace: AlsoReplace = None,
    faulty: Faulty = None,
    profile: Profile = None,
    organisation: Proposer = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Remove members. Their organisations keep their operators and clients.

    A member that is up stays up until the new epoch has begun, which 'alliance epochs' tells: until then the
    others may need it. Then its server erases its shares and ends by itself. With fewer members, fewer of
    them may be faulty: say so by --faulty, or --profile.
    """
    ways = Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run)
    _propose(ways, organisation, days, _wanted(also_add, also_replace, names, faulty, profile))


def resize(
    folder: Carrier,
    faulty: Faulty = None,
    profile: Profile = None,
    organisation: Proposer = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Change how many members may be faulty, or the profile, with the members that there are.

    n members tolerate f faulty ones where n is 5f+1 at least, in profile classic, or 5f-1, in profile lean.
    The quorum follows from n and f, and the keys' threshold with it: the keys are handed on.
    """
    from alliance.errors import ConfigError

    if faulty is None and profile is None:
        raise ConfigError("say what is to be another size: --faulty, --profile or both")
    ways = Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run)
    _propose(ways, organisation, days, _wanted(None, None, None, faulty, profile), resizes=True)


def refresh(
    folder: Carrier,
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key",
            help="Other public keys, too, made on this machine: for when a quorum of shares may have leaked.",
        ),
    ] = False,
    organisation: Proposer = None,
    days: Days = 14,
    operator: OperatorOption = None,
    operator_passphrase_file: OperatorPassphraseFile = None,
    to: To = None,
    dry_run: DryRun = False,
    timeout: Timeout = 30.0,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Give all members new shares of the same keys: whatever leaked of the old ones is worth nothing then.

    Members, addresses and public keys stay. 'alliance change policy --refresh-days N' has it done every so
    many days by itself. Members erase their old shares; backups of them undo that.

    With --new-key the alliance gets other public keys, which the old ones sign. Only this helps when so many
    shares may have leaked that together they are a key. They are made on this machine, as by the dealer who
    founds an alliance: use one that all trust. Receipts of before still verify, under the old key.
    """
    ways = Ways(folder, passphrase_file, output, timeout, operator, operator_passphrase_file, to, dry_run)
    if new_key:
        changing.propose(ways, organisation, days, _with_new_keys(folder))
        return
    _propose(ways, organisation, days, _wanted(None, None, None, None, None))


def _with_new_keys(folder: Path) -> changing.Proposal:
    from alliance.changes.new_keys import new_keys
    from alliance.config import file as config

    def proposal(state: ControlState, organisation: str, until_ms: int) -> ChangeFile:
        talk("new keys are made, which takes some seconds each, or minutes where they are long…")
        return new_keys(state, organisation, config.load(folder), until_ms)

    return proposal


def _wanted(
    added: list[Path] | None,
    replaced: list[Path] | None,
    removed: list[str] | None,
    faulty: int | None,
    profile: str | None,
) -> Wanted:
    """Raises ConfigError for a file that is no request, or named twice."""
    from alliance.changes.member_drafting import Wanted
    from alliance.founding.by_request import read_requests

    files = read_requests([*(added or []), *(replaced or [])])
    asked = list(files.items())
    comes = len(added or [])
    return Wanted(asked[:comes], asked[comes:], removed or [], faulty, profile)


def _propose(
    ways: Ways, organisation: str | None, days: int, wanted: Wanted, *, resizes: bool = False
) -> None:
    from alliance.changes import member_drafting
    from alliance.config import file as config
    from alliance.founding.party import largest_key
    from quorum.receivers import receiver_bits

    bits = receiver_bits(largest_key(config.load(ways.folder)))
    changing.propose(
        ways,
        organisation,
        days,
        lambda state, proposer, until_ms: member_drafting.members(
            state, proposer, wanted, bits, until_ms, must_resize=resizes
        ),
    )
