"""What a checkpoint certifies: the log up to a slot, and the ordering state after it.

The source is docs/concepts/protocol.md, section 11. The state is a list of items, each with its kind in the
first byte: one for each client (``client_windows``), then what the log says of the alliance itself
(CONTROL_ITEM). Its digest binds their number and, through a Merkle tree, each of them, so that items can be
fetched one after another and checked alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from quorum import CheckpointStatement, MembershipStatement, QuorumCertificate
from verifiable_log.client_windows import CLIENT_ITEM
from verifiable_log.merkle import Frontier
from verifiable_log.merkle_tree import leaf_hash
from verifiable_log.state_writer import State, state_digest

CONTROL_ITEM = 0x02
"""The first byte of an item about members, clients and changes of them: what it holds is no matter here."""


@dataclass(frozen=True)
class Snapshot:
    """The frontier of the log up to a slot, and the items of the state after it.

    ``places`` is what this member knows beside each item of a client (``ClientWindows.places``). It is not
    certified, and a member that fetched the items from others has none.
    """

    frontier: Frontier
    state: tuple[bytes, ...]
    places: tuple[bytes, ...] = field(default=(), compare=False)

    @property
    def slot(self) -> int:
        return self.frontier.size

    @classmethod
    def of(cls, frontier: Frontier, state: State) -> Snapshot:
        """One whose items were hashed when they were written."""
        snapshot = cls(frontier, state.items, state.places)
        vars(snapshot).update(leaves=state.leaves, digest=state.digest)
        return snapshot

    @cached_property
    def _clients(self) -> int:
        """How many items the clients have. Raises ValueError when no correct member wrote this."""
        kinds = bytes(item[0] for item in self.state if item)
        count = kinds.count(CLIENT_ITEM)
        if kinds != bytes([CLIENT_ITEM]) * count + bytes([CONTROL_ITEM]) * (len(self.state) - count):
            raise ValueError("the items of a state are not of the known kinds, one after the other")
        return count

    @property
    def client_items(self) -> tuple[bytes, ...]:
        """For ``ClientWindows.read``. Raises ValueError."""
        return self.state[: self._clients]

    @property
    def control_items(self) -> tuple[bytes, ...]:
        """What the log says of the alliance itself; none where it never said anything. Raises ValueError."""
        return self.state[self._clients :]

    @cached_property
    def leaves(self) -> tuple[bytes, ...]:
        """The leaf hashes of the items."""
        return tuple(map(leaf_hash, self.state))

    @cached_property
    def digest(self) -> bytes:
        """The state digest, 32 bytes."""
        return state_digest(self.leaves)

    @cached_property
    def statement(self) -> CheckpointStatement:
        """What members sign jointly."""
        return CheckpointStatement(self.slot, self.frontier.root, self.digest)


def certified_checkpoint(certificate: QuorumCertificate) -> CheckpointStatement | None:
    """What the certificate says of the log and its state at a slot; None when it says nothing of that.

    One on the membership with which the next epoch begins does; one on a revision does not.
    """
    said = certificate.statement
    if isinstance(said, MembershipStatement) and said.next_epoch == certificate.epoch + 1:
        return CheckpointStatement(said.slot, said.root, said.state_digest)
    return said if isinstance(said, CheckpointStatement) else None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A snapshot, and the certificate that makes it stable. Raises ValueError when it is another's.

    That of a membership which begins behind an epoch's end certifies what a checkpoint there does.
    """

    snapshot: Snapshot
    certificate: QuorumCertificate

    def __post_init__(self) -> None:
        if certified_checkpoint(self.certificate) != self.snapshot.statement:
            raise ValueError(f"the certificate is not one of this snapshot at slot {self.snapshot.slot}")

    @property
    def slot(self) -> int:
        return self.snapshot.slot


def part(items: Sequence[bytes], first: int, bytes_max: int) -> tuple[bytes, ...]:
    """The items from index ``first`` on that make one message: at least one, then as many as fit."""
    taken: list[bytes] = []
    room = bytes_max
    for item in items[first:]:
        if taken and len(item) > room:
            break
        taken.append(item)
        room -= len(item)
    return tuple(taken)
