"""All planted bugs, by name. To add one, add it to the list of its part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulation.planted_engine import ENGINE
from tests.simulation.planted_evidence import EVIDENCE
from tests.simulation.planted_journal import JOURNAL
from tests.simulation.planted_passage import PASSAGE
from tests.simulation.planted_wire import WIRE
from tests.simulation.planting import in_place

ALL = (*ENGINE, *PASSAGE, *WIRE, *JOURNAL, *EVIDENCE)
PLANTED = {bug.name: bug for bug in ALL}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The product with the bug of this name. Raises KeyError, or NotPlanted when its code has changed."""
    with in_place(PLANTED[name]):
        yield
