"""The life of one key, with openssl and the first PEM looking on."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoup_rsa import CombineFailed, Dealing, KeyShare, ThresholdPublicKey
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

    def redistribute(self, parties: int, threshold: int, corruptions: int) -> None:
        """To 1..parties: members that stay keep their index."""
        before = self.shares
        dealers = before[-self.key.threshold :] if self.key.epoch % 2 else before[: self.key.threshold]
        self.key, self.shares = hand_on(order_for(self.key, parties, threshold, corruptions), dealers)
        assert self.key.to_pem() == self._pem
        assert self._sign() == self._signature
        self._look()
        if threshold > 1:
            mixed = [before[0], *self.shares[1:threshold]]
            with pytest.raises(CombineFailed):
                self.key.combine(MESSAGE, [share.sign_share(MESSAGE) for share in mixed])

    def lose(self, index: int) -> None:
        """A disk dies."""
        self.shares = [share for share in self.shares if share.index != index]

    def _sign(self) -> bytes:
        return self.key.combine(MESSAGE, [share.sign_share(MESSAGE) for share in self.shares])

    def _look(self) -> None:
        (self._folder / "signature").write_bytes(self._signature)
        command = ("openssl", "dgst", "-sha256", "-verify", "first.pem", "-signature", "signature", "message")
        assert "Verified OK" in run(self._folder, *command)
