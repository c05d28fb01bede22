"""How patient members and clients are: the optional table ``[timing]`` of alliance.toml."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from alliance.config.fields import only
from alliance.errors import ConfigError

TENURE_MIN, TENURE_MAX = 100, 2**62
TENURE_SECONDS_MIN, TENURE_SECONDS_MAX = 10.0, 1e9
"""A change of leader costs a few round trips: more often than this, little else would be done."""

SECONDS_MIN, SECONDS_MAX = 0.1, 30.0
"""Less is shorter than a pause of any machine; more is an alliance that stands still for minutes."""

_BOUNDS = {"tenure_seconds": (TENURE_SECONDS_MIN, TENURE_SECONDS_MAX)}


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds are SECONDS_MIN to SECONDS_MAX; to be the same for all members. No safety depends on it.

    ``view_timeout_seconds``: so long members wait for a step of their leader before they suspect it; it
    doubles while leaders fail in a row. ``heartbeat_seconds``: so often members compare how far they are.
    ``clock_drift_seconds``: a member takes no proposal on its own account whose time stamp is further from
    what its clock shows.
    ``tenure_slots``, ``tenure_seconds``: a leader is replaced after so many decided slots (TENURE_MIN on),
    or after so long a time in which something was decided, TENURE_SECONDS_MIN to TENURE_SECONDS_MAX.
    """

    view_timeout_seconds: float = 0.5
    heartbeat_seconds: float = 0.5
    clock_drift_seconds: float = 10.0
    tenure_slots: int = 100_000
    tenure_seconds: float = 600.0

    @classmethod
    def from_table(cls, table: Any, where: str) -> Timing:
        """The table as it was read; what it does not name has its default. Raises ConfigError."""
        if not isinstance(table, dict):
            raise ConfigError(f"{where} must be a table: write [timing]")
        only(table, tuple(field.name for field in dataclasses.fields(cls)), where)
        tenure = table.get("tenure_slots")
        if "tenure_slots" in table and (type(tenure) is not int or not TENURE_MIN <= tenure <= TENURE_MAX):
            raise ConfigError(f"{where}: 'tenure_slots' must be a whole number from {TENURE_MIN} on")
        times = {key: seconds for key, seconds in table.items() if key != "tenure_slots"}
        for key, seconds in times.items():
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            low, high = _BOUNDS.get(key, (SECONDS_MIN, SECONDS_MAX))
            if not number or not low <= seconds <= high:
                raise ConfigError(f"{where}: '{key}' must be a number from {low} to {high}")
        timing = cls() if tenure is None else cls(tenure_slots=tenure)
        changes: dict[str, Any] = {key: float(seconds) for key, seconds in times.items()}
        return dataclasses.replace(timing, **changes)

    def to_lines(self) -> list[str]:
        """The table in TOML, or nothing where all is as by default."""
        if self == DEFAULT_TIMING:
            return []
        values = dataclasses.asdict(self).items()
        return ["", "[timing]", *(f"{key} = {value}" for key, value in values)]


DEFAULT_TIMING = Timing()
