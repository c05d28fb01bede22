"""One true message of every kind, for this or another slot, view, member, epoch or alliance.

The others are what a replay has to offer; ``spoiling`` puts their fields into the true one. ``Stage`` is an
engine that judges what got in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import shoup_rsa
from alliance.server.gate import Seal
from alliance.wire import peer_messages
from fab_paxos import EngineConfig, Replica, RestoredState
from fab_paxos.effects import Effect
from fab_paxos.events import Drained, Received, Started
from fab_paxos.messages import (
    Accepted,
    Batches,
    Certified,
    CertifyRequest,
    Endorsed,
    Fetch,
    FetchBatches,
    FetchState,
    Forward,
    Message,
    NewView,
    Progress,
    Propose,
    ProveShare,
    Report,
    Status,
)
from fab_paxos.selection import ReportedEntry
from fab_paxos.state import RestoredEntry
from quorum import AcceptedStatement, Context, JointStatement, ProgressStatement, QuorumCertificate
from tests.alliance.farm import CLIENTS, Chain, Farm
from verifiable_log import Submission
from verifiable_log.checkpoint_offer import Offer, StatePart
from verifiable_log.client_windows import ClientWindows
from verifiable_log.log_frame import LogFrame

VILLAIN = 4
VIEW = 7
"""What Reports and NewViews are about; member 2 leads it, and what they report was accepted in view 0."""

PROVEN, ACCEPTED = 5, 7
"""The engine that judges what got in: slots up to 5 are certified, 6 and 7 are accepted."""


def chain_of_all(farm: Farm) -> Chain:
    """Twenty slots, of all clients in turn."""
    chain = Chain(farm)
    for number in range(1, 21):
        chain.add(farm.submission(number, b"one", b"and another", client=number % len(CLIENTS)))
    return chain


@dataclass(frozen=True)
class Setting:
    """What a true message is about; the fields of another one are what a replay puts into it."""

    slot: int = ACCEPTED
    turns: int = 0  # how often everybody has led since
    member: int = VILLAIN
    context: Context | None = None


OTHERS = {
    "old": Setting(slot=6),
    "slot": Setting(slot=9),
    "view": Setting(turns=1),
    "member": Setting(member=2),
    "epoch": Setting(),  # completed by ``settings``
    "alliance": Setting(),
}


def settings(farm: Farm) -> dict[str, Setting]:
    ours = farm.config.context
    return OTHERS | {
        "epoch": Setting(context=Context(ours.alliance_id, ours.epoch + 1)),
        "alliance": Setting(context=Context(b"o" * 32, ours.epoch)),
    }


class Exemplars:
    """True messages by the name of their body in PeerMessage, and who may bring them."""

    def __init__(self, farm: Farm, chain: Chain) -> None:
        self.farm = farm
        self.chain = chain
        self.make = cache(self._make)
        self._certificate = cache(self._certify)

    def sender(self, kind: str, member: int = VILLAIN) -> int:
        return {"propose": 0, "certify_request": 0, "new_view": 1}.get(kind, member)

    def _make(self, setting: Setting) -> dict[str, Message]:
        at, context = setting.slot, setting.context or self.farm.config.context
        view, root = 6 * setting.turns, self.chain.root(at)
        entry, reserve = self.chain.entries[at - 1], self.chain.entries[at]
        statement = AcceptedStatement(view, at, root)
        share = replace(self.farm.endorse(setting.member, statement, context), member=setting.member)
        batches = tuple(e.batch for e in self.chain.entries[PROVEN : at + 1])
        top = len(self.chain.entries)
        newest = self._certificate(AcceptedStatement(view, top, self.chain.root(top)), context)
        snapshot = self.chain.snapshot(at)
        return {
            "propose": self.farm.propose(replace(reserve, view=view), 0, context),
            "accepted": self.farm.accepted(view, at, root, setting.member, context),
            "certify_request": CertifyRequest(view, at),
            "endorsement": Endorsed(share),
            "certified": Certified(self._certificate(statement, context)),
            "prove_share": ProveShare(statement),
            "status": Status(view, at, PROVEN, PROVEN, stable=PROVEN),
            "fetch": Fetch(at),
            "log_frame": LogFrame(PROVEN + 1, batches, newest, self.chain.log.right_cover(at + 1, top)),
            "forward": Forward(self._forwarded(at, context)),
            "report": self._report(setting.member, setting, context),
            "new_view": self._new_view(setting, context),
            "fetch_batches": FetchBatches((entry.batch.digest, reserve.batch.digest)),
            "batches": Batches((entry.batch,)),
            "progress": self._progress(setting, context),
            "offer": Offer(
                self._certificate(snapshot.statement, context),
                snapshot.frontier.peaks,
                snapshot.leaves,
                newest,
                self.chain.log.right_cover(at, top),
            ),
            "fetch_state": FetchState(at, 1),
            "state_part": StatePart(at, 0, snapshot.state),
        }

    def _forwarded(self, at: int, context: Context) -> tuple[Submission, ...]:
        return tuple(self.farm.submission(50 + at, client=client, context=context) for client in (0, 1))

    def _report(self, member: int, setting: Setting, context: Context) -> Report:
        base = self._certificate(AcceptedStatement(0, PROVEN, self.chain.root(PROVEN)), context)
        held = self.chain.entries[PROVEN : setting.slot]
        entries = tuple(ReportedEntry(e.slot, 0, e.batch.digest) for e in held)
        unsigned = Report(6 * setting.turns + VIEW, base, entries)
        sealed = peer_messages.decode(member, self.seal(member, context).close(unsigned))
        assert isinstance(sealed, Report)
        return sealed

    def _new_view(self, setting: Setting, context: Context) -> NewView:
        reports = tuple((member, self._report(member, setting, context)) for member in range(1, 6))
        vector = tuple(e.batch.digest for e in self.chain.entries[PROVEN : setting.slot])
        unsigned = NewView(6 * setting.turns + VIEW, reports, vector)
        sealed = peer_messages.decode(1, self.seal(1, context).close(unsigned))
        assert isinstance(sealed, NewView)
        return sealed

    def _progress(self, setting: Setting, context: Context) -> Progress:
        opening = self._new_view(setting, context)
        certificate = self._certificate(ProgressStatement(opening.view, opening.digest), context)
        return Progress(opening.view, opening.reports_digest, opening.base, opening.vector, certificate)

    def _certify(self, statement: JointStatement, context: Context) -> QuorumCertificate:
        """As one and the same key signs it in another epoch or alliance, too: the hardest case."""
        key, message = self.farm.config.key, statement.encode(context)
        shares = [
            shoup_rsa.SignatureShare.from_bytes(key, self.farm.endorse(m, statement, context).signature)
            for m in range(self.farm.config.system.decision)
        ]
        return QuorumCertificate(context.epoch, statement, key.combine(message, shares))

    def seal(self, member: int, context: Context | None = None) -> Seal:
        seal = Seal(self.farm.config, member, self.farm.members[member].signing_key)
        seal._context = context or seal._context
        return seal

    def signed_again(self, kind: str, data: bytes) -> bytes:
        """What its author says once it lies: the spoilt message under its own, true signature."""
        author = self.sender(kind)
        message = peer_messages.decode(author, data)
        assert isinstance(message, Propose | Accepted | Report | NewView)
        if isinstance(message, NewView):
            message = replace(
                message,
                reports=tuple(
                    (m, replace(r, signature=b"") if m == author else r) for m, r in message.reports
                ),
            )
        return self.seal(author).close(replace(message, signature=b""))

    # -- the engine that judges what got in ----------------------------------------------------------

    def engine(self, kind: str) -> Stage:
        return Stage(self, kind)


class Stage:
    """An engine in the middle of things: of member 4, or for a Report of the leader that gathers them."""

    def __init__(self, exemplars: Exemplars, kind: str) -> None:
        self.me = 1 if kind == "report" else 3
        self.replica = Replica(
            EngineConfig(exemplars.farm.config.system, self.me), _restored(exemplars, kind)
        )
        self.replica.step(Started())
        self.replica.step(Drained())
        true = exemplars.make(Setting())
        if kind == "batches":
            self.hear(1, true["new_view"])  # it lacks what the NewView names
        if kind in ("offer", "state_part"):  # it asks the villain, who has pruned what it lacks
            top = len(exemplars.chain.entries)
            self.hear(VILLAIN, Status(0, top, top, top))
        if kind == "state_part":
            self.hear(VILLAIN, true["offer"])

    @property
    def standing(self) -> tuple[object, ...]:
        """What no bad message may change."""
        tail, transfer = self.replica.rooms.log, self.replica.rooms.catch_up.transfer
        entries = tuple((e.slot, e.view, e.root) for e in tail.accepted_above(tail.base))
        held = (
            self.replica.rooms.certifier.newest,
            self.replica.rooms.view_change.new_view,
            self.replica.rooms.view_change.progress,
        )
        return self.replica.status, entries, held, transfer._offer, transfer.received

    def hear(self, sender: int, message: Message) -> list[Effect]:
        return [*self.replica.step(Received(sender, message)), *self.replica.step(Drained())]


def _restored(exemplars: Exemplars, kind: str) -> RestoredState:
    chain = exemplars.chain
    proven = ACCEPTED if kind == "fetch_state" else PROVEN
    view = VIEW if kind in ("report", "new_view", "batches", "progress") else 0
    held = () if kind in ("batches", "offer", "state_part") else chain.entries[proven:ACCEPTED]
    return RestoredState(
        view=view,
        election=chain.election(VIEW - 1) if view else None,
        frontier=chain.frontiers[proven],
        windows=ClientWindows.read(chain.snapshot(proven).state),
        certificate=chain.certificate(proven),
        entries=tuple(RestoredEntry(e.slot, e.view, e.batch, e.root, e.signature) for e in held),
        checkpoint=chain.checkpoint(ACCEPTED) if kind == "fetch_state" else None,
    )
