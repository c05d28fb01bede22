"""A dealer founds on one machine: it creates an alliance and writes the folders that its parties take away.

Whoever runs this sees every key. The secret exponent and the primes live only in this process while it
runs; afterwards only the encrypted shares exist. Members who do not trust one dealer to forget must not
be founded in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.config.parties import Client, Member
from alliance.config.receiver import Receiver
from alliance.founding.folders import new_folder
from alliance.founding.outcome import assemble, write_public
from alliance.founding.plan import Founding, check
from alliance.keys import sealing
from alliance.keys.files import write_private
from alliance.keys.folder import OPERATOR, NewIdentity, write_keys
from alliance.keys.handover import keep_receiver
from alliance.keys.sealing import require_new_passphrase
from alliance.keys.shares import write_shares
from quorum import QuorumSystem
from quorum.receivers import ReceiverKey, ReceiverSecret, generate_receiver, receiver_bits
from quorum.threshold_rsa import AgreementKey, ThresholdRsaEndorser, deal_agreement_key, deal_key

Progress = Callable[[str, int], None]
"""Is told (stage, count) of the search for primes, and of what is written."""
Dealt = list[tuple[str, AgreementKey, tuple[ThresholdRsaEndorser, ...]]]
"""(purpose, public key, shares in the order of the members), the agreement key first."""


def deal(founding: Founding, system: QuorumSystem, progress: Progress | None = None) -> Dealt:
    """All keys of the alliance. Takes seconds. The secrets are gone when this returns, but for the shares."""
    dealt: Dealt = [(AGREEMENT, *deal_agreement_key(system, founding.key_size, 0, progress))]
    for purpose, threshold in founding.thresholds(system):
        dealt.append((purpose, *deal_key(system, threshold, founding.key_size, 0, progress)))
    return dealt


def found(
    founding: Founding, folder: Path, passphrase: bytes, progress: Progress | None = None
) -> AllianceConfig:
    """Writes ``folder``, which must not exist or be empty; nothing of it stays if this fails.

    Raises ConfigError, and KeyFileError for a passphrase that is too short.
    """
    system = check(founding)
    require_new_passphrase(passphrase)
    with new_folder(folder):
        return _found(founding, system, folder, passphrase, progress)


def _found(
    founding: Founding, system: QuorumSystem, folder: Path, passphrase: bytes, progress: Progress | None
) -> AllianceConfig:
    dealt = deal(founding, system, progress)
    fresh = {name: NewIdentity(name) for name in (*founding.member_names, *founding.client_names)}
    runs = founding.organisations or founding.member_names
    operators = {organisation: Ed25519PrivateKey.generate() for organisation in runs}
    receivers = dict(_receivers(founding, progress))
    config = assemble(
        founding.name,
        system,
        [
            _member(fresh[name], address, organisation, receivers[name].key)
            for name, address, organisation in zip(
                founding.member_names, founding.addresses, runs, strict=True
            )
        ],
        [Client(name, fresh[name].identity, fresh[name].certificate, "") for name in founding.client_names],
        {name: operator.public_key().public_bytes_raw() for name, operator in operators.items()},
        [(purpose, key) for purpose, key, _ in dealt],
    )
    write_public(folder, config)
    for written, party in enumerate((*config.members, *config.clients), 1):
        kind = "member" if isinstance(party, Member) else "client"
        home = folder / f"{kind}s" / party.name
        home.mkdir(parents=True, mode=0o700)
        write_public(home, config)
        (home / f"{kind}.name").write_text(f"{party.name}\n", "utf-8")
        write_keys(home, party, fresh[party.name].key, passphrase)
        if isinstance(party, Member):
            operator = operators.pop(party.organisation, None)
            if operator is not None:  # its first member
                write_private(home / OPERATOR, sealing.seal(operator, passphrase))
            held = {purpose: shares[written - 1] for purpose, _, shares in dealt}
            write_shares(home, 0, held, passphrase)
            receiver = receivers[party.name]
            keep_receiver(home, receiver.key.fingerprint, receiver.secret_to_bytes(), passphrase)
        if progress is not None:
            progress("folders", written)
    return config


def _receivers(founding: Founding, progress: Progress | None) -> Iterator[tuple[str, ReceiverSecret]]:
    """What each member needs when the keys are handed on for the first time."""
    for made, name in enumerate(founding.member_names, 1):
        yield name, generate_receiver(receiver_bits(founding.key_size))
        if progress is not None:
            progress("receivers", made)


def _member(fresh: NewIdentity, address: str, organisation: str, receiver: ReceiverKey) -> Member:
    key = receiver.to_bytes()
    signature = fresh.key.sign(Receiver.statement(fresh.name, fresh.identity, key))
    parts = fresh.name, fresh.identity, fresh.certificate, address, organisation
    return Member(*parts, receiver=Receiver(key, signature))
