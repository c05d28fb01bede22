"""``alliance sign serve`` and ``alliance sign audit``: a member's desk, and what was asked of all of them."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli import passphrase
from alliance.cli.clients import open_client, unlock
from alliance.cli.output import (
    ClientFolder,
    Format,
    LogFormatOption,
    Output,
    announce,
    emit,
    escaped,
    lesson,
    place,
    prose,
    say,
)
from alliance.errors import ConfigError
from alliance.net.process_log import LogFormat, log_to_stderr

if TYPE_CHECKING:
    from alliance.signing import Policy

SERVE_EPILOG = lesson(
    "alliance sign serve farm/members/member-1 --policy web.toml --policy tokens.toml",
    "0 ended by SIGTERM or SIGINT  ·  2 folder, policy, key, passphrase, clock or port is wrong",
)
AUDIT_EPILOG = lesson(
    """
    alliance sign audit farm/clients/client-1
    alliance sign audit farm/clients/client-1 --policy web.toml -o json
    """,
    "0 all listed  ·  2 folder, policy, key or passphrase is wrong  ·  5 no server gives the log",
)
Policies = Annotated[
    list[Path] | None,
    typer.Option("--policy", metavar="P.toml", help="A policy; once per purpose.", show_default=False),
]


def register(group: typer.Typer) -> None:
    group.command("serve", help=prose(serve), epilog=SERVE_EPILOG)(serve)
    group.command("audit", help=prose(audit), epilog=AUDIT_EPILOG)(audit)


def serve(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A member's folder: …/members/NAME.", show_default=False)
    ],
    policy: Policies = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where to listen, if not at the address in alliance.toml."
        ),
    ] = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Run the signing desk of one member, until SIGTERM or SIGINT.

    It gives this member's share of a signature for what the alliance has ordered and the policy for that
    purpose allows. It opens the keys of these purposes and no others. A policy that is changed counts after a
    restart.
    """
    from alliance import signing
    from alliance.config import file as config
    from alliance.keys import folder as keys
    from alliance.net.tasks import until_signal
    from alliance.signing import policy as policy_file
    from alliance.signing.desk import check

    if not policy:
        raise ConfigError("no --policy: a desk without one would refuse everything")
    loaded = config.load(folder)
    _, member = keys.member_party(loaded, folder)  # a wrong folder or policy needs no passphrase
    policies = [policy_file.load(path) for path in policy]
    check(loaded, policies)
    secret = passphrase.obtain(passphrase_file, prompt=f"Passphrase of {member.name}")
    log_to_stderr(member.name, "sign", form=log_format)

    def ready(address: str) -> None:
        announce(output, member.name, address, f"the desk of {member.name}")

    try:
        life = signing.serve(folder, policies, passphrase=secret, listen=listen, ready=ready)
        if asyncio.run(until_signal(life)):
            logging.getLogger("alliance.signing").info("ended")
    finally:
        gc.collect()  # streams of gRPC lie in circles; left to the interpreter's end, they delay it by 2 s


def audit(
    folder: ClientFolder,
    policy: Policies = None,
    start: Annotated[int, typer.Option("--start", min=1, metavar="SLOT", help="Begin at this slot.")] = 1,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """List what the alliance was asked to sign: every request of the log, in its order.

    Everybody gets the same list. With --policy each line also says what that policy makes of the request. The
    digest is that of the bytes that were to be signed: a document that is found somewhere is in the list, or
    was never asked for. Whether enough members agreed, the log does not say: members log their own answers.
    """
    from alliance.config import file as config
    from alliance.signing import policy as policy_file
    from alliance.signing.desk import check

    policies = [policy_file.load(path) for path in policy or []]
    check(config.load(folder), policies)
    secret = unlock(folder, passphrase_file)
    asyncio.run(_audit(folder, secret, {one.purpose: one for one in policies}, start, output))


async def _audit(
    folder: Path, secret: bytes, policies: Mapping[str, Policy], start: int, output: Format
) -> None:
    from alliance.signing import audit as audited

    async with await open_client(folder, secret) as client:
        async for line in audited(client, policies, start=start):
            if output is Format.JSON:
                emit(line.to_dict())
                continue
            entry, order = line.entry, line.order
            where = place(entry.slot, entry.position, entry.command_index)
            if order is None:
                say(f"{where}: {entry.client}: {escaped(line.problem.encode())}")
                continue
            verdict = f"; {line.verdict}" if line.verdict else ""
            say(
                f"{where}: {order.time} {entry.client} '{order.occasion.purpose}': {order.request.summary},"
                f" number {order.occasion.number}, digest {order.digest.hex()[:16]}…{verdict}"
            )
