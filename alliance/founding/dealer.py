"""A dealer founds on one machine: it creates an alliance and writes the folders that its parties take away.

Whoever runs this sees every key. The secret exponent and the primes live only in this process while it
runs; afterwards only the encrypted shares exist. Members who do not trust one dealer to forget must not
be founded in this way.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import ATTESTATION, FILE, AllianceConfig
from alliance.config.founding import AGREEMENT, FoundingMember, FoundingRecord
from alliance.config.parties import Member, Party
from alliance.errors import ConfigError
from alliance.founding.plan import Founding, check
from alliance.keys import sealing
from alliance.keys.channel import utc_now
from alliance.keys.files import write_private
from alliance.keys.folder import OPERATOR, NewIdentity, public_file, write_keys
from alliance.keys.sealing import require_new_passphrase
from alliance.keys.shares import write_shares
from quorum import QuorumSystem
from quorum.threshold_rsa import deal_agreement_key, deal_key


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
            held = {AGREEMENT: endorsers[written - 1]}
            held |= {purpose: shares[written - 1] for purpose, (_, shares) in dealt.items()}
            write_shares(home, 0, held, passphrase)
        if progress is not None:
            progress("folders", written)
    return config


def _write_public(folder: Path, text: str, keys: Mapping[str, bytes]) -> None:
    (folder / FILE).write_text(text, "utf-8")
    for name, pem in keys.items():
        (folder / name).write_bytes(pem)
