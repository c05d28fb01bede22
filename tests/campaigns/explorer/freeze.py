"""The canonical form of an engine: two engines with one form act alike from here on.

Everything that the engine's objects hold goes in, whatever a later version adds, but for what is named in
``LEFT_OUT``, each with its reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from enum import Enum

from fab_paxos.messages import NewView, Progress
from quorum import Endorsement, QuorumCertificate
from tests.campaigns.explorer.words import letter_of, name_new_view
from verifiable_log import Batch
from verifiable_log.submission import Submission

LEFT_OUT = {
    "Rooms": {
        "config",  # never changes
        # Time: in the explorer a time-out may pass at any moment, whatever the timers say.
        "view_timer",
        "leader_monitor",
    },
    # The words of others are all heard at once, when that decides: what was heard before is heard again.
    "Learner": {"_system", "_support", "_words", "_shown"},
    # A proposal that waits for its turn is one that is delivered when its turn has come.
    "Acceptor": {"_system", "_ahead"},
    # What a leader proposes is the explorer's choice; nobody leads twice.
    "Proposer": {"_pending", "_queue", "_unsent", "_beats", "_overlooked"},
    # Reports are delivered as many at once as open a view. Whom to ask for a batch: all answer at once.
    # Who endorses the progress of a view follows from what it follows.
    "ViewChange": {
        "_system",
        "_reports",
        "_fetched",
        "_missing",
        "_requested",
        "_attempt",
        "joint_signing",
        "progress",
    },
    # Where the last heartbeat found it; there are none here.
    "CatchUp": {"_last"},
    "Certifier": {"_system"},
    "Election": {"_system"},
    "JointSigning": {"_system"},
    "ShareCollector": {"_system"},
}


def freeze(value: object, new_views: Mapping[bytes, Hashable]) -> Hashable:
    """``new_views`` names NewViews by digest: they differ by who reported, and not in what follows."""
    return _Freezer(new_views).form(value)


class _Freezer:
    def __init__(self, new_views: Mapping[bytes, Hashable]) -> None:
        self._new_views = new_views
        self._seen: set[int] = set()  # what several parts share and change, such as the log: once is enough

    def form(self, value: object) -> Hashable:
        match value:
            case bytes():
                return self._new_views.get(value, value)
            case None | int() | float() | str() | Enum():
                return value
            case Batch():
                return letter_of(value.digest)
            case Submission():
                return value.encoded
            case NewView() | Progress():
                return name_new_view(value)
            case QuorumCertificate():
                return value.epoch, self.form(value.statement)
            case Endorsement():
                return value.member, self.form(value.statement)
            case tuple() | list() | deque():
                return tuple(map(self.form, value))
            case dict():
                return tuple((self.form(key), self.form(held)) for key, held in value.items())
            case set() | frozenset():
                return frozenset(map(self.form, value))
            case _:
                return self._parts(value)

    def _parts(self, value: object) -> Hashable:
        kind = type(value)
        if not getattr(getattr(kind, "__dataclass_params__", None), "frozen", False):
            if id(value) in self._seen:
                return kind.__name__
            self._seen.add(id(value))
        names = [*getattr(value, "__dict__", ()), *getattr(kind, "__slots__", ())]
        left_out = LEFT_OUT.get(kind.__name__, set())
        if renamed := left_out.difference(names):
            raise LookupError(f"{kind.__name__} has no {sorted(renamed)}, which LEFT_OUT names")
        return (kind.__name__, *(self.form(getattr(value, name)) for name in names if name not in left_out))
