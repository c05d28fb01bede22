"""Bad input before the first message: every field of every step of the handshake, spoilt in every way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import grpc.aio
import pytest

from alliance.errors import IdentityConflict
from alliance.net.channels import NotServed
from alliance.pb import client_pb2, peer_pb2
from alliance.pb import peer_pb2 as pb
from alliance.server.incarnation import Doubt, Incarnation
from alliance.server.latest_statements import LatestStatements, SignedStatement
from alliance.storage.journal import Journal
from alliance.wire.bounds import Malformed
from alliance.wire.envelope import Mismatch
from quorum import Context, GreetingStatement, ProposeStatement, VoteStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.links import step
from tests.alliance.matrix_rows import parsed
from tests.alliance.spoiling import Path, paths, spoilt

ME, PEER = 5, 0

ROWS = """
memory | conflict: unknown | malformed: alliance empty epoch member
memory.statements | conflict: unknown | malformed: alliance epoch many member twice
    | taken: dropped empty reversed
memory.statements.tag | malformed: largest less more zero
memory.statements.fields | malformed: changed cut empty huge longer member unknown zeros
memory.statements.signature | malformed: alliance changed cut empty epoch huge longer member unknown zeros
greeting | doubt: old | malformed: alliance empty epoch member peer
greeting.tag | malformed: largest less more zero
greeting.fields | malformed: changed cut empty huge longer member old peer zeros
greeting.signature | malformed: alliance changed cut empty epoch huge longer member old peer zeros
welcome | malformed: empty
farewell | doubt: changed empty huge
engine | mismatch: largest less more zero
epoch | mismatch: largest more
"""
"""As in ``matrix_rows``; the verdicts are what the handshake raises, or ``taken``.

``conflict``: this member stops, for it is shown its own word that it does not know. Only its own signature
brings that about; what is spoilt without it is malformed. ``mismatch``: nothing is held against the peer.
"""

TABLE = parsed(ROWS)
VERDICTS = {
    Malformed: "malformed",
    Mismatch: "mismatch",
    Doubt: "doubt",
    NotServed: "hung up",
    IdentityConflict: "conflict",
}

TESTS = File(__file__).parents[1]
ELSEWHERE = {
    "Envelope": "wire/test_peer_messages.py",
    "PeerStatus": "client/test_client.py",
    "Evidence": "client/test_client.py",
    "Offence": "client/test_client.py",
    "ApplicationStatus": "client/test_client.py",
    "Submissions": "server/test_services.py",
    "ListenRequest": "server/test_services.py",
    "StatusRequest": "server/test_services.py",
    "StatusReply": "client/test_client.py",
    "StepDownRequest": "server/test_services.py",
    "AlarmsRequest": "server/test_services.py",
    "AlarmsReply": "client/test_alarms.py",
    "Alarm": "client/test_alarms.py",
    "StepDownReply": "client/test_step_down.py",
    "Outcomes": "outcome_lies.py",
    "Outcome": "outcome_lies.py",
    "Placement": "outcome_lies.py",
    "Refusal": "outcome_lies.py",
    "MembershipRequest": "server/test_vouching.py",
    "KeyChange": "wire/test_membership.py",
    "MembershipPart": "wire/test_membership.py",
    "MembershipShareRequest": "server/test_vouching.py",
    "MembershipShareReply": "server/test_vouching.py",
    "VotesRequest": "server/test_services.py",
    "VotesReply": "client/test_votes.py",
    "MemberVote": "client/test_votes.py",
}
"""What is spoilt in other files: what clients and servers say to each other."""


class Hand:
    """A member in its second start that shakes hands with a peer; the peer's steps are given."""

    def __init__(self, farm: Farm, folder: File) -> None:
        self.farm = farm
        name = farm.config.members[ME].name
        self.journal = Journal(folder / "journal.sqlite", farm.config.alliance_id, name)
        self.journal.begin(b"a" * 32)
        key = farm.members[ME].signing_key
        self.incarnation = Incarnation(
            farm.config, ME, key, self.journal, LatestStatements(len(farm.members))
        )
        self.held = self._greeting(PEER, ME, 3)
        self.reasons: list[str] = []
        self.true = self._steps()
        ours = farm.config.context
        self.others = {
            "old": self._steps(number=2),
            "member": self._steps(author=1),
            "peer": self._steps(to=4),
            "epoch": self._steps(context=Context(ours.alliance_id, ours.epoch + 1)),
            "alliance": self._steps(context=Context(b"o" * 32, ours.epoch)),
            "unknown": self._steps(known=False),
        }

    def _greeting(self, author: int, to: int, number: int, context: Context | None = None) -> SignedStatement:
        return self._signed(author, GreetingStatement(author, to, number, b"s" * 32), context)

    def _signed(self, author: int, statement: Any, context: Context | None = None) -> SignedStatement:
        message = statement.encode(context or self.farm.config.context)
        return SignedStatement(statement, self.farm.members[author].signing_key.sign(message))

    def _steps(
        self,
        *,
        number: int = 4,
        author: int = PEER,
        to: int = ME,
        context: Context | None = None,
        known: bool = True,
    ) -> dict[str, bytes]:
        """The frames of a handshake in which the peer remembers this start of ours, a proposal and a vote."""
        me = ME if author == PEER else author
        first = GreetingStatement(me, PEER, 1, (b"a" if known else b"b") * 32)
        slot = 0 if known else 9
        said = (first, ProposeStatement(0, slot, bytes(32), bytes(32)), VoteStatement(0, slot, bytes(32)))
        memory = [self._signed(me, statement, context).encode() for statement in said]
        greeting = self._greeting(author, to, number, context).encode()
        return {
            "memory": step(memory=pb.Memory(statements=memory)),
            "greeting": step(greeting=greeting),
            "welcome": step(welcome=pb.Welcome()),
            "farewell": step(farewell="its start number 3"),
        }

    async def judge(self, name: str, data: bytes) -> str:
        """What this step comes to in the place where it is due; a farewell comes instead of a greeting."""
        self.incarnation._held[PEER] = self.held
        place = {"memory": 0, "greeting": 1, "welcome": 2, "farewell": 1}[name]
        frames: list[object] = [self.true["memory"], self.true["greeting"], self.true["welcome"]]
        frames[place] = data
        frames += [grpc.aio.EOF] * 3

        async def read() -> object:
            return frames.pop(0)

        async def write(_: bytes) -> None:
            pass

        try:
            await self.incarnation.shake_hands(PEER, read, write)
        except tuple(VERDICTS) as error:
            self.reasons.append(str(error))
            return VERDICTS[type(error)]
        held = self.incarnation._held[PEER]
        assert held in (
            self.held,
            SignedStatement.decode(pb.Handshake.FromString(self.true["greeting"]).greeting),
        )
        return "taken"


@pytest.fixture(scope="module")
def hand(farm: Farm) -> Iterator[Hand]:
    with tempfile.TemporaryDirectory() as folder:
        hand = Hand(farm, File(folder))
        yield hand
        hand.journal.close()


def test_every_field_has_its_row() -> None:
    assert set(TABLE) == set(paths(pb.Handshake.DESCRIPTOR))


def test_every_message_of_the_protos_is_spoilt_somewhere() -> None:
    """A message that is new must be added to a matrix, or to ``ELSEWHERE`` with the file that spoils it."""
    spoilt_here = {"PeerMessage", "Handshake"}
    waiting = [pb.PeerMessage.DESCRIPTOR, pb.Handshake.DESCRIPTOR]
    while waiting:
        within = [field.message_type for field in waiting.pop().fields if field.message_type is not None]
        spoilt_here |= {descriptor.name for descriptor in within}
        waiting += within
    every = {*peer_pb2.DESCRIPTOR.message_types_by_name, *client_pb2.DESCRIPTOR.message_types_by_name}
    assert spoilt_here | set(ELSEWHERE) == every
    assert not spoilt_here & set(ELSEWHERE)
    for name, file in ELSEWHERE.items():
        word = "open_envelope" if name == "Envelope" else name
        assert word in (TESTS / file).read_text("utf-8"), name


def test_what_is_spoilt_below_is_true_itself(hand: Hand, run: Run) -> None:
    for name in ("memory", "greeting", "welcome"):
        assert run(hand.judge(name, hand.true[name])) == "taken"
    assert run(hand.judge("farewell", hand.true["farewell"])) == "doubt"


@pytest.mark.parametrize("path", list(TABLE), ids=".".join)
def test_a_spoilt_field(hand: Hand, run: Run, path: Path) -> None:
    """Of its own step, or of every step if all have it."""

    async def verdicts(name: str) -> dict[str, set[str]]:
        others = {way: steps[name] for way, steps in hand.others.items()}
        met: dict[str, set[str]] = {}
        for way, data in spoilt(path, hand.true[name], others, pb.Handshake):
            met.setdefault(await hand.judge(name, data), set()).add(way)
        return met

    for name in (path[0],) if path[0] in hand.true else hand.true:
        assert run(verdicts(name)) == TABLE[path]


def test_what_is_logged_of_it_is_one_short_line(hand: Hand) -> None:
    assert len(hand.reasons) > 50
    assert max(map(len, hand.reasons)) < 600
    assert not [reason for reason in hand.reasons if not reason.isprintable()]


def test_only_this_members_own_signature_stops_it() -> None:
    conflicts = {path: row["conflict"] for path, row in TABLE.items() if "conflict" in row}
    assert conflicts == {("memory",): {"unknown"}, ("memory", "statements"): {"unknown"}}
