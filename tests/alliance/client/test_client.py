"""The client as programs use it: batching, closing, status; and its blocking twin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import alliance
from alliance import sync
from alliance.client import Client, MemberStatus
from alliance.client import proposals as module
from alliance.errors import AllianceError, ConfigError, KeyFileError, OutcomeUnknown, Unreachable
from alliance.keys import folder as keys
from alliance.net.channels import one_line
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.network import Doors, Office, at, serving
from verifiable_log import InvalidSubmission
from verifiable_log.limits import COMMAND_BYTES_MAX


@asynccontextmanager
async def connected(farm: Farm, folder: Path, servers: dict[int, Any]) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        ports = {i: await stack.enter_async_context(serving(farm, i, it)) for i, it in servers.items()}
        dead = await stack.enter_async_context(Doors(farm, {}))
        members = tuple(at(farm.config, i, ports.get(i, dead.dead_port)) for i in range(6))
        config = replace(farm.config, members=members)
        yield await stack.enter_async_context(Client(config, farm.clients[0], folder))


# -- proposing ---------------------------------------------------------------------------------------


def test_concurrent_proposals_travel_together(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    commands = [b"%d" % number for number in range(50)]

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            receipts = await asyncio.gather(*map(client.propose, commands))
            assert [receipt.command for receipt in receipts] == commands
            for receipt in receipts:
                receipt.verify(client.public_key)
            assert len(office.posted) == 1

    run(scenario())


def test_a_server_knows_whether_somebody_waits(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            assert office.proofs_wanted == [False]
            await client.propose(b"one")
            async for _ in client.listen(follow=False):
                pass
            assert office.proofs_wanted == [False, True]

    run(scenario())
    assert office.proofs_wanted == [False, True, False]


def test_many_proposals_keep_few_submissions_in_flight(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_COMMANDS", 2)

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            seen = set()
            tasks = [asyncio.create_task(client.propose(b"%d" % number)) for number in range(21)]
            while not all(task.done() for task in tasks):
                await asyncio.wait(tasks, timeout=0.001, return_when=asyncio.FIRST_COMPLETED)
                seen.add(len(client._submitter._pending))
            assert {task.result().command for task in tasks} == {b"%d" % number for number in range(21)}
            assert max(seen) <= module.IN_FLIGHT_MAX
            assert not client._proposals._in_flight

    run(scenario())


def test_propose_all_keeps_the_order(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_COMMANDS", 3)
    commands = [b"%d" % number for number in range(10)]

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            receipts = [receipt async for receipt in client.propose_all(commands)]
            assert [receipt.command for receipt in receipts] == commands
            places = [(r.slot, r.position, r.command_index) for r in receipts]
            assert places == sorted(set(places))
            entries = [entry async for entry in client.listen(1, follow=False)]
            assert [entry.command for entry in entries] == commands

    run(scenario())


def test_a_command_over_the_limit_is_refused_alone(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            fine = asyncio.create_task(client.propose(b"x" * COMMAND_BYTES_MAX))
            with pytest.raises(InvalidSubmission):
                await client.propose(b"x" * (COMMAND_BYTES_MAX + 1))
            await fine
            await asyncio.gather(*(client.propose(b"y" * COMMAND_BYTES_MAX) for _ in range(3)))
            assert len(office.posted) >= 3  # no two of this size fit into one submission

    run(scenario())


def test_an_error_of_any_kind_reaches_who_waits(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            for error in (ConfigError("the sequence file is damaged"), ArithmeticError("a bug")):

                def fail(_: object, error: Exception = error) -> Any:
                    raise error

                with monkeypatch.context() as patch:
                    patch.setattr(client._submitter, "sign", fail)
                    results = await asyncio.gather(
                        client.propose(b"one"), client.propose(b"two"), return_exceptions=True
                    )
                assert results == [error, error]
            await client.propose(b"three")

    run(scenario())


def test_who_cancels_its_proposal_disturbs_no_other(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            tasks = [asyncio.create_task(client.propose(b"%d" % number)) for number in range(3)]
            await asyncio.wait(tasks, timeout=0)
            tasks[1].cancel()
            await asyncio.wait(tasks)
            assert tasks[1].cancelled()
            assert [tasks[at].result().command for at in (0, 2)] == [b"0", b"2"]

    run(scenario())


def test_closing_ends_what_waits_and_leaves_nothing(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_COMMANDS", 1)
    office.certifies = False

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            tasks = [asyncio.create_task(client.propose(b"%d" % number)) for number in range(12)]
            while not office.posted:
                await asyncio.wait(tasks, timeout=0.01)
            await client.close()
            await asyncio.wait(tasks)
            errors = [task.exception() for task in tasks]
            unknown = [error for error in errors if isinstance(error, OutcomeUnknown)]
            assert {error.submission.commands() for error in unknown} >= {s.commands() for s in office.posted}
            rest = [error for error in errors if error not in unknown]
            assert rest
            assert all(isinstance(error, Unreachable) and "is closed" in str(error) for error in rest)
        assert len(office.posted) <= module.IN_FLIGHT_MAX

    run(scenario())


def test_time_over_is_an_unknown_outcome(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            await client.propose(b"zero")  # so that the time is not that of the handshake
            office.certifies = False
            with pytest.raises(OutcomeUnknown):
                await client.propose(b"one", timeout=2.0)
        assert not office.sessions._waiting

    run(scenario())


# -- status and listening up to now ------------------------------------------------------------------


class Boaster(Office):
    """Claims what it likes in its status."""

    @property
    def status(self) -> Any:
        return replace(super().status, certified=2**60, decided=2**60, accepted=2**60)


def test_status_tells_who_is_reachable_and_why_not(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            status = await client.status()
            assert [member.reachable for member in status] == [True] + [False] * 5
            assert status[0].name == status[0].leader == "member-1"
            assert all(member.problem for member in status[1:])
            assert all(one_line(member.problem) == member.problem for member in status)

    run(scenario())


def test_what_a_server_says_of_itself_is_fit_for_a_terminal(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b[2J[red]\n" * 50

    async def reply(*_: object) -> pb.StatusReply:
        peers = [pb.PeerStatus(name=evil, connected=True), pb.PeerStatus(name="member-2", connected=True)]
        kept = [pb.Evidence(culprit=evil, files=1), pb.Evidence(culprit="member-3", files=2)]
        told = {"name": evil, "version": evil, "leader": evil, "blamed": [evil, "member-3"]}
        did = [pb.Offence(member=who, name=evil, times=3) for who in (evil, "member-4")]
        beside = [pb.ApplicationStatus(name=evil, snapshot=1, alarm=evil), pb.ApplicationStatus(name="kv")]
        return pb.StatusReply(**told, peers=peers, evidence=kept, offences=did, applications=beside)

    monkeypatch.setattr(office.service, "Status", reply)

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            told = (await client.status())[0]
        assert (told.name, told.leader, told.connected, told.blamed) == (
            "member-1",
            "",
            ("member-2",),
            ("member-3",),
        )
        assert told.evidence == {"member-3": 2}
        assert told.offences == {"member-4": {one_line(evil): 3}}
        assert told.version.isprintable()
        assert told.snapshots == {one_line(evil): 1, "kv": 0}
        assert told.application_alarms == {one_line(evil): one_line(evil)}

    run(scenario())


def test_one_boasting_server_does_not_make_listeners_wait(
    farm: Farm, tmp_path: Path, chain: Chain, office: Office, run: Run
) -> None:
    boaster = Boaster(tmp_path / "boaster.sqlite", chain, me=1)

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office, 1: boaster}) as client:
            await client.propose(b"one")
            assert await client.certified_now() == 1
            assert [entry.command async for entry in client.listen(follow=False)] == [b"one"]

    run(scenario())
    boaster.journal.close()


def test_up_to_now_includes_what_our_own_receipts_prove(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that are a little behind, or modest, must not hide what was proposed here."""

    async def nothing() -> int:
        return 0

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            await client.propose(b"one")
            monkeypatch.setattr(client, "certified_now", nothing)
            assert [entry.command async for entry in client.listen(follow=False)] == [b"one"]
        async with connected(farm, tmp_path, {0: office}) as another:  # of the same folder
            monkeypatch.setattr(another, "certified_now", nothing)
            assert [entry.command async for entry in another.listen(follow=False)] == [b"one"]

    run(scenario())


def test_who_has_listened_hears_no_less_the_next_time(
    farm: Farm, tmp_path: Path, chain: Chain, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.grow(3)
    office.tell_all()
    answers = iter((3, 1))

    async def fewer() -> int:
        return next(answers)

    async def scenario() -> None:
        for _ in range(2):
            async with connected(farm, tmp_path, {0: office}) as client:
                monkeypatch.setattr(client, "certified_now", fewer)
                assert [entry.slot async for entry in client.listen(follow=False)] == [1, 2, 3]

    run(scenario())


def test_who_swallows_questions_is_not_waited_for(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once n - f have answered; what the second highest of them says is what a correct one has proven."""

    async def says(_: object, member: int) -> MemberStatus:
        if member == 5:
            await asyncio.Event().wait()
        return MemberStatus(f"member-{member + 1}", "", True, certified=(9, 7, 3, 3, 2)[member])

    async def scenario() -> None:
        async with connected(farm, tmp_path, {}) as client:
            monkeypatch.setattr(client, "_status", says)
            assert await client.certified_now() == 7

    run(scenario())


def test_without_any_server_there_is_no_empty_log(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {}) as client:
            with pytest.raises(Unreachable):
                await anext(client.listen(follow=False))

    run(scenario())


def test_listening_names_the_server_asked_first(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            with pytest.raises(ConfigError, match="did you mean"):
                await anext(client.listen(server="member-77"))

    run(scenario())


# -- opening -----------------------------------------------------------------------------------------


def test_connect_opens_a_clients_folder_and_no_other(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        async with await alliance.connect(farm.client_home(0), PASSPHRASE) as client:
            assert client.config == farm.config
        with pytest.raises(KeyFileError):
            await alliance.connect(farm.client_home(0), b"wrong")
        with pytest.raises(ConfigError, match="is a member's folder"):
            await alliance.connect(farm.member_home(0), PASSPHRASE)
        with pytest.raises(ConfigError, match="does not exist"):
            await alliance.connect(tmp_path / "nowhere", PASSPHRASE)

    run(scenario())


def test_the_blocking_twin_does_the_same(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without servers, and in its own thread: what counts is that calls and errors pass through."""
    with sync.connect(farm.client_home(1), PASSPHRASE) as client:
        assert [member.reachable for member in client.status()] == [False] * 6
        with pytest.raises(AllianceError):
            client.propose(b"one", timeout=5.0)
        with pytest.raises(Unreachable):
            next(client.listen(follow=False))
    with pytest.raises(KeyFileError):
        sync.connect(farm.client_home(1), b"wrong")


def test_an_interrupted_wait_ends_the_work_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a blocking call must not leave the proposal running behind the program's back."""
    ended = asyncio.run_coroutine_threadsafe(_event(), sync._background.loop()).result(10.0)
    begun = asyncio.run_coroutine_threadsafe(_event(), sync._background.loop()).result(10.0)

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    submit: Callable[..., Any] = asyncio.run_coroutine_threadsafe

    def interrupted(coroutine: Any, loop: Any) -> Any:
        future = submit(coroutine, loop)
        submit(begun.wait(), loop).result(10.0)

        def result() -> None:
            raise KeyboardInterrupt

        future.result = result
        return future

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sync.wait(work())
    submit(ended.wait(), sync._background.loop()).result(10.0)


async def _event() -> asyncio.Event:
    return asyncio.Event()


def test_the_keys_of_a_client_do_not_open_a_members_folder(farm: Farm) -> None:
    with pytest.raises(KeyFileError, match="not those of"):
        keys.load_credentials(farm.client_home(0), farm.config.members[0], PASSPHRASE)
