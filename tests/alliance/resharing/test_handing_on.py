"""Keys on their way from epoch to epoch: between members of all sizes, past sleepers, liars and restarts."""

from __future__ import annotations

from consensus.control.operations import DropMember
from quorum import QuorumSystem
from quorum.system import LEAN
from tests.alliance.conftest import Run
from tests.alliance.resharing.conftest import Found

FOUR = QuorumSystem(4, 1, LEAN)
SIX = QuorumSystem(6, 1)


def test_epoch_n_4_to_5_to_4_in_profile_lean(run: Run, found: Found) -> None:
    async def story() -> None:
        town = found(FOUR)
        await town.hand_on(town.newcomer("m-x", "org-a"))
        assert (town.state.epoch, len(town.names)) == (1, 5)
        town.check_shares()
        await town.hand_on(DropMember("m-b"))
        assert (town.state.dealing, len(town.names)) == (2, 4)
        town.check_shares()
        assert not town.refusals

    run(story())
