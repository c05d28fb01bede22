"""The engine with a small window: an epoch ends soon, and its last window is a large part of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from consensus.control import dealing, items, operating, record, state
from fab_paxos import (
    acceptor,
    certifier,
    learner,
    proposer,
    report_evidence,
    uncertified_log,
    view_change,
)

_NAMES: tuple[tuple[str, int, tuple[ModuleType, ...]], ...] = (
    (
        "WINDOW_SLOTS",
        1,
        (acceptor, certifier, learner, report_evidence, uncertified_log, view_change),
    ),
    ("WINDOW_SLOTS", 1, (dealing, items, operating, record, state)),
    ("DEADLINE_SLOTS", 1, (dealing,)),  # in the product some eighty windows: too long to be waited for
    ("PROPOSE_AHEAD_SLOTS", 2, (proposer,)),
    ("CERTIFICATE_SLOTS", 4, (certifier,)),
)
"""Each bound with its part of the window, and where it is."""


@contextmanager
def window_of(slots: int) -> Iterator[None]:
    """``slots``: 8 or more; what depends on the window is as large in proportion as it is in the product."""
    before = [(module, name, getattr(module, name)) for name, _, modules in _NAMES for module in modules]
    try:
        for name, part, modules in _NAMES:
            for module in modules:
                setattr(module, name, slots // part)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
