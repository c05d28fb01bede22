"""Logs of processes: one line an event, in UTC, whatever the machine's time zone."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

PROGRAM = """
import logging
from alliance.net.process_log import LogFormat, log_to_stderr
log_to_stderr("member-1", {part!r}, level="INFO", form=LogFormat({form!r}))
logging.getLogger("alliance.server").warning("100%% of %s", "it")
logging.getLogger("alliance.server").debug("not this")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("alliance.server").exception("it failed")
"""


def logged(form: str, part: str = "") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form, part=part)],
        env={"TZ": "Pacific/Auckland", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr.splitlines()


def recent(time: str) -> bool:
    assert time.endswith("Z")
    return abs((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()) < 60


@pytest.mark.parametrize(
    ("part", "who"), [("", "member-1"), ("sign", "member-1 sign"), ("50%", "member-1 50%")]
)
def test_a_line_for_people(part: str, who: str) -> None:
    time, _, rest = logged("text", part)[0].partition(" ")
    assert recent(time)
    assert rest == f"{who} WARNING 100% of it"


def test_an_object_for_programs() -> None:
    first, second = map(json.loads, logged("json", "sign"))
    assert recent(first.pop("time"))
    assert first == {
        "member": "member-1",
        "part": "sign",
        "level": "WARNING",
        "logger": "alliance.server",
        "message": "100% of it",
    }
    assert second["message"] == "it failed"
    assert second["exception"].endswith("ZeroDivisionError: division by zero")


def test_newlines_of_a_message_stay_within_its_object() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "one\ntwo", (), None)
    from alliance.net.process_log import _Json

    assert "\n" not in _Json("member-1", "").format(record)
