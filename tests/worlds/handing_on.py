"""The real key of an alliance, handed on or replaced: from one simulated epoch's members to the next's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alliance.config.file import AllianceConfig
from alliance.config.identity import certify_itself
from alliance.config.key_changes import KeyChange
from alliance.config.parties import Member
from consensus.control.directory import config_digest
from consensus.control.transcript import transcript_digest
from quorum import Endorsement, Endorser, MembershipStatement, QuorumSystem, combine
from quorum.threshold_rsa import AgreementKey, ThresholdRsaEndorser
from shoup_rsa import KeyShare, ThresholdPublicKey
from shoup_rsa.redistribution import conclude, judge
from tests.shoup_rsa.board import deals, open_to_all, order_for, take_all
from tests.worlds.require import require
from tests.worlds.signed_gate import dealt, key

Alliance = tuple[AllianceConfig, tuple[Endorser, ...]]


def handed_on(alliance: Alliance, system: QuorumSystem, names: Sequence[str], start: int) -> Alliance:
    """Who takes part from behind ``start`` on, with their shares: real dealings, one of them spoilt."""
    config, endorsers = alliance
    before = config.system
    shares = [one._share for one in endorsers if isinstance(one, ThresholdRsaEndorser)]
    dealers = [share for share in shares if isinstance(share, KeyShare)][: before.decision + 1]
    public = config.key
    if not isinstance(public, ThresholdPublicKey):
        raise TypeError("a key of one dealer is handed on here")
    redistribution = open_to_all(order_for(public, system.member_count, system.decision, system.faulty_max))
    (liar, spoilt), *posted = deals(redistribution, dealers)
    judgement = judge(redistribution, [(liar, spoilt[:-1] + bytes([spoilt[-1] ^ 1])), *posted])
    require([one.dealer for one in judgement.culprits] == [liar], "a spoilt dealing is not found out")
    outcome = conclude(redistribution, judgement.valid)
    if outcome is None:
        raise AssertionError("a quorum's dealings do not suffice")
    return _later(config, system, names, start, outcome.public_key, ()), tuple(
        map(ThresholdRsaEndorser, take_all(outcome))
    )


def renewed(alliance: Alliance, system: QuorumSystem, names: Sequence[str], start: int) -> Alliance:
    """The same with another public key, which the old shares have certified."""
    config, endorsers = alliance
    key_now, held = dealt(system, config.dealing + 1, other=len(config.key_changes) + 1)
    head = (config.epoch + 1, config.dealing + 1, 0, start)
    rows = config.alliance_id + b"".join(number.to_bytes(8, "big") for number in head)
    rows += transcript_digest([key_now.to_bytes()])
    statement = MembershipStatement(config.epoch + 1, 0, start, b"r" * 32, b"s" * 32, config_digest(rows))
    message = statement.encode(config.context)
    signed = [
        Endorsement(statement, member, endorsers[member].endorse(message, proven=False))
        for member in range(config.system.decision)
    ]
    change = KeyChange(combine(config.scheme, signed), rows, (key_now,))
    change.follow(config.scheme)
    return _later(config, system, names, start, key_now, (change,)), held


def _later(
    config: AllianceConfig,
    system: QuorumSystem,
    names: Sequence[str],
    start: int,
    key_now: AgreementKey,
    changes: tuple[KeyChange, ...],
) -> AllianceConfig:
    terms = replace(
        config.terms,
        system=system,
        start=start,
        founding_keys=config.terms.founding_keys or (config.key,),
        key_changes=(*config.terms.key_changes, *changes),
    )
    members = tuple(
        Member(
            name,
            key(name).public_key().public_bytes_raw(),
            certify_itself(name, key(name)),
            f"{name}:7400",
            "member-1",
        )
        for name in names
    )
    return replace(
        config,
        key=key_now,
        members=members,
        epoch=config.epoch + 1,
        dealing=config.dealing + 1,
        changed=terms,
    )
