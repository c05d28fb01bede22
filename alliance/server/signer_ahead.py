"""What a signer's process does before its epoch begins, so that it needs less time when it does.

Nothing of it is told to anybody, and what fails is told when the share is opened.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from alliance.errors import AllianceError
from alliance.keys import shares
from alliance.keys.shares import Generation


def unsealed(folder: Path, dealing: int, passphrase: bytes) -> dict[Generation, bytes]:
    """What opens the newest shares of this dealing; nothing if that cannot be told yet."""
    from alliance.keys import secret_file

    try:
        newest = max((one for one in shares.generations(folder) if one.epoch == dealing), default=None)
        if newest is None:
            return {}
        return {newest: secret_file.unseal(folder / shares.sealing_file(newest), passphrase)}
    except AllianceError:
        return {}


def rehearse(folder: Path, purpose: str | None, passphrase: bytes, opens: dict[Generation, bytes]) -> None:
    """Reads what is there now, and forgets it: to do so again takes half of the time.

    No other share than the one that ``opens`` is for: an earlier dealing's are erased when the epoch begins.
    """
    from alliance.config import file as config
    from alliance.keys import folder as keys

    with suppress(AllianceError):
        alliance = config.load(folder)
        if shares.current(folder) in opens:
            member, _ = keys.member_party(alliance, folder)
            shares.load_endorser(folder, alliance, member, passphrase, purpose, opens)
