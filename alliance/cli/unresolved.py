"""What a client's folder remembers of proposals whose outcome is not known, so that they can be asked again.

Each submission is kept, signed, in a file of its own from before it is sent until its outcome is known: also
when the process is killed. Sent again under its number it is ordered at most once.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifiable_log import Submission

FOLDER = "unresolved"


class Unresolved:
    """The submissions of one client's folder whose outcome is not known."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / FOLDER

    def keep(self, submission: Submission) -> None:
        """Also one that is kept already. Raises ConfigError: then it must not be sent."""
        from alliance.errors import ConfigError
        from alliance.keys.files import sync, write_private

        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):
                if self._file(submission).read_bytes() == submission.encoded:
                    return
                self.forget(submission)
            write_private(self._file(submission), submission.encoded)
            for folder in (self._folder, self._home):
                sync(folder)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"{self._folder} cannot be written: {reason}; nothing more was sent") from None

    def forget(self, submission: Submission) -> None:
        """Its outcome is known."""
        self._file(submission).unlink(missing_ok=True)

    def all(self) -> list[Submission]:
        """In the order of their numbers. A torn file is deleted: what it should have held was never sent."""
        from verifiable_log.submission import InvalidSubmission, Submission

        found = []
        for path in sorted(self._folder.glob("*.submission")):
            try:
                found.append(Submission.decode(path.read_bytes()))
            except FileNotFoundError:  # another process knows its outcome by now
                continue
            except InvalidSubmission:
                path.unlink(missing_ok=True)
        return found

    def command(self) -> str:
        """What to type to ask again."""
        return f"alliance propose {shlex.quote(str(self._home))} --resume"

    def _file(self, submission: Submission) -> Path:
        return self._folder / f"{submission.client_seq:020d}.submission"
