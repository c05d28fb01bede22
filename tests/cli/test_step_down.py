"""``alliance step-down``, and that a server which is stopped hands over by itself."""

from __future__ import annotations

import json

from tests.cli.conftest import Run
from tests.worlds.processes import Cluster


def leader(inside: Run, cluster: Cluster) -> str:
    told = json.loads(inside("status", cluster.client_folder("client-1"), "-o", "json").out)
    views = [member["view"] for member in told["members"]]
    return cluster.names[max(views) % len(cluster.names)]


def test_the_leader_steps_down_by_command_and_by_being_stopped(inside: Run, cluster: Cluster) -> None:
    cluster.complete()
    cluster.await_level(*cluster.names)
    first = leader(inside, cluster)
    result = inside("step-down", cluster.member(first))
    second = cluster.names[(cluster.names.index(first) + 1) % len(cluster.names)]
    assert result.code == 0, result.err
    assert result.text.startswith(f"{first} has handed over: {second} leads view ")
    done = json.loads(inside("step-down", cluster.member(first), "-o", "json").out)
    assert done == {"member": first, "led": False, "leader": second, "view": done["view"]}
    assert leader(inside, cluster) == second

    log = cluster.servers[second].log
    cluster.stop(second)
    third = cluster.names[(cluster.names.index(second) + 1) % len(cluster.names)]
    told = log.read_text().splitlines()
    at = next(at for at, line in enumerate(told) if "hands the leadership over" in line)
    assert any(f"{third} leads" in line for line in told[at:])
    cluster.complete()


def test_what_is_wrong_is_said(inside: Run, home: Cluster) -> None:
    folder = home.member("member-1")
    for arguments, code, says in [
        ((home.client_folder("client-1"),), 2, "is a client's folder"),
        ((folder, "--address", "127.0.0.1:1"), 5, "does not answer at 127.0.0.1:1 (connection refused)"),
    ]:
        result = inside("step-down", *arguments)
        assert result.code == code
        assert says in result.error
    assert inside("step-down", folder, passphrase="wrong").code == 2


def test_alone_nobody_can_take_over(inside: Run, home: Cluster) -> None:
    with home:
        home.start("member-1")
        result = inside("step-down", home.member("member-1"))
    assert result.code == 5
    assert (
        "member-1 still leads: nobody took the leadership over within 0.5 s; 5 of 6 members" in result.error
    )
