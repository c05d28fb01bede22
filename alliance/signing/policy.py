"""A member's policy for one purpose: a TOML file beside its key, which only this member reads.

    purpose = "web"             whose key
    kind = "x509"               what it signs: jwt, x509 or ssh
    clients = ["client-1"]      who may ask

and what that kind's policy says. Whatever a policy does not allow, it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from alliance.config.bounded import read_file
from alliance.config.fields import parse, suggest, value
from alliance.errors import ConfigError
from alliance.signing import rules
from alliance.signing.certificates import CertificatePolicy
from alliance.signing.order import Order
from alliance.signing.ssh import SshPolicy
from alliance.signing.tokens import TokenPolicy

FILE_BYTES_MAX = 1024 * 1024
KindPolicy: TypeAlias = TokenPolicy | CertificatePolicy | SshPolicy
KINDS: dict[str, type[KindPolicy]] = {
    policy.KINDS[0]: policy for policy in (TokenPolicy, CertificatePolicy, SshPolicy)
}


@dataclass(frozen=True, slots=True)
class Policy:
    """Read one with ``load``."""

    purpose: str
    clients: tuple[str, ...]
    allowed: KindPolicy

    def judge(self, client: str, order: Order) -> None:
        """Raises Refused, with why. ``client`` is the requester's name in alliance.toml."""
        rules.require("the client", client, rules.allows(self.clients, client))
        self.allowed.judge(order.request)

    @classmethod
    def from_toml(cls, text: str, where: str) -> Policy:
        """Raises ConfigError."""
        try:
            table = parse(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is not TOML: {error}") from None
        name = value(table, "kind", str, where)
        kind = KINDS.get(name)
        if kind is None:
            raise ConfigError(
                f"{where}: 'kind' is one of {', '.join(KINDS)}, not {name!r:.80}{suggest(name, KINDS)}"
            )
        rest = {key: item for key, item in table.items() if key not in ("purpose", "kind", "clients")}
        return cls(
            value(table, "purpose", str, where),
            rules.patterns(table, "clients", where),
            kind.from_table(rest, where),
        )


def load(path: Path) -> Policy:
    """Raises ConfigError."""
    try:
        data = read_file(path, FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes: it is no policy")
        return Policy.from_toml(data.decode("utf-8"), str(path))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): name a policy; docs/guides/signing.md has them"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no policy: it is not UTF-8") from None
