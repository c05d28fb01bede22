"""States of an executor, and certificates on what they are."""

from __future__ import annotations

from alliance.execution import Runner
from alliance.execution.runner import RunnerState
from alliance.execution.snapshot_folder import Held, SnapshotFolder
from examples.kv.store import Store
from quorum import Endorsement, QuorumCertificate, SnapshotStatement, combine
from tests.alliance.farm import Farm
from tests.execution.feed import Feed


def states(count: int, size: int = 400) -> list[RunnerState]:
    """After the slots 1 to ``count``; each is larger than ``size`` bytes."""
    feed, runner, reached = Feed(), Runner("kv", Store()), []
    for slot in range(1, count + 1):
        feed.add(b"set key-%d %s" % (slot, b"x" * size), time_ms=slot)
        feed.tell(runner)
        reached.append(runner.state())
    return reached


_CERTIFICATES: dict[tuple[bytes, SnapshotStatement], QuorumCertificate] = {}


def certified(farm: Farm, statement: SnapshotStatement) -> QuorumCertificate:
    """Each is made once."""
    scheme = farm.config.attestation
    message = statement.encode(scheme.context)
    known = _CERTIFICATES.get((message, statement))
    if known is None:
        shares = [farm.attesters[member].endorse(message, proven=False) for member in range(scheme.threshold)]
        endorsed = [Endorsement(statement, member, share) for member, share in enumerate(shares)]
        known = _CERTIFICATES[message, statement] = combine(scheme, endorsed)
    return known


def keep(farm: Farm, folder: SnapshotFolder, state: RunnerState, now: float = 0.0) -> Held:
    """A certified snapshot more in the folder."""
    held = folder.write(state)
    folder.add(held, now=now)
    folder.certify(held.slot, certified(farm, held.statement), now)
    return held
