"""Who takes part in an alliance, as the log itself changes it.

* ``rows``: members, operators, clients, policy; ``directory``: all of them, and the digest that members sign.
* ``commands``: what operators and members say, as bytes in the log; ``edits`` and ``changes`` are what they
  ask for, ``policy`` how many operators must.
* ``state``: ControlState, a function of the log; ``record`` is its data, ``pending`` what is on its way,
  ``operating`` and ``dealing`` what commands do, ``items`` its form in checkpoints.

An engine knows of it what ``Control`` says.
"""

from __future__ import annotations

from typing import Protocol, Self

from consensus.control.draft import Verify
from consensus.control.state import ControlState, Outcome
from verifiable_log import Entry


class Control(Protocol):
    """What an engine asks of the control state, and does to it. ``ControlState`` says what each means."""

    @property
    def end(self) -> int | None: ...

    @property
    def effective(self) -> int | None: ...

    @property
    def needs_time(self) -> bool: ...

    @property
    def eligible(self) -> tuple[int, ...]: ...

    @property
    def suspected(self) -> tuple[int, ...]: ...

    def admits(self, client_id: bytes, slot: int) -> bool: ...

    def apply(self, entry: Entry, verify: Verify) -> tuple[Self, tuple[Outcome, ...]]: ...

    def items(self) -> tuple[bytes, ...]: ...


__all__ = ["Control", "ControlState", "Outcome", "Verify"]
