"""Files are read under a bound, and memory is taken for what there is."""

from __future__ import annotations

import ast
import tracemalloc
from io import FileIO
from pathlib import Path

import pytest

import alliance
from alliance.config import file as config_file
from alliance.config.bounded import PIECE_BYTES, read_at_most, read_file
from alliance.errors import ConfigError

ROOM = Path(alliance.__file__).parent


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_as_much_is_read_as_there_is_and_no_more_than_may_be(size: int, tmp_path: Path) -> None:
    path, content = tmp_path / "file", bytes(range(256)) * (size // 256 + 1)
    path.write_bytes(content[:size])
    for limit in {0, 1, size - 1, size, size + 1, 10 * size} - {-1}:
        assert read_file(path, limit) == content[: min(size, limit)]
    with path.open("rb") as file:
        assert read_at_most(file, 10) + read_at_most(file, size) == content[:size]


def test_a_large_bound_takes_no_memory_for_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"small")
    tracemalloc.start()
    try:
        read_file(path, 256 * 1024 * 1024)
        assert tracemalloc.get_traced_memory()[1] < 3 * PIECE_BYTES
    finally:
        tracemalloc.stop()


class _Growing(FileIO):
    """Another process appends a byte once the first piece is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size) or b""
        if len(piece) == PIECE_BYTES:
            with Path(str(self.name)).open("ab") as end:
                end.write(b"b")
        return piece


def test_a_file_that_grows_is_not_cut_where_it_once_ended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * PIECE_BYTES)
    with _Growing(path) as file:
        assert read_at_most(file, 2 * PIECE_BYTES) == b"a" * PIECE_BYTES + b"b"


def test_an_alliance_file_beyond_its_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alliance.toml"
    path.write_text("# " + "x" * 100)
    monkeypatch.setattr(config_file, "FILE_BYTES_MAX", 100)
    with pytest.raises(ConfigError, match="is larger than 100 bytes: it is no alliance file"):
        config_file.read(path)


def _reads(tree: ast.AST) -> list[int]:
    """Lines that call ``.read`` with a constant whose name says that it is a bound in bytes."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "read"
        and any(
            isinstance(part, ast.Name) and part.id.endswith("_BYTES_MAX") and part.id != "ALARM_BYTES_MAX"
            for argument in node.args
            for part in (argument, getattr(argument, "left", None))
        )
    ]


def test_nothing_takes_memory_for_its_bound() -> None:
    found = {
        path.relative_to(ROOM).as_posix(): lines
        for path in ROOM.rglob("*.py")
        if (lines := _reads(ast.parse(path.read_text())))
    }
    assert not found
    assert _reads(ast.parse("file.read(FILE_BYTES_MAX + 1)")) == [1]
