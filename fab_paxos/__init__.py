"""FaB Paxos over a Merkle log: the consensus engine, without I/O, clock, randomness or keys.

Source: J.-P. Martin, L. Alvisi, "Fast Byzantine Consensus", IEEE TDSC 3(3), 2006. docs/concepts/protocol.md
is the specification. ``Replica.step(event)`` returns effects; ``effects`` says what the driver owes them.

Deviations from the paper: a stable leader shares one view over many slots; Accepted is cumulative, and a
leader's Propose stands for its own Accepted; decision certificates are single threshold signatures on
Merkle roots, made beside the path to a decision; members that fell behind are brought up by certificates
and by the leader's signed proposals, from any peer.

``replica`` hands each event to a room or a flow. ``rooms`` is the bundle of the rooms, each with a part of
the state: ``uncertified_log``, which most of them share; ``proposer``, ``acceptor``, ``learner``;
``certifier`` and ``share_recipients``; ``election``, ``view_timer``, ``leader_monitor``, ``view_change``;
``checkpoint``, ``catch_up``. ``flows`` are what concerns several rooms: ``decide``, ``suspect``,
``change_view``, ``catch_up``, ``speak``. ``joint_signing`` is how statements get a quorum's signature,
``selection`` how what may have been decided is kept, ``lean_selection`` the same in profile lean. A replica
is of one epoch; ``control`` is what it asks of the alliance's own decisions in the log, such as its end.
"""

from fab_paxos.replica import Replica
from fab_paxos.state import EngineConfig, RestoredEntry, RestoredState

__all__ = ["EngineConfig", "Replica", "RestoredEntry", "RestoredState"]
