"""The proposing client gets true receipts or says why not, whatever the servers are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alliance.client import submitter
from alliance.client.proven import ProvenSlot
from alliance.client.sequence import Sequence
from alliance.client.submitter import Submitter
from alliance.errors import OutcomeUnknown, SubmissionRefused, Unreachable
from alliance.net import admission, channels
from alliance.pb import client_pb2 as pb
from alliance.proofs.receipt import Receipt, load_public_key
from quorum import AcceptedStatement, DecisionCertificate
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import (
    Doors,
    Handler,
    Office,
    Villain,
    ends_unread,
    serving,
    submissions_of,
    written_until_it_fails,
)
from tests.alliance.outcome_lies import (
    LIES,
    aborts,
    chatters,
    closes,
    liar,
    outcomes,
    placed,
    raises,
    refusing,
    silent,
)
from verifiable_log import Submission

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture(scope="module")
def key(farm: Farm) -> RSAPublicKey:
    return load_public_key(farm.config.key.to_pem())


class World:
    def __init__(self, farm: Farm, folder: Path) -> None:
        self.farm = farm
        self.folder = folder

    @asynccontextmanager
    async def client(self, servers: dict[int, Any]) -> AsyncIterator[Submitter]:
        async with AsyncExitStack() as stack:
            ports = {
                member: await stack.enter_async_context(serving(self.farm, member, service))
                for member, service in servers.items()
            }
            doors = await stack.enter_async_context(Doors(self.farm, ports))
            mine = self.farm.clients[0]
            client = Submitter(
                self.farm.config,
                mine.party.client_id,
                mine.signing_key,
                Sequence(self.folder),
                ProvenSlot(self.folder),
                doors,
            )
            stack.push_async_callback(client.close)
            yield client


@pytest.fixture
def world(farm: Farm, tmp_path: Path) -> World:
    return World(farm, tmp_path)


def true(receipts: list[Receipt], commands: list[bytes], key: RSAPublicKey) -> None:
    assert [receipt.command for receipt in receipts] == commands
    for receipt in receipts:
        receipt.verify(key)


def test_a_stream_that_was_ended_for_its_silence_is_opened_again_with_the_same_server(
    world: World, office: Office, key: RSAPublicKey, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IDLE_SECONDS", 0.05)

    async def scenario() -> None:
        async with world.client({0: office, 1: Villain(silent)}) as client:
            for number in range(3):
                true(await client.submit(client.sign([b"%d" % number]), 20.0), [b"%d" % number], key)
                assert client._choice.server == 0
                while office.service._streams:  # noqa: ASYNC110 - the server's, which knows no event
                    await asyncio.sleep(0)
        assert len(office.posted) == 3

    run(scenario())


def test_an_honest_server_gives_a_receipt_for_every_command(
    world: World, office: Office, key: RSAPublicKey, run: Run
) -> None:
    async def scenario() -> None:
        async with world.client({0: office}) as client:
            for commands in ([b"one", b"two"], [b"three"]):
                true(await client.submit(client.sign(commands), 20.0), commands, key)
            both = await asyncio.gather(
                client.submit(client.sign([b"x"]), 20.0), client.submit(client.sign([b"y"]), 20.0)
            )
            true([both[0][0], both[1][0]], [b"x", b"y"], key)
        assert len(office.posted) == 4

    run(scenario())


def test_receipts_of_later_members_are_taken(
    farm: Farm, world: World, tmp_path: Path, key: RSAPublicKey, run: Run
) -> None:
    """Whose alliance.toml is of an earlier epoch: the public key is the same."""
    later = replace(farm, config=replace(farm.config, epoch=3))
    office = Office(tmp_path / "journal.sqlite", Chain(later))

    async def scenario() -> None:
        async with world.client({0: office}) as client:
            receipts = await client.submit(client.sign([b"one"]), 20.0)
            true(receipts, [b"one"], key)
            assert receipts[0].context.epoch == 3

    try:
        run(scenario())
    finally:
        office.journal.close()


def test_servers_that_are_down_are_passed_over(
    world: World, office: Office, key: RSAPublicKey, run: Run
) -> None:
    async def scenario() -> None:
        async with world.client({4: office}) as client:
            true(await client.submit(client.sign([b"one"]), 20.0), [b"one"], key)

    run(scenario())


def test_without_any_server_nothing_was_sent_and_that_is_said(world: World, run: Run) -> None:
    async def scenario() -> None:
        async with world.client({}) as client:
            with pytest.raises(Unreachable, match="no server of the alliance could be reached"):
                await client.submit(client.sign([b"one"]), 20.0)
            assert not client._pending

    run(scenario())


# -- one villain --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", LIES)
def test_one_lying_server_changes_nothing(
    world: World, office: Office, key: RSAPublicKey, run: Run, lie: str
) -> None:
    villain = Villain(liar(LIES[lie], world.farm))

    async def scenario() -> None:
        async with world.client({0: villain, 1: office}) as client:
            true(await client.submit(client.sign([b"one"]), 20.0), [b"one"], key)
        assert villain.calls == 1

    run(scenario())


@pytest.mark.parametrize("behaviour", [closes, aborts, raises, silent, chatters])
def test_one_useless_server_is_left_for_the_next(
    world: World,
    office: Office,
    key: RSAPublicKey,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Handler,
) -> None:
    monkeypatch.setattr(submitter, "STALL_TIMEOUTS", 0.4)

    async def scenario() -> None:
        async with world.client({0: Villain(behaviour), 1: office}) as client:
            true(await client.submit(client.sign([b"one"]), 20.0), [b"one"], key)

    run(scenario())


def test_a_server_that_never_takes_up_the_stream_is_left(
    world: World, office: Office, key: RSAPublicKey, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "CONNECT_SECONDS", 0.2)

    class Mute(Villain):
        def _counted(self, handler: Handler) -> Any:
            return handler  # no greeting

    async def scenario() -> None:
        async with world.client({0: Mute(silent), 1: office}) as client:
            true(await client.submit(client.sign([b"one"]), 20.0), [b"one"], key)

    run(scenario())


def test_a_submission_that_is_held_back_while_others_get_through_goes_elsewhere(
    world: World, office: Office, key: RSAPublicKey, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A censor that keeps the rest flowing does not look stalled."""
    monkeypatch.setattr(submitter, "STALL_TIMEOUTS", 0.1)
    monkeypatch.setattr(submitter, "LOOKS_MAX", 2)
    shadow = Chain(world.farm)

    async def censor(_: object, context: Any) -> None:
        while submissions := await submissions_of(context):
            for submission in submissions:
                if submission.commands() != (b"censored",):
                    slot = shadow.add(submission).slot
                    path = shadow.log.inclusion_proof(slot - 1, slot)
                    place = placed(submission.client_seq, slot=slot, log_path=path)
                    await context.write(outcomes(shadow.certificate(slot), place))

    async def scenario() -> None:
        async with world.client({0: Villain(censor), 1: office}) as client:
            victim = asyncio.create_task(client.submit(client.sign([b"censored"]), 20.0))
            while not victim.done():
                await client.submit(client.sign([b"other"]), 20.0)
            true(await victim, [b"censored"], key)

    run(scenario())


# -- refusals ----------------------------------------------------------------------------------------


def test_more_refusals_than_may_lie_are_final(world: World, office: Office, run: Run) -> None:
    villains = {at: Villain(liar(refusing(pb.Refusal.INVALID), world.farm)) for at in (0, 1)}

    async def scenario() -> None:
        async with world.client({**villains, 2: office}) as client:
            with pytest.raises(SubmissionRefused, match="refused by 2 servers") as caught:
                await client.submit(client.sign([b"one"]), 20.0)
            assert str(caught.value).isprintable()
        assert not office.posted

    run(scenario())


def test_an_expired_number_may_have_been_ordered_before(world: World, run: Run) -> None:
    """'It was not and will not be ordered' would be a lie of our own."""
    villains = {
        0: Villain(liar(refusing(pb.Refusal.INVALID), world.farm)),
        1: Villain(liar(refusing(pb.Refusal.EXPIRED), world.farm)),
    }

    async def scenario() -> None:
        async with world.client(villains) as client:
            submission = client.sign([b"one"])
            with pytest.raises(OutcomeUnknown, match="may have been ordered") as caught:
                await client.submit(submission, 20.0)
            assert caught.value.submission == submission

    run(scenario())


def test_busy_servers_are_not_asked_in_a_storm(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one fruitless round there is a pause: all six ask for patience, and get it."""
    monkeypatch.setattr(submitter, "PAUSE_SECONDS", 3600.0)
    villains = {at: Villain(liar(refusing(pb.Refusal.BUSY), world.farm)) for at in range(6)}

    async def scenario() -> None:
        async with world.client(villains) as client:
            asking = asyncio.create_task(client.submit(client.sign([b"one"]), 60.0))
            while not all(villain.calls for villain in villains.values()):
                await asyncio.wait([asking], timeout=0.01)
            await asyncio.wait([asking], timeout=0.2)  # a storm would be many rounds further by now
            asking.cancel()
            await asyncio.wait([asking])
        assert [villain.calls for villain in villains.values()] == [1] * 6

    run(scenario())


# -- time, repetition, ends --------------------------------------------------------------------------


def test_an_unknown_outcome_can_be_resumed_without_double_effect(
    world: World, office: Office, key: RSAPublicKey, run: Run
) -> None:
    async def scenario() -> None:
        async with world.client({0: office}) as client:
            await client.submit(client.sign([b"zero"]), 20.0)  # so that the time is not that of the handshake
            office.certifies = False
            with pytest.raises(OutcomeUnknown, match="may or may not be ordered") as caught:
                await client.submit(client.sign([b"one"]), 2.0)
            submission = caught.value.submission
            assert isinstance(submission, Submission)
            office.certify(2)
            office.certifies = True
            both = await asyncio.gather(client.submit(submission, 20.0), client.submit(submission, 20.0))
            for receipts in both:
                true(receipts, [b"one"], key)
        assert len(office.chain.entries) == 2

    run(scenario())


def test_one_number_for_two_contents_is_refused_here_already(world: World, office: Office, run: Run) -> None:
    office.certifies = False
    one, other = world.farm.submission(5, b"one"), world.farm.submission(5, b"other")

    async def scenario() -> None:
        async with world.client({0: office}) as client:
            first = asyncio.create_task(client.submit(one, 20.0))
            await asyncio.wait([first], timeout=0)
            with pytest.raises(SubmissionRefused, match="other commands are under way"):
                await client.submit(other, 20.0)
            first.cancel()
            await asyncio.wait([first])

    run(scenario())


def test_who_gives_up_waiting_takes_nothing_from_the_others(
    world: World, office: Office, key: RSAPublicKey, run: Run
) -> None:
    office.certifies = False

    async def scenario() -> None:
        async with world.client({0: office}) as client:
            submission = client.sign([b"one"])
            leaves = asyncio.create_task(client.submit(submission, 20.0))
            stays = asyncio.create_task(client.submit(submission, 20.0))
            await asyncio.wait([leaves, stays], timeout=0)
            leaves.cancel()
            await asyncio.wait([leaves])
            client._news.set()
            while not office.posted:
                await asyncio.wait([stays], timeout=0.01)
            office.certify(1)
            true(await stays, [b"one"], key)
            assert not client._pending

    run(scenario())


def test_the_next_stream_goes_to_the_leader_that_certificates_name(
    world: World, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with world.client({3: office}) as client:
            await client.submit(client.sign([b"one"]), 20.0)
            assert client._choice.server == 0
            client._follow_leader(
                DecisionCertificate(0, AcceptedStatement(10, 1, b"r" * 32), b"checked by the caller")
            )
            assert client._choice.server == 4

    run(scenario())


def test_closing_in_the_middle_leaves_nothing_running(world: World, run: Run) -> None:
    async def scenario() -> None:
        async with world.client({0: Villain(silent)}) as client:
            waiting = asyncio.create_task(client.submit(client.sign([b"one"]), 20.0))
            while not any(pending.sent for pending in client._pending.values()):
                await asyncio.wait([waiting], timeout=0.01)
            await client.close()
            waiting.cancel()
            await asyncio.wait([waiting])

    run(scenario())


def test_of_a_stream_that_ends_while_it_is_written_to_nothing_is_left(
    world: World, office: Office, key: RSAPublicKey, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server sent last is read by nobody: ``run`` finds a call that waits for it."""
    villain, write, read = Villain(ends_unread), Submitter._write, Submitter._read

    async def writes(self: Submitter, call: Any) -> None:
        if self._choice.server == 0:
            await written_until_it_fails(call.write, pb.Submissions())
        await write(self, call)

    async def reads(self: Submitter, member: int, call: Any) -> None:
        if member == 0:
            await asyncio.Event().wait()
        await read(self, member, call)

    async def scenario() -> None:
        monkeypatch.setattr(Submitter, "_write", writes)
        monkeypatch.setattr(Submitter, "_read", reads)
        async with world.client({0: villain, 1: office}) as client:
            true(await client.submit(client.sign([b"x"]), 20.0), [b"x"], key)
        assert villain.calls == 1

    run(scenario())
