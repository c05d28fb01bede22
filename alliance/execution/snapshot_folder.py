"""An executor's snapshots on disk: ``APPLICATION.snapshots`` in its member's folder.

``SLOT.snapshot`` is ``"alliance-snapshot-file/1\\n" | fields[112] | seal[32] | content``: the fields of the
statement SNAPSHOT, SHA-256 of all before it, and the bytes that the fields speak of. ``SLOT.certificate``
stands beside it when the alliance has signed them. ``incoming`` is what others are sending. Each file but
that one is there whole or not at all, so whoever is killed leaves nothing that counts and is wrong.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from alliance.errors import StateError
from alliance.execution.runner import RunnerState
from alliance.execution.state_bytes import CHUNK_BYTES, chunks, ordering_digest, pack, unpack
from alliance.keys.files import sync, write_whole
from alliance.proofs.snapshot import (
    SNAPSHOTS,
    application_digest,
    certificate_path,
    counts,
    read_certificate,
    snapshot_of,
    snapshot_path,
    write_certificate,
)
from quorum import InvalidCertificate, InvalidStatement, QuorumCertificate, SnapshotStatement
from quorum.threshold_rsa import ThresholdRsaScheme
from verifiable_log.merkle import MerkleLog
from verifiable_log.merkle_proofs import root_from_inclusion
from verifiable_log.merkle_tree import ProofError, siblings

log = logging.getLogger("alliance.execution")

MAGIC = b"alliance-snapshot-file/1\n"
FIELDS_BYTES = SnapshotStatement.LAYOUT.size
HEAD_BYTES = len(MAGIC) + FIELDS_BYTES + 32
KEPT = 2
"""Certified snapshots, and as many newer ones that are not certified yet."""

LEASE_SECONDS = 30.0
"""A snapshot that another member fetches is kept until it has asked for nothing for so long."""

_INCOMING = "incoming"


def chunk_count(statement: SnapshotStatement) -> int:
    return -(-statement.size // CHUNK_BYTES)


@dataclass(slots=True)
class Held:
    """A snapshot that is on disk; ``tree`` has the nodes over its chunks."""

    statement: SnapshotStatement
    tree: MerkleLog
    certificate: QuorumCertificate | None = None

    @property
    def slot(self) -> int:
        return self.statement.slot


class SnapshotFolder:
    """``write``, ``load``, ``read`` and ``chunk`` may take long and touch files alone: call them in a thread.

    All raise StateError where a file cannot be written.
    """

    def __init__(
        self, member_folder: Path, application: str, scheme: Callable[[], ThresholdRsaScheme]
    ) -> None:
        self.path = member_folder / f"{application}{SNAPSHOTS}"
        self._application = application
        self._scheme = scheme
        self._held: dict[int, Held] = {}
        self._leases: dict[int, tuple[int, float]] = {}

    def load(self) -> list[Held]:
        """What is there and whole; what is not is deleted. To be handed to ``add``."""
        found: list[Held] = []
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            for path in sorted(self.path.iterdir()):
                if path.suffix == ".snapshot":
                    found += self._load(path)
            known = {held.slot for held in found}
            for path in self.path.iterdir():
                left = path.suffix == ".new" or path.name.startswith(".")
                if left or (path.suffix == ".certificate" and path.stem not in map(str, known)):
                    _delete(path)
        except OSError as error:
            raise StateError(f"{self.path} cannot be read: {error.strerror}") from None
        return found

    def _load(self, path: Path) -> Iterator[Held]:
        with path.open("rb") as file:
            statement, tree = _head(file), MerkleLog()
            for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
                tree.append(chunk)
            size = file.tell() - HEAD_BYTES
        whole = statement is not None and (statement.size, statement.tree) == (size, tree.root())
        if statement is None or not whole or path != snapshot_path(self.path, statement.slot):
            log.warning("%s is damaged: it is deleted", path)
            _delete(path)
            return
        held = Held(statement, tree)
        with suppress(OSError, InvalidStatement, InvalidCertificate):
            certificate = read_certificate(certificate_path(self.path, held.slot))
            if self.check(certificate) == statement:
                held.certificate = certificate
        if held.certificate is None:
            _delete(certificate_path(self.path, held.slot))
        yield held

    def check(self, certificate: QuorumCertificate) -> SnapshotStatement:
        """What it certifies. Raises InvalidCertificate, also for one that counts no more."""
        if not counts(certificate, self._scheme()):
            raise InvalidCertificate("it is under a key that the alliance has replaced")
        return snapshot_of(certificate, self._scheme(), self._application)

    def write(self, state: RunnerState) -> Held:
        """The state as a snapshot, durably. To be handed to ``add``."""
        path = snapshot_path(self.path, state.slot)
        part, tree = path.with_suffix(".new"), MerkleLog()
        try:
            with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "r+b") as file:
                file.seek(HEAD_BYTES)
                for chunk in chunks(pack(state)):
                    tree.append(chunk)
                    file.write(chunk)
                size, application = file.tell() - HEAD_BYTES, application_digest(self._application)
                ordering = ordering_digest(state)
                statement = SnapshotStatement(state.slot, size, ordering, tree.root(), application)
                file.seek(0)
                file.write(_sealed(statement))
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            sync(self.path)
        except OSError as error:
            raise _full(path, error) from None
        return Held(statement, tree)

    def add(self, *found: Held, now: float = 0.0) -> None:
        """These are there from now on; what is not needed any more is deleted."""
        self._held |= {held.slot: held for held in found}
        self._retire(now)

    def certify(self, slot: int, certificate: QuorumCertificate, now: float) -> None:
        """The certificate of a snapshot, checked: durable when this returns, if that is still here."""
        held = self._held.get(slot)
        if held is None:
            return
        path = certificate_path(self.path, slot)
        try:
            write_whole(path, write_certificate(certificate))
        except OSError as error:
            raise _full(path, error) from None
        held.certificate = certificate
        self._retire(now)

    def discard(self, slot: int) -> None:
        """It is not to be relied on."""
        if self._held.pop(slot, None) is not None:
            _delete(certificate_path(self.path, slot))
            _delete(snapshot_path(self.path, slot))

    @property
    def certified(self) -> list[Held]:
        """Ascending."""
        return [held for _, held in sorted(self._held.items()) if counts(held.certificate, self._scheme())]

    @property
    def pending(self) -> list[Held]:
        """Those without a certificate that counts, ascending: at new keys all are to be certified again."""
        return [
            held for _, held in sorted(self._held.items()) if not counts(held.certificate, self._scheme())
        ]

    def get(self, slot: int) -> Held | None:
        return self._held.get(slot)

    def lease(self, member: int, slot: int, now: float) -> None:
        """It is fetching this one: it is kept a while longer, in place of what it fetched before."""
        self._leases[member] = slot, now + LEASE_SECONDS

    def _retire(self, now: float) -> None:
        certified = [held.slot for held in self.certified]
        newest = certified[-1] if certified else 0
        pending = [held.slot for held in self.pending if held.slot > newest]
        leased = {slot for slot, until in self._leases.values() if until > now}
        for slot in self._held.keys() - {*certified[-KEPT:], *pending[-KEPT:], *leased}:
            self.discard(slot)

    def chunk(self, held: Held, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        """A chunk and its path. Raises LookupError when there is none, or it is not what it was."""
        path = held.tree.inclusion_proof(index, held.tree.size)
        try:
            with snapshot_path(self.path, held.slot).open("rb") as file:
                file.seek(HEAD_BYTES + index * CHUNK_BYTES)
                data = file.read(CHUNK_BYTES)
        except OSError as error:
            raise LookupError(f"it cannot be read: {error.strerror}") from None
        if root_from_inclusion(data, index, held.tree.size, path) != held.statement.tree:
            raise LookupError("it is damaged")
        return data, path

    def read(self, held: Held) -> RunnerState:
        """Raises StateError when it is none that this version can go on from."""
        path = snapshot_path(self.path, held.slot)
        try:
            with path.open("rb") as file:
                file.seek(HEAD_BYTES)
                state = unpack(file.read())
            if (state.slot, ordering_digest(state)) != (held.slot, held.statement.ordering_digest):
                raise ValueError("its ordering state is another one")
        except (OSError, ValueError, ArithmeticError) as error:
            raise StateError(f"{path} cannot be gone on from ({error}): delete it") from None
        return state

    def incoming(self, statement: SnapshotStatement) -> Incoming:
        """To be filled; what was received of it before is still there."""
        return Incoming(self.path, statement)

    def begun(self) -> SnapshotStatement | None:
        """What is half there."""
        try:
            with (self.path / _INCOMING).open("rb") as file:
                return _head(file)
        except OSError:
            return None


class Incoming:
    """A snapshot that comes chunk by chunk, each proven before it is written; memory holds one at a time."""

    def __init__(self, folder: Path, statement: SnapshotStatement) -> None:
        self._folder = folder
        self._path = folder / _INCOMING
        self.statement = statement
        self.count = chunk_count(statement)
        try:
            self._file: BinaryIO = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
            if _head(self._file) == statement:
                self._resume()
            else:
                self._restart()
        except OSError as error:
            raise _full(self._path, error) from None

    @property
    def next(self) -> int:
        """The chunk that is wanted next, from 0; ``count`` when all are there."""
        return self._tree.size

    @property
    def received(self) -> int:
        """Bytes that are there."""
        return min(self.next * CHUNK_BYTES, self.statement.size)

    def length(self, index: int) -> int:
        return min(CHUNK_BYTES, self.statement.size - index * CHUNK_BYTES)

    def check(self, index: int, data: bytes, path: tuple[bytes, ...]) -> None:
        """Raises ProofError unless this is the chunk of that index, whatever was received before."""
        if len(data) != self.length(index):
            raise ProofError(f"chunk {index} has {self.length(index)} bytes, not {len(data)}")
        if root_from_inclusion(data, index, self.count, path) != self.statement.tree:
            raise ProofError(f"chunk {index} does not belong to the certified snapshot")

    def add(self, data: bytes, path: tuple[bytes, ...]) -> bool:
        """The next chunk, checked. False: what came before is not what it was, and all is to come again."""
        way = siblings(0, self.next, self.count)
        lefts = [digest for (_, place), digest in zip(way, path, strict=True) if not place & 1]
        if tuple(reversed(lefts)) != self._tree.frontier().peaks:
            self._restart()
            return False
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise _full(self._path, error) from None
        self._tree.append(data)
        return True

    def finish(self) -> Held | None:
        """It is among the others, durably. None: it is not what it was, and all is to come again."""
        if self._tree.root() != self.statement.tree:
            self._restart()
            return None
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._path, snapshot_path(self._folder, self.statement.slot))
            sync(self._folder)
        except OSError as error:
            raise _full(self._path, error) from None
        return Held(self.statement, self._tree)

    def close(self) -> None:
        """What is there stays."""
        self._file.close()

    def _restart(self) -> None:
        self._tree = MerkleLog()
        self._file.seek(0)
        self._file.truncate()
        self._file.write(_sealed(self.statement))
        self._file.flush()

    def _resume(self) -> None:
        """Whole chunks count, and are proven once more together with the next one."""
        self._tree = MerkleLog()
        while self.next < self.count and len(data := self._file.read(self.length(self.next))):
            if len(data) < self.length(self.next):
                break
            self._tree.append(data)
        self._file.seek(HEAD_BYTES + self.received)
        self._file.truncate()


def _sealed(statement: SnapshotStatement) -> bytes:
    head = MAGIC + statement.fields()
    return head + sha256(head).digest()


def _head(file: BinaryIO) -> SnapshotStatement | None:
    """What the file says that it holds, and the place behind it; None if it was not written whole."""
    head = file.read(HEAD_BYTES)
    fields = head[len(MAGIC) : -32]
    if head[:-32] != MAGIC + fields or sha256(head[:-32]).digest() != head[-32:] or len(head) < HEAD_BYTES:
        return None
    return SnapshotStatement(*SnapshotStatement.LAYOUT.unpack(fields))


def _delete(path: Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _full(path: Path, error: OSError) -> StateError:
    return StateError(f"{path} cannot be written: {error.strerror}; free some space")
