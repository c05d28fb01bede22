"""What must hold at the end of a run, by what is on the members' disks and by what the client was told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from alliance.client.client import Client, connect
from alliance.config import file as config_file
from alliance.keys import handover, shares
from alliance.proofs.receipt import Receipt, load_public_key
from alliance.server.revisions import beginning
from alliance.server.server import JOURNAL
from alliance.storage import epoch_entry
from alliance.storage.history import History
from alliance.storage.journal import Journal
from tests.worlds.require import require

LEVEL_SECONDS = 180.0
LOOK_SECONDS = 0.2


async def reached(client: Client, epoch: int, names: Sequence[str]) -> None:
    """Waits until all members are in this epoch."""
    deadline = time.monotonic() + LEVEL_SECONDS
    while True:
        at = {one.name: one.epoch if one.reachable else one.problem for one in await client.status()}
        if all(at.get(name) == epoch for name in names):
            return
        require(time.monotonic() < deadline, f"not all are in epoch {epoch}: {at}")
        await asyncio.sleep(LOOK_SECONDS)


async def level(client: Client, epoch: int, names: Sequence[str]) -> None:
    """Waits until all members have proven as much of this epoch's log as each other, with their shares."""
    deadline = time.monotonic() + LEVEL_SECONDS
    while True:
        members = {one.name: one for one in await client.status() if one.reachable}
        here = [members[name] for name in names if name in members]
        proven = {(one.epoch, one.certified, one.decided, one.without_share) for one in here}
        if len(here) == len(names) and len(proven) == 1:
            at, certified, decided, without = next(iter(proven))
            if (at, certified, without) == (epoch, decided, False):
                return
        lacking = [
            f"{one.name}: epoch {one.epoch}, certified {one.certified}, without share {one.without_share}"
            for one in members.values()
        ]
        require(time.monotonic() < deadline, f"not level in epoch {epoch}: {'; '.join(lacking)}")
        await asyncio.sleep(LOOK_SECONDS)


async def erased(homes: Mapping[str, Path], dealing: int) -> None:
    """Waits until no member has anything of an earlier dealing's shares, nor anything of what it dealt."""
    deadline = time.monotonic() + LEVEL_SECONDS
    while True:
        left = {name: (shares.pieces(home), handover.dealings(home)) for name, home in homes.items()}
        if all(
            len(pieces) == 1 and pieces[0].epoch == dealing and not dealt for pieces, dealt in left.values()
        ):
            return
        require(time.monotonic() < deadline, f"shares of earlier dealings than {dealing} are left: {left}")
        await asyncio.sleep(LOOK_SECONDS)


async def delivered(folder: Path, passphrase: bytes, receipts: Sequence[Receipt]) -> None:
    """What was acknowledged is in the log, once, where the receipt says, and each receipt verifies."""
    key = load_public_key((folder / "public.pem").read_bytes())
    async with await connect(folder, passphrase) as client:
        heard = {
            entry.command: (entry.slot, entry.position, entry.command_index) async for entry in _once(client)
        }
    for receipt in receipts:
        receipt.verify(key)
        place = receipt.slot, receipt.position, receipt.command_index
        require(heard.pop(receipt.command, None) == place, f"{receipt.command!r} is not at {place}")
    require(not heard, f"ordered, and never acknowledged: {sorted(heard)[:5]}")


async def _once(client: Client):  # type: ignore[no-untyped-def]
    seen: set[bytes] = set()
    async for entry in client.listen(follow=False):
        if entry.command.startswith(b"pulse "):
            require(entry.command not in seen, f"{entry.command!r} is delivered twice")
            seen.add(entry.command)
            yield entry


def one_log(homes: Mapping[str, Path]) -> int:
    """The journals of members that have ended: slot for slot the same. Their last slot."""
    roots: dict[int, tuple[str, bytes, bytes]] = {}
    last = set()
    for name, home in homes.items():
        config = config_file.load(home)
        with closing(Journal(home / JOURNAL, config.alliance_id, name)) as journal:
            config = epoch_entry.resume(home, config, journal)
            replayed = journal.replay(beginning(home, config))
            history = History(journal, replayed.log, replayed.certificate)
            last.add(history.slot)
            for slot in range(history.pruned + 1, history.slot + 1):
                here = history.root(slot), history.batch(slot).digest
                first, *there = roots.setdefault(slot, (name, *here))
                require(tuple(there) == here, f"slot {slot} differs at {first} and {name}")
    require(len(last) == 1, f"the logs end at different slots: {last}")
    return last.pop()
