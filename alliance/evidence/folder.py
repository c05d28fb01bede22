"""What a member keeps of others' lies: a file per offence, in the folder ``evidence`` beside its journal."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from pathlib import Path

from alliance.config.file import AllianceConfig
from alliance.errors import AllianceError
from alliance.evidence import portable as kinds
from alliance.evidence.portable import DecidedLog, PortableEvidence, export
from alliance.evidence.verdict import verify
from alliance.keys.files import sync, write_whole
from fab_paxos.evidence import (
    BrokenLog,
    Evidence,
    Repetition,
    TwoNewViews,
    TwoProposals,
    TwoReports,
    TwoStatements,
    TwoSubmissions,
    WrongNewView,
)

FOLDER = "evidence"
FILES_PER_CULPRIT_MAX = 16
"""One piece convicts; some more show a habit. Who lies without end shall not fill the disk."""

_NAME = re.compile(r"([a-z0-9-]+)\.[a-z-]+\.[a-z0-9-]+\.json")
log = logging.getLogger("alliance.evidence")


class EvidenceFolder:
    """Keeps what convicts and nothing else. No error of the disk reaches the caller: it is logged."""

    def __init__(self, home: Path, config: AllianceConfig) -> None:
        self._folder = home / FOLDER
        self._config = config
        # Of earlier runs, too; a failed attempt counts as well, so that a full disk fills no log.
        self._tried: set[str] = set()
        self._attempts: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        """How many files are kept against whom, those of earlier runs included."""
        parties = {party.name for party in (*config.members, *config.clients)}
        try:
            names = os.listdir(self._folder) if self._folder.is_dir() else []
        except OSError as error:
            log.error("%s cannot be read: %s", self._folder, error)
            names = []
        for name in names:
            match = _NAME.fullmatch(name)
            if match and match[1] in parties:
                self._try(name, match[1])
                self.counts[match[1]] += 1

    def update(self, config: AllianceConfig) -> None:
        """A revision: it has the clients that evidence may be against from now on."""
        self._config = config

    def keep(self, culprit: str, evidence: Evidence | TwoSubmissions, decided: DecidedLog) -> Path | None:
        """The new file, durable; None if there is one of this offence already, or enough, or it failed."""
        name = f"{culprit}.{_offence(evidence, self._config.epoch)}.json"
        if name in self._tried or self._attempts[culprit] >= FILES_PER_CULPRIT_MAX:
            return None
        self._try(name, culprit)
        try:
            text = export(self._config.context, culprit, evidence, decided).to_json()
            verify(self._config, PortableEvidence.from_json(text))
            path = self._folder / name
            self._write(path, text.encode())
        except (OSError, LookupError, ValueError, AllianceError) as error:
            log.error("evidence against %s could not be kept: %s", culprit, error)
            return None
        self.counts[culprit] += 1
        return path

    def _try(self, name: str, culprit: str) -> None:
        self._tried.add(name)
        self._attempts[culprit] += 1

    def _write(self, path: Path, data: bytes) -> None:
        """Whole or not at all, and durable."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        sync(self._folder.parent)
        write_whole(path, data)


def _offence(evidence: Evidence | TwoSubmissions, epoch: int) -> str:
    """The kind and the place of an offence: a second one there adds nothing to the first.

    Views count anew in each epoch. A client's numbers do not.
    """
    if isinstance(evidence, TwoSubmissions):
        return f"{kinds.TWO_SUBMISSIONS}.number-{evidence.first.client_seq}"
    kind, place = _kind_and_place(evidence)
    return f"{kind}.epoch-{epoch}-{place}" if epoch else f"{kind}.{place}"


def _kind_and_place(evidence: Evidence) -> tuple[str, str]:
    match evidence:
        case TwoStatements(first) | TwoProposals(first):
            return kinds.TWO_STATEMENTS, f"view-{first.view}-slot-{first.slot}"
        case BrokenLog(after=after):
            return kinds.BROKEN_LOG, f"view-{after.view}-slot-{after.slot}"
        case Repetition(propose):
            return kinds.REPETITION, f"view-{propose.view}-slot-{propose.slot}"
        case TwoNewViews(first):
            return kinds.TWO_NEW_VIEWS, f"view-{first.view}"
        case WrongNewView(new_view):
            return kinds.WRONG_NEW_VIEW, f"view-{new_view.view}"
        case TwoReports(_, first):
            return kinds.TWO_REPORTS, f"view-{first.view}"
