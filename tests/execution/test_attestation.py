"""An executor beside a member that goes from one epoch to the next: it signs with the share of the newest."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from alliance.client import revisions
from alliance.config.directory import Directory
from alliance.config.file import ATTESTATION, FILE
from alliance.execution.attestation import Attestation
from alliance.keys import shares
from alliance.keys.shares import Generation
from quorum import Endorsement, SnapshotStatement
from tests.alliance.conftest import Run
from tests.alliance.epochs import new_member, next_epoch
from tests.alliance.farm import PASSPHRASE, Farm

ME = 2


def snapshot(slot: int) -> SnapshotStatement:
    return SnapshotStatement(slot, 1, b"o" * 32, b"t" * 32, b"a" * 32)


@asynccontextmanager
async def attesting(farm: Farm, home: Path) -> AsyncIterator[Attestation]:
    """With real signers, in the member's folder."""
    shutil.copytree(farm.member_home(ME), home)
    attestation = Attestation(home, farm.config)
    await attestation.start(PASSPHRASE)
    life = asyncio.create_task(attestation.run())
    try:
        yield attestation
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life
        attestation.close()


def checked(farm: Farm, statement: SnapshotStatement, share: bytes | None) -> None:
    """It is the member's, by the verification keys of this epoch."""
    assert share is not None
    farm.config.attestation.verify_endorsement(Endorsement(statement, ME, share))


def test_it_signs_with_the_share_of_the_epoch_that_its_folder_has_come_to(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    """Whoever waits meanwhile gets the new one, and whoever has had one of the old gets another."""
    later, _ = next_epoch(farm, {0: new_member("seventh")})
    home = tmp_path / "home"

    async def scenario() -> None:
        async with attesting(farm, home) as attestation:
            checked(farm, snapshot(1), await attestation.sign(snapshot(1), proven=True))
            old = attestation._signer
            mine = {"agreement": later.endorsers[ME], ATTESTATION: later.attesters[ME]}
            shares.add_shares(home, Generation(1), mine, PASSPHRASE)
            (home / FILE).write_text(later.config.to_toml())
            shares.switch_to(home, Generation(1))
            shares.erase_shares(home, Generation(0))
            attestation.update(later.config)
            waiting = [asyncio.create_task(attestation.sign(snapshot(n), proven=True)) for n in (1, 2)]
            await asyncio.sleep(0)
            attestation._endorsed(0, snapshot(1), b"an answer of the old signer that is late", True)
            for number, task in enumerate(waiting, 1):
                checked(later, snapshot(number), await task)
            assert attestation.epoch == 1
            assert old._process is not None
            assert old._process.poll() is not None  # what knew the old share is gone

    run(scenario())


def test_whoever_works_beside_a_server_takes_its_alliance_toml_and_no_epoch_of_others(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the server would find itself in an epoch that it has not entered."""
    monkeypatch.setattr(revisions, "LOOK_SECONDS", 0.005)
    later, _ = next_epoch(farm, {0: new_member("seventh")})
    path = tmp_path / FILE
    path.write_text(farm.config.to_toml())

    async def scenario() -> None:
        directory = Directory(farm.config)
        follower = revisions.Follower(tmp_path, directory, lambda _: None, beside_server=True)  # type: ignore[arg-type,return-value]
        follower.heard(revisions.Membership(1, 0).named_in(revisions.pb.StatusReply()))
        assert (follower.newest, follower._task) == ((0, 0), None)
        reading = asyncio.create_task(follower.reread())
        for text in ("damaged", later.config.to_toml()):
            assert directory.config == farm.config
            (tmp_path / "new").write_text(text)
            (tmp_path / "new").replace(path)
            await asyncio.wait([reading], timeout=0.1)
        while directory.config != later.config:
            await asyncio.wait([reading], timeout=0.01)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    run(scenario())
