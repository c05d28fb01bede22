"""The state in checkpoints: one form, back and forth."""

from __future__ import annotations

import pytest

from consensus.control import ControlState
from consensus.control.edits import SetAddress
from consensus.control.encoding import MalformedControl
from tests.consensus.alliance import Log, add_client, found
from verifiable_log.limits import STATE_ITEM_BYTES_MAX
from verifiable_log.ordering_state import CONTROL_ITEM


def test_the_items_come_back_as_the_state() -> None:
    log = Log()
    assert log.edit("org-a", SetAddress("m-a", "x:1"), add_client("new", "org-a")) == ""
    for state in (found(), log.state):
        items = state.items()
        assert ControlState.read(items) == state
        assert {item[0] for item in items} == {CONTROL_ITEM}
        assert max(map(len, items)) <= STATE_ITEM_BYTES_MAX


def test_no_other_items_are_a_state() -> None:
    (item,) = found().items()
    for place in range(0, len(item), 13):
        wrong = item[:place] + bytes([item[place] ^ 1]) + item[place + 1 :]
        try:
            assert ControlState.read((wrong,)).items() == (wrong,)
        except MalformedControl:
            continue
    for items in ((), (item, item), (item[:-1],), (item + b"\x00",), (item[:100], item[100:])):
        with pytest.raises(MalformedControl):
            ControlState.read(items)
