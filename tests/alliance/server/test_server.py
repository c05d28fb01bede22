"""One whole server, and six of them in one process: the parts fit together."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alliance.client import Client
from alliance.config.control import founded
from alliance.config.file import AllianceConfig
from alliance.config.timing import Timing
from alliance.errors import (
    ConfigError,
    IdentityConflict,
    JournalError,
    NoLongerMember,
    PortTaken,
    SignerError,
)
from alliance.keys import shares
from alliance.server import server as server_module
from alliance.server import world as module
from alliance.server.peers import MESSAGE_BYTES
from alliance.server.server import JOURNAL, Server
from alliance.server.successor import Successor
from alliance.storage import epochs
from alliance.storage.journal import Journal
from alliance.storage.journal_epochs import EpochRecord
from alliance.wire import peer_messages
from fab_paxos.effects import Blame, EntryRecord, Offence, ProvenRecord, Timer, ViewRecord
from fab_paxos.events import CombinationFailed, Combined, ProofsWanted, Submitted, TimerFired
from fab_paxos.messages import Status
from quorum import AcceptedStatement, Endorsement
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.network import at
from tests.alliance.storage.test_epochs import changed
from tests.alliance.storage.test_journal_epochs import END
from verifiable_log.ordering_state import Checkpoint, Snapshot


@pytest.fixture
def home(farm: Farm, tmp_path: Path) -> Path:
    return Path(shutil.copytree(farm.member_home(0), tmp_path / "home"))


@asynccontextmanager
async def stopped(server: Server) -> AsyncIterator[Server]:
    try:
        yield server
    finally:
        await server.stop()


def posted(server: Server) -> list[Any]:
    events: Any = server.term.inbox._events
    return list(events)[1:]


# -- one server, not running -------------------------------------------------------------------------


def test_bad_shares_are_an_event_and_never_an_error(farm: Farm, home: Path, run: Run) -> None:
    """Whatever one member sends as its share, combining must not bring the server down."""
    statement = AcceptedStatement(0, 1, b"r" * 32)
    good = [farm.endorse(member, statement) for member in range(5)]
    foreign = farm.endorse(4, AcceptedStatement(0, 2, b"r" * 32)).signature
    bad = [b"", b"x", b"\x00" * 8, b"\xff" * 256, bytes(264), good[0].signature, foreign]
    share = good[4].signature
    bad += [share[:-1], share + b"x", share[:-1] + bytes((share[-1] ^ 1,))]

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            server.term.world.combine(good)
            for signature in bad:
                server.term.world.combine([*good[:4], Endorsement(statement, 4, signature)])
            first, *others = posted(server)
            assert isinstance(first, Combined)
            assert all(isinstance(event, CombinationFailed) for event in others)
            assert len(others) == len(bad)
            assert all({*event.culprits, *event.unproven} >= {4} for event in others)

    run(scenario())


def test_a_timer_replaces_the_one_of_its_name(home: Path, run: Run) -> None:
    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            server.term.world.set_timer(Timer.HEARTBEAT, 3600.0)
            server.term.world.set_timer("other", 3600.0)
            server.term.world.set_timer(Timer.HEARTBEAT, 0.0)
            while not posted(server):
                await asyncio.wait([asyncio.ensure_future(server.term.inbox.room())], timeout=0.01)
            assert posted(server) == [TimerFired(Timer.HEARTBEAT)]
            pending = [timer for timer in server.term.world.timers.values() if not timer.cancelled()]
            assert len(pending) == 2
        assert all(timer.cancelled() or timer.when() < 3000 for timer in [server.term.world.timers["other"]])

    run(scenario())


def test_a_member_that_stood_still_hears_first_what_came_meanwhile(home: Path, run: Run) -> None:
    """SIGSTOP, a laptop's lid: its timers are all over at once, and nobody is to be suspected for that."""

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            now = asyncio.get_running_loop().time()
            server.term.world._waited(Timer.VIEW, 3600.0, now - 1799.0)
            assert posted(server) == [TimerFired(Timer.VIEW)]
            server.term.world._waited(Timer.VIEW, 3600.0, now - 1801.0)
            assert posted(server) == [TimerFired(Timer.VIEW)]
            assert server.term.world.timers[Timer.VIEW].when() > now + 3599.0
            server.term.world._waited(Timer.HEARTBEAT, 0.001, now - 1.0)
            while len(posted(server)) < 2:
                await asyncio.wait([asyncio.ensure_future(server.term.inbox.room())], timeout=0.01)
            assert posted(server)[1] == TimerFired(Timer.HEARTBEAT)

    run(scenario())


def test_who_is_blamed_and_who_is_suspected(home: Path, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A member whose own clock is wrong, and who knows it, does not even suspect a leader for its stamps."""
    ahead = Blame(1, Offence.STAMP_AHEAD, "7 is 12.0 s")

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            server.term.world.blame(ahead)
            server.term.world.blame(Blame(2, Offence.TWO_VOTES, "7"))
            for peer in range(1, 6):
                server.term.clocks.note(peer, 12_000, 0)
            server.term.world.blame(ahead)
            assert server.term.log.offences == {(1, Offence.STAMP_AHEAD): 1, (2, Offence.TWO_VOTES): 1}

    run(scenario())
    assert caplog.messages == [
        "member-2 is suspected: the time stamp of slot 7 is 12.0 s ahead of this member's clock",
        "member-3: two votes for slot 7",
        "this machine's clock is 12.0 s behind the other members' (their median): set it right; a member"
        " whose clock is 10 s off does not vote in time",
    ]


def test_a_peer_that_asks_without_reading_costs_few_frames(
    farm: Farm, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame is read from the journal and proven: thousands of requests fit into one envelope."""

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            made: list[int] = []
            frame = Chain(farm).grow(1, size=100).frame(1, 1, 1)

            def make(first_slot: int) -> Any:
                made.append(first_slot)
                return frame

            monkeypatch.setattr(server._history, "frame", make)
            size = len(peer_messages.encode(frame)) + MESSAGE_BYTES
            monkeypatch.setattr(module, "FRAME_BYTES_MAX", 3 * size)
            server.term.world.send_log_frame(3, 1)
            assert made == []  # nobody is there
            server.term.peers.links[3].open(server.term.peers.links[3].take_over())
            for _ in range(1000):
                server.term.world.send_log_frame(3, 1)
            assert len(made) == 4
            server.term.world.send_log_frame(4, 1)
            server.term.peers.links[4].open(server.term.peers.links[4].take_over())
            server.term.world.send_log_frame(4, 1)
            assert len(made) == 5

    run(scenario())


def test_refused_messages_are_counted_and_do_not_fill_the_log(
    home: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            with caplog.at_level(logging.INFO, "alliance.server"):
                for _ in range(500):
                    server.term.receiver.received(3, b"junk")
                    server.term.receiver.rejected_frame(4, "junk")
                    server.term.receiver.connected(5)
                server.term.receiver.serve(lambda: 0.0)
            assert server.term.log.refused[3] == 500
            assert server.term.log.refused[4] == 500
            assert len(caplog.records) < 30
            server.term.receiver.received(3, peer_messages.encode(Status(0, 0, 0, 0)))
            server.term.receiver.serve(lambda: 0.0)
            assert server.term.log.refused[3] == 500

    run(scenario())


def test_a_journal_of_another_member_or_a_second_server_is_refused(
    farm: Farm, home: Path, tmp_path: Path, run: Run
) -> None:
    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)):
            with pytest.raises(JournalError, match="already running"):
                Server.open(home, PASSPHRASE)
        other = Path(shutil.copytree(farm.member_home(1), tmp_path / "other"))
        for name in (JOURNAL, "journal.started"):
            shutil.copy(home / name, other / name)
        with pytest.raises(JournalError, match="another member"):
            Server.open(other, PASSPHRASE)

    run(scenario())


def ended(chain: Chain) -> Snapshot:
    """The log and the state at END, where the epoch ends."""
    snapshot, control = chain.snapshot(END), founded(chain.farm.config)
    return replace(snapshot, state=snapshot.state + replace(control, slot=END, end=END).items())


def test_a_member_starts_in_a_later_epoch(farm: Farm, home: Path, long_chain: Chain, run: Run) -> None:
    """With the members, the context and the start of that epoch, and the shares that it began with."""
    snapshot, before = ended(long_chain), farm.config
    config, membership = changed(farm, 1, snapshot)
    journal = Journal(home / JOURNAL, before.alliance_id, before.members[0].name)
    journal.append(
        [*map(EntryRecord, long_chain.entries[:END]), ProvenRecord(END, long_chain.certificate(END))]
    )
    checkpoint = Checkpoint(snapshot, membership.certificate)
    journal.append([EpochRecord(membership, checkpoint, long_chain.certificate(END))])
    journal.close()
    first, *others = config.members
    elsewhere = replace(config, members=(replace(first, address="127.0.0.1:1"), *others))
    (home / "alliance.toml").write_text(elsewhere.to_toml())
    with pytest.raises(ConfigError, match="its members have certified another file"):
        Server.open(home, PASSPHRASE)
    (home / "alliance.toml").write_text(before.to_toml())
    with pytest.raises(ConfigError, match=r"1\.toml does not exist, and .* is of epoch 0"):
        Server.open(home, PASSPHRASE)
    epochs.keep(home, config, membership)
    statement = AcceptedStatement(0, END + 1, long_chain.root(END + 1))

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            assert server.term.engine.status.certified == server._history.certified_slot == END
            await server.term.signer.start(home, PASSPHRASE)
            server.term.signer.endorse(statement, proven=False)
            async with asyncio.TaskGroup() as tasks:
                signing = tasks.create_task(server.term.signer.run())
                while not posted(server):  # noqa: ASYNC110 - the inbox, which has no such event
                    await asyncio.sleep(0.01)
                signing.cancel()
            (made,) = posted(server)
            shares = [Endorsement(statement, 0, made.signature)]
            shares += [farm.endorse(member, statement, config.context) for member in range(1, 5)]
            server.term.world.combine(shares)
            combined = posted(server)[-1]
            assert isinstance(combined, Combined)
            assert combined.certificate.epoch == 1
            combined.certificate.verify(config.scheme)
        assert (home / "alliance.toml").read_text() == config.to_toml()

    run(scenario())


def test_epoch_what_is_of_the_old_epoch_goes_and_what_clients_wait_for_stays(
    farm: Farm, home: Path, long_chain: Chain, run: Run
) -> None:
    """What no turn has handled, too; and whoever is no member any more is not kept connected."""
    snapshot = ended(long_chain)
    config, membership = changed(farm, 1, snapshot)
    journal = Journal(home / JOURNAL, farm.config.alliance_id, farm.config.members[0].name)
    journal.append(
        [*map(EntryRecord, long_chain.entries[:END]), ProvenRecord(END, long_chain.certificate(END))]
    )
    journal.close()
    record = EpochRecord(
        membership, Checkpoint(snapshot, membership.certificate), long_chain.certificate(END)
    )
    handled, waiting = farm.submission(1000), farm.submission(1001)

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            server._passphrase = PASSPHRASE
            await server.term.start(PASSPHRASE)
            for member in farm.config.members[1:]:
                server._channels.to(member)
            server.term.inbox.post(Submitted(handled))
            server.term.turn()
            assert server.term.engine.pending == (handled,)
            server.term.inbox.post(Submitted(waiting))
            await server._enter(Successor(config, record))
            assert server.term.config.epoch == 1
            assert server.term.inbox.submitted == (handled, waiting)
            stay = {member.identity for member in config.members}
            assert {identity for identity, _ in server._channels._open} == stay & {
                member.identity for member in farm.config.members[1:]
            }
            assert len(server._channels) < 5

    run(scenario())


def test_a_member_that_takes_no_part_any_more_is_told(farm: Farm, tmp_path: Path, long_chain: Chain) -> None:
    """The second one of epoch 0, whose place has another in epoch 1."""
    home, snapshot = Path(shutil.copytree(farm.member_home(1), tmp_path / "home")), ended(long_chain)
    config, membership = changed(farm, 1, snapshot)
    journal = Journal(home / JOURNAL, farm.config.alliance_id, farm.config.members[1].name)
    checkpoint = Checkpoint(snapshot, membership.certificate)
    journal.append([EpochRecord(membership, checkpoint, long_chain.certificate(END))])
    journal.close()
    epochs.keep(home, config, membership)
    for _ in range(2):
        with pytest.raises(NoLongerMember, match=r"member-2 takes no part in epoch 1: it has stopped"):
            Server(farm.config, 1, farm.members[1], home)


def test_epoch_who_is_removed_goes_on_answering_before_it_ends(
    farm: Farm, tmp_path: Path, long_chain: Chain, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its share, or the whole, may be what the others cannot do without."""
    home, snapshot = Path(shutil.copytree(farm.member_home(1), tmp_path / "home")), ended(long_chain)
    config, membership = changed(farm, 1, snapshot)
    journal = Journal(home / JOURNAL, farm.config.alliance_id, farm.config.members[1].name)
    journal.append(
        [*map(EntryRecord, long_chain.entries[:END]), ProvenRecord(END, long_chain.certificate(END))]
    )
    journal.close()
    record = EpochRecord(
        membership, Checkpoint(snapshot, membership.certificate), long_chain.certificate(END)
    )
    waits, over = asyncio.Event(), asyncio.Event()

    async def passed_on(_: object, to: AllianceConfig) -> None:
        assert to == config
        waits.set()
        await over.wait()

    monkeypatch.setattr(server_module, "passed_on", passed_on)

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            entering = asyncio.create_task(server._enter(Successor(config, record)))
            await waits.wait()
            assert shares.pieces(home) == ()  # it cannot sign any more
            assert not await server.term.inbox.filled()  # and says nothing
            assert not entering.done()
            over.set()
            with pytest.raises(NoLongerMember):
                await entering

    run(scenario())


def test_a_port_in_use_is_said_plainly(home: Path, run: Run) -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            async with stopped(Server.open(home, PASSPHRASE)) as server:
                with pytest.raises(PortTaken, match="is another process using it"):
                    await server.start(PASSPHRASE, f"127.0.0.1:{taken.getsockname()[1]}")

    run(scenario())


def test_what_ends_a_server_is_raised_as_itself(home: Path, run: Run) -> None:
    timing = Timing(heartbeat_seconds=0.01)

    async def scenario(end: Any, error: type[Exception]) -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            server._directory._config = replace(server._directory.config, timing=timing)
            await server.start(PASSPHRASE, "127.0.0.1:0")
            server.term.incarnation.settled.set()  # nobody else is there to know of it
            running = asyncio.create_task(server.run())
            await asyncio.wait([running], timeout=0.05)
            end(server)
            with pytest.raises(error):
                await running

    def kill_signer(server: Server) -> None:
        assert server.term.signer._process is not None
        server.term.signer._process.kill()

    def break_journal(server: Server) -> None:
        def fail(*_: object, **__: object) -> None:
            raise JournalError("disk full")

        server._journal.append = fail  # type: ignore[method-assign]
        server.term.engine.step = lambda event: (_persist(),)  # type: ignore[method-assign]
        server.term.inbox.post(TimerFired("x"))

    run(scenario(kill_signer, SignerError))

    def unlink_journal(server: Server) -> None:
        (home / "journal.sqlite").unlink()

    run(scenario(break_journal, JournalError))
    run(scenario(unlink_journal, JournalError))


def _persist() -> Any:
    from fab_paxos.effects import Persist, TruncateRecord

    return Persist(TruncateRecord(0))


def test_nothing_is_said_before_a_quorum_knows(home: Path, run: Run) -> None:
    """Events wait, the start among them; whatever a member alone might decide."""

    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            await server.start(PASSPHRASE, "127.0.0.1:0")
            running = asyncio.create_task(server.run())
            server.term.inbox.post(TimerFired("x"))
            while len(posted(server)) < 2:
                await asyncio.wait([running], timeout=0.01)
            await asyncio.wait([running], timeout=0.1)
            assert posted(server) == [ProofsWanted(False), TimerFired("x")]
            server.term.incarnation.settled.set()
            while server.term.inbox._events:
                await asyncio.wait([running], timeout=0.01)
            running.cancel()
            await asyncio.wait([running])

    run(scenario())


@pytest.mark.parametrize("settled", [False, True])
def test_a_conflict_silences_at_once_and_ends_with_it(home: Path, run: Run, settled: bool) -> None:
    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            await server.start(PASSPHRASE, "127.0.0.1:0")
            if settled:
                server.term.incarnation.settled.set()
            running = asyncio.create_task(server.run())
            await asyncio.wait([running], timeout=0.05)
            server.term.receiver.failed(IdentityConflict("two of me", "itself"))
            server.term.receiver.failed(JournalError("another one, later"))
            server.term.inbox.post(TimerFired("x"))
            server.term.incarnation.settled.set()
            with pytest.raises(IdentityConflict):
                await running
            assert TimerFired("x") in server.term.inbox._events

    run(scenario())


def test_links_and_leaders_are_told_once(
    home: Path, run: Run, caplog: pytest.LogCaptureFixture, long_chain: Chain
) -> None:
    async def scenario() -> None:
        async with stopped(Server.open(home, PASSPHRASE)) as server:
            with caplog.at_level(logging.INFO, "alliance.server"):
                for _ in range(100):
                    server.term.receiver.connected(4)
                    server.term.receiver.lost(4)
                server.term.world.persist(
                    [ViewRecord(7, long_chain.election(6)), ViewRecord(8, long_chain.election(7))]
                )
                server.term.world.persist([EntryRecord(long_chain.entries[0])])
                server.term.receiver.doubted(5, "it forgot")
            assert caplog.messages == [
                "connected to member-5",
                "lost member-5",
                "view 8: leader is now member-3",
                "member-6: the link was refused: it forgot",
            ]
            assert server.term.log.alarms.told(5) == "it forgot"
            server.term.receiver.connected(5)
            assert "it forgot (ended 2" in server.term.log.alarms.told(5)

    run(scenario())


# -- six of them -------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in held]
    for server in held:
        server.close()
    return ports


class Six:
    """The members of an alliance, each in a folder of its own, in this process."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        ports = free_ports(6)
        members = tuple(at(farm.config, index, port) for index, port in enumerate(ports))
        self.farm = farm
        self.config = replace(farm.config, members=members)
        self.homes = [
            Path(shutil.copytree(farm.member_home(index), folder / f"m{index}")) for index in range(6)
        ]
        self.client_home = Path(shutil.copytree(farm.client_home(0), folder / "client"))
        self.servers: dict[int, Server] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def start(self, member: int) -> None:
        server = Server(self.config, member, self.farm.members[member], self.homes[member])
        self.servers[member] = server
        await server.start(PASSPHRASE)
        self.tasks[member] = asyncio.create_task(server.run())

    async def stop(self, member: int) -> None:
        task, server = self.tasks.pop(member), self.servers.pop(member)
        task.cancel()
        await asyncio.wait([task])
        await server.stop()

    async def stop_all(self) -> None:
        await asyncio.gather(*map(self.stop, list(self.tasks)))

    def client(self) -> Client:
        return Client(self.config, self.farm.clients[0], self.client_home)


def test_six_servers_decide_lose_one_and_bring_it_back(farm: Farm, tmp_path: Path, run: Run) -> None:
    six = Six(farm, tmp_path)

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(six.stop_all)
            await asyncio.gather(*map(six.start, range(6)))
            async with six.client() as client:
                one = await client.propose(b"one")
                one.verify(client.public_key)
                voted = await client.with_votes(one)
                voted.verify(client.public_key, [member.identity_key for member in six.config.members])
                assert len(voted.votes) == six.config.system.one_correct
                await six.stop(3)
                receipts = [receipt async for receipt in client.propose_all([b"two", b"three"])]
                several = await asyncio.gather(*(client.propose(b"%d" % number) for number in range(20)))
                for receipt in (*receipts, *several):
                    receipt.verify(client.public_key)
                await six.start(3)
                last = await client.propose(b"last")
                expected = [b"one", b"two", b"three"]
                for server in ("member-2", "member-4"):
                    seen = []
                    async for entry in client.listen(1, server=server):
                        seen.append(entry)
                        if entry.command == b"last":
                            break
                    assert [entry.command for entry in seen][:3] == expected
                    assert sorted(entry.command for entry in seen[3:-1]) == sorted(
                        b"%d" % number for number in range(20)
                    )
                    assert seen[-1].slot == last.slot
                    seen[-1].receipt().verify(client.public_key)
                history = [entry.command async for entry in client.listen(1, follow=False)]
                assert history[:3] == expected
                status = await client.status()
                while len(status[0].connected) < 5:  # who came back dials whom it finds, one after the other
                    status = await client.status()
                assert status[0].name == "member-1"
                assert all(member.reachable for member in status)

    run(scenario())


def test_three_leaders_are_restarted_one_by_one_and_no_timer_runs_out(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    """With time-outs of 30 s: whoever waited for one would see this test's own deadline pass."""
    six = Six(farm, tmp_path)
    six.config = replace(six.config, timing=Timing(view_timeout_seconds=30.0))

    async def linked(client: Client) -> None:
        while any(len(member.connected) < 5 for member in await client.status()):
            pass  # each question takes its time

    async def scenario() -> None:
        receipts = []
        async with AsyncExitStack() as stack:
            stack.push_async_callback(six.stop_all)
            await asyncio.gather(*map(six.start, range(6)))
            async with six.client() as client:
                await linked(client)
                for leader in range(3):
                    proposed = [asyncio.create_task(client.propose(b"%d" % at)) for at in range(8)]
                    await six.servers[leader].hand_over()
                    await six.stop(leader)
                    receipts += await asyncio.gather(*proposed)
                    receipts.append(await client.propose(b"after it"))
                    assert {six.servers[other].term.engine.status.view for other in six.servers} == {
                        leader + 1
                    }
                    await six.start(leader)
                    await linked(client)
                views = {member.view for member in await client.status()}
                assert views == {3}
                assert not any(member.blamed or member.alarms for member in await client.status())
        places = [(receipt.slot, receipt.position, receipt.command_index) for receipt in receipts]
        assert len(set(places)) == len(places) == 27

    run(scenario())
