"""What the decided log says of the alliance itself, and this server's part in it: each revision takes effect
at its slot, in the directory and in the member's folder, and is told to whoever asks, with its proof.

The folder keeps how the alliance began (``founded.toml``), from which the log is read; alliance.toml is a
cache of the newest revision, for the other programs that use the folder.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from alliance.config.control import current, founded
from alliance.config.directory import Directory
from alliance.config.file import AllianceConfig
from alliance.config.rows import incoming_of
from alliance.keys import revision
from alliance.keys.ed25519 import has_signed
from alliance.server.gate import Gate
from alliance.server.vouching import Voucher
from consensus.control.checked import CheckedControl
from consensus.control.directory import Directory as Rows
from consensus.control.pending import ActiveChange, ApprovedChange
from consensus.control.published import Published
from consensus.control.state import ControlState
from fab_paxos.control import Control
from quorum import MembershipStatement
from verifiable_log import Entry
from verifiable_log.ordering_state import Checkpoint

log = logging.getLogger("alliance.server")


def beginning(folder: Path, config: AllianceConfig) -> CheckedControl:
    """What holds of the alliance before slot 1. Raises ConfigError.

    In a later epoch it is there to read the state by with which the epoch begins: the journal has that.
    """
    if config.epoch:
        rows = config.terms.directory(config.members, config.clients)
        return CheckedControl(ControlState(config.alliance_id, rows, {}), has_signed)
    first = config if config.membership == (0, 0) else revision.load_founded(folder)
    return CheckedControl(founded(first), has_signed)


def tell_of_handover(before: ControlState | None, state: ControlState) -> None:
    """In the log: what people have to do so that shares are handed on, and an attempt that failed."""
    if state.refresh_hindrance and (before is None or state.refresh_hindrance != before.refresh_hindrance):
        days = state.directory.policy.refresh_days
        log.warning("shares are to be refreshed every %d days: %s", days, state.refresh_hindrance)
    if before is None or before.active is None or before.end is not None:
        return
    was, now = before.active, state.active
    if now is None and state.end is None:
        log.warning(
            "change %s has ended without a new epoch: it was aborted, or its time is over", _short(was)
        )
    elif now is not None and now.attempt > was.attempt:
        log.warning("change %s: attempt %d has failed, and the next one begins", _short(was), was.attempt + 1)


def _short(change: ActiveChange) -> str:
    return change.approved.change_id.hex()[:16]


class Revisions:
    """Follows the log slot by slot, as it is decided."""

    def __init__(
        self,
        folder: Path,
        control: Control | None,
        directory: Directory,
        gate: Gate,
        voucher: Voucher,
        follow: Callable[[ControlState], None],
    ) -> None:
        """``control``: that of ``beginning``, with the slots that the journal has proven.

        ``follow`` is called with the state after each slot.
        """
        self._follow = follow
        self._ending: tuple[ControlState, Checkpoint] | None = None
        self._at_end = asyncio.Event()
        self._folder = folder
        self._control = control if isinstance(control, CheckedControl) else None
        self._directory = directory
        self._gate = gate
        self._voucher = voucher
        self._rows: Rows | None = None
        self._under_way: tuple[ApprovedChange, ...] | None = None

    def start(self) -> None:
        """Makes known what holds already; the parts that follow the directory are there."""
        if self._control is None:
            return
        state = self._control.state
        tell_of_handover(None, state)
        self._learn_keys(state)
        if state.revision:
            self._take(Published.of(state))
        self._voucher.start(state.epoch, state.revision)
        self._follow(state)

    @property
    def control(self) -> Control | None:
        """What the log says of the alliance, as far as it is decided."""
        return self._control

    @property
    def state(self) -> ControlState | None:
        """The same, where it is that of an alliance."""
        return self._control.state if self._control is not None else None

    def refresh_hindrance(self) -> str:
        """Why the members' shares are not refreshed although the policy wants it; empty: nothing hinders."""
        return self.state.refresh_hindrance if self.state is not None else ""

    def stable(self, checkpoint: Checkpoint) -> None:
        """A stable checkpoint: it may be the one at the end of the epoch."""
        state = self.state
        if state is not None and checkpoint.slot == state.slot == state.end:
            self._ending = state, checkpoint
            self._at_end.set()

    @property
    def ending(self) -> tuple[ControlState, Checkpoint] | None:
        """The state at the end of the epoch, and the stable checkpoint there, once this member has both."""
        return self._ending

    async def ended(self) -> tuple[ControlState, Checkpoint]:
        """Waits for them."""
        while self._ending is None:
            await self._at_end.wait()
        return self._ending

    def decided(self, entry: Entry, control: Control | None) -> None:
        """The next slot, and what the engine has made of it."""
        if self._control is None or not isinstance(control, CheckedControl):
            return
        before, state = self._control.state.revision, control.state
        tell_of_handover(self._control.state, state)
        self._control = control
        self._learn_keys(state)
        self._follow(state)
        if state.revision > before:
            membership = Published.of(state)
            self._take(membership)
            head = membership.epoch, membership.revision, entry.slot
            statement = MembershipStatement(*head, entry.root, bytes(32), membership.digest)
            self._voucher.vouch(statement, membership, self._directory.config.handed_on)

    def snapshot_installed(self, checkpoint: Checkpoint) -> None:
        """The log goes on from there: what was decided below it has taken effect."""
        if self._control is not None:
            self._control = self._control.read(checkpoint.snapshot.control_items)
            self.start()

    def _learn_keys(self, state: ControlState) -> None:
        """From when a client is decided on, and not only from its first slot: others may know it before.

        So it is with who will be a member by an approved change, and needs to be heard before.
        """
        if state.under_way != self._under_way:
            self._under_way = state.under_way
            incoming = incoming_of(one.change for one in state.under_way)
            self._gate.learn({one.client_id: one.identity for one in incoming})
            self._directory.expect(incoming)
        if (rows := state.directory) is not self._rows:
            self._rows = rows
            self._gate.learn({row.client_id: row.identity for row in rows.clients.values()})
            self._gate.learn({row.client_id: row.identity for row in rows.members})

    def _take(self, membership: Published) -> None:
        now = current(self._directory.config, membership)
        if self._directory.update(now):
            log.info("revision %d: %d clients are admitted", now.revision, len(now.clients))
            revision.keep(self._folder, now)
