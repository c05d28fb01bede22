"""The control state as an engine holds it: together with what checks signatures for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from consensus.control.draft import Verify
from consensus.control.state import ControlState, Outcome
from verifiable_log import Entry


@dataclass(frozen=True, slots=True)
class CheckedControl:
    """``state`` goes on by ``apply``; ``verify`` says whether a signature of an Ed25519 key is right."""

    state: ControlState
    verify: Verify

    @property
    def start(self) -> int:
        return self.state.start

    @property
    def end(self) -> int | None:
        return self.state.end

    @property
    def effective(self) -> int | None:
        return self.state.effective

    @property
    def needs_time(self) -> bool:
        return self.state.needs_time

    @property
    def suspected(self) -> tuple[int, ...]:
        return self.state.suspected

    def admits(self, client_id: bytes, slot: int) -> bool:
        return self.state.admits(client_id, slot)

    def departed(self, slot: int) -> Collection[bytes]:
        return self.state.departed(slot)

    def limits(self, client_id: bytes) -> tuple[int, int]:
        return self.state.limits(client_id)

    def organisation(self, client_id: bytes) -> str | bytes:
        return self.state.organisation(client_id)

    def apply(self, entry: Entry) -> tuple[CheckedControl, tuple[Outcome, ...]]:
        """Raises ValueError, as that of the state does."""
        state, outcomes = self.state.apply(entry, self.verify)
        return replace(self, state=state), outcomes

    def items(self) -> tuple[bytes, ...]:
        return self.state.items()

    def read(self, items: Sequence[bytes]) -> CheckedControl:
        """Raises MalformedControl for what no correct member wrote."""
        return replace(self, state=ControlState.read(items))

    def next_epoch(self) -> CheckedControl:
        """Raises ValueError before the end of this one."""
        return replace(self, state=self.state.next_epoch())
