"""The life of one key, with openssl and the first PEM looking on. As a program: at 2048 bits, for minutes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shoup_rsa import CombineFailed, Dealing, KeyShare, ThresholdPublicKey, generate_threshold_key
from tests.shoup_rsa.board import hand_on, order_for
from tests.shoup_rsa.outside import run

MESSAGE = b"a message of the first day"


class Life:
    """Each step is checked: the bytes of the signature, openssl, and old shares beside new ones."""

    def __init__(self, dealing: Dealing, folder: Path) -> None:
        self.key: ThresholdPublicKey = dealing.public_key
        self.shares: list[KeyShare] = list(dealing.key_shares)
        self._folder = folder
        self._pem = dealing.public_key.to_pem()
        (folder / "first.pem").write_bytes(self._pem)
        (folder / "message").write_bytes(MESSAGE)
        self._signature = self._sign()
        self._look()

    @property
    def share_bits(self) -> int:
        assert self.key.form is not None
        return self.key.form.share_bits

    def redistribute(self, parties: int, threshold: int, corruptions: int, *, trusting: bool = False) -> None:
        """To 1..parties: members that stay keep their index. `trusting`: nobody looks at proofs."""
        before = self.shares
        dealers = before[-self.key.threshold :] if self.key.epoch % 2 else before[: self.key.threshold]
        order = order_for(self.key, parties, threshold, corruptions)
        self.key, self.shares = hand_on(order, dealers, trusting=trusting)
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


def live(dealing: Dealing, folder: Path) -> Life:
    """Dealt (6,5), converted, refreshed, to (7,6), to (5,4) and back, a share lost and recovered, and on."""
    life = Life(dealing, folder)
    life.redistribute(6, 5, 1)
    bits = life.share_bits
    life.refresh(10)
    assert life.share_bits == bits
    life.redistribute(7, 6, 1)
    life.redistribute(5, 4, 1)
    life.redistribute(6, 5, 1)
    bits = life.share_bits
    life.lose(3)
    life.redistribute(6, 5, 1)
    assert len(life.shares) == 6
    life.refresh(100)
    assert life.share_bits == bits
    assert life.key.epoch == 115
    assert max(share._secret.bit_length() for share in life.shares) <= bits
    return life


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        print(live(generate_threshold_key(6, 5, 1), Path(name)).key)  # noqa: T201
