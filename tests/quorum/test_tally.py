"""Counting words: a truth table, and a dumb twin."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum import Equivocation, Tally, Verdict

TABLE = """
words    n  needed  verdict     winner
-        3  2       pending     -
a        3  2       pending     -
aa       3  2       reached     a
ab       3  2       pending     -
aab      3  2       reached     a
abb      3  2       reached     b
abc      3  2       impossible  -
aaaa     6  5       pending     -
aaaaa    6  5       reached     a
aaaab    6  5       pending     -
aaaabb   6  5       impossible  -
aaabb    6  5       impossible  -
aaaaab   6  5       reached     a
a        1  1       reached     a
"""


@pytest.mark.parametrize("row", TABLE.split("\n")[2:-1])
def test_truth_table(row: str) -> None:
    words, count, needed, verdict, winner = row.split()
    tally: Tally[str] = Tally(int(count), int(needed))
    for member, word in enumerate(words.strip("-")):
        assert tally.add(member, word) is None
    assert tally.verdict() is Verdict(verdict)
    assert tally.winner() == (None if winner == "-" else winner)


def test_a_second_word_is_evidence_and_not_counted() -> None:
    tally: Tally[str] = Tally(3, 2)
    assert tally.add(0, "a") is None
    assert tally.add(0, "a") is None
    assert tally.add(0, "b") == Equivocation(0, "a", "b")
    tally.add(1, "b")
    assert tally.verdict() is Verdict.PENDING
    assert tally.supporters("a") == (0,)
    assert tally.supporters("b") == (1,)


@pytest.mark.parametrize("member", [-1, 3, 99])
def test_members_that_do_not_exist_have_no_word(member: int) -> None:
    tally: Tally[str] = Tally(3, 2)
    with pytest.raises(ValueError, match="no member"):
        tally.add(member, "a")


@pytest.mark.parametrize("needed", [-1, 0, 4])
def test_a_tally_that_can_never_or_always_be_reached_is_refused(needed: int) -> None:
    with pytest.raises(ValueError, match="needed"):
        Tally(3, needed)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 7), st.data())
def test_tally_counts_like_the_dumb_twin(count: int, data: st.DataObject) -> None:
    needed = data.draw(st.integers(count // 2 + 1, count))
    said = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.sampled_from("abc")), max_size=15))
    tally: Tally[str] = Tally(count, needed)
    for member, word in said:
        tally.add(member, word)
    first = [next((w for m, w in said if m == member), None) for member in range(count)]
    reached = [w for w in "abc" if first.count(w) >= needed]
    possible = [w for w in "abcx" if first.count(w) + first.count(None) >= needed]
    assert tally.winner() == (reached[0] if reached else None)
    expected = Verdict.REACHED if reached else Verdict.PENDING if possible else Verdict.IMPOSSIBLE
    assert tally.verdict() is expected
