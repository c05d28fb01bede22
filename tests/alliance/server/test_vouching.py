"""The proof of a revision: made of the members' shares, whoever lies, or got from somebody who has it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from alliance.config.control import founded
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.config.membership import Membership
from alliance.net.admission import Admission
from alliance.net.channels import Channels, open_channel
from alliance.pb import client_pb2 as pb
from alliance.server import vouching as module
from alliance.server.vouching import FILE, Voucher
from alliance.storage import epochs
from alliance.storage.journal_epochs import EpochMembership
from alliance.wire.bounds import SHARE_BYTES_MAX
from alliance.wire.membership import MembershipProof, encode_proof, read_proof
from consensus.control.published import Published
from quorum import Context, InvalidCertificate, MembershipStatement
from tests.alliance.conftest import Run
from tests.alliance.doors import door
from tests.alliance.epochs import END, next_epoch, proof
from tests.alliance.farm import Chain, Farm
from tests.alliance.network import Office, Said, at, serving
from tests.alliance.server.test_arrival import Teller


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


def test_who_has_given_its_share_is_asked_for_the_whole(farm: Farm, tmp_path: Path, run: Run) -> None:
    """It has got there with the share of one that has left since; the others are silent."""
    statement, membership = revision(farm.config, 1)

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            last, first = Member(farm, 0, tmp_path / "m0"), Member(farm, 1, tmp_path / "m1")
            stack.push_async_callback(last.close)
            stack.push_async_callback(first.close)
            members = list(farm.config.members)
            members[1] = at(farm.config, 1, await stack.enter_async_context(serving(farm, 1, first.office)))
            last.directory._config = replace(farm.config, members=tuple(members))
            first.voucher.vouch(statement, membership)
            last.voucher.vouch(statement, membership)
            await last.voucher._ask(members[1])
            assert set(last.voucher._shares) == {0, 1}
            first.voucher._accept(MembershipProof(farm.certify(statement), membership))
            task = asyncio.create_task(last.voucher.run())
            await asyncio.wait_for(proven(last), 5.0)
            assert last.voucher.proof == first.voucher.proof
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(scenario())


def test_who_is_removed_and_has_vouched_is_told_though_nobody_gives_it_shares_any_more(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    """The others have gone over: to them it is a former member, which may ask who takes part and no more."""
    statement, membership = revision(farm.config, 1)

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            removed, other = Member(farm, 0, tmp_path / "m0"), Member(farm, 1, tmp_path / "m1")
            stack.push_async_callback(removed.close)
            stack.push_async_callback(other.close)
            now = replace(farm.config, members=farm.config.members[1:])
            admission = Admission(now, former=farm.config.members[:1])
            other.office.service._identities = admission.identities
            port = await stack.enter_async_context(serving(farm, 1, other.office, admission=admission))
            members = list(farm.config.members)
            members[1] = at(farm.config, 1, port)
            removed.directory._config = replace(farm.config, members=tuple(members))
            removed.voucher.vouch(statement, membership)
            other.voucher._accept(MembershipProof(farm.certify(statement), membership))
            await removed.voucher._ask(members[1])
            assert removed.voucher.proof == other.voucher.proof

    run(scenario())


def test_who_moves_or_is_removed_while_it_is_to_be_asked_ends_nothing(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    """Another revision takes effect in the very turn in which a round begins."""

    async def scenario() -> None:
        member = Member(farm, 0, tmp_path / "m0")
        member.voucher.vouch(*revision(farm.config, 1))
        before = member.voucher._others()
        for new in ("localhost:1", None):
            members = list(farm.config.members)
            if new is None:
                del members[1]
            else:
                members[1] = replace(members[1], address=new)
            member.directory._config = replace(farm.config, members=tuple(members))
            await member.voucher._ask(before[0])  # nobody is there
        await member.close()

    run(scenario())


def test_a_liar_that_names_later_epochs_makes_nobody_flood_the_others(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens link after link; the others would answer for it."""

    async def scenario() -> None:
        member, asked = Member(farm, 0, tmp_path / "m0"), list[Any]()

        async def note(party: Any) -> None:
            asked.append(party)

        monkeypatch.setattr(member.voucher, "_ask_for_newer", note)
        task = asyncio.create_task(member.voucher.run())
        for _ in range(100):
            member.voucher.seek()
            await asyncio.sleep(0)
        assert len(asked) == 5
        monkeypatch.setattr(module, "SEEK_SECONDS", 0.0)
        member.voucher.seek()
        while len(asked) < 10:  # noqa: ASYNC110 - until the last
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await member.close()

    run(scenario())


def test_a_file_that_was_altered_is_made_anew(farm: Farm, tmp_path: Path) -> None:
    statement, membership = revision(farm.config, 1)
    good = MembershipProof(farm.certify(statement), membership).encode()
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


# -- what comes in is spoilt ---------------------------------------------------------------------------


def lies(farm: Farm, author: int, statement: MembershipStatement) -> list[bytes]:
    """Replies of a member in which no share of it on that statement is."""

    def share(said: MembershipStatement, context: Context | None = None, by: int = author) -> bytes:
        return farm.endorsers[by].endorse(said.encode(context or farm.config.context), proven=True)

    true, ours = share(statement), farm.config.context
    foreign = (
        share(statement, by=author + 1),
        share(replace(statement, revision=2)),
        share(replace(statement, next_epoch=1)),
        share(replace(statement, config_digest=bytes(32))),
        share(statement, Context(ours.alliance_id, ours.epoch + 1)),
        share(statement, Context(b"o" * 32, ours.epoch)),
    )
    altered = (bytes([*true[:at], true[at] ^ 1, *true[at + 1 :]]) for at in range(0, len(true), 200))
    sizes = (b"", true[:-1], true + b"\0", bytes(len(true)), true + bytes(SHARE_BYTES_MAX))
    replies = (pb.MembershipShareReply(share=lie) for lie in (*foreign, *altered, *sizes))
    return [b"junk", *(reply.SerializeToString() for reply in replies)]


def test_no_share_is_counted_but_the_member_s_own_on_this_revision(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            member, liar = Member(farm, 0, tmp_path / "m0"), Said("MembershipShare", b"")
            stack.push_async_callback(member.close)
            port = await stack.enter_async_context(serving(farm, 1, liar))
            members = list(farm.config.members)
            members[1] = at(farm.config, 1, port)
            member.directory._config = replace(farm.config, members=tuple(members))
            statement, membership = revision(farm.config, 1)
            member.voucher.vouch(statement, membership)
            replies = lies(farm, 1, statement)
            assert len(replies) > 12
            for reply in replies:
                liar.answer = reply
                await member.voucher._ask(members[1])
                assert set(member.voucher._shares) == {0}
            true = farm.endorsers[1].endorse(statement.encode(farm.config.context), proven=True)
            liar.answer = pb.MembershipShareReply(share=true).SerializeToString()
            await member.voucher._ask(members[1])
            assert set(member.voucher._shares) == {0, 1}

    run(scenario())


def test_a_share_is_for_members_and_for_the_revision_that_it_is_on(
    farm: Farm, tmp_path: Path, run: Run
) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            member = Member(farm, 0, tmp_path / "m0")
            stack.push_async_callback(member.close)
            port = await stack.enter_async_context(serving(farm, 0, member.office))
            member.voucher.vouch(*revision(farm.config, 1))

            async def asked(by: Any, epoch: int, number: int) -> bytes:
                async with open_channel(at(farm.config, 0, port), by) as channel:
                    ask = door(channel, "MembershipShare", "unary_unary", pb.MembershipShareReply)
                    reply = await ask(pb.MembershipShareRequest(epoch=epoch, revision=number))
                    return bytes(reply.share)

            assert member.voucher._share
            assert await asked(farm.members[1], 0, 1) == member.voucher._share
            for epoch, number in ((0, 0), (0, 2), (1, 1), (1, 0), (2**64 - 1, 1), (0, 2**64 - 1)):
                assert await asked(farm.members[1], epoch, number) == b""
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(farm.clients[0], 0, 1)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

    run(scenario())


def test_no_older_proof_takes_the_place_of_a_newer_one(farm: Farm, tmp_path: Path, run: Run) -> None:
    """A liar answers with what was true before, whatever is asked: here and in the file the newest stays."""

    def made(number: int) -> MembershipProof:
        statement, membership = revision(farm.config, number)
        return MembershipProof(farm.certify(statement), membership)

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            member, liar = Member(farm, 0, tmp_path / "m0"), Teller([], [])
            stack.push_async_callback(member.close)
            peer = at(farm.config, 1, await stack.enter_async_context(serving(farm, 1, liar)))
            for number, newest in ((3, 3), (1, 3), (2, 3), (3, 3), (4, 4), (3, 4)):
                liar.parts = [part.SerializeToString() for part in encode_proof(made(number))]
                await member.voucher._ask_for_newer(peer)
                assert member.voucher.proof == made(newest)
                assert (tmp_path / "m0" / FILE).read_bytes() == made(newest).encode()
            assert liar.asked == ["membership"] * 6

    run(scenario())


def test_a_liar_is_not_asked_for_the_whole_over_and_over(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it answers is long, and names another epoch each time it opens a link."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            member, liar = Member(farm, 0, tmp_path / "m0"), Teller([], [])
            stack.push_async_callback(member.close)
            peer = at(farm.config, 1, await stack.enter_async_context(serving(farm, 1, liar)))
            statement, membership = revision(farm.config, 1)
            good = MembershipProof(farm.certify(statement), membership)
            false = replace(good, certificate=replace(good.certificate, signature=bytes(256)))
            liar.parts = [part.SerializeToString() for part in encode_proof(false)]
            for _ in range(3):
                await member.voucher._ask_for_newer(peer)
            assert liar.asked == ["membership"]
            liar.parts = [part.SerializeToString() for part in encode_proof(good)]
            monkeypatch.setattr(module, "REFUTED_SECONDS", 0.0)
            await member.voucher._ask_for_newer(peer)
            assert member.voucher.proof == good

    run(scenario())


def test_a_membership_is_told_to_whoever_has_an_older_one(farm: Farm, tmp_path: Path, run: Run) -> None:
    """Whatever is asked, it is the newest that is proven, or none."""
    statement, membership = revision(farm.config, 3)

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            member = Member(farm, 0, tmp_path / "m0")
            stack.push_async_callback(member.close)
            port = await stack.enter_async_context(serving(farm, 0, member.office))
            channel = await stack.enter_async_context(open_channel(at(farm.config, 0, port), farm.clients[0]))
            ask = door(channel, "GetMembership", "unary_stream", pb.MembershipPart)

            async def told(epoch: int, number: int) -> MembershipProof | None:
                request = pb.MembershipRequest(have_epoch=epoch, have_revision=number)
                return await read_proof(ask(request))

            assert await told(0, 0) is None
            member.voucher.proof = MembershipProof(farm.certify(statement), membership)
            for older in ((0, 0), (0, 2)):
                assert await told(*older) == member.voucher.proof
            for newer in ((0, 3), (0, 4), (0, 2**64 - 1), (1, 0), (2**64 - 1, 0), (2**64 - 1, 2**64 - 1)):
                assert await told(*newer) is None

    run(scenario())


def test_who_comes_from_an_earlier_epoch_is_told_how_the_newest_began(
    farm: Farm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A member enters it from there; who is in it already is told the newest revision."""
    (new, begun), (_, revised) = next_epoch(farm), next_epoch(farm, revision=3)
    first, newest = proof(farm, new, begun), proof(new, new, revised)
    epochs.keep(tmp_path, new.config, EpochMembership(begun.config, first.certificate))
    nobody: Any = None
    voucher = Voucher(tmp_path, Directory(new.config), 0, nobody, nobody)
    assert voucher.told(Membership(0, 0)) is None
    voucher._accept(first)
    voucher._accept(newest)
    again = Voucher(tmp_path, Directory(new.config), 0, nobody, nobody)
    again.start(1, 3)  # from the folder
    for one in (voucher, again):
        assert one.told(Membership(0, 2**64 - 1)) == one.told(Membership(0, 0)) == first
        assert one.told(Membership(1, 0)) == one.told(Membership(1, 2)) == newest
        assert one.told(Membership(1, 3)) is None
        assert one.told(Membership(2, 0)) is None
    shutil.rmtree(tmp_path / epochs.FOLDER)
    last = Voucher(tmp_path, Directory(new.config), 0, nobody, nobody)
    last.start(1, 3)
    assert last.told(Membership(0, 0)) == newest  # of use to clients, at least
    assert "nobody can be told how epoch 1 began" in caplog.text


def test_no_liar_has_a_member_keep_a_proof_that_others_cannot_follow(farm: Farm, tmp_path: Path) -> None:
    """Its certificate is right, and how the keys changed is left out, or is something else.

    Who kept it could not enter the epoch, nor show it to those who come from an earlier one.
    """
    (new, begun), nobody = next_epoch(farm, stock=1), cast(Any, None)
    later, after = next_epoch(new, stock=1, start=2 * END)
    first, second = proof(farm, new, begun), proof(new, later, after, slot=2 * END)
    voucher = Voucher(tmp_path, Directory(farm.config), 0, nobody, nobody)
    with pytest.raises(InvalidCertificate):
        voucher._accept(replace(first, changes=()))
    voucher._accept(first)
    assert voucher.proof == first == MembershipProof.decode((tmp_path / FILE).read_bytes())
    (change,) = first.changes
    forged = replace(change, certificate=replace(change.certificate, signature=bytes(256)))
    for number, changes in enumerate(((), (forged,), (change, change))):
        folder = tmp_path / str(number)
        folder.mkdir()
        entered = Voucher(folder, Directory(new.config), 0, nobody, nobody)
        entered._accept(replace(second, changes=changes))
        assert entered.told(Membership(0, 0)) == second
        second.verify(farm.config.scheme)
        again = MembershipProof.decode((folder / FILE).read_bytes())
        assert again == second


def test_who_is_a_stranger_to_more_members_than_may_lie_is_told_what_that_may_mean(
    farm: Farm, tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Of one that was removed two epochs ago nobody knows any more; one alone may say so of anybody."""
    stay = farm.config.members[1:]

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            members = [Member(farm, me, tmp_path / f"m{me}") for me in range(3)]
            ports = list[int]()
            for me, one in enumerate(members):
                stack.push_async_callback(one.close)
                ports.append(await stack.enter_async_context(serving(farm, me, one.office)))
            there = [at(farm.config, me, ports[me]) for me in range(3)]
            asking, (_, *others) = members[0], there
            asking.directory._config = replace(farm.config, members=(*there, *farm.config.members[3:]))

            async def seek(*denying: Member) -> None:
                for one in members[1:]:
                    known = stay if one in denying else farm.config.members
                    one.office.service._identities.update(replace(farm.config, members=known))
                await asyncio.gather(*(asking.voucher._ask_for_newer(party) for party in others))
                asking.voucher._tell_whether_denied()

            await seek(members[1])
            assert not caplog.messages
            for _ in range(2):
                await seek(*members[1:])
            (told,) = caplog.messages
            assert told.startswith("member-2, member-3 serve this member no longer: it may have been removed")
            await seek()
            assert not asking.voucher._told_denied

    run(scenario())
