"""The proof of a revision: made of the members' shares, whoever lies, or got from somebody who has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alliance.config.control import founded
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.net.channels import Channels
from alliance.server import vouching as module
from alliance.server.vouching import FILE, Voucher
from consensus.control.published import Published
from quorum import MembershipStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Office, at, serving


class Member:
    """A voucher and its server; ``bend`` is what it does to its share."""

    def __init__(
        self, farm: Farm, me: int, folder: Path, bend: Callable[[bytes], bytes] = lambda share: share
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._farm, self._me, self._bend = farm, me, bend
        self.directory = Directory(farm.config)
        self.channels = Channels(farm.members[me])
        self.voucher = Voucher(folder, self.directory, me, self.channels, self._endorse)
        self.office = Office(folder / "journal.sqlite", Chain(farm), me)
        self.office.service._voucher = self.voucher

    def _endorse(self, statement: MembershipStatement) -> None:
        message = statement.encode(self._farm.config.context)
        share = self._farm.endorsers[self._me].endorse(message, proven=True)
        self.voucher.endorsed(statement, self._bend(share))

    async def close(self) -> None:
        await self.channels.close()
        self.office.journal.close()


def revision(config: AllianceConfig, number: int) -> tuple[MembershipStatement, Published]:
    membership = Published.of(replace(founded(config), revision=number))
    return MembershipStatement(0, number, 128, b"r" * 32, bytes(32), membership.digest), membership


async def proven(*members: Member) -> None:
    """Until all of them have the proof of what they want."""
    while not all(member.voucher._has(member.voucher._wanted) for member in members):  # noqa: ASYNC110 - until the last
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", (0.01, 0.05))


def test_members_make_it_together_and_a_liar_changes_nothing(farm: Farm, tmp_path: Path, run: Run) -> None:
    """Five of six are needed: one gives a share on something else, and one comes late."""

    def spoilt(share: bytes) -> bytes:
        return bytes([*share[:-1], share[-1] ^ 1])

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            bends: dict[int, Any] = {5: spoilt}
            members = [
                Member(farm, me, tmp_path / f"m{me}", *filter(None, [bends.get(me)])) for me in range(6)
            ]
            ports = [
                await stack.enter_async_context(serving(farm, me, one.office))
                for me, one in enumerate(members)
            ]
            config = replace(farm.config, members=tuple(at(farm.config, me, ports[me]) for me in range(6)))
            for member in members:
                stack.push_async_callback(member.close)
                member.directory._config = config
            tasks = [asyncio.create_task(member.voucher.run()) for member in members]
            statement, membership = revision(farm.config, 1)
            for member in members[1:]:
                member.voucher.vouch(statement, membership)
            honest = members[1:5]
            assert not any(member.voucher.proof for member in honest)
            members[0].voucher.vouch(statement, membership)
            await proven(*members[:5])
            for member in members[:5]:
                assert member.voucher.proof is not None
                assert member.voucher.proof.membership == membership
                member.voucher.proof.verify(farm.config.scheme)
            # One that was away when it took effect has no share of its own: it gets the whole from another.
            late = Member(farm, 2, tmp_path / "late")
            stack.push_async_callback(late.close)
            late.directory._config = config
            late.voucher.start(0, 1)
            tasks.append(asyncio.create_task(late.voucher.run()))
            await proven(late)
            # And finds it in its folder the next time.
            again = Member(farm, 2, tmp_path / "late2")
            stack.push_async_callback(again.close)
            (tmp_path / "late2" / FILE).write_bytes((tmp_path / "late" / FILE).read_bytes())
            again.voucher.start(0, 1)
            assert again.voucher.proof == late.voucher.proof
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(scenario())


def test_a_file_that_was_altered_is_made_anew(farm: Farm, tmp_path: Path) -> None:
    statement, membership = revision(farm.config, 1)
    good = module.MembershipProof(farm.certify(statement), membership).encode()
    for number, bad in enumerate(
        (b"", good[:-1], good[:40] + b"?" + good[41:], good.replace(b"127", b"128"))
    ):
        member = Member(farm, 0, tmp_path / str(number))
        (tmp_path / str(number) / FILE).write_bytes(bad)
        member.voucher.start(0, 1)
        assert member.voucher.proof is None
        member.office.journal.close()
    (tmp_path / FILE).write_bytes(good)
    whole = Voucher(tmp_path, Directory(farm.config), 0, Channels(farm.members[0]), lambda _: None)
    whole.start(0, 1)
    assert whole.proof is not None
