"""An executor's own durable state: one sealed file, replaced as a whole, so that it is whole or refused.

The log is the executor's journal: what was executed after the file was written is executed again from there.
So an older file, or none, is no loss of anything said, but it is not what the operator believes to have, and
the log may not reach back that far any more. Therefore a mark in the file beside it, ``APPLICATION.lock``,
says what was saved last; and whoever means to begin anew deletes both.
"""

from __future__ import annotations

import fcntl
import os
import struct
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from alliance.errors import StateError
from alliance.execution.runner import RunnerState
from alliance.execution.state_bytes import listed_lists, lists_of, state_of, unlisted
from alliance.keys.files import sync
from alliance.proofs.snapshot import LOCK

MAGIC = b"alliance-state/1\n"
_MARK = struct.Struct(">Q32s")


class StateFile:
    """``APPLICATION.state`` in a member's folder; ``open`` locks it against a second process."""

    def __init__(self, folder: Path, alliance_id: bytes, member: str, application: str) -> None:
        self.path = folder / f"{application}.state"
        self._lock_path = folder / f"{application}{LOCK}"
        self._whose = b"\x00".join((alliance_id, member.encode(), application.encode()))
        self._lock: BinaryIO | None = None

    def open(self) -> RunnerState | None:
        """What was saved; None at the first start. Raises StateError."""
        try:
            self._lock = os.fdopen(os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mark = self._lock.read()
            data = self.path.read_bytes() if self.path.exists() else None
            if not mark and data is None:
                self._mark(0, bytes(32))  # a state without a mark is none that was saved
                return None
        except BlockingIOError:
            raise StateError(f"{self.path} is in use by another process: end that one") from None
        except OSError as error:
            raise StateError(f"{self.path} cannot be read: {error.strerror}") from None
        try:
            state = self._read(data) if data is not None else None
            slot, seal = self._unmark(mark)
        except (ValueError, struct.error) as error:
            raise StateError(f"{self.path} is damaged ({error}): {self._way_out}") from None
        if data is None or state is None:
            if slot:
                raise StateError(f"{self.path} is gone, but it was saved at slot {slot}: {self._way_out}")
            return None
        if state.slot < slot:
            raise StateError(
                f"{self.path} is an old one, of slot {state.slot}; the last one was saved at slot {slot}:"
                f" {self._way_out}"
            )
        if state.slot == slot and _seal(data) != seal:
            raise StateError(f"{self.path} is not the one that was saved at slot {slot}: {self._way_out}")
        return state

    @property
    def _way_out(self) -> str:
        return (
            f"put the newest one back, or delete it and {self._lock_path.name}; then the state is built anew"
            " from the log, from slot 1"
        )

    def save(self, state: RunnerState) -> None:
        """Durable when it returns. Raises StateError; the state saved before is then still there."""
        fresh = self.path.with_suffix(".new")
        pieces = listed_lists(lists_of(state), self._whose)
        seal = sha256(MAGIC)
        for piece in pieces:
            seal.update(piece)
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines((MAGIC, seal.digest(), *pieces))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            sync(self.path.parent)
            self._mark(state.slot, seal.digest())
        except OSError as error:
            raise StateError(f"{self.path} cannot be written: {error.strerror}; free some space") from None

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _mark(self, slot: int, seal: bytes) -> None:
        """After the state is durable; within one sector, so that it is torn by nothing. Raises OSError."""
        fields = _MARK.pack(slot, seal)
        descriptor = os.open(self._lock_path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, fields + sha256(b"mark" + self._whose + fields).digest(), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _unmark(self, mark: bytes) -> tuple[int, bytes]:
        """At which slot which state was saved last; slot 0: none was. Raises ValueError."""
        fields, seal = mark[: _MARK.size], mark[_MARK.size :]
        if seal != sha256(b"mark" + self._whose + fields).digest():
            raise ValueError(f"{self._lock_path.name} beside it is gone, damaged or of another application")
        slot, digest = _MARK.unpack(fields)
        return slot, digest

    def _read(self, data: bytes) -> RunnerState:
        seal, body = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 :]
        if not data.startswith(MAGIC) or sha256(MAGIC + body).digest() != seal:
            raise ValueError("its seal is broken")
        whose, *lists = unlisted(body)
        if whose != self._whose:
            raise ValueError("it is of another alliance, member or application")
        return state_of(lists)


def running(folder: Path) -> list[str]:
    """The applications whose executors hold their state in a member's folder now."""
    found = []
    for path in sorted(folder.glob(f"*{LOCK}")):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(path.stem)
        except OSError:
            continue
    return found


def _seal(data: bytes) -> bytes:
    """The seal that a state file carries."""
    return data[len(MAGIC) : len(MAGIC) + 32]
