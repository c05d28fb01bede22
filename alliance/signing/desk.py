"""The desk of one member: a proven order comes in; the member's share of the signature goes out, or why not.

It believes nobody. That the request is ordered shows in the receipt, which the alliance's key has signed; the
bytes to be signed it makes of the request by itself; and its own policy decides. It keeps no state: the
record is the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from alliance.config.file import AllianceConfig
from alliance.config.membership import Membership
from alliance.config.parties import Party
from alliance.errors import ConfigError, InvalidReceipt, InvalidRequest
from alliance.keys.shares import load_endorser
from alliance.proofs.epoch_keys import EpochKeys
from alliance.proofs.receipt import Receipt
from alliance.signing.order import Order, order_of, signing_key
from alliance.signing.policy import Policy
from alliance.signing.rules import Refused
from quorum import Endorser, InvalidStatement

OLD_SECONDS_MAX = 3600
EARLY_SECONDS_MAX = 60
"""By this member's clock. What was refused, or left lying, is not signed later under another policy."""


class Desk:
    """``endorsers`` hold this member's shares of the keys, by purpose; each has its policy."""

    def __init__(
        self, config: AllianceConfig, policies: Sequence[Policy], endorsers: Mapping[str, Endorser]
    ) -> None:
        self._config = config
        self._policies = {policy.purpose: policy for policy in policies}
        self._endorsers = endorsers
        self._keys = EpochKeys(lambda: config)

    @classmethod
    def open(
        cls, folder: Path, config: AllianceConfig, me: int, policies: Sequence[Policy], passphrase: bytes
    ) -> Desk:
        """Opens the shares that the policies are for, and no others. Raises ConfigError, KeyFileError."""
        check(config, policies)
        endorsers = {
            policy.purpose: load_endorser(folder, config, me, passphrase, policy.purpose)
            for policy in policies
        }
        return cls(config, policies, endorsers)

    @property
    def membership(self) -> Membership:
        """In which its shares count."""
        return self._config.membership

    def judge(self, data: bytes, client: Party, now: float) -> Order:
        """The order that a receipt proves, if this member is to sign it. ``now`` is in seconds since 1970.

        Raises Refused, with one sentence.
        """
        try:
            receipt = Receipt.from_json(data)
            receipt.verify(self._keys.key_for(receipt))
            if self._keys.of(receipt.context.epoch).last_slot is not None:
                # Whoever has its shares by now makes a receipt of anything, on any slot that it had.
                raise InvalidReceipt("it is under a key that the alliance has replaced: order this anew")
            order = order_of(self._config, receipt)
        except (InvalidReceipt, InvalidRequest, ConfigError) as error:
            raise Refused(str(error)) from None
        if order.client_id != client.client_id:
            # What is signed may be worth something in anybody's hands, such as a token.
            raise Refused("another client asked for this: only that one gets shares")
        age = now - order.occasion.time_ms / 1000
        if not -EARLY_SECONDS_MAX <= age <= OLD_SECONDS_MAX:
            raise Refused(
                f"the order is of {order.time}, by this member's clock more than {OLD_SECONDS_MAX} s ago or"
                " in the future: ask anew"
            )
        policy = self._policies.get(order.occasion.purpose)
        if policy is None:
            raise Refused(f"this member has no policy for '{order.occasion.purpose}'")
        policy.judge(client.name, order)
        return order

    def share(self, order: Order) -> bytes:
        """This member's share on what was judged, with its proof. Takes some milliseconds of arithmetic.

        Raises Refused when there is none, since a dealer of the key has cheated.
        """
        try:
            return self._endorsers[order.occasion.purpose].endorse(order.message, proven=True)
        except InvalidStatement as error:
            raise Refused(str(error)) from None


def check(config: AllianceConfig, policies: Sequence[Policy]) -> None:
    """Raises ConfigError for policies that are for no key of this alliance, or two for one key."""
    purposes = [policy.purpose for policy in policies]
    for purpose in purposes:
        signing_key(config, purpose)
        if purposes.count(purpose) > 1:
            raise ConfigError(f"two policies are for '{purpose}': a key has one policy")
