"""Commands that have a name: ``alliance propose --id KEY`` orders each once, however often it is typed.

The submission of a name is signed once and kept, under the digest of the name, before it is first sent;
whoever comes with the same name sends the same submission, which the members order at most once. When its
outcome is known, the receipt is kept beside it and answers from then on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from alliance.cli.output import shown
from alliance.errors import ConfigError, InvalidReceipt

if TYPE_CHECKING:
    from alliance.proofs.receipt import Receipt
    from verifiable_log import Submission

FOLDER = "ids"
KEPT_MAX = 1024
"""The newest names of a folder that are kept: the members know as many of a client's numbers
(``CLIENT_WINDOW``), and of an older one nobody could tell any more whether it was ordered."""


class Named:
    """One name, in the folder of one client."""

    def __init__(self, home: Path, name: str) -> None:
        """Raises ConfigError for an empty one."""
        if not name:
            raise ConfigError("--id is empty: give something that is yours alone, such as an order number")
        self._home = home
        self._name = name
        self._digest = sha256(os.fsencode(name)).hexdigest()

    def receipt(self, command: bytes) -> Receipt | None:
        """If the outcome is known here. Raises ConfigError when the name is another command's."""
        from alliance.config import file as config
        from alliance.proofs.epoch_keys import EpochKeys
        from alliance.proofs.receipt import Receipt

        file = self._find()
        if file is None:
            return None
        self._read(file, command)
        try:
            receipt = Receipt.from_json(file.with_suffix(".receipt").read_bytes())
            known = config.load(self._home)
            receipt.verify(EpochKeys(lambda: known).key_for(receipt))
        except (FileNotFoundError, InvalidReceipt):  # the members know it as well
            return None
        return receipt

    def submission(self, command: bytes, sign: Callable[[], Submission]) -> tuple[Submission, bool]:
        """The submission of this name, and whether ``sign`` was called to make it.

        Raises ConfigError when the name is another command's, and when it cannot be kept: nothing was sent.
        """
        from alliance.keys.files import write_whole

        folder = self._home / FOLDER
        try:
            with _locked(folder):
                file = self._find()
                if file is not None:
                    return self._read(file, command), False
                _make_room(folder)
                submission = sign()
                path = folder / f"{submission.client_seq:020d}-{self._digest}.submission"
                write_whole(path, submission.encoded)
                return submission, True
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"{folder} cannot be used: {reason}; nothing was sent") from None

    @staticmethod
    def resolve(home: Path, submission: Submission, receipts: Sequence[Receipt]) -> None:
        """If it has a name: keeps its receipt, or forgets a submission that will never be ordered.

        A receipt that cannot be kept is asked for again the next time.
        """
        from alliance.keys.files import write_whole

        for file in (home / FOLDER).glob(f"{submission.client_seq:020d}-*.submission"):
            with contextlib.suppress(OSError):
                if receipts:
                    write_whole(file.with_suffix(".receipt"), receipts[0].to_json().encode())
                elif not file.with_suffix(".receipt").exists():
                    file.unlink()

    def _find(self) -> Path | None:
        return next((self._home / FOLDER).glob(f"*-{self._digest}.submission"), None)

    def _read(self, file: Path, command: bytes) -> Submission:
        from verifiable_log.submission import InvalidSubmission, Submission

        try:
            submission = Submission.decode(file.read_bytes())
        except (OSError, InvalidSubmission) as error:
            raise ConfigError(
                f"{file} cannot be read ({error}): it keeps what was sent under this --id; restore it, or"
                " look for the command with 'alliance listen' before you propose it under another one"
            ) from None
        if submission.commands() != (command,):
            raise ConfigError(
                f"--id {shown(os.fsencode(self._name))} was given to another command before: nothing was"
                " sent; give this one an --id of its own"
            )
        return submission


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time looks for a name and makes its submission. Raises OSError."""
    from alliance.keys.files import sync

    folder.mkdir(mode=0o700, exist_ok=True)
    sync(folder.parent)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_room(folder: Path) -> None:
    """Forgets the oldest names whose outcome is known, so that there is room for one. Raises ConfigError."""
    names = sorted(folder.glob("*.submission"))
    known = (file for file in names if file.with_suffix(".receipt").exists())
    for _ in range(len(names) - KEPT_MAX + 1):
        oldest = next(known, None)
        if oldest is None:
            raise ConfigError(
                f"{folder} keeps {len(names):,} commands that have an --id and no outcome: ask for it with"
                f" 'alliance propose {folder.parent} --resume'"
            )
        oldest.unlink()
        oldest.with_suffix(".receipt").unlink()
