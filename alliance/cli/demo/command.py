"""``alliance demo``: the newcomer's minute."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import plugins
from alliance.cli.demo.attack_kinds import AttackName
from alliance.cli.output import Format, Output, emit, lesson, plural, prose, talk, write_file
from alliance.errors import AllianceError, ConfigError

if TYPE_CHECKING:
    from alliance.cli.demo.narration import Narration
    from alliance.cli.demo.run import Run
    from alliance.config import AllianceConfig
    from alliance.founding.plan import Founding

    Made = tuple[Path, AllianceConfig, str]
    """A new alliance: its folder, its configuration, the passphrase of its keys."""

EPILOG = lesson(
    """
    alliance demo
    alliance demo --file /usr/share/common-licenses/GPL-3
    alliance demo --attack equivocate
    alliance demo --change
    alliance demo -o json | jq .p50_ms
    """,
    "0 all of it held  ·  1 a part did not, and is named  ·  2 too few members for so many faults",
)
ENDING = (signal.SIGTERM, signal.SIGHUP)
OWN_COMMANDS, FEWEST_COMMANDS = 200, 8


class DemoFailed(AllianceError):
    """Not all of the demo held."""


def register(app: typer.Typer) -> None:
    app.command("demo", help=prose(demo), epilog=EPILOG)(demo)


def demo(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The demo of an installed package.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="F", help="Propose the lines of F.", show_default=False),
    ] = None,
    attack: Annotated[
        AttackName | None,
        typer.Option(
            "--attack", help="Show one way to lie, and what it costs the others.", show_default=False
        ),
    ] = None,
    change: Annotated[
        bool,
        typer.Option("--change", help="Replace a member, add one, refresh all shares, and lose nothing."),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the alliance's folder to play with.")] = False,
    members: Annotated[int, typer.Option("--members", min=1, max=255, help="Number of members.")] = 6,
    faults: Annotated[int, typer.Option("--faults", min=1, help="Byzantine members to withstand.")] = 1,
    output: Output = Format.TEXT,
) -> None:
    """Show everything: six organisations decide; members die, one lies; openssl checks the proof.

    Creates an alliance in a temporary folder and starts a server process for each member on this machine.
    Commands are ordered; two listeners hear the same; one member is killed and comes back; the leader is
    killed and replaced; the next leader lies, is replaced and blamed; a receipt is checked by openssl, and a
    tampered one is refused. At last a lock is taken, its holder killed, the lock granted to the next with a
    higher token, and the old token refused. Nothing is left behind.

    With --attack one lying leader is shown more closely: it tells two stories, falls silent, is as slow as it
    can be, ignores a client, or spoils signatures.

    With --change the members change: one's disk is destroyed, and a new folder with new keys replaces it;
    another organisation comes; all shares are refreshed. The operators approve, the others hand the keys on,
    and meanwhile a client proposes all the time. The receipt of the first command is checked by openssl in
    the end, with the key that never changed.
    """
    from alliance.cli.demo.narration import Narration

    _require_one_course(attack, file, change)
    brought = _brought(name) if name is not None else None
    if brought is not None and (attack is not None or file is not None or change):
        raise ConfigError("--file, --attack and --change belong to the demo without a name")
    commands = _commands(file)
    founding, address = _planned(members, faults, change)
    narration = Narration(silent=output is Format.JSON)
    for number in ENDING:
        signal.signal(number, signal.default_int_handler)
    begin = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="alliance-demo-"))
    try:
        made = _found(founding, folder / "alliance", narration)
        if brought is not None:
            run: Run = brought(*made, narration)
        else:
            run = _own(made, commands, attack, address if change else None, narration)
        _show(run, folder if keep else None)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    run.figures.seconds = round(time.monotonic() - begin, 2)
    _conclude(run, narration, output)


def _show(run: Run, kept: Path | None) -> None:
    """From its first to its last event; ``kept`` is the folder that stays."""
    try:
        asyncio.run(_live(run))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        run.cluster.abandon()
        if kept is not None:
            talk(f"kept: {kept}/alliance; the passphrase of its keys is in {kept}/passphrase")


def _require_one_course(attack: AttackName | None, file: Path | None, change: bool) -> None:
    if attack is not None and file is not None:
        raise ConfigError("the attacks propose commands of their own: leave out --file or --attack")
    if change and (attack is not None or file is not None):
        raise ConfigError("--change proposes commands of its own, and nobody lies: leave out the other one")


def _planned(members: int, faults: int, change: bool) -> tuple[Founding, str]:
    """What is founded, and the address of one more member. Raises ConfigError."""
    from alliance.cli.demo.cluster import free_addresses
    from alliance.founding import plan
    from consensus.limits import DEALT_MEMBERS_MAX

    if change and members >= DEALT_MEMBERS_MAX:
        raise ConfigError(f"keys are handed on to at most {DEALT_MEMBERS_MAX} members, and one is to come")
    *addresses, another = free_addresses(members + 1)
    names = [f"member-{number}" for number in range(1, members + 1)]
    clients = [f"client-{number}" for number in range(1, 4 if change else 3)]
    founding = plan.Founding("demo", names, addresses, clients, faults, 2048)
    plan.check(founding)
    return founding, another


async def _live(run: Run) -> None:
    """Cancelled, so that it cleans up, by the signals that would end the process."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in ENDING:
        if task is not None:
            loop.add_signal_handler(number, task.cancel)
    await run.run()


def _commands(file: Path | None) -> list[bytes]:
    """The file's lines, with some of our own if they are too few to show anything."""
    from alliance.cli.propose import lines

    own = [
        b"order %d: %d kWh from plant %d" % (n, 5 + n * 7 % 40, 1 + n % 6) for n in range(1, OWN_COMMANDS + 1)
    ]
    if file is None:
        return own
    try:
        given = lines(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from None
    if len(given) < FEWEST_COMMANDS:
        talk(f"{file} has {plural(len(given), 'line')}; some orders of the demo's own follow them")
        given += own[: FEWEST_COMMANDS - len(given)]
    return given


def _brought(name: str) -> type[Run]:
    """The run that an installed package offers by this name. Raises ConfigError."""
    run: type[Run] | None = plugins.load(plugins.DEMOS, name)
    if run is None:
        there = ", ".join(plugins.names(plugins.DEMOS)) or "none"
        raise ConfigError(f"no installed package has a demo '{name}'; there is: {there}")
    return run


def _own(
    made: Made, commands: list[bytes], attack: AttackName | None, address: str | None, narration: Narration
) -> Run:
    """``address`` is for the member that comes, if members are to change."""
    from alliance.cli.demo.attack_kinds import PLANS
    from alliance.cli.demo.attack_run import Attacked
    from alliance.cli.demo.change_run import Changed
    from alliance.cli.demo.newcomer_run import Demo

    if address is not None:
        return Changed(*made, address, narration)
    if attack is not None:
        return Attacked(*made, PLANS[attack], narration)
    return Demo(*made, commands, narration)


def _found(founding: Founding, folder: Path, narration: Narration) -> Made:
    from alliance.founding import dealer

    count, faults = len(founding.member_names), founding.faulty_max
    narration.title(
        f"{_word(count).capitalize()} organisations decide together, and trust none of each other",
        f"Up to {plural(faults, 'member')} may lie, and it still holds. Everything below really happens.",
    )
    narration.chapter(
        "The founding",
        "One RSA key is made and shared out, so that no member has it, but enough of them together can sign"
        " with it. Whoever does this sees the key and must be trusted to forget it: here, this process.",
    )
    passphrase = secrets.token_urlsafe(24)
    with narration.waiting("searching for safe primes"):
        config = dealer.found(founding, folder, passphrase.encode())
    write_file(folder.parent / "passphrase", passphrase.encode() + b"\n")
    narration.fact(
        f"{plural(count, 'member')}, of which {config.system.decision} together sign with a key of"
        f" {founding.key_size} bits; any {config.system.decision} of them give the same signature"
    )
    return folder, config, passphrase


def _conclude(run: Run, narration: Narration, output: Format) -> None:
    figures = run.figures
    if output is Format.JSON:
        emit(figures.report())
    elif not figures.failed:
        narration.end(
            f"All of it held: {plural(figures.decided_commands, 'command')} decided, in"
            f" {figures.seconds:.0f} seconds altogether.",
            good=True,
        )
        narration.remark("Next, an alliance of your own: alliance init --help")
    if figures.failed:
        raise DemoFailed(f"{plural(len(figures.failed), 'part')} did not hold: {'; '.join(figures.failed)}")


def _word(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
    return words[count] if count < len(words) else str(count)
