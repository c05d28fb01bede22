"""``python -m tests.campaigns.recovery.run``: the drill, once, with the seconds that each part took."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.campaigns.recovery.drill import Drill


def main() -> int:
    with TemporaryDirectory() as home:
        drill = Drill(Path(home))
        drill.play()
    for name, seconds in drill.took.items():
        sys.stdout.write(f"{name:<12} {seconds:6.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
