"""Links between members: bounded, in order, and never into a stream that is no longer the link."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from alliance.errors import IdentityConflict, JournalError
from alliance.net.channels import GREETING
from alliance.pb import peer_pb2 as pb
from alliance.server import peers as module
from alliance.server.peers import EXCHANGE, Link, Packer
from alliance.wire.envelope import ENVELOPE_MESSAGES_MAX, envelope, open_envelope
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.links import HIGH, LOW, Side, dialling, greeting, raw, step
from tests.alliance.network import Doors, ends_unread, serving, written_until_it_fails
from tests.alliance.newcomers import moved

# -- the outbox --------------------------------------------------------------------------------------


def waiting(link: Link) -> list[bytes]:
    return list(link._outbox)


def opened(link: Link) -> int:
    """A new stream, its handshake done; its number."""
    stream = link.take_over()
    link.open(stream)
    return stream


def test_nothing_waits_for_who_is_not_connected() -> None:
    link = Link(1, Packer(0))
    link.send(b"lost")
    assert not waiting(link)
    stream = link.take_over()
    link.send(b"lost, too: the handshake is not done")
    link.open(stream)
    link.send(b"kept")
    assert waiting(link) == [b"kept"]
    assert link.close(stream)
    assert not link.close(stream)
    link.send(b"lost")
    assert not waiting(link)
    assert link.dropped == 3


def test_what_goes_to_everybody_is_put_together_once() -> None:
    """And never for one peer what was meant for another."""
    packer = Packer(0)
    first, second = b"x" * 1000, b"y" * 1000
    frame = packer.pack([first, second])
    assert packer.pack([first, second]) is frame
    for others in ([first], [second, first], [first, second, second], [bytes(bytearray(first)), second]):
        assert open_envelope(packer.pack(others), 0) == others


def test_a_peer_that_does_not_read_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OUTBOX_BYTES_MAX", 100 + 4 * module.MESSAGE_BYTES)
    link = Link(1, Packer(0))
    opened(link)
    for _ in range(50):
        link.send(b"x" * 30)
    assert waiting(link) == [b"x" * 30] * 3
    assert link.dropped == 47
    link.send(b"y" * 10)
    assert waiting(link)[-1] == b"y" * 10


def test_what_waited_for_an_old_stream_is_not_for_the_new_one(run: Run) -> None:
    async def scenario() -> None:
        link = Link(1, Packer(0))
        first = opened(link)
        link.send(b"stale")
        second = opened(link)
        link.send(b"fresh")
        assert not link.close(first)  # too late to matter
        link.open(first)
        assert link.connected
        assert await link.next_frame(first) is None
        assert open_envelope(await link.next_frame(second) or b"", 0) == [b"fresh"]

    run(scenario())


def test_a_stream_that_was_taken_over_takes_no_frame(run: Run) -> None:
    """The old writer still waits when the new stream opens; it must not snatch what is sent then."""

    async def scenario() -> None:
        link = Link(1, Packer(0))
        old = asyncio.create_task(link.next_frame(opened(link)))
        await asyncio.wait([old], timeout=0.01)
        second = opened(link)
        new = asyncio.create_task(link.next_frame(second))
        link.send(b"for the new one")
        assert await old is None
        assert open_envelope(await new or b"", 0) == [b"for the new one"]

    run(scenario())


def test_frames_keep_the_order_and_the_bounds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_BYTES", 100)

    async def scenario() -> None:
        link = Link(1, Packer(0))
        stream = opened(link)
        sent = [b"%03d" % number + b"x" * (number % 70) for number in range(200)] + [b"y" * 500, b"z"]
        for message in sent:
            link.send(message)
        received: list[bytes] = []
        while len(received) < len(sent):
            part = open_envelope(await link.next_frame(stream) or b"", 0)
            assert len(part) == 1 or sum(map(len, part)) <= 100
            received += part
        assert received == sent
        assert link._bytes == 0
        monkeypatch.setattr(module, "FLUSH_BYTES", 10**6)
        for _ in range(ENVELOPE_MESSAGES_MAX + 1):
            link.send(b"")
        counts = [len(open_envelope(await link.next_frame(stream) or b"", 0)) for _ in range(2)]
        assert counts == [ENVELOPE_MESSAGES_MAX, 1]

    run(scenario())


# -- real streams ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.01, 0.02))


def test_messages_go_both_ways_in_order(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, Doors(farm, {}) as doors:
            high = Side(farm, HIGH, {LOW: port}, doors.dead_port)
            async with dialling(high):
                await low.ear.until(lambda ear: ear.connections)
                await high.ear.until(lambda ear: ear.connections)
                down = [b"down %d" % number for number in range(100)]
                up = [b"up %d" % number for number in range(100)]
                for one, other in zip(down, up, strict=True):
                    low.peers.broadcast(one)
                    high.peers.send(LOW, other)
                await low.ear.until(lambda ear: len(ear.messages) == 100)
                await high.ear.until(lambda ear: len(ear.messages) == 100)
                assert low.ear.messages == [(HIGH, message) for message in up]
                assert high.ear.messages == [(LOW, message) for message in down]
                assert low.ear.connections == [HIGH]
                assert high.ear.connections == [LOW]  # the members that are down never count as connected
                assert [peer for peer, link in high.peers.links.items() if link.connected] == [LOW]

    run(scenario())


def test_messages_of_all_sizes_pass(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, Doors(farm, {}) as doors:
            high = Side(farm, HIGH, {LOW: port}, doors.dead_port)
            async with dialling(high):
                await high.ear.until(lambda ear: ear.connections)
                sizes = [3_500_000, 1, 1_100_000, 1_100_000, 1_100_000, 1_100_000, 2, 3_500_000]
                for size in sizes:
                    high.peers.send(LOW, b"x" * size)
                await low.ear.until(lambda ear: len(ear.messages) == len(sizes))
                assert [len(message) for _, message in low.ear.messages] == sizes

    run(scenario())


def test_a_member_that_is_down_is_tried_again_and_never_counted_as_connected(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """grpc gives empty initial metadata for a connection that was refused, as if there were a stream."""
    attempts = []
    enough = asyncio.Event()
    opener = module.open_channel

    def counted(*arguments: Any) -> Any:
        attempts.append(arguments[0].name)
        if len(attempts) > 12:
            enough.set()
        return opener(*arguments)

    monkeypatch.setattr(module, "open_channel", counted)

    async def scenario() -> None:
        async with Doors(farm, {}) as doors:
            high = Side(farm, HIGH, {}, doors.dead_port)
            async with dialling(high):
                await enough.wait()
            assert high.ear.connections == []

    run(scenario())


def test_a_link_comes_back_after_its_server_did(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with Doors(farm, {}) as doors, AsyncExitStack() as stack:
            port = await stack.enter_async_context(serving(farm, LOW, low))
            high = Side(farm, HIGH, {LOW: port}, doors.dead_port)
            async with dialling(high):
                await high.ear.until(lambda ear: ear.connections)
                await low.ear.until(lambda ear: ear.connections)
                low.peers.links[HIGH].send(b"one")
                await high.ear.until(lambda ear: ear.messages)
                # The low member throws the stream away, as after a malformed frame.
                low.peers.links[HIGH].take_over()
                await high.ear.until(lambda ear: len(ear.connections) == 2)
                await low.ear.until(lambda ear: len(ear.connections) == 2)
                low.peers.links[HIGH].send(b"two")
                await high.ear.until(lambda ear: len(ear.messages) == 2)
                assert high.ear.messages == [(LOW, b"one"), (LOW, b"two")]

    run(scenario())


class Ending:
    """A low member that ends each stream at once, with messages that nobody reads."""

    def __init__(self) -> None:
        self.ended = asyncio.Semaphore(0)

    def serve(self, server: grpc.aio.Server) -> None:
        async def handle(request: Any, context: Any) -> None:
            await context.send_initial_metadata(GREETING)
            await ends_unread(request, context)
            self.ended.release()

        service, _, method = EXCHANGE[1:].partition("/")
        handler: Any = grpc.stream_stream_rpc_method_handler(handle)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))


def test_of_a_link_that_ends_while_it_is_written_to_nothing_is_left(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the peer sent last is not read any more: ``run`` finds a call that waits for somebody to do so."""

    async def shake_hands(peer: int, read: Any, write: Any) -> None:
        await written_until_it_fails(write, b"")

    async def scenario() -> None:
        ending = Ending()
        async with serving(farm, LOW, ending) as port, Doors(farm, {}) as doors:
            high = Side(farm, HIGH, {LOW: port}, doors.dead_port)
            monkeypatch.setattr(high.incarnation, "shake_hands", shake_hands)
            async with dialling(high):
                for _ in range(3):
                    await ending.ended.acquire()

    run(scenario())


async def heard(speaker: Side, listener: Side, text: bytes) -> None:
    """What is on its way when one link takes the place of another may be lost: members say it again."""
    while not any(text in message for message in listener.ear.messages):
        speaker.peers.send(LOW, text)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await listener.ear.until(lambda ear: any(text in message for message in ear.messages))


async def undisturbed(speaker: Side, listener: Side, dialled: list[str]) -> None:
    """Returns when message after message has been heard, and nobody has dialled meanwhile.

    A few dials more there may be: a handshake takes too long on a busy machine. Two that take the link from
    each other dial on and on.
    """
    quiet = dials = 0
    for number in count():
        dialled.clear()
        await heard(speaker, listener, b"message %d;" % number)
        dials += len(dialled)
        assert dials < 10, "it is dialled by two"
        quiet = 0 if dialled else quiet + 1
        if quiet == 20:
            return


def test_a_link_follows_its_member_and_the_old_one_goes_on_until_the_new_one_stands(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.01, 0.02))
    dialled, tries = list[str](), asyncio.Event()
    opener = module.open_channel
    followed = farm.config.members[LOW].name

    def noted(member: Any, mine: Any) -> Any:
        if member.name == followed:  # the others are down, and dialled all the time
            dialled.append(member.address)
            if dialled.count(dialled[-1]) > 2:
                tries.set()
        return opener(member, mine)

    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, Doors(farm, {}) as doors, AsyncExitStack() as stack:
            high = Side(farm, HIGH, {LOW: port}, doors.dead_port)
            await stack.enter_async_context(dialling(high))
            await high.ear.until(lambda ear: ear.connections)
            monkeypatch.setattr(module, "open_channel", noted)
            nowhere = f"127.0.0.1:{doors.dead_port}"
            high.peers.update(moved(high.config, LOW, doors.dead_port))
            await tries.wait()
            assert set(dialled) == {nowhere}
            high.peers.send(LOW, b"by the old link")
            await low.ear.until(lambda ear: ear.messages)
            assert not high.ear.losses

            there = await stack.enter_async_context(serving(farm, LOW, low))
            high.peers.update(moved(high.config, LOW, there))
            await high.ear.until(lambda ear: len(ear.connections) == 2)
            await low.ear.until(lambda ear: len(ear.connections) == 2)
            await heard(high, low, b"by the new link")
            # Back to where it was: whoever dialled it there before has ended, and one link stands.
            high.peers.update(high.config)
            await high.ear.until(lambda ear: len(ear.connections) == 3)
            await low.ear.until(lambda ear: len(ear.connections) == 3)
            await undisturbed(high, low, dialled)
            # Away and back while the stream to that place stands: it is not dialled by two from then on.
            dialled.clear()
            tries.clear()
            high.peers.update(moved(high.config, LOW, doors.dead_port))
            await tries.wait()
            high.peers.update(high.config)
            await high.ear.until(lambda ear: len(ear.connections) > 3)
            await undisturbed(high, low, dialled)
            assert high.peers.links[LOW].connected

    run(scenario())


@pytest.mark.parametrize(
    "frame", [b"\xff\xff", envelope([b""] * (ENVELOPE_MESSAGES_MAX + 1), 0)], ids=["junk", "too many"]
)
def test_a_malformed_frame_closes_the_link_and_is_told(farm: Farm, run: Run, frame: bytes) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, raw(farm, port) as call:
            await call.write(envelope([b"fine"], 0))
            await call.write(frame)
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert low.ear.messages == [(HIGH, b"fine")]
            assert [sender for sender, _ in low.ear.rejections] == [HIGH]
            assert not low.peers.links[HIGH].connected

    run(scenario())


@pytest.mark.parametrize("in_handshake", [True, False])
@pytest.mark.parametrize("other", [{"epoch": 1}, {"engine": pb.ENGINE_UNSPECIFIED}], ids=str)
def test_a_peer_of_another_engine_or_epoch_gets_no_link_and_no_blame(
    farm: Farm, run: Run, other: dict[str, Any], in_handshake: bool
) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, raw(farm, port, greets=not in_handshake) as call:
            if in_handshake:
                await call.write(step(memory=pb.Memory(), **other))
            else:
                await call.write(envelope([b"fine"], 0))
                frame = {"messages": [b"a vote"], "engine": pb.FAB_PAXOS, **other}
                await call.write(pb.Envelope(**frame).SerializeToString())
            await low.ear.until(lambda ear: ear.mismatches)
            ((sender, reason),) = low.ear.mismatches
            assert sender == HIGH
            assert reason.startswith(("it speaks engine_unspecified", "it is in epoch 1, this member still"))
            assert low.ear.messages == ([] if in_handshake else [(HIGH, b"fine")])
            assert not low.ear.rejections
            assert not low.ear.doubts
            assert not low.peers.links[HIGH].connected

    run(scenario())


@pytest.mark.parametrize("metadata", [None, (("alliance-protocol", "1"),), (("alliance-protocol", "3"),)])
def test_a_peer_of_another_version_is_told_so(farm: Farm, run: Run, metadata: Any) -> None:
    """Version 0.1.0 opened its streams without a greeting."""

    async def scenario() -> None:
        low = Side(farm, LOW)
        async with (
            serving(farm, LOW, low) as port,
            raw(farm, port, greets=False, metadata=metadata) as call,
        ):
            assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
            said = metadata[0][1].strip() if metadata else "1"
            assert f"it speaks protocol {said}, this side 2" in await call.details()
            ((sender, reason),) = low.ear.mismatches
            assert sender == HIGH
            assert f"it speaks protocol {said}, this side 2" in reason

    run(scenario())


def test_a_member_that_finds_a_peer_of_an_older_version_says_so(farm: Farm, run: Run) -> None:
    class Old:
        def serve(self, server: grpc.aio.Server) -> None:
            exchange: Any = grpc.stream_stream_rpc_method_handler(self.exchange)
            handler = grpc.method_handlers_generic_handler("alliance.v1.Peer", {"Exchange": exchange})
            server.add_generic_rpc_handlers((handler,))

        async def exchange(self, _: object, context: Any) -> None:
            await context.send_initial_metadata((("alliance-protocol", "1"),))
            await context.read()

    async def scenario() -> None:
        async with serving(farm, LOW, Old()) as port:
            high = Side(farm, HIGH, {LOW: port})
            async with dialling(high):
                await high.ear.until(lambda ear: ear.mismatches)
            assert high.ear.mismatches[0][0] == LOW
            assert "it speaks protocol 1, this side 2" in high.ear.mismatches[0][1]

    run(scenario())


def test_a_newer_stream_takes_over_and_ends_the_older_one(farm: Farm, run: Run) -> None:
    """A member that redials before its old connection is known to be dead; or one that opens thousands."""

    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, raw(farm, port) as first:
            await low.ear.until(lambda ear: ear.connections)
            low.peers.send(HIGH, b"to the first")
            assert open_envelope(await first.read(), 0) == [b"to the first"]
            async with raw(farm, port) as second:
                await low.ear.until(lambda ear: len(ear.connections) == 2)
                for number in range(10):
                    low.peers.send(HIGH, b"%d" % number)
                assert await first.read() is grpc.aio.EOF
                got: list[bytes] = []
                while len(got) < 10:
                    got += open_envelope(await second.read(), 0)
                assert got == [b"%d" % number for number in range(10)]
                assert low.peers.links[HIGH].connected
                await second.write(envelope([b"still heard"], 0))
                await low.ear.until(lambda ear: ear.messages)

    run(scenario())


def test_a_flood_of_streams_leaves_one(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, AsyncExitStack() as stack:
            calls = []
            for count in range(1, 31):
                calls.append(await stack.enter_async_context(raw(farm, port)))
                await low.ear.until(lambda ear, count=count: len(ear.connections) == count)
            for call in calls[:-1]:
                assert await call.read() is grpc.aio.EOF
            low.peers.send(HIGH, b"last")
            assert open_envelope(await calls[-1].read(), 0) == [b"last"]

    run(scenario())


def test_a_member_that_hangs_up_is_disconnected(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, raw(farm, port) as call:
            await low.ear.until(lambda ear: ear.connections)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert not low.peers.links[HIGH].connected

    run(scenario())


# -- the handshake -----------------------------------------------------------------------------------


def test_nothing_passes_before_the_handshake(farm: Farm, run: Run) -> None:
    """Whatever is said before is refused, and whatever is to be sent is dropped."""

    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, raw(farm, port, greets=False) as call:
            assert pb.Handshake.FromString(await call.read()).WhichOneof("step") == "memory"
            low.peers.send(HIGH, b"a vote")
            await call.write(envelope([b"a vote"], 0))
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert [sender for sender, _ in low.ear.rejections] == [HIGH]
            assert low.ear.messages == []
            assert low.ear.connections == []
            assert low.peers.links[HIGH].dropped == 1

    run(scenario())


def test_an_old_start_is_not_let_in_and_is_told_about(farm: Farm, run: Run) -> None:
    async def scenario() -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port:
            async with raw(farm, port):
                await low.ear.until(lambda ear: ear.connections)
            async with raw(farm, port, greets=False) as call:
                await call.read()
                await call.write(step(memory=pb.Memory()))
                await call.read()
                await call.write(step(greeting=greeting(farm, HIGH, LOW, 0).encode()))
                assert await call.read() is grpc.aio.EOF
            await low.ear.until(lambda ear: ear.doubts)
            assert low.ear.doubts[0][0] == HIGH
            assert low.ear.connections == low.ear.losses == [HIGH]

    run(scenario())


@pytest.mark.parametrize("original", [LOW, HIGH])
def test_of_two_machines_with_one_identity_one_stops_and_its_peer_alarms(
    farm: Farm, run: Run, tmp_path: Path, original: int
) -> None:
    """Also while it is connected: its copy takes the link over, and when it dials again, it is told."""
    journal = tmp_path / "journal.sqlite"

    async def scenario() -> None:
        Side(farm, HIGH, journal=journal).journal.close()
        for suffix in (".sqlite", ".started"):
            shutil.copy(journal.with_suffix(suffix), tmp_path / f"copy{suffix}")
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, Doors(farm, {}) as doors:
            high = Side(farm, HIGH, {LOW: port}, doors.dead_port, journal)
            async with dialling(high):
                await low.ear.until(lambda ear: ear.connections)
                copy = Side(farm, HIGH, {LOW: port}, doors.dead_port, tmp_path / "copy.sqlite")
                if original == LOW:  # the peer that both of them know hears from the second one
                    async with dialling(copy):
                        await copy.ear.until(lambda ear: ear.errors)
                        await low.ear.until(lambda ear: ear.doubts)
                    assert copy.ear.connections == []
                    stopped = copy
                else:  # the copy was started once more, alone: its number is the higher one
                    low.incarnation._held[HIGH] = greeting(farm, HIGH, LOW, 9)
                    low.peers.links[HIGH].take_over()
                    await high.ear.until(lambda ear: ear.errors)
                    await low.ear.until(lambda ear: ear.doubts)
                    stopped = high
            (conflict, *_) = stopped.ear.errors
            assert isinstance(conflict, IdentityConflict)
            assert "member-1 shows, signed by this member, its start number" in str(conflict)
            assert "does not know its start number" in low.ear.doubts[0][1]

    run(scenario())


def test_a_journal_that_cannot_be_written_is_fatal_on_either_side(farm: Farm, run: Run) -> None:
    async def scenario(broken: int) -> None:
        low = Side(farm, LOW)
        async with serving(farm, LOW, low) as port, Doors(farm, {}) as doors:
            high = Side(farm, HIGH, {LOW: port}, doors.dead_port)
            side = low if broken == LOW else high
            side.journal._db.execute("PRAGMA query_only = 1")
            async with dialling(high):
                await side.ear.until(lambda ear: ear.errors)
            assert isinstance(side.ear.errors[0], JournalError)
            assert side.ear.connections == []

    run(scenario(LOW))
    run(scenario(HIGH))
