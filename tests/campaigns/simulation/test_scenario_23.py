"""docs/development/testing.md, scenario 23: replay across epochs, alliances and purposes, at the real gate.

Everything that the members of one alliance said in a run is played to the gate of another one: the same
members with the same keys in a later epoch, or in an alliance of another name. Then every signature is
tried on every other message that its author ever signed. (Slots and views: ``test_scenarios_more``.)
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from alliance.config.file import AllianceConfig
from alliance.server.gate import Gate, Rejected
from alliance.wire import peer_messages
from fab_paxos.messages import Accepted, Certified, Endorsed, Forward, Message, NewView, Propose, Report
from quorum import (
    AcceptedStatement,
    CombineFailed,
    InvalidEndorsement,
    QuorumCertificate,
    SuspectStatement,
    combine,
)
from tests.worlds.cluster import SIX
from tests.worlds.signed_gate import EPOCH, founded, live_through, signed_world
from verifiable_log.log_frame import LogFrame

HOME, SHARES = founded(SIX)
ELSEWHERE = {
    "epoch": founded(SIX, epoch=EPOCH + 1)[0],
    "alliance": founded(SIX, name="another")[0],
}
SIGNED = (Propose, Accepted, Certified, LogFrame, Forward, Report, NewView)


@pytest.fixture(scope="module")
def said() -> list[tuple[int, Message]]:
    """What was said, by whom: orders, votes, shares, certificates, a change of the leader, catching up."""
    world = signed_world(SIX, 23)
    heard: list[tuple[int, Message]] = []
    carry = world.carry

    def overheard(sender: int, to: int, message: Message) -> None:
        heard.append((sender, message))
        carry(sender, to, message)

    world.carry = overheard  # type: ignore[method-assign]
    live_through(world)
    kinds = {type(message) for _, message in heard}
    assert kinds >= {*SIGNED, Endorsed}, kinds
    return heard


def _refused(config: AllianceConfig, sender: int, message: Message) -> bool:
    return isinstance(Gate(config).admit(sender, peer_messages.encode(message)), Rejected)


def test_23_at_home_everything_is_admitted(said: list[tuple[int, Message]]) -> None:
    """The control."""
    assert not any(_refused(HOME, sender, message) for sender, message in said[::3])


@pytest.mark.parametrize("where", ELSEWHERE)
def test_23_replay_across_epochs_and_alliances(where: str, said: list[tuple[int, Message]]) -> None:
    """ "epochs, alliances": what is signed for one is nothing in the other."""
    there = ELSEWHERE[where]
    assert there.key.modulus == HOME.key.modulus, "only the context differs, not the keys"
    tried = [(sender, message) for sender, message in said if isinstance(message, SIGNED)]
    assert len(tried) > 100
    for sender, message in tried:
        assert _refused(there, sender, message), message


@pytest.mark.parametrize("where", ELSEWHERE)
def test_23_shares_do_not_combine_elsewhere(where: str, said: list[tuple[int, Message]]) -> None:
    """The gate does not look at shares: combining does, and names who sent them."""
    there = ELSEWHERE[where]
    shares = {}
    for _, message in said:
        if isinstance(message, Endorsed):
            e = message.endorsement
            shares.setdefault(e.statement, {})[e.member] = e
    whole = [list(by_member.values()) for by_member in shares.values() if len(by_member) >= SIX.decision]
    assert whole
    for endorsements in whole:
        combine(HOME.scheme, endorsements)
        with pytest.raises(CombineFailed):
            combine(there.scheme, endorsements)
        statement = endorsements[0].statement
        text = statement.encode(HOME.context)
        for e in endorsements:
            proven = replace(e, signature=SHARES[e.member].endorse(text, proven=True))
            HOME.scheme.verify_endorsement(proven)
            with pytest.raises(InvalidEndorsement):
                there.scheme.verify_endorsement(proven)


def test_23_replay_across_purposes(said: list[tuple[int, Message]]) -> None:
    """ "purposes": no signature serves for a message of another kind, nor for another of its kind."""
    by_author: dict[int, list[Propose | Accepted | Report | NewView]] = {}
    for sender, message in said:
        author = SIX.leader(message.view) if isinstance(message, Propose | NewView) else sender
        if isinstance(message, Propose | Accepted | Report | NewView):
            words = by_author.setdefault(author, [])
            if message not in words and len(words) < 12:
                words.append(message)
    assert any(len({type(word) for word in words}) > 2 for words in by_author.values())
    tried = 0
    for author, words in by_author.items():
        for word in words:
            assert not _refused(HOME, author, word)
            for other in words:
                if other.signature != word.signature:
                    tried += 1
                    assert _refused(HOME, author, replace(word, signature=other.signature))
    assert tried > 100


def test_23_a_certificate_is_of_one_statement(said: list[tuple[int, Message]]) -> None:
    """A certified slot elects nobody, and an election certifies no slot."""
    found = {message.certificate for _, message in said if isinstance(message, Certified)}
    statements = {type(certificate.statement) for certificate in found}
    assert statements == {AcceptedStatement, SuspectStatement}
    for certificate in found:
        assert not _refused(HOME, 1, Certified(certificate))
        for other in found:
            if other.statement != certificate.statement:
                swapped = QuorumCertificate(certificate.epoch, certificate.statement, other.signature)
                assert _refused(HOME, 1, Certified(swapped))
