"""FaB Paxos over a Merkle log: the consensus engine, without I/O, clock, randomness or keys.

Source: J.-P. Martin, L. Alvisi, "Fast Byzantine Consensus", IEEE TDSC 3(3), 2006. docs/protocol.md is the
specification. ``Replica.step(event)`` returns effects; ``effects`` says what the driver owes them.

Deviations from the paper: a stable leader shares one view over many slots; Accepted is cumulative, and a
leader's Propose stands for its own Accepted; decision certificates are single threshold signatures on
Merkle roots, made beside the path to a decision; members that fell behind are brought up by certificates
and by the leader's signed proposals, from any peer.

This version implements the normal case: any f members may be crashed, slow or silent, as long as the
leader of view 0 is correct. Messages, journal and dispatch carry views throughout; changing them when a
leader fails is not implemented yet, so a crashed leader stops decisions until it returns. It never makes
them contradict each other.
"""

from fab_paxos.replica import Replica
from fab_paxos.state import EngineConfig, RestoredEntry, RestoredState
from fab_paxos.types import Batch, Entry, InvalidSubmission, Submission, UnsignedSubmission

__all__ = [
    "Batch",
    "EngineConfig",
    "Entry",
    "InvalidSubmission",
    "Replica",
    "RestoredEntry",
    "RestoredState",
    "Submission",
    "UnsignedSubmission",
]
