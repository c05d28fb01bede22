"""Your own state machine under crashes, partitions and a member that lies; all in one process, by seed.

::

    from alliance.testing import Simulation

    def test_my_machine_bears_everything() -> None:
        for seed in range(20):
            with Simulation(MyMachine, seed=seed, liars=["member-6"]) as world:
                calls = [world.submit(b"command %d" % number) for number in range(30)]
                world.turmoil(seconds=20)
                world.settle()
                assert all(call.answer for call in calls)

The members are the real ones: engine, driver, journal, execution. Simulated are the clock, the network
between them, and who holds which key. Ed25519 signatures stand in for the threshold RSA ones, which would be
slower and are no matter of a state machine's. One seed gives one run.
"""

from alliance.testing.calls import Call
from alliance.testing.simulation import Diverged, NotLive, Simulation

__all__ = ["Call", "Diverged", "NotLive", "Simulation"]
