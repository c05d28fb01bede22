"""An opening: what a dealer shows when the commitments of all dealers are there, in one public text.

It holds the dealer's factor of every key, the members' shares of them, sealed to the members (``dealing``),
what opens its commitment, and trial signatures under each factor. The operator key of the dealer's
organisation signs all of it, together with the list of ALL commitments that this dealer has seen: so whoever
told two dealers different things is named by two signed files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.framing import framed
from alliance.founding.commitment import Commitment, digest_of_list
from alliance.founding.dealing import FILE_BYTES_MAX, Dealing
from alliance.founding.public_text import name_of, read_json, require_unedited
from alliance.keys import ed25519
from alliance.proofs.jsonform import base64, items, octets, packed
from quorum.factors import NONCE_BYTES, TRIALS, commit

FORMAT = "alliance-opening/1"
SUFFIX = ".opening"
_DOMAIN = b"alliance/v1 ceremony opening\x00"


@dataclass(frozen=True, slots=True)
class Opening:
    """``plan`` is the digest of the plan file, and the context of ``dealing``, whose keys are the factors.

    ``nonces`` and ``trials`` are by key, in the dealing's order: 32 bytes, and TRIALS signatures. Without
    ``commitments`` and ``signature`` it is what a dealer keeps to itself until it opens it.
    """

    plan: bytes
    dealer: str
    nonces: tuple[bytes, ...] = field(repr=False)
    trials: tuple[tuple[bytes, ...], ...] = field(repr=False)
    dealing: Dealing = field(repr=False)
    commitments: tuple[Commitment, ...] = ()
    signature: bytes = field(repr=False, default=b"")

    def statement(self) -> bytes:
        """What the operator key signs: the domain, then these fields, each after its length as u32.

        Also others' signatures: whatever was altered on its way must not look like this dealer's work.
        """
        return _DOMAIN + framed(
            self.plan,
            self.dealer.encode(),
            digest_of_list(self.plan, self.commitments),
            framed(*(one.signature for one in self.commitments)),
            framed(*self.nonces),
            framed(*(signature for trials in self.trials for signature in trials)),
            sha256(self.dealing.statement()).digest(),
        )

    def signed(self, commitments: tuple[Commitment, ...], operator: Ed25519PrivateKey) -> Opening:
        """The same for everybody to see. ``commitments`` are those of all dealers, in the plan's order."""
        shown = replace(self, commitments=commitments)
        return replace(shown, signature=operator.sign(shown.statement()))

    def is_signed_by(self, operator: bytes) -> bool:
        """Whether the holder of this operator key (32 bytes) made this opening."""
        return ed25519.is_signed(operator, self.signature, self.statement())

    def commitment(self) -> Commitment:
        """What this opens, not signed."""
        pairs = zip(self.dealing.keys, self.nonces, strict=True)
        return Commitment(
            self.plan, self.dealer, tuple((purpose, commit(key, nonce)) for (purpose, key), nonce in pairs)
        )

    def to_json(self) -> str:
        """The file's text; ``from_json`` gives back an equal value."""
        table = {
            "format": FORMAT,
            "plan": self.plan.hex(),
            "dealer": self.dealer,
            "signature": self.signature.hex(),
            "commitments": [
                {
                    "dealer": one.dealer,
                    "factors": {purpose: digest.hex() for purpose, digest in one.factors},
                    "signature": one.signature.hex(),
                }
                for one in self.commitments
            ],
            "openings": [
                {"nonce": nonce.hex(), "trials": [base64(signature) for signature in trials]}
                for nonce, trials in zip(self.nonces, self.trials, strict=True)
            ],
            "dealing": self.dealing.to_table(),
        }
        return json.dumps(table, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Opening:
        """Reads an opening without believing it. ``where`` is the file. Raises ConfigError."""
        opening = read_json(text, where, "opening", FORMAT, FILE_BYTES_MAX, cls._from_table)
        require_unedited(opening.to_json(), text, where, "its dealer made it", "ask for it anew")
        return opening

    @classmethod
    def _from_table(cls, table: Mapping[str, Any]) -> Opening:
        dealing = Dealing.from_table(table["dealing"])
        opened = items(table, "openings")
        nonces = tuple(octets(entry["nonce"]) for entry in opened)
        trials = tuple(tuple(map(packed, items(entry, "trials"))) for entry in opened)
        lengths = {len(nonce) for nonce in nonces} | {len(signatures) for signatures in trials}
        if len(opened) != len(dealing.keys) or lengths != {NONCE_BYTES, TRIALS}:
            raise ValueError(f"each key has a nonce of {NONCE_BYTES} bytes and {TRIALS} trial signatures")
        plan = octets(table["plan"])
        commitments = tuple(
            Commitment(
                plan,
                name_of(entry["dealer"]),
                tuple((name_of(purpose), octets(digest)) for purpose, digest in entry["factors"].items()),
                octets(entry["signature"]),
            )
            for entry in items(table, "commitments")
        )
        signature = octets(table["signature"])
        return cls(plan, name_of(table["dealer"]), nonces, trials, dealing, commitments, signature)
