"""Certified snapshots: what executors say jointly of an application's state after a slot, in files.

A member keeps them in the folder ``APPLICATION.snapshots`` of its own: ``SLOT.snapshot``, the state, and
``SLOT.certificate`` once enough executors have signed it. The executor writes them; the member's server reads
the certificates, because it keeps the log as long as an application would need it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from alliance.config.bounded import read_file
from alliance.config.parties import NAME
from quorum import InvalidCertificate, InvalidStatement, QuorumCertificate, SnapshotStatement
from quorum.threshold_rsa import ThresholdRsaScheme

SNAPSHOTS, LOCK = ".snapshots", ".lock"
"""A member's folder has these of each application: the folder of its snapshots, and its state's lock."""

MAGIC = b"alliance-snapshot-certificate/1\n"
CERTIFICATE_BYTES_MAX = 64 * 1024
_CERTIFICATE = re.compile(r"([1-9][0-9]{0,18})\.certificate")


def application_digest(application: str) -> bytes:
    """What a statement says instead of the name."""
    return sha256(application.encode()).digest()


def snapshot_of(
    certificate: QuorumCertificate, scheme: ThresholdRsaScheme, application: str
) -> SnapshotStatement:
    """What it certifies of this application. Raises InvalidCertificate unless it does.

    ``scheme`` is that of the attestation key. As with replies, any epoch will do.
    """
    statement = certificate.statement
    if not isinstance(statement, SnapshotStatement):
        raise InvalidCertificate(f"not of a snapshot: it certifies a {type(statement).__name__}")
    if statement.application != application_digest(application):
        raise InvalidCertificate(f"it is of another application than '{application}'")
    certificate.verify(scheme.in_epoch(certificate.epoch))
    return statement


def counts(certificate: QuorumCertificate | None, scheme: ThresholdRsaScheme) -> bool:
    """Whether executors rely on it: until its key is replaced. Whoever has got hold of the former shares by
    then certifies any state with them."""
    return certificate is not None and scheme.in_epoch(certificate.epoch).last_slot is None


def snapshot_path(folder: Path, slot: int) -> Path:
    return folder / f"{slot}.snapshot"


def certificate_path(folder: Path, slot: int) -> Path:
    return folder / f"{slot}.certificate"


def alarm_path(folder: Path) -> Path:
    """The executor's words for its operator: what is wrong with its snapshots. Absent if nothing is."""
    return folder / "alarm"


def write_certificate(certificate: QuorumCertificate) -> bytes:
    """The content of its file."""
    return MAGIC + certificate.encode()


def read_certificate(path: Path) -> QuorumCertificate:
    """Not verified. Raises OSError, and InvalidStatement when it is none."""
    data = read_file(path, CERTIFICATE_BYTES_MAX)
    if not data.startswith(MAGIC):
        raise InvalidStatement("not a certificate of a snapshot")
    return QuorumCertificate.decode(data[len(MAGIC) :])


def certified_slots(folder: Path) -> list[int]:
    """Slots for which there are a snapshot and its certificate, ascending; nothing in them is looked at."""
    try:
        found = [int(match[1]) for path in folder.iterdir() if (match := _CERTIFICATE.fullmatch(path.name))]
    except OSError:
        return []
    return sorted(slot for slot in found if snapshot_path(folder, slot).exists())


def newest_certified(folder: Path, scheme: ThresholdRsaScheme, application: str) -> int:
    """The slot of the newest certified snapshot in an application's folder; 0 if there is none."""
    for slot in reversed(certified_slots(folder)):
        try:
            certificate = read_certificate(certificate_path(folder, slot))
            if snapshot_of(certificate, scheme, application).slot == slot:
                return slot
        except (OSError, InvalidStatement, InvalidCertificate):
            continue
    return 0


def applications(member_folder: Path) -> Iterator[str]:
    """Those whose executors have run in this folder of a member, in order."""
    names = {path.stem for ending in (SNAPSHOTS, LOCK) for path in member_folder.glob(f"*{ending}")}
    return (name for name in sorted(names) if NAME.fullmatch(name))
