"""The ceremony: several organisations deal one factor each of every key, and none of them learns a key.

    plan                everybody has the same file, and compares its digest
    commitments         each dealer makes its factors, and publishes digests of them, signed
    openings            when ALL commitments are there, each dealer shows its factors and the sealed shares
    alliance.toml       everybody computes it from the plan and the openings

One honest dealer is enough that nobody knows the keys; a dishonest one can spoil the ceremony, or later the
alliance's signatures, but not forge any. What it does wrong here is found here, and it is named: then the
others plan another ceremony without it. Its signature makes the difference between a file that was altered on
its way, of which it knows nothing, and a wrong one of its own.

What cannot be seen before members use their shares: that a modulus has two primes, and safe ones; and that a
share which a member has opened and found right combines with the others (a dealer that knows the primes could
make proofs hold for wrong shares of its accomplices). Members notice, and the factor, so its dealer, is
named.

Pure functions: no files, no clock, no random numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError, InvalidCeremony
from alliance.founding.ceremony_plan import CeremonyPlan
from alliance.founding.commitment import Commitment
from alliance.founding.opening import Opening
from alliance.founding.outcome import assemble
from alliance.founding.request import Request
from quorum.factors import check_factor, compose, have_common_prime, is_long_enough, require_opening
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey, ThresholdRsaEndorser

_ENCAPSULATED_BYTES, _WRAPPED_BYTES = 32, 48
"""RFC 9180: an X25519 public key, and 32 bytes with their tag."""


def all_commitments(plan: CeremonyPlan, found: Iterable[Commitment]) -> tuple[Commitment, ...]:
    """Those of all dealers, in the plan's order. Raises InvalidCeremony, which names whose is wrong or
    missing.
    """
    by_dealer: dict[str, Commitment] = {}
    for commitment in found:
        _check_commitment(plan, commitment)
        first = by_dealer.setdefault(commitment.dealer, commitment)
        if first.factors != commitment.factors:
            raise _two_tongues((commitment.dealer,))
    _require_all(plan, by_dealer, "commitment")
    for one, other in combinations(by_dealer.values(), 2):
        if set(one.factors) & set(other.factors):
            raise InvalidCeremony(
                f"'{one.dealer}' and '{other.dealer}' have committed to the same factor: one of them copied"
                " the other's commitment. Begin anew, with another plan",
                (one.dealer, other.dealer),
            )
    return tuple(by_dealer[dealer] for dealer in plan.dealers)


def all_openings(
    plan: CeremonyPlan, openings: Iterable[Opening], commitments: Iterable[Commitment] = ()
) -> tuple[Opening, ...]:
    """Those of all dealers, each checked, in the plan's order.

    ``commitments`` are such as were heard elsewhere; the openings have all of them. Raises InvalidCeremony,
    which names whose part is wrong or missing.
    """
    by_dealer: dict[str, Opening] = {}
    for opening in openings:
        _check_signer(plan, opening)
        if by_dealer.setdefault(opening.dealer, opening) != opening:
            raise _two_tongues((opening.dealer,))
    _require_all(plan, by_dealer, "opening")
    agreed = _agreed_list(plan, by_dealer, commitments)
    for opening, commitment in zip((by_dealer[dealer] for dealer in plan.dealers), agreed, strict=True):
        _check_opening(plan, opening, commitment)
    _check_primes(by_dealer.values())
    return tuple(by_dealer[dealer] for dealer in plan.dealers)


def check_own(plan: CeremonyPlan, opening: Opening) -> None:
    """What a dealer checks of its own opening before anybody sees it: that memory and disk have kept it.

    Raises InvalidCeremony.
    """
    own = next(one for one in opening.commitments if one.dealer == opening.dealer)
    if own.factors != opening.commitment().factors:
        raise InvalidCeremony(
            f"the commitment of '{opening.dealer}' that is given is not that of this folder: give the"
            " one that is there",
            (opening.dealer,),
        )
    _check_signer(plan, opening)
    _check_opening(plan, opening, own)


def require_same_list(plan: CeremonyPlan, opening: Opening, commitments: Sequence[Commitment]) -> None:
    """Raises InvalidCeremony unless the opening was made on these commitments; names who gave two."""
    _check_signer(plan, opening)
    _agreed_list(plan, {opening.dealer: opening}, commitments)


def found(
    plan: CeremonyPlan, openings: Iterable[Opening], commitments: Iterable[Commitment] = ()
) -> AllianceConfig:
    """The alliance that this ceremony founds: everybody computes the same.

    Raises InvalidCeremony as ``all_openings`` does.
    """
    return compute(plan, all_openings(plan, openings, commitments))


def compute(plan: CeremonyPlan, shown: Sequence[Opening]) -> AllianceConfig:
    """The same of what ``all_openings`` has checked."""
    keys = []
    for place, (purpose, _) in enumerate(plan.thresholds):
        try:
            keys.append((purpose, compose([opening.dealing.keys[place][1] for opening in shown])))
        except InvalidAgreementKey as error:
            raise InvalidCeremony(f"the {purpose} key cannot be composed: {error}", plan.dealers) from None
    operators = plan.operators
    return assemble(
        plan.founding.name, plan.system, plan.members, plan.clients, operators, keys, plan.created
    )


def shares_of(
    config: AllianceConfig, openings: Sequence[Opening], request: Request, opening_key: X25519PrivateKey
) -> dict[str, ThresholdRsaEndorser]:
    """A member's share of each key of the alliance that these openings found, in its order, by purpose.

    Raises ConfigError, which names the dealer, when one of its shares does not open or is not right.
    """
    opened = [
        opening.dealing.open(request, opening_key, f"the opening of '{opening.dealer}'")
        for opening in openings
    ]
    shares = {}
    for (purpose, _), key in zip(config.founding.keys, _keys(config), strict=True):
        try:
            shares[purpose] = ThresholdRsaEndorser.compose(key, [part[purpose] for part in opened])
        except InvalidAgreementKey as error:
            raise ConfigError(f"the shares of the {purpose} key do not fit together: {error}") from None
    return shares


def _keys(config: AllianceConfig) -> list[AgreementKey]:
    return [config.key, *(key for _, key in config.purpose_keys)]


# -- what is checked -----------------------------------------------------------------------------------


def _require_dealer(plan: CeremonyPlan, dealer: str, of_plan: bytes, what: str) -> bytes:
    """The operator key of the dealer whose file this is."""
    if dealer not in plan.dealers:
        raise InvalidCeremony(f"there is {what} of '{dealer}', which is no dealer of this plan", (dealer,))
    if of_plan != plan.digest:
        raise InvalidCeremony(
            f"{what} of '{dealer}' is for another plan, whose digest begins {of_plan.hex()[:16]}: this one's"
            f" begins {plan.digest.hex()[:16]}. Compare the plans",
            (dealer,),
        )
    return plan.operators[dealer]


def _check_commitment(plan: CeremonyPlan, commitment: Commitment) -> None:
    dealer = commitment.dealer
    if not commitment.is_signed_by(_require_dealer(plan, dealer, commitment.plan, "a commitment")):
        raise _altered("commitment", dealer)
    if [purpose for purpose, _ in commitment.factors] != [purpose for purpose, _ in plan.thresholds]:
        raise _wrong(dealer, "its commitment is not for the keys of the plan")


def _check_signer(plan: CeremonyPlan, opening: Opening) -> None:
    if not opening.is_signed_by(_require_dealer(plan, opening.dealer, opening.plan, "an opening")):
        raise _altered("opening", opening.dealer)


def _agreed_list(
    plan: CeremonyPlan, openings: dict[str, Opening], heard: Iterable[Commitment]
) -> tuple[Commitment, ...]:
    """The one list of commitments that all dealers have signed; else it is clear who told two things."""
    said: dict[str, set[tuple[tuple[str, bytes], ...]]] = {dealer: set() for dealer in plan.dealers}
    for opening in openings.values():
        if tuple(one.dealer for one in opening.commitments) != plan.dealers:
            raise _wrong(opening.dealer, "it opened without the commitments of all dealers, in their order")
        for commitment in opening.commitments:
            try:
                _check_commitment(plan, commitment)
            except InvalidCeremony as error:
                if error.proven:
                    raise
                raise _wrong(opening.dealer, f"it opened on a commitment that is none: {error}") from None
            said[commitment.dealer].add(commitment.factors)
    for commitment in heard:
        _check_commitment(plan, commitment)
        said[commitment.dealer].add(commitment.factors)
    if liars := tuple(dealer for dealer, factors in said.items() if len(factors) > 1):
        raise _two_tongues(liars)
    return all_commitments(plan, next(iter(openings.values())).commitments)


def _check_opening(plan: CeremonyPlan, opening: Opening, commitment: Commitment) -> None:
    """Everything about one dealer's part. It is signed: what is wrong with it is its dealer's fault."""
    dealer, dealing = opening.dealer, opening.dealing
    if dealing.context != plan.digest or dealing.operator or dealing.signature:
        raise _wrong(dealer, "its dealing is for something else than this plan")
    if [purpose for purpose, _ in dealing.keys] != [purpose for purpose, _ in plan.thresholds]:
        raise _wrong(dealer, "its factors are not for the keys of the plan")
    names = [request.name for request in plan.member_requests]
    lengths = {(len(one.encapsulated), len(one.wrapped_key)) for one in dealing.members}
    if [one.member for one in dealing.members] != names or lengths != {(_ENCAPSULATED_BYTES, _WRAPPED_BYTES)}:
        raise _wrong(dealer, "its shares are not sealed to the members of the plan")
    parts = zip(
        plan.thresholds, commitment.factors, dealing.keys, opening.nonces, opening.trials, strict=True
    )
    for (purpose, threshold), (_, committed), (_, key), nonce, trials in parts:
        _check_sizes(plan, dealer, purpose, threshold, key)
        try:
            require_opening(committed, key, nonce)
            check_factor(key, trials)
        except InvalidAgreementKey as error:
            raise _wrong(dealer, f"its factor of the {purpose} key: {error}") from None


def _check_sizes(plan: CeremonyPlan, dealer: str, purpose: str, threshold: int, key: AgreementKey) -> None:
    system = plan.system
    sizes = (key.protocol, key.key_size, key.parties, key.threshold, key.corruptions, key.epoch)
    due = (2, plan.founding.key_size, system.member_count, threshold, system.faulty_max, 0)
    if sizes != due:
        raise _wrong(
            dealer,
            f"its factor of the {purpose} key has (protocol, bits, members, threshold, faults, epoch) ="
            f" {sizes}, not {due}",
        )
    if not is_long_enough(key, len(plan.dealers)):
        raise _wrong(dealer, f"its factor of the {purpose} key is so small that the key gets too short")


def _check_primes(openings: Iterable[Opening]) -> None:
    """No two factors have a prime in common, whoever dealt them, and for whatever keys."""
    factors = [
        (opening.dealer, purpose, key) for opening in openings for purpose, key in opening.dealing.keys
    ]
    for (one, purpose, key), (other, another, second) in combinations(factors, 2):
        if not have_common_prime(key, second):
            continue
        if one == other:
            raise _wrong(one, f"its factors of the {purpose} and the {another} key have a prime in common")
        raise InvalidCeremony(
            f"a factor of '{one}' and one of '{other}' have a prime in common: one of them knows what the"
            " other has, or their machines draw the same random numbers. Begin anew, with another plan",
            (one, other),
        )


# -- how it is said ------------------------------------------------------------------------------------


def _require_all(plan: CeremonyPlan, there: Iterable[str], what: str) -> None:
    if missing := tuple(dealer for dealer in plan.dealers if dealer not in there):
        names = ", ".join(f"'{dealer}'" for dealer in missing)
        raise InvalidCeremony(
            f"the {what} of {names} is missing: ask for it; should it never come, begin anew without {names}",
            missing,
        )


def _altered(what: str, dealer: str) -> InvalidCeremony:
    return InvalidCeremony(
        f"the {what} of '{dealer}' is not signed by its operator key: it was altered on its way, or is"
        f" another's; ask '{dealer}' for it again",
        (dealer,),
    )


def _wrong(dealer: str, what: str) -> InvalidCeremony:
    return InvalidCeremony(
        f"'{dealer}' did not deal as planned, and has signed it: {what}. Begin anew without '{dealer}'",
        (dealer,),
        proven=True,
    )


def _two_tongues(dealers: tuple[str, ...]) -> InvalidCeremony:
    names = ", ".join(f"'{dealer}'" for dealer in dealers)
    return InvalidCeremony(
        f"{names} told different things to different dealers, under its own signature: keep the files, which"
        f" show it, and begin anew without {names}",
        dealers,
        proven=True,
    )
