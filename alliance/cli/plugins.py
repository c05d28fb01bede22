"""Commands and demos of other packages, found by entry points: ``alliance.cli`` imports nothing above it.

A package above names them in its own metadata::

    [options.entry_points]
    alliance.commands =
        ledger = volt_ledger.cli:app
    alliance.demos =
        ledger = volt_ledger.cli.demo:LedgerRun

A command is a ``typer.Typer``; it is looked for only when ``alliance`` has no command of that name, and
when commands are listed, so that alliance's own cost nothing more. A demo is a subclass of
``alliance.cli.demo.run.Run`` that is made of a folder, a configuration, a passphrase and a narration; it is
run by ``alliance demo NAME`` on an alliance that was founded for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer.core
import typer.main

from alliance.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

COMMANDS, DEMOS = "alliance.commands", "alliance.demos"


def load(group: str, name: str) -> Any:
    """The object that an installed package offers by this name; None if none does. Raises ConfigError."""
    for entry in _entries(group):
        if entry.name == name:
            try:
                return entry.load()
            except (ImportError, AttributeError) as error:
                package = entry.dist.name if entry.dist is not None else entry.value
                raise ConfigError(
                    f"'{name}' of the package {package} cannot be loaded: {error}; install it again"
                ) from None
    return None


def names(group: str) -> list[str]:
    """What installed packages offer, in alphabetical order."""
    return sorted({entry.name for entry in _entries(group)})


def _entries(group: str) -> Sequence[EntryPoint]:
    from importlib.metadata import entry_points  # reads the metadata of every installed package

    return tuple(entry_points(group=group))


class Commands(typer.core.TyperGroup):
    """alliance's own commands in their order, then those of other packages."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return own + [name for name in names(COMMANDS) if name not in own]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        try:
            app = load(COMMANDS, cmd_name)
        except ConfigError as error:
            return _broken(cmd_name, error)
        if app is None:
            return None
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


def _broken(name: str, error: ConfigError) -> Any:
    """A command that says why it is none, so that the help still lists all the others."""
    app = typer.Typer()

    @app.command(name, help="Cannot be loaded.", context_settings={"ignore_unknown_options": True})
    def refuse(arguments: list[str] | None = typer.Argument(None, hidden=True)) -> None:
        raise error

    return typer.main.get_command(app)
