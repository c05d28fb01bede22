"""This member's shares on what its executor has come to, in the newest epoch that its folder knows.

An executor signs in the epoch that it is in, whatever the slot: shares of two epochs do not combine, and
those of an earlier dealing are erased. So at each new epoch there is another signer, with the share of that
epoch; the one before ends, and with it what it knew of the old share. Whoever waits for a share meanwhile
gets the newer one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial
from pathlib import Path

from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.errors import KeyFileError
from alliance.net.tasks import until_first
from alliance.server.signer import Signer
from quorum import JointStatement

log = logging.getLogger("alliance.execution")

SHARES_KEPT = 4096
RETRY_SECONDS = 1.0

Wanted = tuple[JointStatement, bool]


class Attestation:
    """``sign`` at any time after ``start``; ``run`` is to be running, and ``update`` told of each epoch."""

    def __init__(self, home: Path, config: AllianceConfig) -> None:
        self._home = home
        self._config = config
        self._signer = self._signer_of(config)
        self._passphrase = b""
        self._ready = False
        self._crossed = asyncio.Event()
        self._asked: dict[Wanted, asyncio.Future[bytes | None]] = {}
        self._shares: OrderedDict[Wanted, bytes] = OrderedDict()

    @property
    def epoch(self) -> int:
        """In which the shares are that ``sign`` gives."""
        return self._config.epoch

    def _signer_of(self, config: AllianceConfig) -> Signer:
        return Signer(config.context, partial(self._endorsed, config.epoch), ATTESTATION)

    async def start(self, passphrase: bytes) -> None:
        """Raises KeyFileError or SignerError."""
        self._passphrase = passphrase  # for the signers of later epochs
        await self._signer.start(self._home, passphrase)
        self._ready = True

    def update(self, config: AllianceConfig) -> None:
        """A revision or epoch. What was signed in the epoch before is given to nobody any more."""
        if config.epoch == self._config.epoch:
            return
        self._config, self._ready = config, False
        self._shares.clear()
        self._crossed.set()

    async def run(self) -> None:
        """Hands out shares until cancelled. Raises SignerError when a signer ends by itself."""
        while True:
            try:
                await until_first(self._crossed.wait(), self._signer.run())
            except KeyFileError as error:  # the share for which it waited is not whole yet
                log.warning("epoch %d: it does not sign yet: %s", self.epoch, error)
                await asyncio.sleep(RETRY_SECONDS)
                self._ready = False
                self._crossed.set()
            while self._crossed.is_set():
                self._crossed.clear()
                self._signer.close()
                await self._begin()

    async def _begin(self) -> None:
        """The signer of the epoch that is known now, and all that waits. The folder may not be whole yet."""
        config = self._config
        signer = self._signer = self._signer_of(config)
        while not self._crossed.is_set():
            try:
                await signer.start(self._home, self._passphrase)
            except KeyFileError as error:
                log.warning("epoch %d: it does not sign yet: %s", config.epoch, error)
                signer.close()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not self._crossed.is_set():
                self._ready = True
                for statement, proven in self._asked:
                    signer.endorse(statement, proven=proven)
                log.info("it signs in epoch %d", config.epoch)
            return

    def close(self) -> None:
        self._signer.close()

    async def sign(self, statement: JointStatement, *, proven: bool) -> bytes | None:
        """This member's share on what it has come to, of ``epoch`` when this returns; None if it has none, or
        has signed something else."""
        wanted = statement, proven
        while True:
            epoch = self.epoch
            if wanted in self._shares:
                return self._shares[wanted]
            if wanted not in self._asked:
                self._asked[wanted] = asyncio.get_running_loop().create_future()
                if self._ready:
                    self._signer.endorse(statement, proven=proven)
            share = await asyncio.shield(self._asked[wanted])
            if epoch == self.epoch:
                return share

    def _endorsed(self, epoch: int, statement: JointStatement, signature: bytes | None, proven: bool) -> None:
        if epoch != self.epoch:
            return
        if signature is not None:
            self._shares[statement, proven] = signature
            if len(self._shares) > SHARES_KEPT:
                self._shares.popitem(last=False)
        self._asked.pop((statement, proven)).set_result(signature)
