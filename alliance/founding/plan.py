"""What is to be founded: names, sizes, addresses and keys, checked before anybody searches for a prime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alliance.config.file import ATTESTATION
from alliance.config.founding import AGREEMENT
from alliance.config.parties import ADDRESS, NAME
from alliance.config.public_keys import PURPOSES_MAX
from alliance.errors import ConfigError
from quorum import QuorumSystem, UnsatisfiableSizes, default_profile

KEY_SIZES = range(2048, 8192 + 1, 128)
"""Of shared keys, in bits."""


@dataclass(frozen=True, slots=True)
class Founding:
    """What is to be founded. ``addresses`` are host:port, one per member.

    ``purposes`` are (name, threshold) of further keys, for what the alliance signs for others.
    ``organisations`` are those that run the members, in their order; by default each member is run by one
    of its own name. ``attest`` is the threshold of the attestation key; by default, 2 f + 1. ``profile`` is
    one of ``quorum.PROFILES``; by default, classic where the sizes allow it, else lean.
    """

    name: str
    member_names: Sequence[str]
    addresses: Sequence[str]
    client_names: Sequence[str]
    faulty_max: int
    key_size: int
    purposes: Sequence[tuple[str, int]] = ()
    organisations: Sequence[str] = ()
    attest: int | None = None
    profile: str | None = None

    def thresholds(self, system: QuorumSystem) -> tuple[tuple[str, int], ...]:
        """(purpose, threshold) of each key beside the agreement key, the attestation key first."""
        attest = system.mostly_correct if self.attest is None else self.attest
        return ((ATTESTATION, attest), *self.purposes)


def check(founding: Founding) -> QuorumSystem:
    """The sizes of the alliance; raises ConfigError with the reason when it cannot be founded."""
    names = [founding.name, *founding.member_names, *founding.client_names]
    for name in (*names, *founding.organisations):
        if not NAME.fullmatch(name):
            raise ConfigError(f"{name!r:.80} is no name: use a-z, 0-9 and '-', 63 characters at most")
    if len(founding.addresses) != len(founding.member_names):
        raise ConfigError(
            f"{len(founding.member_names)} members need as many addresses, not {len(founding.addresses)}"
        )
    if founding.organisations and len(founding.organisations) != len(founding.member_names):
        raise ConfigError(
            f"{len(founding.member_names)} members need as many organisations, not"
            f" {len(founding.organisations)}: name one again for each member that it runs"
        )
    for address in founding.addresses:
        if not ADDRESS.fullmatch(address):
            raise ConfigError(f"{address!r:.80} is no address: write host:port")
    if len(set(names[1:])) != len(names) - 1:
        raise ConfigError("two members or clients have the same name")
    if founding.faulty_max < 1:
        raise ConfigError("an alliance that tolerates no fault is not worth its messages: --faults 1 or more")
    require_key_size(founding.key_size)
    try:
        count, faults = len(founding.member_names), founding.faulty_max
        system = QuorumSystem(count, faults, founding.profile or default_profile(count, faults))
    except UnsatisfiableSizes as error:
        raise ConfigError(str(error)) from None
    _check_purposes(founding, system)
    return system


def require_key_size(bits: int) -> None:
    """Raises ConfigError."""
    if bits not in KEY_SIZES:
        raise ConfigError("--bits must be 2048 to 8192, in steps of 128")


def _check_purposes(founding: Founding, system: QuorumSystem) -> None:
    names = [name for name, _ in founding.purposes]
    if len(set(names)) != len(names) or len(names) >= PURPOSES_MAX:
        raise ConfigError(f"a purpose is there twice, or there are more than {PURPOSES_MAX - 1}")
    for name in names:
        if not NAME.fullmatch(name):
            raise ConfigError(f"{name!r:.80} names no purpose: use a-z, 0-9 and '-', 63 characters at most")
        if name in (AGREEMENT, ATTESTATION):
            raise ConfigError(f"'{name}' is a key that every alliance has: name the purpose otherwise")
    for name, threshold in founding.thresholds(system):
        if not system.one_correct <= threshold <= system.report:
            raise ConfigError(
                f"the threshold of '{name}' must be {system.one_correct} (at least one correct member agrees)"
                f" to {system.report} (the correct members suffice), not {threshold}"
            )
