"""Small keys of two epochs, the second one reached in two attempts, and who opens folders with them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from alliance.config.file import ATTESTATION, AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.errors import KeyFileError
from alliance.keys import files, secret_file, shares
from alliance.keys.shares import Generation
from quorum.threshold_rsa import AgreementKey, ThresholdRsaEndorser
from shoup_rsa import generate_threshold_key
from tests.shoup_rsa.board import hand_on, same_sizes

ME = 2
OLD, NEW, AGAIN = Generation(0), Generation(1), Generation(1, 1)
SIZES = {AGREEMENT: (4, 3, 1), ATTESTATION: (4, 2, 1)}

Keys = dict[str, tuple[AgreementKey, ThresholdRsaEndorser]]


@cache
def keys() -> dict[Generation, Keys]:
    """By generation and purpose: the key, and the share of member ``ME``."""
    made: dict[Generation, Keys] = {OLD: {}, NEW: {}, AGAIN: {}}
    for seed, (purpose, sizes) in enumerate(SIZES.items(), 1):
        dice = random.Random(seed).randrange
        dealing = generate_threshold_key(*sizes, 512, insecure_small_key=True, random_below=dice)
        made[OLD][purpose] = dealing.public_key, ThresholdRsaEndorser(dealing.key_shares[ME])
        for generation in (NEW, AGAIN):
            order = same_sizes(dealing.public_key, attempt=generation.attempt)
            key, held = hand_on(order, dealing.key_shares)
            made[generation][purpose] = key, ThresholdRsaEndorser(held[ME])
    return made


def endorsers(generation: Generation) -> dict[str, ThresholdRsaEndorser]:
    return {purpose: endorser for purpose, (_, endorser) in keys()[generation].items()}


@dataclass(frozen=True)
class Opener:
    """Somebody with a passphrase, in an alliance whose keys are of the generation that it wants to open."""

    config: AllianceConfig
    passphrase: bytes

    def at(self, generation: Generation) -> AllianceConfig:
        made = keys()[generation]
        others = tuple((purpose, key) for purpose, (key, _) in made.items() if purpose != AGREEMENT)
        return replace(self.config, key=made[AGREEMENT][0], purpose_keys=others)

    def load(self, folder: Path, generation: Generation) -> None:
        """As a server and its executor do. Raises KeyFileError."""
        for purpose in (None, ATTESTATION):
            endorser = shares.load_endorser(folder, self.at(generation), ME, self.passphrase, purpose)
            endorser.test_itself()

    def counted(self, folder: Path) -> Generation:
        """The generation that counts, all of whose shares open. Raises KeyFileError."""
        files.settle(folder)
        generation = shares.require_current(folder)
        assert self.opens(folder, generation)
        return generation

    def opens(self, folder: Path, generation: Generation) -> bool:
        """Whether one is there whose shares all open, be it the one that counts or another."""
        try:
            key = secret_file.unseal(folder / shares.sealing_file(generation), self.passphrase)
            for purpose, (public, _) in keys()[generation].items():
                shares.open_share(folder / shares.share_file(generation, purpose), key, public, ME)
        except KeyFileError:
            return False
        return True
