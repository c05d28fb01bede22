"""How far a member's log may be forgotten: never past what an application beside it would still need.

An executor that has lost its state goes on from a certified snapshot, or else from slot 1. So where
executors run, the log is kept from the newest certified snapshot of each application on, whatever
``--keep-slots`` says. Which applications there are, and what is certified, the server sees in its own folder.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.errors import ConfigError
from alliance.proofs.snapshot import SNAPSHOTS, alarm_path, applications, certified_slots, newest_certified
from alliance.storage.history import History
from quorum.threshold_rsa import ThresholdRsaScheme

log = logging.getLogger("alliance.server")

ALARM_BYTES_MAX = 1024
NOTED_SLOTS = 2 * 1024
"""An application that holds back so much of the log, two checkpoints, is worth a line."""


@dataclass(frozen=True, slots=True)
class ApplicationState:
    """``snapshot`` is the slot of its newest certified snapshot, or 0; ``alarm`` is for people."""

    name: str
    snapshot: int
    alarm: str


class Retention:
    """``prune`` is the engine's word, ``look`` is to be called now and then."""

    def __init__(
        self, config: AllianceConfig, folder: Path, history: History, awaited: Sequence[str] = ()
    ) -> None:
        """``awaited``: applications of which a snapshot is waited for before their executors ever ran here.

        Raises ConfigError when there are such, and no key that certifies snapshots.
        """
        self._folder = folder
        self._history = history
        self._awaited = frozenset(awaited)
        self._wanted = 0
        self._seen: dict[str, tuple[list[int], int]] = {}
        self._noted: set[str] = set()
        self.applications: list[ApplicationState] = []
        self._scheme: ThresholdRsaScheme | None = None
        self.update(config)
        if self._scheme is None and awaited:
            raise ConfigError(
                f"this alliance has no key '{ATTESTATION}', so no application can run: leave out"
                f" --await-snapshot {awaited[0]}"
            )

    def update(self, config: AllianceConfig) -> None:
        """A revision or epoch."""
        if ATTESTATION in [name for name, _ in config.purpose_keys]:
            self._scheme = config.attestation

    def prune(self, slot: int) -> None:
        """The log up to there may be forgotten as far as the members are concerned."""
        self._wanted = max(self._wanted, slot)
        self.look()

    def look(self) -> None:
        """What executors have certified; and forgets what nobody needs any more."""
        names = sorted(self._awaited.union(applications(self._folder))) if self._scheme is not None else []
        self.applications = [ApplicationState(name, self._newest(name), self._alarm(name)) for name in names]
        for one in self.applications:
            self._note(one)
        self._forget(min([self._wanted, *(one.snapshot for one in self.applications)]))

    def _forget(self, slot: int) -> None:
        if slot > self._history.pruned:
            self._history.prune(slot)

    def _newest(self, name: str) -> int:
        """Certificates are checked once."""
        folder = self._folder / f"{name}{SNAPSHOTS}"
        slots = certified_slots(folder)
        if self._scheme is not None and self._seen.get(name, ([], 0))[0] != slots:
            self._seen[name] = slots, newest_certified(folder, self._scheme, name)
        return self._seen.get(name, ([], 0))[1]

    def _alarm(self, name: str) -> str:
        try:
            with alarm_path(self._folder / f"{name}{SNAPSHOTS}").open("rb") as file:
                return file.read(ALARM_BYTES_MAX).decode("utf-8", "replace")
        except OSError:
            return ""

    def _note(self, one: ApplicationState) -> None:
        """Once, until it has caught up."""
        if one.snapshot + NOTED_SLOTS >= self._wanted:
            self._noted.discard(one.name)
        elif one.name not in self._noted:
            self._noted.add(one.name)
            log.info(
                "the log is kept from slot %d on, not from slot %d: '%s' has no certified snapshot later than"
                " that; if it is not run any more, delete %s.lock, %s.state and %s%s in the member's folder",
                max(one.snapshot, self._history.pruned) + 1,
                self._wanted + 1,
                *[one.name] * 4,
                SNAPSHOTS,
            )
