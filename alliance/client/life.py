"""Where and how long a client may be used: in the process that made it."""

from __future__ import annotations

from alliance.net import forks


class Life:
    """Each call of a client asks it first."""

    def __init__(self) -> None:
        """Raises RuntimeError when no client can work in this process."""
        forks.require_grpc()
        self._forks = forks.count()

    @property
    def is_copy(self) -> bool:
        """Whether the client was made before a fork, in another process."""
        return self._forks != forks.count()

    def require(self) -> None:
        """Raises RuntimeError where the client cannot be used."""
        if self.is_copy:
            raise RuntimeError(
                "this client was made before this process was forked, and works in its parent alone: make"
                " another one here, with connect"
            )
