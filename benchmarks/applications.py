"""What runs on top of the alliance: certified replies, the lock service, and broadcast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.generator import Job
from benchmarks.measure import Measured, drive, drive_beside
from benchmarks.plan import Plan
from benchmarks.report import Report, Row
from benchmarks.servers import Servers

LOCKS = "Locks: acquire and release, certified, with a fencing token (a command is both), closed loop"
REPLIES = "Certified replies: one client, one command at a time, closed loop"
BROADCAST = (
    "Broadcast: 100 messages in a submission, 16 outstanding (messages that the slowest subscriber hears;"
    " latency: the publisher's, to its receipts)"
)
MESSAGES, OUTSTANDING = 100, 16
LOAD_PROCESSES = 2
LOCK_MODULE = "examples.lock_service"


def lock_label(clients: int) -> str:
    return f"locks of {clients}"


def broadcast_label(subscribers: int) -> str:
    return f"broadcast to {subscribers}"


def locks(servers: Servers, plan: Plan, report: Report, progress: Callable[[str], None]) -> None:
    """With the lock service's executor beside each member: their use is in the servers'."""
    progress("executors of the lock service")
    with servers.executing(LOCK_MODULE, plan.executors) as executors:

        def pids() -> list[int]:
            return [*servers.pids(), *executors]

        progress("certified replies")
        measured = drive(plan.job("replies", servers.client_folders(), 1), 1, pids)
        report.add(Row.of_load(REPLIES, "1 client", measured))
        for clients in plan.lock_clients:
            progress(lock_label(clients))
            job = plan.job("locks", servers.client_folders(), clients)
            measured = drive(job, LOAD_PROCESSES if clients > 2 else 1, pids)
            report.add(Row.of_load(LOCKS, lock_label(clients), measured, connections=clients))


def broadcast(servers: Servers, plan: Plan, report: Report, progress: Callable[[str], None]) -> None:
    folders = servers.client_folders()
    publisher = plan.job("publish", folders[:1], 1)
    for count in plan.subscribers:
        progress(broadcast_label(count))
        subscriber = plan.job("subscribe", folders[1:2], 1)
        places = [[folders[1 + number % (len(folders) - 1)]] for number in range(count)]
        measured = measured_broadcast(publisher, subscriber, places, servers.pids)
        report.add(Row.of_load(BROADCAST, broadcast_label(count), measured, subscribers=count))


def measured_broadcast(
    publisher: Job, subscriber: Job, places: Sequence[Sequence[str]], pids: Callable[[], Sequence[int]]
) -> Measured:
    """A publisher as fast as it goes, and subscribers in processes of their own, one at each of ``places``.

    What the slowest subscriber hears, with the publisher's latencies.
    """
    publishing = replace(publisher, commands=MESSAGES, pipeline=OUTSTANDING)
    # What a subscriber waits for when the publisher has stopped never comes, and is no message lost.
    subscribing = replace(subscriber, commands=MESSAGES, drain_seconds=0.0)
    groups = [[publishing], *([replace(subscribing, places=place)] for place in places)]
    published, *heard = drive_beside(groups, pids)
    everybody = (published, *heard)
    return replace(
        min(heard, key=lambda measured: measured.rate),
        histogram=published.histogram,
        failed=sum(measured.failed for measured in everybody),
        unfinished=published.unfinished,
        problem=next((measured.problem for measured in everybody if measured.problem), ""),
    )
