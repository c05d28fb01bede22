"""From what somebody wants of the operators to the change that does it: whose keys decide about the alliance.

Raises ConfigError, with what to do, where the members would refuse the change anyway and a person can be told
why before anybody has signed anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alliance.changes.change_file import ChangeFile
from alliance.changes.drafting import proposal
from alliance.changes.offered_keys import OfferedOperator
from alliance.config.fields import suggest
from alliance.errors import ConfigError
from consensus.control import ControlState
from consensus.control.encoding import MalformedControl
from consensus.control.operations import ChangeOperation, DropOperator, PutOperator, PutPolicy
from consensus.control.policy import approvals_needed, faulty_operators_max
from consensus.control.rows import OperatorRow

Offered = tuple[str, OfferedOperator]
"""An operator's key, and the file that it is from."""


def operators(
    state: ControlState,
    organisation: str,
    until_ms: int,
    *,
    added: Sequence[Offered] = (),
    rotated: Sequence[Offered] = (),
    removed: Sequence[str] = (),
    faulty: int | None = None,
) -> ChangeFile:
    """Organisations that come, get another key, or go; with it ``faulty`` of the policy, or as it is."""
    known = {row.organisation: row.key for row in state.directory.operators}
    operations: list[ChangeOperation] = []
    for name in dict.fromkeys(removed):
        if name not in known:
            raise ConfigError(f"the alliance has no organisation '{name:.80}'{suggest(name, known)}")
        runs = [row.name for row in state.directory.members if row.organisation == name]
        if runs:
            raise ConfigError(
                f"'{name}' runs {', '.join(runs)}: remove that first, by 'alliance member remove', and its"
                " operator when the epoch without it has begun"
            )
        del known[name]
        operations.append(DropOperator(name))
    for where, one in (*rotated, *added):
        _require_for(state, where, one)
        there, comes = one.organisation in known, (where, one) in added
        if there and comes:
            raise ConfigError(
                f"{where}: the alliance has an operator of '{one.organisation}': 'alliance operator rotate'"
                " gives it this key instead"
            )
        if not there and not comes:
            raise ConfigError(
                f"{where}: the alliance has no organisation '{one.organisation}'"
                f"{suggest(one.organisation, known)}; 'alliance operator add' brings one in"
            )
        if one.key in known.values():
            raise ConfigError(f"{where}: the key is an operator's in this alliance already: make a new one")
        known[one.organisation] = one.key
        operations.append(PutOperator(OperatorRow(one.organisation, one.key), one.proof))
    operations += _policy(state, len(known), faulty)
    return proposal(state, organisation, operations, until_ms)


def _require_for(state: ControlState, where: str, one: OfferedOperator) -> None:
    if one.alliance_id != state.alliance_id:
        raise ConfigError(f"{where} is for another alliance, {one.alliance_id.hex()[:16]}…")


def _policy(state: ControlState, count: int, faulty: int | None) -> list[ChangeOperation]:
    """The operation for another number of faulty operators, if it is another. Raises ConfigError."""
    policy = state.directory.policy
    wanted = policy.faulty if faulty is None else faulty
    try:
        approvals_needed(count, wanted)
        changed = replace(policy, faulty=wanted)
    except MalformedControl as error:
        most = faulty_operators_max(count)
        raise ConfigError(f"{error}; with {count}, say --faulty {most} at most") from None
    return [PutPolicy(changed)] if changed != policy else []
