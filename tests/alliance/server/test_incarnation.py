"""Nobody votes from an old disk or twice under one identity, and no lying peer can stop a correct member."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import grpc.aio
import pytest

from alliance.errors import IdentityConflict, JournalError
from alliance.net.channels import NotServed
from alliance.pb import peer_pb2 as pb
from alliance.server import incarnation as module
from alliance.server.gate import Gate, Seal
from alliance.server.incarnation import Doubt, Incarnation, farewell, passed_over_max
from alliance.server.latest_statements import LatestStatements, SignedStatement
from alliance.storage.journal import Journal
from alliance.storage.journal_records import STARTS_KEPT, Starts
from alliance.wire.bounds import Malformed
from fab_paxos.effects import EntryRecord, TruncateRecord, ViewRecord
from fab_paxos.messages import Message, NewView, Propose, Report
from quorum import (
    Context,
    GreetingStatement,
    IndividualStatement,
    ProposeStatement,
    QuorumSystem,
    ReportStatement,
    VoteStatement,
)
from tests.alliance.conftest import Run
from tests.alliance.farm import Chain, Farm
from tests.alliance.links import greeting, step

ME, PEER = 5, 0


class Member:
    """One start of a member on its own disk; ``words`` are those it heard."""

    def __init__(self, farm: Farm, index: int, disk: Path) -> None:
        self.index = index
        self.latest = LatestStatements(6)
        disk.mkdir(exist_ok=True)
        name = farm.config.members[index].name
        self.journal = Journal(disk / "journal.sqlite", farm.config.alliance_id, name)
        key = farm.members[index].signing_key
        try:
            self.incarnation = Incarnation(farm.config, index, key, self.journal, self.latest)
        except JournalError:
            self.journal.close()
            raise

    @property
    def settled(self) -> bool:
        return self.incarnation.settled.is_set()

    def end(self) -> None:
        self.journal.close()


@contextmanager
def started(farm: Farm, index: int, disk: Path) -> Iterator[Member]:
    member = Member(farm, index, disk)
    try:
        yield member
    finally:
        member.end()


class Pipe:
    """One direction of a stream."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[object] = asyncio.Queue()

    async def write(self, frame: object) -> None:
        self._frames.put_nowait(frame)

    async def read(self) -> object:
        return await self._frames.get()


async def meet(one: Member, other: Member) -> tuple[Exception | None, Exception | None]:
    """Both shake hands; what each of them raised. Whoever raises hangs up."""
    there, back = Pipe(), Pipe()

    async def side(member: Member, peer: Member, read: Pipe, write: Pipe) -> Exception | None:
        try:
            await member.incarnation.shake_hands(peer.index, read.read, write.write)
        except IdentityConflict as conflict:
            await write.write(step(farewell=conflict.unknown))
            return conflict
        except Exception as error:
            await write.write(grpc.aio.EOF)
            return error
        return None

    return tuple(await asyncio.gather(side(one, other, back, there), side(other, one, there, back)))  # type: ignore[return-value]


async def hear(member: Member, *frames: bytes, peer: int = PEER) -> None:
    """The member shakes hands with a peer that says just this, and then hangs up."""
    script: list[object] = [*frames, grpc.aio.EOF, grpc.aio.EOF]

    async def read() -> object:
        return script.pop(0)

    async def write(_: bytes) -> None:
        pass

    await member.incarnation.shake_hands(peer, read, write)


NOTHING, WELCOME = step(memory=pb.Memory()), step(welcome=pb.Welcome())


def shows(*words: SignedStatement) -> bytes:
    return step(memory=pb.Memory(statements=[word.encode() for word in words]))


def signed(
    farm: Farm, member: int, statement: IndividualStatement, context: Context | None = None
) -> SignedStatement:
    message = statement.encode(context or farm.config.context)
    return SignedStatement(statement, farm.members[member].signing_key.sign(message))


# -- settling ----------------------------------------------------------------------------------------


def test_a_start_is_settled_when_a_quorum_holds_it_durably(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me:
            for index in range(4):
                assert not me.settled
                with started(farm, index, tmp_path / f"{index}") as peer:
                    assert await meet(me, peer) == (None, None)
                    assert await meet(me, peer) == (None, None)  # once more, as after a broken link
                with started(farm, index, tmp_path / f"{index}") as peer:  # it is on its disk
                    held = peer.incarnation._held[ME]
                    assert held is not None
                    assert held.statement == GreetingStatement(ME, index, 1, me.incarnation._session)
            assert me.settled  # n - f = 5, itself included

    run(scenario())


def test_restarts_count_up_and_are_welcome(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        for number in range(1, 5):
            with started(farm, ME, tmp_path / "me") as me, started(farm, PEER, tmp_path / "peer") as peer:
                assert me.incarnation.number == peer.incarnation.number == number
                assert await meet(me, peer) == (None, None)

    run(scenario())


def test_a_lost_welcome_is_asked_for_again(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me, started(farm, PEER, tmp_path / "peer") as peer:
            hello = step(greeting=me.incarnation._greeting(PEER).encode())
            with pytest.raises(NotServed):
                await hear(peer, NOTHING, hello, peer=ME)
            assert peer.incarnation._known_by == {PEER}
            assert await meet(me, peer) == (None, None)
            assert me.incarnation._known_by == peer.incarnation._known_by == {ME, PEER}

    run(scenario())


def test_who_decides_alone_waits_for_nobody(farm: Farm, tmp_path: Path) -> None:
    class Alone:
        report = member_count = 1

    class Small:
        members = farm.config.members[:1]
        system = Alone()
        epoch = 0

    config: Any = Small()
    journal = Journal(tmp_path / "journal.sqlite", farm.config.alliance_id, "member-1")
    assert Incarnation(config, 0, farm.members[0].signing_key, journal, LatestStatements(1)).settled.is_set()
    journal.close()


def test_any_two_settled_starts_share_a_correct_witness() -> None:
    """Besides the member itself, which may have forgotten."""
    for faulty in range(7):
        for members in range(max(2, 5 * faulty + 1), 65):
            others, witnesses = members - 1, QuorumSystem(members, faulty).report - 1
            assert 2 * witnesses - others >= faulty + 1
            assert witnesses <= others - faulty  # and they are there, whoever fails


# -- old disks and copies ----------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [0, 1, 2, 5])
def test_a_disk_from_before_the_last_start_is_found(
    farm: Farm, tmp_path: Path, run: Run, offline: int
) -> None:
    """However often it was started alone meanwhile: its number may be higher then, but not its past."""

    async def scenario() -> None:
        with started(farm, PEER, tmp_path / "peer") as peer:
            with started(farm, ME, tmp_path / "me") as me:
                assert await meet(me, peer) == (None, None)
            shutil.copytree(tmp_path / "me", tmp_path / "old")
            for _ in range(2):
                with started(farm, ME, tmp_path / "me") as me:
                    assert await meet(me, peer) == (None, None)
            for _ in range(offline):
                Member(farm, ME, tmp_path / "old").end()
            with started(farm, ME, tmp_path / "old") as old:
                mine, theirs = await meet(old, peer)
                assert isinstance(mine, IdentityConflict)
                assert "its start number 3" in str(mine)
                assert isinstance(theirs, Doubt)
                assert not old.settled
            with started(farm, ME, tmp_path / "me") as me:  # the newest journal is still good
                assert await meet(me, peer) == (None, None)

    run(scenario())


def test_of_two_copies_the_second_one_to_greet_stops(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        Member(farm, ME, tmp_path / "me").end()
        shutil.copytree(tmp_path / "me", tmp_path / "copy")
        with (
            started(farm, PEER, tmp_path / "peer") as peer,
            started(farm, ME, tmp_path / "me") as me,
            started(farm, ME, tmp_path / "copy") as copy,
        ):
            assert me.incarnation.number == copy.incarnation.number
            assert await meet(me, peer) == (None, None)
            for _ in range(2):
                mine, _ = await meet(copy, peer)
                assert isinstance(mine, IdentityConflict)
            assert await meet(me, peer) == (None, None)

    run(scenario())


def test_two_copies_that_greet_at_once_are_told_apart(farm: Farm, tmp_path: Path, run: Run) -> None:
    """What a peer holds when it takes a greeting must be what it has shown before."""

    async def scenario() -> None:
        with started(farm, PEER, tmp_path / "peer") as peer:
            first = peer.incarnation._held[ME]
            peer.incarnation._take(ME, first, greeting(farm, ME, PEER, 3, b"1" * 32))
            with pytest.raises(NotServed, match="on another stream"):
                peer.incarnation._take(ME, first, greeting(farm, ME, PEER, 4, b"2" * 32))

    run(scenario())


def test_a_good_disk_is_not_locked_out_for_good(farm: Farm, tmp_path: Path, run: Run) -> None:
    """A peer that has heard nothing of it lets an old disk in, before the others come back and stop that. The
    good disk gets past this when it is started again, and votes once all the others know of it."""

    async def scenario() -> None:
        Member(farm, ME, tmp_path / "me").end()
        shutil.copytree(tmp_path / "me", tmp_path / "old")
        peers = [Member(farm, index, tmp_path / f"peer {index}") for index in range(5)]
        with started(farm, ME, tmp_path / "old") as old:
            assert await meet(old, peers[0]) == (None, None)
        with started(farm, ME, tmp_path / "me") as me:
            for peer in peers[1:]:
                assert await meet(me, peer) == (None, None)
            assert me.settled
            mine, _ = await meet(me, peers[0])
            assert isinstance(mine, IdentityConflict)
            assert "start this member again while all the others are up" in str(mine)
        with started(farm, ME, tmp_path / "me") as me:
            for peer in peers:
                assert not me.settled
                assert await meet(me, peer) == (None, None)
            assert me.settled
        with started(farm, ME, tmp_path / "me") as me:  # from now on it is as ever
            for peer in peers[:4]:
                assert await meet(me, peer) == (None, None)
            assert me.settled
        for _ in range(3):  # and the old one is not let in any more, however often it is started
            with started(farm, ME, tmp_path / "old") as old:
                verdicts = [await meet(old, peer) for peer in peers]
                assert not old.settled
        assert all(isinstance(mine, IdentityConflict) for mine, _ in verdicts[1:])
        for peer in peers:
            peer.end()

    run(scenario())


def test_a_start_that_two_peers_took_is_never_passed_over(farm: Farm, tmp_path: Path, run: Run) -> None:
    """It may have come to vote: by them, a liar, and one that was not asked."""

    async def scenario() -> None:
        Member(farm, ME, tmp_path / "me").end()
        shutil.copytree(tmp_path / "me", tmp_path / "old")
        peers = [Member(farm, index, tmp_path / f"peer {index}") for index in range(5)]
        with started(farm, ME, tmp_path / "old") as old:
            for peer in peers[:2]:
                assert await meet(old, peer) == (None, None)
        for attempt in range(4):
            with started(farm, ME, tmp_path / "me") as me:
                told = [(await meet(me, peer))[0] for peer in peers]
                conflicts = [one for one in told if one is not None]
                assert not me.settled
                assert all(isinstance(one, IdentityConflict) for one in conflicts)
                if attempt:
                    assert "start this member again" not in str(conflicts[-1])
        for peer in peers:
            peer.end()

    run(scenario())


def test_so_many_peers_may_be_passed_over() -> None:
    """The two inequalities of the argument: two starts would need more correct peers than there are."""
    for faulty in range(7):
        for members in range(5 * faulty + 1, 65):
            others, most = members - 1 - faulty, passed_over_max(QuorumSystem(members, faulty))
            assert most == faulty if members > 1 else most == 0
            assert members == 1 or others > 2 * most
            assert members == 1 or others - faulty > most


@pytest.mark.parametrize("seed", range(12))
def test_of_two_starts_that_settled_one_knows_the_other(
    farm: Farm, tmp_path: Path, run: Run, seed: int
) -> None:
    """Disks are copied, put back and started at random; one peer lies: it forgets, and welcomes everybody."""
    random = Random(seed)

    async def scenario() -> None:
        disks = [tmp_path / "disk 0"]
        settled: list[tuple[int, bytes, Starts]] = []
        forgetful = 4
        peers = [Member(farm, index, tmp_path / f"peer {index}") for index in range(5)]
        conflicts = 0
        for turn in range(16):
            disk = random.choice(disks[-3:])
            if disk.exists() and random.random() < 0.4:
                disks.append(tmp_path / f"disk {turn + 1}")
                shutil.copytree(disk, disks[-1])
            with started(farm, ME, disk) as me:
                for index in random.sample(range(5), random.choice((4, 5))):
                    if index == forgetful:
                        peers[index].incarnation._held[ME] = None
                    mine, _ = await meet(me, peers[index])
                    conflicts += isinstance(mine, IdentityConflict)
                    if mine is not None:
                        break
                if me.settled:
                    number, session = me.incarnation.number, me.incarnation._session
                    for other, token, starts in settled:
                        assert me.journal.starts.include(other, token) or starts.include(number, session)
                    settled.append((number, session, me.journal.starts))
        for peer in peers:
            peer.end()
        assert settled
        assert conflicts or len(disks) == 1

    run(scenario())


# -- words beyond the journal ------------------------------------------------------------------------


def said(farm: Farm, message: Message) -> SignedStatement:
    """This message as member 6 signs it and a peer's gate remembers it."""
    gate, seal = Gate(farm.config), Seal(farm.config, ME, farm.members[ME].signing_key)
    gate.admit(ME, seal.close(message))
    (word,) = gate.latest.furthest(ME)
    return word


def test_what_a_peer_heard_and_the_journal_does_not_know_is_a_conflict(
    farm: Farm, long_chain: Chain, tmp_path: Path, run: Run
) -> None:
    """The disk was put back to a moment within the last start: greetings do not show that, words do."""
    entries = long_chain.entries

    def vote(view: int, slot: int) -> SignedStatement:
        return signed(farm, ME, VoteStatement(view, slot, long_chain.root(slot)))

    leading = entries[3]
    proposal = replace(leading, view=5)  # member 6 leads view 5
    proposed = said(farm, Propose(5, proposal.slot, proposal.batch, proposal.root))
    reported = said(farm, Report(4, None, ()))
    opened = said(farm, NewView(5, (), ()))

    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me:
            me.journal.append([EntryRecord(entry) for entry in entries[:3]])
            me.journal.append(
                [TruncateRecord(0), EntryRecord(entries[0])]
            )  # the others are void, and yet were said
            for known in (vote(0, 1), vote(0, 2), vote(0, 3)):
                with pytest.raises(NotServed):
                    await hear(me, shows(known))
            for unknown in (vote(0, 4), vote(1, 1), proposed, reported, opened):
                with pytest.raises(IdentityConflict, match=r"its (vote|proposal) in view"):
                    await hear(me, shows(unknown))
            me.journal.append([ViewRecord(4, long_chain.election(3))])
            for known in (reported, vote(0, 4)):
                with pytest.raises(NotServed):
                    await hear(me, shows(known))
            for unknown in (vote(4, 1), proposed, opened):
                with pytest.raises(IdentityConflict):
                    await hear(me, shows(unknown))
            me.journal.append([ViewRecord(5, long_chain.election(4)), EntryRecord(proposal)])
            for known in (vote(4, 9), proposed, opened):
                with pytest.raises(NotServed):
                    await hear(me, shows(known))

    run(scenario())


def test_the_furthest_word_of_each_member_is_shown_to_it(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        with started(farm, PEER, tmp_path / "peer") as peer:
            gate = Gate(farm.config)
            peer.incarnation._latest = gate.latest
            for view, slot in [(0, 1), (0, 7), (2, 3), (0, 9), (2, 2)]:
                accepted = farm.accepted(view, slot, b"r" * 32, ME)
                gate.admit(ME, Seal(farm.config, ME, farm.members[ME].signing_key).close(accepted))
            forged = farm.accepted(9, 9, b"r" * 32, PEER)
            gate.admit(ME, Seal(farm.config, ME, farm.members[ME].signing_key).close(forged))
            with started(farm, ME, tmp_path / "me") as me:
                mine, _ = await meet(me, peer)
                assert isinstance(mine, IdentityConflict)
                assert "its vote in view 2, slot 3" in str(mine)
            with started(farm, 4, tmp_path / "other") as other:  # another's word is shown to nobody else
                assert await meet(other, peer) == (None, None)

    run(scenario())


def test_what_was_heard_outlives_lost_power(farm: Farm, long_chain: Chain, tmp_path: Path, run: Run) -> None:
    """All lose power at once. A peer wrote down with its own vote what it voted for: so it still shows it to
    the leader, whose disk has lost it and whose mark is as old."""
    entry = long_chain.entries[0]
    leader, key = 0, farm.members[0].signing_key

    async def scenario() -> None:
        with started(farm, leader, tmp_path / "leader"):
            pass
        shutil.copytree(tmp_path / "leader", tmp_path / "robbed")
        with (
            started(farm, PEER + 1, tmp_path / "peer") as peer,
            started(farm, leader, tmp_path / "leader") as one,
        ):
            one.journal.append([EntryRecord(entry)])
            gate = Gate(farm.config)
            peer.incarnation._latest = gate.latest
            proposal = Propose(entry.view, entry.slot, entry.batch, entry.root)
            gate.admit(leader, Seal(farm.config, leader, key).close(proposal))
            peer.journal.append([EntryRecord(entry)], gate.latest.take_news())
            assert gate.latest.take_news() == {}
        for disk in ("robbed", "leader"):
            with (
                started(farm, PEER + 1, tmp_path / "peer") as peer,
                started(farm, leader, tmp_path / disk) as one,
            ):
                mine, _ = await meet(one, peer)
            if disk == "leader":
                assert mine is None
            else:
                assert isinstance(mine, IdentityConflict)
                assert "its proposal in view 0, slot 1" in str(mine)

    run(scenario())


def test_the_furthest_proposal_and_vote_are_kept_apart(farm: Farm, long_chain: Chain, tmp_path: Path) -> None:
    """A vote that lies further does not take the proposal's place, and what lies less far takes nothing's."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, farm.config.alliance_id, "member-1")
    latest = LatestStatements(6)
    proposals = [ProposeStatement(0, slot, b"d" * 32, b"r" * 32) for slot in (2, 3, 1)]
    votes = [VoteStatement(1, slot, b"r" * 32) for slot in (5, 4)]
    for statement in (*proposals, *votes, ReportStatement(1, b"b" * 32)):
        latest.note(3, statement, b"s" * 64)
    assert [signed.statement for signed in latest.furthest(3)] == [proposals[1], votes[0]]
    assert latest.furthest(2) == []
    news = latest.take_news()
    assert set(news) == {"proposal of member 4 in epoch 0", "vote of member 4 in epoch 0"}
    journal.append([EntryRecord(long_chain.entries[0])], news)
    journal.close()
    journal = Journal(path, farm.config.alliance_id, "member-1")
    again = LatestStatements(6)
    again.recall(journal.kept)
    assert again.furthest(3) == latest.furthest(3)
    journal.close()


@pytest.mark.parametrize("note", [b"", b"\x41", b"\xff" * 150])
def test_a_note_of_what_was_heard_that_is_none_is_damage(farm: Farm, tmp_path: Path, note: bytes) -> None:
    with started(farm, ME, tmp_path / "me") as me:
        me.journal.keep("vote of member 1 in epoch 0", note)
    with pytest.raises(JournalError, match="is damaged: what it heard of others"):
        Member(farm, ME, tmp_path / "me")


# -- liars -------------------------------------------------------------------------------------------


def _lies(farm: Farm, me: Member) -> dict[str, bytes]:
    far, session = 99, b"x" * 32
    foreign = Context(b"o" * 32, farm.config.context.epoch)
    later = Context(farm.config.context.alliance_id, farm.config.context.epoch + 1)
    mine = GreetingStatement(ME, PEER, far, session)
    vote = VoteStatement(9, 9, session)
    genuine = me.incarnation._greeting(PEER)
    return {
        "signed by the peer": shows(signed(farm, PEER, mine)),
        "signed for another alliance": shows(signed(farm, ME, mine, foreign)),
        "signed for another epoch": shows(signed(farm, ME, mine, later)),
        "a vote signed by the peer": shows(signed(farm, PEER, vote)),
        "altered": shows(replace(genuine, statement=replace(genuine.statement, incarnation=far))),  # type: ignore[call-arg]
        "cut": step(
            memory=pb.Memory(statements=[pb.SignedStatement(tag=0x45, fields=b"", signature=bytes(64))])
        ),
        "of an unknown kind": step(
            memory=pb.Memory(statements=[pb.SignedStatement(tag=1, fields=bytes(48))])
        ),
        "of no signature": step(
            memory=pb.Memory(statements=[pb.SignedStatement(tag=0x41, fields=bytes(48))])
        ),
        "too many": shows(genuine, genuine, genuine, genuine),
        "junk": b"\xff\xff\xff",
        "nothing": step(),
        "another step": WELCOME,
    }


def test_a_lying_peer_cannot_stop_a_correct_member(farm: Farm, tmp_path: Path, run: Run) -> None:
    """Only the member's own signature counts, for its own alliance and epoch."""

    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me:
            for name, lie in _lies(farm, me).items():
                told = (await asyncio.gather(hear(me, lie), return_exceptions=True))[0]
                assert isinstance(told, Malformed), name
            with pytest.raises(NotServed):
                await hear(me, shows(me.incarnation._greeting(PEER)))  # its own and true: no reason to stop
            assert me.incarnation._known_by == {ME}

    run(scenario())


def test_a_peer_that_greets_wrongly_is_not_taken_for_anybody(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me:
            good = greeting(farm, PEER, ME, 7)
            for wrong in (
                greeting(farm, PEER, 1, 7),
                greeting(farm, 1, ME, 7),
                greeting(farm, ME, PEER, 7),
                signed(farm, 1, good.statement),
                signed(farm, PEER, VoteStatement(0, 1, b"r" * 32)),
                replace(good, signature=bytes(64)),
            ):
                with pytest.raises(Malformed):
                    await hear(me, NOTHING, step(greeting=wrong.encode()), WELCOME)
            for frames in ((NOTHING, NOTHING), (NOTHING, WELCOME), (NOTHING, step()), (WELCOME,)):
                with pytest.raises(Malformed):
                    await hear(me, *frames)
            assert me.incarnation._held[PEER] is None
            await hear(me, NOTHING, step(greeting=good.encode()), WELCOME)
            for stale in (greeting(farm, PEER, ME, 6), greeting(farm, PEER, ME, 7, b"t" * 32)):
                with pytest.raises(Doubt, match="was seen"):
                    await hear(me, NOTHING, step(greeting=stale.encode()), WELCOME)
            assert me.incarnation._held[PEER] == good
            with pytest.raises(Doubt, match="does not know I am two lines"):
                await hear(me, NOTHING, step(farewell="I am\ntwo lines" + "x" * 10_000))

    run(scenario())


def test_a_silent_peer_is_given_up(
    farm: Farm, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.01)

    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me:
            with pytest.raises(NotServed, match="no handshake within"):
                await me.incarnation.shake_hands(PEER, Pipe().read, Pipe().write)
            monkeypatch.setattr(module, "FAREWELL_SECONDS", 0.01)
            await farewell(Pipe().read, Pipe().write, IdentityConflict("", ""), 0)

    run(scenario())


def test_a_greeting_that_cannot_be_kept_is_not_acknowledged(farm: Farm, tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        with started(farm, ME, tmp_path / "me") as me:
            me.journal._db.execute("PRAGMA query_only = 1")
            with pytest.raises(JournalError, match="cannot be written"):
                await hear(me, NOTHING, step(greeting=greeting(farm, PEER, ME, 1).encode()), WELCOME)
            assert me.incarnation._known_by == {ME}

    run(scenario())


# -- the list of starts ------------------------------------------------------------------------------


def test_the_list_of_starts_is_bounded_and_in_doubt_generous() -> None:
    starts, sessions = Starts(), []
    for number in range(1, STARTS_KEPT + 11):
        sessions.append(number.to_bytes(32, "big"))
        starts = starts.next(sessions[-1])
    assert starts.newest == len(sessions)
    assert Starts.unpack(starts.pack()) == starts
    assert len(starts.pack()) == 8 + 32 * STARTS_KEPT
    for number, session in enumerate(sessions, 1):
        assert starts.include(number, session)
        assert starts.include(number, b"?" * 32) == (number <= 10)
    assert not starts.include(len(sessions) + 1, sessions[-1])
    for broken in (None, b"", starts.pack()[:-1], starts.pack()[:-32], Starts(3, b"s" * 32).pack()):
        with pytest.raises((ValueError, Exception)):
            Starts.unpack(broken)
