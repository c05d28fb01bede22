"""Nothing convicts on a share: k colluders compute every other member's, so it shows nobody's hand.

What convicts is a statement under the culprit's own Ed25519 key. These tests go through the registries, so
that a new kind of evidence or of statement is looked at as well.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from alliance.errors import InvalidEvidence
from alliance.evidence import verdict
from alliance.evidence.portable import BESIDES, PortableEvidence, SignedBytes, export
from alliance.evidence.verdict import verify
from fab_paxos.effects import Blame, Effect, Offence
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Endorsed, Propose, Report
from fab_paxos.share_collector import Reputation, ShareCollector
from quorum import AcceptedStatement, Endorsement, JointStatement, VerifiedEndorsement
from quorum.tags import Tag
from tests.alliance.farm import Farm
from tests.alliance.offences import offences

JOINT: list[type[JointStatement]] = list(typing.get_args(JointStatement))


def made(kind: type[JointStatement], filler: int) -> JointStatement:
    """Some statement of this kind."""
    types = (typing.get_type_hints(kind)[field.name] for field in dataclasses.fields(kind))
    values: list[Any] = [filler if one is int else bytes([filler]) * 32 for one in types]
    return kind(*values)


def parts(root: object) -> Iterator[type]:
    """Every class that a value of this type may hold, at any depth."""
    seen: set[object] = set()
    waiting = [root]
    while waiting:
        found = waiting.pop()
        if found in seen:
            continue
        seen.add(found)
        waiting.extend(typing.get_args(found))
        if inspect.isclass(found):
            yield found
            if dataclasses.is_dataclass(found):
                hints = typing.get_type_hints(found)
                waiting.extend(hints[field.name] for field in dataclasses.fields(found))


def test_no_kind_of_evidence_holds_an_endorsement() -> None:
    kinds = (Evidence, TwoSubmissions, PortableEvidence)
    held = {part for kind in kinds for part in parts(kind)}
    assert {SignedBytes, Report, Propose} <= held
    assert not held & {Endorsement, VerifiedEndorsement, Endorsed}
    # The search would find one.
    assert Endorsement in set(parts(Endorsed))


def test_the_judge_opens_statements_of_one_signer_alone(farm: Farm) -> None:
    assert all(not kind.TAG.is_joint for kind in verdict._STATEMENTS.values())
    joint = {kind.TAG for kind in JOINT}
    assert joint == {tag for tag in Tag if tag.is_joint and not tag.reserved}
    for kind in JOINT:
        with pytest.raises(InvalidEvidence, match="of no known form"):
            verdict.opened(farm.config.context, made(kind, 1).encode(farm.config.context))


@pytest.mark.parametrize("kind", BESIDES)
def test_the_culprits_shares_in_place_of_its_signatures_convict_nobody(farm: Farm, kind: str) -> None:
    """Its real shares, with proofs, on the very statements that convict it, and on joint ones."""
    culprit, evidence, told = offences(farm)[kind]
    piece = export(farm.config.context, culprit, evidence, told)
    assert verify(farm.config, piece).culprit == culprit
    endorser = farm.endorsers[0]
    for proven in (False, True):
        shares = tuple(
            SignedBytes(signed.statement, endorser.endorse(signed.statement, proven=proven))
            for signed in piece.statements
        )
        with pytest.raises(InvalidEvidence, match="not signed by"):
            verify(farm.config, dataclasses.replace(piece, statements=shares))


@pytest.mark.parametrize("kind", BESIDES)
def test_joint_statements_convict_nobody_even_under_the_culprits_own_key(farm: Farm, kind: str) -> None:
    """A share that is signed individually says: I have sent this. What it signs jointly is no vote of one."""
    culprit, evidence, told = offences(farm)[kind]
    piece = export(farm.config.context, culprit, evidence, told)
    parties = {party.party.name: party for party in (*farm.members, *farm.clients)}
    for joint in JOINT:
        statements = tuple(
            SignedBytes(encoded, parties[culprit].signing_key.sign(encoded))
            for encoded in (made(joint, number).encode(farm.config.context) for number in (1, 2))
        )
        with pytest.raises(InvalidEvidence, match="of no known form"):
            verify(farm.config, dataclasses.replace(piece, statements=statements))


def test_the_engine_blames_nobody_for_a_share_without_proof_and_exports_nothing_for_one_with(
    farm: Farm,
) -> None:
    """Blame stays with the member that heard the share over the channel, and cannot be shown."""
    statement = AcceptedStatement(0, 1, bytes(32))
    for culprits, unproven, blamed in (((), (1, 2, 3, 4, 5), []), ((2,), (), [2])):
        collector = ShareCollector(farm.config.system, 0, Reputation())
        out: list[Effect] = []
        for member in range(farm.config.system.decision):
            collector.add(Endorsement(statement, member, b"share"), out)
        collector.failed(statement, culprits, unproven, out)
        blames = [effect for effect in out if isinstance(effect, Blame)]
        assert [blame.member for blame in blames] == blamed
        assert all(blame.offence is Offence.BAD_SHARE and blame.evidence is None for blame in blames)
