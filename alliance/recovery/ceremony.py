"""What follows from the files of those who recover an alliance: the same for all who have the same files.

    the longest report      the log that goes on
    the act, approved       the members that it goes on with
    dealings of a quorum    their shares, the next epoch, and the statement that makes it one
    shares of a quorum      its certificate

Pure functions: no files, no clock; each raises ConfigError with what is wrong and whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from alliance.config import control as config_control
from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError
from alliance.keys.ed25519 import has_signed
from alliance.recovery.act_file import ActFile
from alliance.recovery.parts import Approval, Dealing, Share
from alliance.recovery.report import Furthest, Survivor
from alliance.resharing.attempt import Attempt
from consensus.control import ControlState, recovering
from consensus.control.directory import Directory, Refused
from consensus.control.encoding import MalformedControl
from consensus.control.operations import ChangeOperation, PutMember
from consensus.control.pending import PostedDealing
from consensus.control.policy import approvals_needed
from consensus.control.recovery import Recovery, RecoveryAct, RecoveryApproval
from consensus.control.transcript import transcript_digest
from quorum import (
    CombineFailed,
    Endorsement,
    InvalidEndorsement,
    MembershipStatement,
    QuorumCertificate,
    combine,
)
from quorum.redistribution import Dealt, Redistribution, Unusable
from quorum.threshold_rsa import ThresholdRsaEndorser, ThresholdRsaScheme
from verifiable_log.ordering_state import Snapshot


def furthest(survivors: Sequence[Survivor]) -> Furthest:
    """The log that goes on: of the highest epoch the longest one. Raises ConfigError."""
    if len({one.log.config.alliance_id for one in survivors}) != 1:
        raise ConfigError("name the reports of one alliance, one at least")
    return max((one.log for one in survivors), key=lambda log: log.place)


def present(log: Furthest, survivors: Iterable[Survivor]) -> tuple[Survivor, ...]:
    """Those of them that are members of the epoch of this log, each once, by name."""
    identities = {row.name: row.identity for row in log.state.directory.members}
    found = {one.name: one for one in survivors if identities.get(one.name) == one.identity}
    return tuple(found[name] for name in sorted(found))


def with_receivers(log: Furthest, survivors: Iterable[Survivor]) -> tuple[ControlState, list[PutMember]]:
    """The state with the receiver keys that survivors have made anew, and the operations that put them."""
    state, operations = log.state, list[PutMember]()
    for one in present(log, survivors):
        if one.receiver is not None:
            row = state.directory.member(one.name)
            row = replace(row, receiver=one.receiver.key, receiver_signature=one.receiver.signature)
            state = replace(state, directory=state.directory.with_member(row))
            operations.append(PutMember(row))
    return state, operations


def plan(log: Furthest, survivors: Iterable[Survivor], operations: Sequence[ChangeOperation]) -> RecoveryAct:
    """The act by which the members become others by these operations. Raises ConfigError."""
    names = [one.name for one in present(log, survivors)]
    act = recovering.act_on(log.state, log.frontier.root, names, tuple(operations))
    after(log, act)
    return act


def after(log: Furthest, act: RecoveryAct) -> Directory:
    """The rows that the act leads to. Raises ConfigError when it is not for this log, or cannot be done."""
    if act.root != log.frontier.root:
        raise ConfigError(
            f"the act is for another log, or for less of it, than this report's, which ends at slot"
            f" {log.state.slot}: name the report that it was planned with; if this one is longer, plan anew"
        )
    try:
        return recovering.require_act(log.state, act, has_signed)
    except (Refused, MalformedControl) as error:
        raise ConfigError(str(error)) from None


def require_file(log: Furthest, file: ActFile) -> None:
    """Raises ConfigError unless all that the file of an act says is so."""
    after(log, file.act)
    directory = log.state.directory
    lost = tuple(row.name for row in directory.members if row.name not in file.act.survivors)
    operators = tuple((row.organisation, row.key) for row in directory.operators)
    if (file.alliance_id, file.lost, file.operators) != (log.config.alliance_id, lost, operators):
        raise ConfigError("the act names another alliance, other lost members or operators than the log")


def enough(log: Furthest, act: RecoveryAct, approvals: Iterable[Approval]) -> tuple[RecoveryApproval, ...]:
    """As many approvals of the act as it takes, by organisation. Raises ConfigError."""
    after(log, act)
    by_name: dict[str, RecoveryApproval] = {}
    for one in approvals:
        if one.act != act.digest:
            raise ConfigError(f"'{one.approval.organisation}' has approved of another act than this one")
        by_name[one.approval.organisation] = one.approval
    directory = log.state.directory
    needed = approvals_needed(len(directory.operators), directory.policy.faulty)
    taken = tuple(by_name[name] for name in sorted(by_name))[:needed]
    _begun(log, act, taken)
    return taken


def _begun(log: Furthest, act: RecoveryAct, approvals: Sequence[RecoveryApproval]) -> ControlState:
    """The state in which shares are dealt. Raises ConfigError."""
    try:
        return recovering.begin(log.state, act, approvals, has_signed)
    except (Refused, MalformedControl) as error:
        raise ConfigError(str(error)) from None


def redistribution(log: Furthest, act: RecoveryAct, approvals: Sequence[RecoveryApproval]) -> Redistribution:
    """What is dealt, and to whom. Raises ConfigError."""
    try:
        return Attempt.under_way(_begun(log, act, approvals), log.config).redistribution
    except Unusable as error:
        raise ConfigError(str(error)) from None


@dataclass(frozen=True)
class Conclusion:
    """What the dealings of a quorum come to.

    ``state`` is at the end of the epoch that is over, ``config`` the alliance.toml of the next one; ``dealt``
    are its keys. ``statement`` makes ``snapshot`` the checkpoint with which it begins.
    """

    log: Furthest
    act: RecoveryAct
    state: ControlState
    config: AllianceConfig
    dealt: Dealt
    snapshot: Snapshot
    statement: MembershipStatement

    @property
    def scheme(self) -> ThresholdRsaScheme:
        """In which the statement is signed: that of the epoch that is over."""
        return self.log.config.scheme.in_epoch(self.log.state.epoch)

    def share(self, endorser: ThresholdRsaEndorser) -> Share:
        """What the holder of a member's share of the agreement key gives."""
        message = self.statement.encode(self.scheme.context)
        name = self.log.state.directory.members[endorser.member].name
        return Share(self.act.digest, name, self.statement, endorser.endorse(message, proven=True))

    def certificate(self, shares: Iterable[Share]) -> QuorumCertificate:
        """Of the shares of a quorum. Raises ConfigError, which counts them, or names whose share is wrong."""
        numbers = {row.name: number for number, row in enumerate(self.log.state.directory.members)}
        good: dict[int, Endorsement] = {}
        for one in shares:
            if one.act != self.act.digest or one.statement != self.statement:
                raise ConfigError(
                    f"the share of '{one.member}' is for another act, or for other dealings than these: all"
                    " sign with the same files"
                )
            endorsement = Endorsement(one.statement, numbers.get(one.member, -1), one.share)
            try:
                self.scheme.verify_endorsement(endorsement)
            except InvalidEndorsement as error:
                raise ConfigError(f"the share of '{one.member}' is wrong: {error.reason}") from None
            good[endorsement.member] = endorsement
        needed = self.scheme.threshold
        if len(good) < needed:
            raise too_few("signed", [_name(self.log, at) for at in sorted(good)], needed)
        try:
            return combine(self.scheme, list(good.values())[:needed])
        except CombineFailed as error:
            raise ConfigError(f"the shares do not combine: {error}") from None


def too_few(verb: str, names: Sequence[str], needed: int) -> ConfigError:
    """Fewer shares than it takes have been used."""
    return ConfigError(
        f"the holders of {len(names)} members' shares have {verb} ({', '.join(names) or 'none'}), and it"
        f" takes {needed}: find another member's folder, or a backup of its shares with its operator's key."
        f" Where fewer than {needed} members' shares are left in all, nobody can recover this alliance: found"
        " another"
    )


def conclude(log: Furthest, dealings: Sequence[Dealing]) -> Conclusion:
    """What these dealings, in any order, come to. Raises ConfigError."""
    named = {one.act for one in dealings}
    if len(named) != 1:
        raise ConfigError("name the dealings that were made by one act, of each member one")
    (act,) = named
    if len({one.member for one in dealings}) != len(dealings):
        raise ConfigError("a member's dealing is named twice: all use one and the same")
    approvals = enough(log, act, [Approval(act.digest, one) for part in dealings for one in part.approvals])
    numbers = {row.name: number for number, row in enumerate(log.state.directory.members)}
    unknown = [one.member for one in dealings if one.member not in numbers]
    if unknown:
        raise ConfigError(f"'{unknown[0]}' is no member, and has nothing to deal")
    ordered = sorted(dealings, key=lambda one: numbers[one.member])
    what = redistribution(log, act, approvals)
    judgement = what.judge((numbers[one.member], one.dealing) for one in ordered)
    if judgement.culprits:
        told = ", ".join(f"'{_name(log, at)}' ({reason})" for at, reason in judgement.culprits)
        raise ConfigError(f"these dealings are wrong, leave them out or ask for them again: {told}")
    needed = log.config.key.threshold
    if judgement.dealt is None:
        raise too_few("dealt", [one.member for one in ordered], needed)
    return _concluded(log, act, approvals, ordered, judgement.dealt)


def _name(log: Furthest, number: int) -> str:
    return log.state.directory.members[number].name


def _concluded(
    log: Furthest,
    act: RecoveryAct,
    approvals: tuple[RecoveryApproval, ...],
    dealings: Sequence[Dealing],
    dealt: Dealt,
) -> Conclusion:
    keys = dealt.keys
    posted = [PostedDealing(one.member, log.state.slot, one.dealing) for one in dealings]
    recovery = Recovery(act, approvals, transcript_digest([key.to_bytes() for key in keys]))
    try:
        state = log.state.recovered(recovery, posted, has_signed)
        begins = state.next_epoch()
        config = config_control.at(log.config, begins, keys)
    except (Refused, MalformedControl) as error:
        raise ConfigError(str(error)) from None
    snapshot = log.snapshot(state)
    place = begins.epoch, 0, state.slot, log.frontier.root
    statement = MembershipStatement(*place, snapshot.digest, begins.config_digest)
    return Conclusion(log, act, state, config, dealt, snapshot, statement)
