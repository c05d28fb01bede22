"""The log below the engines: what is ordered, in which form, and how its order is proven.

A Merkle tree after RFC 6962 over the slots (``merkle``; ``merkle_proofs`` checks), submissions of clients,
each a tree over its commands (``command_tree``), and batches of them, the clients' sequence numbers
(``client_windows``) and what a checkpoint certifies of both (``ordering_state``), the queue of what waits
(``client_pool``), and where a command is, with its proof (``placement``, ``log_frame``). Pure: no I/O, clock,
randomness or keys, and no engine.
"""

from verifiable_log.batch import Batch, Entry
from verifiable_log.submission import InvalidSubmission, Submission, UnsignedSubmission

__all__ = ["Batch", "Entry", "InvalidSubmission", "Submission", "UnsignedSubmission"]
