"""Arriving in a later epoch: what a signature and a checkpoint prove is taken, whoever lies or is silent."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.client import brought_state, revisions
from alliance.config import file as config_file
from alliance.config.control import current, founded
from alliance.config.file import FILE, AllianceConfig
from alliance.config.parties import Member, Party
from alliance.errors import NoLongerMember
from alliance.keys import handover, shares
from alliance.keys.handover import Received
from alliance.keys.revision import load_founded
from alliance.keys.shares import Generation
from alliance.net.channels import GREETING
from alliance.pb.client_pb2 import ListenRequest, MembershipPart
from alliance.pb.peer_pb2 import LogFrame
from alliance.server import arrival
from alliance.server.arrival import arrive, takes_part
from alliance.server.successor import Successor
from alliance.storage import epoch_entry, epochs
from alliance.storage.history import History
from alliance.storage.journal import Journal
from alliance.wire.checkpoints import encode_offer, encode_part
from alliance.wire.membership import MembershipProof, encode_proof
from consensus.control import ControlState
from consensus.control.changes import Change, ChangeKind
from consensus.control.operations import Suspend
from consensus.control.pending import ApprovedChange
from consensus.control.published import Published
from consensus.control.transcript import transcript_digest
from fab_paxos.effects import EntryRecord, ProvenRecord, SnapshotRecord
from quorum import AcceptedStatement, Context, MembershipStatement, QuorumCertificate
from tests.alliance.conftest import Run
from tests.alliance.farm import MEMBERS, PASSPHRASE, Chain, Farm
from tests.alliance.frame_lies import wire
from tests.alliance.keys.generations import endorsers
from tests.alliance.network import Doors, Office, serving
from tests.alliance.newcomers import newcomer
from tests.worlds.founding import KEY_BITS, dealt
from verifiable_log import Batch
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.merkle import Frontier
from verifiable_log.ordering_state import Checkpoint, Snapshot

ME = 5
"""Who slept."""
END, LATER = 6, 12
"""The last slot of epoch 0, and that of a checkpoint in a later epoch."""


def in_epoch(farm: Farm, epoch: int) -> Context:
    return replace(farm.config.context, epoch=epoch)


def ended(config: AllianceConfig) -> ControlState:
    """The state at END, with which epoch 0 ends."""
    change = Change(ChangeKind.LIGHT, 0, bytes(32), 0, 0, (Suspend("member-2"),))
    scheduled = (ApprovedChange(b"c" * 32, change, 1),)
    return replace(founded(config), slot=END, end=END, scheduled=scheduled)


@dataclass(frozen=True)
class Epoch:
    """What members of an epoch show of it: as it was when it began behind ``start``, and a checkpoint."""

    proof: MembershipProof
    checkpoint: Checkpoint
    decision: QuorumCertificate
    cover: tuple[bytes, ...] = ()

    @property
    def parts(self) -> list[bytes]:
        return [part.SerializeToString() for part in encode_proof(self.proof)]

    @property
    def frames(self) -> list[bytes]:
        snapshot, certificate = self.checkpoint.snapshot, self.checkpoint.certificate
        offer = Offer(certificate, snapshot.frontier.peaks, snapshot.leaves, self.decision, self.cover)
        part = StatePart(snapshot.slot, 0, snapshot.state)
        frames = LogFrame(offer=encode_offer(offer)), LogFrame(state_part=encode_part(part))
        return [frame.SerializeToString() for frame in frames]


def with_state(chain: Chain, slot: int, state: ControlState) -> Snapshot:
    snapshot = chain.snapshot(slot)
    return replace(snapshot, state=(*snapshot.state, *state.items()))


def certified(chain: Chain, slot: int, epoch: int) -> QuorumCertificate:
    farm = chain.farm
    return farm.certify(AcceptedStatement(0, slot, chain.root(slot)), in_epoch(farm, epoch))


def begun(chain: Chain, state: ControlState, at_end: Snapshot, keys: tuple[Any, ...] = ()) -> MembershipProof:
    """The proof of the epoch that ``state`` begins."""
    said, membership = at_end.statement, Published.of(state)
    head = state.epoch, 0, said.slot, said.root, said.state_digest
    statement = MembershipStatement(*head, membership.digest)
    context = in_epoch(chain.farm, state.epoch - 1)
    return MembershipProof(chain.farm.certify(statement, context), membership, keys)


def light(chain: Chain) -> Epoch:
    """Epoch 1, whose members show the checkpoint with which it began."""
    state = ended(chain.farm.config)
    snapshot = with_state(chain, END, state)
    proof = begun(chain, state.next_epoch(), snapshot)
    return Epoch(proof, Checkpoint(snapshot, proof.certificate), certified(chain, END, 0))


def later(chain: Chain, epoch: int, dealing: int = 0) -> Epoch:
    """An epoch that has taken a checkpoint since it began, also at END."""
    farm = chain.farm
    system, before = farm.config.system, (farm.config.key, farm.config.purpose_keys[0][1])
    keys = tuple(
        dealt(system, key.threshold, KEY_BITS, place=place, dealing=dealing)[0][0]
        for place, key in enumerate(before)
    )
    digest = transcript_digest([key.to_bytes() for key in keys]) if dealing else bytes(32)
    state = replace(
        ended(farm.config).next_epoch(), epoch=epoch, dealing=dealing, transcript_digest=digest, start=END
    )
    proof = begun(chain, state, chain.snapshot(END), keys if dealing else ())
    snapshot = with_state(chain, LATER, replace(state, slot=LATER, revision=3))
    checkpoint = Checkpoint(snapshot, farm.certify(snapshot.statement, in_epoch(farm, epoch)))
    top = len(chain.entries)
    return Epoch(proof, checkpoint, certified(chain, top, epoch), chain.log.right_cover(LATER, top))


class Teller:
    """A server that answers with these bytes: who takes part, and a checkpoint with its state."""

    def __init__(
        self, parts: list[bytes], frames: list[bytes], log: Sequence[bytes] = (), *, hangs: bool = False
    ) -> None:
        """``frames`` are of the checkpoint, ``log`` of the log."""
        self.parts, self.frames, self.log, self.hangs = parts, frames, log, hangs
        self.asked: list[str] = []

    @classmethod
    def of(cls, epoch: Epoch) -> Teller:
        return cls(epoch.parts, epoch.frames)

    def serve(self, server: Any) -> None:
        handlers = {
            "GetMembership": grpc.unary_stream_rpc_method_handler(self._membership),
            "Listen": grpc.unary_stream_rpc_method_handler(self._listen),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("alliance.v1.Client", handlers),)
        )

    async def _membership(self, _: bytes, context: Any) -> None:
        self.asked.append("membership")
        for part in self.parts:
            await context.write(part)

    async def _listen(self, request: bytes, context: Any) -> None:
        with_state = ListenRequest.FromString(request).with_state
        self.asked.append("state" if with_state else "log")
        await context.send_initial_metadata(GREETING)
        for frame in self.frames if with_state else self.log:
            await context.write(frame)
        if self.hangs:
            await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brought_state, "PART_SECONDS", 0.2)
    monkeypatch.setattr(revisions, "ASK_SECONDS", 1.0)


@pytest.fixture
def home(farm: Farm, tmp_path: Path) -> Path:
    """The folder of the member that slept, with its shares of the founding."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / FILE).write_text(farm.config.to_toml())
    shares.write_shares(folder, 0, endorsers(Generation(0)), PASSPHRASE)
    return folder


class Way:
    """Channels by members' names, as ``arrive`` opens them."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def to(self, member: Member) -> Any:
        return self._doors.channel(self._doors.config.members[MEMBERS.index(member.name)])


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


Come = Callable[..., Successor | None]


@pytest.fixture
def come(farm: Farm, home: Path, run: Run) -> Come:
    """Arrives where these servers are up; ``epoch`` is the journal's."""

    def come(
        servers: dict[int, Any],
        epoch: int = 0,
        config: AllianceConfig | None = None,
        here: Frontier | None = None,
    ) -> Any:
        async def scenario() -> Successor | None:
            async with AsyncExitStack() as stack:
                ports = {
                    at: await stack.enter_async_context(serving(farm, at, one)) for at, one in servers.items()
                }
                doors = await stack.enter_async_context(Doors(farm, ports, farm.members[ME]))
                now = config or farm.config
                return await arrive(home, now, farm.config.members[ME], Way(doors), epoch, here)

        before = contents(home)
        found = run(scenario())
        assert contents(home) == before  # it only looks
        return found

    return come


@pytest.fixture
def journal(farm: Farm, home: Path) -> Iterator[Journal]:
    journal = Journal(home / "journal.sqlite", farm.config.alliance_id, MEMBERS[ME])
    yield journal
    journal.close()


def test_who_slept_through_the_end_goes_on_from_there(
    farm: Farm, long_chain: Chain, home: Path, come: Come, journal: Journal
) -> None:
    epoch = light(long_chain)
    found = come({0: Teller.of(epoch), 3: Teller.of(epoch)})
    assert found is not None
    assert found.config == current(farm.config, epoch.proof.membership)
    assert (found.config.epoch, found.config.terms.suspended) == (1, ("member-2",))
    assert found.record.checkpoint == epoch.checkpoint
    assert found.record.shares is None
    epoch_entry.enter(home, found.config, found.record, journal)
    replayed = journal.replay()
    assert (journal.epoch, replayed.state.start, replayed.log.size) == (1, END, END)
    assert (
        epoch_entry.resume(home, AllianceConfig.from_toml((home / FILE).read_text()), journal) == found.config
    )
    assert come({0: Teller.of(epoch), 3: Teller.of(epoch)}, epoch=1, config=found.config) is None


def test_a_member_serves_it_all(farm: Farm, tmp_path: Path, come: Come) -> None:
    """As the services of a member do, whose newest certificate is that of the end."""
    chain = Chain(farm).grow(END)
    epoch = light(chain)
    offices = {at: Office(tmp_path / f"{at}.sqlite", chain, at) for at in (0, 1)}
    for office in offices.values():
        office.tell_all()
        office.history.checkpoint = epoch.checkpoint
        office.voucher.proof = epoch.proof
    found = come(offices, here=chain.frontiers[2])
    assert found is not None
    assert found.record.checkpoint == epoch.checkpoint
    assert found.record.decision == chain.certificate(END)
    assert [entry.batch for entry in found.between or ()] == [entry.batch for entry in chain.entries[2:]]
    for office in offices.values():
        office.journal.close()


def test_epoch_offer_after_next_checkpoint(
    long_chain: Chain, home: Path, come: Come, journal: Journal
) -> None:
    """Its members have pruned the end of the epoch before: a later checkpoint of theirs will do."""
    epoch = later(long_chain, 1)
    found = come({0: Teller.of(epoch), 3: Teller.of(epoch)})
    assert found is not None
    epoch_entry.enter(home, found.config, found.record, journal)
    replayed = journal.replay()
    assert (journal.epoch, replayed.state.start, replayed.log.size) == (1, END, LATER)


@pytest.mark.parametrize("up_to_date", [(0, 2), (1, 4)])
def test_epoch_member_sleeps_two(long_chain: Chain, come: Come, up_to_date: tuple[int, int]) -> None:
    """The newest is taken, though some still know the one before, whoever answers last."""
    first, second = light(long_chain), later(long_chain, 2)
    found = come({at: Teller.of(second if at in up_to_date else first) for at in range(5)})
    assert found is not None
    assert found.config.epoch == 2
    assert found.record.checkpoint == second.checkpoint


def test_epoch_full_then_light_sleeper(farm: Farm, long_chain: Chain, home: Path, come: Come) -> None:
    """It was dealt to in an epoch that it never saw; what it holds of those dealings counts now."""
    epoch = later(long_chain, 2, dealing=1)
    tellers = {0: Teller.of(epoch), 3: Teller.of(epoch)}

    def counting() -> Generation | None:
        found = come(tellers)
        assert found is not None
        assert (found.config.epoch, found.config.dealing) == (2, 1)
        assert found.config.key != farm.config.key
        return found.record.shares

    assert counting() is None  # it has none, and waits for them
    agreed = epoch.proof.membership.transcript
    for attempt, transcript in enumerate((b"o" * 32, agreed, b"o" * 32)):
        handover.note_received(home, Generation(1, attempt), Received(transcript, b"r" * 32))
    assert counting() is None  # it was stopped between the note and the shares
    for attempt in range(3):
        shares.add_shares(home, Generation(1, attempt), endorsers(Generation(1)), PASSPHRASE)
    assert counting() == Generation(1, 1)
    shares.switch_to(home, Generation(1, 1))
    assert counting() is None  # they do already


def without_me(long_chain: Chain, other: Party) -> dict[int, Teller]:
    """Members that prove an epoch in which its name has another identity, as after the loss of a disk."""
    state = ended(long_chain.farm.config).next_epoch()
    certificate = other.certificate.public_bytes(Encoding.DER)
    rows = list(state.directory.members)
    bare = {"receiver": b"", "receiver_signature": bytes(64)}
    rows[ME] = replace(rows[ME], identity=other.identity, certificate=certificate, **bare)
    state = replace(state, directory=replace(state.directory, members=tuple(rows)))
    proof = begun(long_chain, state, long_chain.snapshot(END))
    told = [part.SerializeToString() for part in encode_proof(proof)]
    return {at: Teller(told, []) for at in (0, 3)}


class Looked(Exception):
    """It has looked once."""


def test_a_member_to_be_is_none_of_the_epoch_before_its_own(
    long_chain: Chain, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first epoch has begun by the log, and is not certified yet: it keeps its shares, and waits."""
    farm, looked, kept = long_chain.farm, list[Successor | None](), shares.pieces(home)

    async def look(*arguments: Any) -> None:
        looked.append(await arrive(*arguments))
        raise Looked

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            servers = without_me(long_chain, newcomer(MEMBERS[ME]).party)
            ports = {
                at: await stack.enter_async_context(serving(farm, at, one)) for at, one in servers.items()
            }
            doors = await stack.enter_async_context(Doors(farm, ports, farm.members[ME]))
            journal, me = home / "journal.sqlite", farm.config.members[ME]
            await arrival.begin(home, journal, farm.config, me, Way(doors), first=2, pause=0.01)

    monkeypatch.setattr(arrival, "arrive", look)
    with pytest.raises(Looked):
        run(scenario())
    assert looked == [None]
    assert shares.pieces(home) == kept != ()


def test_who_is_none_of_the_newest_epoch_is_told_so(long_chain: Chain, home: Path, come: Come) -> None:
    other = newcomer(MEMBERS[ME]).party
    with pytest.raises(NoLongerMember, match="member-6 takes no part in epoch 1"):
        come(without_me(long_chain, other))
    assert shares.pieces(home) == ()
    assert config_file.load(home).members[ME].identity == other.identity
    assert load_founded(home) == long_chain.farm.config


# -- members that lie or are silent ------------------------------------------------------------------


def of_revision(chain: Chain) -> MembershipProof:
    state = replace(ended(chain.farm.config).next_epoch(), revision=1)
    membership = Published.of(state)
    statement = MembershipStatement(1, 1, END + 1, b"r" * 32, bytes(32), membership.digest)
    return MembershipProof(chain.farm.certify(statement, in_epoch(chain.farm, 1)), membership)


def unsigned(proof: MembershipProof) -> MembershipProof:
    signature = bytes(len(proof.certificate.signature))
    return replace(proof, certificate=replace(proof.certificate, signature=signature))


def endless() -> list[bytes]:
    return [MembershipPart(clients_bytes=2**40, config=b"c", clients=b"c").SerializeToString()] * 9


MEMBERSHIPS: dict[str, Callable[[Chain], list[bytes]]] = {
    "nothing": lambda _: [],
    "no message": lambda _: [b"\xff"],
    "endless": lambda _: endless(),
    "unsigned": lambda chain: Epoch(unsigned(light(chain).proof), *NO_STATE).parts,
    "a revision": lambda chain: Epoch(of_revision(chain), *NO_STATE).parts,
    "other keys": lambda chain: Epoch(replace(later(chain, 2, 1).proof, keys=()), *NO_STATE).parts,
}
NO_STATE: Any = (None, None)


@pytest.mark.parametrize("lie", MEMBERSHIPS)
def test_no_lie_about_who_takes_part_is_taken(long_chain: Chain, come: Come, lie: str) -> None:
    truth, told = light(long_chain), MEMBERSHIPS[lie](long_chain)
    liars = {at: Teller(told, []) for at in (0, 1)}
    assert come(liars) is None
    assert not any("state" in liar.asked for liar in liars.values())
    found = come(liars | {2: Teller.of(truth), 3: Teller.of(truth)})
    assert found is not None
    assert found.record.checkpoint == truth.checkpoint


def test_one_member_alone_is_not_asked_enough(long_chain: Chain, come: Come) -> None:
    """It may be the liar that hides the newest epoch."""
    assert come({0: Teller.of(light(long_chain))}) is None


def resigned(chain: Chain, epoch: Epoch, **changes: Any) -> Epoch:
    """A checkpoint whose certificates are of these epochs, or whose state is another one."""
    checkpoint = epoch.checkpoint
    if "state" in changes:
        snapshot = with_state(chain, LATER, changes["state"])
        checkpoint = Checkpoint(snapshot, chain.farm.certify(snapshot.statement, in_epoch(chain.farm, 1)))
    if "checkpoint" in changes:
        said = checkpoint.snapshot.statement
        certificate = chain.farm.certify(said, in_epoch(chain.farm, changes["checkpoint"]))
        checkpoint = Checkpoint(checkpoint.snapshot, certificate)
    decision = epoch.decision
    if "decision" in changes:
        decision = certified(chain, len(chain.entries), changes["decision"])
    return replace(epoch, checkpoint=checkpoint, decision=decision)


def before_the_end(chain: Chain) -> list[bytes]:
    """What a member shows that has not got there."""
    early = Checkpoint(chain.snapshot(4), chain.checkpoint(4).certificate)
    cover = chain.log.right_cover(4, END)
    return Epoch(later(chain, 1).proof, early, certified(chain, END, 0), cover).frames


def of_another(chain: Chain) -> list[bytes]:
    state = replace(founded(chain.farm.config), slot=LATER)
    return resigned(chain, later(chain, 1), state=state).frames


STATES: dict[str, Callable[[Chain], list[bytes]]] = {
    "nothing": lambda _: [],
    "no message": lambda _: [b"\xff"],
    "the log": lambda chain: [wire(chain.frame(1, 6, len(chain.entries)))],
    "half": lambda chain: later(chain, 1).frames[:1],
    "another part": lambda chain: [later(chain, 1).frames[0], light(chain).frames[1]],
    "before the end": before_the_end,
    "of the epoch before": of_another,
    "by old shares": lambda chain: resigned(chain, later(chain, 1), checkpoint=0).frames,
    "decided by old shares": lambda chain: resigned(chain, later(chain, 1), decision=0).frames,
}


@pytest.mark.parametrize("lie", STATES)
def test_no_lie_about_the_state_is_taken(long_chain: Chain, come: Come, lie: str) -> None:
    """Nor does anybody hold up by silence: another member is asked."""
    truth, told = later(long_chain, 1), STATES[lie](long_chain)
    liars = {0: Teller(truth.parts, told), 1: Teller(truth.parts, told, hangs=True)}
    assert come(liars) is None
    assert all("state" in liar.asked for liar in liars.values())
    found = come(liars | {2: Teller.of(truth)})
    assert found is not None
    assert found.record.checkpoint == truth.checkpoint


# -- the log between ----------------------------------------------------------------------------------


def test_a_log_without_a_gap(farm: Farm, long_chain: Chain, home: Path, come: Come, journal: Journal) -> None:
    """What it lacked comes with the checkpoint, whoever lies about it, and is one write with it."""
    truth, at = later(long_chain, 1), 3
    journal.append([EntryRecord(entry) for entry in long_chain.entries[:at]])
    journal.append([ProvenRecord(at, long_chain.certificate(at))])
    frames = [wire(long_chain.frame(first, min(first + 4, 20), 20)) for first in range(at + 1, 21, 5)]
    liars = [wire(replace(long_chain.frame(at + 1, 20, 20), batches=WRONG))]
    tellers = {
        0: Teller(truth.parts, truth.frames, liars),
        1: Teller(truth.parts, truth.frames, frames[1:]),
        2: Teller(truth.parts, truth.frames, frames[:1]),
        3: Teller(truth.parts, truth.frames, frames),
    }
    found = come(tellers, here=long_chain.frontiers[at])
    assert found is not None
    assert [teller.asked.count("log") for teller in tellers.values()] == [1, 1, 1, 1]
    assert [entry.slot for entry in found.between or ()] == list(range(at + 1, LATER + 1))
    assert found.enter(home, journal, farm.config.members[ME]) == ME
    assert journal.pruned == 0
    replayed = journal.replay()
    assert (replayed.log.size, replayed.log.root()) == (LATER, long_chain.root(LATER))
    assert list(journal.batches(1, LATER)) == [entry.batch for entry in long_chain.entries[:LATER]]


WRONG = (Batch.of(()),) * 17


def test_a_log_that_nobody_has_is_gone_without(
    farm: Farm, long_chain: Chain, home: Path, come: Come, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, at = later(long_chain, 1), 3
    journal.append([EntryRecord(entry) for entry in long_chain.entries[:at]])
    journal.append([ProvenRecord(at, long_chain.certificate(at))])
    tellers = {0: Teller.of(truth), 1: Teller.of(truth)}
    history = History(journal, journal.replay().log, long_chain.certificate(at))
    found = come(tellers, here=long_chain.frontiers[at])
    assert found is not None
    assert found.between is None
    monkeypatch.setattr(arrival, "BETWEEN_SLOTS_MAX", LATER - at - 1)
    assert come(tellers, here=long_chain.frontiers[at]) == found
    assert tellers[0].asked.count("log") == 1
    found.enter(home, journal, farm.config.members[ME])
    history.bring(found.record, None)
    assert (history.slot, history.pruned, journal.pruned) == (LATER, LATER, LATER)
    assert history.certified_slot == at  # the newest one goes beyond what is here
    assert history.checkpoint == truth.checkpoint


def test_who_has_decided_all_of_it_and_certified_none_keeps_its_log(
    farm: Farm, long_chain: Chain, home: Path, come: Come, journal: Journal
) -> None:
    """The shares on the last slots did not reach it, and by now all others are in the next epoch."""
    truth, at = light(long_chain), 3
    journal.append([EntryRecord(entry) for entry in long_chain.entries[:END]])
    journal.append([ProvenRecord(at, long_chain.certificate(at))])
    tellers = {0: Teller.of(truth), 1: Teller.of(truth)}
    found = come(tellers, here=long_chain.frontiers[END])
    assert found is not None
    assert tellers[0].asked.count("log") == 0
    found.enter(home, journal, farm.config.members[ME])
    assert journal.pruned == 0
    assert list(journal.batches(1, END)) == [entry.batch for entry in long_chain.entries[:END]]


def test_who_is_brought_up_in_the_old_epoch_while_it_arrives(
    farm: Farm, long_chain: Chain, home: Path, come: Come, journal: Journal
) -> None:
    """A peer that has not got to the end either has brought a checkpoint of theirs meanwhile."""
    truth, at = later(long_chain, 1), 3
    journal.append([EntryRecord(entry) for entry in long_chain.entries[:at]])
    journal.append([ProvenRecord(at, long_chain.certificate(at))])
    log = [wire(long_chain.frame(at + 1, 20, 20))]
    found = come({n: Teller(truth.parts, truth.frames, log) for n in (0, 1)}, here=long_chain.frontiers[at])
    assert found is not None
    assert found.between
    early = Checkpoint(long_chain.snapshot(END), long_chain.checkpoint(END).certificate)
    journal.append([SnapshotRecord(early, long_chain.certificate(END), 0)])
    found.enter(home, journal, farm.config.members[ME])
    replayed = journal.replay()
    assert (journal.pruned, replayed.log.size, replayed.log.root()) == (END, LATER, long_chain.root(LATER))


def test_epoch_who_tells_a_little_now_and_then_keeps_nobody_away(
    long_chain: Chain, come: Come, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slot that it tells is in time, and all of them would take hours."""
    truth, at = later(long_chain, 1), 3
    monkeypatch.setattr(brought_state, "monotonic", itertools.count(0, 10).__next__)
    little = [wire(long_chain.frame(slot, slot, 20)) for slot in range(at + 1, LATER + 1)]
    tellers = {
        0: Teller(truth.parts, truth.frames, little),
        1: Teller(truth.parts, truth.frames, [wire(long_chain.frame(at + 1, 20, 20))]),
    }
    found = come(tellers, here=long_chain.frontiers[at])
    assert found is not None
    assert [teller.asked.count("log") for teller in tellers.values()] == [1, 1]
    assert [entry.slot for entry in found.between or ()] == list(range(at + 1, LATER + 1))


# -- by the folder alone -----------------------------------------------------------------------------


def test_who_has_a_place_who_has_none_yet_and_who_has_none_any_more(
    farm: Farm, long_chain: Chain, home: Path, come: Come
) -> None:
    path, mine, other = home / "journal.sqlite", farm.config.members[ME], newcomer(MEMBERS[ME]).party
    assert takes_part(home, path, farm.config, mine)
    assert not takes_part(home, path, farm.config, other)
    Journal(path, farm.config.alliance_id, MEMBERS[ME]).close()
    assert not takes_part(home, path, farm.config, other)  # it was stopped before its epoch began
    epoch = light(long_chain)
    found = come({0: Teller.of(epoch), 3: Teller.of(epoch)})
    assert found is not None
    without = tuple(one for one in farm.config.members if one.identity != mine.identity)
    before: Any = replace(farm.config, members=without)  # as if it had been none of them
    assert not takes_part(home, path, found.config, mine)  # what others have certified it has not entered
    later = replace(found.config, revision=3)
    assert come({0: Teller.of(epoch), 3: Teller.of(epoch)}, config=later) == found  # by whatever it knows
    with closing(Journal(path, farm.config.alliance_id, MEMBERS[ME])) as journal:
        epochs.keep(home, found.config, found.record.membership)
        journal.append([found.record])
    assert takes_part(home, path, before, mine)  # stopped between journal and alliance.toml
    assert config_file.load(home) == found.config
    with pytest.raises(NoLongerMember):
        takes_part(home, path, found.config, other)
    assert shares.pieces(home) == ()


def test_a_member_of_the_first_epoch_that_is_none_any_more_is_told_so(
    farm: Farm, long_chain: Chain, home: Path
) -> None:
    path, mine = home / "journal.sqlite", farm.config.members[ME]
    with closing(Journal(path, farm.config.alliance_id, MEMBERS[ME])) as journal:
        journal.begin(b"s" * 32)
    now = current(farm.config, light(long_chain).proof.membership)
    others: Any = replace(now, members=now.members[:ME])
    with pytest.raises(NoLongerMember, match="member-6 takes no part in epoch 1"):
        takes_part(home, path, others, mine)
