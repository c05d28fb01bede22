"""A desk beside a member that goes from one epoch to the next."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.errors import KeyFileError, NoLongerMember
from alliance.signing import Desk, renewal
from alliance.signing.renewal import Renewal
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.newcomers import moved


class Service:
    def __init__(self, desk: Desk) -> None:
        self.desk: Desk | None = desk


def test_it_has_the_shares_of_its_epoch_or_none(
    farm: Farm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old ones are dropped at once; the new ones may come late, and the folder be half written."""
    monkeypatch.setattr(renewal, "RETRY_SECONDS", 0.001)
    config = farm.config
    first, second, *rest = config.members
    later = replace(config, epoch=1, members=(second, first, *rest))
    answers: list[object] = [KeyFileError("half written"), None]
    seen: list[tuple[int, int]] = []

    def reopen(now: AllianceConfig, place: int) -> Desk | None:
        seen.append((now.epoch, place))
        answer = answers.pop(0) if answers else None
        if isinstance(answer, KeyFileError):
            raise answer
        return answer if isinstance(answer, Desk) else None

    async def scenario() -> None:
        directory, old = Directory(config), Desk(config, (), {})
        service = Service(old)
        life = asyncio.create_task(Renewal(service, directory, first.identity, reopen).run())
        directory.update(moved(config, 3, 4711))
        assert service.desk is old
        directory.update(later)
        assert service.desk is None
        while len(seen) < 3:
            await asyncio.wait([life], timeout=0.001)
        assert service.desk is None
        new = Desk(later, (), {})
        answers.append(new)
        while service.desk is not new:
            await asyncio.wait([life], timeout=0.001)
        assert set(seen) == {(1, 1)}
        directory.update(replace(later, epoch=2, members=(second, *rest)))
        assert service.desk is None
        with pytest.raises(NoLongerMember, match="no part in epoch 2"):
            await life

    run(scenario())
