"""A dealer founds on one machine: all or nothing, and no secret outlives it in the clear."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alliance.config import file as config
from alliance.errors import AllianceError, ConfigError, KeyFileError
from alliance.founding import dealer
from alliance.founding.plan import Founding
from alliance.keys import files
from tests.alliance.farm import CLIENTS, MEMBERS, PASSPHRASE, Farm
from tests.worlds.founding import receiver

GOOD = Founding("farm", MEMBERS, [f"127.0.0.1:{7400 + at}" for at in range(6)], CLIENTS, 1, 2048)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": "The Farm"}, "is no name"),
        ({"name": "../farm"}, "is no name"),
        ({"client_names": ["a/b"]}, "is no name"),
        ({"client_names": ["-a"]}, "is no name"),
        ({"client_names": ["a" * 64]}, "is no name"),
        ({"client_names": ["member-1"]}, "same name"),
        ({"client_names": ["x", "x"]}, "same name"),
        ({"member_names": ["member-1", *MEMBERS[:-1]]}, "same name"),
        ({"faulty_max": 0}, "tolerates no fault"),
        ({"faulty_max": -1}, "tolerates no fault"),
        ({"faulty_max": 2}, "5f-1 = 9"),
        ({"member_names": MEMBERS[:3], "addresses": GOOD.addresses[:3]}, "5f-1 = 4"),
        ({"member_names": MEMBERS[:5], "addresses": GOOD.addresses[:5], "profile": "classic"}, "5f\\+1"),
        ({"key_size": 1024}, "--bits"),
        ({"key_size": 2049}, "--bits"),
        ({"key_size": 16384}, "--bits"),
        ({"addresses": GOOD.addresses[:5]}, "as many addresses"),
        ({"organisations": ["a", "b"]}, "as many organisations, not 2"),
        ({"organisations": ["a", "b", "c", "d", "e", "F"]}, "is no name"),
        ({"addresses": [*GOOD.addresses[:5], "localhost"]}, "no address"),
        ({"addresses": [*GOOD.addresses[:5], 'a"b:1']}, "no address"),
    ],
)
def test_what_cannot_be_founded_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        dealer.found(replace(GOOD, **changes), tmp_path / "farm", PASSPHRASE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("weak", "says"), [(b"", "is empty"), (b"1234567", "has 7 bytes")])
def test_a_passphrase_that_protects_nothing_is_refused(tmp_path: Path, weak: bytes, says: str) -> None:
    with pytest.raises(KeyFileError, match=f"the new passphrase {says}"):
        dealer.found(GOOD, tmp_path / "farm", weak)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ConfigError, match="not empty"):
        dealer.found(GOOD, tmp_path, PASSPHRASE)
    with pytest.raises(ConfigError, match="not empty"):
        dealer.found(GOOD, tmp_path / "precious", PASSPHRASE)
    with pytest.raises(ConfigError, match="cannot be written"):
        dealer.found(GOOD, tmp_path / "precious" / "farm", PASSPHRASE)
    assert (tmp_path / "precious").read_text() == "data"


class Interrupted(BaseException):
    pass


def fail_with(error: BaseException, after: int) -> Callable[..., Any]:
    left = [after]
    write = files.write_private

    def fail(path: Path, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error
        write(path, data)

    return fail


@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize("existed", [True, False])
def test_nothing_stays_behind_after_a_failure(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, existed: bool
) -> None:
    monkeypatch.setattr(dealer, "deal_agreement_key", lambda *_: (farm.config.key, tuple(farm.endorsers)))
    target = tmp_path / "deep" / "farm"
    if existed:
        target.mkdir(parents=True)
    attestation = (farm.config.purpose_key("attestation"), tuple(farm.attesters))
    monkeypatch.setattr(dealer, "deal_key", lambda *_: attestation)
    monkeypatch.setattr(dealer, "generate_receiver", lambda _: receiver(0))
    for error, seen in (
        (OSError(28, "No space left on device"), ConfigError),
        (Interrupted(), Interrupted),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(dealer, "write_private", fail_with(error, after))
            patch.setattr(files, "write_private", fail_with(error, after * 2))
            with pytest.raises(seen):
                dealer.found(GOOD, target, PASSPHRASE)
        assert target.exists() == existed
        assert list(tmp_path.rglob("*")) == ([tmp_path / "deep", target] if existed else [])
    dealer.found(GOOD, target, PASSPHRASE)
    assert config.load(target).member_index("member-6") == 5


def spellings(number: int) -> list[bytes]:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return [
        data,
        data[::-1],
        data.hex().encode(),
        data.hex().upper().encode(),
        str(number).encode(),
        base64.b64encode(data)[: len(data) // 2],  # in PEM a long text is broken into lines
        base64.b64encode(data)[:40],
    ]


def test_no_secret_is_on_disk(farm: Farm) -> None:
    """Neither the dealer's primes and exponent, nor a share or private key of anybody."""
    first, second = farm.primes
    order = (first // 2) * (second // 2)
    exponent = pow(farm.config.key.public_exponent, -1, order)
    message = 0x1234567**2  # a square: the exponent was made for their order
    signature = pow(message, exponent, first * second)
    assert pow(signature, farm.config.key.public_exponent, first * second) == message
    numbers = [first, second, first // 2, second // 2, order, exponent]
    numbers.append(pow(farm.config.key.public_exponent, -1, (first - 1) * (second - 1)))
    numbers += [endorser._share._secret for endorser in farm.endorsers]
    needles = [spelling for number in numbers for spelling in spellings(number)]
    for party in (*farm.members, *farm.clients):
        needles += spellings(int.from_bytes(party.signing_key.private_bytes_raw(), "big"))
        needles += spellings(party.channel().key.private_numbers().private_value)
    needles += [PASSPHRASE, b"BEGIN PRIVATE KEY", b"BEGIN RSA PRIVATE", b"BEGIN EC PRIVATE"]
    files = [path for path in farm.folder.rglob("*") if path.is_file()]
    assert len(files) > 40
    for path in files:
        data = path.read_bytes()
        assert not any(needle in data for needle in needles), path


def test_progress_is_told_and_its_errors_are_not_swallowed(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dealer, "deal_agreement_key", lambda *_: (farm.config.key, tuple(farm.endorsers)))
    attestation = (farm.config.purpose_key("attestation"), tuple(farm.attesters))
    monkeypatch.setattr(dealer, "deal_key", lambda *_: attestation)
    monkeypatch.setattr(dealer, "generate_receiver", lambda _: receiver(0))
    told: list[tuple[str, int]] = []
    dealer.found(GOOD, tmp_path / "one", PASSPHRASE, lambda stage, count: told.append((stage, count)))
    assert told == [
        *(("receivers", count) for count in range(1, 7)),
        *(("folders", count) for count in range(1, 9)),
    ]

    def burst(stage: str, count: int) -> None:
        raise AllianceError("no more")

    with pytest.raises(AllianceError, match="no more"):
        dealer.found(GOOD, tmp_path / "two", PASSPHRASE, burst)
    assert not (tmp_path / "two").exists()
