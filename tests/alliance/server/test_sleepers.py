"""Members that were away while an epoch ended, in servers that run."""

from __future__ import annotations

from pathlib import Path

import pytest

from consensus.control.changes import ChangeKind
from consensus.control.operations import Suspend
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.server.test_epochs import Changes
from tests.alliance.server.test_revisions import running, until
from tests.alliance.server.test_server import Six

SLEEPER = 5


@pytest.mark.campaign
def test_epoch_member_sleeps_and_wakes(farm: Farm, tmp_path: Path, run: Run) -> None:
    """The others waited for nobody; it comes in by a checkpoint of theirs, and takes part again."""
    six = Six(farm, tmp_path)

    async def scenario() -> None:
        async with running(six) as client:
            await client.propose(b"before")
            await six.stop(SLEEPER)
            changes = Changes(six, client)
            await changes.order(ChangeKind.LIGHT, 2, Suspend("member-1"))
            await changes.entered(1)
            await six.start(SLEEPER)
            sleeper = six.servers[SLEEPER]
            await until(lambda: sleeper.term.config.epoch == 1 and sleeper.term.incarnation.settled.is_set())
            await six.stop(4)  # so that it takes the sleeper to decide
            receipt = await client.propose(b"after")
            receipt.verify(client.public_key)
            await until(lambda: sleeper._history.certified_slot >= receipt.slot)
            assert sleeper._history.pruned == 0  # the log has no gap
            heard = [entry.command async for entry in client.listen(follow=False, server="member-6")]
            assert heard == [b"before", b"after"]

    run(scenario())
