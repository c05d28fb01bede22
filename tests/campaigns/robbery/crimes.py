"""What happens to a disk: each crime is a function of a member's files and the dice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.campaigns.robbery.scene import Left
from tests.worlds.journals import LOG_HEADER_BYTES, SECTOR, Files

PAGE = 4096
FRAME = PAGE + 24
NAMES = ("main", "log", "mark")

Crime = Callable[[Left, Files, Random], Files]


def _altered(name: str, change: Callable[[bytearray, Random], None]) -> Crime:
    def crime(_: Left, files: Files, dice: Random) -> Files:
        content = bytearray(getattr(files, name) or b"")
        if content:
            change(content, dice)
        return replace(files, **{name: bytes(content)})

    return crime


def _bit(content: bytearray, dice: Random) -> None:
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def _frame_header_bit(content: bytearray, dice: Random) -> None:
    frames = (len(content) - LOG_HEADER_BYTES) // FRAME
    if frames:
        content[LOG_HEADER_BYTES + dice.randrange(frames) * FRAME + dice.randrange(24)] ^= (
            1 << dice.randrange(8)
        )


def _last_frames_bit(content: bytearray, dice: Random) -> None:
    content[-1 - dice.randrange(min(len(content), 3 * FRAME))] ^= 1 << dice.randrange(8)


def _header_bit(content: bytearray, dice: Random) -> None:
    content[dice.randrange(min(len(content), 100))] ^= 1 << dice.randrange(8)


def _wal_header_bit(content: bytearray, dice: Random) -> None:
    content[dice.randrange(min(len(content), LOG_HEADER_BYTES))] ^= 1 << dice.randrange(8)


def _bits(content: bytearray, dice: Random) -> None:
    for _ in range(dice.choice((2, 3, 16))):
        _bit(content, dice)


def _zeros(content: bytearray, dice: Random) -> None:
    size = dice.choice((SECTOR, PAGE))
    at = dice.randrange(len(content)) // size * size
    content[at : at + size] = bytes(len(content[at : at + size]))


def _exchanged(content: bytearray, dice: Random) -> None:
    if len(content) >= 2 * PAGE:
        one, other = (PAGE * at for at in dice.sample(range(len(content) // PAGE), 2))
        content[one : one + PAGE], content[other : other + PAGE] = (
            content[other : other + PAGE],
            content[one : one + PAGE],
        )


def _cut(content: bytearray, dice: Random) -> None:
    del content[dice.randrange(len(content)) :]


def _emptied(content: bytearray, dice: Random) -> None:
    content.clear()


def _grown(content: bytearray, dice: Random) -> None:
    content += dice.choice((bytes(PAGE), dice.randbytes(PAGE), content[-FRAME:]))


def _cut_at_a_commit(left: Left, files: Files, dice: Random) -> Files:
    """The WAL as long as it was after an earlier write since it was begun anew."""
    log = files.log or b""
    ends = [len(old.log or b"") for old in left.history if (old.log or b"")[:32] == log[:32]]
    return replace(files, log=log[: dice.choice([end for end in ends if end <= len(log)] or [len(log)])])


def _removed(left: Left, files: Files, dice: Random) -> Files:
    names = dice.sample(NAMES, dice.choice((1, 1, 2, 3)))
    if len(names) == 3:  # the folder is empty, as when only the keys came back: that is the peers' part
        return Files(None, None, None)
    return replace(files, **dict.fromkeys(names))


def _earlier(*names: str) -> Crime:
    """Copies of an earlier moment take the place of these files."""

    def crime(left: Left, files: Files, dice: Random) -> Files:
        old = dice.choice(left.history)
        return replace(files, **{name: getattr(old, name) for name in names})

    return crime


CRIMES: dict[str, Crime] = {
    "a bit of the WAL": _altered("log", _bit),
    "a bit of a frame's header": _altered("log", _frame_header_bit),
    "a bit of the last frames": _altered("log", _last_frames_bit),
    "a bit of the WAL's header": _altered("log", _wal_header_bit),
    "a bit of the main file": _altered("main", _bit),
    "a bit of the main file's header": _altered("main", _header_bit),
    "a bit of the mark": _altered("mark", _bit),
    "several bits of the WAL": _altered("log", _bits),
    "several bits of the main file": _altered("main", _bits),
    "zeros in the WAL": _altered("log", _zeros),
    "zeros in the main file": _altered("main", _zeros),
    "zeros in the mark": _altered("mark", _zeros),
    "pages of the main file exchanged": _altered("main", _exchanged),
    "pages of the WAL exchanged": _altered("log", _exchanged),
    "the WAL is cut": _altered("log", _cut),
    "the WAL is cut at a commit": _cut_at_a_commit,
    "the main file is cut": _altered("main", _cut),
    "the mark is cut": _altered("mark", _cut),
    "the WAL is emptied": _altered("log", _emptied),
    "the WAL has grown": _altered("log", _grown),
    "the main file has grown": _altered("main", _grown),
    "files are removed": _removed,
    "an earlier WAL": _earlier("log"),
    "an earlier main file": _earlier("main"),
    "an earlier mark": _earlier("mark"),
    "an earlier journal": _earlier("main", "log"),
    "an earlier moment of all": _earlier(*NAMES, "states", "states_log"),
    "a bit of the checkpoints": _altered("states", _bit),
    "a bit of the checkpoints' WAL": _altered("states_log", _bit),
    "the checkpoints are cut": _altered("states", _cut),
}
