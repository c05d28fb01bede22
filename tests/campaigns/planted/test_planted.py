"""Planted bugs: all can be planted, a fixed sample is found here, and ``make bugs`` has found the others."""

from __future__ import annotations

import pytest

from quorum import QuorumSystem
from tests.campaigns.planted import finder
from tests.campaigns.planted.bugs import ALL, PLANTED, planted
from tests.campaigns.planted.finder import FINDERS, SEARCHES, Result, search, search_apart
from tests.campaigns.planted.planting import Bug, NotPlanted, at, in_place
from tests.campaigns.planted.run import DOCUMENT, HEAD, headline, row, waiting, written, wrong
from tests.docs.documents import table
from verifiable_log.merkle import slot_leaf

QUICK = (
    "forcing + 1",
    "the fence is not journalled",
    "suspicion drops what was accepted",
    "a stable checkpoint is not journalled",
    "the epoch is left out of the statement",
    "a reply leaves before the sync",
    "the position is not written",
    "a second vote for a slot takes the place of the first",
)
"""Those that cost little; always the same ones, so that a run today is a run tomorrow."""


def test_every_bug_can_be_planted_and_taken_out_again() -> None:
    assert len(PLANTED) == len(ALL) >= 40
    for bug in PLANTED.values():
        assert bug.part in SEARCHES
        with in_place(bug):
            pass
    with planted("forcing + 1"):
        assert QuorumSystem(6, 1).forcing == 4
    assert QuorumSystem(6, 1).forcing == 3


def test_a_function_is_altered_wherever_it_was_imported() -> None:
    from fab_paxos import uncertified_log

    with planted("the slot is left out of the leaf"):
        assert uncertified_log.slot_leaf(7, bytes(32)) == bytes(40)
    assert uncertified_log.slot_leaf is slot_leaf


@pytest.mark.parametrize(
    "edit",
    [
        at("quorum.system:QuorumSystem.forcing", "words that are not there", ""),
        at("quorum.system:QuorumSystem.forcing", "self", "this"),  # more than once
        at("quorum.system:QuorumSystem.nothing", "", ""),
        at("quorum.system:MEMBER_COUNT_MAX", "255", "256"),
    ],
)
def test_a_bug_whose_code_has_changed_says_so(edit: object) -> None:
    bug = Bug("stale", "engine", (edit,))  # type: ignore[arg-type]
    with pytest.raises(NotPlanted), in_place(bug):
        pass
    assert search(bug, ("campaign",)).trouble


def test_a_bug_that_is_badly_written_is_not_taken_for_found() -> None:
    bug = Bug("broken", "engine", (at("quorum.system:QuorumSystem.forcing", "self.decision", "nonsense"),))
    result = search(bug, ("campaign",))
    assert result.found_by is None
    assert "the bug itself is broken" in result.trouble
    assert wrong(bug, result)


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    result = search_apart(name)
    assert not wrong(PLANTED[name], result), result


def test_the_product_as_it_is_is_not_found_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(finder.FINDERS, "campaign", lambda: finder.campaign_seeds(3))
    assert search(None, ("campaign",)).found_by is None


def test_every_search_has_its_finders() -> None:
    assert {name for names in SEARCHES.values() for name in names} <= set(FINDERS)


# -- the document ------------------------------------------------------------------------------------


def test_the_documents_table_is_that_of_make_bugs() -> None:
    """Bugs that were added since the table was written may be missing; the headline counts them."""
    rows = table(DOCUMENT, *(cell.strip() for cell in HEAD[0].strip("|").split("|")))
    names = {name for name, *_ in rows}
    assert [row[:2] for row in rows] == [[bug.name, bug.part] for bug in ALL if bug.name in names]
    for name, _, found, seconds in rows:
        harmless = PLANTED[name].harmless
        assert found == f"not found; {harmless}" if harmless else float(seconds) >= 0
    lines = DOCUMENT.read_text("utf-8").splitlines()
    begin = lines.index(HEAD[0])
    assert lines[begin - 2] == headline(lines[begin + 2 : begin + 2 + len(rows)], len(PLANTED))


def test_rows_take_the_place_of_the_old_ones() -> None:
    first, second, *_ = PLANTED.values()
    gone, kept = "| a bug of old | engine | campaign, seed 1 | 7.0 |", row(second, Result("", "x::y", 3.0))
    document = "\n".join(["# Title", "", "old line", "", *HEAD, gone, kept, "", "After.", ""])
    new = row(first, Result("", "campaign, seed 4", 1.0))
    lines = written(document, {first.name: new}).splitlines()
    told = headline([new, kept], len(PLANTED))
    assert lines == ["# Title", "", told, "", *HEAD, new, kept, "", "After."]
    assert told.startswith("2 of 2 planted bugs are found; the median takes 2.0 s")
    assert told.endswith(f"The other {len(PLANTED) - 2} wait for their search.")
    harmless = row(Bug("", "engine", (), harmless="no matter"), Result("", None, 9.0))
    told = headline([new, harmless], 2)
    assert told.startswith("1 of 2 planted bugs are found; the median takes 1.0 s")
    assert told.endswith("s.")


def test_bugs_without_a_row_wait() -> None:
    first, *others = PLANTED.values()
    document = "\n".join(["# Title", "", *HEAD, row(first, Result("", "x::y", 3.0)), ""])
    assert waiting(document) == others


def test_what_is_wrong_is_said() -> None:
    bug, harmless = Bug("one", "engine", ()), Bug("two", "engine", (), harmless="no matter")
    assert wrong(bug, Result("one", None, 1.0)) == "NOT FOUND"
    assert not wrong(bug, Result("one", "campaign, seed 3", 1.0))
    assert wrong(harmless, Result("two", "campaign, seed 3", 1.0))
    assert not wrong(harmless, Result("two", None, 1.0))
