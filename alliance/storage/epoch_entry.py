"""Entering an epoch: in which order a member's files change, so that a crash leaves it in one of the two.

    1. its shares of the new dealing, if there is one, are sealed (``keys.shares``), before it says READY
    2. who takes part in the new epoch is kept in ``epochs``
    3. the journal takes the EpochRecord: from here on the member is in the new epoch
    4. alliance.toml is that of the new epoch, the new shares count, and earlier ones are erased

Before 3 the member goes on in the old epoch, and does 1 and 2 again. After 3 it does 4 again when it starts,
and says nothing before. Old shares sign as ever until they are erased: that is done here, never earlier.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from alliance.config import file as config_file
from alliance.config.file import FILE, AllianceConfig
from alliance.errors import ConfigError
from alliance.keys import files, shares
from alliance.keys.revision import FOUNDED, keep_keys
from alliance.keys.shares import Generation
from alliance.storage import epochs
from alliance.storage.journal_epochs import EpochMembership, EpochRecord
from fab_paxos.effects import Record


class Entered(Protocol):
    """What a journal says of the epoch that its member is in."""

    @property
    def epoch(self) -> int: ...

    @property
    def membership(self) -> EpochMembership | None: ...

    @property
    def shares(self) -> Generation | None: ...


class EntersEpochs(Entered, Protocol):
    """A journal: ``append`` returns when the record is durable, or raises JournalError."""

    def append(self, records: list[Record | EpochRecord]) -> None: ...


def enter(
    folder: Path,
    config: AllianceConfig,
    record: EpochRecord,
    journal: EntersEpochs,
    before: Sequence[Record] = (),
) -> None:
    """All from 2 on. ``config`` is that of the new epoch, as its record has it; otherwise raises ValueError.

    ``before``: what the journal takes in the same write, of the log up to the record's checkpoint.
    Raises OSError, JournalError and KeyFileError: nothing may be said any more before the member has started
    again.
    """
    if config.canonical != record.membership.config:
        raise ValueError(f"the record of epoch {config.epoch} is of other members")
    epochs.keep(folder, config, record.membership)
    journal.append([*before, record])
    _finish(folder, config, journal.shares)


def resume(folder: Path, config: AllianceConfig, journal: Entered) -> AllianceConfig:
    """At the start, what alliance.toml is to say: ``config``, or how the epoch began that the journal is in.

    That may be a later one, which was entered; or an earlier one, of whose end another program has learnt.
    Does 4 again if it may not be whole. Raises ConfigError, when the folder does not say who takes part
    in the journal's epoch, OSError, and KeyFileError.
    """
    begun = journal.membership
    if config.epoch != journal.epoch:
        config = epochs.of_epoch(folder, config, journal.epoch)
        _put(folder, config)
    same = (config.epoch, config.start) == (journal.epoch, begun.start if begun is not None else 0)
    # A later revision has a digest of its own, which the journal does not know.
    if not same or (begun is not None and not config.revision and config.canonical != begun.config):
        raise ConfigError(
            f"{folder / FILE} is of epoch {config.epoch}, and this member's journal says that it is in epoch"
            f" {journal.epoch}, or that its members have certified another file: put the {FILE} of that epoch"
            " there; any member has it"
        )
    epochs.keep(folder, config, begun)
    if begun is not None:
        _finish(folder, config, journal.shares)
    return config


def _put(folder: Path, config: AllianceConfig) -> None:
    """``config`` is alliance.toml from now on; how the alliance was founded stays beside it."""
    path, text = folder / FILE, config.to_toml().encode()
    before = path.read_bytes()
    if before == text:
        return
    keep_keys(folder, config)
    mode = path.stat().st_mode & 0o777
    with files.locked(folder):
        if not (folder / FOUNDED).exists() and config_file.load(folder).membership == (0, 0):
            files.write_new(folder / FOUNDED, before)
        files.write_new(path, text)
    os.chmod(path, mode)


def _finish(folder: Path, config: AllianceConfig, counting: Generation | None) -> None:
    """The last part: a member that has no share of the new dealing keeps what it has, and cannot sign."""
    _put(folder, config)
    if counting is None or counting not in shares.generations(folder):
        return
    if shares.current(folder) != counting:
        shares.switch_to(folder, counting)
    for earlier in shares.pieces(folder):
        if earlier < counting:
            shares.erase_shares(folder, earlier)
