"""Whom a running server serves changes while it runs: nobody else notices, and nothing is started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import grpc.aio
import pytest

from alliance.client.revisions import newer
from alliance.config.directory import Directory, Follower
from alliance.config.file import AllianceConfig
from alliance.config.membership import Membership
from alliance.keys.channel import Credentials
from alliance.net import admission as module
from alliance.net.admission import Admission
from alliance.net.channels import GREETING, established, open_channel
from alliance.pb import client_pb2 as pb
from tests.alliance.conftest import Run
from tests.alliance.doors import ME, attempt, door
from tests.alliance.farm import Farm
from tests.alliance.network import Office, at, serving
from tests.alliance.newcomers import admitting, client_of, newcomer, removing


def decided(office: Office, config: AllianceConfig, *followers: Follower) -> None:
    """The server hears of a revision."""
    office.directory.follow(office.identities.update, *followers)
    assert office.directory.update(config)


SERVED, DENIED = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
REFUSED = grpc.StatusCode.UNAVAILABLE
"""At the handshake."""
FAREWELL = 12345.0
"""No other timer has this time."""


async def status(farm: Farm, port: int, who: Credentials) -> grpc.StatusCode:
    """What becomes of one question on a connection of its own."""
    async with open_channel(at(farm.config, ME, port), who) as channel:
        return await attempt(channel, "Status")


class Farewells:
    """The moment that each has who is removed: it lasts until the test ends it, however slow all is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._cuts: list[Callable[[], None]] = []
        call_later = loop.call_later

        def until_ended(delay: float, callback: Any, *what: Any, **named: Any) -> Any:
            if delay == FAREWELL:
                self._cuts.append(partial(callback, *what))
                return None
            return call_later(delay, callback, *what, **named)

        monkeypatch.setattr(module, "FAREWELL_SECONDS", FAREWELL)
        monkeypatch.setattr(loop, "call_later", until_ended)

    def end(self) -> None:
        assert self._cuts, "nobody has been given a moment"
        cuts, self._cuts = self._cuts, []
        for cut in cuts:
            cut()


@pytest.fixture(autouse=True)
def farewells(_runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> Farewells:
    return Farewells(_runner.get_loop(), monkeypatch)


@asynccontextmanager
async def listening(farm: Farm, port: int, who: Credentials) -> AsyncIterator[Any]:
    """A stream that stays open, as it is."""
    async with open_channel(at(farm.config, ME, port), who) as channel:
        call = door(channel, "Listen", "unary_stream")(pb.ListenRequest(first_slot=1), metadata=GREETING)
        await established(call)
        yield call
        call.cancel()


def test_a_client_is_let_in_when_it_is_admitted_and_not_before(farm: Farm, office: Office, run: Run) -> None:
    """The others' connections go on: a stream that was open before is open afterwards."""

    async def scenario() -> None:
        admission, new = Admission(farm.config), newcomer()
        async with (
            serving(farm, ME, office, admission=admission) as port,
            listening(farm, port, farm.clients[0]) as before,
        ):
            assert await status(farm, port, new) is REFUSED
            decided(office, admitting(farm.config, new), admission.update)
            assert await status(farm, port, new) is SERVED
            assert await status(farm, port, farm.clients[1]) is SERVED
            assert await status(farm, port, newcomer()) is REFUSED
            assert not before.done()

    run(scenario())


def without(config: AllianceConfig, index: int) -> AllianceConfig:
    """The next epoch: somebody else is that member."""
    new = newcomer().party
    mine = {"identity": new.identity, "certificate": new.certificate, "receiver": None}
    members = [replace(one, **mine) if at == index else one for at, one in enumerate(config.members)]
    return replace(config, members=tuple(members), epoch=config.epoch + 1)


def test_who_was_a_member_once_may_ask_who_is_one_and_nothing_else(
    farm: Farm, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When too many have left after it, it is a stranger like all others."""
    monkeypatch.setattr(module, "FORMER_MAX", 2)
    old = farm.members[5]

    async def asked(port: int) -> grpc.StatusCode:
        async with open_channel(at(farm.config, ME, port), old) as channel:
            for other in ("Status", "Submit", "Listen"):
                assert await attempt(channel, other) in (DENIED, REFUSED)
            try:
                await newer(channel, Membership(0, 0))
            except grpc.aio.AioRpcError as error:
                return error.code()
            return SERVED

    async def scenario() -> None:
        admission = Admission(farm.config)
        office.service._identities = admission.identities
        async with serving(farm, ME, office, admission=admission) as port:
            config = farm.config
            for leaves, told in ((5, SERVED), (0, SERVED), (1, REFUSED)):
                config = without(config, leaves)
                admission.update(config)
                assert await asked(port) is told

    run(scenario())


@pytest.mark.parametrize("looked_before", [True, False])
def test_who_is_removed_is_told_and_cut_off_and_nobody_else_is(
    farm: Farm, office: Office, run: Run, farewells: Farewells, looked_before: bool
) -> None:
    """Also on a connection that the doorman has not looked at yet."""

    async def scenario() -> None:
        admission, (leaving, staying) = Admission(farm.config), farm.clients[:2]
        async with (
            serving(farm, ME, office, admission=admission) as port,
            listening(farm, port, leaving) as lost,
            listening(farm, port, staying) as kept,
            open_channel(at(farm.config, ME, port), leaving) as idle,
        ):
            admission.doorman.stop()  # the test looks itself
            assert await attempt(idle, "Status") is SERVED
            if looked_before:
                admission.doorman.look()
            assert len(admission.budget.connections_of(leaving.party.identity)) == 2
            decided(office, removing(farm.config, leaving.party.name), admission.update)
            assert await lost.code() is DENIED
            assert "its members have removed it" in await lost.details()
            assert await attempt(idle, "Status") is DENIED
            assert await status(farm, port, leaving) is REFUSED
            assert admission.budget.connections_of(leaving.party.identity)
            farewells.end()
            while admission.budget.connections_of(leaving.party.identity):
                await asyncio.sleep(0.01)  # gRPC finds the connection broken, and ends its calls
                admission.doorman.look()
            assert not kept.done()
            assert await status(farm, port, staying) is SERVED

    run(scenario())


@pytest.mark.parametrize("first", ["greeting", "message"])
def test_who_is_removed_while_its_call_is_taken_up_is_told(
    farm: Farm, office: Office, run: Run, first: str
) -> None:
    """At each turn of the loop: gRPC may not know yet that the call has begun, and would begin it twice."""
    admission, leaving = Admission(farm.config), farm.clients[0]

    class Member:
        """Its client is removed so many turns after it began to answer."""

        turns = 0

        def serve(self, server: grpc.aio.Server) -> None:
            listen: Any = grpc.unary_stream_rpc_method_handler(self.listen)
            handlers = grpc.method_handlers_generic_handler("alliance.v1.Client", {"Listen": listen})
            server.add_generic_rpc_handlers((handlers,))

        async def listen(self, _: object, context: Any) -> None:
            self.after(self.turns)
            await (
                context.send_initial_metadata(GREETING) if first == "greeting" else context.write(b"first")
            )
            await asyncio.Event().wait()

        def after(self, turns: int) -> None:
            if turns:
                asyncio.get_running_loop().call_soon(self.after, turns - 1)
            else:
                admission.update(removing(farm.config, leaving.party.name))

    async def scenario() -> None:
        member = Member()
        async with (
            serving(farm, ME, member, admission=admission) as port,
            open_channel(at(farm.config, ME, port), leaving) as channel,
        ):
            for member.turns in range(1, 6):
                call = door(channel, "Listen", "unary_stream")(pb.ListenRequest(first_slot=1))
                assert await call.code() is DENIED
                assert "its members have removed it" in await call.details()
                admission.update(farm.config)

    run(scenario())


def test_who_is_let_in_again_meanwhile_keeps_its_connections(
    farm: Farm, office: Office, run: Run, farewells: Farewells
) -> None:
    """A change that is undone, or an epoch that begins behind the one that left it out."""

    async def scenario() -> None:
        admission, back = Admission(farm.config), farm.clients[0]
        async with (
            serving(farm, ME, office, admission=admission) as port,
            open_channel(at(farm.config, ME, port), back) as idle,
        ):
            assert await attempt(idle, "Status") is SERVED
            connections = admission.budget.connections_of(back.party.identity)
            admission.doorman.stop()
            admission.doorman.look()  # it would know what to cut
            admission.update(removing(farm.config, back.party.name))
            admission.update(farm.config)
            farewells.end()
            assert await attempt(idle, "Status") is SERVED  # on another connection, had it been cut
            admission.doorman.look()
            assert admission.budget.connections_of(back.party.identity) == connections

    run(scenario())


def test_who_comes_again_under_another_key_is_somebody_else(farm: Farm, office: Office, run: Run) -> None:
    """A rotation: the old key's connections end, the new one's are another party's."""

    async def scenario() -> None:
        admission, old = Admission(farm.config), farm.clients[0]
        new = newcomer(old.party.name)
        async with (
            serving(farm, ME, office, admission=admission) as port,
            listening(farm, port, old) as lost,
        ):
            decided(office, admitting(removing(farm.config, old.party.name), new), admission.update)
            assert await lost.code() is DENIED
            assert await status(farm, port, old) is REFUSED
            assert await status(farm, port, new) is SERVED

    run(scenario())


def test_who_will_be_a_member_is_let_in_as_a_client(farm: Farm, office: Office, run: Run) -> None:
    """Under a name that a member has now, even; and not any more when the change has come to nothing."""
    directory, admission = Directory(farm.config), Admission(farm.config)
    directory.tell_incoming(admission.expect, lambda them: office.identities.update(farm.config, them))
    old, new = farm.members[0], newcomer(farm.members[0].party.name)

    async def scenario() -> None:
        async with (
            serving(farm, ME, office, admission=admission) as port,
            open_channel(at(farm.config, ME, port), new) as channel,
        ):
            assert await attempt(channel, "Status") is REFUSED
            directory.expect((client_of(new),))
            admission.update(farm.config)  # a revision in between
            async with open_channel(at(farm.config, ME, port), new) as now:
                assert await attempt(now, "Status") is SERVED
            seen = [admission.identities.known(Seen(one)) for one in (old, new)]
            assert [party and party.identity for party in seen] == [one.party.identity for one in (old, new)]
            assert [admission.identities.member(Seen(one)) for one in (old, new)] == [0, None]
            assert admission.identities.client(Seen(old)) is None
            assert admission.identities.client(Seen(new)) == new.party
            directory.expect(())
            assert admission.identities.known(Seen(new)) is None
            assert await status(farm, port, new) is REFUSED
            assert await status(farm, port, old) is SERVED

    run(scenario())


class Seen:
    """What gRPC tells of who has connected."""

    def __init__(self, who: Credentials) -> None:
        self._certificate = who.channel().certificate_pem

    def auth_context(self) -> Any:
        return {"x509_pem_cert": [self._certificate]}
