"""Numbers that became unusable before they were sent are replaced unseen; those in doubt never are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from alliance.client import submitter
from alliance.client.sequence import BLOCK, FILE, Sequence
from alliance.errors import OutcomeUnknown, SubmissionRefused
from alliance.pb import client_pb2 as pb
from tests.alliance.client.test_client import connected
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import Office, Villain
from tests.alliance.outcome_lies import liar, refusing, silent
from verifiable_log.limits import CLIENT_WINDOW

pytestmark = pytest.mark.usefixtures("hurry")


def others_went_on(office: Office, farm: Farm, number: int) -> None:
    """Another program with the same folder had this number ordered, as far as the office knows."""
    office.windows.admit(0, farm.submission(number))


def refuser(farm: Farm, reason: pb.Refusal.Reason = pb.Refusal.EXPIRED) -> Villain:
    return Villain(liar(refusing(reason), farm))


def test_a_program_that_was_overtaken_by_many_others_goes_on(
    farm: Farm, tmp_path: Path, office: Office, run: Run
) -> None:
    """As a long-lived one beside scheduled ones of the same folder, which take a block each."""
    last = 2 * CLIENT_WINDOW

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office, 1: refuser(farm)}) as client:
            await client.propose(b"first")
            others_went_on(office, farm, last)
            (tmp_path / FILE).write_bytes(b"%020d\n" % (last + 1))
            receipt = await client.propose(b"again")
            assert (receipt.command, receipt.client_seq) == (b"again", last + 1)
            receipts = [receipt async for receipt in client.propose_all([b"x", b"y"])]
            assert [receipt.client_seq for receipt in receipts] == 2 * [last + 2]

    run(scenario())
    assert sum(b"again" in entry.batch.submissions[0].commands() for entry in office.chain.entries) == 1


def test_all_that_was_under_way_with_old_numbers_gets_new_ones(
    farm: Farm, tmp_path: Path, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alliance.client.proposals.CHUNK_COMMANDS", 1)
    others_went_on(office, farm, 2 * CLIENT_WINDOW)
    (tmp_path / FILE).write_bytes(b"%020d\n" % 1)
    commands = [b"%d" % number for number in range(10)]

    async def scenario() -> None:
        async with connected(farm, tmp_path, {0: office, 1: refuser(farm)}) as client:
            receipts = await asyncio.gather(*map(client.propose, commands))
            assert [receipt.command for receipt in receipts] == commands

    run(scenario())
    ordered = [c for entry in office.chain.entries for c in entry.batch.submissions[0].commands()]
    assert sorted(ordered) == commands


@pytest.mark.parametrize("ahead", [1, CLIENT_WINDOW, 50 * CLIENT_WINDOW])
def test_a_file_that_fell_behind_catches_up(
    farm: Farm, tmp_path: Path, office: Office, run: Run, ahead: int
) -> None:
    """An old copy was restored: its numbers are used already, or below what the members remember."""
    for number in range(1, ahead + 1, max(1, ahead // 100)):
        others_went_on(office, farm, number)
    (tmp_path / FILE).write_bytes(b"%020d\n" % 1)

    async def scenario() -> None:
        reason = pb.Refusal.CONFLICT if ahead == 1 else pb.Refusal.EXPIRED
        async with connected(farm, tmp_path, {0: office, 1: refuser(farm, reason)}) as client:
            receipt = await client.propose(b"one")
            assert receipt.command == b"one"
            assert receipt.client_seq < 4 * (ahead + CLIENT_WINDOW)

    run(scenario())


def test_what_a_silent_server_may_have_ordered_is_not_signed_again(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "STALL_TIMEOUTS", 0.1)
    servers = {0: Villain(silent), 1: refuser(farm), 2: refuser(farm)}

    async def scenario() -> None:
        async with connected(farm, tmp_path, servers) as client:
            with pytest.raises(OutcomeUnknown, match="may have been ordered") as caught:
                await client.propose(b"one")
            assert caught.value.submission.client_seq == 1  # type: ignore[attr-defined]

    run(scenario())
    assert Sequence(tmp_path).next() == BLOCK + 1


@pytest.mark.parametrize(
    ("reason", "error"),
    [(pb.Refusal.UNPROVEN, OutcomeUnknown), (pb.Refusal.INVALID, SubmissionRefused)],
)
def test_other_refusals_are_no_reason_to_sign_again(
    farm: Farm, tmp_path: Path, run: Run, reason: pb.Refusal.Reason, error: type[Exception]
) -> None:
    """'Unproven' says that it is ordered: where others decided it and this server then pruned its log."""

    async def scenario() -> None:
        async with connected(farm, tmp_path, {at: refuser(farm, reason) for at in (0, 1)}) as client:
            with pytest.raises(error, match="sequence number 1 was refused by 2 servers"):
                await client.propose(b"one")

    run(scenario())


def test_a_resumed_submission_keeps_its_number(farm: Farm, tmp_path: Path, run: Run) -> None:
    """Its number may have been used by itself."""

    async def scenario() -> None:
        async with connected(farm, tmp_path, {at: refuser(farm) for at in (0, 1)}) as client:
            with pytest.raises(OutcomeUnknown, match=r"sequence number 7 .* may have been ordered"):
                await client.resume(farm.submission(7))

    run(scenario())


def test_a_block_is_given_up_once_whoever_asks_for_it(tmp_path: Path) -> None:
    numbers = Sequence(tmp_path)
    first = numbers.next()
    numbers.renew(first, 0)
    assert numbers.next() == first + BLOCK
    numbers.renew(first, CLIENT_WINDOW)  # of the block before
    assert numbers.next() == first + BLOCK + 1
    numbers.renew(first + BLOCK, CLIENT_WINDOW)
    assert numbers.next() == first + 2 * BLOCK + CLIENT_WINDOW
    assert Sequence(tmp_path).next() == first + 3 * BLOCK + CLIENT_WINDOW
