"""What a member keeps of others' lies: a file per offence, in the folder ``evidence`` beside its journal."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from pathlib import Path

from alliance import evidence as kinds
from alliance.config import AllianceConfig
from alliance.errors import AllianceError
from alliance.evidence import DecidedLog, export
from alliance.keys import write_private
from alliance.verdict import verify
from fab_paxos.evidence import (
    BrokenLog,
    Evidence,
    Repetition,
    TwoNewViews,
    TwoReports,
    TwoSubmissions,
    TwoWords,
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
        self._kept: set[str] = set()
        self.counts: Counter[str] = Counter()
        """How many files are kept against whom, those of earlier runs included."""
        names = {party.name for party in (*config.members, *config.clients)}
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                match = _NAME.fullmatch(path.name)
                if match and match[1] in names:
                    self._note(path.name, match[1])

    def keep(self, culprit: str, evidence: Evidence | TwoSubmissions, decided: DecidedLog) -> Path | None:
        """The new file, durable; None if there is one of this offence already, or enough, or it failed."""
        name = f"{culprit}.{_offence(evidence)}.json"
        if name in self._kept or self.counts[culprit] >= FILES_PER_CULPRIT_MAX:
            return None
        try:
            found = export(self._config.context, culprit, evidence, decided)
            verify(self._config, found)
            path = self._folder / name
            self._write(path, found.to_json().encode())
        except (OSError, LookupError, AllianceError) as error:
            log.error("evidence against %s could not be kept: %s", culprit, error)
            return None
        self._note(name, culprit)
        return path

    def _note(self, name: str, culprit: str) -> None:
        self._kept.add(name)
        self.counts[culprit] += 1

    def _write(self, path: Path, data: bytes) -> None:
        """Whole or not at all, and durable."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        write_private(part, data)
        part.replace(path)
        for folder in (self._folder, self._folder.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _offence(evidence: Evidence | TwoSubmissions) -> str:
    """The kind and the place of an offence: a second one there adds nothing to the first."""
    match evidence:
        case TwoWords(first):
            return f"{kinds.TWO_WORDS}.view-{first.view}-slot-{first.slot}"
        case BrokenLog(after=after):
            return f"{kinds.BROKEN_LOG}.view-{after.view}-slot-{after.slot}"
        case Repetition(propose):
            return f"{kinds.REPETITION}.view-{propose.view}-slot-{propose.slot}"
        case TwoNewViews(first):
            return f"{kinds.TWO_NEW_VIEWS}.view-{first.view}"
        case WrongNewView(new_view):
            return f"{kinds.WRONG_NEW_VIEW}.view-{new_view.view}"
        case TwoReports(_, first):
            return f"{kinds.TWO_REPORTS}.view-{first.view}"
        case TwoSubmissions(first):
            return f"{kinds.TWO_SUBMISSIONS}.number-{first.client_seq}"
