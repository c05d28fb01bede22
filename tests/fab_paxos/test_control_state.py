"""The engine with the control state itself: operators' real signatures, real windows."""

from __future__ import annotations

from consensus.control import CheckedControl
from consensus.control.changes import ChangeKind
from consensus.control.commands import Approve, ControlCommand, Edit, Propose
from consensus.control.operations import Suspend
from fab_paxos.limits import WINDOW_SLOTS
from quorum import QuorumSystem
from tests.consensus.alliance import Log, add_client, client_id, found, verify
from tests.worlds.checkers import check_all
from tests.worlds.cluster import Cluster
from tests.worlds.epochs import arrived, context_after, end_of, log_of, prepare, record_of, take_seat
from tests.worlds.standin import StandInScheme
from verifiable_log import Submission, UnsignedSubmission

SIX = QuorumSystem(6, 1)


def submission(name: str, seq: int, command: bytes) -> Submission:
    return UnsignedSubmission(client_id(name), seq, [command]).sign(bytes(64))


def state_of(cluster: Cluster) -> CheckedControl:
    """What all members hold, the same everywhere."""
    first, *others = (member.engine.rooms.log.control for member in cluster.live())
    assert isinstance(first, CheckedControl)
    assert all(other == first for other in others)
    return first


class Operators:
    """They say what is carried into the log by a client."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._seq = 0

    @property
    def log(self) -> Log:
        """To see what holds, and to sign."""
        return Log(state_of(self._cluster).state)

    def say(self, command: ControlCommand) -> None:
        self._seq += 1
        carried = submission("c-a", self._seq, self.log.sign(command))
        self._cluster.submit(self._seq % 6, carried)
        self._cluster.run()


def test_clients_come_and_an_epoch_ends_by_operators_decisions() -> None:
    cluster = Cluster(SIX, founded=CheckedControl(found(SIX), verify), checkpoint_slots=100, retain_slots=4)
    operators = Operators(cluster)
    early = submission("c-new", 1, b"early")
    cluster.submit(4, early)
    operators.say(Edit("org-b", operators.log.counter("org-b"), (add_client("c-new", "org-b"),)))
    cluster.settle(2)
    assert [refusal.submission for refusal in cluster.members[4].refusals] == [early]
    assert state_of(cluster).state.revision == 1
    assert state_of(cluster).state.slot == WINDOW_SLOTS + 1
    cluster.submit(4, submission("c-new", 2, b"now"))
    cluster.settle(2)
    log = operators.log
    change = log.change(ChangeKind.LIGHT, Suspend("m-a"))
    propose = Propose("org-b", log.counter("org-b"), change)
    operators.say(propose)
    assert end_of(cluster) is None
    operators.say(Approve("org-c", propose.change_id))
    cluster.settle(3)
    end = end_of(cluster)
    assert end is not None
    assert len(arrived(cluster, end)) == 6
    assert min(member.engine.view for member in cluster.live()) == 1, "whom nobody waits for leads no longer"
    check_all(cluster)
    _next_epoch(cluster, end)


def _next_epoch(old: Cluster, end: int) -> None:
    new = Cluster(SIX, scheme=StandInScheme(SIX.decision, context_after(old)), founded=old.founded)
    prepare(old, new, end)
    for member in old.members:
        take_seat(new, member.me, member.disk, record_of(old, end), log_of(old))
        new.restart(member.me)
    state = state_of(new).state
    assert (state.epoch, state.start, state.end) == (1, end, None)
    assert "m-a" in state.directory.suspended
    new.submit(2, submission("c-new", 3, b"later"), submission("c-new", 2, b"now"))
    new.settle(2)
    check_all(new)
    assert {member.engine.status.decided for member in new.live()} == {end + 1}
