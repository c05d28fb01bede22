"""Each way to lie, in short, by a real process against real servers of one alliance; and who may not lie."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from alliance import client
from alliance import config as config_file
from alliance.cli.demo.attack import Attack, Outcome
from alliance.cli.demo.attack_kinds import ALL, PLANS, AttackName, AttackPlan
from alliance.cli.demo.cluster import PLAYGROUND
from alliance.cli.demo.narration import Narration
from alliance.cli.demo.run import Run
from alliance.hostile.attacks import ATTACKS, BadShares, Slow
from alliance.hostile.liar import Liar, Means
from alliance.server.driver import Driver
from fab_paxos import Replica
from fab_paxos.messages import Status
from quorum import JointStatement, QuorumSystem
from tests.worlds.checkers import check_all
from tests.worlds.cluster import Cluster as World
from tests.worlds.cluster import submission
from tests.worlds.founding import found
from tests.worlds.processes import PASSPHRASE, Cluster, environment, founding
from tests.worlds.standin import CONTEXT

Play = Callable[[AttackPlan], Outcome]


class Scene(Run):
    """An alliance at work, on which one attack after the other is played."""

    async def live(self, first: client.Client, second: client.Client) -> None:
        self.clients = first, second
        self._last: Outcome | None = None

    async def play(self, plan: AttackPlan) -> Outcome:
        if self._last is not None:
            await self._heal(self._last)
        # Where nobody else's work is ordered, a censored client is missed as soon as its time-out is over.
        first, second = self.clients
        attack = Attack(self, [first, first if plan.attack == "censor" else second], plan)
        await attack.begin()
        await attack.endure()
        await attack.agree()
        await attack.judge()
        self._last = attack.outcome
        return attack.outcome

    async def _heal(self, outcome: Outcome) -> None:
        """All members honest, and nobody's shares ignored: that is remembered as long as a server runs."""
        if outcome.attack == "bad-shares":
            await self.cluster.stop()
            await self.cluster.start(self.names)
        else:
            await self.cluster.start([outcome.member or ""])
        # A view whose every member was restarted is left for the next one; who gets a receipt is in that.
        self.receipts.append(await self.clients[0].propose(b"all is well"))
        await self.settled(self.clients[0], self.names, self.names)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """A function that plays an attack and returns its figures."""
    folder = tmp_path_factory.mktemp("attacked") / "farm"
    config = found(founding(), folder, PASSPHRASE.encode())
    scene = Scene(folder, config, PASSPHRASE, Narration(silent=True))
    stack = AsyncExitStack()

    async def open_scene() -> None:
        await scene.cluster.start(scene.names)
        homes = [folder / "clients" / f"client-{number}" for number in (1, 2)]
        first, second = [
            await stack.enter_async_context(await client.connect(home, PASSPHRASE.encode())) for home in homes
        ]
        await scene.live(first, second)

    with asyncio.Runner() as runner:
        try:
            runner.run(open_scene())
            yield lambda plan: runner.run(scene.play(plan))
        finally:
            runner.run(stack.aclose())
            runner.run(scene.cluster.stop())


@pytest.mark.parametrize(
    ("members", "faults", "profile", "has_to_go"),
    [(4, 1, "lean", None), (6, 1, "lean", None), (6, 1, "classic", True), (9, 2, "lean", True)],
)
def test_who_tells_two_stories_keeps_its_place_where_one_half_decides(
    members: int, faults: int, profile: str, has_to_go: bool | None
) -> None:
    system = QuorumSystem(members, faults, profile)
    assert ALL.among(system).replaced is has_to_go
    assert PLANS[AttackName.EQUIVOCATE].among(system).replaced is has_to_go
    assert PLANS[AttackName.SILENT].among(system).replaced is True


def _in_short(attack: AttackName, seconds: float = 1.0) -> AttackPlan:
    return replace(PLANS[attack], seconds=seconds)


def test_a_silent_leader_is_missed_and_replaced(play: Play) -> None:
    outcome = play(_in_short(AttackName.SILENT))
    assert outcome.lies["messages kept back"] > 0
    assert outcome.replaced_after_ms is not None
    assert outcome.during.gap_ms > 500  # nobody's patience ends before


def test_a_slow_leader_slows_everybody_down(play: Play) -> None:
    # Too short to be replaced for its pace: tests/fab_paxos/test_leader_monitor.py shows that.
    outcome = play(replace(_in_short(AttackName.SLOW), replaced=None))
    assert outcome.lies["proposals held back"] > 0
    assert outcome.during.gap_ms > 350
    assert outcome.blamed == {}


def test_a_censored_client_gets_through(play: Play) -> None:
    outcome = play(_in_short(AttackName.CENSOR))
    assert outcome.lies["submissions ignored"] > 0
    assert outcome.replaced_after_ms is not None
    assert outcome.during.first_client_ms > 500
    assert outcome.blamed == {}


def test_an_equivocator_is_convicted_and_replaced_and_lies_in_its_reports(play: Play) -> None:
    outcome = play(_in_short(AttackName.EQUIVOCATE))
    assert outcome.lies["slots proposed in two versions"] > 0
    assert outcome.lies["lying Reports"] > 0
    assert outcome.replaced_after_ms is not None
    # Reports that it has to repeat, because the others are slow, contradict each other as well.
    assert {"two proposals"} <= set(outcome.blamed[outcome.member]) <= {"two proposals", "two Reports"}
    assert json.loads(json.dumps(outcome.report()))["log_sha256"] == outcome.log_sha256


def test_a_spoiler_of_signatures_is_convicted_and_certificates_are_made(play: Play) -> None:
    outcome = play(_in_short(AttackName.BAD_SHARES, 3.0))
    assert outcome.lies["bad shares"] > 0
    assert set(outcome.blamed) == {outcome.member}
    assert set(outcome.blamed[outcome.member]) == {"a bad signature share"}


def test_every_attack_of_the_demo_is_one_of_the_liars() -> None:
    plots = [*PLANS.values(), ALL]
    assert {plan.attack for plan in plots} == set(ATTACKS)
    assert all(plan.attack == attack.value for attack, plan in PLANS.items())


@pytest.mark.parametrize("seed", range(20))
def test_a_spoiler_of_signatures_is_convicted_whoever_is_faster(seed: int) -> None:
    """No heartbeat passes: nobody has to be short of shares when one comes."""
    world = World(seed=seed)
    _, *correct = world.members
    spoiler = seat(world, BadShares)
    for number in range(20):
        world.submit(1, submission(1, number))
        world.run()
    assert spoiler.lies["bad shares"] > 0
    assert {blame.member for member in correct for blame in member.blames} == {spoiler.me}
    world.settle()
    check_all(world)


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_leader_that_was_replaced_says_nothing_that_convicts_it(seed: int) -> None:
    """What it still holds back, if it was slower than it meant to be, is of no view that anybody is in."""
    world = World(seed=seed)
    world.keep_sent = True
    slow = seat(world, Slow)
    for number in range(3):
        world.submit(number, submission(1, number))
    world.settle_views(2)
    assert slow.lies["proposals held back"] > 0
    assert not any(member.blames for member in world.members)
    told = [said for sender, _, said in world.sent if sender == slow.me and isinstance(said, Status)]
    assert max(said.certified for said in told) > 0
    for said in told:
        assert said.certified <= said.decided <= said.accepted


def seat(world: World, kind: type[Liar]) -> Liar:
    """Puts the first leader's engine into a liar's hands."""
    liar = world.members[0]

    def share(statement: JointStatement, proven: bool) -> bytes:
        return world.endorsers[liar.me].endorse(statement.encode(CONTEXT), proven=proven)

    seated = kind(liar.engine, Means(liar.config, b"", share))
    liar._driver = Driver(cast(Replica, seated), liar._hands, lambda: world.clock(liar))
    return seated


# -- who may lie -------------------------------------------------------------------------------------


def _hostile(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alliance.hostile", *([str(folder), *arguments] if arguments else [])],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("mark", [None, "", "0" * 64, "\u00e9"])
def test_no_member_outside_of_a_demo_lies(home: Cluster, mark: str | None) -> None:
    folder = home.member("member-1")
    if mark is not None:
        (folder / PLAYGROUND).write_text(mark, "utf-8")
    done = _hostile(folder, "silent")
    assert (done.returncode, done.stdout) == (2, "")
    assert "only 'alliance demo' runs a member that lies" in done.stderr
    assert not (folder / "journal.sqlite").exists()


def test_no_member_among_real_ones_lies(home: Cluster) -> None:
    folder = home.member("member-1")
    config = config_file.load(folder)
    (folder / PLAYGROUND).write_text(config.alliance_id.hex(), "ascii")
    path = folder / "alliance.toml"
    path.write_text(path.read_text("utf-8").replace(config.members[3].address, "dora.example:7400"), "utf-8")
    done = _hostile(folder, "silent")
    assert done.returncode == 2
    assert "only 'alliance demo' runs a member that lies" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["honest"], ["silent", "more"]])
def test_the_liar_says_how_it_is_started(founded: Cluster, arguments: list[str]) -> None:
    done = _hostile(founded.member("member-1"), *arguments)
    assert done.returncode == 2
    assert "for 'alliance demo' alone" in done.stderr
