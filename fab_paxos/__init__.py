"""FaB Paxos over a Merkle log: the consensus engine, without I/O, clock, randomness or keys.

Source: J.-P. Martin, L. Alvisi, "Fast Byzantine Consensus", IEEE TDSC 3(3), 2006. docs/concepts/protocol.md
is the specification. ``Replica.step(event)`` returns effects; ``effects`` says what the driver owes them.

Deviations from the paper: a stable leader shares one view over many slots; Accepted is cumulative, and a
leader's Propose stands for its own Accepted; decision certificates are single threshold signatures on
Merkle roots, made beside the path to a decision; members that fell behind are brought up by certificates
and by the leader's signed proposals, from any peer.

Changing views: ``election`` (suspicion and the proof that ends a view), ``patience`` and ``pace`` (when to
suspect), ``opening`` (Reports, the NewView, carrying it out), ``selection`` (what may have been decided is
kept). Forgetting and coming back: ``checkpoint``, ``transfer``. Not implemented yet: profile lean.
"""

from fab_paxos.replica import Replica
from fab_paxos.state import EngineConfig, RestoredEntry, RestoredState

__all__ = ["EngineConfig", "Replica", "RestoredEntry", "RestoredState"]
