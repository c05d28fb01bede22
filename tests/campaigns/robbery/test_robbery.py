"""A short form of ``make robbery``: the same cases, from the first one on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alliance.storage.journal_marker import Mark
from tests.alliance.farm import Chain, Farm
from tests.campaigns.fuzz.targets import found_alliance
from tests.campaigns.robbery.crimes import CRIMES
from tests.campaigns.robbery.run import robbery
from tests.campaigns.robbery.scene import REFUSED, SHAPES, STOPPED, WRONG
from tests.worlds.founding import cheap_key_files


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Farm, Chain]]:
    with cheap_key_files():
        farm, _ = found_alliance(tmp_path_factory.mktemp("robbery") / "farm")
        yield farm, Chain(farm).grow(20, size=2)


def test_nobody_votes_on_less_than_it_had_said(alliance: tuple[Farm, Chain], tmp_path: Path) -> None:
    """Each kind of damage twice."""
    figures = robbery(*alliance, tmp_path, 0, 2 * len(CRIMES))
    assert not figures.wrong
    verdicts = {verdict for _, verdict in figures.counts}
    assert {REFUSED, STOPPED} <= verdicts
    assert sum(figures.counts.values()) == 2 * len(CRIMES)


def test_the_judge_sees_a_member_that_forgot(
    alliance: tuple[Farm, Chain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the mark, and with peers that hear nothing, cut journals are voted on."""
    monkeypatch.setattr(Mark, "check", lambda *_: None)
    monkeypatch.setattr(Mark, "check_commits", lambda *_: None)
    monkeypatch.setattr("alliance.server.latest_statements.LatestStatements.furthest", lambda *_: [])
    cut = list(CRIMES).index("the WAL is cut at a commit") * len(SHAPES)
    assert any(WRONG in case for case in robbery(*alliance, tmp_path, cut, len(SHAPES)).wrong)
