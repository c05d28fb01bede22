"""What members and clients may ask of a server, and within which bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest

from alliance.errors import JournalError
from alliance.net.channels import OtherProtocol, established, open_channel
from alliance.pb import client_pb2 as pb
from alliance.pb import peer_pb2
from alliance.server import services, sessions
from alliance.server.gate import Gate
from alliance.wire.bounds import SLOT_MAX
from quorum import VoteStatement
from tests.alliance.conftest import Run
from tests.alliance.doors import ME, attempt, door, reaching, stranger
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Office, at, serving
from verifiable_log import Submission

# -- Submit ------------------------------------------------------------------------------------------


@asynccontextmanager
async def as_client(farm: Farm, office: Office, client: int = 0) -> AsyncIterator[Any]:
    async with (
        serving(farm, ME, office) as port,
        open_channel(at(farm.config, ME, port), farm.clients[client]) as channel,
    ):
        yield channel


def frame(*submissions: Submission | bytes) -> pb.Submissions:
    encoded = [s if isinstance(s, bytes) else s.encoded for s in submissions]
    return pb.Submissions(submissions=encoded)


def test_nobody_submits_for_another_client(farm: Farm, office: Office, run: Run) -> None:
    hers, unsigned = farm.submission(7, client=1), farm.submission(8).encoded[:-64] + bytes(64)

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            call = door(channel, "Submit", reply=pb.Outcomes)()
            await call.write(frame(hers, unsigned, b"junk", farm.submission(9)))
            seen: list[pb.Outcome] = []
            while len(seen) < 4:
                seen += (await call.read()).outcomes
            call.cancel()
        refused = {o.client_seq: o.refusal for o in seen if o.HasField("refusal")}
        assert set(refused) == {7, 8, 0}
        assert all(refusal.reason == pb.Refusal.INVALID for refusal in refused.values())
        assert "another client" in refused[7].detail
        assert [s.client_seq for s in office.posted] == [9]

    run(scenario())


def test_a_frame_of_too_many_submissions_is_refused(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SUBMISSIONS_PER_FRAME_MAX", 3)

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            call = door(channel, "Submit", reply=pb.Outcomes)()
            await call.write(frame(*(farm.submission(seq) for seq in range(4))))
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not office.posted

    run(scenario())


def test_a_client_that_does_not_read_is_cut_off(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "OUTCOMES_MAX", 0)

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            call = door(channel, "Submit", reply=pb.Outcomes)()
            await call.write(frame(b"junk"))
            assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not office.service._streams

    run(scenario())


def test_when_the_client_hangs_up_nothing_is_kept(farm: Farm, office: Office, run: Run) -> None:
    office.certifies = False

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            for end in ("done", "cancel"):
                call = door(channel, "Submit", reply=pb.Outcomes)()
                count = len(office.posted)
                await call.write(frame(farm.submission(count + 1)))
                while len(office.posted) == count:
                    await asyncio.wait([asyncio.ensure_future(call.initial_metadata())])
                if end == "done":
                    await call.done_writing()
                    assert await call.read() is grpc.aio.EOF
                else:
                    call.cancel()
            again = door(channel, "Status", "unary_unary", pb.StatusReply)
            while office.service._streams:
                await again(pb.StatusRequest())
        assert not office.sessions._waiting
        assert not any(waiting for *_, waiting in office.sessions._placed)

    run(scenario())


# -- damage ------------------------------------------------------------------------------------------


def test_damage_that_a_listener_comes_upon_ends_the_member(farm: Farm, office: Office, run: Run) -> None:
    """What it cannot read back it must not go on from, whoever found that out."""
    for number in range(1, 4):
        office.decide(office.chain.add(farm.submission(number)))
    office.certify(3)
    office.history._recent.clear()
    office.journal._db.execute("UPDATE entries SET signature = zeroblob(64) WHERE slot = 2")

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            call = door(channel, "Listen", "unary_stream", peer_pb2.LogFrame)(pb.ListenRequest(first_slot=1))
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await call.read()
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        assert isinstance(office.error, JournalError)
        assert not office.service._streams

    run(scenario())


# -- Listen and Status -------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", [0, SLOT_MAX + 1, 2**64 - 1])
def test_a_bad_slot_is_refused_and_costs_no_quota(farm: Farm, office: Office, run: Run, slot: int) -> None:
    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            for _ in range(5):
                call = door(channel, "Listen", "unary_stream")(pb.ListenRequest(first_slot=slot))
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not office.service._streams

    run(scenario())


def test_a_client_of_another_version_is_told_so(farm: Farm, office: Office, run: Run) -> None:
    """Version 0.1.0 opened its streams without a greeting."""

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            for metadata, said in (((), "1"), ((("alliance-protocol", "3"),), "3")):
                for call in (
                    door(channel, "Listen", "unary_stream")(
                        pb.ListenRequest(first_slot=1), metadata=metadata
                    ),
                    door(channel, "Submit")(metadata=metadata),
                ):
                    assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
                    assert f"it speaks protocol {said}, this side 2" in await call.details()
        assert not office.service._streams

    run(scenario())


def test_a_server_of_another_version_is_told_from_one_that_is_down(farm: Farm, run: Run) -> None:
    class Old:
        def serve(self, server: grpc.aio.Server) -> None:
            listen: Any = grpc.unary_stream_rpc_method_handler(self.listen)
            handler = grpc.method_handlers_generic_handler("alliance.v1.Client", {"Listen": listen})
            server.add_generic_rpc_handlers((handler,))

        async def listen(self, _: object, context: Any) -> None:
            await context.send_initial_metadata((("alliance-protocol", "1"),))
            await asyncio.Event().wait()

    async def scenario() -> None:
        async with (
            serving(farm, ME, Old()) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as channel,
        ):
            call = door(channel, "Listen", "unary_stream")(pb.ListenRequest(first_slot=1))
            with pytest.raises(OtherProtocol, match="it speaks protocol 1, this side 2: they"):
                await established(call)
            call.cancel()

    run(scenario())


def test_the_quota_of_calls_is_per_client_and_comes_back(farm: Farm, office: Office, run: Run) -> None:
    async def listen(channel: Any) -> Any:
        call = door(channel, "Listen", "unary_stream")(pb.ListenRequest(first_slot=1))
        await established(call)
        return call

    async def scenario() -> None:
        async with (
            serving(farm, ME, office, calls_per_holder=2) as port,
            open_channel(at(farm.config, ME, port), farm.clients[0]) as mine,
            open_channel(at(farm.config, ME, port), farm.clients[1]) as hers,
        ):
            one, two = await listen(mine), door(mine, "Submit")()
            await established(two)
            for _ in range(5):
                for what in ("Listen", "Submit", "Status"):
                    assert await attempt(mine, what) is grpc.StatusCode.RESOURCE_EXHAUSTED
            three = await listen(hers)
            one.cancel()
            status = door(hers, "Status", "unary_unary", pb.StatusReply)
            while office.service._streams == 3:
                await status(pb.StatusRequest())
            four = await listen(mine)
            for call in (two, three, four):
                call.cancel()
            while office.service._streams:
                await status(pb.StatusRequest())

    run(scenario())


def test_listen_tells_the_certified_log_and_waits_for_more(
    farm: Farm, office: Office, chain: Chain, run: Run
) -> None:
    chain.grow(6)
    for entry in chain.entries:
        office.decide(entry)
    office.certify(4)

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            request = pb.ListenRequest(first_slot=3)
            call = door(channel, "Listen", "unary_stream", peer_pb2.LogFrame)(request)
            first = await call.read()
            assert (first.first_slot, len(first.batches)) == (3, 2)
            assert tuple(first.peaks) == chain.frontiers[2].peaks
            office.certify(6)
            second = await call.read()
            assert (second.first_slot, len(second.batches), len(second.peaks)) == (5, 2, 0)
            call.cancel()

    run(scenario())


def test_status_tells_where_the_member_stands(farm: Farm, office: Office, chain: Chain, run: Run) -> None:
    chain.grow(2)
    office.tell_all()

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            reply = await door(channel, "Status", "unary_unary", pb.StatusReply)(pb.StatusRequest())
        assert (reply.name, reply.leader, reply.certified) == ("member-3", "member-1", 2)

    run(scenario())


# -- Alarms ------------------------------------------------------------------------------------------


def test_a_member_tells_its_alarms_to_nobody_but_itself(farm: Farm, office: Office, run: Run) -> None:
    """Nor does anybody else say that they have been seen."""
    office.log.alarms.raised(1, "it forgot")
    others = [party for member, party in enumerate(farm.members) if member != ME]

    async def ask(channel: Any, *, acknowledge: bool) -> Any:
        call = door(channel, "Alarms", "unary_unary", pb.AlarmsReply)
        return await call(pb.AlarmsRequest(acknowledge=acknowledge))

    async def scenario() -> None:
        async with serving(farm, ME, office) as port:
            for credentials in (*farm.clients, *others):
                async with open_channel(at(farm.config, ME, port), credentials) as channel:
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await ask(channel, acknowledge=True)
                    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert office.log.alarms.told(1)
            async with open_channel(at(farm.config, ME, port), farm.members[ME]) as channel:
                for acknowledge, seen in ((False, False), (True, False), (False, True)):
                    (alarm,) = (await ask(channel, acknowledge=acknowledge)).alarms
                    assert (alarm.member, alarm.reason, alarm.acknowledged) == ("member-2", "it forgot", seen)
                    assert not alarm.HasField("ended_ms")
        assert office.log.alarms.told(1) == ""

    run(scenario())


# -- StepDown ----------------------------------------------------------------------------------------


def test_a_member_steps_down_for_nobody_but_itself(farm: Farm, office: Office, run: Run) -> None:
    others = [party for member, party in enumerate(farm.members) if member != ME]

    async def scenario() -> None:
        async with serving(farm, ME, office) as port:
            for credentials in (*farm.clients, *others):
                async with open_channel(at(farm.config, ME, port), credentials) as channel:
                    ask = door(channel, "StepDown", "unary_unary", pb.StepDownReply)
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await ask(pb.StepDownRequest())
                    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
            async with open_channel(at(farm.config, ME, port), farm.members[ME]) as channel:
                reply = await door(channel, "StepDown", "unary_unary", pb.StepDownReply)(pb.StepDownRequest())
            assert (reply.led, reply.leader, reply.view) == (False, "member-1", 0)

    run(scenario())


# -- Votes -------------------------------------------------------------------------------------------


def test_votes_are_told_of_exactly_the_log_that_is_asked_for(farm: Farm, office: Office, run: Run) -> None:
    """Of this epoch and of the one before, in the order of members; and whatever is asked costs nothing."""
    vote = VoteStatement(1, 7, b"r" * 32)
    for member in (4, 2):
        office.term.gate.votes.note(member, vote, bytes([member]) * 64)
    true = {"epoch": 0, "view": 1, "slot": 7, "root": b"r" * 32}
    spoilt = [
        {field: value}
        for field, values in {
            "epoch": (1, 2**64 - 1),
            "view": (0, 2**64 - 1),
            "slot": (0, 6, 2**64 - 1),
            "root": (b"o" * 32, bytes(32)),
        }.items()
        for value in values
    ]

    def enter(epoch: int) -> None:
        config = replace(farm.config, epoch=epoch)
        office.term.gate = Gate(config)
        office.service.start()

    async def scenario() -> None:
        async with as_client(farm, office) as channel:
            call = door(channel, "Votes", "unary_unary", pb.VotesReply)
            told = await call(pb.VotesRequest(**true))
            assert [(vote.member, vote.signature[0]) for vote in told.votes] == [(2, 2), (4, 4)]
            for changed in spoilt:
                assert not (await call(pb.VotesRequest(**{**true, **changed}))).votes
            for root in (b"", b"r" * 31, b"r" * 33, bytes(60_000)):
                with pytest.raises(grpc.aio.AioRpcError) as malformed:
                    await call(pb.VotesRequest(**{**true, "root": root}))
                assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            enter(1)
            assert len((await call(pb.VotesRequest(**true))).votes) == 2
            enter(2)
            assert not (await call(pb.VotesRequest(**true))).votes
        async with serving(farm, ME, office) as port, reaching(farm, port, *stranger("client-1")) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await door(channel, "Votes", "unary_unary", pb.VotesReply)(pb.VotesRequest(**true))
            assert refused.value.code() is not grpc.StatusCode.OK

    run(scenario())
    assert len(office.service._votes) <= 2
