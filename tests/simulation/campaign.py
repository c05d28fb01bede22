"""One seed, one world with liars: random trouble, then calm, then the verdict."""

from __future__ import annotations

from random import Random

from quorum import QuorumSystem
from tests.fab_paxos.cluster import SIX, submission
from tests.simulation.adversaries import KINDS
from tests.simulation.world import World

ELEVEN = QuorumSystem(11, 2)
CALM_ROUNDS = 14


def campaign(seed: int, kind: str | None = None, *, traced: bool = False) -> World:
    """A run with all its checks. An error of any kind says how to replay it."""
    try:
        return _Campaign(seed, kind, traced=traced).run()
    except Exception as error:
        which = f" --kind '{kind}'" if kind is not None else ""
        replay = f"python -m tests.simulation.run --seed {seed} --seeds 1{which}"
        raise AssertionError(f"{type(error).__name__}: {error}; replay: {replay}") from error


class _Campaign:
    def __init__(self, seed: int, kind: str | None, *, traced: bool) -> None:
        self.dice = dice = Random(seed)
        large = seed % 12 == 11
        loss = dice.choice((0.0, 0.0, 0.05, 0.3))
        self.world = world = World(ELEVEN if large else SIX, seed, loss=loss, traced=traced)
        self.down: list[int] = []
        count = world.system.member_count
        names = list(KINDS)
        first = dice.choice((0, 0, 1, 1, 2, dice.randrange(count)))  # the first leaders do the most harm
        liars = [first] if not large else [first, (first + dice.choice((1, 3))) % count]
        self.kinds = [kind if kind is not None else dice.choice(names) for _ in liars]
        for me, name in zip(liars, self.kinds, strict=True):
            world.corrupt(KINDS[name](world, me, Random(dice.randrange(2**32))))

    def run(self) -> World:
        for number in range(self.dice.randrange(5, 14)):
            self._submit(number)
            self.world.run(self.dice.randrange(200))
            self._trouble()
            self.world.check()
        self._calm_down()
        self.world.check_all()
        return self.world

    def _submit(self, number: int) -> None:
        up = [member.me for member in self.world.honest if member.replica is not None]
        for client in range(self.dice.randrange(1, 4)):
            self.world.submit(self.dice.choice(up), submission(client, number))

    def _trouble(self) -> None:
        world, dice = self.world, self.dice
        for adversary in world.adversaries.values():
            adversary.act()
        honest = [member.me for member in world.honest]
        match dice.randrange(9):
            case 0 if len(self.down) < 2:
                victim = dice.choice([me for me in honest if me not in self.down])
                self.down.append(victim)
                world.crash(victim)
            case 1 if self.down:
                world.restart(self.down.pop())
            case 2 | 3:
                world.lose_patience()
            case 4 | 5:
                world.beat()
            case 6:
                world.cut = self._partition()
            case 7:
                world.cut = set()
            case _:
                victim = dice.choice([me for me in honest if me not in self.down])
                world.crash_plan[victim, world.members[victim].turns + dice.randrange(1, 9)] = dice.choice(
                    ("before the sync", "after the sync", "within the effects")
                )
        for member in world.honest:  # who died by plan comes back, sooner or later
            if member.replica is None and member.me not in self.down and dice.random() < 0.6:
                world.restart(member.me)

    def _partition(self) -> set[tuple[int, int]]:
        """A member cut off, in one direction or both; or two halves; or single links."""
        dice, every = self.dice, range(self.world.system.member_count)
        match dice.randrange(3):
            case 0:
                victim = dice.choice(every)
                both = dice.random() < 0.5
                return {(a, victim) for a in every} | {(victim, a) for a in every if both}
            case 1:
                half = set(dice.sample(every, len(every) // 2))
                return {(a, b) for a in every for b in every if (a in half) != (b in half)}
            case _:
                return {(dice.choice(every), dice.choice(every)) for _ in range(6)}

    def _calm_down(self) -> None:
        world = self.world
        world.crash_plan.clear()
        world.cut = set()
        for member in world.members:
            if member.replica is None:
                world.restart(member.me)
        if world.loss:  # links broke and come up again
            world.loss = 0.0
        for member in world.honest:
            world.submit_again(member.me)
        world.settle_views(CALM_ROUNDS)
        world.quiet = True
        world.settle_views(CALM_ROUNDS // 2)
