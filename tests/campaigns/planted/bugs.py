"""All planted bugs, by name. To add one, add it to the list of its part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.campaigns.planted.control import CONTROL
from tests.campaigns.planted.end import EPOCHS
from tests.campaigns.planted.engine import ENGINE
from tests.campaigns.planted.evidence import EVIDENCE
from tests.campaigns.planted.journal import JOURNAL
from tests.campaigns.planted.keys import KEYS
from tests.campaigns.planted.lean import LEAN
from tests.campaigns.planted.lives import LIVES
from tests.campaigns.planted.members import MEMBERS
from tests.campaigns.planted.passage import PASSAGE
from tests.campaigns.planted.planting import in_place
from tests.campaigns.planted.resharing import RESHARING
from tests.campaigns.planted.weights import WEIGHTS
from tests.campaigns.planted.wire import WIRE

ALL = (
    *ENGINE,
    *PASSAGE,
    *WIRE,
    *JOURNAL,
    *EVIDENCE,
    *LEAN,
    *WEIGHTS,
    *CONTROL,
    *EPOCHS,
    *LIVES,
    *RESHARING,
    *KEYS,
    *MEMBERS,
)
PLANTED = {bug.name: bug for bug in ALL}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The product with the bug of this name. Raises KeyError, or NotPlanted when its code has changed."""
    with in_place(PLANTED[name]):
        yield
