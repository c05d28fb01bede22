"""``status`` on a terminal: every member in one line, at any usual width, whatever servers say."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
import time

import pytest

from alliance.cli import status
from alliance.client import MemberStatus

STYLES = re.compile(r"\x1b\[[0-9;]*m")
NAMES = [f"member-{number}" for number in range(1, 7)]
REFUSED = (
    "it cannot be reached: connection refused; is the server running, and is this its address? [Errno 111]"
)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _members() -> list[MemberStatus]:
    """One of them says what it likes, and one is down."""
    members = [
        MemberStatus(
            name,
            f"192.168.100.{number}:7400",
            True,
            view=1234,
            leader="member-5",
            decided=12_345_678,
            certified=12_345_670,
            connected=tuple(NAMES[1:]),
            blamed=("member-6",),
            evidence={"member-6": 12},
            certificate_expires=int(time.time()) + 86400 * (5 + 40 * number) + 3600,
            alarms=("member-6: its disk was rolled back, or two machines have its identity [/bold] :smile:",),
        )
        for number, name in enumerate(NAMES[:5])
    ]
    return [*members, MemberStatus("member-6", "192.168.100.6:7400", False, REFUSED)]


def _shown(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    terminal = _Terminal()
    with monkeypatch.context() as bent:
        bent.setattr(sys, "stdout", terminal)
        bent.setenv("COLUMNS", str(columns))
        bent.setenv("TERM", "xterm")
        status._table(_members())
    return [line.rstrip() for line in STYLES.sub("", terminal.getvalue()).splitlines()]


@pytest.mark.parametrize("columns", [72, 80, 100, 132])
def test_each_member_has_one_line_with_all_its_numbers(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    lines = _shown(monkeypatch, columns)
    assert all(len(line) <= columns for line in lines)
    for name in NAMES[:5]:
        row = [name, "up", "member-5", "1234", "12345678", "12345670", "5/5"]
        assert row in [line.split() for line in lines]
    assert ["member-6", "down"] in [line.split() for line in lines]
    text = " ".join(" ".join(lines).split())
    assert f"member-6 (192.168.100.6:7400): {REFUSED}" in text
    assert text.count("member-6 (evidence: 12); member-6: its disk was rolled back") == 5
    assert text.count("identity [/bold] :smile:") == 5  # not as markup


def test_a_wide_terminal_has_it_all_in_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _shown(monkeypatch, 400)
    rows = [line for line in lines if line.startswith(" member-")]
    assert len(rows) == 6
    assert all("192.168.100." in row for row in rows)
    assert rows[5].endswith(REFUSED)
    assert [days for row in rows for days in re.findall(r"\d+ d\b", row)] == [
        "5 d",
        "45 d",
        "85 d",
        "125 d",
        "165 d",
    ]


@pytest.mark.parametrize("columns", [80, 400])
def test_a_certificate_that_ends_soon_is_told(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    text = " ".join(" ".join(_shown(monkeypatch, columns)).split())
    assert text.count("its TLS certificate is valid for 5 more days") == 1
    assert text.count("its TLS certificate is valid for") == 1


def test_many_slots_that_new_views_filled_are_noted() -> None:
    """A few are usual: their proposals were lost with their leader."""
    late = int(time.time()) + 100 * 86400
    member = MemberStatus("member-1", "127.0.0.1:7400", True, certificate_expires=late, filled=31)
    assert status._note(member) == ""
    shareless = dataclasses.replace(member, without_share=True)
    assert status._note(shareless) == "it has no key share of this epoch yet, and signs nothing"
    assert status._note(dataclasses.replace(member, filled=32)) == "slots filled by new views: 32"


def test_that_shares_cannot_be_refreshed_is_noted() -> None:
    late = int(time.time()) + 100 * 86400
    member = MemberStatus("member-1", "127.0.0.1:7400", True, certificate_expires=late)
    hindered = dataclasses.replace(member, refresh_hindrance="no receiver key of member-2")
    assert status._note(hindered) == "shares are not refreshed: no receiver key of member-2"


@pytest.mark.parametrize("columns", [80, 400])
def test_certified_snapshots_and_what_is_wrong_with_them_are_shown(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    first, *others = _members()
    alarm = "no certified snapshot after slot 8192: member-4 came to another state than this one"
    told = {"snapshots": {"kv": 4096, "lock": 0}, "application_alarms": {"kv": alarm}}
    monkeypatch.setitem(globals(), "_members", lambda: [dataclasses.replace(first, **told), *others])
    text = " ".join(" ".join(_shown(monkeypatch, columns)).split())
    assert text.count("kv 4096, lock -") == 1
    assert text.count(f"kv: {alarm}") == 1
    assert text.count("snapshots") == 1


def test_what_is_scarce_is_noted() -> None:
    plenty = {"calls": 1024, "calls_max": 2048, "calls_refused": 9, "descriptors": 3, "descriptors_max": 0}
    late = int(time.time()) + 100 * 86400
    member = MemberStatus("member-1", "127.0.0.1:7400", True, usage=plenty, certificate_expires=late)
    assert status._note(member) == ""
    scarce = plenty | {"calls": 1025, "bytes_in_flight": 100, "bytes_in_flight_max": 101}
    member = dataclasses.replace(member, usage=scarce)
    assert status._note(member) == "in use: 1025 of 2048 calls, 100 of 101 bytes in flight"
