"""The ceremony's pure part: what honest dealers found, and how each lie is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any
from unittest.mock import patch

import pytest

from alliance.config.file import AllianceConfig
from alliance.errors import AllianceError, ConfigError, InvalidCeremony
from alliance.founding import ceremony
from alliance.founding.ceremony_plan import CeremonyPlan, make_plan
from alliance.founding.commitment import Commitment
from alliance.founding.opening import Opening
from quorum import AcceptedStatement, Endorsement, combine
from quorum.factors import DealtFactor, deal_factor, new_nonce
from quorum.threshold_rsa import factors_of
from shoup_rsa import dealer as shoup_dealer
from shoup_rsa import generate_threshold_key
from tests.alliance.founding.applicants import Applicant, applicants, client
from tests.alliance.founding.hall import ANNA, BERT, Hall
from tests.worlds import factors
from tests.worlds.primes import SAFE_PRIMES_1024, TOO_LOW_1024


@pytest.fixture(scope="module")
def members() -> list[Applicant]:
    return applicants()


@pytest.fixture(scope="module")
def hall(members: list[Applicant]) -> Hall:
    requests = {f"{one.name}.request": one.request for one in members}
    requests["carola.request"] = client("carola")
    return Hall.open(requests, {one.organisation: one.operator for one in members})


def dealt(hall: Hall, primes: tuple[int, ...], threshold: int = 5) -> DealtFactor:
    """A factor that is right in all but its primes."""
    with patch.object(shoup_dealer, "_two_safe_primes", lambda *_: primes):
        return deal_factor(hall.plan.system, threshold, factors.FACTOR_BITS, factors.DEALERS)


def refused(hall: Hall, openings: list[Opening], *heard: Commitment) -> InvalidCeremony:
    with pytest.raises(InvalidCeremony) as caught:
        ceremony.found(hall.plan, openings, heard)
    assert "\n" not in str(caught.value)
    assert all(f"'{dealer}'" in str(caught.value) for dealer in caught.value.dealers)
    return caught.value


# -- honest dealers --------------------------------------------------------------------------------------


def test_everybody_computes_the_same_alliance_and_its_members_sign(
    hall: Hall, members: list[Applicant]
) -> None:
    openings = hall.openings()
    config = ceremony.found(hall.plan, openings)
    assert config == ceremony.found(hall.plan, openings[::-1], hall.commitments)
    assert AllianceConfig.from_toml(config.to_toml()) == config
    assert config.founding.created == hall.plan.created
    assert [client.name for client in config.clients] == ["carola"]
    assert [key.key_size for key in (config.key, config.purpose_keys[0][1])] == [4096, 4096]
    dealt_factors = [opening.dealing.keys[0][1] for opening in openings]
    assert list(factors_of(config.key)) == dealt_factors
    statement = AcceptedStatement(0, 1, bytes(32))
    message, endorsements = statement.encode(config.context), []
    for index, member in enumerate(members):
        shares = ceremony.shares_of(config, openings, member.request, member.opening)
        assert list(shares) == ["agreement", "attestation"]
        endorsements.append(Endorsement(statement, index, shares["agreement"].endorse(message, proven=False)))
    combine(config.scheme, endorsements[1:]).verify(config.scheme)


def test_the_plan_comes_back_as_it_was_written(hall: Hall) -> None:
    text = hall.plan.to_toml()
    again = CeremonyPlan.from_toml(text, "plan")
    assert (again, again.digest) == (hall.plan, hall.plan.digest)
    assert again.dealers == (ANNA, BERT)
    assert again.thresholds == (("agreement", 5), ("attestation", 3))
    for opening in (*hall.openings(), *hall.pending.values()):
        assert Opening.from_json(opening.to_json(), "opening") == opening
    for commitment in hall.commitments:
        assert Commitment.from_toml(commitment.to_toml(), "commitment") == commitment


def test_no_two_plans_are_alike(hall: Hall) -> None:
    requests = {str(number): request for number, request in enumerate(hall.plan.requests)}
    options: dict[str, Any] = {"name": "farm", "faults": 1, "factor_bits": 2048}
    assert make_plan(requests, **options).digest != make_plan(requests, **options).digest
    lean = make_plan(requests, **options, profile="lean")
    assert (lean.thresholds[0], lean.system.profile) == (("agreement", 4), "lean")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dealers": [ANNA]}, "one dealer.*it takes 2 or more"),
        ({"dealers": [ANNA, ANNA]}, "named twice"),
        ({"dealers": [ANNA, "bert"]}, "no member is run by 'bert'; did you mean 'bert-ag'"),
        ({"dealers": [ANNA, BERT, "carl-ag"], "factor_bits": 8192}, "the receiver key of 'anna' has"),
        ({"faults": 2}, "n >= 5f-1 = 9 members"),
        ({"faults": 2, "profile": "classic"}, "n >= 5f\\+1 = 11 members"),
        ({"profile": "thin"}, "the profile is"),
        ({"purposes": [("web", 1)]}, "the threshold of 'web'"),
        ({"attest": 1}, "the threshold of 'attestation'"),
    ],
)
def test_plans_that_cannot_be(hall: Hall, options: dict[str, Any], match: str) -> None:
    requests = {f"{request.name}.request": request for request in hall.plan.requests}
    with pytest.raises(ConfigError, match=match):
        make_plan(requests, **{"name": "farm", "faults": 1, "factor_bits": 2048, **options})


def test_too_many_bits_are_refused_before_anybody_searches_for_a_prime(hall: Hall) -> None:
    large = replace(hall.plan.founding, key_size=8192)
    plan = replace(hall.plan, founding=large, dealers=(ANNA, BERT, "carl-ag"))
    with pytest.raises(ConfigError, match="16384 bits"):
        plan._check_dealers()


# -- lies: each names its dealer, and is shown by what it has signed -------------------------------------


def other_factor(hall: Hall) -> list[Opening]:
    """It shows another factor than the one that it had committed to, having seen anna's."""
    honest, other = hall.openings(), hall.with_factor(BERT, 0, dealt(hall, SAFE_PRIMES_1024[:2]))
    return [honest[0], other.signed(honest[0].commitments, hall.operators[BERT])]


def other_nonce(hall: Hall) -> list[Opening]:
    honest = hall.openings()
    other = replace(hall.pending[BERT], nonces=(new_nonce(), hall.pending[BERT].nonces[1]))
    return [honest[0], other.signed(honest[0].commitments, hall.operators[BERT])]


def too_short(hall: Hall) -> list[Opening]:
    return hall.openings(hall.with_factor(BERT, 0, dealt(hall, TOO_LOW_1024)))


def other_threshold(hall: Hall) -> list[Opening]:
    return hall.openings(hall.with_factor(BERT, 0, factors.factor(hall.plan.system, 4, 1)))


def other_protocol(hall: Hall) -> list[Opening]:
    """A factor in the integer form, whose parts never fit those of the others."""
    with patch.object(shoup_dealer, "_two_safe_primes", lambda *_: SAFE_PRIMES_1024[2:4]):
        made = generate_threshold_key(6, 5, 1, 2048, factors=2, protocol=3)
    old = factors.factor(hall.plan.system, 5, 1)
    lie = hall.with_factor(BERT, 0, replace(old, key=old.key))
    keys = (("agreement", made.public_key), lie.dealing.keys[1])
    return hall.openings(replace(lie, dealing=replace(lie.dealing, keys=keys)))


def other_dealing(hall: Hall) -> list[Opening]:
    """Verification keys that are not of one polynomial: some quorums would sign, others not."""
    old = hall.pending[BERT]
    (purpose, key), second = old.dealing.keys
    images = (key.verification_keys[1], *key.verification_keys[1:])  # type: ignore[attr-defined]
    false = replace(key, verification_keys=images)  # type: ignore[type-var]
    return hall.openings(replace(old, dealing=replace(old.dealing, keys=((purpose, false), second))))


def bad_trials(hall: Hall) -> list[Opening]:
    """R8: the signatures that show the public exponent to be coprime to the group's order."""
    old = hall.pending[BERT]
    swapped = (old.trials[0][1], old.trials[0][0], *old.trials[0][2:])
    return hall.openings(replace(old, trials=(swapped, old.trials[1])))


def swapped_purposes(hall: Hall) -> list[Opening]:
    old = hall.pending[BERT]
    return hall.openings(replace(old, dealing=replace(old.dealing, keys=old.dealing.keys[::-1])))


def renamed_purpose(hall: Hall) -> list[Opening]:
    old = hall.pending[BERT]
    first, (_, key) = old.dealing.keys
    return hall.openings(replace(old, dealing=replace(old.dealing, keys=(first, ("web", key)))))


def signed_twice(hall: Hall) -> list[Opening]:
    """A dealing with a signature of its own could be exchanged for another one under the same opening."""
    old = hall.pending[BERT]
    return hall.openings(replace(old, dealing=old.dealing.signed(hall.operators[BERT])))


def other_members(hall: Hall) -> list[Opening]:
    old = hall.pending[BERT]
    return hall.openings(replace(old, dealing=replace(old.dealing, members=old.dealing.members[::-1])))


def cut_encapsulation(hall: Hall) -> list[Opening]:
    old = hall.pending[BERT]
    first, *others = old.dealing.members
    cut = (replace(first, encapsulated=first.encapsulated[:-1]), *others)
    return hall.openings(replace(old, dealing=replace(old.dealing, members=cut)))


def other_context(hall: Hall) -> list[Opening]:
    old = hall.pending[BERT]
    return hall.openings(replace(old, dealing=replace(old.dealing, context=bytes(32))))


def own_list(hall: Hall, *listed: int) -> list[Opening]:
    honest = hall.openings()
    commitments = tuple(honest[0].commitments[place] for place in listed)
    return [honest[0], hall.pending[BERT].signed(commitments, hall.operators[BERT])]


def early(hall: Hall) -> list[Opening]:
    """It opened before anna's commitment was there."""
    return own_list(hall, 1)


def other_order(hall: Hall) -> list[Opening]:
    return own_list(hall, 1, 0)


def forged_commitment(hall: Hall) -> list[Opening]:
    """It pretends that anna has committed to something else."""
    honest = hall.openings()
    forged = replace(honest[0].commitments[0], factors=honest[0].commitments[1].factors)
    return [honest[0], hall.pending[BERT].signed((forged, honest[0].commitments[1]), hall.operators[BERT])]


LIES: dict[Callable[[Hall], list[Opening]], str] = {
    other_factor: "not the one that its dealer had committed to",
    other_nonce: "not the one that its dealer had committed to",
    too_short: "so small that the key gets too short",
    other_threshold: r"\(2, 2048, 6, 4, 1, 0\), not \(2, 2048, 6, 5, 1, 0\)",
    other_protocol: r"\(3, 2048, 6, 5, 1, 0\), not",
    other_dealing: "not a dealing of this public key",
    bad_trials: "trial messages have no valid signatures",
    swapped_purposes: "not for the keys of the plan",
    renamed_purpose: "not for the keys of the plan",
    signed_twice: "for something else than this plan",
    other_members: "not sealed to the members of the plan",
    cut_encapsulation: "not sealed to the members of the plan",
    other_context: "for something else than this plan",
    early: "without the commitments of all dealers",
    other_order: "without the commitments of all dealers",
    forged_commitment: "opened on a commitment that is none",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lying_dealer_is_named_and_has_signed_it(hall: Hall, lie: Callable[[Hall], list[Opening]]) -> None:
    error = refused(hall, lie(hall))
    assert (error.dealers, error.proven) == ((BERT,), True)
    with pytest.raises(InvalidCeremony, match=LIES[lie]):
        raise error


def test_the_same_modulus_or_a_common_prime_names_both(hall: Hall) -> None:
    """They cannot have copied it after the commitments, so which of them knows too much is not to be seen."""
    for primes in (SAFE_PRIMES_1024[:2], (SAFE_PRIMES_1024[0], SAFE_PRIMES_1024[3])):
        error = refused(hall, hall.openings(hall.with_factor(BERT, 0, dealt(hall, primes))))
        assert (error.dealers, error.proven) == ((ANNA, BERT), False)
        assert "have a prime in common" in str(error)
    # Of one dealer, for two keys:
    error = refused(hall, hall.openings(hall.with_factor(BERT, 1, dealt(hall, SAFE_PRIMES_1024[2:4], 3))))
    assert (error.dealers, error.proven) == ((BERT,), True)


def test_who_tells_two_dealers_different_things_is_shown_by_two_signed_files(hall: Hall) -> None:
    honest = hall.openings()
    for liar, other in ((BERT, ANNA), (ANNA, BERT)):
        second = hall.commit(replace(hall.pending[liar], nonces=(new_nonce(), new_nonce())))
        told = tuple(second if one.dealer == liar else one for one in hall.commitments)
        openings = [one for one in honest if one.dealer == liar]
        openings.append(hall.pending[other].signed(told, hall.operators[other]))
        for given in (openings, openings[::-1]):
            error = refused(hall, given)
            assert (error.dealers, error.proven) == ((liar,), True)
            assert "told different things to different dealers" in str(error)
        # Whoever finishes has heard something else than all dealers:
        error = refused(hall, honest, second)
        assert (error.dealers, error.proven) == ((liar,), True)
        # And before anybody opens:
        with pytest.raises(InvalidCeremony, match="different things") as caught:
            ceremony.all_commitments(hall.plan, [*hall.commitments, second])
        assert caught.value.dealers == (liar,)


def test_two_openings_of_one_dealer(hall: Hall) -> None:
    honest, other = hall.openings(), hall.openings(hall.sealed_again(BERT, range(6)))
    assert (error := refused(hall, [*honest, other[1]])).dealers == (BERT,)
    assert error.proven
    ceremony.found(hall.plan, [*honest, honest[1]])  # twice the same is once


def test_a_copied_commitment_is_seen_before_anybody_opens(hall: Hall) -> None:
    anna, bert = hall.commitments
    copied = replace(bert, factors=(anna.factors[0], bert.factors[1])).signed(hall.operators[BERT])
    with pytest.raises(InvalidCeremony, match="one of them copied") as caught:
        ceremony.all_commitments(hall.plan, [anna, copied])
    assert (caught.value.dealers, caught.value.proven) == ((ANNA, BERT), False)


# -- what is missing, altered on its way, or of another ceremony: nobody is convicted --------------------


def test_missing_parts_are_named(hall: Hall) -> None:
    for present, absent in ((0, BERT), (1, ANNA)):
        with pytest.raises(InvalidCeremony, match=f"the commitment of '{absent}' is missing") as caught:
            ceremony.all_commitments(hall.plan, [hall.commitments[present]])
        assert (caught.value.dealers, caught.value.proven) == ((absent,), False)
        error = refused(hall, [hall.openings()[present]])
        assert (error.dealers, error.proven) == ((absent,), False)
    assert refused(hall, []).dealers == (ANNA, BERT)


def test_what_its_dealer_did_not_sign_convicts_nobody(hall: Hall) -> None:
    anna, bert = hall.openings()
    first, *others = bert.dealing.members
    lost = replace(first, shares=first.shares[::-1])
    for false in (
        replace(bert, signature=anna.signature),
        replace(bert, nonces=anna.nonces),
        replace(bert, trials=bert.trials[::-1]),
        replace(bert, commitments=bert.commitments[:1]),
        replace(bert, dealing=replace(bert.dealing, members=(lost, *others))),
        replace(bert, dealing=anna.dealing),
    ):
        error = refused(hall, [anna, false])
        assert (error.dealers, error.proven) == ((BERT,), False)
        assert "ask 'bert-ag' for it again" in str(error)
    mine, theirs = hall.commitments
    # What another dealer has signed in it, too, which by itself would make of it a second, false opening:
    touched = replace(bert, commitments=(replace(mine, signature=theirs.signature), theirs))
    for given in ([anna, touched], [anna, bert, touched], [anna, touched, bert]):
        error = refused(hall, given)
        assert (error.dealers, error.proven) == ((BERT,), False)
    with pytest.raises(InvalidCeremony, match="not signed by its operator key") as caught:
        ceremony.all_commitments(hall.plan, [mine, replace(theirs, factors=mine.factors)])
    assert not caught.value.proven
    error = refused(hall, [replace(anna, dealer=BERT), bert])
    assert (error.dealers, error.proven) == ((BERT,), False)


def leaves(table: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Where each text of what JSON gave is."""
    if isinstance(table, str):
        yield path
        return
    for place, item in table.items() if isinstance(table, dict) else enumerate(table):
        yield from leaves(item, *path, place)


def test_no_field_of_an_opening_can_be_altered_so_that_its_dealer_is_convicted(hall: Hall) -> None:
    anna, bert = hall.openings()
    table = json.loads(bert.to_json())
    altered = list(leaves(table))

    def read_and_found() -> None:
        opening = Opening.from_json(json.dumps(table, indent=1) + "\n", "bert-ag.opening")
        ceremony.found(hall.plan, [anna, opening])

    for *way, last in altered:
        *_, holder = accumulate([table, *way], lambda inside, place: inside[place])
        text = holder[last]
        holder[last] = ("0" if text[:1] == "1" else "1") + text[1:]
        with pytest.raises(AllianceError) as caught:
            read_and_found()
        assert not getattr(caught.value, "proven", False), (way, last)
        holder[last] = text
    assert len(altered) > 60


def test_parts_of_another_ceremony(hall: Hall) -> None:
    """The same parties, the same keys, another plan: nothing of it is worth anything."""
    other = replace(hall.plan, nonce=bytes(16))
    with pytest.raises(InvalidCeremony, match="for another plan") as caught:
        ceremony.all_commitments(other, hall.commitments)
    assert not caught.value.proven
    with pytest.raises(InvalidCeremony, match="for another plan"):
        ceremony.found(other, hall.openings())
    # Somebody moves them there: they are not signed for it.
    moved = [replace(one, plan=other.digest) for one in hall.commitments]
    with pytest.raises(InvalidCeremony, match="the commitment of 'anna-ag' is not signed"):
        ceremony.all_commitments(other, moved)
    with pytest.raises(InvalidCeremony, match="the opening of 'anna-ag' is not signed"):
        ceremony.found(other, [replace(one, plan=other.digest) for one in hall.openings()])
    fewer = replace(hall.plan, dealers=(ANNA, "carl-ag"))
    with pytest.raises(InvalidCeremony, match="'bert-ag', which is no dealer of this plan"):
        ceremony.all_commitments(fewer, hall.commitments[1:])


# -- what only a member can see --------------------------------------------------------------------------


def test_a_member_whose_share_is_anothers_names_the_dealer(hall: Hall, members: list[Applicant]) -> None:
    openings = hall.openings(hall.sealed_again(BERT, (1, 0, 2, 3, 4, 5)))
    config = ceremony.found(hall.plan, openings)
    for place in (0, 1):
        one = members[place]
        with pytest.raises(ConfigError, match=f"the opening of '{BERT}': the share of '{one.name}'"):
            ceremony.shares_of(config, openings, one.request, one.opening)
    two = members[2]
    ceremony.shares_of(config, openings, two.request, two.opening)


def test_shares_open_for_their_member_alone(hall: Hall, members: list[Applicant]) -> None:
    openings = hall.openings()
    config = ceremony.found(hall.plan, openings)
    one, two = members[:2]
    for request, secret in ((one.request, two.opening), (hall.plan.requests[-1], one.opening)):
        with pytest.raises(AllianceError):
            ceremony.shares_of(config, openings, request, secret)
