"""What a member that is removed owes the others: it stays until one of them has what it has.

Its share may be the one without which the others cannot certify the end of its last epoch: f of them may be
silent. Whoever has the whole has no need of the others any more, and if it left then, with its shares erased,
those would wait for ever. So it goes on answering until one correct member has gone over; that one has the
proof, and tells all others.
"""

from __future__ import annotations

import asyncio
import logging

import grpc
import grpc.aio

from alliance.client.revisions import ask_membership
from alliance.config.file import AllianceConfig
from alliance.config.membership import Membership
from alliance.config.parties import Member
from alliance.pb import client_pb2 as pb
from alliance.server.arrival import Channels

log = logging.getLogger("alliance.server")

PARTING_SECONDS = 600.0
"""For so long at most: who has gone over does not let it in any more, and may be found to be silent."""
LOOK_SECONDS = 0.2
"""Who has gone over says so to a member that is removed for a second, before it closes the connection."""


async def passed_on(channels: Channels, config: AllianceConfig) -> None:
    """Waits until one correct member of ``config``, which is the next epoch, has gone over to it."""
    asked = [asyncio.ensure_future(_gone_over(channels, member, config.epoch)) for member in config.members]
    log.info("epoch %d begins without this member: it ends when others have gone over", config.epoch)
    try:
        async with asyncio.timeout(PARTING_SECONDS):
            waiting = set(asked)
            while len(asked) - len(waiting) < config.system.one_correct:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        log.warning("within %g s nobody was seen to go over to epoch %d", PARTING_SECONDS, config.epoch)
    finally:
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _gone_over(channels: Channels, member: Member, epoch: int) -> None:
    """Returns when it says that it is in that epoch, or that it does not know this member."""
    while True:
        call = ask_membership(channels.to(member), Membership.last_of(epoch))
        try:
            said = await call.read()
            if isinstance(said, pb.MembershipPart) and Membership.of(said).epoch >= epoch:
                return
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.PERMISSION_DENIED:
                return
        finally:
            call.cancel()
        await asyncio.sleep(LOOK_SECONDS)
