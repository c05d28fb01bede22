"""The dealer's ceremony: creates an alliance and writes the folders that its parties take away.

Whoever runs this sees every key. The secret exponent and the primes live only in this process while it
runs; afterwards only the encrypted shares exist. Members who do not trust one dealer to forget must not
use this ceremony.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import ATTESTATION, FILE, PURPOSES_MAX, AllianceConfig
from alliance.config.founding import AGREEMENT, FoundingMember, FoundingRecord
from alliance.config.parties import ADDRESS, NAME, Member, Party
from alliance.errors import ConfigError
from alliance.keys import sealing
from alliance.keys.channel import utc_now
from alliance.keys.files import write_private
from alliance.keys.folder import OPERATOR, SHARE, NewIdentity, public_file, share_file, write_keys
from alliance.keys.sealing import require_new_passphrase
from quorum import QuorumSystem, UnsatisfiableSizes
from quorum.threshold_rsa import deal_agreement_key, deal_key


@dataclass(frozen=True, slots=True)
class Founding:
    """What is to be founded. ``addresses`` are host:port, one per member.

    ``purposes`` are (name, threshold) of further keys, for what the alliance signs for others.
    ``organisations`` are those that run the members, in their order; by default each member is run by one
    of its own name.
    """

    name: str
    member_names: Sequence[str]
    addresses: Sequence[str]
    client_names: Sequence[str]
    faulty_max: int
    key_size: int
    purposes: Sequence[tuple[str, int]] = ()
    organisations: Sequence[str] = ()


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
    if not 2048 <= founding.key_size <= 8192 or founding.key_size % 128:
        raise ConfigError("--bits must be 2048 to 8192, in steps of 128")
    try:
        system = QuorumSystem(len(founding.member_names), founding.faulty_max)
    except UnsatisfiableSizes as error:
        raise ConfigError(str(error)) from None
    _check_purposes(founding.purposes, system)
    return system


def _check_purposes(purposes: Sequence[tuple[str, int]], system: QuorumSystem) -> None:
    names = [name for name, _ in purposes]
    if len(set(names)) != len(names) or len(names) >= PURPOSES_MAX:
        raise ConfigError(f"a purpose is there twice, or there are more than {PURPOSES_MAX - 1}")
    for name, threshold in purposes:
        if not NAME.fullmatch(name):
            raise ConfigError(f"{name!r:.80} names no purpose: use a-z, 0-9 and '-', 63 characters at most")
        if name in (AGREEMENT, ATTESTATION):
            raise ConfigError(f"'{name}' is a key that every alliance has: name the purpose otherwise")
        if not system.one_correct <= threshold <= system.report:
            raise ConfigError(
                f"the threshold of '{name}' must be {system.one_correct} (at least one correct member agrees)"
                f" to {system.report} (the correct members suffice), not {threshold}"
            )


def found(
    founding: Founding,
    folder: Path,
    passphrase: bytes,
    progress: Callable[[str, int], None] | None = None,
) -> AllianceConfig:
    """Writes ``folder``, which must not exist or be empty; nothing of it stays if this fails.

    ``progress(stage, count)`` is told of the search for primes and of the folders written.
    """
    system = check(founding)
    require_new_passphrase(passphrase)
    try:
        existed = folder.exists()
        if existed and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} exists and is not empty: name a new folder")
        fresh = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error}") from None
    try:
        return _found(founding, system, folder, passphrase, progress)
    except BaseException as error:
        for child in folder.iterdir():
            shutil.rmtree(child, ignore_errors=True) if child.is_dir() else child.unlink()
        with contextlib.suppress(OSError):  # somebody else has put something there
            for path in fresh:
                path.rmdir()
        if isinstance(error, OSError):
            raise ConfigError(f"{folder} cannot be written: {error}") from None
        raise


def _found(
    founding: Founding,
    system: QuorumSystem,
    folder: Path,
    passphrase: bytes,
    progress: Callable[[str, int], None] | None,
) -> AllianceConfig:
    created = utc_now().replace(microsecond=0)
    key, endorsers = deal_agreement_key(system, founding.key_size, 0, progress)
    dealt = {
        purpose: deal_key(system, threshold, founding.key_size, 0, progress)
        for purpose, threshold in ((ATTESTATION, system.one_correct), *founding.purposes)
    }
    fresh = {name: NewIdentity(name) for name in (*founding.member_names, *founding.client_names)}
    runs = dict(zip(founding.member_names, founding.organisations or founding.member_names, strict=True))
    operators = {organisation: Ed25519PrivateKey.generate() for organisation in runs.values()}
    purpose_keys = tuple((purpose, public) for purpose, (public, _) in dealt.items())
    config = AllianceConfig(
        founding=FoundingRecord(
            founding.name,
            created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            system,
            tuple(FoundingMember(name, runs[name], fresh[name].identity) for name in founding.member_names),
            tuple((name, operator.public_key().public_bytes_raw()) for name, operator in operators.items()),
            tuple((name, public.key_id) for name, public in ((AGREEMENT, key), *purpose_keys)),
        ),
        key=key,
        members=tuple(
            Member(name, fresh[name].identity, fresh[name].certificate, address, runs[name])
            for name, address in zip(founding.member_names, founding.addresses, strict=True)
        ),
        clients=tuple(Party(n, fresh[n].identity, fresh[n].certificate) for n in founding.client_names),
        purpose_keys=purpose_keys,
    )
    text = config.to_toml()
    AllianceConfig.from_toml(text)
    public = {"public.pem": key.to_pem()}
    public |= {public_file(purpose): other.to_pem() for purpose, (other, _) in dealt.items()}
    _write_public(folder, text, public)
    for written, party in enumerate((*config.members, *config.clients), 1):
        kind = "member" if isinstance(party, Member) else "client"
        home = folder / f"{kind}s" / party.name
        home.mkdir(parents=True, mode=0o700)
        _write_public(home, text, public)
        (home / f"{kind}.name").write_text(f"{party.name}\n", "utf-8")
        write_keys(home, party, fresh[party.name].key, passphrase)
        if isinstance(party, Member):
            operator = operators.pop(party.organisation, None)
            if operator is not None:  # its first member
                write_private(home / OPERATOR, sealing.seal(operator, passphrase))
            write_private(home / SHARE, endorsers[written - 1].seal(passphrase))
            for purpose, (_, shares) in dealt.items():
                write_private(home / share_file(purpose), shares[written - 1].seal(passphrase))
        if progress is not None:
            progress("folders", written)
    return config


def _write_public(folder: Path, text: str, keys: Mapping[str, bytes]) -> None:
    (folder / FILE).write_text(text, "utf-8")
    for name, pem in keys.items():
        (folder / name).write_bytes(pem)
