"""Who takes part in an alliance, as the log itself changes it.

* ``rows``: members, operators, clients, policy; ``directory``: all of them, and the digest that members sign.
* ``commands``: what operators and members say, as bytes in the log. They ask for ``edits`` of what is their
  own, or for ``changes`` made of ``operations``; ``policy`` says how many operators must approve.
* ``state``: ControlState, a function of the log, and ``checked``, the same as an engine holds it. ``record``
  is its data, ``pending`` what is on its way, ``draft`` the rows while a command changes them, ``operating``
  and ``dealing`` what commands do, ``recovery`` and ``recovering`` what operators do when no command can be
  ordered, ``items`` its form in checkpoints, ``encoding`` that of everything, ``certificate`` what comes with
  an identity, ``transcript`` the digest of what was dealt.
"""

from consensus.control.checked import CheckedControl
from consensus.control.draft import Verify
from consensus.control.state import ControlState, Outcome

__all__ = ["CheckedControl", "ControlState", "Outcome", "Verify"]
