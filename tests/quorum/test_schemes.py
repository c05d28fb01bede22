"""Endorsements become certificates: what every scheme owes, whatever its cryptography."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from quorum import (
    AcceptedStatement,
    CombineFailed,
    Context,
    Endorsement,
    Endorser,
    InvalidCertificate,
    InvalidEndorsement,
    InvalidStatement,
    JointStatement,
    ProgressStatement,
    QuorumCertificate,
    Scheme,
    VerifiedEndorsement,
    combine,
)
from quorum.signature_set import SIGNATURE_BYTES, Ed25519Endorser, SignatureSetScheme
from tests.quorum.keys import ed25519_keys

CONTEXT = Context(b"\x07" * 32, 3)
STATEMENT = AcceptedStatement(0, 9, b"\x01" * 32)
MEMBERS, THRESHOLD = 6, 5


class Alliance:
    def __init__(self, scheme: Scheme, endorsers: Sequence[Endorser], foreign: Sequence[Scheme]) -> None:
        self.scheme = scheme
        self.endorsers = endorsers
        self.foreign = foreign

    def endorse(
        self, member: int, statement: JointStatement = STATEMENT, *, proven: bool = False
    ) -> Endorsement:
        message = statement.encode(self.scheme.context)
        return Endorsement(statement, member, self.endorsers[member].endorse(message, proven=proven))

    def all(self, *, proven: bool = False) -> list[Endorsement]:
        return [self.endorse(member, proven=proven) for member in range(MEMBERS)]


def signature_set() -> Alliance:
    keys = ed25519_keys(MEMBERS)
    public = [key.public_key() for key in keys]
    foreign = [SignatureSetScheme(public, THRESHOLD, context) for context in other_contexts()]
    others = [key.public_key() for key in ed25519_keys(2 * MEMBERS)[MEMBERS:]]
    foreign.append(SignatureSetScheme(others, THRESHOLD, CONTEXT))
    endorsers = [Ed25519Endorser(key) for key in keys]
    return Alliance(SignatureSetScheme(public, THRESHOLD, CONTEXT), endorsers, foreign)


def threshold_rsa() -> Alliance:
    import shoup_rsa

    deals = [
        shoup_rsa.generate_threshold_key(MEMBERS, THRESHOLD, 1, 512, epoch=epoch, insecure_small_key=True)
        for epoch in (3, 3, 4)
    ]
    return _dealt([(deal.public_key, deal.key_shares) for deal in deals])


def composite_rsa() -> Alliance:
    """Keys of two factors each, by different dealers."""
    import shoup_rsa

    deals = []
    for epoch in (3, 3, 4):
        factors = [
            shoup_rsa.generate_threshold_key(
                MEMBERS, THRESHOLD, 1, 512, epoch=epoch, factors=2, insecure_small_key=True
            )
            for _ in range(2)
        ]
        key = shoup_rsa.CompositePublicKey(tuple(one.public_key for one in factors), insecure_small_key=True)
        held = zip(*(one.key_shares for one in factors), strict=True)
        deals.append((key, [shoup_rsa.CompositeKeyShare(key, shares) for shares in held]))
    return _dealt(deals)


def _dealt(deals: Sequence[tuple[Any, Sequence[Any]]]) -> Alliance:
    """The first is the alliance's; the second of another key, the third of another epoch."""
    from quorum.threshold_rsa import ThresholdRsaEndorser, ThresholdRsaScheme

    (key, shares), *_ = deals
    scheme, other_key, other_epoch = (
        ThresholdRsaScheme(key, Context(CONTEXT.alliance_id, key.epoch)) for key, _ in deals
    )
    other_alliance = ThresholdRsaScheme(key, Context(b"\x08" * 32, 3))
    endorsers = [ThresholdRsaEndorser(share) for share in shares]
    return Alliance(scheme, endorsers, [other_key, other_epoch, other_alliance])


def other_contexts() -> list[Context]:
    return [Context(CONTEXT.alliance_id, 4), Context(b"\x08" * 32, 3)]


@pytest.fixture(
    scope="module", params=[signature_set, threshold_rsa, composite_rsa], ids=lambda make: make.__name__
)
def alliance(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_every_quorum_makes_a_certificate_that_verifies(alliance: Alliance) -> None:
    for chosen in combinations(alliance.all(), THRESHOLD):
        certificate = combine(alliance.scheme, chosen)
        assert certificate.statement == STATEMENT
        certificate.verify(alliance.scheme)
    combine(alliance.scheme, alliance.all()[::-1]).verify(alliance.scheme)


def test_fewer_than_the_threshold_make_none_even_when_one_speaks_twice(alliance: Alliance) -> None:
    four = alliance.all()[:4]
    for too_few in ([], four, [*four, four[0]]):
        with pytest.raises(ValueError, match="members are needed"):
            combine(alliance.scheme, too_few)


def test_different_statements_are_not_combined(alliance: Alliance) -> None:
    other = alliance.endorse(4, AcceptedStatement(0, 10, b"\x01" * 32))
    with pytest.raises(ValueError, match="different statements"):
        combine(alliance.scheme, [*alliance.all()[:4], other])


@pytest.mark.parametrize(
    "other",
    [
        AcceptedStatement(1, 9, b"\x01" * 32),
        AcceptedStatement(0, 8, b"\x01" * 32),
        AcceptedStatement(0, 9, b"\x02" * 32),
        ProgressStatement(9, b"\x01" * 32),
    ],
)
def test_a_certificate_proves_no_other_statement(alliance: Alliance, other: JointStatement) -> None:
    """docs/development/testing.md, scenario 23: another view, slot, root, purpose."""
    certificate = combine(alliance.scheme, alliance.all())
    with pytest.raises(InvalidCertificate):
        replace(certificate, statement=other).verify(alliance.scheme)


def test_a_certificate_proves_nothing_to_another_alliance_epoch_or_key(alliance: Alliance) -> None:
    certificate = combine(alliance.scheme, alliance.all())
    for scheme in alliance.foreign:
        with pytest.raises(InvalidCertificate):
            certificate.verify(scheme)


def test_any_other_signature_is_refused(alliance: Alliance) -> None:
    good = combine(alliance.scheme, alliance.all()).signature
    flipped = [
        good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :] for place in range(0, len(good), 13)
    ]
    for bad in (b"", good[:-1], good + b"\x00", bytes(len(good)), b"\xff" * len(good), *flipped):
        with pytest.raises(InvalidCertificate):
            QuorumCertificate(CONTEXT.epoch, STATEMENT, bad).verify(alliance.scheme)


def test_a_proven_endorsement_verifies_and_only_for_its_member_and_statement(alliance: Alliance) -> None:
    for endorsement in alliance.all(proven=True):
        assert alliance.scheme.verify_endorsement(endorsement) == VerifiedEndorsement(endorsement)
    first = alliance.endorse(0, proven=True)
    for false in (
        replace(first, member=1),
        replace(first, member=MEMBERS),
        replace(first, statement=AcceptedStatement(0, 10, b"\x01" * 32)),
        replace(first, signature=b""),
        replace(first, signature=first.signature[:-1]),
        replace(first, signature=first.signature + b"\x00"),
    ):
        with pytest.raises(InvalidEndorsement) as caught:
            alliance.scheme.verify_endorsement(false)
        assert caught.value.member == false.member


def test_bad_endorsements_with_proofs_are_left_out_while_enough_are_good(alliance: Alliance) -> None:
    """docs/development/testing.md, scenario 9: they are left out, and the rest combined again."""
    endorsements = alliance.all(proven=True)
    wrong = alliance.endorse(2, AcceptedStatement(0, 1, bytes(32)), proven=True)
    endorsements[2] = replace(endorsements[2], signature=wrong.signature)
    combine(alliance.scheme, endorsements).verify(alliance.scheme)
    with pytest.raises(CombineFailed) as caught:
        combine(alliance.scheme, endorsements[:THRESHOLD])
    assert (caught.value.culprits, caught.value.unproven) == ((2,), ())


@pytest.mark.parametrize("junk", [b"", b"x", bytes(64), b"\xff" * 64, b"\xff" * 400])
def test_malformed_endorsements_name_their_member(alliance: Alliance, junk: bytes) -> None:
    endorsements = alliance.all(proven=True)
    endorsements[0] = replace(endorsements[0], signature=junk)
    with pytest.raises(CombineFailed) as caught:
        combine(alliance.scheme, endorsements[:THRESHOLD])
    assert caught.value.culprits == (0,)
    combine(alliance.scheme, endorsements).verify(alliance.scheme)


def test_signature_sets_name_their_signers_and_refuse_other_bitmaps() -> None:
    alliance = signature_set()
    good = combine(alliance.scheme, alliance.all()).signature
    assert len(good) == 1 + THRESHOLD * SIGNATURE_BYTES
    assert good[0] == 0b011111
    for bitmap in (0, 0b001111, 0b111111, 0b101111, 0b1011111, 0b11111000):
        with pytest.raises(InvalidCertificate):
            QuorumCertificate(CONTEXT.epoch, STATEMENT, bytes([bitmap]) + good[1:]).verify(alliance.scheme)
    for threshold in (0, 7):
        with pytest.raises(ValueError, match="threshold"):
            SignatureSetScheme([key.public_key() for key in ed25519_keys(6)], threshold, CONTEXT)


@pytest.mark.parametrize("make", [threshold_rsa, composite_rsa])
def test_every_quorum_gives_the_same_rsa_signature_and_unproven_shares_accuse_nobody(
    make: Callable[[], Alliance],
) -> None:
    """ "Every subset of k gives the same bytes"; "a share without its proof is not evidence"."""
    alliance = make()
    assert len({combine(alliance.scheme, c).signature for c in combinations(alliance.all(), THRESHOLD)}) == 1
    endorsements = alliance.all()[:THRESHOLD]
    wrong = alliance.endorse(2, AcceptedStatement(0, 1, bytes(32)))
    endorsements[2] = replace(endorsements[2], signature=wrong.signature)
    with pytest.raises(CombineFailed) as caught:
        combine(alliance.scheme, endorsements)
    assert caught.value.culprits == ()
    assert set(caught.value.unproven) == set(range(THRESHOLD))
    with pytest.raises(InvalidEndorsement):
        alliance.scheme.verify_endorsement(alliance.endorse(0))


@pytest.mark.parametrize("deal", [threshold_rsa, composite_rsa])
def test_the_shares_of_one_dealing_serve_epoch_after_epoch(deal: Callable[[], Alliance]) -> None:
    """An epoch that begins without a new dealing: the same shares, new statements, and none of the old."""
    from quorum.threshold_rsa import ThresholdRsaScheme

    alliance = deal()
    now = alliance.scheme
    assert isinstance(now, ThresholdRsaScheme)
    later = now.in_epoch(CONTEXT.epoch + 4)
    assert (now.dealing, later.dealing) == (3, 3)
    assert later.context == Context(CONTEXT.alliance_id, 7)
    message = STATEMENT.encode(later.context)
    shares = [
        Endorsement(STATEMENT, member, one.endorse(message, proven=True))
        for member, one in enumerate(alliance.endorsers)
    ]
    old, new = combine(now, alliance.all()), combine(later, shares[1:])
    for certificate, other in ((old, later), (new, now)):
        certificate.verify(now.in_epoch(certificate.epoch))
        certificate.verify(later.in_epoch(certificate.epoch))
        with pytest.raises(InvalidCertificate, match=f"of epoch {certificate.epoch}, not of epoch"):
            certificate.verify(other)
        with pytest.raises(InvalidCertificate):
            replace(certificate, epoch=other.context.epoch).verify(other)
    with pytest.raises(CombineFailed):
        combine(later, [*shares[:4], alliance.endorse(4)])


def test_a_wrong_key_is_told_from_wrong_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proven shares of a quorum that do not combine: no member is to blame, and the line says who is."""
    import shoup_rsa

    alliance = composite_rsa()
    endorsements = alliance.all(proven=True)
    bad = shoup_rsa.BadFactor((), (), (2,))
    monkeypatch.setattr(shoup_rsa.CompositePublicKey, "combine", lambda *_: (_ for _ in ()).throw(bad))
    with pytest.raises(CombineFailed) as caught:
        combine(alliance.scheme, endorsements)
    assert (caught.value.culprits, caught.value.unproven) == ((), ())
    assert "factor [2]" in caught.value.wrong_key
    bad = shoup_rsa.CombineFailed((1,), ())
    with pytest.raises(CombineFailed) as caught:
        combine(alliance.scheme, endorsements)
    assert (caught.value.culprits, caught.value.wrong_key) == ((0,), "")


def test_a_statement_of_which_there_are_no_shares_is_refused_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The modulus of a dealer that cheated has a small prime, and the statement has it, too."""
    import shoup_rsa

    alliance = composite_rsa()
    endorsements = alliance.all(proven=True)
    why = "factor 2: the encoded message has a common factor with the modulus"
    refused = lambda *_: (_ for _ in ()).throw(ValueError(why))  # noqa: E731
    monkeypatch.setattr(shoup_rsa.CompositePublicKey, "represent", refused)
    with pytest.raises(InvalidStatement, match=why):
        alliance.endorse(0)
    with pytest.raises(InvalidEndorsement, match=why):
        alliance.endorsers[0].test_itself()  # type: ignore[attr-defined]
    with pytest.raises(InvalidEndorsement, match=why):
        alliance.scheme.verify_endorsement(endorsements[0])
    with pytest.raises(CombineFailed) as caught:
        combine(alliance.scheme, endorsements)
    assert (caught.value.culprits, caught.value.wrong_key) == ((), why)
