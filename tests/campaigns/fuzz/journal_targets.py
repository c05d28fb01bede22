"""What the journal reads back: as it was written, or refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TypeAlias

from google.protobuf.message import DecodeError

from alliance.pb import peer_pb2 as pb
from alliance.storage import journal_records as records
from alliance.storage.journal_epochs import EpochMembership
from quorum import MembershipStatement, QuorumCertificate
from tests.alliance.farm import Chain
from tests.worlds.require import require
from verifiable_log.client_windows import ClientWindows
from verifiable_log.ordering_state import Checkpoint, Snapshot

_ROW = struct.Struct(">QQ32s64s32s32s")


def batches(chain: Chain) -> list[bytes]:
    return [records.pack_batch(entry.batch) for entry in chain.entries]


def run_batch(data: bytes) -> bool:
    try:
        batch = records.unpack_batch(data)
    except records.DAMAGE:
        return False
    require(records.pack_batch(batch) == data, "a batch has two packings")
    return True


def rows(chain: Chain) -> list[bytes]:
    written = map(records.entry_row, chain.entries)
    return [_ROW.pack(*head) + batch for *head, batch in written]


class RowTarget:
    """A row of the table of entries."""

    def __init__(self, chain: Chain) -> None:
        self._true = [(e.slot, e.view, e.batch, e.root, e.signature) for e in chain.entries]

    def __call__(self, data: bytes) -> bool:
        if len(data) < _ROW.size:
            return False
        slot, view, root, signature, digest, seal = _ROW.unpack_from(data)
        try:
            entry = records.opened((slot, view, root, signature, digest, seal, data[_ROW.size :]))
        except records.DAMAGE:
            return False
        told = entry.slot, entry.view, entry.batch, entry.root, entry.signature
        require(told in self._true, "an altered row is believed")
        return True


def positions(chain: Chain) -> list[bytes]:
    proof, election = map(records.pack_certificate, (chain.certificate(12), chain.election(0)))
    position = records.Position(12, 14, 1, 1, 14, 13, 2, 9, proof, proof, election, b"n" * 32)
    return [records.Position().pack(), position.pack()]


def starts() -> list[bytes]:
    three = records.Starts().next(b"1" * 32).next(b"2" * 32).next(b"3" * 32)
    return [records.Starts().pack(), three.pack()]


def memberships() -> list[bytes]:
    """Their certificates are not checked here, so that nobody has to sign them."""
    found = []
    for config, epoch in ((b"", 0), (b"who takes part", 4)):
        digest = sha256(b"\x06" + config).digest()
        begins = MembershipStatement(epoch + 1, 0, 9, b"r" * 32, b"s" * 32, digest)
        found.append(EpochMembership(config, QuorumCertificate(epoch, begins, b"signed")).pack())
    return found


Note: TypeAlias = records.Position | records.Starts | EpochMembership


def notes(unpack: Callable[[bytes], Note]) -> Callable[[bytes], bool]:
    """A note that has its own packing."""
    return partial(_note, unpack)


def _note(unpack: Callable[[bytes], Note], data: bytes) -> bool:
    try:
        note = unpack(data)
    except records.DAMAGE:
        return False
    require(unpack(note.pack()) == note, "a note changes on its way")
    return True


def checkpoints(chain: Chain) -> list[bytes]:
    return [records.pack_checkpoint(chain.checkpoint(slot)) for slot in (4, 7, 12)]


class CheckpointTarget:
    """The note of a checkpoint, to the state that the tables hold."""

    def __init__(self, chain: Chain) -> None:
        self._states = [chain.snapshot(slot).state for slot in (4, 7, 12)]

    def __call__(self, data: bytes) -> bool:
        through = [self._is_let_through(data, state) for state in self._states]
        return any(through)

    def _is_let_through(self, data: bytes, state: tuple[bytes, ...]) -> bool:
        try:
            frontier, certificate = records.unpack_checkpoint(data)
            checkpoint = Checkpoint(Snapshot(frontier, state), certificate)
        except records.DAMAGE:
            return False
        # Nobody judges the certificate's signature here: whoever can write the journal can replace it whole.
        require(checkpoint.snapshot.state == state, "a checkpoint brings another state")
        return True


def states(chain: Chain) -> list[bytes]:
    slots = (1, 7, 12)
    return [pb.StatePart(slot=s, items=chain.snapshot(s).state).SerializeToString() for s in slots]


def run_state(data: bytes) -> bool:
    """The clients' windows of a checkpoint, from a peer or from the journal."""
    try:
        items = tuple(pb.StatePart.FromString(data).items)
        windows = ClientWindows.read(items)
    except (DecodeError, ValueError):
        return False
    require(windows.state() == items, "a state changes on its way")
    fresh = ClientWindows()
    fresh._windows = windows._windows
    require(fresh.state() == items, "a state has two forms")
    return True
