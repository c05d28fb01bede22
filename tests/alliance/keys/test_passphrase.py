"""The passphrase in a file: what any editor saves is what was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from alliance.errors import ConfigError
from alliance.keys.passphrase import BYTES_MAX, obtain

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (BOM + b"secret", b"secret"),
        (BOM + b"secret\r\n", b"secret"),
        # One newline belongs to the file; what else there is may be meant.
        (b"secret\n\n", b"secret\n"),
        (b"secret\r", b"secret\r"),
        (b" secret \n", b" secret "),
        (b"\xff\xffsecret\n", b"\xff\xffsecret"),
        (BOM + b"x" * BYTES_MAX + b"\r\n", b"x" * BYTES_MAX),
    ],
)
def test_the_newline_and_the_mark_are_not_part_of_it(
    tmp_path: Path, content: bytes, passphrase: bytes
) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert obtain(tmp_path / "secret") == passphrase


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOM, "is empty"),
        (b"\r\n", "is empty"),
        (BOM + b"\r\n", "is empty"),
        ("secret\r\n".encode("utf-16"), "UTF-16: save it as UTF-8"),
        ("secret".encode("utf-16-be").join([b"\xfe\xff", b""]), "UTF-16: save it as UTF-8"),
        (b"x" * (BYTES_MAX + 1), "is it the right file"),
        (b"x" * (BYTES_MAX + 1) + b"\r\n", "is it the right file"),
    ],
)
def test_what_is_no_passphrase_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        obtain(tmp_path / "secret")
