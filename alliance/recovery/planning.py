"""From what is wanted of the members to the act that does it."""

from __future__ import annotations

from collections.abc import Sequence

from alliance.changes.member_drafting import Wanted, members
from alliance.errors import ConfigError
from alliance.founding.party import largest_key
from alliance.recovery import ceremony
from alliance.recovery.act_file import ActFile
from alliance.recovery.report import Furthest, Survivor
from consensus.control.commands import Propose
from quorum.receivers import receiver_bits

__all__ = ["Wanted", "make_act"]


def make_act(log: Furthest, survivors: Sequence[Survivor], wanted: Wanted) -> ActFile:
    """The act on the longest log, ``log``. Raises ConfigError with what would do."""
    there = ceremony.present(log, survivors)
    state, receivers = ceremony.with_receivers(log, survivors)
    staying = {one.name for one in there} - {*wanted.removed}
    coming = {request.name for _, request in (*wanted.replaced, *wanted.added)}
    for row in state.directory.members:
        if row.name not in staying | coming | {*wanted.removed}:
            raise ConfigError(
                f"'{row.name}' has not reported, so it counts as lost: say what becomes of it, by --replace"
                " with a new request under its name, or --remove"
            )
    organisation = state.directory.operators[0].organisation  # a proposal has a proposer; this one has none
    drafted = members(state, organisation, wanted, receiver_bits(largest_key(log.config)), 0).command
    if not isinstance(drafted, Propose):
        raise TypeError(type(drafted).__name__)
    gone = {*wanted.removed, *(request.name for _, request in wanted.replaced)}
    kept = [one for one in receivers if one.name not in gone]
    act = ceremony.plan(log, survivors, [*kept, *drafted.change.operations])
    operators = tuple((row.organisation, row.key) for row in log.state.directory.operators)
    lost = tuple(row.name for row in log.state.directory.members if row.name not in act.survivors)
    return ActFile(log.config.alliance_id, act, lost, operators)
