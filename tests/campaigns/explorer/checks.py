"""What must hold in every state: agreement, one log in all certificates, and that decisions are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from quorum import QuorumSystem
from tests.campaigns.explorer.engine import Said, Violation
from tests.campaigns.explorer.words import Certified, opens_with


def check(system: QuorumSystem, members: Sequence[tuple[int, Said]]) -> tuple[Certified, ...]:
    """Raises Violation; otherwise the certificates that there are. ``members`` are the correct ones.

    What may be decided is *chosen*: some learner needs only hear it. The liar's word is counted everywhere.
    """
    certificates = _quorums(system, (said.shares for _, said in members))
    # Whoever accepts a log accepts what it begins with.
    supported = (
        frozenset((view, log[:end]) for view, log in said.votes for end in range(1, len(log) + 1))
        for _, said in members
    )
    chosen = _quorums(system, supported)
    decided = {said.decided for _, said in members if said.decided}
    quorums = {log for _, log in (*chosen, *certificates)}
    if not quorums and not decided:
        return ()
    final = sorted(quorums | decided, key=lambda log: (len(log), log))
    for shorter, longer in pairwise(final):
        if not longer.startswith(shorter):
            raise Violation(
                f"both {shorter!r} and {longer!r} are final: {chosen=} {certificates=} {decided=}"
            )
    for log in decided:
        if not any(quorum.startswith(log) for quorum in quorums):
            raise Violation(f"{log!r} was decided, and no quorum accepted it")
    for member, said in members:
        for name in said.followed:
            for view, log in chosen:
                if view < name[0] and not opens_with(name).startswith(log):
                    raise Violation(
                        f"{log!r} may be decided in view {view}, and member {member} follows {name}"
                    )
    return certificates


def _quorums(system: QuorumSystem, words: Iterable[frozenset[Certified]]) -> tuple[Certified, ...]:
    """What so many said that, with the liar, they are enough to decide."""
    counts: dict[Certified, int] = {}
    for said in words:
        for name in said:
            counts[name] = counts.get(name, 0) + 1
    return tuple(sorted(name for name, count in counts.items() if count + 1 >= system.decision))
