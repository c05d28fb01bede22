"""What processes log, on standard error: one line an event, in UTC, for people or for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


def log_to_stderr(
    member: str, part: str = "", *, level: str = "INFO", form: LogFormat = LogFormat.TEXT
) -> None:
    """Begins the log of this process, a member's server or another ``part`` of it. Times are in UTC.

    As JSON each line is an object with ``time`` (RFC 3339, in milliseconds), ``member``, ``part`` if there is
    one, ``level``, ``logger``, ``message`` and, where an exception is told, ``exception``.
    """
    formatter = _Text if form is LogFormat.TEXT else _Json
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(member, part))
    logging.basicConfig(level=level, handlers=[handler])


class _Text(logging.Formatter):
    def __init__(self, member: str, part: str) -> None:
        who = f"{member} {part}".rstrip().replace("%", "%%")
        super().__init__(f"%(asctime)s {who} %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return _time(record)


class _Json(logging.Formatter):
    def __init__(self, member: str, part: str) -> None:
        super().__init__()
        self._who = {"member": member} | ({"part": part} if part else {})

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            **self._who,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
