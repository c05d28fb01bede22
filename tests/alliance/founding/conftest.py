"""Six members and a client that have made their keys at home, and the alliance that was founded for them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.founding import by_request, party
from alliance.founding.plan import Founding
from alliance.founding.request import Request
from alliance.keys import sealing
from alliance.keys.folder import OPERATOR
from tests.alliance.farm import PASSPHRASE
from tests.alliance.founding.applicants import KEY_SIZE, NAMES
from tests.worlds.founding import cheaply, receiver

CLIENT = "carola"


@dataclass(frozen=True)
class Founded:
    """``homes`` are the parties' folders, ``public`` is what the dealer wrote."""

    homes: Path
    public: Path
    config: AllianceConfig
    requests: dict[str, Request]

    def home(self, name: str, to: Path) -> Path:
        """A copy of a party's folder, to be changed."""
        return Path(shutil.copytree(self.homes / name, to / name))


@pytest.fixture(scope="session")
def stocked() -> Iterator[None]:
    """Receiver keys that are ready: two primes each would be searched for."""
    stock = map(receiver, itertools.cycle(range(6)))
    with patch.object(party, "generate_receiver", lambda bits: next(stock)):
        yield


def ask(homes: Path, name: str, operator: Ed25519PrivateKey | None = None) -> Request:
    organisation = f"{name}-ag" if operator is None else "anna-ag"
    address = f"127.0.0.1:{7400 + NAMES.index(name)}"
    return party.ask_as_member(
        homes / name, name, organisation, address, KEY_SIZE, PASSPHRASE, operator=operator
    )


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory, cheap_scrypt: None, stocked: None) -> Founded:
    folder = tmp_path_factory.mktemp("by-request")
    homes, public = folder / "homes", folder / "farm"
    for name in NAMES[:5]:
        ask(homes, name)
    operator = homes / "anna" / OPERATOR
    ask(homes, "fritz", sealing.unseal_signing(sealing.read(operator), operator, PASSPHRASE))
    party.ask_as_client(homes / CLIENT, CLIENT, PASSPHRASE, "bert-ag")
    files = [party.request_file(homes / name, name) for name in (*NAMES, CLIENT)]
    requests = by_request.read_requests(files)
    with cheaply():
        config = by_request.found_for(plan(requests), list(requests.values()), public)
    return Founded(homes, public, config, requests)


def plan(requests: dict[str, Request], key_size: int = KEY_SIZE, attest: int | None = None) -> Founding:
    return by_request.plan(requests, name="farm", faults=1, key_size=key_size, attest=attest)


Contents = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def contents() -> Contents:
    """All files of a folder."""
    return lambda folder: {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
