"""A piece of the decided log with its proof: how members and listeners are told the log."""

from __future__ import annotations

from dataclasses import dataclass

from quorum import QuorumCertificate
from verifiable_log.batch import Batch


@dataclass(frozen=True, slots=True)
class LogFrame:
    """Consecutive batches, provable from one certificate (verified by the gate) at or above them.

    ``cover`` are the tree nodes that stand for the slots between the last batch and the certificate.
    """

    first_slot: int
    batches: tuple[Batch, ...]
    certificate: QuorumCertificate
    cover: tuple[bytes, ...]
