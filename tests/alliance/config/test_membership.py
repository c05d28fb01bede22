"""Epoch and revision: named by servers with every answer, and kept by clients without being believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from alliance.config.file import AllianceConfig
from alliance.config.membership import Answer, Membership
from alliance.pb import application_pb2, client_pb2, peer_pb2, signing_pb2
from tests.alliance.client.test_client import connected
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Office

ANSWERS = (
    client_pb2.Outcomes,
    client_pb2.StatusReply,
    peer_pb2.LogFrame,
    application_pb2.SignedOutcome,
    signing_pb2.ShareReply,
)


def test_every_epoch_is_above_all_revisions_of_the_one_before() -> None:
    assert sorted([Membership(1, 0), Membership(0, 9), Membership(0, 10)])[-1] == Membership(1, 0)


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_answers_name_it_at_no_cost_as_long_as_nothing_has_changed(kind: type[Answer]) -> None:
    assert Membership.of(Membership(3, 4).named_in(kind())) == Membership(3, 4)
    first = Membership(0, 0).named_in(kind())
    assert first.SerializeToString() == b""  # type: ignore[attr-defined]


def test_this_version_has_one(farm: Farm) -> None:
    assert farm.config.membership == (farm.config.epoch, 0)


def test_a_client_keeps_the_highest_that_any_answer_named(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Membership(0, 7)
    monkeypatch.setattr(AllianceConfig, "membership", property(lambda _: named))
    office = Office(tmp_path / "journal.sqlite", chain)
    older, newer = Membership(0, 6), Membership(1, 0)

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office}) as client:
            client._follower.newest = older
            await client.propose(b"one")
            assert client.newest_membership == named
            client._follower.newest = older
            assert (await client.status())[0].revision == 7
            assert client.newest_membership == named
            client._follower.newest = older
            async for _ in client.listen():
                break
            assert client.newest_membership == named
            client._follower.newest = newer
            await client.propose(b"two")
            assert client.newest_membership == newer

    run(scenario())
    office.journal.close()
