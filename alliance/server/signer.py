"""The signer: a process of its own that holds the key share and endorses one statement at a time.

A share costs milliseconds of arithmetic that no Python thread could do beside a busy loop, and the server
that talks to the world never holds the secret. The signer is a second line of defence, too: it endorses
only statements of its own alliance and epoch, and never two different roots for one view and slot.

A signer holds one key, for one epoch. With the agreement key it endorses what members agree on and never a
reply; with the attestation key, for the application beside the server, replies and snapshots, and nothing
else. That its member holds its shares of an epoch it says with every key.

A member that was away when the keys were handed on takes part without a share, and gets one later: until then
all is refused, and there is no process.

Protocol on the inherited socket, each frame with its length as u32 before it: first the passphrase; then, to
who was started ahead, the next dealing u64; then, once its epoch has begun, "begin", answered by status and
text; then requests ``proven u8 | statement bytes``, answered in order by
``status u8 | signature or reason``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections import OrderedDict, deque
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from alliance.errors import AllianceError, ConfigError, KeyFileError, SignerError, require_passphrase
from alliance.keys import shares
from alliance.keys.shares import Generation
from alliance.server import signer_ahead
from alliance.server.signer_process import BEGIN, SignerProcess, frame
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Context,
    Endorser,
    EpochReadyStatement,
    InvalidStatement,
    JointStatement,
    MembershipStatement,
    ProgressStatement,
    ReplyStatement,
    SnapshotStatement,
    SuspectStatement,
    decode_joint,
)

FRAME_BYTES_MAX = 64 * 1024
REMEMBERED_MAX = 65536
_OK, _REFUSED, _WITHOUT_SHARE = 0, 1, 2
LOOK_SECONDS = 1.0
"""So often a member without a share looks whether it has got one."""

log = logging.getLogger("alliance.server")


class Answer(Protocol):
    """What becomes of an endorsement: ``signature`` is None when the signer refused."""

    def __call__(self, statement: JointStatement, signature: bytes | None, proven: bool) -> None: ...


class SigningGuard:
    """Remembers what was endorsed with the agreement key about each slot, view, checkpoint and membership.

    Refuses a second, contradicting statement, and the statements of other purposes and of other epochs.
    """

    def __init__(self, context: Context) -> None:
        self._epoch = context.epoch
        self._head = context.frame(0, b"")
        self._said: OrderedDict[tuple[int | bytes, ...], bytes] = OrderedDict()

    def judge(self, message: bytes) -> None:
        """Raises InvalidStatement when these bytes must not be endorsed."""
        head = message[: len(self._head)]
        tag_at = len(self._head) - 8 - 32 - 1
        if len(head) != len(self._head) or head[:tag_at] + b"\0" + head[tag_at + 1 :] != self._head:
            raise InvalidStatement("not a statement of this alliance and epoch")
        self._judge(decode_joint(head[tag_at], message[len(head) :]))

    def _judge(self, statement: JointStatement) -> None:
        match statement:
            case AcceptedStatement(view, slot, root):
                self._keep_to((statement.TAG, view, slot), root, f"root for view {view}, slot {slot}")
            case ProgressStatement(view, digest):
                self._keep_to((statement.TAG, view), digest, f"NewView for view {view}")
            case CheckpointStatement(slot, root, digest):
                self._keep_to(
                    (statement.TAG, slot), root + digest, f"state for the checkpoint at slot {slot}"
                )
            case MembershipStatement(next_epoch, revision):
                if (next_epoch, revision > 0) not in ((self._epoch, True), (self._epoch + 1, False)):
                    raise InvalidStatement("a membership that cannot follow upon this epoch")
                what = f"membership for epoch {next_epoch}, revision {revision}"
                self._keep_to((statement.TAG, next_epoch, revision), statement.fields(), what)
            case EpochReadyStatement():
                self._judge_ready(statement)
            case SuspectStatement():
                pass
            case _:
                raise InvalidStatement("the agreement key does not sign this")

    def _judge_ready(self, statement: EpochReadyStatement) -> None:
        change, attempt = statement.change_digest, statement.attempt
        what = f"transcript for attempt {attempt} of the change {change.hex()[:16]}"
        self._keep_to((statement.TAG, change, attempt), statement.transcript_digest, what)

    def _keep_to(self, about: tuple[int | bytes, ...], content: bytes, name: str) -> None:
        if self._said.setdefault(about, content) != content:
            raise InvalidStatement(f"another {name} was endorsed")
        if len(self._said) > REMEMBERED_MAX:
            self._said.popitem(last=False)


class AttestationGuard(SigningGuard):
    """The same for the attestation key: replies, snapshots, and that the share is there."""

    def _judge(self, statement: JointStatement) -> None:
        match statement:
            case EpochReadyStatement():
                self._judge_ready(statement)
            case SnapshotStatement(slot=slot, application=application):
                about = (statement.TAG, slot, application)
                self._keep_to(about, statement.fields(), f"snapshot at slot {slot}")
            case ReplyStatement():
                pass
            case _:
                raise InvalidStatement("the attestation key signs replies and snapshots only")


class Signer:
    """The server's side. ``endorse`` never waits; the answer comes to the callback, in order."""

    def __init__(
        self,
        context: Context,
        answer: Answer,
        purpose: str | None = None,
        ahead: SignerProcess | None = None,
    ) -> None:
        """``purpose``: of the key that it holds; None for the agreement key. ``ahead``: its process."""
        self._ahead = ahead
        self._purpose = purpose
        self._context = context
        self._answer = answer
        self._waiting: deque[tuple[JointStatement, bool]] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        # Where a share is to come, its passphrase, and what counted before the process looked.
        self._awaited: tuple[Path, bytes, Generation | None] | None = None

    @property
    def has_share(self) -> bool:
        """Whether what is asked for is signed, once it has started."""
        return self._awaited is None

    async def start(self, folder: Path, passphrase: bytes) -> None:
        """Starts the process and opens the share, or waits for one. Raises KeyFileError or SignerError."""
        require_passphrase(passphrase)
        tried = shares.current(folder)
        if await self._open(folder, passphrase):
            return
        self._awaited = folder, passphrase, tried
        log.warning(
            "no share of the keys of this epoch, which were handed on while this member was away: it takes"
            " part, and signs nothing with the others until it gets one"
        )

    async def _open(self, folder: Path, passphrase: bytes) -> bool:
        """Whether there is a share to open."""
        started = self._started(folder)
        started.begin(passphrase)
        self._process = started.process
        self._reader, self._writer = await asyncio.open_connection(sock=started.channel)
        try:
            status, text = await self._read()
        except (asyncio.IncompleteReadError, ConnectionError):
            raise SignerError("the signer process ended while it started: see its message above") from None
        if status == _WITHOUT_SHARE:
            self.close()
            return False
        if status != _OK:
            raise KeyFileError(text.decode("utf-8", "replace"))
        return True

    def _started(self, folder: Path) -> SignerProcess:
        """That which was started ahead, or a new one. Raises SignerError."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.epoch == self._context.epoch and ahead.process.poll() is None:
            return ahead
        if ahead is not None:
            ahead.close()
        return SignerProcess(folder, self._context.epoch, self._purpose)

    def endorse(self, statement: JointStatement, *, proven: bool) -> None:
        if self._awaited is not None:
            asyncio.get_running_loop().call_soon(self._answer, statement, None, proven)
            return
        if self._writer is None:
            raise SignerError("the signer is not running")
        self._waiting.append((statement, proven))
        self._writer.write(frame(bytes([proven]) + statement.encode(self._context)))

    async def run(self) -> None:
        """Hands answers to the callback until the process ends, which raises SignerError."""
        if self._awaited is not None:
            await self._get_share(*self._awaited)
        while True:
            try:
                status, body = await self._read()
            except (asyncio.IncompleteReadError, ConnectionError):
                raise SignerError("the signer process has ended: this member stops; start it again") from None
            statement, proven = self._waiting.popleft()
            self._answer(statement, body if status == _OK else None, proven)

    async def _get_share(self, folder: Path, passphrase: bytes, tried: Generation | None) -> None:
        """Returns when there is one, and it is open. Raises KeyFileError or SignerError."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (counting := shares.current(folder)) != tried and await self._open(folder, passphrase):
                break
            tried = counting
        self._awaited = None
        log.info("the share of the keys of this epoch is there: this member signs with the others again")

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            self._process.kill()  # it has nothing to lose, and one that was stopped would not hear SIGTERM
            self._process.wait()

    async def _read(self) -> tuple[int, bytes]:
        if self._reader is None:
            raise SignerError("the signer is not running")
        (length,) = struct.unpack(">I", await self._reader.readexactly(4))
        data = await self._reader.readexactly(length)
        return data[0], data[1:]


# -- the process -------------------------------------------------------------------------------------


def serve(endorser: Endorser, guard: SigningGuard, channel: socket.socket) -> None:
    """Answers requests until the server closes the channel, or has ended."""
    with suppress(ConnectionError):
        while (request := _receive(channel)) is not None:
            proven, message = bool(request[0]), request[1:]
            try:
                guard.judge(message)
                signature = endorser.endorse(message, proven=proven)
            except InvalidStatement as error:
                _reply(channel, _REFUSED, str(error).encode())
                continue
            _reply(channel, _OK, signature)


def _receive(channel: socket.socket) -> bytes | None:
    head = _exactly(channel, 4)
    if head is None:
        return None
    (length,) = struct.unpack(">I", head)
    return _exactly(channel, length) if 0 < length <= FRAME_BYTES_MAX else None


def _exactly(channel: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        try:
            part = channel.recv(count - len(data))
        except ConnectionError:  # the server was killed
            return None
        if not part:
            return None
        data += part
    return data


def _reply(channel: socket.socket, status: int, body: bytes) -> None:
    channel.sendall(frame(bytes([status]) + body))


def main(arguments: list[str]) -> int:
    from alliance.config import file as config
    from alliance.keys import folder as keys
    from alliance.keys.passphrase import keep_out_of_core_files

    keep_out_of_core_files()
    # The server decides when to end; it closes the channel. A terminal interrupts both processes, and a
    # service manager sends SIGTERM to both: if the signer went first, the server could not hand over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    folder, purpose, epoch = Path(arguments[0]), arguments[2] or None, int(arguments[3])
    if purpose not in (None, config.ATTESTATION):
        return 1
    with socket.socket(fileno=int(arguments[1])) as channel:
        if (passphrase := _receive(channel)) is None or (request := _receive(channel)) is None:
            return 1
        unsealed: dict[Generation, bytes] = {}
        if request != BEGIN:
            unsealed = signer_ahead.unsealed(folder, int.from_bytes(request), passphrase)
            signer_ahead.rehearse(folder, purpose, passphrase, unsealed)
            if _receive(channel) != BEGIN:
                return 1
        try:
            alliance = config.load(folder)
            if alliance.epoch != epoch:
                raise ConfigError(f"{config.FILE} is of epoch {alliance.epoch}, its server in epoch {epoch}")
            member, _ = keys.member_party(alliance, folder)
            if shares.is_awaited(folder, alliance.dealing):
                _reply(channel, _WITHOUT_SHARE, b"")
                return 0
            endorser = shares.load_endorser(folder, alliance, member, passphrase, purpose, unsealed)
        except AllianceError as error:
            _reply(channel, _REFUSED, str(error).encode())
            return error.exit_code
        _reply(channel, _OK, str(os.getpid()).encode())
        guard = SigningGuard if purpose is None else AttestationGuard
        serve(endorser, guard(alliance.context), channel)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
