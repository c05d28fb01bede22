"""The liars by name: each a few rules around an engine that works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256

from alliance.hostile.equivocator import Equivocator
from alliance.hostile.liar import Liar, Means
from alliance.server.driver import Engine
from fab_paxos.effects import Effect, Endorse, Send, SendLogFrame, SetTimer
from fab_paxos.events import Event, Received, Submitted, TimerFired
from fab_paxos.messages import Endorsed, Forward, Message, Propose, Report, Status, slot_of_base
from fab_paxos.selection import ReportedEntry
from quorum import AcceptedStatement, Endorsement, JointStatement, SuspectStatement

SLOW_SHARE = 0.8
"""Of the view time-out: as slow as a leader can be without being late on a machine that is busy."""

UNPROVEN_SHARES = 1
"""So many bad shares come without a proof, and none is given when it is asked for: each costs the others a
failed combination, and proves nothing against their sender. Then it gets bolder, before the others have
doubted it so often (``DOUBTS_MAX``) that they look at its shares last: its conviction would be luck then."""


class _Timer(StrEnum):
    NEXT_PROPOSAL = "hostile: next proposal"


class Silent(Liar):
    """Shakes hands, listens, and says nothing."""

    def say(self, to: int, message: Message, out: list[Effect]) -> None:
        self.lies["messages kept back"] += 1

    def do(self, effect: Effect, out: list[Effect]) -> None:
        if not isinstance(effect, SendLogFrame):
            out.append(effect)


class Slow(Liar):
    """As leader it says one proposal at a time, each as late as it can be without a time-out."""

    def __init__(self, engine: Engine, means: Means) -> None:
        super().__init__(engine, means)
        self._held: dict[tuple[int, int], list[Effect]] = {}
        self._said = (0, 0)

    def hear(self, event: Event, out: list[Effect]) -> Sequence[Event]:
        if event != TimerFired(_Timer.NEXT_PROPOSAL):
            return (event,)
        if self._held:
            self._said = next(iter(self._held))
            out.extend(self._held.pop(self._said))
        if self._held:
            self._wait(out)
        return ()

    def say(self, to: int, message: Message, out: list[Effect]) -> None:
        match message:
            case Propose(view, slot) if self.leads(view) and (view, slot) > self._said:
                if not self._held:
                    self._wait(out)
                if (view, slot) not in self._held:
                    self.lies["proposals held back"] += 1
                self._held.setdefault((view, slot), []).append(Send(to, message))
            case Status(view, accepted):
                held_in, first = next(iter(self._held), (view, accepted + 1))
                if held_in == view:  # nobody is to ask for what is held back
                    message = replace(message, accepted=min(accepted, first - 1))
                out.append(Send(to, message))
            case _:
                out.append(Send(to, message))

    def _wait(self, out: list[Effect]) -> None:
        out.append(SetTimer(_Timer.NEXT_PROPOSAL, SLOW_SHARE * self.config.view_timeout_seconds))


class Censor(Liar):
    """Does not know one client."""

    def hear(self, event: Event, out: list[Effect]) -> Sequence[Event]:
        match event:
            case Submitted(submission) if submission.client_id == self.victim:
                self.lies["submissions ignored"] += 1
                return ()
            case Received(sender, Forward(submissions)):
                kept = tuple(one for one in submissions if one.client_id != self.victim)
                self.lies["submissions ignored"] += len(submissions) - len(kept)
                return (Received(sender, Forward(kept)),) if kept else ()
            case _:
                return (event,)


class BadShares(Liar):
    """A bad share on whatever is jointly signed, before anybody's good one can be there.

    At first it is a share of another statement, and the proof that the others then ask for never comes.
    Afterwards it is that share with its proof, which proves something else, and garbage.
    """

    def __init__(self, engine: Engine, means: Means, *, when_leading: bool = True) -> None:
        super().__init__(engine, means)
        self._when_leading = when_leading
        self._strange: dict[bool, bytes] = {}
        self._count = 0

    def do(self, effect: Effect, out: list[Effect]) -> None:
        out.append(effect)  # the engine waits for an answer
        if not isinstance(effect, Endorse) or self._is_honest(effect.statement):
            return
        share = self._bad(proof_wanted=effect.proven)
        if share is not None:
            endorsement = Endorsement(effect.statement, self.me, share)
            out.extend(Send(to, Endorsed(endorsement)) for to in self.others)
            self.lies["bad shares"] += 1

    def say(self, to: int, message: Message, out: list[Effect]) -> None:
        if not isinstance(message, Endorsed) or self._is_honest(message.endorsement.statement):
            out.append(Send(to, message))

    def _is_honest(self, statement: JointStatement) -> bool:
        """While it does something worse."""
        view = statement.view if isinstance(statement, AcceptedStatement | SuspectStatement) else 0
        return self.leads(view) and not self._when_leading

    def _bad(self, *, proof_wanted: bool) -> bytes | None:
        if not proof_wanted:
            self._count += 1
        if self._count <= UNPROVEN_SHARES:
            return None if proof_wanted else self._of_another_statement(proven=False)
        proof = self._of_another_statement(proven=True)
        if self._count % 2 == 0:
            return proof
        return (sha256(self._count.to_bytes(8, "big")).digest() * len(proof))[: len(proof)]

    def _of_another_statement(self, *, proven: bool) -> bytes:
        """Made once: a good share of what nobody asks for, so that it costs no time to be first with it."""
        if proven not in self._strange:
            nothing = AcceptedStatement(0, 1, bytes(32))
            self._strange[proven] = self.endorse(nothing, proven=proven).signature
        return self._strange[proven]


class ReportLiar(Liar):
    """Its Reports exchange what it accepted, or invent it, and differ each time."""

    def say(self, to: int, message: Message, out: list[Effect]) -> None:
        if isinstance(message, Report):
            self.lies["lying Reports"] += 1
            message = self._lie(message)
        out.append(Send(to, message))

    def _lie(self, report: Report) -> Report:
        count = self.lies["lying Reports"]
        digest = sha256(count.to_bytes(8, "big")).digest()
        if count % 2 and report.entries:
            return replace(report, entries=tuple(replace(e, batch_digest=digest) for e in report.entries))
        return replace(report, entries=(ReportedEntry(slot_of_base(report.base, 0) + 1, 0, digest),))


def _equivocate(engine: Engine, means: Means) -> Liar:
    return ReportLiar(Equivocator(engine, means), means)


def _all_in_one(engine: Engine, means: Means) -> Liar:
    """Two stories as leader and, once it has been replaced, bad shares; lying Reports in between."""
    return BadShares(_equivocate(engine, means), means, when_leading=False)


ATTACKS: dict[str, Callable[[Engine, Means], Liar]] = {
    "equivocate": _equivocate,
    "silent": Silent,
    "slow": Slow,
    "censor": Censor,
    "bad-shares": BadShares,
    "all": _all_in_one,
}
