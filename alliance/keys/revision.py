"""The alliance.toml of a party's folder goes along with the alliance: it has the newest membership known.

Beside it, in ``founded.toml``, stays how the alliance was founded: from there the log is read.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alliance.config import file as config_file
from alliance.config.file import FILE, AllianceConfig
from alliance.errors import ConfigError
from alliance.keys.files import write_whole

FOUNDED = "founded.toml"

log = logging.getLogger("alliance.keys")


def keep(folder: Path, now: AllianceConfig) -> None:
    """Puts this revision, or this later epoch, in place of an older one.

    No error reaches the caller, who goes on with what it knows: it is logged.
    """
    try:
        before = config_file.load(folder)
        if before.alliance_id != now.alliance_id or before.membership >= now.membership:
            return
        if before.membership == (0, 0):
            write_whole(folder / FOUNDED, (folder / FILE).read_bytes())
        keep_keys(folder, now)
        write_whole(folder / FILE, now.to_toml().encode())
    except (OSError, ConfigError) as error:
        log.warning("%s stays older than epoch %d, revision %d: %s", folder / FILE, *now.membership, error)


def keep_keys(folder: Path, now: AllianceConfig) -> None:
    """New public keys, for openssl, beside those with which the alliance began. Raises OSError."""
    for change in now.key_changes:
        names = ("public", *(f"public-{purpose}" for purpose, _ in now.purpose_keys))
        for name, key in zip(names, change.keys, strict=True):
            path = folder / f"{name}.epoch-{change.epoch}.pem"
            if not path.exists():
                write_whole(path, key.to_pem())


def load_founded(folder: Path) -> AllianceConfig:
    """The alliance as it was founded. Raises ConfigError."""
    now = config_file.load(folder)
    if now.membership == (0, 0):
        return now
    path = folder / FOUNDED
    if not path.exists():
        raise ConfigError(
            f"{path} is missing, which says how the alliance began: get it from another party's folder"
        )
    founded = config_file.read(path)
    if (founded.alliance_id, founded.membership) != (now.alliance_id, (0, 0)):
        raise ConfigError(f"{path} is not how this alliance began: get it from another party's folder")
    return founded
