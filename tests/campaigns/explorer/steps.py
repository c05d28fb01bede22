"""What can happen to a member in one turn. A step is plain data, so that it prints and can be read again.

``(kind, …)``, where logs, Reports and NewViews stand under their names (``words``):

    ("enter", view)                    the election proof of a later view arrives
    ("enter late", view, words)        the same, after everything that was said in the old view
    ("propose", view, log)             the leader's proposal of the last slot of the log
    ("false root", view, log, other)   that proposal under another log's root
    ("submit", letter)                 a client of this member, which leads
    ("open", view, reports)            as leader: Reports, until they are enough
    ("NewView", name, reports)         the leader's NewView that follows from these Reports
    ("bad NewView", name, reports)     one that does not
    ("Progress", name, reports)        the progress certificate of the one that does, without its Reports
    ("certificate", view, log)
    ("frame", view, log)               a proven log in place of proposals
    ("words", view, words)             Accepted of others: ((member, logs), …)
    ("report",)                        the link to the leader is up again
    ("restart",)
"""

from __future__ import annotations

from typing import Any

from fab_paxos.events import Event, PeerConnected, Received, Submitted
from fab_paxos.messages import Accepted, Certified, NewView, Progress, Propose
from quorum import ProgressStatement, QuorumSystem
from tests.campaigns.explorer.engine import Engine, Step
from tests.campaigns.explorer.words import (
    BATCHES,
    accepted,
    certificate,
    decision_certificate,
    election_proof,
    frontier,
    report,
)
from verifiable_log.log_frame import LogFrame

ENTERING = ("enter", "enter late")
NEWS = ("words", "certificate", "frame")
"""Steps by which a member learns what is decided."""

RESTART: Step = ("restart",)
SIGNED = b"signed by its author"


def take(step: Step, engine: Engine) -> None:
    """Raises what ``Engine.turn`` raises."""
    if step == RESTART:
        engine.restart()
    else:
        engine.turn(events(step, engine.system, engine.me, engine.liar))
        if step[0] == "words":
            engine.forget_words()
        elif step[0] == "open":
            engine.forget_reports()


def events(step: Step, system: QuorumSystem, me: int, liar: int) -> list[Event]:
    match step:
        case ("enter", view):
            return [Received(liar, Certified(election_proof(system, view)))]
        case ("enter late", view, words):
            return [*_words(words), Received(liar, Certified(election_proof(system, view)))]
        case ("propose", view, log):
            return [_propose(system, view, log, log)]
        case ("false root", view, log, other):
            return [_propose(system, view, log, other)]
        case ("submit", letter):
            return [Submitted(BATCHES[letter].submissions[0])]
        case ("open", view, reports):
            return [Received(member, report(system, view, content)) for member, content in reports]
        case ("NewView" | "bad NewView", name, reports):
            return [Received(system.leader(name[0]), new_view(system, name, reports))]
        case ("Progress", name, reports):
            return [Received(liar, _progress(system, new_view(system, name, reports)))]
        case ("certificate", view, log):
            return [Received(liar, Certified(decision_certificate(system, (view, log))))]
        case ("frame", view, log):
            batches = tuple(BATCHES[letter] for letter in log)
            return [Received(liar, LogFrame(1, batches, decision_certificate(system, (view, log)), ()))]
        case ("words", _, words):
            return _words(words)
        case ("report",):
            return [PeerConnected(peer) for peer in range(system.member_count) if peer != me]
        case _:
            raise ValueError(f"there is no step {step}")


def new_view(system: QuorumSystem, name: tuple[Any, ...], reports: tuple[Any, ...]) -> NewView:
    view, _, letters = name
    signed = tuple((member, report(system, view, content)) for member, content in reports)
    return NewView(view, signed, tuple(BATCHES[letter].digest for letter in letters), SIGNED)


def _progress(system: QuorumSystem, followed: NewView) -> Progress:
    proof = certificate(system, ProgressStatement(followed.view, followed.digest))
    return Progress(followed.view, followed.reports_digest, followed.base, followed.vector, proof)


def _propose(system: QuorumSystem, view: int, log: str, root_of: str) -> Event:
    propose = Propose(view, len(log), BATCHES[log[-1]], frontier(root_of).root, SIGNED)
    return Received(system.leader(view), propose)


def _words(words: tuple[Any, ...]) -> list[Event]:
    said: list[Event] = []
    for member, view, log in words:
        statement = accepted((view, log))
        said.append(Received(member, Accepted(view, statement.slot, statement.root, SIGNED)))
    return said


def describe(step: Step) -> str:
    """The step in a few words; the data itself follows it in a schedule."""
    match step:
        case ("enter", view):
            return f"learns that view {view} is elected"
        case ("enter late", view, _):
            return f"hears what was said, and then learns that view {view} is elected"
        case ("propose", view, log):
            return f"hears the leader of view {view} propose {log[-1]} for slot {len(log)}"
        case ("false root", view, log, other):
            return f"hears the leader of view {view} propose {log[-1]} with the root of {other!r}"
        case ("submit", letter):
            return f"leads, and proposes {letter}"
        case ("open", view, reports):
            return f"leads, and hears {len(reports)} Reports for view {view}"
        case ("NewView", (view, _, letters), _):
            return f"hears the NewView of view {view}: {letters!r}"
        case ("bad NewView", (view, _, letters), _):
            return f"hears a NewView of view {view} that does not follow: {letters!r}"
        case ("Progress", (view, _, letters), _):
            return f"hears that a quorum follows the NewView of view {view}: {letters!r}"
        case ("certificate", view, log):
            return f"hears the certificate of view {view} on {log!r}"
        case ("frame", view, log):
            return f"is given the log {log!r}, as view {view} certified it"
        case ("words", view, _):
            return f"hears all that was accepted in view {view}"
        case ("report",):
            return "reports once more"
        case _:
            return "restarts from its journal"
