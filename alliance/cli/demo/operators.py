"""The operators of the demo's organisations: they keep their keys offline, and decide together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli import changing
from alliance.cli.changing import Proposal, Ways
from alliance.cli.demo.proofs import PartFailed, alliance
from alliance.cli.output import Format
from alliance.cli.request import operator_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from alliance.cli.change_report import Result

STEP_SECONDS = 300.0
"""Nothing new came of a change for so long: more than a step takes on a machine that is busy."""


class Operators:
    """Their keys are in ``folder``, one ``ORGANISATION.pem`` each; ``carrier`` is the folder of a client.

    ``passphrase`` is the file that has it, ``tell`` is told what happens.
    """

    def __init__(self, folder: Path, carrier: Path, passphrase: Path, tell: Callable[[str], None]) -> None:
        folder.mkdir(mode=0o700)
        self._folder, self._passphrase = folder, passphrase
        self._ways = Ways(carrier, passphrase, Format.JSON, STEP_SECONDS, tell=tell)

    def take(self, organisation: str, home: Path) -> None:
        """Takes the key out of the folder in which it was made: no server needs it."""
        from alliance.keys.folder import OPERATOR

        shutil.move(home / OPERATOR, self.key(organisation))

    def key(self, organisation: str) -> Path:
        return self._folder / f"{organisation}.pem"

    async def decide(self, organisations: Sequence[str], proposal: Proposal) -> Result:
        """The first one proposes, as many others as it takes approve, and it is waited for.

        Raises ChangeRefused, NotInEffect, and PartFailed when too few of them are named.
        """
        from alliance.changes.approval import sign
        from alliance.cli.clients import unlock

        first, *others = organisations
        secret, key = unlock(self._ways.folder, self._passphrase), self._unlocked(first)
        opened = await changing.drafted(
            self._ways, secret, key, changing.proposing(first, key, days=1, proposal=proposal)
        )
        missing = opened.forecast.missing
        if missing > len(others):
            raise PartFailed(f"{missing} more operators must approve, and these are {len(others)}")
        approvals = [
            (str(self.key(name)), sign(opened.change, self._unlocked(name), name))
            for name in others[:missing]
        ]
        done = await changing.sent(self._ways, secret, opened.change, approvals)
        if not done.in_effect:
            raise PartFailed("enough operators have approved, and the change is not in effect")
        return done

    def _unlocked(self, organisation: str) -> Ed25519PrivateKey:
        return operator_key(self.key(organisation), self._passphrase)


async def ask(name: str, home: Path, address: str, source: Path, secret: Path, operator: Path | None) -> Path:
    """Member ``name`` to be, run by the organisation of that name, makes its keys and joins: its request.

    ``operator`` is the organisation's key, if it has one already. Raises PartFailed.
    """
    keys = (
        () if operator is None else ("--operator", str(operator), "--operator-passphrase-file", str(secret))
    )
    await _must(
        *("request", name, "--organisation", name, "--address", address, "--alliance", str(source)),
        *("--directory", str(home), "--passphrase-file", str(secret), *keys),
    )
    await _must("join", str(home), str(source), "--passphrase-file", str(secret))
    return home / f"{name}.request"


async def _must(*arguments: str) -> None:
    code, said = await alliance(*arguments)
    if code != 0:
        raise PartFailed(f"alliance {arguments[0]} ended with code {code}: {said}")
