"""What a client's folder knows of the alliance's control state: read from the log, proven, and kept.

Nobody is asked who takes part, since a server may lie: the log says it, and so does the state that a
checkpoint certifies. Who has read it to some slot goes on from there the next time. The file ``followed``,
canonical and big-endian (``consensus.control.encoding``)::

    "alliance-followed/2" 00 | SHA-256 of all that follows | alliance_id[32] | slot u64 | peaks list of [32]
    | windows list of blob | control list of blob | epochs list of epoch

It is a cache: one that is damaged, or of another version, is read anew.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import grpc.aio

from alliance.changes.epoch_notes import EpochNote
from alliance.changes.simulation import entry_of
from alliance.client.client import Client
from alliance.client.listener import Listener
from alliance.client.revisions import newer
from alliance.client.server_choice import Channels
from alliance.config.bounded import read_file
from alliance.config.control import current, founded
from alliance.config.file import AllianceConfig
from alliance.config.membership import Membership
from alliance.errors import LogPruned
from alliance.keys import files, revision
from alliance.keys.ed25519 import has_signed
from alliance.wire.bounds import Malformed
from consensus.control import ControlState, Outcome
from consensus.control.encoding import Reader, blob, listed, u64
from consensus.control.published import Published
from consensus.limits import CLIENT_IDS_MAX
from quorum import InvalidCertificate, InvalidStatement
from verifiable_log.batch import Batch
from verifiable_log.client_windows import CLIENT_ITEM_BYTES_MAX, ClientWindows
from verifiable_log.limits import STATE_ITEM_BYTES_MAX
from verifiable_log.merkle import Frontier, slot_leaf

FILE = "followed"
FILE_BYTES_MAX = 256 * 1024 * 1024
_MAGIC = b"alliance-followed/2\x00"
_PEAKS_MAX = 64
FAR_SLOTS = 4096
"""So many slots are read sooner than a checkpoint's state, of up to some megabytes, is fetched."""

log = logging.getLogger(__name__)

Advance = Callable[[int, int], None]
"""Told of each slot that was read, and up to which one is read."""


@dataclass
class Followed:
    """The control state after a slot, with what is needed to go on reading from there.

    ``outcomes`` are those of the control commands in the last slot, if it was read here, by (client_id,
    client_seq): who follows for years keeps no dealing for it. ``newest`` is
    the membership as it was when the last revision that was read here took effect, as members certify it.
    ``epochs`` are those that are known, the last one being that of ``control``: who began at a checkpoint
    knows nothing of the ones between.
    """

    control: ControlState
    frontier: Frontier
    windows: ClientWindows
    outcomes: dict[tuple[bytes, int], Outcome] = field(default_factory=dict)
    newest: Published | None = None
    epochs: tuple[EpochNote, ...] = ()

    @classmethod
    def founded(cls, config: AllianceConfig) -> Followed:
        """Of the empty log."""
        control = founded(config)
        return cls(control, Frontier(0, ()), ClientWindows(), epochs=(EpochNote.of(control),))

    def apply(self, slot: int, batch: Batch) -> None:
        """The next slot, all of it or, when this raises ValueError, nothing."""
        self.windows.drop(slot, self.control.departed(slot))
        fresh = [self.windows.admit(slot, submission) for submission in batch.submissions]
        try:
            control, outcomes = self.control.apply(entry_of(slot, batch, fresh), has_signed)
        except ValueError:
            self.windows.rollback(slot - 1)
            raise
        self.windows.settle(slot)
        if control.revision != self.control.revision:
            self.newest = Published.of(control)
        if control.end == slot:
            self.control = control.next_epoch()
            self.epochs = (*self.epochs, EpochNote.of(self.control, control))
        else:
            self.control = control
        self.outcomes = {(one.client_id, one.client_seq): one for one in outcomes}
        self.frontier = self.frontier.append(slot_leaf(slot, batch.digest))

    def forget(self) -> None:
        """What was read is not how it is: a checkpoint is to say it."""
        self.frontier, self.windows, self.newest = Frontier(0, ()), ClientWindows(), None
        self.outcomes.clear()

    def begin_at(self, frontier: Frontier, windows: ClientWindows, items: tuple[bytes, ...]) -> None:
        """Goes on from a checkpoint, whose control items these are. Raises ValueError for another state."""
        control = ControlState.read(items)
        if (control.alliance_id, control.slot) != (self.control.alliance_id, frontier.size):
            raise ValueError(f"the control state of slot {frontier.size} is of another alliance or slot")
        ended = None
        if control.end == control.slot:
            control, ended = control.next_epoch(), control
        self.control, self.frontier, self.windows = control, frontier, windows
        if control.epoch != self.epochs[-1].epoch:
            self.epochs = (*self.epochs, EpochNote.of(control, ended))
        if not control.revisions:  # else what is not in effect yet would be in it
            self.newest = Published.of(control)

    def encode(self) -> bytes:
        """The file's content."""
        body = self.control.alliance_id + u64(self.frontier.size) + listed(self.frontier.peaks)
        body += listed(map(blob, self.windows.state())) + listed(map(blob, self.control.items()))
        body += listed(one.encode() for one in self.epochs)
        return _MAGIC + sha256(body).digest() + body

    @classmethod
    def decode(cls, data: bytes) -> Followed:
        """Raises ValueError."""
        reader = Reader(data)
        if reader.fixed(len(_MAGIC)) != _MAGIC:
            raise ValueError("it is no file of this version")
        seal = reader.fixed(32)
        if sha256(data[len(_MAGIC) + 32 :]).digest() != seal:
            raise ValueError("its seal is broken")
        alliance_id, slot = reader.fixed(32), reader.number(8)
        peaks = reader.listed(lambda r: r.fixed(32), _PEAKS_MAX)
        windows = reader.listed(lambda r: r.blob(CLIENT_ITEM_BYTES_MAX), CLIENT_IDS_MAX)
        control = ControlState.read(reader.listed(lambda r: r.blob(STATE_ITEM_BYTES_MAX), 2**16 - 1))
        epochs = reader.listed(EpochNote.read, 2**16 - 1)
        reader.end()
        last = [one.epoch for one in epochs[-1:]]
        if (control.alliance_id, control.slot, [control.epoch]) != (alliance_id, slot, last):
            raise ValueError("its parts do not belong together")
        return cls(control, Frontier.from_parts(slot, peaks), ClientWindows.read(windows), epochs=epochs)


def load(folder: Path, config: AllianceConfig) -> Followed:
    """What the folder knows, or the state at the founding."""
    path = folder / FILE
    try:
        found = Followed.decode(read_file(path, FILE_BYTES_MAX))
    except FileNotFoundError:
        return Followed.founded(config)
    except (OSError, ValueError) as error:
        log.warning("%s is read anew from the log: %s", path, error)
        return Followed.founded(config)
    return found if found.control.alliance_id == config.alliance_id else Followed.founded(config)


def keep(folder: Path, followed: Followed, config: AllianceConfig) -> None:
    """For the next command; where it cannot be written, that one reads more. alliance.toml goes along.

    ``config``: any one of the alliance.
    """
    try:
        files.write_whole(folder / FILE, followed.encode())
    except OSError as error:
        log.warning("%s cannot be written: %s", folder / FILE, error.strerror)
    if followed.newest is not None and followed.newest.epoch == config.epoch:
        revision.keep(folder, current(config, followed.newest))


async def follow(client: Client, followed: Followed, until: int, advance: Advance) -> None:
    """Reads the log up to slot ``until``, each part proven by a certificate. Raises Unreachable.

    Who is further behind than FAR_SLOTS, or than any server keeps the log, begins with the newest checkpoint,
    which is certified as well.
    """
    with client.life.use():
        await read(client.config, client, followed, until, advance)


async def watch(
    client: Client, followed: Followed, done: Callable[[ControlState], bool], advance: Advance
) -> None:
    """Reads the log on, from where it was followed to, until ``done`` says so after a slot, or for ever.

    Raises Unreachable.
    """
    with client.life.use():
        listener = _near(client.config, client, followed)
        async with aclosing(listener.slots(None)) as slots:
            async for decided in slots:
                followed.apply(decided.slot, decided.batch)
                advance(decided.slot, decided.slot)
                if done(followed.control):
                    return


async def read(
    config: AllianceConfig, channels: Channels, followed: Followed, until: int, advance: Advance
) -> None:
    """``follow``, by these channels."""
    behind = until - followed.frontier.size
    if behind <= 0:
        return
    if behind <= FAR_SLOTS:
        with contextlib.suppress(LogPruned):
            listener = _near(config, channels, followed)
            await _take(listener, followed, until, advance)
            if listener.epoch <= followed.control.epoch or not await _has_missed_an_epoch(channels, followed):
                return
            followed.forget()
    await _take(_FromCheckpoint(config, channels, until, None, exact=True), followed, until, advance)


async def _has_missed_an_epoch(channels: Channels, followed: Followed) -> bool:
    """Whether an epoch has begun that the log did not order: by an act of recovery. A checkpoint has it.

    One member that proves it is enough; that another one proves something older says nothing.
    """
    config, control = channels.config, followed.control
    for member in config.members:
        try:
            proof = await newer(channels.channel(member), Membership(control.epoch, 0))
            if proof is not None:
                proof.verify(config.scheme)
                now = proof.membership
                if now.epoch > control.epoch and control.slot > now.start:
                    return True
        except (grpc.aio.AioRpcError, Malformed, InvalidCertificate, InvalidStatement, ValueError) as error:
            log.debug("%s proves no membership: %s", member.name, error)
    return False


def _near(config: AllianceConfig, channels: Channels, followed: Followed) -> Listener:
    """From the next slot on. What it delivers is not asked for: what is fresh the kept windows say."""
    at = followed.frontier
    return Listener(config, channels, at.size + 1, None, ClientWindows(), at)


async def _take(listener: Listener, followed: Followed, until: int, advance: Advance) -> None:
    async with aclosing(listener.slots(until)) as slots:
        async for decided in slots:
            if isinstance(listener, _FromCheckpoint) and decided.slot > followed.frontier.size + 1:
                followed.begin_at(*listener.checkpoint)
            if decided.slot > followed.frontier.size:
                followed.apply(decided.slot, decided.batch)
                advance(decided.slot, until)


class _FromCheckpoint(Listener):
    """Yields all slots behind the newest checkpoint below the slot that it is to begin with."""

    checkpoint: tuple[Frontier, ClientWindows, tuple[bytes, ...]]

    def _goes_on_after(self, frontier: Frontier, windows: ClientWindows) -> None:
        super()._goes_on_after(frontier, windows)
        self._start = frontier.size + 1
        self.checkpoint = frontier, self._brought.windows(), self._brought.control_items
