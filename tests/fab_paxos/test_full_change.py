"""A full change under way in engines with the real control state, in a world where time passes: dealings,
deadlines, suspension, refresh. docs/concepts/protocol.md, section 13."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from consensus.control import CheckedControl, ControlState
from consensus.control.changes import ChangeKind
from consensus.control.commands import Approve, ControlCommand, Deal, Propose
from consensus.control.dealing import DAY_MS
from consensus.control.operations import ChangeOperation, Suspend
from consensus.control.record import Phase
from consensus.control.rows import PolicyRow
from consensus.limits import OVERLOOKED_MS
from quorum import QuorumSystem
from tests.consensus.alliance import ORGANISATIONS, Log, client_id, found, verify
from tests.worlds.cluster import Cluster
from tests.worlds.timed import MILLISECOND, SECOND, TimedWorld
from tests.worlds.windows import window_of
from verifiable_log import UnsignedSubmission
from verifiable_log.limits import COMMAND_BYTES_MAX

SIX = QuorumSystem(6, 1)
MEMBERS = tuple(f"m-{letter}" for letter in "abcdef")
DEADLINE = 40


@pytest.fixture(autouse=True)
def small_window() -> Iterator[None]:
    with window_of(16):
        yield


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt has DEADLINE slots at least, and as much agreed time as f leaders can waste."""
    monkeypatch.setattr("consensus.control.dealing.DEADLINE_SLOTS", DEADLINE)


class Alliance:
    """Operators and members who say something, and clients who work."""

    def __init__(self, world: Cluster) -> None:
        self.world = world
        self._seq = 0

    @property
    def state(self) -> ControlState:
        """What the first member holds."""
        control = self.world.members[0].engine.rooms.log.control
        assert isinstance(control, CheckedControl)
        return control.state

    def say(self, *commands: ControlCommand) -> None:
        for command in commands:
            self._submit(0, "c-a", Log(self.state).sign(command))

    def work(self) -> None:
        """Clients of some organisations want something."""
        for member, organisation in enumerate(ORGANISATIONS[1:4]):
            self._submit(member, f"c-{organisation[-1]}", b"work " * 20)

    def _submit(self, member: int, client: str, command: bytes) -> None:
        self._seq += 1
        submission = UnsignedSubmission(client_id(client), self._seq, [command]).sign(bytes(64))
        self.world.submit(member, submission)

    def proposal(self, kind: ChangeKind, *operations: ChangeOperation, by: str = "org-a") -> Propose:
        log = Log(self.state)
        return Propose(by, log.counter(by), log.change(kind, *operations))

    def agreed(self, propose: Propose, by: Iterable[str]) -> tuple[ControlCommand, ...]:
        return propose, *(Approve(organisation, propose.change_id) for organisation in by)


def alliance(seed: int, policy: PolicyRow | None = None) -> tuple[TimedWorld, Alliance]:
    world = TimedWorld(SIX, seed, founded=CheckedControl(found(policy=policy), verify), checkpoint_slots=64)
    return world, Alliance(world)


def pass_by(world: TimedWorld, seconds: float) -> None:
    world.advance(world.now + int(seconds * SECOND))


def begin(world: TimedWorld, people: Alliance) -> bytes:
    """A refresh is approved."""
    propose = people.proposal(ChangeKind.FULL)
    people.say(*people.agreed(propose, ORGANISATIONS[1:4]))
    pass_by(world, 0.5)
    assert people.state.phase is Phase.APPROVED
    return propose.change_id


def views(world: Cluster) -> set[int]:
    return {member.engine.view for member in world.members}


def test_epoch_dealings_under_load_no_view_change() -> None:
    """As large as commands can be, with READYs behind them: slots are decided all the time, and the epoch
    ends. No slot waits for anybody to judge a dealing."""
    world, people = alliance(3)
    pass_by(world, 0.1)
    change_id = begin(world, people)
    large = b"d" * (COMMAND_BYTES_MAX - 4096)
    signed = Log(people.state)
    for name in MEMBERS:
        people.say(Deal(name, change_id, 0, large))
    decided, stood_still = 0, 0
    for beat in range(150):
        people.work()
        if beat == 75:
            people.say(*(signed.ready_command(name, change_id, b"t" * 32) for name in MEMBERS))
        world.advance(world.now + 10 * MILLISECOND)
        slot = people.state.slot
        stood_still = stood_still + 1 if slot == decided and people.state.end != slot else 0
        assert stood_still <= 10, "nothing was decided for 0.1 s"
        decided = slot
    pass_by(world, 1)
    assert {one.member for one in people.state.dealt_for.dealings} == set(MEMBERS)
    assert {member.engine.status.certified for member in world.members} == {people.state.end}
    assert views(world) == {0}
    world.check()


def test_epoch_deadline_idle(short: None) -> None:
    """Nobody submits anything: an empty batch with a stamp a heartbeat brings the deadline."""
    world, people = alliance(1, PolicyRow(1, attempt_seconds=10))
    pass_by(world, 0.1)
    begin(world, people)
    before = people.state
    pass_by(world, DEADLINE / 2 + 1)
    assert DEADLINE <= people.state.slot - before.slot <= DEADLINE + 4
    assert people.state.dealt_for.attempt == 0, "the time that leaders can waste has not passed"
    pass_by(world, 32)
    assert people.state.dealt_for.attempt == 1
    assert people.state.dealt_for.began_ms - before.dealt_for.began_ms >= 3 * OVERLOOKED_MS
    assert views(world) == {0}
    world.check()


def test_epoch_deadline_flooded(short: None) -> None:
    """However many slots somebody fills in no time, an attempt has its agreed time."""
    world, people = alliance(1)
    pass_by(world, 0.1)
    begin(world, people)
    began = people.state.slot
    while people.state.slot < began + 2 * DEADLINE:
        people.work()
        world.advance(world.now + 20 * MILLISECOND)
    assert people.state.dealt_for.attempt == 0
    assert people.state.time_ms - people.state.dealt_for.began_ms < 10_000
    world.check()


def test_epoch_suspend_during_resharing() -> None:
    """It comes at once: nobody waits for the shares, nor for the leader, whose view ends. The change begins
    again in the next epoch."""
    world, people = alliance(2)
    pass_by(world, 0.1)
    change_id = begin(world, people)
    people.say(*(Deal(name, change_id, 0, b"dealing") for name in MEMBERS[:4]))
    pass_by(world, 0.2)
    assert people.state.phase is Phase.DEALING
    suspend = people.proposal(ChangeKind.LIGHT, Suspend("m-a"), by="org-b")
    people.say(*people.agreed(suspend, ["org-c"]))
    pass_by(world, 6)
    state = people.state
    assert (state.slot, state.suspected) == (state.end, (0,))
    assert {member.engine.status.stable for member in world.members} == {state.end}
    assert min(views(world)) > 0
    following = state.next_epoch()
    assert (following.dealing, following.directory.suspended) == (0, ("m-a",))
    assert (following.dealt_for.approved.change_id, following.dealt_for.dealings) == (change_id, ())
    world.check()


@pytest.mark.parametrize("ahead_days", [2, -2])
def test_a_leader_that_lies_about_the_time_brings_no_refresh_and_prevents_none(ahead_days: int) -> None:
    """Its stamps are not taken, or not without others' word, and it is replaced."""
    cluster = Cluster(SIX, 4, founded=CheckedControl(found(policy=PolicyRow(1, refresh_days=1)), verify))
    people = Alliance(cluster)
    cluster.now_ms = 100 * DAY_MS
    people.work()
    cluster.settle(2)
    first = people.state.dealt_ms
    assert first >= 100 * DAY_MS
    cluster.skew_ms[0] = ahead_days * DAY_MS
    people.work()
    cluster.settle_views(4)
    assert min(views(cluster)) > 0
    assert people.state.active is None
    assert people.state.time_ms < first + DAY_MS / 2
    cluster.skew_ms[0] = 0
    cluster.now_ms += DAY_MS
    people.work()
    cluster.settle_views(2)
    assert people.state.active is not None
    assert people.state.needs_time
