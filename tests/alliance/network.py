"""Servers of one process on free ports: honest ones that order alone, and whatever a villain would serve."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio

from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.config.membership import Answer, Membership
from alliance.config.parties import Member
from alliance.errors import AllianceError
from alliance.keys.channel import Credentials
from alliance.net.admission import Admission
from alliance.net.budget import Budget
from alliance.net.channels import GREETING, Identities, open_channel, server_credentials
from alliance.net.limits import CALLS_PER_HOLDER_MAX
from alliance.pb import client_pb2 as pb
from alliance.pb import client_pb2_grpc
from alliance.server.clocks import PeerClocks
from alliance.server.gate import Gate
from alliance.server.leadership import Leadership
from alliance.server.member_log import MemberLog
from alliance.server.retention import Retention
from alliance.server.services import ClientService
from alliance.server.sessions import Sessions
from alliance.server.status import StatusSource, Watched
from alliance.server.vouching import Voucher
from alliance.storage.journal_check import JournalCheck
from fab_paxos.events import Event, ProofsWanted, Submitted
from fab_paxos.messages import Status
from tests.alliance.farm import PASSPHRASE, Chain, Farm, Told
from verifiable_log import Submission
from verifiable_log.client_windows import ClientWindows, Freshness

Handler = Callable[[Any, Any], Coroutine[Any, Any, None]]


class Office(Told):
    """A member's client side, with a consensus of one behind it: what is submitted is decided at once."""

    def __init__(self, path: Path, chain: Chain, me: int = 0) -> None:
        super().__init__(path, chain)
        self.me = me
        self.has_share = self.certifies = True
        self.posted: list[Submission] = []
        self.proofs_wanted: list[bool] = []
        self.error: AllianceError | None = None
        self.sessions = Sessions(self.history)
        self.windows = ClientWindows()
        config = chain.farm.config
        self.directory = Directory(config)
        whole: Any = self  # inbox, engine and failure
        check, mine = JournalCheck(self.journal, self.history), chain.farm.members[me]
        self.log = MemberLog(config)
        retention = Retention(config, path.parent, self.history)
        watched = Watched(
            whole, {}, self.log, PeerClocks(config), {}, check, mine, Budget(), retention, whole
        )
        status = StatusSource(self.directory, me, watched)
        leadership = Leadership(config, me, whole, whole, {})
        self.term = SimpleNamespace(gate=Gate(config), inbox=whole, leadership=leadership, status=status)
        self.identities = Identities(config)
        self.voucher = Voucher(path.parent, self.directory, me, whole, whole)
        self.service = ClientService(
            whole,
            self.directory,
            self.history,
            self.sessions,
            whole,
            self.identities,
            self.voucher,
        )
        self.service.start()

    # -- the inbox

    def post(self, event: Event) -> None:
        if isinstance(event, ProofsWanted):
            self.proofs_wanted.append(event.proofs_wanted)
            return
        assert isinstance(event, Submitted)
        self.posted.append(event.submission)
        judgement = self.windows.judge(event.submission)
        if judgement.freshness is Freshness.REPEATED:
            self.sessions.located(event.submission, judgement.slot)
        elif judgement.freshness is Freshness.FRESH:
            entry = self.decide(self.chain.add(event.submission))
            self.windows.admit(entry.slot, event.submission)
            self.sessions.decided(entry)
            if self.certifies:
                self.certify(entry.slot)
        else:
            self.sessions.refused(event.submission, judgement.freshness.value)

    async def room(self) -> None:
        pass

    def certify(self, slot: int) -> None:
        super().certify(slot)
        self.sessions.certified()

    # -- the engine

    @property
    def status(self) -> Status:
        decided = len(self.chain.entries)
        return Status(0, decided, decided, self.history.certified_slot)

    # -- the failure

    def failed(self, error: AllianceError) -> None:
        self.error = error

    def serve(self, server: grpc.aio.Server) -> None:
        client_pb2_grpc.add_ClientServicer_to_server(self.service, server)  # type: ignore[no-untyped-call]


class Villain:
    """Serves what it is given as Submit and Listen (as bytes); ``calls`` counts the streams."""

    def __init__(self, submit: Handler | None = None, listen: Handler | None = None) -> None:
        self.submit = submit
        self.listen = listen
        self.calls = 0

    def serve(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {}
        if self.submit is not None:
            handlers["Submit"] = grpc.stream_stream_rpc_method_handler(self._counted(self.submit))
        if self.listen is not None:
            handlers["Listen"] = grpc.unary_stream_rpc_method_handler(self._counted(self.listen))
        generic = grpc.method_handlers_generic_handler("alliance.v1.Client", handlers)
        server.add_generic_rpc_handlers((generic,))

    def _counted(self, handler: Handler) -> Any:
        async def handle(request: Any, context: Any) -> None:
            self.calls += 1
            await context.send_initial_metadata(GREETING)
            await handler(request, context)

        return handle


async def ends_unread(_: Any, context: Any) -> None:
    """More than anybody has read by the time that it ends."""
    for _ in range(5):
        await context.write(b"unread")


async def written_until_it_fails(write: Callable[[Any], Any], message: Any) -> None:
    """To a stream that ends with messages that nobody has read: its own end is told behind them only.

    So the write that fails is the first to show it. Raises AioRpcError.
    """
    while True:
        await write(message)
        await asyncio.sleep(0)


async def submissions_of(context: Any) -> list[Submission]:
    frame = await context.read()
    if frame is grpc.aio.EOF:
        return []
    return [Submission.decode(encoded) for encoded in pb.Submissions.FromString(frame).submissions]


@asynccontextmanager
async def serving(
    farm: Farm,
    me: int,
    *services: Any,
    mine: Credentials | None = None,
    calls_per_holder: int = CALLS_PER_HOLDER_MAX,
    admission: Admission | None = None,
) -> AsyncIterator[int]:
    """A server of member ``me``; its port. ``admission``: if the test has to do with it."""
    admission = admission or Admission(farm.config, calls_per_holder)
    server = admission.server()
    for service in services:
        service.serve(server)
    credentials = server_credentials(admission.identities, mine or farm.members[me])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    admission.start(port)
    try:
        yield port
    finally:
        await server.stop(None)
        admission.stop()


PROGRAM_SECONDS = 60.0


def copy_home(farm: Farm, folder: Path, port: int) -> None:
    """A client's new folder, in which member 0 has this port."""
    shutil.copytree(farm.client_home(0), folder)
    toml = (folder / "alliance.toml").read_text()
    (folder / "alliance.toml").write_text(toml.replace(farm.config.members[0].address, f"127.0.0.1:{port}"))


async def run_program(
    farm: Farm, folder: Path, port: int, program: str, *arguments: str
) -> tuple[int | None, str, str]:
    """A client's program in a process of its own, whose member 0 listens at ``port``.

    ``folder`` is new; the program is told it and the passphrase first. Its exit code, output and errors.
    """
    copy_home(farm, folder, port)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(folder), PASSPHRASE.decode(), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PROGRAM_SECONDS)
    except TimeoutError:
        process.kill()
        raise AssertionError(f"the program did not end within {PROGRAM_SECONDS:g} s") from None
    return process.returncode, out.decode(), err.decode()


def at(config: AllianceConfig, member: int, port: int) -> Any:
    return replace(config.members[member], address=f"127.0.0.1:{port}")


class Said:
    """A server that answers one of the client's methods with these bytes."""

    def __init__(self, method: str, answer: bytes) -> None:
        self.method = method
        self.answer = answer

    def serve(self, server: grpc.aio.Server) -> None:
        async def handle(_: bytes, context: Any) -> bytes:
            return self.answer

        handlers: Any = {self.method: grpc.unary_unary_rpc_method_handler(handle)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("alliance.v1.Client", handlers),)
        )


class Doors:
    """A client's channels to the servers of a test; all other members are down: their port refuses."""

    def __init__(self, farm: Farm, ports: dict[int, int], mine: Credentials | None = None) -> None:
        self._nobody = socket.socket()
        self._nobody.bind(("127.0.0.1", 0))
        self._farm = farm
        self.config = farm.config
        self._mine = mine or farm.clients[0]
        self._ports = ports
        self._channels: dict[int, grpc.aio.Channel] = {}
        self.memberships: list[Membership] = []  # that answers named

    @property
    def dead_port(self) -> int:
        return int(self._nobody.getsockname()[1])

    def channel(self, member: Member) -> grpc.aio.Channel:
        place = self.config.members.index(member)
        if place not in self._channels:
            port = self._ports.get(place, self.dead_port)
            self._channels[place] = open_channel(at(self._farm.config, place, port), self._mine)
        return self._channels[place]

    def heard(self, answer: Answer) -> None:
        self.memberships.append(Membership.of(answer))

    async def __aenter__(self) -> Doors:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._nobody.close()
