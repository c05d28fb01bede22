"""The signer process: endorses its own alliance's statements, one root per slot, and keeps its secret."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alliance.config.file import ATTESTATION, FILE
from alliance.config.founding import AGREEMENT
from alliance.errors import KeyFileError, SignerError
from alliance.keys import shares
from alliance.keys.shares import Generation
from alliance.server import signer as module
from alliance.server import signer_ahead
from alliance.server.signer import AttestationGuard, Signer, SigningGuard
from alliance.server.signer_process import SignerProcess, frame
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    Context,
    Endorsement,
    EpochReadyStatement,
    InvalidStatement,
    JointStatement,
    MembershipStatement,
    ProgressStatement,
    ProposeStatement,
    ReplyStatement,
    SnapshotStatement,
    SubmissionStatement,
    SuspectStatement,
    VoteStatement,
)
from quorum.threshold_rsa import ThresholdRsaEndorser
from tests.alliance.conftest import Run
from tests.alliance.epochs import next_epoch
from tests.alliance.farm import PASSPHRASE, Farm

ME = 2
ROOT, OTHER_ROOT = b"r" * 32, b"o" * 32


# -- the guard, without a process ---------------------------------------------------------------


@pytest.fixture
def context(farm: Farm) -> Context:
    return farm.config.context


def test_joint_statements_of_this_alliance_may_be_endorsed(context: Context) -> None:
    guard = SigningGuard(context)
    for statement in (
        AcceptedStatement(0, 1, ROOT),
        AcceptedStatement(0, 1, ROOT),  # again: a proof may be asked for
        AcceptedStatement(1, 1, OTHER_ROOT),
        AcceptedStatement(0, 2, OTHER_ROOT),
        SuspectStatement(3),
        ProgressStatement(3, ROOT),
        CheckpointStatement(5, ROOT, ROOT),
    ):
        guard.judge(statement.encode(context))


def test_never_two_roots_for_one_view_and_slot(context: Context) -> None:
    guard = SigningGuard(context)
    guard.judge(AcceptedStatement(4, 9, ROOT).encode(context))
    for _ in range(2):
        with pytest.raises(InvalidStatement, match="another root"):
            guard.judge(AcceptedStatement(4, 9, OTHER_ROOT).encode(context))
    guard.judge(AcceptedStatement(4, 9, ROOT).encode(context))


def test_foreign_bytes_are_never_endorsed(context: Context) -> None:
    guard = SigningGuard(context)
    good = AcceptedStatement(0, 1, ROOT).encode(context)
    foreign = [
        AcceptedStatement(0, 1, ROOT).encode(Context(b"o" * 32, context.epoch)),
        AcceptedStatement(0, 1, ROOT).encode(Context(context.alliance_id, context.epoch + 1)),
        ProposeStatement(0, 1, ROOT, ROOT).encode(context),
        VoteStatement(0, 1, ROOT).encode(context),
        SubmissionStatement(ROOT, 1, ROOT).encode(context),
        b"",
        good[:-1],
        good + b"x",
        good[: len(context.frame(0, b""))],
        b"alliance/v2" + good[11:],
        *(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(context.frame(0, b"")))),
    ]
    for message in foreign:
        with pytest.raises(InvalidStatement):
            guard.judge(message)


def test_a_second_new_view_or_state_is_refused(context: Context) -> None:
    guard = SigningGuard(context)
    for statement, other in (
        (ProgressStatement(3, ROOT), ProgressStatement(3, OTHER_ROOT)),
        (CheckpointStatement(8, ROOT, ROOT), CheckpointStatement(8, ROOT, OTHER_ROOT)),
    ):
        guard.judge(statement.encode(context))
        guard.judge(statement.encode(context))
        with pytest.raises(InvalidStatement, match="another"):
            guard.judge(other.encode(context))
    guard.judge(ProgressStatement(4, OTHER_ROOT).encode(context))


def test_one_membership_follows_upon_another(context: Context) -> None:
    """What begins is the next epoch, or the next revision of this one; and only once."""
    now, guard = Context(context.alliance_id, 4), SigningGuard(Context(context.alliance_id, 4))
    for epoch, revision in ((4, 1), (4, 2), (5, 0)):
        first = MembershipStatement(epoch, revision, 9, ROOT, ROOT, ROOT)
        guard.judge(first.encode(now))
        guard.judge(first.encode(now))
        for field in ("slot", "root", "state_digest", "config_digest"):
            other = replace(first, **{field: 8 if field == "slot" else OTHER_ROOT})
            with pytest.raises(InvalidStatement, match=f"membership for epoch {epoch}, revision {revision}"):
                guard.judge(other.encode(now))
    for epoch, revision in ((3, 0), (4, 0), (5, 1), (6, 0), (0, 1)):
        with pytest.raises(InvalidStatement, match="cannot follow upon this epoch"):
            guard.judge(MembershipStatement(epoch, revision, 9, ROOT, ROOT, ROOT).encode(now))


@pytest.mark.parametrize("kind", [SigningGuard, AttestationGuard])
def test_a_member_is_ready_for_one_transcript_of_an_attempt(
    kind: type[SigningGuard], context: Context
) -> None:
    guard = kind(context)
    for change, attempt in ((ROOT, 0), (ROOT, 1), (OTHER_ROOT, 0)):
        guard.judge(EpochReadyStatement(change, attempt, ROOT).encode(context))
        guard.judge(EpochReadyStatement(change, attempt, ROOT).encode(context))
        with pytest.raises(InvalidStatement, match=f"transcript for attempt {attempt}"):
            guard.judge(EpochReadyStatement(change, attempt, OTHER_ROOT).encode(context))


def test_the_attestation_key_has_no_say_in_memberships(context: Context) -> None:
    guard = AttestationGuard(context)
    guard.judge(ReplyStatement(1, 1, ROOT).encode(context))
    for statement in (
        MembershipStatement(context.epoch + 1, 0, 9, ROOT, ROOT, ROOT),
        AcceptedStatement(0, 1, ROOT),
    ):
        with pytest.raises(InvalidStatement, match="signs replies and snapshots only"):
            guard.judge(statement.encode(context))


def test_the_attestation_key_signs_one_snapshot_of_an_application_and_slot(context: Context) -> None:
    guard = AttestationGuard(context)
    first = SnapshotStatement(8, 1, ROOT, ROOT, ROOT)
    for statement in (
        ReplyStatement(8, 1, ROOT),
        ReplyStatement(8, 1, OTHER_ROOT),
        first,
        first,
        replace(first, slot=9, size=2),
        replace(first, application=OTHER_ROOT, tree=OTHER_ROOT),
    ):
        guard.judge(statement.encode(context))
    for other in ({"size": 2}, {"ordering_digest": OTHER_ROOT}, {"tree": OTHER_ROOT}):
        with pytest.raises(InvalidStatement, match="another snapshot at slot 8"):
            guard.judge(replace(first, **other).encode(context))  # type: ignore[arg-type]
    with pytest.raises(InvalidStatement, match="replies and snapshots only"):
        guard.judge(CheckpointStatement(8, ROOT, ROOT).encode(context))
    with pytest.raises(InvalidStatement, match="does not sign this"):
        SigningGuard(context).judge(first.encode(context))


def test_the_memory_of_the_conscience_is_bounded(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_MAX", 10)
    guard = SigningGuard(context)
    for slot in range(50):
        guard.judge(AcceptedStatement(0, slot, ROOT).encode(context))
    assert len(guard._said) == 10
    with pytest.raises(InvalidStatement):
        guard.judge(AcceptedStatement(0, 49, OTHER_ROOT).encode(context))


# -- the process's loop, in a thread -----------------------------------------------------------------


class Echo:
    def endorse(self, message: bytes, *, proven: bool) -> bytes:
        return (b"proven" if proven else b"plain") + message[-4:]


@pytest.mark.parametrize(
    "end", [b"", b"\x00\x00", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x09abc"]
)
def test_a_broken_channel_ends_the_loop(context: Context, end: bytes) -> None:
    ours, theirs = socket.socketpair()
    loop = threading.Thread(target=module.serve, args=(Echo(), SigningGuard(context), theirs))
    loop.start()
    with ours, theirs:
        ours.sendall(frame(b"\x01" + AcceptedStatement(0, 1, ROOT).encode(context)))
        assert module._receive(ours) == bytes([module._OK]) + b"provenrrrr"
        ours.sendall(frame(b"\x00"))
        assert (module._receive(ours) or b"")[0] == module._REFUSED
        ours.sendall(end)
        ours.shutdown(socket.SHUT_WR)
        loop.join(10.0)
        assert not loop.is_alive()


def test_a_server_that_ends_while_it_is_answered_ends_the_loop(context: Context) -> None:
    """Its other process writes no traceback into the log of a server that has just said why it ends."""
    ours, theirs = socket.socketpair()

    class Late(Echo):
        def endorse(self, message: bytes, *, proven: bool) -> bytes:
            ours.close()
            return super().endorse(message, proven=proven)

    with theirs:
        ours.sendall(frame(b"\x00" + AcceptedStatement(0, 1, ROOT).encode(context)))
        module.serve(Late(), SigningGuard(context), theirs)


def test_what_cannot_be_signed_is_refused_and_the_process_goes_on(context: Context) -> None:
    class Choosy(Echo):
        def endorse(self, message: bytes, *, proven: bool) -> bytes:
            if message.endswith(ROOT):
                raise InvalidStatement("this cannot be signed")
            return super().endorse(message, proven=proven)

    ours, theirs = socket.socketpair()
    loop = threading.Thread(target=module.serve, args=(Choosy(), SigningGuard(context), theirs))
    loop.start()
    with ours, theirs:
        for slot, root, status in ((1, ROOT, module._REFUSED), (2, OTHER_ROOT, module._OK)):
            ours.sendall(frame(b"\x00" + AcceptedStatement(0, slot, root).encode(context)))
            assert (module._receive(ours) or b"")[0] == status
        ours.shutdown(socket.SHUT_WR)
        loop.join(10.0)


# -- the real process --------------------------------------------------------------------------------


class Answers:
    def __init__(self) -> None:
        self.list: list[tuple[JointStatement, bytes | None, bool]] = []
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, statement: JointStatement, signature: bytes | None, proven: bool) -> None:
        self.list.append((statement, signature, proven))
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)

    async def _notify(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()

    async def count(self, count: int) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.list) >= count)


@asynccontextmanager
async def running(farm: Farm, answers: Answers) -> AsyncIterator[Signer]:
    signer = Signer(farm.config.context, answers)
    try:
        await signer.start(farm.member_home(ME), PASSPHRASE)
        reader = asyncio.create_task(signer.run())
        yield signer
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    finally:
        signer.close()


def pid(signer: Signer) -> int:
    assert signer._process is not None
    return signer._process.pid


def what_others_see(process: int) -> bytes:
    return b"".join(Path(f"/proc/{process}/{file}").read_bytes() for file in ("cmdline", "environ"))


def test_what_opens_the_share_is_unsealed_ahead_of_its_own_dealing_alone(farm: Farm) -> None:
    home = farm.member_home(ME)
    assert list(signer_ahead.unsealed(home, 0, PASSPHRASE)) == [Generation(0)]
    assert signer_ahead.unsealed(home, 1, PASSPHRASE) == {}
    assert signer_ahead.unsealed(home, 0, b"another passphrase") == {}


@pytest.mark.parametrize(("purpose", "name"), [(None, AGREEMENT), (ATTESTATION, ATTESTATION)])
def test_no_share_but_that_of_the_dealing_is_opened_ahead(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, purpose: str | None, name: str
) -> None:
    home, opened = farm.member_home(ME), list[Path]()
    open_share = shares.open_share

    def noted(path: Path, *more: Any) -> ThresholdRsaEndorser:
        opened.append(path)
        return open_share(path, *more)

    monkeypatch.setattr(shares, "open_share", noted)
    for dealing in (1, 0):
        opens = signer_ahead.unsealed(home, dealing, PASSPHRASE)
        signer_ahead.rehearse(home, purpose, PASSPHRASE, opens)
        assert opened == [home / shares.share_file(Generation(0), name)] * (dealing == 0)
    signer_ahead.rehearse(home.parent, purpose, PASSPHRASE, {})  # where nothing is, nothing is said


@pytest.mark.parametrize("unseal", [None, 0, 1])
def test_a_process_that_was_told_ahead_opens_its_share_when_it_begins(
    farm: Farm, run: Run, unseal: int | None
) -> None:
    async def scenario() -> None:
        answers = Answers()
        ahead = SignerProcess(farm.member_home(ME), 0)
        if unseal is not None:
            ahead.unseal_ahead(PASSPHRASE, unseal)
        signer = Signer(farm.config.context, answers, ahead=ahead)
        try:
            await signer.start(farm.member_home(ME), PASSPHRASE)
            assert pid(signer) == ahead.process.pid
            ahead.begin(PASSPHRASE)  # a second time, which it would take for a request
            assert PASSPHRASE not in what_others_see(pid(signer))
            reader = asyncio.create_task(signer.run())
            signer.endorse(SuspectStatement(0), proven=False)
            await answers.count(1)
            assert answers.list[0][1] is not None
            reader.cancel()
        finally:
            signer.close()

    run(scenario())


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_process_that_waits_is_taken_over_for_its_own_epoch_alone(farm: Farm, run: Run, epoch: int) -> None:
    async def scenario() -> None:
        answers = Answers()
        ahead = SignerProcess(farm.member_home(ME), epoch)
        signer = Signer(farm.config.context, answers, ahead=ahead)
        try:
            await signer.start(farm.member_home(ME), PASSPHRASE)
            reader = asyncio.create_task(signer.run())
            assert (pid(signer) == ahead.process.pid) is (epoch == 0)
            assert (ahead.process.poll() is None) is (epoch == 0)
            signer.endorse(SuspectStatement(0), proven=False)
            await answers.count(1)
            assert answers.list[0][1] is not None
            reader.cancel()
        finally:
            signer.close()
        assert ahead.process.poll() is not None

    run(scenario())


def test_the_process_endorses_refuses_and_hides_its_secret(farm: Farm, run: Run) -> None:
    statement = AcceptedStatement(0, 7, ROOT)

    async def scenario() -> None:
        answers = Answers()
        async with running(farm, answers) as signer:
            assert PASSPHRASE not in what_others_see(pid(signer))
            signer.endorse(statement, proven=False)
            signer.endorse(statement, proven=True)
            signer.endorse(AcceptedStatement(0, 7, OTHER_ROOT), proven=False)
            signer.endorse(SuspectStatement(0), proven=False)
            await answers.count(4)
        assert [(s, sig is None, proven) for s, sig, proven in answers.list] == [
            (statement, False, False),
            (statement, False, True),
            (AcceptedStatement(0, 7, OTHER_ROOT), True, False),
            (SuspectStatement(0), False, False),
        ]
        plain, proven = answers.list[0][1], answers.list[1][1]
        assert plain is not None
        assert proven is not None
        farm.config.scheme.verify_endorsement(Endorsement(statement, ME, proven))
        farm.config.scheme.combine(
            [Endorsement(statement, ME, plain), *(farm.endorse(m, statement) for m in (0, 1, 3, 4))]
        )

    run(scenario())


def test_a_process_that_dies_is_an_error_at_once(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        answers = Answers()
        signer = Signer(farm.config.context, answers)
        try:
            await signer.start(farm.member_home(ME), PASSPHRASE)
            reader = asyncio.create_task(signer.run())
            os.kill(pid(signer), signal.SIGKILL)
            with pytest.raises(SignerError, match="has ended"):
                await reader
            signer.endorse(SuspectStatement(0), proven=False)  # nobody is there: no error, no answer
        finally:
            signer.close()
        assert answers.list == []

    run(scenario())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_outlives_what_a_terminal_or_service_manager_sends_to_all(
    number: signal.Signals, farm: Farm, run: Run
) -> None:
    """`systemctl stop` signals all processes of the service; the server needs its signer to hand over."""

    async def scenario() -> None:
        answers = Answers()
        async with running(farm, answers) as signer:
            os.kill(pid(signer), number)
            signer.endorse(SuspectStatement(0), proven=False)
            await answers.count(1)
        assert answers.list[0][1] is not None

    run(scenario())


def test_closing_ends_even_a_stopped_process(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        async with running(farm, Answers()) as signer:
            process = signer._process
            os.kill(pid(signer), signal.SIGSTOP)
        assert process is not None
        assert process.returncode == -signal.SIGKILL

    run(scenario())


def test_the_process_ends_with_its_channel(farm: Farm, run: Run) -> None:
    """As when the server is killed: no orphan keeps the share in memory."""

    async def scenario() -> None:
        signer = Signer(farm.config.context, Answers())
        await signer.start(farm.member_home(ME), PASSPHRASE)
        assert signer._writer is not None
        assert signer._process is not None
        signer._writer.close()
        ended = asyncio.get_running_loop().run_in_executor(None, signer._process.wait, 20.0)
        assert await ended == 0

    run(scenario())


def test_a_signer_of_another_epoch_than_its_server_does_not_start(farm: Farm, run: Run) -> None:
    """It would refuse all that it is asked to sign."""

    async def scenario() -> None:
        signer = Signer(replace(farm.config.context, epoch=3), Answers())
        try:
            with pytest.raises(KeyFileError, match=r"alliance\.toml is of epoch 0, its server in epoch 3"):
                await signer.start(farm.member_home(ME), PASSPHRASE)
        finally:
            signer.close()

    run(scenario())


@pytest.mark.parametrize("at_once", [False, True])
def test_a_member_takes_part_without_a_share_until_it_gets_one(
    farm: Farm, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """The keys were handed on while it was away; ``at_once``: it comes just after it was looked for."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    new, _ = next_epoch(farm)
    home, config, generation = tmp_path / "home", new.config, Generation(1, 2)
    shutil.copytree(farm.member_home(ME), home)
    (home / FILE).write_text(config.to_toml())
    statement = AcceptedStatement(0, 7, ROOT)

    def get() -> None:
        made = {AGREEMENT: new.endorsers[ME], ATTESTATION: new.attesters[ME]}
        shares.add_shares(home, generation, made, PASSPHRASE)
        shares.switch_to(home, generation)

    async def scenario() -> None:
        answers = Answers()
        signer = Signer(config.context, answers)
        await signer.start(home, PASSPHRASE)
        assert not signer.has_share
        if at_once:
            get()
        reader = asyncio.create_task(signer.run())
        signer.endorse(statement, proven=True)
        assert answers.list == []  # it comes later, as every answer does
        await answers.count(1)
        assert answers.list == [(statement, None, True)]
        if not at_once:
            get()
        while answers.list[-1][1] is None:
            signer.endorse(statement, proven=True)
            await answers.count(len(answers.list) + 1)
        assert signer.has_share
        signature = answers.list[-1][1]
        assert signature is not None
        config.scheme.verify_endorsement(Endorsement(statement, ME, signature))
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        signer.close()

    run(scenario())


@pytest.mark.parametrize("passphrase", [b"wrong", b""])
def test_a_wrong_passphrase_is_said_plainly(farm: Farm, run: Run, passphrase: bytes) -> None:
    async def scenario() -> None:
        signer = Signer(farm.config.context, Answers())
        try:
            with pytest.raises(KeyFileError, match="passphrase"):
                await signer.start(farm.member_home(ME), passphrase)
        finally:
            signer.close()

    run(scenario())


def test_a_process_that_does_not_start_is_said_plainly(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(error: str) -> None:
        signer = Signer(farm.config.context, Answers())
        try:
            with pytest.raises(SignerError, match=error):
                await signer.start(farm.member_home(ME), PASSPHRASE)
        finally:
            signer.close()

    monkeypatch.setattr(module.sys, "executable", "/nonexistent/python")
    run(scenario("does not start"))
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    run(scenario("ended while it started"))
    with pytest.raises(SignerError, match="not running"):
        Signer(farm.config.context, Answers()).endorse(SuspectStatement(0), proven=False)
