"""What ``alliance sign jwt|x509|ca|ssh`` have in common: from a request to the document on disk or paper."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance.cli.clients import unlock
from alliance.cli.output import Format, check_writable, emit, place, reporting, say, talk, write_file
from alliance.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from alliance.signing import Request, Signed


@dataclass(frozen=True)
class Job:
    """What the command line says of the key, the files and the timeout."""

    folder: Path
    purpose: str
    out: Path | None
    receipt: Path | None
    timeout: float
    force: bool
    passphrase_file: Path | None
    output: Format

    def check(self) -> None:
        """Raises ConfigError when there is no such key, or a file cannot be written."""
        from alliance.config import file as config
        from alliance.signing.order import signing_key

        files = [path.absolute() for path in (self.out, self.receipt) if path is not None]
        for path in files:
            check_writable(path, force=self.force)
        if len(set(files)) < len(files):
            raise ConfigError("--out and --receipt name the same file: name two")
        signing_key(config.load(self.folder), self.purpose)


def run(job: Job, make: Callable[[], Request]) -> None:
    """``make`` raises ConfigError for what nobody could sign."""
    from alliance.signing.order import to_command

    job.check()
    try:
        request = make()
    except ConfigError as error:
        raise InvalidRequest(f"{error}; nothing was ordered") from None
    to_command(job.purpose, request)  # it fits
    secret = unlock(job.folder, job.passphrase_file)
    signed = asyncio.run(_ask(job, secret, request))
    where = signed.order.occasion
    at = place(where.slot, where.position, where.command_index)
    with reporting(f"signed: {signed.order.request.summary}, number {where.number}, at {at}"):
        if job.receipt is not None:
            write_file(job.receipt, signed.receipt.to_json().encode())
        if job.out is not None:
            if request.KIND == "jwt":  # whoever holds a token may use it
                os.umask(0o077)
            write_file(job.out, signed.document)
        _tell(job, signed)


async def _ask(job: Job, secret: bytes, request: Request) -> Signed:
    from alliance import signing
    from alliance.signing.errors import SharesMissing, SigningRefused

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="alliance: %(message)s")
    async with await signing.connect(job.folder, secret) as client:
        try:
            return await client.sign(job.purpose, request, timeout=job.timeout)
        except (SharesMissing, SigningRefused) as error:
            if job.receipt is not None:
                write_file(job.receipt, error.receipt.to_json().encode())
            raise


def _tell(job: Job, signed: Signed) -> None:
    where = signed.order.occasion
    if job.output is Format.JSON:
        report: dict[str, Any] = {
            "document": None if job.out else signed.document.decode(),
            "file": str(job.out) if job.out else None,
            "number": where.number,
            "slot": where.slot,
            "position": where.position,
            "command_index": where.command_index,
            "time": signed.order.time,
            "message_digest": signed.order.digest.hex(),
            "members": list(signed.members),
            "refusals": dict(signed.refusals),
            "culprits": dict(signed.culprits),
        }
        emit(report)
        return
    if job.out is None:
        say(signed.document.decode().rstrip("\n"))
    talk(f"signed by {', '.join(signed.members)}: {signed.order.request.summary}, number {where.number}")
    for verb, heard in (("refused by", signed.refusals), ("at fault:", signed.culprits)):
        for member, why in heard:
            talk(f"{verb} {member}: {why}")
