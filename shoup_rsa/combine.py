"""From shares to one signature; from bad shares to their makers, by proof only.

Shoup, section 2. For a set S of k indices, L is the least number that makes all L lambda_j integers, where
lambda_j are Lagrange's coefficients at 0; L divides Delta = n!. With W = prod x_j^(L lambda_j):

    Protocol 1: s_j = f(j),          w = W^2 = x^(4 Delta L d),      e' = 4 Delta L  (the paper: L = Delta)
    Protocol 2: s_j = f(j) / Delta,  w = W^(2 Delta / L) = x^(4 d),  e' = 4
    Protocol 3: s_j = G(j), G(0) = c d~, w = W^2 = x^(4 L c d),  e' = 4 L c
    all:        w^e = x^e',   a e' + b e = 1,   y = w^a x^b,   y^e = x.

The signature is y, or y / u where x = H(M) u^e. Since e-th roots are unique modulo N, the bytes do not
depend on S, nor on L. The x_j enter squared, so that their signs play no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shoup_rsa import _arith, batch
from shoup_rsa import proof as proofs
from shoup_rsa.encoding import Representative
from shoup_rsa.errors import CombineFailed, InvalidShare, InvalidShares, NotEnoughShares
from shoup_rsa.key_data import KeyData
from shoup_rsa.lagrange import lagrange_at_zero
from shoup_rsa.proof import BatchableProof
from shoup_rsa.share import SignatureShare, check_form, check_index
from shoup_rsa.sizes import delta


@dataclass(frozen=True)
class Judgement:
    """What form and proof say about shares, each list by ascending index."""

    valid: list[SignatureShare]
    culprits: list[InvalidShare]
    unproven: list[SignatureShare]


def combine(key: KeyData, representative: Representative, shares: Iterable[SignatureShare]) -> bytes:
    """The contract is that of `ThresholdPublicKey.combine`."""
    given = gather(key, shares)
    if len(given) < key.threshold:
        raise NotEnoughShares(key.threshold, len(given))
    signature, judgement = resolve(key, representative, [], given)
    if signature is None:
        raise CombineFailed(
            tuple(culprit.index or 0 for culprit in judgement.culprits),
            tuple(share.index for share in judgement.unproven),
        )
    return signature


def verify_shares(key: KeyData, representative: Representative, shares: Iterable[SignatureShare]) -> None:
    """The contract is that of `ThresholdPublicKey.verify_shares`."""
    judgement = judge(key, representative, gather(key, shares))
    if judgement.culprits or judgement.unproven:
        raise InvalidShares(tuple(judgement.culprits), tuple(share.index for share in judgement.unproven))


def resolve(
    key: KeyData,
    representative: Representative,
    valid: Sequence[SignatureShare],
    others: Sequence[SignatureShare],
) -> tuple[bytes | None, Judgement]:
    """Combine first, verify the RESULT, and look at the shares only if that fails.

    `valid` were judged before. The judgement is about `others`, and empty when the first attempt succeeds.
    The proven shares come first: with a whole quorum of them the undecided are not used at all. With fewer,
    the undecided may still be right, and the result is verified in any case.
    """
    ready = [share for share in others if _value_in_range(key, share)]
    signature = _try_combine(key, representative, [*valid, *ready])
    if signature is not None:
        return signature, Judgement([], [], [])
    judgement = judge(key, representative, others)
    proven = [*valid, *judgement.valid]
    if judgement.culprits or len(proven) >= key.threshold:
        signature = _try_combine(key, representative, [*proven, *judgement.unproven])
    return signature, judgement


def gather(key: KeyData, shares: Iterable[SignatureShare]) -> list[SignatureShare]:
    """The shares by ascending index. Equal copies count once; different shares of one index are refused."""
    by_index: dict[int, SignatureShare] = {}
    for share in shares:
        if not isinstance(share, SignatureShare):
            raise TypeError(f"expected a SignatureShare, not {type(share).__name__}")
        check_index(key, share.index)
        if by_index.setdefault(share.index, share) != share:
            raise InvalidShare(
                share.index, "two different shares of this index were given: keep one a member"
            )
    return [share for _, share in sorted(by_index.items())]


def judge(key: KeyData, representative: Representative, shares: Iterable[SignatureShare]) -> Judgement:
    """Nothing but form and proof decides. The batchable proofs are checked all at once.

    Trying subsets would not do: two corrupt shares can cancel each other and make an honest third look wrong.
    """
    judgement = Judgement([], [], [])
    batched: dict[int, tuple[SignatureShare, BatchableProof]] = {}
    for share in shares:
        try:
            check_form(key, share)
            if share.proof is None:
                judgement.unproven.append(share)
            elif isinstance(share.proof, BatchableProof):
                batched[share.index] = (share, share.proof)
            else:
                proofs.check_compact(key, share.index, representative, share.value, share.proof)
                judgement.valid.append(share)
        except InvalidShare as error:
            judgement.culprits.append(error)
    proven = [(index, share.value, proof) for index, (share, proof) in batched.items()]
    for index in batch.find_culprits(key, representative, proven):
        del batched[index]
        judgement.culprits.append(InvalidShare(index, "the proof of correctness does not hold"))
    judgement.valid.extend(share for share, _ in batched.values())
    judgement.valid.sort(key=lambda share: share.index)
    judgement.culprits.sort(key=lambda culprit: culprit.index or 0)
    return judgement


def _value_in_range(key: KeyData, share: SignatureShare) -> bool:
    """The cheap part of the check of a value: what the arithmetic needs. The rest waits for a failure."""
    return type(share.value) is int and 0 < 2 * share.value < key.modulus


def _try_combine(
    key: KeyData, representative: Representative, shares: Sequence[SignatureShare]
) -> bytes | None:
    """The verified signature from the first `threshold` shares, or None if they do not give one."""
    chosen = shares[: key.threshold]
    if len(chosen) < key.threshold:
        return None
    least, coefficients = lagrange_at_zero(tuple(share.index for share in chosen))
    if key.protocol == 1:
        content, proof_exponent = 2, 4 * delta(key.parties) * least
    elif key.form is not None:
        content, proof_exponent = 2, 4 * least * key.form.content
    else:
        content, proof_exponent = 2 * (delta(key.parties) // least), 4
    _, root_factor, message_factor = _arith.bezout(proof_exponent, key.public_exponent)
    if root_factor < 0:  # the sign goes into the product, where inverting costs nothing more
        root_factor, coefficients = -root_factor, tuple(-coefficient for coefficient in coefficients)
    try:
        whole = _arith.product_of_powers([share.value for share in chosen], coefficients, key.modulus)
    except ZeroDivisionError:  # a value has a factor in common with N; judge finds out whose
        return None
    root = _arith.power(whole, content * root_factor, key.modulus)
    message_power = _arith.power(representative.value, message_factor, key.modulus)
    root = _arith.multiply(root, message_power, key.modulus)
    if representative.adjusted:
        root = _arith.multiply(root, key.nonresidue_inverse, key.modulus)
    if _arith.power(root, key.public_exponent, key.modulus) != representative.encoded:
        return None
    return root.to_bytes(key.signature_length, "big")


def is_dealing(key: KeyData) -> bool:
    """Whether all v_i = v^(s_i) lie on ONE polynomial of degree below k, whose value at 0 belongs to d.

    Protocol 1: s_i = f(i), and v_0^e = v. Protocol 2: s_i = f(i) / Delta, and v_0^(Delta e) = v. Protocol 3:
    s_i = G(i) with G(0) = c d~, and v_0^e = v^c: so a key that was handed on is seen to be for the same d.
    Then every k members interpolate the same d. The paper's (prod v_j^lambda_j)^e = v is this equation for
    one set of k indices; differences give the value at 0 with fewer multiplications, and cover all sets.
    """
    before, all_fit = _arith.quotients(key.verification_keys, key.threshold, key.modulus)
    scale = delta(key.parties) if key.protocol == 2 else 1
    content = 1 if key.form is None else key.form.content
    return all_fit and _arith.power(before, scale * key.public_exponent, key.modulus) == _arith.power(
        key.verification_base, content, key.modulus
    )
