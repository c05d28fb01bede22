"""What this member itself has to say in the log: control commands, ordered like anybody's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from alliance.client.sequence import Sequence
from alliance.errors import ConfigError
from alliance.keys.channel import Credentials
from fab_paxos.events import Event, Submitted
from quorum import Context
from verifiable_log import UnsignedSubmission

log = logging.getLogger("alliance.server")


class OwnCommands:
    """Each is a submission of the member's identity, under a number of its own."""

    def __init__(
        self, folder: Path, credentials: Credentials, context: Context, post: Callable[[Event], None]
    ) -> None:
        """``context``: of any epoch. ``post`` hands an event to the engine."""
        self._sequence = Sequence(folder)
        self._credentials = credentials
        self._context = context
        self._post = post

    def submit(self, command: bytes) -> None:
        """It may get lost with the engine: whoever misses it in the log submits it again."""
        client_id, key = self._credentials.party.client_id, self._credentials.signing_key
        try:
            unsigned = UnsignedSubmission(client_id, self._sequence.next(), (command,))
        except ConfigError as error:
            log.error("nothing of this member's own is ordered: %s", error)
            return
        self._post(Submitted(unsigned.sign(key.sign(unsigned.message(self._context)))))
