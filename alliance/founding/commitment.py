"""A dealer's commitment: before it sees any other dealer's factors it binds itself to its own.

Who chose a factor after seeing another's could choose the same modulus, or one with a prime in common, and
know more of a key than its own factor. So each dealer first publishes what ``shoup_rsa.composite.commit``
makes of its factor keys, signed by its organisation's operator key, and none shows a factor before all
commitments are there.

The file is public. It has one spelling, so that whoever compares its SHA-256 has compared everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.fields import hexed, only
from alliance.config.founding import KEYS_MAX
from alliance.config.framing import framed
from alliance.config.parties import read_name
from alliance.errors import ConfigError
from alliance.founding.public_text import read_toml, require_unedited
from alliance.keys import ed25519

FORMAT = "alliance-commitment/1"
SUFFIX = ".commitment"
FILE_BYTES_MAX = 16 * 1024
DIGEST_BYTES, SIGNATURE_BYTES = 32, 64
_DOMAIN = b"alliance/v1 ceremony commitment\x00"
_LIST_DOMAIN = b"alliance/v1 ceremony commitments\x00"
_KEYS = ("format", "plan", "dealer", "signature", "factors")


@dataclass(frozen=True, slots=True)
class Commitment:
    """``plan`` is the digest of the plan file, 32 bytes; ``dealer`` the name of an organisation.

    ``factors`` are (purpose, commitment, 32 bytes), one for each key of the plan. ``signature`` is that of
    the dealer's operator key, and not verified unless ``verify`` has returned.
    """

    plan: bytes
    dealer: str
    factors: tuple[tuple[str, bytes], ...]
    signature: bytes = field(repr=False, default=b"")

    def statement(self) -> bytes:
        """What the operator key signs: the domain, then all fields, each after its length as u32."""
        return _DOMAIN + framed(self.plan, self.dealer.encode(), *_flat(self.factors))

    def signed(self, operator: Ed25519PrivateKey) -> Commitment:
        """The same commitment with this operator key's signature, which is the same each time."""
        return Commitment(self.plan, self.dealer, self.factors, operator.sign(self.statement()))

    def is_signed_by(self, operator: bytes) -> bool:
        """Whether the holder of this operator key (32 bytes) made this commitment."""
        return ed25519.is_signed(operator, self.signature, self.statement())

    def to_toml(self) -> str:
        """The file's text; ``from_toml`` gives back an equal value."""
        lines = [
            f"# '{self.dealer}' has made its factors; it shows them when all commitments are there.",
            f'format = "{FORMAT}"',
            f'plan = "{self.plan.hex()}"',
            *self.to_lines(),
        ]
        return "\n".join(lines) + "\n"

    def to_lines(self) -> list[str]:
        """Without what all commitments of a ceremony have in common."""
        listed = ", ".join(f'{purpose} = "{digest.hex()}"' for purpose, digest in self.factors)
        return [
            f'dealer = "{self.dealer}"',
            f'signature = "{self.signature.hex()}"',
            f"factors = {{ {listed} }}",
        ]

    @classmethod
    def from_toml(cls, text: str, where: str) -> Commitment:
        """``where`` is the file, which errors begin with. Raises ConfigError; verifies no signature."""
        table = read_toml(text, where, "commitment", FORMAT, "ask for it again")
        only(table, _KEYS, where)
        commitment = cls.from_table(table, hexed(table, "plan", DIGEST_BYTES, where), where)
        require_unedited(commitment.to_toml(), text, where, "its dealer made it", "ask for it again")
        return commitment

    @classmethod
    def from_table(cls, table: Mapping[str, Any], plan: bytes, where: str) -> Commitment:
        """Of what ``to_lines`` wrote. Raises ConfigError."""
        factors = table.get("factors")
        if not isinstance(factors, dict) or not 0 < len(factors) <= KEYS_MAX:
            raise ConfigError(f"{where}: 'factors' is no table of 1 to {KEYS_MAX} commitments")
        return cls(
            plan,
            read_name(table, where, "dealer"),
            tuple((purpose, hexed(factors, purpose, DIGEST_BYTES, where)) for purpose in factors),
            hexed(table, "signature", SIGNATURE_BYTES, where),
        )


def digest_of_list(plan: bytes, commitments: Sequence[Commitment]) -> bytes:
    """That of what all dealers committed to, 32 bytes. Each of them signs it when it shows its factors.

    So a dealer that has told two of them different things is found out. Signatures do not enter: a key can
    make many of one statement.
    """
    parts = [part for one in commitments for part in (one.dealer.encode(), framed(*_flat(one.factors)))]
    return sha256(_LIST_DOMAIN + framed(plan, *parts)).digest()


def _flat(factors: Sequence[tuple[str, bytes]]) -> list[bytes]:
    return [part for purpose, digest in factors for part in (purpose.encode(), digest)]
