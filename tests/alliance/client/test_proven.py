"""The highest slot that a folder's clients have seen proven: it only grows, and damage says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from alliance.client.proven import FILE, ProvenSlot


def test_it_grows_for_all_processes_of_the_folder(tmp_path: Path) -> None:
    one, other = ProvenSlot(tmp_path), ProvenSlot(tmp_path)
    assert one.slot == 0
    for noted, by, known in [(7, one, 7), (5, other, 7), (9, other, 9), (8, one, 9), (2**63, one, 2**63)]:
        by.note(noted)
        assert one.slot == other.slot == ProvenSlot(tmp_path).slot == known


@pytest.mark.parametrize(
    "content", [b"", b"7\n", b"9" * 20, b"9" * 22, b"x" * 20 + b"\n", b"-" + b"1" * 19 + b"\n"]
)
def test_a_damaged_file_says_nothing_and_is_mended(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    proven = ProvenSlot(tmp_path)
    assert proven.slot == 0
    proven.note(3)
    assert ProvenSlot(tmp_path).slot == 3


def test_where_it_cannot_be_written_this_process_knows_it(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    proven = ProvenSlot(tmp_path)
    proven.note(3)
    assert (proven.slot, ProvenSlot(tmp_path).slot) == (3, 0)
