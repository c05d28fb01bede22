"""A signer's process, as its server starts it: with all loaded that it needs, it waits for the passphrase.

To start one takes most of a second of a processor, and to unseal what opens its share a tenth. At the end
of an epoch, while nothing is decided, the next epoch's has done both, and read alliance.toml and its share
as they were: it was started as soon as the end was known. It signs nothing before its server says that the
epoch has begun, and reads both again then.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from alliance.errors import SignerError

BEGIN = b"begin"
_AHEAD = struct.Struct(">Q")


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


class SignerProcess:
    """``channel`` is our end of the socket to it (``signer``); whoever takes it over ends the process."""

    def __init__(self, folder: Path, epoch: int, purpose: str | None = None) -> None:
        """Raises SignerError."""
        self.epoch = epoch
        self._passphrase_given = self._begun = False
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

    def unseal_ahead(self, passphrase: bytes, dealing: int) -> None:
        """Has it unseal what opens the shares of the next epoch, which is of ``dealing``. Never waits.

        Other shares' secrets it leaves alone: those of an earlier dealing are erased when the epoch begins.
        """
        self._passphrase_given = True
        with suppress(OSError):  # it has ended, which is told where it is needed
            self.channel.sendall(frame(passphrase) + frame(_AHEAD.pack(dealing)))

    def begin(self, passphrase: bytes) -> None:
        """alliance.toml is that of its epoch: it opens its share, and answers, once. Never waits."""
        if self._begun:
            return
        self._begun = True
        given = b"" if self._passphrase_given else frame(passphrase)
        with suppress(OSError):
            self.channel.sendall(given + frame(BEGIN))

    def close(self) -> None:
        """Ends one that nobody has taken over."""
        self.channel.close()
        self.process.kill()
        self.process.wait()
