"""JSON from outside has one spelling."""

from __future__ import annotations

import pytest

from alliance.proofs.jsonform import octets, parse


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "a": 2}}', "NaN", "[Infinity]", b"\xff\xfe[\0]\0"]
)
def test_what_can_be_read_in_two_ways_is_not_read(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"twice|not a number|codec"):
        parse(text)


@pytest.mark.parametrize("digits", ["AB", "a b", " ab", "ab\n", "abc", "zz", 5, None])
def test_octets_are_written_in_one_way(digits: object) -> None:
    assert octets("ab01") == b"\xab\x01"
    with pytest.raises(ValueError):  # noqa: PT011
        octets(digits)
