"""What simulated clients ask for, and what they were told: the history of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from alliance.execution import Kind, Outcome, Status, wrap
from verifiable_log import Submission, UnsignedSubmission

_UNCHECKED = b"s" * 64
"""In the place of a client's signature: in a simulation nobody submits in another's name."""


@dataclass(eq=False)
class Call:
    """One command or query. Times are in seconds since the run began; ``outcome`` comes when 2f + 1 agree."""

    client: str
    payload: bytes
    is_query: bool
    submission: Submission = field(repr=False)
    invoked: float
    returned: float | None = None
    outcome: Outcome | None = None
    said: dict[Outcome, set[str]] = field(default_factory=dict, repr=False)

    @property
    def answer(self) -> bytes | None:
        """What the state machine answered; None while there is no answer, or if it was refused or failed."""
        done = self.outcome is not None and self.outcome.status is Status.DONE
        return self.outcome.payload if done and self.outcome is not None else None

    def hear(self, member: str, outcome: Outcome, enough: int, now: float) -> None:
        """An executor's statement; an answer when ``enough`` of them say the same."""
        self.said.setdefault(outcome, set()).add(member)
        if self.outcome is None and len(self.said[outcome]) >= enough:
            self.outcome, self.returned = outcome, now


class SimulatedClient:
    """Numbers what it submits, as a real client does."""

    def __init__(self, name: str, client_id: bytes, application: str) -> None:
        self.name = name
        self.client_id = client_id
        self._application = application
        self._next = 0

    def call(self, payload: bytes, *, is_query: bool, now: float) -> Call:
        kind = Kind.QUERY if is_query else Kind.APPLY
        unsigned = UnsignedSubmission(self.client_id, self._next, [wrap(self._application, kind, payload)])
        self._next += 1
        return Call(self.name, payload, is_query, unsigned.sign(_UNCHECKED), now)
