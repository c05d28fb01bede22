"""A signer's process, as its server starts it: with all loaded that it needs, it waits for the passphrase.

To start one takes most of a second of a processor. At the end of an epoch, while nothing is decided, the next
epoch's is there already: it was started as soon as the end was known.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from alliance.errors import SignerError


class SignerProcess:
    """``channel`` is our end of the socket to it (``signer``); whoever takes it over ends the process."""

    def __init__(self, folder: Path, epoch: int, purpose: str | None = None) -> None:
        """Raises SignerError."""
        self.epoch = epoch
        self.channel, theirs = socket.socketpair()
        module, number = "alliance.server.signer", str(theirs.fileno())
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(folder), number, purpose or "", str(epoch)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            self.channel.close()
            raise SignerError(f"the signer process does not start: {error}") from None
        finally:
            theirs.close()

    def close(self) -> None:
        """Ends one that nobody has taken over."""
        self.channel.close()
        self.process.kill()
        self.process.wait()
