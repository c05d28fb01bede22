"""An engine whose messages pass through somebody, both ways: what all liars have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alliance.server.driver import Engine
from fab_paxos import EngineConfig
from fab_paxos.effects import Broadcast, Effect, Send
from fab_paxos.events import Event
from fab_paxos.messages import Message, Status
from quorum import Endorsement, JointStatement
from verifiable_log import Submission


@dataclass(frozen=True)
class Means:
    """What a liar has: its seat, its own share without the signer that would refuse, and its score.

    ``victim`` is the client_id of somebody it wishes ill.
    """

    config: EngineConfig
    victim: bytes
    share: Callable[[JointStatement, bool], bytes] = field(repr=False)
    lies: Counter[str] = field(default_factory=Counter)


class Liar:
    """Tells the truth: each kind overrides what it abuses. Liars can be put into each other.

    It owns no thread and no clock. What it says, it says as effects, in its own member's name; the server
    signs and sends them like the engine's own.
    """

    def __init__(self, engine: Engine, means: Means) -> None:
        self._engine = engine
        self.me = means.config.me
        self.config = means.config
        self.victim = means.victim
        self.lies = means.lies
        self._share = means.share
        self.others = [peer for peer in range(means.config.system.member_count) if peer != self.me]

    @property
    def status(self) -> Status:
        return self._engine.status

    @property
    def pending(self) -> tuple[Submission, ...]:
        return self._engine.pending

    def step(self, event: Event) -> tuple[Effect, ...]:
        out: list[Effect] = []
        for heard in self.hear(event, out):
            for effect in self._engine.step(heard):
                match effect:
                    case Send(to, message):
                        self.say(to, message, out)
                    case Broadcast(message):
                        for to in self.others:
                            self.say(to, message, out)
                    case _:
                        self.do(effect, out)
        return tuple(out)

    def hear(self, event: Event, out: list[Effect]) -> Sequence[Event]:
        """What the engine gets to know of an event."""
        return (event,)

    def say(self, to: int, message: Message, out: list[Effect]) -> None:
        """The engine says something to a member."""
        out.append(Send(to, message))

    def do(self, effect: Effect, out: list[Effect]) -> None:
        """The engine wants anything else."""
        out.append(effect)

    def leads(self, view: int) -> bool:
        return self.config.system.leader(view) == self.me

    def endorse(self, statement: JointStatement, *, proven: bool = False) -> Endorsement:
        """Its own share on whatever it likes; no guard asks what it signed before."""
        return Endorsement(statement, self.me, self._share(statement, proven))
