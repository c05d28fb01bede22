"""``python -m examples.kv``: serve a member's store, or change and read it as a client."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from alliance import AllianceError
from alliance.execution import Reply, connect, run_executor
from examples.kv.store import Store


def main() -> int:
    arguments = _parser().parse_args()
    if arguments.action == "serve":
        return run_executor(arguments.folder, Store(), application="kv", listen=arguments.listen)
    try:
        reply = asyncio.run(_ask(arguments))
    except AllianceError as error:
        sys.stderr.write(f"kv: {error}\n")
        return error.exit_code
    if arguments.reply is not None:
        arguments.reply.write_text(reply.to_json())
    sys.stdout.write(json.dumps({"value": json.loads(reply.payload), "slot": reply.slot}) + "\n")
    return 0


async def _ask(arguments: argparse.Namespace) -> Reply:
    passphrase = os.environb.pop(b"ALLIANCE_PASSPHRASE", b"")
    async with await connect(arguments.folder, passphrase, application="kv") as client:
        if arguments.action == "get":
            return await client.read(os.fsencode(arguments.key))
        if arguments.action == "delete":
            return await client.execute(os.fsencode(f"delete {arguments.key}"))
        return await client.execute(os.fsencode(f"set {arguments.key} {arguments.value}"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.kv", description="A replicated key-value store."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    serve = actions.add_parser("serve", help="run the store of one member, beside its server")
    serve.add_argument("folder", type=Path, help="the member's folder")
    serve.add_argument("--listen", metavar="HOST:PORT", help="if not at the address in alliance.toml")
    for name, about, words in (
        ("set", "set a key; prints its old value", ("key", "value")),
        ("delete", "forget a key; prints its old value", ("key",)),
        ("get", "print the value of a key", ("key",)),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("folder", type=Path, help="a client's folder; passphrase in ALLIANCE_PASSPHRASE")
        for word in words:
            action.add_argument(word)
        action.add_argument("--reply", type=Path, metavar="FILE", help="keep the certified reply")
    return parser


if __name__ == "__main__":
    sys.exit(main())
