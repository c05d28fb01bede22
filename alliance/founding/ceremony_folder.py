"""A dealer's working folder in a ceremony, and what everybody makes of the files in the end.

    ceremony-key.pem     32 random bytes, encrypted under the passphrase
    ceremony.pending     what this dealer will open, encrypted under these bytes
    NAME.commitment      public, for all other dealers
    NAME.opening         public, for everybody

The primes and the shares are never written: shares are sealed to their members as they are dealt, so that
whoever opens the pending file learns this dealer's moduli before their time, and no share. It is there once
its key is, which is written last, and gone once that is overwritten.

Each step ends with a public file, and can be repeated after a crash at any moment of it: it gives the same
file, or refuses to make another one. A dealer that signed two would be a liar.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alliance.config.file import FILE, AllianceConfig
from alliance.errors import ConfigError, KeyFileError
from alliance.founding import ceremony, ceremony_plan, commitment, opening
from alliance.founding.ceremony_plan import CeremonyPlan
from alliance.founding.commitment import Commitment
from alliance.founding.dealer import Progress
from alliance.founding.dealing import FILE_BYTES_MAX, seal_shares
from alliance.founding.folders import new_folder, write_files
from alliance.founding.opening import Opening
from alliance.founding.outcome import public_files
from alliance.founding.public_text import read_text
from alliance.founding.request import Request
from alliance.keys import files, secret_file
from alliance.keys.sealing import require_new_passphrase
from quorum.factors import deal_factor, new_nonce

KEY, PENDING = "ceremony-key.pem", "ceremony.pending"
_KEY_BYTES, _IV_BYTES = 32, 12


def deal(
    folder: Path,
    plan: CeremonyPlan,
    operator: Ed25519PrivateKey,
    passphrase: bytes,
    progress: Progress | None = None,
) -> Commitment:
    """Makes this dealer's factors, and its commitment to them; when that was done before, the same one.

    ``operator`` is its organisation's key, by which it is known. ``folder`` is made if need be. Takes
    seconds. Raises ConfigError, KeyFileError.
    """
    dealer = _dealer(plan, operator)
    require_new_passphrase(passphrase)
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        _require_working_folder(folder, dealer)
        with files.locked(folder):
            path = folder / f"{dealer}{commitment.SUFFIX}"
            if path.exists():
                return _own_commitment(folder, path, plan)
            if not (folder / KEY).exists():
                _keep(folder, _dealt(plan, dealer, progress), passphrase)
            made = _pending(folder, plan, dealer, passphrase).commitment().signed(operator)
            files.write_new(path, made.to_toml().encode())
            return made
    except OSError as error:
        raise _unwritable(folder, error) from None


def open_all(
    folder: Path,
    plan: CeremonyPlan,
    commitments: Sequence[Commitment],
    operator: Ed25519PrivateKey,
    passphrase: bytes,
) -> Opening:
    """Shows this dealer's factors, now that the commitments of all dealers are there, and erases the pending
    file.

    Raises InvalidCeremony when a commitment is missing or wrong, or another list was opened before;
    ConfigError, KeyFileError.
    """
    dealer = _dealer(plan, operator)
    agreed = ceremony.all_commitments(plan, commitments)
    try:
        _require_working_folder(folder, dealer)
        with files.locked(folder):
            path = folder / f"{dealer}{opening.SUFFIX}"
            if path.exists():
                shown = read_opening(path)
                ceremony.require_same_list(plan, shown, agreed)
            else:
                pending = _pending(folder, plan, dealer, passphrase)
                shown = pending.signed(agreed, operator)
                ceremony.check_own(plan, shown)
                files.write_new(path, shown.to_json().encode())
            for name in (KEY, PENDING):
                files.erase(folder / name)
            files.sync(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return shown


def finish(
    folder: Path, plan: CeremonyPlan, openings: Iterable[Opening], commitments: Iterable[Commitment] = ()
) -> AllianceConfig:
    """Writes ``folder``, which must not exist or be empty: what all parties join with, all of it public.

    Raises InvalidCeremony, ConfigError.
    """
    shown = tuple(openings)
    config = ceremony.found(plan, shown, commitments)
    contents = {f"{one.dealer}{opening.SUFFIX}": one.to_json().encode() for one in shown}
    contents |= {ceremony_plan.FILE: plan.to_toml().encode()} | public_files(config)
    with new_folder(folder):
        write_files(folder, contents)
    return config


Ceremony: TypeAlias = tuple[CeremonyPlan, tuple[Opening, ...]]
"""The plan, and what its dealers have opened."""


def ceremony_of(folder: Path, config: AllianceConfig, request: Request) -> Ceremony | None:
    """That of a folder that ``finish`` wrote; None in another one.

    Raises ConfigError unless the plan has this request, and ``config``, which is of the folder, is the
    alliance that these openings found; InvalidCeremony.
    """
    path = folder / ceremony_plan.FILE
    if not path.exists():
        return None
    plan = read_plan(path)
    if request not in plan.requests:
        raise ConfigError(f"{path} was made without this request of '{request.name}': do not join")
    openings = [read_opening(folder / f"{dealer}{opening.SUFFIX}") for dealer in plan.dealers]
    shown = ceremony.all_openings(plan, openings)
    if ceremony.compute(plan, shown) != config:  # its alliance_id does not bind addresses and clients
        raise ConfigError(
            f"{folder / FILE} is not the alliance that {path.name} and the openings found: do not join"
        )
    return plan, shown


# -- reading -------------------------------------------------------------------------------------------


def read_plan(path: Path) -> CeremonyPlan:
    """Raises ConfigError."""
    return CeremonyPlan.from_toml(read_text(path, ceremony_plan.FILE_BYTES_MAX, "a plan"), str(path))


def read_commitment(path: Path) -> Commitment:
    """Raises ConfigError."""
    return Commitment.from_toml(read_text(path, commitment.FILE_BYTES_MAX, "a commitment"), str(path))


def read_opening(path: Path) -> Opening:
    """Raises ConfigError."""
    return Opening.from_json(read_text(path, FILE_BYTES_MAX, "an opening"), str(path))


# -- what is secret until it is opened -----------------------------------------------------------------


def _dealer(plan: CeremonyPlan, operator: Ed25519PrivateKey) -> str:
    """The dealer whose operator key this is."""
    public = operator.public_key().public_bytes_raw()
    for dealer in plan.dealers:
        if plan.operators[dealer] == public:
            return dealer
    listed = ", ".join(plan.dealers)
    raise ConfigError(f"this is the operator key of none of the plan's dealers: {listed}")


def _require_working_folder(folder: Path, dealer: str) -> None:
    """Raises ConfigError unless it is one or empty: what is half written in it is deleted when it is used."""
    names = {path.name for path in folder.iterdir()}
    own = {KEY, PENDING, f"{PENDING}.next", f"{dealer}{commitment.SUFFIX}"}
    if names and not names & own:
        raise ConfigError(f"{folder} is not empty, and no working folder of '{dealer}': name a new folder")


def _dealt(plan: CeremonyPlan, dealer: str, progress: Progress | None) -> Opening:
    """All factors of this dealer. The primes are gone when this returns, and the shares are sealed."""
    system, bits, count = plan.system, plan.founding.key_size, len(plan.dealers)
    factors = [
        (purpose, deal_factor(system, threshold, bits, count, progress))
        for purpose, threshold in plan.thresholds
    ]
    keys = [(purpose, one.key, one.endorsers) for purpose, one in factors]
    return Opening(
        plan.digest,
        dealer,
        tuple(new_nonce() for _ in factors),
        tuple(one.trials for _, one in factors),
        seal_shares(plan.digest, plan.member_requests, keys),
    )


def _keep(folder: Path, made: Opening, passphrase: bytes) -> None:
    """The pending file, and then its key. Raises OSError."""
    key, iv = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_IV_BYTES)
    sealed = AESGCM(key).encrypt(iv, made.to_json().encode(), PENDING.encode())
    files.write_new(folder / PENDING, iv + sealed)
    files.write_new(folder / KEY, secret_file.seal(KEY, key, passphrase))


def _pending(folder: Path, plan: CeremonyPlan, dealer: str, passphrase: bytes) -> Opening:
    """Raises KeyFileError, and ConfigError when it is of another plan or gone."""
    if not (folder / KEY).exists():
        raise ConfigError(f"{folder} holds nothing to be opened: 'alliance ceremony deal' comes first")
    key = secret_file.unseal(folder / KEY, passphrase)
    path = folder / PENDING
    try:
        data = path.read_bytes()
        text = AESGCM(key).decrypt(data[:_IV_BYTES], data[_IV_BYTES:], PENDING.encode()).decode()
    except (FileNotFoundError, InvalidTag, ValueError):
        raise KeyFileError(f"{path} is damaged: begin anew, with another plan") from None
    pending = Opening.from_json(text, str(path))
    if pending.plan != plan.digest:
        raise _other_plan(folder)
    if pending.dealer != dealer:
        raise ConfigError(
            f"{folder} is the working folder of '{pending.dealer}', and this is the operator key of"
            f" '{dealer}': name a folder and a key of one dealer"
        )
    return pending


def _own_commitment(folder: Path, path: Path, plan: CeremonyPlan) -> Commitment:
    """The one that was made here before; never another one."""
    made = read_commitment(path)
    if made.plan != plan.digest:
        raise _other_plan(folder)
    if not (folder / KEY).exists() and not (folder / f"{made.dealer}{opening.SUFFIX}").exists():
        raise ConfigError(
            f"{folder / KEY} is missing, and with it what {path.name} committed to: restore it, or begin anew"
            " with another plan"
        )
    return made


def _other_plan(folder: Path) -> ConfigError:
    return ConfigError(f"{folder} holds the dealing for another plan: name a new folder for this one")


def _unwritable(folder: Path, error: OSError) -> KeyFileError:
    return KeyFileError(
        f"{folder} cannot be written: {error.strerror}; check its owner and space, and repeat"
    )
