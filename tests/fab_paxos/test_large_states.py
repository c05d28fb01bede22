"""A checkpoint that holds dealings: its state takes many parts, and whoever brings them is honest."""

from __future__ import annotations

from collections.abc import Iterable

from alliance.wire.checkpoints import decode_part, encode_part
from consensus.control import CheckedControl, ControlState
from consensus.control.changes import ChangeKind
from consensus.control.commands import Approve, ControlCommand, Deal, Propose
from tests.consensus.alliance import ORGANISATIONS, Log, client_id, found, verify
from tests.worlds.checkers import check_all
from tests.worlds.cluster import SIX, Cluster
from verifiable_log import UnsignedSubmission
from verifiable_log.checkpoint_offer import PartFault, StatePart, check_part
from verifiable_log.limits import (
    COMMAND_BYTES_MAX,
    LISTEN_PART_BYTES,
    STATE_ITEM_BYTES_MAX,
    STATE_PART_BYTES,
)
from verifiable_log.merkle_tree import leaf_hash
from verifiable_log.ordering_state import part

LATE = 5
EVERY = 4
DEALING_BYTES = COMMAND_BYTES_MAX - 4096
"""As that of five keys to 31 members has; one of two keys to six members has a tenth of it."""


class Busy:
    """Says things in the log, each in a submission and a slot of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self._seq = cluster, 0

    @property
    def state(self) -> ControlState:
        control = self.cluster.members[0].engine.rooms.log.control
        assert isinstance(control, CheckedControl)
        return control.state

    def say(self, commands: Iterable[bytes]) -> None:
        for command in commands:
            self._seq += 1
            self.cluster.submit(0, UnsignedSubmission(client_id("c-a"), self._seq, [command]).sign(bytes(64)))
            self.cluster.run()

    def order(self, *commands: ControlCommand) -> None:
        self.say(map(Log(self.state).sign, commands))


def dealt_by_all(cluster: Cluster) -> Busy:
    """A member is away while the others agree on new shares, deal, and prune what it would need."""
    busy = Busy(cluster)
    busy.say([b"before"])
    cluster.crash(LATE)
    log = Log(busy.state)
    propose = Propose("org-a", log.counter("org-a"), log.change(ChangeKind.FULL))
    busy.order(propose, *(Approve(organisation, propose.change_id) for organisation in ORGANISATIONS[1:4]))
    dealers = [row.name for row in busy.state.directory.members]
    busy.order(*(Deal(name, propose.change_id, 0, name[-1:].encode() * DEALING_BYTES) for name in dealers))
    busy.say(b"after %d" % number for number in range(2 * EVERY))
    cluster.settle(3)
    assert [one.member for one in busy.state.dealt_for.dealings] == dealers
    assert cluster.members[0].disk.base.size > cluster.members[LATE].disk.proven
    return busy


def test_epoch_part_with_large_items() -> None:
    """Whoever was away is brought up by parts as large as they may be, and blames nobody for them."""
    cluster = Cluster(
        SIX, founded=CheckedControl(found(), verify), checkpoint_slots=EVERY, retain_slots=EVERY
    )
    busy = dealt_by_all(cluster)
    cluster.keep_sent = True
    cluster.restart(LATE)
    cluster.settle(4)
    check_all(cluster)
    late = cluster.members[LATE]
    assert late.leaps
    assert [one for member in cluster.members for one in member.blames] == []
    control = late.engine.rooms.log.control
    assert isinstance(control, CheckedControl)
    assert control.state == busy.state
    brought = [said for _, to, said in cluster.sent if isinstance(said, StatePart) and to == LATE]
    assert len(brought) >= 2
    assert [decode_part(encode_part(said)) for said in brought] == brought
    items = [item for said in brought for item in said.items]
    assert sum(map(len, items)) > 6 * DEALING_BYTES
    assert max(map(len, items)) == STATE_ITEM_BYTES_MAX


def test_a_part_is_as_large_as_its_items_let_it_be() -> None:
    """By members and by listeners, for whom parts are smaller; who sends less holds up, and is blamed."""
    log = Log()
    log.agree(log.change(ChangeKind.FULL))
    change_id = log.state.dealt_for.approved.change_id
    dealers = [row.name for row in log.state.directory.members]
    for name in dealers:
        assert log.do(Deal(name, change_id, 0, bytes(DEALING_BYTES))) == [""]
    items = tuple(b"\x01 of client %d" % number for number in range(3)) + log.state.items()
    leaves = tuple(map(leaf_hash, items))
    for bytes_max in (STATE_PART_BYTES, LISTEN_PART_BYTES):
        first, sizes = 0, []
        while first < len(items):
            told = part(items, first, bytes_max)
            assert check_part(leaves, StatePart(8, first, told), bytes_max) is None
            sizes.append(sum(map(len, told)))
            first += len(told)
            if first < len(items):
                short = StatePart(8, first - len(told), told[:-2])
                assert check_part(leaves, short, bytes_max) is PartFault.SMALL
        assert len(sizes) > 1
        assert bytes_max - STATE_ITEM_BYTES_MAX < min(sizes[:-1])
        assert max(sizes) <= bytes_max
