"""At the end of an epoch: what fails once, as on a machine that is short of memory, is done again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from alliance.config.control import founded
from alliance.config.directory import Directory
from alliance.errors import AllianceError, KeyFileError, SignerError
from alliance.keys.ed25519 import has_signed
from alliance.keys.shares import Generation
from alliance.resharing.handover import Outcome
from alliance.server.gate import Gate
from alliance.server.revisions import Revisions
from alliance.server.succession import Succession
from consensus.control.checked import CheckedControl
from consensus.control.published import Published
from quorum import MembershipStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.server.test_arrival import END, ended


class Handing:
    """Cannot tell what a change has come to, for these reasons, and then can."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def outcome(self, state: Any) -> Outcome:
        if self.failures:
            raise self.failures.pop(0)
        return Outcome(Generation(1), ())


class Vouches:
    """A voucher that notes what is vouched for."""

    def __init__(self) -> None:
        self.vouched = asyncio.Event()
        self.said: list[tuple[MembershipStatement, Published]] = []

    def vouch(self, statement: MembershipStatement, membership: Published, keys: Any) -> None:
        self.said.append((statement, membership))
        self.vouched.set()

    async def later_than(self, epoch: int) -> Any:
        await asyncio.Event().wait()


def at_the_end(farm: Farm, chain: Chain) -> Any:
    """The revisions of a member that stands at the end by a full change."""
    after = replace(ended(farm.config).next_epoch(), dealing=1, transcript_digest=b"t" * 32)
    state = SimpleNamespace(epoch=0, dealing=0, next_epoch=lambda: after)
    checkpoint = SimpleNamespace(snapshot=chain.snapshot(END))

    async def there() -> Any:
        return state, checkpoint

    return SimpleNamespace(ended=there, ending=(state, checkpoint))


FAILURES = [SignerError("ended"), KeyFileError("short of memory"), OSError("too many open files")]


def succession(farm: Farm, tmp_path: Path, handing: Handing, voucher: Any, history: Any = None) -> Succession:
    config = replace(farm.config, timing=replace(farm.config.timing, heartbeat_seconds=0.01))
    none: Any = None
    return Succession(tmp_path, farm.members[0].party, Directory(config), history, voucher, none, handing)


def test_epoch_who_cannot_tell_the_keys_at_once_vouches_later(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Its share may be the one that the others wait for."""

    async def scenario() -> None:
        handing, voucher = Handing(*FAILURES), Vouches()
        term: Any = SimpleNamespace(revisions=at_the_end(farm, long_chain), inbox=None, is_alone=False)
        next_one = succession(farm, tmp_path, handing, voucher).next(term)
        waiting = asyncio.create_task(next_one)
        await asyncio.wait_for(voucher.vouched.wait(), 10.0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        ((statement, membership),) = voucher.said
        assert (statement.slot, membership.dealing) == (END, 1)

    run(scenario())
    assert [text.startswith("the keys of epoch 1 cannot be told") for text in caplog.messages] == [True] * 3


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_epoch_who_cannot_tell_the_keys_is_brought_in_by_the_others(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run, failure: AllianceError | OSError
) -> None:
    """They have certified them: nothing that goes wrong here ends the member."""
    revisions = at_the_end(farm, long_chain)
    membership = Published.of(revisions.ending[0].next_epoch())
    history: Any = SimpleNamespace(
        checkpoint=SimpleNamespace(slot=END), certified_slot=END, certificate=object()
    )
    proof: Any = SimpleNamespace(membership=membership)

    async def scenario() -> None:
        one = succession(farm, tmp_path, Handing(failure), None, history)
        assert await one._following(proof, revisions) is None

    run(scenario())


def at_end(farm: Farm, chain: Chain, slot: int = END, end: int = END) -> Revisions:
    """What is decided is the log up to this slot, and the end is scheduled."""
    state = replace(founded(farm.config), slot=slot, end=end)
    control, nobody = CheckedControl(state, has_signed), cast(Any, None)
    return Revisions(farm.folder, control, Directory(farm.config), Gate(farm.config), nobody, lambda _: None)


def test_epoch_nobody_vouches_before_the_checkpoint_at_the_end_is_stable(
    farm: Farm, long_chain: Chain
) -> None:
    """A share on an earlier state would make a certificate on it, if f + 1 members were as hasty."""

    def ending(there: Revisions, slot: int) -> Any:
        there.stable(long_chain.checkpoint(slot))
        return there.ending

    there = at_end(farm, long_chain)
    assert ending(there, END - 1) is None
    state, checkpoint = ending(there, END)
    assert checkpoint.slot == state.slot == END
    for slot, end in ((END - 1, END), (END, END + 1)):
        assert ending(at_end(farm, long_chain, slot, end), slot) is None


def test_epoch_a_log_that_is_not_certified_to_the_end_leads_nobody_over(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run
) -> None:
    """Nor does another membership than that which this member has decided: it asks the others for theirs."""
    revisions = at_the_end(farm, long_chain)
    membership = Published.of(revisions.ending[0].next_epoch())
    other = SimpleNamespace(start=END, config=b"another membership")
    checkpoint, decision = long_chain.checkpoint(END), long_chain.decision(END)

    async def scenario() -> None:
        for certified, certificate, said in (
            (END - 1, decision, membership),
            (END, None, membership),
            (END, decision, other),
        ):
            history: Any = SimpleNamespace(
                checkpoint=checkpoint, certified_slot=certified, certificate=certificate
            )
            proof: Any = SimpleNamespace(membership=said)
            one = succession(farm, tmp_path, Handing(), None, history)
            assert await one._following(proof, revisions) is None

    run(scenario())
