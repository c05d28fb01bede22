"""The demo's last parts: a receipt before those who trust nobody, and what becomes of a tampered one."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

from alliance.cli.demo.narration import Narration
from alliance.errors import AllianceError

PROCESS_SECONDS = 120.0
"""More than any of them waits by itself, for a machine that is busy."""


class PartFailed(AllianceError):
    """A part of the demo did not hold."""


async def run(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """A real process: its exit code, and what it said. Without an ``environment`` it has ours.

    Raises PartFailed for one that does not end.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    try:
        async with asyncio.timeout(PROCESS_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        raise PartFailed(f"'{' '.join(arguments)}' did not end within {PROCESS_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, " ".join(said.decode("utf-8", "replace").split())


async def alliance(*arguments: str) -> tuple[int, str]:
    return await run(sys.executable, "-m", "alliance", *arguments)


class Proofs:
    """Works in the folder of the alliance, which holds ``receipt.json`` and ``public.pem``."""

    def __init__(self, folder: Path, narration: Narration) -> None:
        self._narration = narration
        self._key = folder / "public.pem"
        self._receipt = folder / "receipt.json"
        self._message = folder / "M.bin"
        self._signature = folder / "S.bin"

    async def openssl(self) -> None:
        """The genuine receipt, by ``alliance verify`` and by openssl. Raises PartFailed."""
        code, said = await alliance("verify", "--key", str(self._key), str(self._receipt))
        if code != 0:
            raise PartFailed(f"alliance verify refuses a genuine receipt: {said}")
        self._narration.fact("alliance verify, which contacts nobody: proven")
        code, said = await alliance(
            *("receipt", "export", str(self._receipt), "--force"),
            *("--message", str(self._message), "--signature", str(self._signature)),
        )
        if code != 0:
            raise PartFailed(f"alliance receipt export: {said}")
        self._narration.quote("openssl dgst -sha256 -verify public.pem -signature S.bin M.bin")
        code, said = await self._dgst(self._message)
        if code != 0 or said != "Verified OK":
            raise PartFailed(f"openssl refuses a genuine signature: {said}")
        self._narration.fact(f"openssl: {said}")

    async def tampered(self) -> None:
        """An altered receipt and an altered message are refused. Raises PartFailed."""
        table = json.loads(self._receipt.read_bytes())
        command = bytearray(b64decode(table["command"]))
        command[-1] ^= 1
        table["command"] = b64encode(command).decode()
        forged = self._receipt.with_name("forged.json")
        forged.write_text(json.dumps(table), "utf-8")
        code, said = await alliance("verify", "--key", str(self._key), str(forged))
        if code != 1:
            raise PartFailed(f"alliance verify does not refuse an altered command (code {code}): {said}")
        self._narration.fact("one bit of the command altered; alliance verify: refused")
        message = bytearray(self._message.read_bytes())
        message[-1] ^= 1
        altered = self._message.with_name("altered.bin")
        altered.write_bytes(message)
        code, said = await self._dgst(altered)
        if code == 0 or said == "Verified OK":
            raise PartFailed(f"openssl does not refuse an altered message: {said}")
        self._narration.fact("one bit of the signed root altered; openssl: refused")

    async def _dgst(self, message: Path) -> tuple[int, str]:
        if shutil.which("openssl") is None:
            raise PartFailed("openssl is not installed: on Debian and Ubuntu, apt-get install openssl")
        return await run(
            *("openssl", "dgst", "-sha256", "-verify", str(self._key)),
            *("-signature", str(self._signature), str(message)),
        )
