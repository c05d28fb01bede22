"""One signature in the making, share by share."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoup_rsa import Dealing, InvalidShare, Scheme, SignatureShare, SigningSession, session
from shoup_rsa.resolve import ProofForm
from tests.shoup_rsa.conftest import Deal
from tests.shoup_rsa.test_combining import MESSAGE, spoil

STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=60)


def sign(dealing: Dealing, form: ProofForm) -> list[SignatureShare]:
    return [share.sign_share(MESSAGE, proof=form) for share in dealing.key_shares]


@pytest.fixture(scope="module")
def four(deal: Deal) -> Dealing:
    return deal(4, 3, 1)


@pytest.fixture
def signing(four: Dealing) -> SigningSession:
    return SigningSession(four.public_key, MESSAGE)


def test_the_signature_appears_with_the_last_share_needed(four: Dealing) -> None:
    shares = sign(four, "none")
    expected = four.public_key.combine(MESSAGE, shares)
    for order in permutations(shares, 3):
        signing = SigningSession(four.public_key, MESSAGE)
        assert [signing.add(share) for share in order] == [None, None, expected]
        assert signing.signature == expected
        assert (signing.culprits, signing.unproven, signing.evidence) == ((), (), ())


def test_nothing_but_enough_different_members_counts(four: Dealing, signing: SigningSession) -> None:
    shares = sign(four, "none")
    for _ in range(3):
        assert signing.add(shares[0]) is None
        assert signing.add(shares[1]) is None
    assert signing.signature is None
    assert signing.add(shares[3]) == four.public_key.combine(MESSAGE, shares)


def test_further_shares_change_nothing(four: Dealing, signing: SigningSession) -> None:
    shares = sign(four, "none")
    for share in shares[:3]:
        signing.add(share)
    assert signing.add(spoil(four, shares[3])) == signing.signature
    assert signing.culprits == ()
    with pytest.raises(InvalidShare):
        signing.add(replace(shares[3], value=0))


@pytest.mark.parametrize("form", ["compact", "batchable"])
@pytest.mark.parametrize("bad", range(3))
def test_a_bad_share_is_left_out_and_its_maker_named(four: Dealing, form: ProofForm, bad: int) -> None:
    shares = sign(four, form)
    wrong = spoil(four, shares[bad])
    signing = SigningSession(four.public_key, MESSAGE)
    for share in shares[:3]:
        assert signing.add(wrong if share is shares[bad] else share) is None
    assert (signing.culprits, signing.unproven) == ((bad + 1,), ())
    (evidence,) = signing.evidence
    assert (evidence.index, evidence.share, evidence.message) == (bad + 1, wrong, MESSAGE)
    assert evidence.reason == "the proof of correctness does not hold"
    evidence.check(four.public_key)
    assert signing.add(shares[3]) == four.public_key.combine(MESSAGE, shares)
    assert signing.culprits == (bad + 1,)


def test_evidence_convicts_nobody_else(four: Dealing, signing: SigningSession) -> None:
    shares = sign(four, "compact")
    for share in (spoil(four, shares[0]), *shares[1:3]):
        signing.add(share)
    (evidence,) = signing.evidence
    for false in (
        replace(evidence, share=shares[0]),
        replace(evidence, index=2),
        replace(evidence, share=replace(evidence.share, proof=None)),
    ):
        with pytest.raises(ValueError, match="not proven bad"):
            false.check(four.public_key)


def test_without_proofs_the_session_asks_for_them(four: Dealing, signing: SigningSession) -> None:
    bare, proven = sign(four, "none"), sign(four, "batchable")
    wrong = spoil(four, bare[1])
    assert signing.unproven == ()
    for share in (bare[0], wrong, bare[2]):
        assert signing.add(share) is None
    assert (signing.culprits, signing.unproven) == ((), (1, 2, 3))
    assert signing.add(proven[0]) is None
    assert signing.unproven == (2, 3)
    # The liar proves what it sent, with a proof that cannot hold.
    assert signing.add(replace(wrong, proof=proven[1].proof)) is None
    assert (signing.culprits, signing.unproven) == ((2,), (3,))
    assert signing.add(bare[3]) == four.public_key.combine(MESSAGE, bare)
    assert signing.unproven == ()


def test_a_contradiction_needs_a_proof(four: Dealing, signing: SigningSession) -> None:
    bare, proven = sign(four, "none"), sign(four, "compact")
    signing.add(spoil(four, bare[0]))
    with pytest.raises(InvalidShare, match="only a share with a proof"):
        signing.add(bare[0])
    with pytest.raises(InvalidShare, match="does not hold"):
        signing.add(spoil(four, proven[0], factor=9))
    assert signing.culprits == ()
    assert signing.add(proven[0]) is None, "the proven one takes the place"
    with pytest.raises(InvalidShare, match="only a share with a proof"):
        signing.add(spoil(four, bare[0]))
    signing.add(bare[1])
    assert signing.add(bare[2]) is not None


def test_a_culprit_may_repent_with_a_proof_only(four: Dealing, signing: SigningSession) -> None:
    bare, proven = sign(four, "none"), sign(four, "compact")
    for share in (spoil(four, proven[0]), proven[1], proven[2]):
        signing.add(share)
    assert signing.culprits == (1,)
    with pytest.raises(InvalidShare, match="only a share with a proof"):
        signing.add(bare[0])
    with pytest.raises(InvalidShare, match="does not hold"):
        signing.add(spoil(four, proven[0]))
    assert signing.add(proven[0]) is not None
    assert signing.culprits == (1,)


@pytest.mark.parametrize(
    "change",
    [{"value": 0}, {"value": -4}, {"index": 0}, {"index": 5}, {"proof": "none"}, {"value": 1 << 600}],
)
def test_a_malformed_share_leaves_the_session_as_it_was(
    four: Dealing, signing: SigningSession, change: dict[str, object]
) -> None:
    shares = sign(four, "none")
    with pytest.raises(InvalidShare):
        signing.add(replace(shares[0], **change))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        signing.add(shares[0].to_bytes(four.public_key))  # type: ignore[arg-type]
    assert [signing.add(share) for share in shares[:3]][-1] is not None


def test_a_valid_share_is_judged_once(
    four: Dealing, signing: SigningSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    real = session.resolve

    def spy(message: object, valid: object, others: list[SignatureShare]) -> object:
        judged.extend(share.index for share in others)
        return real(message, valid, others)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "resolve", spy)
    shares = sign(four, "compact")
    for share in (shares[0], shares[1], spoil(four, shares[2]), shares[3]):
        signing.add(share)
    assert judged == [1, 2, 3, 4]


def test_other_schemes_and_protocols(deal: Deal) -> None:
    dealing = deal(3, 2, 1, key_size=1152, protocol=1)
    signing = SigningSession(dealing.public_key, MESSAGE, Scheme.PSS_SHA512)
    for share in dealing.key_shares[1:]:
        signing.add(share.sign_share(MESSAGE, Scheme.PSS_SHA512))
    assert signing.signature is not None
    dealing.public_key.verify(MESSAGE, signing.signature, Scheme.PSS_SHA512)
    with pytest.raises(TypeError):
        SigningSession(dealing.public_key, "text")  # type: ignore[arg-type]


@given(data=st.data())
@STEADY
def test_whatever_one_member_sends_whenever_the_others_sign_and_only_it_is_named(
    four: Dealing, data: st.DataObject
) -> None:
    liar = data.draw(st.integers(1, 4))
    form: ProofForm = data.draw(st.sampled_from(["compact", "batchable"]))
    honest = [share for share in sign(four, form) if share.index != liar]
    lies = [
        replace(
            spoil(four, sign(four, data.draw(st.sampled_from(["none", form])))[liar - 1], factor),
        )
        for factor in data.draw(st.lists(st.sampled_from([1, 4, 9]), max_size=3))
    ]
    events = data.draw(st.permutations([*honest, *lies]))
    signing = SigningSession(four.public_key, MESSAGE)
    blamed: set[int | None] = set()
    for share in events:
        try:
            signing.add(share)
        except InvalidShare as error:
            blamed.add(error.index)
    assert signing.signature == four.public_key.combine(MESSAGE, honest)
    assert blamed | set(signing.culprits) <= {liar}
    for evidence in signing.evidence:
        evidence.check(four.public_key)
