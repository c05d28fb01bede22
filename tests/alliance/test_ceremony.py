"""The dealer's ceremony: all or nothing, and no secret outlives it in the clear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import shoup_rsa
from alliance import ceremony, config, keys
from alliance.ceremony import Founding
from alliance.errors import AllianceError, ConfigError, KeyFileError
from tests.alliance.farm import CLIENTS, MEMBERS, PASSPHRASE, Farm

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
        ({"faulty_max": 2}, "5f\\+1"),
        ({"member_names": MEMBERS[:5], "addresses": GOOD.addresses[:5]}, "5f\\+1"),
        ({"key_size": 1024}, "--bits"),
        ({"key_size": 2049}, "--bits"),
        ({"key_size": 16384}, "--bits"),
        ({"addresses": GOOD.addresses[:5]}, "as many addresses"),
        ({"addresses": [*GOOD.addresses[:5], "localhost"]}, "no address"),
        ({"addresses": [*GOOD.addresses[:5], 'a"b:1']}, "no address"),
    ],
)
def test_what_cannot_be_founded_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        ceremony.found(replace(GOOD, **changes), tmp_path / "farm", PASSPHRASE)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="empty"):
        ceremony.found(GOOD, tmp_path / "farm", b"")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ConfigError, match="not empty"):
        ceremony.found(GOOD, tmp_path, PASSPHRASE)
    with pytest.raises(ConfigError, match="not empty"):
        ceremony.found(GOOD, tmp_path / "precious", PASSPHRASE)
    with pytest.raises(ConfigError, match="cannot be written"):
        ceremony.found(GOOD, tmp_path / "precious" / "farm", PASSPHRASE)
    assert (tmp_path / "precious").read_text() == "data"


class Interrupted(BaseException):
    pass


def fail_with(error: BaseException, after: int) -> Callable[..., Any]:
    left = [after]
    write = keys.write_private

    def fail(path: Path, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error
        write(path, data)

    return fail


@pytest.mark.parametrize("after", [0, 1, 4, 11])
@pytest.mark.parametrize("existed", [True, False])
def test_nothing_stays_behind_after_a_failure(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, existed: bool
) -> None:
    monkeypatch.setattr(ceremony, "deal_agreement_key", lambda *_: (farm.config.key, tuple(farm.endorsers)))
    target = tmp_path / "deep" / "farm"
    if existed:
        target.mkdir(parents=True)
    for error, seen in (
        (OSError(28, "No space left on device"), ConfigError),
        (Interrupted(), Interrupted),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(ceremony, "write_private", fail_with(error, after))
            patch.setattr(keys, "write_private", fail_with(error, after * 2))
            with pytest.raises(seen):
                ceremony.found(GOOD, target, PASSPHRASE)
        assert target.exists() == existed
        assert list(tmp_path.rglob("*")) == ([tmp_path / "deep", target] if existed else [])
    ceremony.found(GOOD, target, PASSPHRASE)
    assert config.load(target).member_index("member-6") == 5


def test_no_secret_is_on_disk(farm: Farm) -> None:
    """Neither the dealer's exponent, which any quorum of shares determines, nor a share or key of anybody."""
    secrets = [keys_of.signing_key.private_bytes_raw() for keys_of in (*farm.members, *farm.clients)]
    for endorser in farm.endorsers:
        share = endorser._share._secret
        secrets.append(share.to_bytes(farm.config.key.signature_length, "big"))
        secrets.append(str(share).encode())
    secrets += [PASSPHRASE]
    files = [path for path in farm.folder.rglob("*") if path.is_file()]
    assert len(files) > 40
    needles = [form for secret in secrets for form in (secret, secret.hex().encode())]
    for path in files:
        data = path.read_bytes()
        plain = [b"BEGIN PRIVATE KEY", b"BEGIN RSA PRIVATE", b"BEGIN EC PRIVATE", b"OPENSSH PRIVATE"]
        assert not any(needle in data for needle in (*needles, *plain)), path


def test_the_exponent_itself_is_never_written(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shares of a quorum are interpolated to the exponent that the dealer had; it is nowhere."""
    system = farm.config.system
    key = farm.config.key
    # Shoup: with Lagrange's coefficients scaled by n!, the secrets of any k shares give n!·d modulo the
    # hidden order. What can be checked without the order: it signs, as the certificates do.
    statement = b"a message"
    shares = [endorser._share.sign_share(statement, proof=True) for endorser in farm.endorsers]
    signature = key.combine(statement, shares[: system.decision])
    key.verify(statement, signature)
    assert not any(
        hasattr(farm.config.key, name) for name in ("d", "p", "q", "private_exponent", "prime_factors")
    )
    assert not any("prime" in name or name == "exponent" for name in vars(shoup_rsa.KeyShare))


def test_progress_is_told_and_its_errors_are_not_swallowed(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceremony, "deal_agreement_key", lambda *_: (farm.config.key, tuple(farm.endorsers)))
    told: list[tuple[str, int]] = []
    ceremony.found(GOOD, tmp_path / "one", PASSPHRASE, lambda stage, count: told.append((stage, count)))
    assert told == [("folders", count) for count in range(1, 9)]

    def burst(stage: str, count: int) -> None:
        raise AllianceError("no more")

    with pytest.raises(AllianceError, match="no more"):
        ceremony.found(GOOD, tmp_path / "two", PASSPHRASE, burst)
    assert not (tmp_path / "two").exists()
