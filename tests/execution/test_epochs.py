"""Replies while the members change: an executor signs in the epoch that it is in, whatever the slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from alliance.client import Client, listener, revisions
from alliance.config.directory import place_of
from alliance.config.file import FILE, AllianceConfig
from alliance.config.parties import Member
from alliance.execution import ExecutionClient, Executor, Outcome, Reply, Status, gathering, keeper, runner
from alliance.execution import client as client_module
from alliance.execution import executor as executor_module
from alliance.execution.outcome import placed
from alliance.pb import application_pb2 as pb
from alliance.proofs.receipt import Receipt
from alliance.server.signer import Signer
from examples.kv.store import Store
from tests.alliance.conftest import Run
from tests.alliance.epochs import new_member, next_epoch, proof
from tests.alliance.farm import MEMBERS, TIME_MS, Chain, Farm
from tests.alliance.network import Office
from tests.alliance.server.test_revisions import until
from tests.execution.stage import InProcess, Stage

ASKED_MAX = 4 * len(MEMBERS)
"""Four rounds: more would be a search without an end."""


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ROUND_PAUSE_SECONDS", 0.0)


class Executors:
    """Stands for those of an alliance: ``epochs`` are, by member, those in which it answers in turn."""

    def __init__(self, farm: Farm, receipt: Receipt, epochs: dict[int, Iterator[int]]) -> None:
        self.farm, self.epochs, self.asked, self.doubted = farm, epochs, 0, False
        digest = sha256(receipt.command).digest()
        answer = Outcome(
            receipt.client_id, receipt.client_seq, 0, receipt.slot, TIME_MS, digest, Status.DONE, b"1"
        )
        (self.outcome,) = placed([answer])

    def heard(self, asked: int) -> None:
        """Before an answer; ``asked``: how many questions there were."""

    def answer(self, member: int, request: pb.ReplyRequest) -> pb.SignedOutcome | None:
        self.asked += 1
        self.doubted = self.doubted or request.proven
        assert self.asked <= ASKED_MAX
        if member not in self.epochs:
            return None
        epoch, outcome = next(self.epochs[member]), self.outcome
        self.heard(self.asked)
        message = outcome.statement().encode(replace(self.farm.config.context, epoch=epoch))
        return pb.SignedOutcome(
            status=outcome.status,
            time_ms=outcome.time_ms,
            command_digest=outcome.command_digest,
            payload=outcome.payload,
            share=self.farm.attesters[member].endorse(message, proven=request.proven),
            rank=outcome.rank,
            count=outcome.count,
            path=outcome.path,
            epoch=epoch,
        )


class Asking(ExecutionClient):
    """Without a network."""

    executors: Executors

    def channel(self, member: Member) -> Any:
        async def call(request: pb.ReplyRequest) -> pb.SignedOutcome | None:
            place = place_of(self.executors.farm.config, member.identity)
            return None if place is None else self.executors.answer(place, request)

        return SimpleNamespace(unary_unary=lambda *_, **__: call)


def always(*epochs: int) -> Iterator[int]:
    yield from epochs
    while True:
        yield epochs[-1]


def growing() -> Iterator[int]:
    """A liar's."""
    epoch = 2**40
    while True:
        yield (epoch := epoch + 1)


@pytest.mark.parametrize(
    ("epochs", "signed_in"),
    [
        ({1: always(5), 2: always(5), 3: always(5)}, 5),
        ({1: always(5), 2: always(4, 5), 3: always(4, 5)}, 5),
        ({1: always(4, 5), 2: always(5), 3: always(4, 5)}, 5),
        ({1: growing(), 2: always(4), 3: always(4, 4, 5), 4: always(4)}, 4),
        ({1: growing(), 2: always(4, 5), 3: always(5), 4: always(4, 4, 5)}, 5),
        ({0: always(0), 3: always(0), 4: always(0), 5: always(2**64 - 1)}, 0),
    ],
)
def test_epoch_reply_shares_across_end(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run, epochs: dict[int, Iterator[int]], signed_in: int
) -> None:
    """Shares of two epochs do not combine: who signed in the earlier one is asked again."""
    config: AllianceConfig = farm.config
    receipt = chain.grow(1).receipt(1, 0, 0, 1)

    async def scenario() -> None:
        async with Asking(Client(config, farm.clients[0], tmp_path), "kv") as client:
            client.executors = Executors(farm, receipt, epochs)
            reply = await client.reply(receipt)
            reply.verify(client.attestation_key)
            assert reply.context == replace(config.context, epoch=signed_in)
            assert Reply.from_json(reply.to_json()) == reply

    run(scenario())


def test_shares_of_another_dealing_wait_until_its_members_are_known(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run
) -> None:
    """They do not combine under the keys that a client knows, and at the places that its members have; and
    are no bad shares for that."""
    later, _ = next_epoch(farm)
    later = replace(later, config=replace(later.config, members=later.config.members[::-1]))
    receipt = chain.grow(1).receipt(1, 0, 0, 1)

    async def scenario() -> None:
        async with Asking(Client(farm.config, farm.clients[0], tmp_path), "kv") as client:
            executors = client.executors = Executors(later, receipt, {n: always(1) for n in (1, 2, 3)})

            def heard(asked: int) -> None:
                if asked == 8:
                    client.consensus.directory.update(later.config)

            executors.heard = heard  # type: ignore[method-assign]
            reply = await client.reply(receipt)
            reply.verify(client.attestation_key)
            assert reply.context == later.config.context
            assert executors.asked >= 8
            assert not executors.doubted

    run(scenario())


def test_old_shares_answer_nothing_behind_the_end_of_their_key(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run
) -> None:
    """Not even where those whom a client asks have them: it waits for shares of the key of now."""
    later, _ = next_epoch(farm, stock=1, start=1)
    office = chain.grow(2)
    receipts = {slot: office.receipt(slot, 0, 0, slot) for slot in (1, 2)}

    async def scenario() -> None:
        async with Asking(Client(later.config, farm.clients[0], tmp_path), "kv") as client:
            client.executors = Executors(farm, receipts[1], {n: always(0) for n in (1, 2, 3)})
            (await client.reply(receipts[1])).verify(client.keys.of(0).key)
            executors = client.executors = Executors(farm, receipts[2], {n: always(0) for n in (1, 2, 3)})

            def heard(asked: int) -> None:
                if asked == 8:
                    executors.farm = later
                    executors.epochs = {n: always(1) for n in (1, 2, 3)}

            executors.heard = heard  # type: ignore[method-assign]
            reply = await client.reply(receipts[2])
            reply.verify(client.attestation_key)
            assert reply.context.epoch == 1
            assert executors.asked > 8

    run(scenario())


@pytest.mark.parametrize(
    ("snapshots", "stock"),
    [(False, 0), (True, 0), pytest.param(True, 1, marks=pytest.mark.campaign)],
    ids=["replies", "snapshots", "new keys"],
)
def test_epoch_executors_cross(
    farm: Farm,
    tmp_path: Path,
    office: Office,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    snapshots: bool,
    stock: int,
) -> None:
    """With their members: they lose no state, and sign with the new shares what came of old slots, too.

    Where the shares are of another key, what was certified before is verified by the key of then, and
    snapshots are certified again.
    """
    monkeypatch.setattr(listener, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(revisions, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(gathering, "ROUND_SECONDS", 0.05)
    if snapshots:
        for module in (executor_module, runner):
            monkeypatch.setattr(module, "COMPARE_SLOTS", 2)
        monkeypatch.setattr(keeper, "SNAPSHOT_SLOTS", 2)

    async def scenario() -> None:
        async with Stage.set(farm, tmp_path, office) as stage:
            old = replace(farm, config=stage.config)
            farms = [old]
            three = [stage.executor(member, Store()) for member in (0, 3, 4)]
            for one in three:
                (one._home / FILE).write_text(stage.config.to_toml())
                in_process(one, farms)
            async with stage.running(*three), stage.client() as client:
                first = await client.execute(b"set colour green")
                while stock and not all(one._folder.certified for one in three):
                    await client.read(b"colour")
                end = len(office.chain.entries)
                later, membership = next_epoch(old, {5: new_member("seventh")}, start=end, stock=stock)
                farms.append(later)
                office.chain.farm = later
                office.directory.update(later.config)
                office.voucher.proof = proof(old, later, membership, slot=end)
                for one in three:
                    (one._home / "new").write_text(later.config.to_toml())
                    (one._home / "new").replace(one._home / FILE)
                second = await client.execute(b"set colour red")
                again = await client.reply(receipt_of(office, first))
                assert (first.payload, second.payload, again.payload) == (b"null", b'"green"', b"null")
                assert (first.context.epoch, again.context.epoch) == (0, 1)
                for reply in (first, second, again):
                    reply.verify(client.keys.of(reply.context.epoch).key)
                assert (client.keys.of(0).key == client.attestation_key) == (not stock)
                assert all(one.config == later.config for one in three)
                assert client.config == later.config
                while snapshots and not all(one._folder.certified for one in three):
                    await client.read(b"colour")
                if stock:
                    await until(lambda: not any(one._folder.pending for one in three))
                    assert all(one._folder.certified[0].slot <= end for one in three)
                for held in (held for one in three for held in one._folder.certified):
                    assert held.certificate is not None
                    assert (held.slot, held.certificate.epoch) == (held.statement.slot, 1)

    run(scenario())


def receipt_of(office: Office, reply: Reply) -> Receipt:
    """Of the command that it answers."""
    return office.chain.receipt(reply.slot, 0, reply.command_index, len(office.chain.entries))


def in_process(one: Executor, farms: list[Farm]) -> None:
    """Its signers have no processes; ``farms`` hold the shares, by epoch."""
    attestation = one._attestation
    member = one._others.me
    assert member is not None

    def signer(config: AllianceConfig) -> Signer:
        answer = partial(attestation._endorsed, config.epoch)
        return cast(Signer, InProcess(answer, farms[config.epoch], member))

    attestation._signer_of = signer  # type: ignore[method-assign]
    attestation._signer = signer(one.config)
