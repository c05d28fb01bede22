"""Replies while the members change: an executor signs in the epoch that it is in, whatever the slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alliance.client import Client
from alliance.config.file import AllianceConfig
from alliance.execution import ExecutionClient, Outcome, Reply, Status
from alliance.execution import client as client_module
from alliance.execution.outcome import placed
from alliance.pb import application_pb2 as pb
from alliance.proofs.receipt import Receipt
from tests.alliance.conftest import Run
from tests.alliance.farm import MEMBERS, TIME_MS, Chain, Farm

ASKED_MAX = 4 * len(MEMBERS)
"""Four rounds: more would be a search without an end."""


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ROUND_PAUSE_SECONDS", 0.0)


class Executors:
    """Stands for those of an alliance: ``epochs`` are, by member, those in which it answers in turn."""

    def __init__(self, farm: Farm, receipt: Receipt, epochs: dict[int, Iterator[int]]) -> None:
        self.farm, self.epochs, self.asked = farm, epochs, 0
        digest = sha256(receipt.command).digest()
        answer = Outcome(
            receipt.client_id, receipt.client_seq, 0, receipt.slot, TIME_MS, digest, Status.DONE, b"1"
        )
        (self.outcome,) = placed([answer])

    def answer(self, member: int, request: pb.ReplyRequest) -> pb.SignedOutcome | None:
        self.asked += 1
        assert self.asked <= ASKED_MAX
        if member not in self.epochs:
            return None
        epoch, outcome = next(self.epochs[member]), self.outcome
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

    def channel(self, member: int) -> Any:
        async def call(request: pb.ReplyRequest) -> pb.SignedOutcome | None:
            return self.executors.answer(member, request)

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
