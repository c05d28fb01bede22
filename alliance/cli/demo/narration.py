"""The demo's narration: what happens and why it matters; reads well with and without a terminal.

The story is on standard output. That something is under way is shown on standard error, on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

WIDTH_MAX = 96
INDENT = 3


class Narration:
    """Tells on standard output; tells nothing if ``silent``."""

    def __init__(self, *, silent: bool) -> None:
        self._console = Console(quiet=silent, highlight=False)
        self._console.width = min(self._console.width, WIDTH_MAX)
        self._progress = Console(stderr=True, highlight=False)
        self._chapters = 0

    def title(self, text: str, under: str) -> None:
        self._console.print()
        self._console.print(Text(text, "bold"))
        self._console.print(Text(under, "dim"))

    def chapter(self, title: str, text: str) -> None:
        """A new part: its heading, and why it matters."""
        self._chapters += 1
        self._console.print()
        self._console.print(Text.assemble((f"{self._chapters}  ", "cyan"), (title, "bold")))
        self._say(Text(text, "dim"))

    def fact(self, text: str) -> None:
        """Something that held."""
        self._say(Text.assemble(("✓ ", "green"), text))

    def fault(self, text: str) -> None:
        """Something that did not hold."""
        self._say(Text.assemble(("✗ ", "bold red"), text))

    def remark(self, text: str) -> None:
        """What to think of it, or what to do next: nothing that was checked."""
        self._say(Text(text, "dim"))

    def quote(self, text: str) -> None:
        """Something to look at: a line of output, a command."""
        self._say(Text(text, "cyan"), 2)

    def end(self, text: str, *, good: bool) -> None:
        self._console.print()
        self._console.print(Text(text, "bold green" if good else "bold red"))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner, if there is a terminal to show it on."""
        if not self._progress.is_terminal:
            yield
            return
        with self._progress.status(Text(text, "dim")):
            yield

    def _say(self, text: Text, more: int = 0) -> None:
        indent = " " * (INDENT + more)
        for line in text.wrap(self._console, self._console.width - len(indent)):
            line.rstrip()
            self._console.print(Text(indent) + line)
