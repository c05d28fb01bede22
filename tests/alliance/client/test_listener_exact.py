"""Listening from the middle of the log on: each command where it came first, as to a listener from slot 1.

And servers that lie about what came before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alliance.client import brought_state, listener
from alliance.client.delivery import LogEntry
from alliance.client.listener import Listener
from alliance.errors import Unreachable
from alliance.pb.peer_pb2 import LogFrame
from alliance.proofs.receipt import load_public_key
from alliance.server import services
from alliance.wire.checkpoints import encode_offer, encode_part
from alliance.wire.log_frames import encode_frame
from quorum import AcceptedStatement, CheckpointStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.frame_lies import serves
from tests.alliance.network import Doors, Office, Villain, serving
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.limits import STATE_ITEM_BYTES_MAX
from verifiable_log.ordering_state import Checkpoint

SLOTS, AT, START = 14, 8, 10


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.001)


@pytest.fixture
def repeating(farm: Farm, chain: Chain) -> Chain:
    """A log that repeats at slot 12 what it held at slot 3 and at slot 9."""
    chain.grow(11)
    chain.add(*(chain.entries[slot - 1].batch.submissions[0] for slot in (3, 9)), farm.submission(90))
    return chain.grow(2, first_seq=91)


@pytest.fixture
def checkpoint(repeating: Chain) -> Checkpoint:
    """With items of another kind behind those of the clients, as large as they get."""
    snapshot = repeating.snapshot(AT)
    others = tuple(b"\x02" + bytes([at]) * (STATE_ITEM_BYTES_MAX - 1) for at in range(6))
    snapshot = replace(snapshot, state=(*snapshot.state, *others))
    return Checkpoint(snapshot, repeating.farm.certify(snapshot.statement))


@pytest.fixture
def office(tmp_path: Path, repeating: Chain, checkpoint: Checkpoint) -> Any:
    office = Office(tmp_path / "journal.sqlite", repeating)
    office.tell_all()
    office.history.checkpoint = checkpoint
    yield office
    office.journal.close()


@asynccontextmanager
async def exactly(
    farm: Farm, servers: dict[int, Any], start: int | None = START, *, exact: bool = True
) -> AsyncIterator[Listener]:
    async with AsyncExitStack() as stack:
        ports = {at: await stack.enter_async_context(serving(farm, at, it)) for at, it in servers.items()}
        doors = await stack.enter_async_context(Doors(farm, ports))
        yield Listener(farm.config, doors, start, None, exact=exact)


async def heard(client: Listener, until: int | None = SLOTS) -> list[tuple[int, int, bytes]]:
    return [_place(entry) async for entry in client.entries(until)]


def _place(entry: LogEntry) -> tuple[int, int, bytes]:
    return entry.slot, entry.position, entry.command


TRUTH = [
    (10, 0, b"command 10.0"),
    (11, 0, b"command 11.0"),
    (12, 2, b"command 90"),
    (13, 0, b"command 91.0"),
    (14, 0, b"command 92.0"),
]


@pytest.mark.parametrize("part_bytes", [256 * 1024, 1])
def test_who_begins_in_the_middle_hears_what_a_listener_from_slot_1_hears(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    """Also when the log below was pruned, and in as many parts as there are items."""
    for module in (services, brought_state):
        monkeypatch.setattr(module, "LISTEN_PART_BYTES", part_bytes)

    async def scenario() -> None:
        async with exactly(farm, {0: office}, 1) as client:
            whole = await heard(client)
        assert [place for place in whole if place[0] >= START] == TRUTH
        office.history.prune(AT - 1)
        async with exactly(farm, {0: office}) as client:
            assert await heard(client) == TRUTH
        async with exactly(farm, {0: office}, exact=False) as client:
            assert (12, 0, b"command 3.0") in await heard(client), "else it knows nothing of slot 3"

    run(scenario())


def test_its_receipts_are_those_of_any_listener(farm: Farm, office: Office, run: Run) -> None:
    key = load_public_key(farm.config.key.to_pem())

    async def scenario() -> None:
        async with exactly(farm, {0: office}) as client:
            async for entry in client.entries(SLOTS):
                receipt = entry.receipt()
                receipt.verify(key)
                assert (receipt.slot, receipt.position, receipt.command) == _place(entry)

    run(scenario())


def test_without_a_checkpoint_below_it_reads_from_slot_1(farm: Farm, office: Office, run: Run) -> None:
    async def scenario() -> None:
        for checkpoint, start in ((None, START), (office.history.checkpoint, AT)):
            office.history.checkpoint = checkpoint
            async with exactly(farm, {0: office}, start) as client:
                assert (await heard(client))[START - start :] == TRUTH

    run(scenario())


def test_where_nobody_knows_what_came_before_it_says_from_where_on_somebody_does(
    farm: Farm, office: Office, run: Run
) -> None:
    office.history.prune(5)

    async def scenario() -> None:
        async with exactly(farm, {0: office}, 7) as client:
            with pytest.raises(Unreachable, match=rf"slots up to 5 .* known from slot {AT + 1} on"):
                await heard(client)

    run(scenario())


@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_from_now_on(farm: Farm, office: Office, repeating: Chain, run: Run, with_checkpoint: bool) -> None:
    """Nothing of what is certified when it begins, and nothing that repeats it."""
    if not with_checkpoint:
        office.history.checkpoint = None
    once = repeating.entries[0].batch.submissions[0]

    async def scenario() -> None:
        async with exactly(farm, {0: office}, None) as client, aclosing(client.entries(None)) as stream:
            level, check = asyncio.Event(), client._check

            def checked(wire: LogFrame) -> Any:
                made = check(wire)
                if client._next > SLOTS:
                    level.set()
                return made

            client._check = checked  # type: ignore[method-assign]
            waiting = asyncio.ensure_future(anext(stream))
            await level.wait()
            office.decide(repeating.add(once, farm.submission(95, b"new")))
            office.certify(SLOTS + 1)
            assert _place(await waiting) == (SLOTS + 1, 1, b"new")

    run(scenario())


def test_a_later_checkpoint_will_do_when_the_log_is_pruned_on_the_way(
    farm: Farm, office: Office, repeating: Chain, checkpoint: Checkpoint, run: Run
) -> None:
    """One server tells its state and goes; the next one has pruned the log behind that."""
    stale = [LogFrame(offer=encode_offer(office.history.offer(checkpoint))), *parts(checkpoint)]

    async def scenario() -> None:
        office.history.checkpoint = repeating.checkpoint(AT + 1)
        first = Villain(listen=ends_after(stale))
        async with exactly(farm, {0: first, 1: office}) as client:
            office.history.prune(AT + 1)
            assert await heard(client) == TRUTH
        assert first.calls  # and again, where the other one is slow to answer

    run(scenario())


def ends_after(frames: list[LogFrame]) -> Any:
    async def listen(_: object, context: Any) -> None:
        for frame in frames:
            await context.write(frame.SerializeToString())

    return listen


# -- lies ---------------------------------------------------------------------------------------------


def parts(checkpoint: Checkpoint, size: int = 100) -> list[LogFrame]:
    items = checkpoint.snapshot.state
    told = [StatePart(checkpoint.slot, at, items[at : at + size]) for at in range(0, len(items), size)]
    return [LogFrame(state_part=encode_part(one)) for one in told]


Lie = Callable[[Offer, Checkpoint, Chain], list[LogFrame]]


def _offer(**changes: Any) -> Lie:
    return lambda offer, checkpoint, _: [
        LogFrame(offer=encode_offer(replace(offer, **changes))),
        *parts(checkpoint),
    ]


def _forged(offer: Offer, checkpoint: Checkpoint, chain: Chain) -> list[LogFrame]:
    """An empty state, all of which would fit, but for the certificate's signature."""
    empty = replace(checkpoint.snapshot, state=())
    forged = replace(offer.checkpoint, statement=empty.statement)
    return [LogFrame(offer=encode_offer(replace(offer, checkpoint=forged, leaves=())))]


def _of_a_decision(offer: Offer, checkpoint: Checkpoint, chain: Chain) -> list[LogFrame]:
    forged = replace(offer.certificate, statement=AcceptedStatement(0, SLOTS + 9, bytes(32)))
    return [LogFrame(offer=encode_offer(replace(offer, certificate=forged))), *parts(checkpoint)]


def _part(**changes: Any) -> Lie:
    def make(offer: Offer, checkpoint: Checkpoint, _: Chain) -> list[LogFrame]:
        part = replace(StatePart(AT, 0, checkpoint.snapshot.state[:3]), **changes)
        return [LogFrame(offer=encode_offer(offer)), LogFrame(state_part=encode_part(part))]

    return make


def _frame(chain: Chain) -> LogFrame:
    return encode_frame(chain.frame(AT + 1, SLOTS, SLOTS))


def _not_below(offer: Offer, _: Checkpoint, chain: Chain) -> list[LogFrame]:
    true = chain.checkpoint(START)
    cover = chain.log.right_cover(START, SLOTS)
    snapshot = true.snapshot
    later = Offer(true.certificate, snapshot.frontier.peaks, snapshot.leaves, offer.certificate, cover)
    return [LogFrame(offer=encode_offer(later)), *parts(true)]


LIES: dict[str, Lie] = {
    "a forged certificate": _forged,
    "a forged certificate of the log": _of_a_decision,
    "another list of hashes": _offer(leaves=(bytes(32),)),
    "no hashes": _offer(leaves=()),
    "other peaks": _offer(peaks=(b"x" * 32,)),
    "too many peaks": _offer(peaks=(bytes(32),) * 60),
    "another cover": _offer(cover=(bytes(32),)),
    "a checkpoint that is not below": _not_below,
    "an altered item": _part(items=(b"\x01" + bytes(200),)),
    "a part of another checkpoint": _part(slot=AT + 1),
    "a part that is not the next one": _part(first=1),
    "a small part": _part(),
    "more than the state": lambda offer, checkpoint, chain: [
        LogFrame(offer=encode_offer(offer)),
        *parts(checkpoint),
        *parts(checkpoint)[:1],
    ],
    "two offers": lambda offer, checkpoint, chain: [LogFrame(offer=encode_offer(offer))] * 2,
    "a state without an offer": lambda offer, checkpoint, chain: parts(checkpoint),
    "half of the state": lambda offer, checkpoint, chain: [
        LogFrame(offer=encode_offer(offer)),
        *parts(checkpoint, 5)[:1],
        _frame(chain),
    ],
    "the log from the middle": lambda offer, checkpoint, chain: [_frame(chain)],
    "nothing at all": lambda offer, checkpoint, chain: [LogFrame()],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_about_what_came_before_is_left_for_the_next(
    farm: Farm,
    office: Office,
    repeating: Chain,
    checkpoint: Checkpoint,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    lie: str,
) -> None:
    offer = office.history.offer(checkpoint)
    assert isinstance(offer.checkpoint.statement, CheckpointStatement)
    told = [frame.SerializeToString() for frame in LIES[lie](offer, checkpoint, repeating)]

    async def scenario() -> None:
        villain = Villain(listen=serves(lambda _: told, repeating))
        async with exactly(farm, {0: villain, 1: office}) as client:
            assert await heard(client) == TRUTH
        assert villain.calls == 1
        assert "member-1 sent a log that does not verify" in caplog.text

    run(scenario())


def test_lies_alone_are_no_endless_search(
    farm: Farm, office: Office, repeating: Chain, checkpoint: Checkpoint, run: Run
) -> None:
    told = [frame.SerializeToString() for frame in LIES["an altered item"](
        office.history.offer(checkpoint), checkpoint, repeating
    )]  # fmt: skip

    async def scenario() -> None:
        for start, where in ((START, f"slot {START}"), (None, "now")):
            villain = Villain(listen=serves(lambda _: told, repeating))
            async with exactly(farm, {0: villain}, start) as client:
                with pytest.raises(Unreachable, match=f"no server gives the log from {where} on"):
                    await heard(client, None)
            assert villain.calls == 3

    run(scenario())


def test_a_server_that_offers_and_then_is_silent_is_left(
    farm: Farm,
    office: Office,
    repeating: Chain,
    checkpoint: Checkpoint,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.2)
    told = [LogFrame(offer=encode_offer(office.history.offer(checkpoint))).SerializeToString()]

    async def scenario() -> None:
        villain = Villain(listen=serves(lambda _: told, repeating))
        async with exactly(farm, {0: villain, 1: office}) as client:
            assert await heard(client) == TRUTH
        async with exactly(farm, {0: villain}, None) as client:
            with pytest.raises(Unreachable):
                await heard(client, None)

    run(scenario())
