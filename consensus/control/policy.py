"""How many operators decide.

With o operators of whom at most f are faulty (their keys lost or stolen), a change of the alliance needs::

    approve = max(f + 1, floor((o + f) / 2) + 1)  <=  o - f

So two approved changes have a correct operator in common, f operators decide nothing, and f operators prevent
nothing. A suspension, which only keeps a member from leading, needs f + 1: one correct operator.
"""

from __future__ import annotations

from consensus.control.encoding import MalformedControl


def approvals_needed(operators: int, faulty: int) -> int:
    """``approve`` of the module. Raises MalformedControl for sizes that cannot be, 0 operators among them."""
    needed = max(faulty + 1, (operators + faulty) // 2 + 1)
    if faulty < 0 or not 0 < needed <= operators - faulty:
        raise MalformedControl(
            f"{operators} operators are too few for {faulty} faulty ones: it takes {3 * faulty + 1}"
        )
    return needed


def suspensions_needed(faulty: int) -> int:
    """Operators of whom one is correct for certain."""
    return faulty + 1


def faulty_operators_max(operators: int) -> int:
    """The most faulty ones of so many that ``approvals_needed`` allows, 0 if there are none at all."""
    return max(operators - 1, 0) // 3
