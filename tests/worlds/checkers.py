"""What must hold whatever happens. Apart from the simulator, which knows nothing of it.

``check`` raises AssertionError; the message names the seed that replays the run.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorum import AcceptedStatement
from tests.worlds.cluster import Cluster
from tests.worlds.member import Member
from tests.worlds.require import require
from verifiable_log import Entry, Submission
from verifiable_log.merkle import MerkleLog, slot_leaf


def check(cluster: Cluster, among: Sequence[Member] | None = None) -> None:
    """Safety: agreement, order, roots, certificates, at most once.

    For every member, also the crashed; ``among`` leaves out those that lie, to whom nothing is promised.
    """
    members = cluster.members if among is None else among
    try:
        agreed: dict[int, Entry] = {}
        for member in members:
            _decides_in_order(member)
            _agrees(member, agreed)
            _delivers_once(member)
        for member in members:
            _roots_follow(member, agreed)
            _certificates_hold(cluster, member, agreed)
    except AssertionError as error:
        raise AssertionError(f"seed {cluster.seed}: {error}") from error


def check_live(cluster: Cluster) -> None:
    """Liveness, once things have calmed down: all is decided and certified that was not refused."""
    seed = f"seed {cluster.seed}"
    honest = [member for member in cluster.members if member.me not in cluster.tampers]
    lengths = {member.me: member.engine.status.decided for member in cluster.correct()}
    require(len(set(lengths.values())) == 1, f"{seed}: members differ in what they decided: {lengths}")
    for member in cluster.correct():
        decided = member.decisions()
        if member.leaps:
            decided = _with_leaps(member, honest)
        status = member.engine.status
        misled = cluster.system.leader(status.view) in cluster.tampers  # to accept what nobody else has
        require(status.certified == status.decided == len(decided), f"{seed}: {status}")
        require(status.accepted == status.decided or misled, f"{seed}: {status}")
        used = {
            (one.client_id, one.client_seq) for entry in decided.values() for one in entry.batch.submissions
        }
        refused = {(r.submission.client_id, r.submission.client_seq) for m in honest for r in m.refusals}
        used |= refused
        missing = [one for one in cluster.submitted if (one.client_id, one.client_seq) not in used]
        require(not missing, f"{seed}: member {member.me} lacks {len(missing)} submissions")


def lacking(cluster: Cluster, members: Sequence[Member]) -> dict[int, list[Submission]]:
    """What was submitted, and neither decided nor refused, at each of these members that lack any of it."""
    refused = {(r.submission.client_id, r.submission.client_seq) for m in members for r in m.refusals}
    honest = [member for member in cluster.members if member.me not in cluster.tampers]
    lacks = {}
    for member in members:
        used = {
            (one.client_id, one.client_seq)
            for entry in (_with_leaps(member, honest) if member.leaps else member.decisions()).values()
            for one in entry.batch.submissions
        }
        missing = [s for s in cluster.submitted if (s.client_id, s.client_seq) not in used | refused]
        if missing:
            lacks[member.me] = missing
    return lacks


def _with_leaps(member: Member, honest: Sequence[Member]) -> dict[int, Entry]:
    """What lay below its leaps was decided by others, with whom its roots agree."""
    last = max(member.leaps)
    below = {slot: e for m in honest for slot, e in m.decisions().items() if slot <= last}
    return {**below, **member.decisions()}


def check_all(cluster: Cluster) -> None:
    check(cluster)
    check_live(cluster)


def _decides_in_order(member: Member) -> None:
    for run in member.runs:
        slots = [entry.slot for entry in run]
        expected = list(range(slots[0], slots[0] + len(slots))) if slots else []
        require(slots == expected, f"member {member.me} decided out of order: {slots}")
    installed, slots = max(member.leaps, default=0), sorted(member.decisions())
    above = [slot for slot in slots if slot > installed]
    require(
        above == list(range(installed + 1, installed + 1 + len(above))),
        "a gap over restarts",
    )


def _agrees(member: Member, agreed: dict[int, Entry]) -> None:
    for run in member.runs:
        for entry in run:
            first = agreed.setdefault(entry.slot, entry)
            require(first.batch.digest == entry.batch.digest, f"two decisions for slot {entry.slot}")
            require(first.root == entry.root, f"two roots at slot {entry.slot}")
            require(first.fresh == entry.fresh, f"slot {entry.slot} is delivered in two ways")


def _roots_follow(member: Member, agreed: dict[int, Entry]) -> None:
    log, decided = MerkleLog(), member.decisions()
    for slot in range(1, max(decided, default=0) + 1):
        entry = decided.get(slot, agreed.get(slot))  # what it snapshot_installed over, others decided
        require(entry is not None, f"nobody knows slot {slot}")
        if entry is not None:
            log.append(slot_leaf(slot, entry.batch.digest))
            require(log.root() == entry.root == entry.frontier.root, f"a wrong root at slot {slot}")


def _delivers_once(member: Member) -> None:
    seen: set[tuple[bytes, int]] = set()
    for entry in member.decisions().values():
        for one, fresh in zip(entry.batch.submissions, entry.fresh, strict=True):
            if fresh:
                key = (one.client_id, one.client_seq)
                require(key not in seen, f"delivered twice, the second time in slot {entry.slot}")
                seen.add(key)


def _certificates_hold(cluster: Cluster, member: Member, agreed: dict[int, Entry]) -> None:
    for certificate in member.certificates:
        certificate.verify(cluster.scheme)
        statement = certificate.statement
        right = isinstance(statement, AcceptedStatement) and agreed[statement.slot].root == statement.root
        require(right, f"a certificate of another log: {statement}")
