"""What a member prepares in advance: masks for its exponentiation, and nonces for its proofs."""

from __future__ import annotations

from shoup_rsa import _arith
from shoup_rsa._entropy import random_below, this_process
from shoup_rsa.hidden import Uncopied
from shoup_rsa.proof import Nonce

NONCES_MAX = 4096
"""Kept nonces: at 2048 bits 2.4 MB of memory, and nine seconds of work."""


class _Kept(Uncopied):
    """Secrets of one process."""

    __slots__ = ()
    _copying = "what a key share prepared cannot be copied or pickled"


class Blinding(_Kept):
    """Hides the base of a secret exponentiation from whoever chose the message and watches its time.

    It keeps the pair (v^rho, v_i^-rho). With base b, (b v^rho)^(s_i) v_i^-rho = b^(s_i), as v_i = v^(s_i).
    For every use rho becomes 2 rho or, by a fresh random bit, 2 rho + rho_0: two or four multiplications, in
    place of the exponentiation that a fresh rho would cost.

    The pair is replaced as a whole, without a lock: two threads that sign at the same moment may use one mask
    for two messages, and so may a process and its fork, until their random bits differ. Masks need to be
    unknown, not unique; nothing can be computed from two uses of one.
    """

    __slots__ = ("_first", "_modulus", "_pair")

    def __init__(self, base: int, image: int, modulus: int) -> None:
        """base and image: v and v_i. Two secret exponentiations."""
        rho = 1 + random_below(modulus - 1)
        mask = _arith.secret_power(base, rho, modulus)
        unmask = _arith.secret_power(_arith.inverse(image, modulus), rho, modulus)
        self._modulus = modulus
        self._first = self._pair = (mask, unmask)

    def next(self) -> tuple[int, int]:
        """(mask, unmask) for one exponentiation."""
        mask, unmask = (_arith.multiply(number, number, self._modulus) for number in self._pair)
        if random_below(2):
            mask = _arith.multiply(mask, self._first[0], self._modulus)
            unmask = _arith.multiply(unmask, self._first[1], self._modulus)
        self._pair = (mask, unmask)
        return self._pair

    def __repr__(self) -> str:
        return "Blinding(<hidden>)"


class NoncePool(_Kept):
    """Nonces whose v^r is computed already. Each leaves the pool before it is used, and only in this process.

    A nonce that served two proofs would give the key share away, so a forked child starts with an empty pool.
    `list.pop` and `list.append` are atomic: threads need no lock.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: tuple[object, list[Nonce]] = (this_process(), [])

    def _own(self) -> list[Nonce]:
        """This process's nonces. Mark and list are replaced together, so that no thread mixes them up."""
        process, nonces = self._kept
        if process is not this_process():
            nonces = []
            self._kept = (this_process(), nonces)
        return nonces

    def __len__(self) -> int:
        return len(self._own())

    def put(self, nonce: Nonce) -> None:
        """Keep a fresh nonce. Raises ValueError when NONCES_MAX are kept already."""
        nonces = self._own()
        if len(nonces) >= NONCES_MAX:
            raise ValueError(f"at most {NONCES_MAX} nonces are kept in advance")
        nonces.append(nonce)

    def take(self) -> Nonce | None:
        """A nonce that nobody has used, or None if there is none."""
        try:
            return self._own().pop()
        except IndexError:
            return None

    def __repr__(self) -> str:
        return f"NoncePool({len(self)} nonces, <hidden>)"
