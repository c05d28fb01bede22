"""What a lying member says in place of what it should: the others must bear it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from alliance.execution import Outcome, Status
from alliance.testing.application import ApplicationMember
from fab_paxos.messages import Endorsed, Message, Propose
from verifiable_log import Batch
from verifiable_log.merkle import slot_leaf

WITHHELD = 0.1


class Liar:
    """It tells two halves of the alliance two stories, spoils signatures, withholds, and answers falsely."""

    def __init__(self, member: ApplicationMember, random: Random) -> None:
        self.member = member
        self._random = random

    def twist(self, to: int, message: Message) -> Message | None:
        """What it says to this one; None for nothing."""
        if self._random.random() < WITHHELD:
            return None
        if isinstance(message, Propose) and to % 2:
            return self._another(message)
        if isinstance(message, Endorsed) and self._random.random() < 0.5:
            return Endorsed(replace(message.endorsement, signature=bytes(64)))
        return message

    def _another(self, propose: Propose) -> Propose:
        """The same place with another content, where it can say so without being caught at once."""
        frontier = self.member.frontier
        if propose.slot != frontier.size + 1:
            return propose
        batch = Batch.of(reversed(propose.batch.submissions), propose.batch.time_ms + 1)
        root = frontier.append(slot_leaf(propose.slot, batch.digest)).root
        return replace(propose, batch=batch, root=root)

    def answer(self, outcome: Outcome) -> Outcome:
        """What its executor says of a command."""
        return replace(outcome, status=Status.DONE, payload=b"a lie about " + outcome.payload[:1000])
