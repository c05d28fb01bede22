"""Which server a stream goes to: the first that takes it up, each asked a little after the one before.

So a server that only swallows what is sent to it (a firewall that drops, a machine that hangs) costs a client
a moment, and not a time-out. As with hosts that have several addresses: RFC 8305, section 5.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from alliance.net.channels import NotServed, established

STAGGER_SECONDS = 0.25
"""So long the servers before have for themselves; more than the longest round trips take to set up TLS."""


class NobodyServes(Exception):
    """``problem`` is (member, why) of the one that was asked last."""

    def __init__(self, problem: tuple[int, str]) -> None:
        super().__init__(problem[1])
        self.problem = problem


async def first_established(begin: Callable[[int], Any], members: Iterable[int]) -> tuple[int, Any]:
    """The member that took up its call first, and the call; all other calls are cancelled.

    ``begin`` makes a call to a member. The next of ``members`` is asked when those before have had
    STAGGER_SECONDS, or at once when none of them is left. Raises NobodyServes, and what ``begin`` raises.
    """
    waiting = deque(members)
    asked: dict[asyncio.Task[None], tuple[int, Any]] = {}
    problem = (0, "nobody was asked")
    winner: Any = None
    try:
        while waiting or asked:
            if waiting:
                member = waiting.popleft()
                call = begin(member)
                asked[asyncio.create_task(established(call))] = member, call
            stagger = STAGGER_SECONDS if waiting else None
            done, _ = await asyncio.wait(asked, timeout=stagger, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in asked if task in done]:
                member, call = asked.pop(task)
                error = task.exception()  # not raised here: it would hold this frame, which holds the calls
                if error is None:
                    winner = call
                    return member, call
                call.cancel()
                if not isinstance(error, NotServed):
                    raise error
                problem = member, str(error)
        raise NobodyServes(problem)
    finally:
        for task, (_, call) in asked.items():
            task.cancel()
            call.cancel()
        try:
            await asyncio.gather(*asked, return_exceptions=True)
        except asyncio.CancelledError:  # nobody gets the winner any more
            if winner is not None:
                winner.cancel()
            raise
