"""What can go wrong with a request for a signature that is ordered."""

from __future__ import annotations

from alliance.errors import AllianceError
from alliance.proofs.receipt import Receipt


class SharesMissing(AllianceError):
    """A request for a signature is ordered, but too few members have given their share in time.

    ``receipt`` proves the order. Handing it to ``SigningClient.collect`` asks again.
    """

    exit_code = 3

    def __init__(self, message: str, receipt: Receipt) -> None:
        super().__init__(message)
        self.receipt = receipt


class SigningRefused(AllianceError):
    """So many members refuse to sign that there will be no signature. The request stays on the record.

    ``refusals`` are (member, why), ``receipt`` proves the order.
    """

    exit_code = 6

    def __init__(self, message: str, refusals: tuple[tuple[str, str], ...], receipt: Receipt) -> None:
        super().__init__(message)
        self.refusals = refusals
        self.receipt = receipt
