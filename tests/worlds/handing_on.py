"""The alliance's real key, handed on: from the members of one simulated epoch to those of the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alliance.config.file import AllianceConfig
from alliance.config.identity import certify_itself
from alliance.config.parties import Member
from quorum import Endorser, QuorumSystem
from quorum.threshold_rsa import ThresholdRsaEndorser
from shoup_rsa import KeyShare, ThresholdPublicKey
from shoup_rsa.redistribution import conclude, judge
from tests.shoup_rsa.board import deals, open_to_all, order_for, take_all
from tests.worlds.require import require
from tests.worlds.signed_gate import key

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
    terms = replace(config.terms, system=system, start=start, founding_keys=(config.key,))
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
    later = replace(
        config,
        key=outcome.public_key,
        members=members,
        epoch=config.epoch + 1,
        dealing=config.dealing + 1,
        changed=terms,
    )
    return later, tuple(map(ThresholdRsaEndorser, take_all(outcome)))
