"""The life of one key, with openssl and the first PEM looking on.

As a program: `python -m tests.shoup_rsa.key_life` at 2048 bits, for minutes; with `--composite` the same for
a key of two dealers, 4096 bits.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest

from shoup_rsa import AnyKeyShare, CombineFailed, PublicKey, generate_threshold_key
from tests.shoup_rsa import board, composites
from tests.shoup_rsa.outside import run

MESSAGE = b"a message of the first day"

HandOn = Callable[[PublicKey, tuple[int, int, int], Sequence[AnyKeyShare], bool], tuple[PublicKey, list]]
"""From a key to the next one: of which sizes, from which shares, and whether nobody looks at proofs."""


class AnyDealing(Protocol):
    """A key's beginning, of either kind."""

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def key_shares(self) -> Sequence[AnyKeyShare]: ...


def of_one_dealer(
    key: PublicKey, sizes: tuple[int, int, int], dealers: Sequence[AnyKeyShare], trusting: bool
) -> tuple[PublicKey, list]:
    return board.hand_on(board.order_for(key, *sizes), dealers, trusting=trusting)


def of_several(
    key: PublicKey, sizes: tuple[int, int, int], dealers: Sequence[AnyKeyShare], trusting: bool
) -> tuple[PublicKey, list]:
    return composites.hand_on(composites.order_for(key, *sizes), dealers, trusting=trusting)


class Life:
    """Each step is checked: the bytes of the signature, openssl, and old shares beside new ones."""

    def __init__(self, dealing: AnyDealing, folder: Path, hand_on: HandOn) -> None:
        self.key = dealing.public_key
        self.shares = list(dealing.key_shares)
        self._folder = folder
        self._hand_on = hand_on
        self._pem = dealing.public_key.to_pem()
        (folder / "first.pem").write_bytes(self._pem)
        (folder / "message").write_bytes(MESSAGE)
        self._signature = self._sign()
        self._look()

    @property
    def share_bits(self) -> int:
        (bits,) = {factor.form.share_bits for factor in self.key.factors}
        return bits

    def redistribute(self, parties: int, threshold: int, corruptions: int, *, trusting: bool = False) -> None:
        """To 1..parties: members that stay keep their index. `trusting`: nobody looks at proofs."""
        before = self.shares
        dealers = before[-self.key.threshold :] if self.key.epoch % 2 else before[: self.key.threshold]
        self.key, self.shares = self._hand_on(self.key, (parties, threshold, corruptions), dealers, trusting)
        assert self.key.to_pem() == self._pem
        assert self._sign() == self._signature
        self._look()
        if not trusting:
            mixed = [before[0], *self.shares[1:threshold]]
            with pytest.raises(CombineFailed):
                self.key.combine(MESSAGE, [share.sign_share(MESSAGE) for share in mixed])

    def refresh(self, times: int) -> None:
        """The same members, again and again; every tenth time all proofs are made and checked."""
        key = self.key
        for number in range(1, times + 1):
            self.redistribute(key.parties, key.threshold, key.corruptions, trusting=number % 10 != 0)

    def lose(self, index: int) -> None:
        """A disk dies."""
        self.shares = [share for share in self.shares if share.index != index]

    def _sign(self) -> bytes:
        quorum = self.shares[-self.key.threshold :]
        return self.key.combine(MESSAGE, [share.sign_share(MESSAGE) for share in quorum])

    def _look(self) -> None:
        (self._folder / "signature").write_bytes(self._signature)
        command = ("openssl", "dgst", "-sha256", "-verify", "first.pem", "-signature", "signature", "message")
        assert "Verified OK" in run(self._folder, *command)


def live(
    dealing: AnyDealing, folder: Path, hand_on: HandOn = of_one_dealer, refreshes: tuple[int, int] = (10, 100)
) -> Life:
    """Dealt (6,5), converted, refreshed, to (7,6), to (5,4) and back, a share lost and recovered, and on."""
    life = Life(dealing, folder, hand_on)
    life.redistribute(6, 5, 1)
    bits = life.share_bits
    life.refresh(refreshes[0])
    assert life.share_bits == bits
    life.redistribute(7, 6, 1)
    life.redistribute(5, 4, 1)
    life.redistribute(6, 5, 1)
    bits = life.share_bits
    life.lose(3)
    life.redistribute(6, 5, 1)
    assert len(life.shares) == 6
    life.refresh(refreshes[1])
    assert life.share_bits == bits
    assert life.key.epoch == 5 + sum(refreshes)
    secrets = [part._secret for share in life.shares for part in share.factor_shares]
    assert max(secret.bit_length() for secret in secrets) <= bits
    return life


def main(arguments: list[str]) -> None:
    parser = ArgumentParser(prog="python -m tests.shoup_rsa.key_life", description=__doc__)
    parser.add_argument("--composite", action="store_true", help="a key of two dealers, 4096 bits")
    with TemporaryDirectory() as name:
        if parser.parse_args(arguments).composite:
            factors = [generate_threshold_key(6, 5, 1, factors=2) for _ in range(2)]
            life = live(composites.compose(factors), Path(name), of_several)
        else:
            life = live(generate_threshold_key(6, 5, 1), Path(name))
    sys.stdout.write(f"{life.key}\nopenssl verified the same bytes under the first PEM after every step\n")


if __name__ == "__main__":
    main(sys.argv[1:])
