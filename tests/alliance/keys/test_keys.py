"""Keys at rest: only with the passphrase, only the right ones, and no half-way with damaged files."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import ATTESTATION
from alliance.errors import AllianceError, ClockError, ConfigError, KeyFileError
from alliance.keys import files
from alliance.keys import folder as keys
from alliance.keys.folder import IDENTITY, SHARE, TLS_KEY
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.keys.failing import FailingOs, Killed

ME = 2


@pytest.fixture
def home(farm: Farm, tmp_path: Path) -> Path:
    """A copy of a member's folder, to be spoilt."""
    return Path(shutil.copytree(farm.member_home(ME), tmp_path / "home"))


def load_all(farm: Farm, home: Path, passphrase: bytes = PASSPHRASE) -> None:
    keys.load_credentials(home, farm.config.members[ME], passphrase)
    keys.load_endorser(home, farm.config, ME, passphrase)
    keys.load_endorser(home, farm.config, ME, passphrase, ATTESTATION)


def loaders(farm: Farm, home: Path) -> dict[str, Callable[[bytes], object]]:
    member = farm.config.members[ME]
    return {
        IDENTITY: lambda passphrase: keys.load_credentials(home, member, passphrase),
        TLS_KEY: lambda passphrase: keys.load_credentials(home, member, passphrase),
        SHARE: lambda passphrase: keys.load_endorser(home, farm.config, ME, passphrase),
    }


def test_only_the_owner_may_read_the_key_files(farm: Farm) -> None:
    homes = [farm.member_home(index) for index in range(6)] + [farm.client_home(index) for index in range(2)]
    for home in homes:
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        for name in (IDENTITY, TLS_KEY, SHARE):
            if name != SHARE or home.parent.name == "members":
                assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
    assert not (farm.client_home(0) / SHARE).exists()


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    files.write_private(tmp_path / "key", b"one")
    with pytest.raises(FileExistsError):
        files.write_private(tmp_path / "key", b"two")
    assert (tmp_path / "key").read_bytes() == b"one"


def test_secrets_do_not_print(farm: Farm) -> None:
    credentials = farm.members[ME]
    fresh = keys.generate_keys("x", datetime.datetime.now(datetime.UTC))
    for text in (repr(credentials), repr(fresh)):
        assert "PRIVATE" not in text
        assert "PrivateKey" not in text


@pytest.mark.parametrize("name", [IDENTITY, TLS_KEY, SHARE])
@pytest.mark.parametrize("wrong", [b"wrong", b"", PASSPHRASE + b"\n", PASSPHRASE.upper()])
def test_a_wrong_passphrase_is_refused(farm: Farm, home: Path, name: str, wrong: bytes) -> None:
    with pytest.raises(KeyFileError, match="passphrase"):
        loaders(farm, home)[name](wrong)


@pytest.mark.parametrize("name", [IDENTITY, TLS_KEY, SHARE])
def test_damage_anywhere_is_refused(farm: Farm, home: Path, name: str) -> None:
    load = loaders(farm, home)[name]
    file = home / name
    data = file.read_bytes()
    load(PASSPHRASE)
    random = Random(7)
    mutants = [data[:end] for end in range(0, len(data) - 1, max(len(data) // 25, 1))]
    for at in {*range(0, len(data) - 1, max(len(data) // 60, 1)), *range(40)}:
        flipped = bytearray(data)
        flipped[at] ^= 1 << random.randrange(8)
        mutants.append(bytes(flipped))
    mutants += [b"", b"\xff\xff", b"hello", data * 2, b"x" * (keys.KEY_FILE_BYTES_MAX + 1)]
    accepted = 0
    for mutant in mutants:
        file.write_bytes(mutant)
        try:
            load(PASSPHRASE)
        except KeyFileError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            accepted += 1  # a line end or the like: the key inside was checked all the same
    assert accepted <= 3


def test_missing_and_unreadable_files_are_named(farm: Farm, home: Path) -> None:
    for name, load in loaders(farm, home).items():
        (home / name).rename(home / "away")
        with pytest.raises(KeyFileError, match=f"{name} is missing"):
            load(PASSPHRASE)
        (home / name).mkdir()
        with pytest.raises(KeyFileError, match="cannot be read"):
            load(PASSPHRASE)
        (home / name).rmdir()
        (home / "away").rename(home / name)
    load_all(farm, home)


def test_another_partys_keys_are_refused(farm: Farm, home: Path) -> None:
    for name, load in loaders(farm, home).items():
        mine = (home / name).read_bytes()
        (home / name).write_bytes((farm.member_home(ME + 1) / name).read_bytes())
        with pytest.raises(KeyFileError, match=r"not those of|is the share of member 4"):
            load(PASSPHRASE)
        (home / name).write_bytes(mine)
    load_all(farm, home)


def test_keys_in_each_others_files_are_refused(farm: Farm, home: Path) -> None:
    identity, tls, share = ((home / name).read_bytes() for name in (IDENTITY, TLS_KEY, SHARE))
    for name, content in ((IDENTITY, tls), (IDENTITY, share), (TLS_KEY, identity), (SHARE, identity)):
        before = (home / name).read_bytes()
        (home / name).write_bytes(content)
        with pytest.raises(KeyFileError):
            loaders(farm, home)[name](PASSPHRASE)
        (home / name).write_bytes(before)


def test_a_clock_before_or_after_the_certificate_is_refused(farm: Farm) -> None:
    member = farm.config.members[ME]
    begin, end = member.certificate.not_valid_before_utc, member.certificate.not_valid_after_utc
    second = datetime.timedelta(seconds=1)
    for good in (begin, begin + second, end - second, end):
        keys.check_clock(member, good)
    with pytest.raises(ClockError, match="set the clock"):
        keys.check_clock(member, begin - second)
    with pytest.raises(ClockError, match="expired"):
        keys.check_clock(member, end + second)


def test_a_new_certificate_bears_a_clock_that_is_a_little_slow() -> None:
    now = datetime.datetime.now(datetime.UTC)
    fresh = keys.generate_keys("x", now)
    assert fresh.certificate.not_valid_before_utc <= now - datetime.timedelta(minutes=59)
    assert fresh.certificate.not_valid_after_utc >= now + datetime.timedelta(days=3600)


# -- reseal ------------------------------------------------------------------------------------------


def test_resealing_changes_the_passphrase_and_nothing_else(farm: Farm, home: Path) -> None:
    assert keys.reseal(home, farm.config, PASSPHRASE, b"new") == 4
    load_all(farm, home, b"new")
    with pytest.raises(KeyFileError):
        load_all(farm, home, PASSPHRASE)
    assert {path.name for path in home.iterdir()} == {path.name for path in farm.member_home(ME).iterdir()}
    for name in (IDENTITY, TLS_KEY, SHARE, keys.share_file(ATTESTATION)):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


def test_a_failed_resealing_changes_nothing(farm: Farm, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyFileError):
        keys.reseal(home, farm.config, b"wrong", b"new")
    with pytest.raises(KeyFileError, match="empty"):
        keys.reseal(home, farm.config, PASSPHRASE, b"")
    load_all(farm, home)
    written: list[Path] = []

    def full(path: Path, data: bytes) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_private", full)
        with pytest.raises(KeyFileError, match="No space left"):
            keys.reseal(home, farm.config, PASSPHRASE, b"new")
    load_all(farm, home)
    assert keys.reseal(home, farm.config, PASSPHRASE, b"new") == 4  # what was left behind is no obstacle


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), Killed()], ids=["fails", "killed"])
def test_wherever_resealing_ends_exactly_one_passphrase_opens_the_folder(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    monkeypatch.setattr(keys, "SCRYPT_COST", 16)
    opened_by = set()
    for step in range(100):
        home = Path(shutil.copytree(farm.client_home(0), tmp_path / f"home-{step}"))
        failing = FailingOs(failure, after=step)
        told: list[tuple[str, list[bytes]]] = []
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", failing)
            try:
                keys.reseal(home, farm.config, PASSPHRASE, b"new")
            except KeyFileError as error:
                told.append((str(error), openers(farm, home)))  # while the disk still fails
            except Killed:
                pass
        opener = openers(farm, home)
        assert len(opener) == 1, f"step {step}: {opener}"
        for text, then in told:
            assert then == opener
            assert ("new passphrase opens it" in text) == (then == [b"new"])
        opened_by.update(opener)
        names = {path.name for path in home.iterdir()}
        assert names == {path.name for path in farm.client_home(0).iterdir()}
        keys.reseal(home, farm.config, opener[0], b"newer")
        if not failing.failed:
            break
    assert not failing.failed
    assert opened_by == {PASSPHRASE, b"new"}


def openers(farm: Farm, home: Path) -> list[bytes]:
    """Which of the two passphrases open the folder of the first client."""
    found = []
    for passphrase in (PASSPHRASE, b"new"):
        with contextlib.suppress(KeyFileError):
            keys.load_credentials(home, farm.config.clients[0], passphrase)
            found.append(passphrase)
    return found


# -- whose folder ------------------------------------------------------------------------------------


def test_a_folder_of_the_wrong_kind_is_named(farm: Farm, tmp_path: Path) -> None:
    assert keys.load_name(farm.member_home(0), "member") == "member-1"
    with pytest.raises(ConfigError, match=r"is a client's folder: name one such as .*/members/member-1$"):
        keys.load_name(farm.client_home(0), "member")
    with pytest.raises(ConfigError, match=r"is a member's folder: name one such as .*/clients/client-1$"):
        keys.load_name(farm.member_home(0), "client")
    with pytest.raises(ConfigError, match="is no member's folder: name one of those"):
        keys.load_name(tmp_path, "member")
    with pytest.raises(ConfigError, match="is no member's or client's folder: name one such as"):
        keys.load_name(farm.folder, "member", "client")
    (tmp_path / "member.name").write_bytes(b"\xff")
    with pytest.raises(AllianceError):
        keys.member_party(farm.config, tmp_path)
    (tmp_path / "member.name").write_text("member-7")
    with pytest.raises(ConfigError, match="knows no member 'member-7'; did you mean"):
        keys.member_party(farm.config, tmp_path)


def test_the_identity_is_the_signing_key(farm: Farm) -> None:
    for credentials in (*farm.members, *farm.clients):
        assert isinstance(credentials.signing_key, Ed25519PrivateKey)
        assert credentials.signing_key.public_key().public_bytes_raw() == credentials.party.identity
