"""The alliance of the client's tests with keys for three purposes, and receipts of what was ordered there.

One key from the stock stands in for all of them, of which two members sign: dealing others would take seconds
and show nothing more here.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.proofs.receipt import Receipt
from quorum import QuorumSystem
from quorum.factors import DealtFactor
from quorum.threshold_rsa import ThresholdRsaEndorser
from tests.alliance.conftest import _runner, chain, cheap_scrypt, farm, run
from tests.alliance.epochs import next_epoch
from tests.alliance.farm import MEMBERS, Chain, Farm
from tests.worlds.factors import factor

__all__ = ["_runner", "chain", "cheap_scrypt", "farm", "run"]

PURPOSES = ("tokens", "web", "logins")


@pytest.fixture(scope="session")
def config(farm: Farm) -> AllianceConfig:
    attestation = farm.config.purpose_key(ATTESTATION)
    purposes = ((purpose, _stand_in().key) for purpose in PURPOSES)
    return replace(farm.config, purpose_keys=((ATTESTATION, attestation), *purposes))


def signers() -> tuple[ThresholdRsaEndorser, ...]:
    """The members' shares of that key."""
    return _stand_in().endorsers


def _stand_in() -> DealtFactor:
    return factor(QuorumSystem(len(MEMBERS), 1), 2, 0)


def in_epoch_1(farm: Farm, config: AllianceConfig, stock: int) -> Farm:
    """Its members have new shares, of another agreement key where the ``stock`` is another."""
    later, _ = next_epoch(farm, stock=stock)
    keys = *later.config.purpose_keys, *config.purpose_keys[1:]
    return replace(later, config=replace(later.config, purpose_keys=keys))


class Registry:
    """Orders commands of a client and hands out their receipts."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def receipt(self, command: bytes, client: int = 0, before: tuple[bytes, ...] = ()) -> Receipt:
        """That of the command, which was submitted after others, if there are any."""
        farm, chain = self.chain.farm, self.chain
        submission = farm.submission(len(chain.entries) + 1, *before, command, client=client)
        entry = chain.add(submission)
        return chain.receipt(entry.slot, 0, len(before), entry.slot)


@pytest.fixture
def registry(chain: Chain) -> Registry:
    return Registry(chain)
