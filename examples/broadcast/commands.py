"""The command line: publish, subscribe, chat. Conventions and exit codes are those of ``alliance``."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from alliance.cli import passphrase
from alliance.cli.clients import open_client, unlock
from alliance.cli.output import (
    ClientFolder,
    Format,
    Output,
    as_json,
    emit,
    fit_for_output,
    lesson,
    place,
    prose,
    reporting,
    say,
    write_file,
)
from alliance.cli.propose import lines
from alliance.errors import ConfigError
from examples.broadcast import chat as chatting
from examples.broadcast.cursor import Cursor
from examples.broadcast.message import Message, check_topic, place_of
from examples.broadcast.output_file import OutputFile
from examples.broadcast.publisher import TIMEOUT_SECONDS, publish_all
from examples.broadcast.subscriber import subscribe

PROGRAM = "python -m examples.broadcast"
EXITS = "0 done  ·  2 wrong usage, folder, key, topic or cursor  ·  5 too few servers reachable"

Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", "-t", metavar="TOPIC", help="One of several; default: all.", show_default=False),
]
Start = Annotated[int, typer.Option("--from", min=1, metavar="SLOT", help="The first slot wanted.")]
Server = Annotated[
    str | None, typer.Option("--server", metavar="NAME", help="The member to ask first.", show_default=False)
]

app = typer.Typer(
    name="broadcast",
    help="Totally ordered broadcast between organisations: everybody hears the same messages in the same"
    " order, and can prove each of them to anybody.",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)


def publish(
    folder: ClientFolder,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Such as news or gates/north.")],
    values: Annotated[
        list[str],
        typer.Argument(metavar="VALUE…", help="Messages; a single - reads lines of standard input."),
    ],
    receipt: Annotated[
        Path | None,
        typer.Option(
            "--receipt", metavar="R.json", help="Keep the last message's proof.", show_default=False
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="S", help="Seconds to wait for each proof.")
    ] = TIMEOUT_SECONDS,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Publish messages in the order given, and wait until each is ordered and proven.

    Ends with 3 when the proof of one did not come in time: then it may or may not be published, and
    publishing it again may publish it twice.
    """
    check_topic(topic)
    payloads = lines(sys.stdin.buffer.read()) if values == ["-"] else [os.fsencode(value) for value in values]
    if not payloads:
        raise ConfigError("nothing to publish: standard input was empty")
    secret = unlock(folder, passphrase_file)

    async def work() -> None:
        async with (
            await open_client(folder, secret) as client,
            aclosing(publish_all(client, topic, payloads, timeout)) as receipts,
        ):
            async for proof in receipts:
                at = place_of(proof)
                with reporting(f"published, at least up to {place(*at)}"):
                    if receipt is not None:
                        write_file(receipt, proof.to_json().encode())
                    if output is Format.JSON:
                        emit({"topic": topic, "slot": at[0], "position": at[1], "command_index": at[2]})
                    else:
                        say(f"published: {place(*at)}")

    asyncio.run(work())


def subscribe_command(
    folder: ClientFolder,
    topics: Topics = None,
    cursor: Annotated[
        Path | None,
        typer.Option(
            "--cursor", metavar="F", help="Go on where this file says, and note it.", show_default=False
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="F", help="Append to F, exactly once; needs --cursor.", show_default=False
        ),
    ] = None,
    proofs: Annotated[
        Path | None,
        typer.Option(
            "--proofs", metavar="DIR", help="Keep each message's receipt there.", show_default=False
        ),
    ] = None,
    start: Start = 1,
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, metavar="N", help="End after N messages.", show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is published from now on.")
    ] = False,
    server: Server = None,
    passphrase_file: passphrase.PassphraseFile = None,
    output: Output = Format.TEXT,
) -> None:
    """Print the messages of some topics, in the order of all of them, each checked before it is printed.

    Text: the message and a newline; on a terminal, what does not print is escaped. JSON: one object per line,
    with its place, which no other message has.
    With --cursor the next call goes on behind the last message of this one. A process that is killed may have
    printed a message whose place it could not note any more; that one is printed again. With --into nothing
    is printed: the same lines are appended to a file, and there none is missing and none is twice, whenever
    the process is killed. --from counts only while the cursor is new.
    """
    if into is not None and cursor is None:
        raise ConfigError("--into needs --cursor F: the file's length is kept there")
    if proofs is not None and not proofs.is_dir():
        raise ConfigError(f"{proofs} is no folder: make it first")
    secret = unlock(folder, passphrase_file)
    line = json_line if output is Format.JSON else text_line

    async def work() -> None:
        async with await open_client(folder, secret) as client, AsyncExitStack() as stack:
            kept = file = None
            if cursor is not None:
                kept = stack.enter_context(Cursor(cursor, client.config.alliance_id, topics, start))
            if into is not None and kept is not None:
                file = stack.enter_context(OutputFile(into, kept))
            messages = subscribe(client, topics, start=start, cursor=kept, follow=follow, server=server)
            taken = 0
            async with aclosing(messages):
                async for message in messages:
                    if proofs is not None:
                        name = "-".join(map(str, message.place))
                        write_file(proofs / f"{name}.json", message.receipt().to_json().encode())
                    take(message, line(message), kept, file)
                    taken += 1
                    if taken == count:
                        return

    asyncio.run(work())


def take(message: Message, line: bytes, cursor: Cursor | None, file: OutputFile | None) -> None:
    """To the file, or to standard output and then into the cursor."""
    if file is not None:
        file.append(message, line)
        return
    sys.stdout.buffer.write(fit_for_output(line.removesuffix(b"\n")) + b"\n")
    sys.stdout.buffer.flush()
    if cursor is not None:
        with cursor.handing_over(message):
            pass


def text_line(message: Message) -> bytes:
    return message.payload + b"\n"


def json_line(message: Message) -> bytes:
    slot, position, index = message.place
    value: dict[str, Any] = {"slot": slot, "position": position, "command_index": index}
    value |= {"topic": message.topic, "publisher": message.publisher}
    value |= {key.replace("command", "message"): text for key, text in as_json(message.payload).items()}
    return json.dumps(value).encode() + b"\n"


def chat(
    folder: ClientFolder,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The room.")] = "chat",
    start: Annotated[
        int | None,
        typer.Option("--from", min=1, metavar="SLOT", help="Show what was said since.", show_default=False),
    ] = None,
    passphrase_file: passphrase.PassphraseFile = None,
) -> None:
    """Talk: each line that you type is published, and everybody sees all lines in one order, you too.

    Your own line appears when the alliance has ordered it, with its slot. The end of the input ends it.
    """
    check_topic(topic)
    secret = unlock(folder, passphrase_file)

    async def work() -> None:
        async with await open_client(folder, secret) as client:
            await chatting.chat(client, topic, start, sys.stdin, say)

    asyncio.run(work())


app.command(
    "publish",
    help=prose(publish),
    epilog=lesson(
        f"""
        {PROGRAM} publish farm/clients/client-1 gates/north 'the gate is open'
        generate | {PROGRAM} publish farm/clients/client-1 meters - -o json
        """,
        f"{EXITS}  ·  3 unknown whether it was published  ·  6 refused by the servers",
    ),
)(publish)
app.command(
    "subscribe",
    help=prose(subscribe_command),
    epilog=lesson(
        f"""
        {PROGRAM} subscribe farm/clients/client-2 -t gates/north -t gates/south --follow
        {PROGRAM} subscribe farm/clients/client-2 -o json --cursor all.cursor --into all.jsonl --follow
        {PROGRAM} subscribe farm/clients/client-2 --from 120 --count 1 --proofs proofs
        """,
        EXITS,
    ),
)(subscribe_command)
app.command(
    "chat",
    help=prose(chat),
    epilog=lesson(
        f"{PROGRAM} chat farm/clients/client-1\n{PROGRAM} chat farm/clients/client-2 board --from 1", EXITS
    ),
)(chat)
