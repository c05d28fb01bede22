"""The gate, for what changes a view: Reports, NewViews and the batches that they name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alliance.server.gate import Gate, Seal
from alliance.wire import peer_messages
from fab_paxos.events import Received
from fab_paxos.messages import Batches, Certified, FetchBatches, Message, NewView, Report
from fab_paxos.selection import ReportedEntry
from quorum import Context, NewViewStatement, QuorumCertificate, ReportStatement
from tests.alliance.farm import Chain, Farm
from verifiable_log import Batch, UnsignedSubmission

VIEW, LEADER = 1, 1


@pytest.fixture
def door(farm: Farm) -> Gate:
    return Gate(farm.config)


def admitted(door: Gate, sender: int, message: Message) -> bool:
    return door.admit(sender, peer_messages.encode(message)) == Received(sender, message)


def report(farm: Farm, chain: Chain, member: int, context: Context | None = None) -> Report:
    entries = tuple(ReportedEntry(e.slot, e.view, e.batch.digest) for e in chain.entries[5:8])
    unsigned = Report(VIEW, chain.certificate(5), entries)
    statement = ReportStatement(VIEW, unsigned.body_digest).encode(context or farm.config.context)
    return replace(unsigned, signature=farm.members[member].signing_key.sign(statement))


def new_view(farm: Farm, chain: Chain, signer: int = LEADER) -> NewView:
    reports = tuple((member, report(farm, chain, member)) for member in range(5))
    unsigned = NewView(VIEW, reports, tuple(e.batch.digest for e in chain.entries[5:8]))
    return sign(farm, unsigned, signer)


def sign(farm: Farm, opening: NewView, signer: int = LEADER) -> NewView:
    statement = NewViewStatement(opening.view, opening.digest).encode(farm.config.context)
    return replace(opening, signature=farm.members[signer].signing_key.sign(statement))


def test_a_report_is_its_senders_own_word(farm: Farm, door: Gate, long_chain: Chain) -> None:
    said = report(farm, long_chain, 3)
    assert admitted(door, 3, said)
    assert not any(admitted(door, other, said) for other in (0, 1, 2, 4, 5))


def test_an_altered_report_is_refused(farm: Farm, door: Gate, long_chain: Chain) -> None:
    said = report(farm, long_chain, 3)
    first, *rest = said.entries
    for altered in (
        replace(said, view=7),
        replace(said, base=long_chain.certificate(4)),
        replace(said, base=None),
        replace(said, entries=tuple(rest)),
        replace(said, entries=(replace(first, batch_digest=bytes(32)), *rest)),
        replace(said, signature=bytes(64)),
        report(farm, long_chain, 3, Context(farm.config.alliance_id, 1)),
        report(farm, long_chain, 3, Context(b"o" * 32, 0)),
    ):
        assert not admitted(door, 3, altered), altered


def test_a_base_that_no_quorum_signed_is_refused(farm: Farm, door: Gate, long_chain: Chain) -> None:
    true = long_chain.certificate(5)
    forged = Report(VIEW, QuorumCertificate(true.epoch, true.statement, bytes(256)), ())
    statement = ReportStatement(VIEW, forged.body_digest).encode(farm.config.context)
    signed = replace(forged, signature=farm.members[3].signing_key.sign(statement))
    assert not admitted(door, 3, signed)


def test_a_new_view_is_its_leaders_word_whoever_brings_it(farm: Farm, door: Gate, long_chain: Chain) -> None:
    opening = new_view(farm, long_chain)
    assert all(admitted(door, sender, opening) for sender in range(6))
    assert not admitted(door, 0, new_view(farm, long_chain, signer=0))


def test_a_leader_cannot_make_up_a_report(farm: Farm, door: Gate, long_chain: Chain) -> None:
    """Each Report within is checked against its own member's key: the leader's signature is not enough."""
    opening = new_view(farm, long_chain)
    (_, first), *others = opening.reports
    for reports in (
        ((0, replace(first, entries=())), *others),
        ((5, first), *others),
        ((77, first), *others),
        ((0, report(farm, long_chain, LEADER)), *others),
    ):
        assert not admitted(door, LEADER, sign(farm, replace(opening, reports=tuple(reports))))


def test_an_altered_new_view_is_refused(farm: Farm, door: Gate, long_chain: Chain) -> None:
    opening = new_view(farm, long_chain)
    for altered in (
        replace(opening, view=7),
        replace(opening, vector=()),
        replace(opening, vector=(bytes(32), *opening.vector[1:])),
        replace(opening, reports=opening.reports[:4]),
        replace(opening, signature=bytes(64)),
    ):
        assert not admitted(door, LEADER, altered)


def test_batches_hold_only_what_clients_signed(farm: Farm, door: Gate, long_chain: Chain) -> None:
    forged = UnsignedSubmission(farm.client_id(), 1, [b"open the gate"]).sign(bytes(64))
    assert admitted(door, 3, Batches((long_chain.entries[0].batch,)))
    assert not admitted(door, 3, Batches((Batch.of([forged]),)))
    assert admitted(door, 3, FetchBatches((long_chain.entries[0].batch.digest,)))
    assert admitted(door, 3, Certified(long_chain.election(0)))


def test_the_seal_signs_our_own_report_within_our_new_view(farm: Farm, door: Gate, long_chain: Chain) -> None:
    seal = Seal(farm.config, LEADER, farm.members[LEADER].signing_key)
    ours = replace(report(farm, long_chain, LEADER), signature=b"")
    assert isinstance(door.admit(LEADER, seal.close(ours)), Received)
    reports = tuple((m, ours if m == LEADER else report(farm, long_chain, m)) for m in range(5))
    opening = NewView(VIEW, reports, tuple(e.batch.digest for e in long_chain.entries[5:8]))
    result = door.admit(0, seal.close(opening))
    assert isinstance(result, Received), result
    assert isinstance(result.message, NewView)
    assert result.message.digest == opening.digest
