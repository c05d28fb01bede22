"""``alliance quorum``: which failures an alliance survives, and which it would with other sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alliance.cli.output import Format, Output, emit, lesson, prose, say
from alliance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alliance.config.fault_tolerance import FaultTolerance
    from quorum.survival import Survival

SHOW_EPILOG = lesson(
    """
    alliance quorum show farm
    alliance quorum show farm/clients/client-1 -o json | jq .too_large
    """,
    "0 told  ·  2 folder is wrong",
)
SIMULATE_EPILOG = lesson(
    """
    alliance quorum simulate farm --down member-2
    alliance quorum simulate farm --down south --lying member-1
    """,
    "0 told, whatever comes of it  ·  2 folder is wrong, or nobody has that name",
)
COMPARE_EPILOG = lesson(
    """
    alliance quorum compare farm --members 11 --faulty 2
    alliance quorum compare farm --profile lean
    alliance quorum compare farm --other new/alliance.toml
    """,
    "0 told  ·  2 folder is wrong, or these sizes do not fit together: the line says which would",
)

AllianceFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="Any folder of the alliance, or its alliance.toml.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Tell which failures are survived. It all follows from alliance.toml: nobody is asked, and"
        " nothing changes.",
        rich_markup_mode="rich",
        no_args_is_help=False,
    )
    group.callback()(_quorum)
    group.command("show", help=prose(show), epilog=SHOW_EPILOG)(show)
    group.command("simulate", help=prose(simulate), epilog=SIMULATE_EPILOG)(simulate)
    group.command("compare", help=prose(compare), epilog=COMPARE_EPILOG)(compare)
    app.add_typer(group, name="quorum")


def _quorum() -> None:
    pass


def show(folder: AllianceFolder, output: Output = Format.TEXT) -> None:
    """Tell how many decide, which failures are survived, and the smallest that are not.

    An organisation fails as a whole, with all members that it runs.
    """
    tolerance = _of(folder)
    if output is Format.JSON:
        emit(tolerance.to_json())
        return
    for line in tolerance.lines():
        say(line)
    for name, numbers in tolerance.organisations.items():
        say(f"  {name} runs {', '.join(tolerance.members[number][0] for number in numbers)}")


def simulate(
    folder: AllianceFolder,
    down: Annotated[
        list[str] | None,
        typer.Option(
            "--down",
            metavar="NAME",
            help="A member, or all of an organisation; repeatable.",
            show_default=False,
        ),
    ] = None,
    lying: Annotated[
        list[str] | None,
        typer.Option(
            "--lying",
            metavar="NAME",
            help="The same, of those that lie: they may be silent, too.",
            show_default=False,
        ),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Say what would be left of the alliance if some are down and some lie: safe, deciding, live."""
    if not down and not lying:
        raise ConfigError("say what fails: --down NAME, --lying NAME")
    tolerance = _of(folder)
    liars, silent = _numbers(tolerance, lying or []), _numbers(tolerance, down or [])
    left = tolerance.in_failure(liars, silent)
    if output is Format.JSON:
        names = {"lying": liars, "down": silent}
        told: dict[str, Any] = {
            what: [tolerance.members[number][0] for number in numbers] for what, numbers in names.items()
        }
        emit({**told, "safe": left.safe, "decides": left.decides, "live": left.live})
        return
    for line in _left(left, tolerance, len(liars), len({*liars, *silent})):
        say(line)


def compare(
    folder: AllianceFolder,
    members: Annotated[
        int | None,
        typer.Option(
            "--members", metavar="N", help="So many, each of an organisation of its own.", show_default=False
        ),
    ] = None,
    faulty: Annotated[
        int | None,
        typer.Option("--faulty", metavar="N", help="So many of them may be faulty.", show_default=False),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="classic|lean", help="By which rule they decide.", show_default=False
        ),
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option(
            "--other", metavar="DIR", help="Another folder, or alliance.toml, instead.", show_default=False
        ),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Say what would be survived with other sizes that is not survived now, and the other way round.

    What is not named stays. A change of members or sizes is made by 'alliance member add', 'replace',
    'remove' or 'resize', which say the same before anything is signed.
    """
    from alliance.config.fault_tolerance import differences

    before = _of(folder)
    if other is not None:
        if members is not None or faulty is not None or profile is not None:
            raise ConfigError("--other together with sizes: name one of the two")
        after = _of(other)
    elif members is None and faulty is None and profile is None:
        raise ConfigError("say what to compare it with: --members, --faulty, --profile; or --other DIR")
    else:
        after = _resized(before, members, faulty, profile)
    told = differences(before, after)
    if output is Format.JSON:
        emit({"before": before.to_json(), "after": after.to_json(), "differences": told})
        return
    say(f"now:  {before.summary()}")
    say(f"then: {after.summary()}")
    for line in told or ["the same is survived"]:
        say(f"  {line}")


def _of(folder: Path) -> FaultTolerance:
    from alliance.config import file as config
    from alliance.config.fault_tolerance import FaultTolerance

    found = config.load(folder.parent if folder.name == config.FILE else folder)
    members = tuple((member.name, member.organisation) for member in found.members)
    return FaultTolerance(found.system, members)


def _resized(
    now: FaultTolerance, members: int | None, faulty: int | None, profile: str | None
) -> FaultTolerance:
    """With the members of now, and more that have organisations of their own; or with the first of them."""
    from alliance.config.fault_tolerance import FaultTolerance
    from quorum.system import QuorumSystem, UnsatisfiableSizes

    count = now.system.member_count if members is None else members
    try:
        system = QuorumSystem(
            count,
            now.system.faulty_max if faulty is None else faulty,
            now.system.profile if profile is None else profile,
        )
    except UnsatisfiableSizes as error:
        raise ConfigError(str(error)) from None
    more = tuple((f"new-{number}", f"new-{number}") for number in range(1, count - len(now.members) + 1))
    return FaultTolerance(system, (*now.members, *more)[:count])


def _numbers(tolerance: FaultTolerance, names: Iterable[str]) -> tuple[int, ...]:
    try:
        return tolerance.numbers(names)
    except KeyError as error:
        known = ", ".join(dict.fromkeys([*(name for name, _ in tolerance.members), *tolerance.organisations]))
        raise ConfigError(f"no member and no organisation is called {error}; there are {known}") from None


def _left(left: Survival, tolerance: FaultTolerance, lying: int, faulty: int) -> Iterable[str]:
    system = tolerance.system
    if not left.safe:
        yield f"not safe: {lying} lie, and {system.faulty_max} may: two orders could be signed"
        return
    yield f"safe: {lying} lie, and {system.faulty_max} may"
    rest = system.member_count - faulty
    if left.live:
        yield f"live: {rest} are left, {system.decision} decide, {system.report} replace a leader that fails"
    elif left.decides:
        yield (
            f"decides: {rest} are left, and {system.decision} decide, but replacing a leader that fails takes"
            f" {system.report}"
        )
    else:
        yield f"halted: {rest} are left, and it takes {system.decision} to decide; nothing is lost"
