"""What the log has made of an alliance's rows, up to a slot: the data, and the questions asked of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from consensus.control.changes import Change
from consensus.control.directory import Directory, Refused, config_digest
from consensus.control.draft import Draft, KeyRules, Verify, trust
from consensus.control.encoding import u64
from consensus.control.operations import Suspend
from consensus.control.pending import ActiveChange, ApprovedChange, OpenChange, Transcript
from consensus.control.policy import approvals_needed, suspensions_needed
from consensus.control.recovery import Recovery
from consensus.control.rows import NO_LIMITS
from consensus.limits import EDIT_MS, EDIT_SLOTS, EDITS_MAX, KEY_CHANGES_MAX, WINDOW_SLOTS


class Phase(Enum):
    """On its way to another epoch. That a quorum of dealings is right only those know who compute it."""

    IDLE = "idle"
    APPROVED = "approved"
    DEALING = "dealing"
    READYING = "readying"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class Account:
    """What an organisation has used up.

    ``counter``: of its last Edit or Propose. ``recent``: (slot, agreed time in ms) of its last EDITS_MAX.
    ``clients``: how many it ever had.
    """

    counter: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    clients: int = 0

    def has_room(self, slot: int, time_ms: int) -> bool:
        """Whether it may edit again, EDITS_MAX times within EDIT_SLOTS and EDIT_MS."""
        if len(self.recent) < EDITS_MAX:
            return True
        first_slot, first_ms = self.recent[0]
        return slot >= first_slot + EDIT_SLOTS or time_ms >= first_ms + EDIT_MS


@dataclass(frozen=True)
class Record:
    """``slot`` is the last one that was applied, ``time_ms`` the agreed time there.

    ``epoch`` counts memberships, ``dealing`` generations of shares, ``revision`` what changed within the
    epoch; ``start`` is the last slot of the epoch before, ``end`` of this one, once that is known.
    ``revisions``: slots at which further revisions take effect. ``past``: digests of keys that were there
    once. ``opened`` wait for approval. ``active`` is being dealt for, or was and is scheduled. ``scheduled``
    take effect at ``end``, in this order. ``carried`` starts again in the next epoch. ``dealt_ms``: agreed
    time when shares were last dealt, or it was given up. ``transcript_digest``: of the dealings that shares
    are from. ``recoveries``: by which epochs have ended that the log could not end, the latest one last.
    ``key_changes``: how often the public keys have become others.
    """

    alliance_id: bytes
    directory: Directory
    accounts: Mapping[str, Account]
    past: frozenset[bytes] = frozenset()
    epoch: int = 0
    dealing: int = 0
    revision: int = 0
    start: int = 0
    slot: int = 0
    time_ms: int = 0
    dealt_ms: int = 0
    end: int | None = None
    revisions: tuple[int, ...] = ()
    opened: tuple[OpenChange, ...] = ()
    active: ActiveChange | None = None
    scheduled: tuple[ApprovedChange, ...] = ()
    carried: ApprovedChange | None = None
    transcript: Transcript | None = None
    transcript_digest: bytes = bytes(32)
    recoveries: tuple[Recovery, ...] = ()
    key_changes: int = 0

    @property
    def under_way(self) -> tuple[ApprovedChange, ...]:
        """Approved, and not in effect yet."""
        waiting = [self.active.approved] if self.active is not None and self.end is None else []
        return (*waiting, *self.scheduled, *([self.carried] if self.carried is not None else []))

    @property
    def frozen(self) -> frozenset[str]:
        """Members whose rows an approved change names."""
        return frozenset(name for one in self.under_way for name in one.change.named)

    def key_rules(self, verify: Verify, besides: Sequence[Change] = ()) -> KeyRules:
        """Keys that approved changes will add are taken; not those of the changes ``besides``."""
        others = (one.change for one in self.under_way if one.change not in besides)
        reserved = frozenset(key for change in others for key in change.new_keys)
        return KeyRules(self.alliance_id, verify, self.past, reserved)

    def carry_out(self, changes: Sequence[Change], verify: Verify) -> tuple[Directory, frozenset[bytes]]:
        """What the rows become by these changes, one after the other, and the digests of keys that go.

        Raises Refused or MalformedControl.
        """
        draft = Draft(self.directory, self.key_rules(verify, changes), self.effective_from_now)
        directory = self.directory
        for change in changes:
            directory = change.carry_out(draft)
            if change.new_public_keys is not None and self.key_changes >= KEY_CHANGES_MAX:
                raise Refused(f"the alliance has had {KEY_CHANGES_MAX} new keys: found another one")
        return directory, frozenset(draft.burnt)

    @cached_property
    def target(self) -> Directory:
        """The rows after the active change, whose proofs were checked before. Raises Refused without one."""
        return self.carry_out([self.dealt_for.approved.change], trust)[0]

    @property
    def dealt_for(self) -> ActiveChange:
        """The active change. Raises Refused when there is none."""
        if self.active is None:
            raise Refused("no full change is under way")
        return self.active

    @property
    def approve(self) -> int:
        """So many operators decide about the alliance."""
        return approvals_needed(len(self.directory.operators), self.directory.policy.faulty)

    def needed(self, change: Change) -> int:
        """So many operators have to approve of it."""
        return suspensions_needed(self.directory.policy.faulty) if change.only_suspends else self.approve

    @property
    def effective_from_now(self) -> int:
        """Behind this slot a command in ``slot`` is in effect: until there it may not be known."""
        ahead = self.slot + WINDOW_SLOTS
        return ahead if self.end is None else min(ahead, self.end)

    @property
    def effective(self) -> int | None:
        """The last slot at which something decided is still to take effect. Idle leaders go on to it."""
        ahead = [*self.revisions, self.end or 0]
        ahead += [one.slot + WINDOW_SLOTS for one in self.under_way]
        last = max(ahead)
        if self.end is not None:
            last = min(last, self.end)
        return last if last > self.slot else None

    @property
    def needs_time(self) -> bool:
        """An idle leader proposes empty batches with a time stamp: an attempt at a change has a deadline."""
        return self.active is not None and self.end is None

    @property
    def eligible(self) -> tuple[int, ...]:
        """The numbers of the members that lead, ascending."""
        suspended = self.directory.suspended
        return tuple(n for n, row in enumerate(self.directory.members) if row.name not in suspended)

    @property
    def suspected(self) -> tuple[int, ...]:
        """The numbers of members whose suspension is scheduled: if one of them leads, it is suspected."""
        named = {
            operation.name
            for one in self.scheduled
            for operation in one.change.operations
            if isinstance(operation, Suspend)
        }
        return tuple(n for n, row in enumerate(self.directory.members) if row.name in named)

    @property
    def phase(self) -> Phase:
        """Where the change is that will end this epoch."""
        if self.end is not None:
            return Phase.SCHEDULED
        if self.active is None:
            return Phase.IDLE
        if self.active.readies:
            return Phase.READYING
        return Phase.DEALING if self.active.dealings else Phase.APPROVED

    def admits(self, client_id: bytes, slot: int) -> bool:
        """Whether this client's submissions may be in ``slot``, WINDOW_SLOTS behind the last applied at most.

        Members may submit, and those to come may from WINDOW_SLOTS behind their change's approval on.
        """
        row = self.directory.clients.get(client_id)
        if row is not None:
            return row.admitted(slot)
        if client_id in self.directory.members_by_id:
            return True
        return any(
            slot > one.slot + WINDOW_SLOTS and client_id in one.change.new_keys for one in self.under_way
        )

    def departed(self, slot: int) -> Collection[bytes]:
        """Whose numbers are forgotten with ``slot``, as far ahead as for ``admits``; ids stay in ``past``.

        A client's go WINDOW_SLOTS behind its last slot: who accepts that has a certificate of all in which it
        was admitted. Those of members that went with the epoch before go with the first slot of this one.
        """
        clients = self.directory.departures.get(slot - WINDOW_SLOTS, ())
        return clients if slot != self.start + 1 else (*clients, *self.past)

    def limits(self, client_id: bytes) -> tuple[int, int]:
        """How much of a client, or of a member as one, waits at one member at most: submissions, bytes."""
        row = self.directory.clients.get(client_id)
        limits = NO_LIMITS if row is None else row.limits
        return limits.waiting, limits.waiting_bytes

    def organisation(self, client_id: bytes) -> str | bytes:
        """Whose client or member this is, or is to be; who is unknown counts as an organisation."""
        row = self.directory.clients.get(client_id) or self.directory.members_by_id.get(client_id)
        if row is not None:
            return row.organisation
        newcomers = (row for one in self.under_way for row in one.change.new_rows)
        return next((row.organisation for row in newcomers if row.client_id == client_id), client_id)

    def directory_at(self, slot: int) -> Directory:
        """The rows, with the clients that are admitted in ``slot``: as far ahead as for ``admits``."""
        rows = self.directory.clients.items()
        return replace(self.directory, clients={key: row for key, row in rows if row.admitted(slot)})

    @property
    def config(self) -> bytes:
        """The membership from behind ``slot`` on, as ``directory`` lays it out."""
        counters = (self.epoch, self.dealing, self.revision, self.start)
        head = self.alliance_id + b"".join(map(u64, counters)) + self.transcript_digest
        return head + self.directory.config_tail(self.slot)

    @property
    def config_digest(self) -> bytes:
        """32 bytes: what MEMBERSHIP says of it."""
        return config_digest(self.config)
