"""The process of a lying member: a real server whose engine is in a liar's hands."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from alliance.cli.demo.cluster import PLAYGROUND
from alliance.cli.output import emit
from alliance.config import file as config_file
from alliance.config.file import AllianceConfig
from alliance.errors import AllianceError, ConfigError
from alliance.hostile.attacks import ATTACKS
from alliance.hostile.liar import Means
from alliance.keys import folder as keys
from alliance.keys.shares import load_endorser
from alliance.server.driver import Engine
from alliance.server.server import Server
from fab_paxos import EngineConfig, Replica, RestoredState
from quorum import JointStatement


def hostile_server(folder: Path, attack: str, passphrase: bytes, lies: Counter[str]) -> Server:
    """The member of ``folder``, with its own keys and its own share, its engine conducted by ``attack``.

    It counts its ``lies``. Raises ConfigError unless the demo has given the folder over to this; else what
    Server raises.
    """
    config = config_file.load(folder)
    _require_playground(folder, config)
    me, member = keys.member_party(config, folder)
    endorser = load_endorser(folder, config, me, passphrase)

    def share(statement: JointStatement, proven: bool) -> bytes:
        return endorser.endorse(statement.encode(config.context), proven=proven)

    def liar(engine_config: EngineConfig, restored: RestoredState) -> Engine:
        means = Means(engine_config, config.clients[0].client_id, share, lies)
        return ATTACKS[attack](Replica(engine_config, restored), means)

    return Server(config, me, keys.load_credentials(folder, member, passphrase), folder, engine=liar)


def _require_playground(folder: Path, config: AllianceConfig) -> None:
    """Only members of an alliance that lives on this machine, whose folder says that it is the demo's."""
    try:
        marked = (folder / PLAYGROUND).read_text("ascii") == config.alliance_id.hex()
    except (OSError, UnicodeDecodeError):
        marked = False
    if not marked or not all(member.address.startswith("127.0.0.1:") for member in config.members):
        raise ConfigError(f"{folder} is not of a demo: only 'alliance demo' runs a member that lies")


async def serve(folder: Path, attack: str, passphrase: bytes) -> None:
    """Until SIGTERM; says on standard output when it listens, and at the end what it did."""
    lies: Counter[str] = Counter()
    server = hostile_server(folder, attack, passphrase, lies)
    life = asyncio.current_task()
    if life is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.cancel)
    try:
        address = await server.start(passphrase)
        emit({"event": "ready", "member": server.name, "address": address, "pid": os.getpid()})
        sys.stdout.flush()
        await server.run()
    except asyncio.CancelledError:
        emit({"event": "ended", "lies": lies})
    finally:
        await server.stop()


def main(arguments: list[str]) -> int:
    import logging

    usage = f"usage: python -m alliance.hostile DIR {'|'.join(ATTACKS)}: for 'alliance demo' alone"
    passphrase = os.environ.pop("ALLIANCE_PASSPHRASE", "").encode()
    try:
        if len(arguments) != 2 or arguments[1] not in ATTACKS:
            raise ConfigError(usage)
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
        asyncio.run(serve(Path(arguments[0]), arguments[1], passphrase))
    except AllianceError as error:
        sys.stderr.write(f"alliance: {error}\n")
        return error.exit_code
    return 0
