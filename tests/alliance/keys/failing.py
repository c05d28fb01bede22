"""An operating system that fails at a chosen step, or under which the process is killed there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The process ends here: nothing that cleans up after errors may run."""


class FailingOs:
    """The module ``os``, of which the calls after the first ``after`` ones raise ``failure``.

    All later ones do so, too, as on a disk that stays full. Only calls that change or secure something count.
    """

    COUNTED = ("open", "fdopen", "fsync", "replace", "unlink")

    def __init__(self, failure: BaseException, *, after: int) -> None:
        self.failed = False
        self._failure = failure
        self._left = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        return self._counted(call) if name in self.COUNTED else call

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                self.failed = True
                raise self._failure
            return call(*arguments)

        return counted
