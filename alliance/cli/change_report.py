"""What commands that change an alliance tell in the end: people, programs, and operators by a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.cli.output import Format, check_writable, emit, reporting, say, write_file

if TYPE_CHECKING:
    from alliance.changes.carry import Carried
    from alliance.changes.change_file import ChangeFile
    from alliance.changes.simulation import Forecast


@dataclass(frozen=True, slots=True)
class Result:
    """``carried`` is None when nothing was sent; ``file`` when none was written.

    ``in_effect``: the log is behind the slot in which what was carried takes effect.
    """

    change: ChangeFile
    forecast: Forecast
    carried: Carried | None = None
    in_effect: bool = False
    revision: int = 0
    epoch: int = 0
    file: Path | None = None

    @property
    def needs_file(self) -> bool:
        """Operators have yet to sign it."""
        return self.carried is None or self.forecast.missing > 0


def written(result: Result, to: Path | None) -> Result:
    """The change as a file, by the name of its organisation and number if ``to`` is none."""
    from alliance.changes.change_file import SUFFIX

    change = result.change
    path = to or Path(f"{change.organisation}-{change.command.counter}{SUFFIX}")
    check_writable(path, force=False)
    write_file(path, change.to_toml().encode())
    return replace(result, file=path)


def finish(result: Result, output: Format, folder: Path) -> None:
    """``folder`` is that of the client with which it was done."""
    with reporting(_short(result)):
        if output is Format.JSON:
            emit(_report(result))
        else:
            _tell(result, folder)


def _short(result: Result) -> str:
    from alliance.changes.carry import Fate

    carried, missing = result.carried, result.forecast.missing
    if carried is None:
        return f"written to {result.file}" if result.file is not None else "nothing was sent"
    if carried.fate is Fate.OPEN:
        waits = f"{missing} more must" if missing else "it waits for the change that is under way"
        return f"open since slot {carried.slot}: {', '.join(carried.approvals)} approve, {waits}"
    if carried.fate is Fate.TAKEN:
        epoch = f": epoch {result.epoch}" if _begins_epoch(result) else ""
        return f"taken at slot {carried.slot}, in effect behind slot {carried.effective}{epoch}"
    return f"ended at slot {carried.slot}, without effect"


def _begins_epoch(result: Result) -> bool:
    told = result.forecast.consequences
    return told is not None and told.epoch is not None


def _report(result: Result) -> dict[str, Any]:
    carried, forecast = result.carried, result.forecast
    told = forecast.consequences
    return {
        "digest": result.change.digest.hex(),
        "organisation": result.change.organisation,
        "file": str(result.file) if result.file is not None else None,
        "sent": carried is not None,
        "fate": carried.fate if carried is not None else None,
        "slot": carried.slot if carried is not None else None,
        "effective": carried.effective if carried is not None else None,
        "in_effect": result.in_effect,
        "epoch": result.epoch if result.in_effect else None,
        "revision": result.revision if result.in_effect else None,
        "approvals": list(carried.approvals) if carried is not None else [],
        "approvals_missing": forecast.missing,
        "differences": [one.to_json() for one in forecast.differences],
        "consequences": told.to_json() if told is not None else None,
    }


def _tell(result: Result, folder: Path) -> None:
    for one in result.forecast.differences:
        say(one.line)
    if result.forecast.consequences is not None and not result.in_effect:
        for line in result.forecast.consequences.lines():
            say(line)
    say(_short(result))
    if result.file is not None:
        _tell_next(result, result.file, folder)


def _tell_next(result: Result, path: Path, folder: Path) -> None:
    organisation = result.change.organisation
    if result.carried is not None:
        say(f"Next: send {path} to the other operators. Each of them reads it, and signs:")
        say(f"  alliance change approve {path} --operator operator.pem --send A-CLIENT'S-FOLDER")
        return
    say(f"Next: the operator of '{organisation}' reads it, and signs it offline:")
    say(f"  alliance change approve {path} --operator operator.pem")
    say("Then anybody who is a client sends both:")
    say(f"  alliance change propose {folder} {path} {path}.{organisation}.approval")
