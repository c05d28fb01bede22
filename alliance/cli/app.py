"""All commands under one name, with their common conventions."""

from __future__ import annotations

from typing import Annotated

import typer

from alliance.cli import (
    alarms,
    ceremony,
    change,
    client,
    epochs,
    evidence,
    init,
    join,
    listen,
    member,
    operator,
    propose,
    quorums,
    receipts,
    recover,
    rekey,
    renew,
    request,
    serve,
    share,
    sign,
    status,
    step_down,
)
from alliance.cli.demo import command as demo
from alliance.cli.plugins import Commands
from alliance.version import VERSION

EXIT_CODES = """[bold]Exit codes[/bold]
  0  done                              5  too few servers reachable
  1  not proven; demo: a part failed   6  refused by the servers or members
  2  wrong usage, folder, key, port    7  a server's identity is in doubt
  3  unknown whether it was ordered    9  done, but the report was not taken
  4  a journal or signer fails         10  the member takes no part any more
                                       130  interrupted"""

app = typer.Typer(
    name="alliance",
    cls=Commands,
    help="Consensus between organisations that cooperate but do not trust each other.\n\n"
    "New here? [bold]alliance demo[/bold] shows everything within a minute.",
    epilog=EXIT_CODES,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alliance {VERSION}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def alliance(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


demo.register(app)
init.register(app)
request.register(app)
ceremony.register(app)
join.register(app)
serve.register(app)
step_down.register(app)
status.register(app)
alarms.register(app)
propose.register(app)
listen.register(app)
receipts.register(app)
evidence.register(app)
change.register(app)
client.register(app)
member.register(app)
operator.register(app)
epochs.register(app)
quorums.register(app)
sign.register(app)
rekey.register(app)
renew.register(app)
share.register(app)
recover.register(app)
