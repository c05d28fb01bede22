"""The registry of tags: one number for each purpose for which anything is ever signed. Frozen.

A number is never given anew, also when its purpose has gone: an old signature must not come to mean another
thing. Below 0x40 are statements that members sign jointly, from 0x40 on those that one party signs with its
own Ed25519 key. A *reserved* tag has its purpose, and no statement of it exists yet: it is refused like a
number that nobody has.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Tag(IntEnum):
    """A tag by its name; ``purpose`` is one line for people, ``reserved`` says that nothing bears it yet."""

    purpose: str
    reserved: bool

    def __new__(cls, number: int, purpose: str, reserved: bool = False) -> Self:
        tag = int.__new__(cls, number)
        tag._value_ = number
        tag.purpose = purpose
        tag.reserved = reserved
        return tag

    @property
    def is_joint(self) -> bool:
        """Whether members sign it jointly; otherwise one party signs it alone."""
        return self < 0x40

    # -- signed jointly ------------------------------------------------------------------------------
    ACCEPTED = 0x01, "the log up to a slot is accepted in a view"
    SUSPECT = 0x04, "the leader of a view is suspected"
    PROGRESS = 0x05, "the NewView of a view is checked"
    CHECKPOINT = 0x06, "log and ordering state at a slot"
    REPLY = 0x07, "an application's answers to its commands of a slot"
    MEMBERSHIP = 0x08, "the end of an epoch, and who the members are from there on"
    SNAPSHOT = 0x09, "an application's state at a slot"
    EPOCH_READY = 0x0A, "the members of the next epoch hold their shares of the keys"
    COIN = 0x0B, "a random value that nobody knows before", True
    SUCCESSOR_KEY = 0x0C, "the key that follows an alliance's key", True
    POE_SUPPORT = 0x10, "the second engine: a proposal is supported", True
    POE_EXECUTED = 0x11, "the second engine: the log up to a slot is executed", True
    STORE_EPOCH = 0x30, "the state of a store at the end of one of its epochs", True

    # -- signed by one party ---------------------------------------------------------------------------
    PROPOSE = 0x40, "a leader gives a slot to a batch"
    VOTE = 0x41, "one member accepts a proposal"
    REPORT = 0x42, "what one member had accepted when it entered a view"
    NEW_VIEW = 0x43, "a leader opens its view"
    SUBMISSION = 0x44, "a client submits commands"
    GREETING = 0x45, "a member tells a peer the number of its start"
    CONTROL = 0x46, "an operator or a member changes who takes part"
    POE_REPORT = 0x48, "the second engine: what one member had supported when it entered a view", True
    POE_NEW_VIEW = 0x49, "the second engine: a leader opens its view", True
    POE_INFORM = 0x4A, "the second engine: one member tells a client what it executed", True
    VOLT_TRANSACTION = 0x50, "a client's transaction on a ledger", True
    STORED = 0x51, "a provider of a ledger has stored a block", True
    COMPUTED = 0x52, "a provider of a ledger has computed a result", True
    VOLT_REPORT = 0x53, "what a copy of a ledger holds when its view ends", True
    COMPLAINT = 0x54, "a copy of a ledger complains of its host", True
    STORE_REQUEST = 0x60, "a client asks a store for something", True
    STORE_DISPUTE = 0x61, "a client disputes what a store answered", True


_BY_NUMBER = {tag.value: tag for tag in Tag}


def tag_name(number: int) -> str:
    """The tag as a person reads it: ``ACCEPTED``; with the number for one that is reserved or unknown."""
    tag = _BY_NUMBER.get(number)
    if tag is None:
        return f"the unknown tag {number:#04x}"
    return f"the reserved tag {number:#04x} ({tag.name})" if tag.reserved else tag.name
