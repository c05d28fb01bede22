"""From shares to one signature, and what their proofs say, modulo one N.

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
from shoup_rsa.errors import InvalidShare
from shoup_rsa.key_data import KeyData
from shoup_rsa.lagrange import lagrange_at_zero
from shoup_rsa.proof import BatchableProof
from shoup_rsa.resolve import AnySignatureShare, Judgement, Represented
from shoup_rsa.share import SignatureShare, check_form, check_index, check_kind
from shoup_rsa.sizes import delta


@dataclass(frozen=True)
class SingleMessage(Represented):
    """A message under a key with one modulus."""

    representative: Representative

    @property
    def threshold(self) -> int:
        """k of the key."""
        return self.representative.key.threshold

    def check_index(self, share: AnySignatureShare) -> None:
        """See the base."""
        check_index(self.representative.key, check_kind(share).index)

    def judge(self, shares: Iterable[AnySignatureShare]) -> Judgement:
        """See the base."""
        return judge(self.representative, shares)

    def usable(self, share: AnySignatureShare) -> bool:
        """See the base."""
        return isinstance(share, SignatureShare) and value_in_range(self.representative.key, share)

    def try_combine(self, shares: Sequence[AnySignatureShare]) -> bytes | None:
        """See the base."""
        root = interpolate(self.representative, [check_kind(share) for share in shares])
        if root is None or not is_root(self.representative, root):
            return None
        return root.to_bytes(self.representative.key.signature_length, "big")


def judge(representative: Representative, shares: Iterable[AnySignatureShare]) -> Judgement:
    """The contract is that of `Represented.judge`."""
    key = representative.key
    judgement = Judgement([], [], [])
    batched: dict[int, tuple[SignatureShare, BatchableProof]] = {}
    for given in shares:
        try:
            share = check_form(key, given)
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


def value_in_range(key: KeyData, share: SignatureShare) -> bool:
    """What the arithmetic needs of a value."""
    return type(share.value) is int and 0 < 2 * share.value < key.modulus


def interpolate(representative: Representative, shares: Sequence[SignatureShare]) -> int | None:
    """y of the first `threshold` shares, NOT verified; None if they are fewer, or cannot be computed with."""
    key = representative.key
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
    return root


def is_root(representative: Representative, root: int) -> bool:
    """Whether it is the signature, as a number: y^e = H(M)."""
    key = representative.key
    return _arith.power(root, key.public_exponent, key.modulus) == representative.encoded


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
