"""Who takes part in an alliance, as the log itself changes it.

* ``rows``: members, operators, clients, policy; ``directory``: all of them, and the digest that members sign.
* ``commands``: what operators and members say, as bytes in the log; ``edits`` and ``changes`` are what they
  ask for, ``policy`` how many operators must.
* ``state``: ControlState, a function of the log; ``record`` is its data, ``pending`` what is on its way,
  ``operating`` and ``dealing`` what commands do, ``items`` its form in checkpoints.

``checked`` is what an engine holds.
"""

from __future__ import annotations

from consensus.control.checked import CheckedControl
from consensus.control.draft import Verify
from consensus.control.state import ControlState, Outcome

__all__ = ["CheckedControl", "ControlState", "Outcome", "Verify"]
