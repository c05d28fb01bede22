"""Keys at rest: only with the passphrase, only the right ones, and no half-way with damaged files."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from alliance.config.file import ATTESTATION
from alliance.config.founding import AGREEMENT
from alliance.config.parties import Party
from alliance.errors import AllianceError, ClockError, ConfigError, KeyFileError
from alliance.keys import files, sealing
from alliance.keys import folder as keys
from alliance.keys.channel import LIFETIME, certify, is_certified_by
from alliance.keys.folder import IDENTITY, TLS_KEY
from alliance.keys.shares import Generation, load_endorser, sealing_file, share_file
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.keys.failing import FailingOs, Killed

ME = 2
FOUNDED = Generation(0)
SEALING, SHARE = sealing_file(FOUNDED), share_file(FOUNDED, AGREEMENT)
NEW = b"a new one"
NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
REAL_COST = sealing.SCRYPT_COST, sealing.SCRYPT_PASSES


def a_party(name: str) -> tuple[Party, Ed25519PrivateKey]:
    made = keys.NewIdentity(name)
    return Party(name, made.identity, made.certificate), made.key


@pytest.fixture
def home(farm: Farm, tmp_path: Path) -> Path:
    """A copy of a member's folder, to be spoilt."""
    return Path(shutil.copytree(farm.member_home(ME), tmp_path / "home"))


def load_all(farm: Farm, home: Path, passphrase: bytes = PASSPHRASE) -> None:
    keys.load_credentials(home, farm.config.members[ME], passphrase)
    load_endorser(home, farm.config, ME, passphrase)
    load_endorser(home, farm.config, ME, passphrase, ATTESTATION)


def loaders(farm: Farm, home: Path) -> dict[str, Callable[[bytes], object]]:
    member = farm.config.members[ME]
    return {
        IDENTITY: lambda passphrase: keys.load_credentials(home, member, passphrase),
        TLS_KEY: lambda passphrase: keys.load_credentials(home, member, passphrase),
        SEALING: lambda passphrase: load_endorser(home, farm.config, ME, passphrase),
        SHARE: lambda passphrase: load_endorser(home, farm.config, ME, passphrase),
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
    for text in (repr(credentials), repr(credentials.channel()), repr(keys.NewIdentity("x"))):
        assert "PRIVATE" not in text
        assert "PrivateKey" not in text


@pytest.mark.parametrize("name", [IDENTITY, TLS_KEY, SEALING, SHARE])
@pytest.mark.parametrize("wrong", [b"wrong", b"", PASSPHRASE + b"\n", PASSPHRASE.upper()])
def test_a_wrong_passphrase_is_refused(farm: Farm, home: Path, name: str, wrong: bytes) -> None:
    with pytest.raises(KeyFileError, match="passphrase"):
        loaders(farm, home)[name](wrong)


@pytest.mark.parametrize("name", [IDENTITY, TLS_KEY, SEALING, SHARE])
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
    mutants += [b"", b"\xff\xff", b"hello", data * 2, b"x" * (sealing.KEY_FILE_BYTES_MAX + 1)]
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
        with pytest.raises(KeyFileError, match=r"not those of|do not belong together"):
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


# -- renewal -----------------------------------------------------------------------------------------

DAY = datetime.timedelta(days=1)


def test_a_clock_before_the_certificate_is_refused(farm: Farm, home: Path) -> None:
    member = farm.config.members[ME]
    begin = farm.members[ME].channel().certificate.not_valid_before_utc
    before = (home / TLS_KEY).read_bytes()
    keys.load_credentials(home, member, PASSPHRASE, lambda: begin)
    with pytest.raises(ClockError, match="set the clock; if it is right, 'alliance renew DIR'"):
        keys.load_credentials(home, member, PASSPHRASE, lambda: begin - datetime.timedelta(seconds=1))
    assert (home / TLS_KEY).read_bytes() == before


def test_a_new_certificate_bears_the_clocks_of_others() -> None:
    party, key = a_party("x")
    channel = certify(party, key, NOW)
    assert channel.certificate.not_valid_before_utc == NOW - DAY
    assert channel.expires == NOW + LIFETIME == NOW + 90 * DAY
    due = [days for days in (0, 58, 59, 60, 90, 100) if channel.is_due(NOW + days * DAY)]
    assert due == [60, 90, 100]


def test_a_due_certificate_is_renewed_by_whoever_opens_the_folder(farm: Farm, home: Path) -> None:
    member = farm.config.members[ME]
    moment = [farm.members[ME].channel().expires - 90 * DAY]
    identity = (home / IDENTITY).read_bytes()
    for days, due in ((50, False), (20, True), (400, True)):  # long expired is no obstacle either
        moment[0] += days * DAY
        before = (home / TLS_KEY).read_bytes()
        got = keys.load_credentials(home, member, PASSPHRASE, lambda: moment[0]).channel()
        assert ((home / TLS_KEY).read_bytes() != before) == due
        assert not due or got.expires == moment[0] + 90 * DAY
        again = keys.load_credentials(home, member, PASSPHRASE, lambda: moment[0]).channel()
        assert again.certificate == got.certificate
    assert (home / IDENTITY).read_bytes() == identity
    assert stat.S_IMODE((home / TLS_KEY).stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_keeps_nobody_from_renewing(
    farm: Farm, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    member, old = farm.config.members[ME], farm.members[ME].channel()

    def full(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "replace_together", full)
    got = keys.load_credentials(home, member, PASSPHRASE, lambda: old.expires).channel()
    assert got.expires == old.expires + 90 * DAY
    assert "Read-only file system" in caplog.text
    with pytest.raises(KeyFileError, match="cannot be written: Read-only"):
        keys.renew(home, member, PASSPHRASE)


def test_renewing_makes_another_key_of_the_same_identity(farm: Farm, home: Path) -> None:
    member, old = farm.config.members[ME], farm.members[ME].channel()
    others = {path: path.read_bytes() for path in home.iterdir() if path.name != TLS_KEY}
    before, after = keys.renew(home, member, PASSPHRASE, lambda: old.expires)
    assert (before, after) == (old.expires, old.expires + 90 * DAY)
    assert {path: path.read_bytes() for path in home.iterdir() if path.name != TLS_KEY} == others
    got = keys.load_credentials(home, member, PASSPHRASE, lambda: old.expires).channel()
    assert got.certificate.public_key() != old.certificate.public_key()
    assert is_certified_by(member, got.certificate)
    for broken in (b"", b"nonsense"):  # whatever is there now
        (home / TLS_KEY).write_bytes(broken)
        with pytest.raises(KeyFileError):
            keys.load_credentials(home, member, PASSPHRASE)
        assert keys.renew(home, member, PASSPHRASE)[0] is None
    (home / TLS_KEY).unlink()
    keys.renew(home, member, PASSPHRASE)
    load_all(farm, home)
    for refused in (b"wrong passphrase", b""):
        with pytest.raises(KeyFileError, match="passphrase"):
            keys.renew(home, member, refused)
    with pytest.raises(KeyFileError, match="not those of 'member-4'"):
        keys.renew(home, farm.config.members[ME + 1], PASSPHRASE)


def test_a_process_that_runs_renews_by_itself(farm: Farm, home: Path) -> None:
    """Before its certificate expires, and when another one is put into the folder."""
    member = farm.config.members[ME]
    moment = [farm.members[ME].channel().expires - 90 * DAY]
    mine = keys.load_credentials(home, member, PASSPHRASE, lambda: moment[0])
    first = mine.channel()
    moment[0] += 59 * DAY
    assert mine.channel() is first
    moment[0] += 2 * DAY
    second = mine.channel()
    assert second.expires == moment[0] + 90 * DAY
    assert is_certified_by(member, second.certificate)
    keys.renew(home, member, PASSPHRASE, lambda: moment[0])
    third = mine.channel()
    assert third.certificate.public_key() != second.certificate.public_key()
    assert mine.channel() is third


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), Killed()], ids=["fails", "killed"])
def test_wherever_renewing_ends_the_folder_holds_one_whole_certificate(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    client, old = farm.config.clients[0], farm.clients[0].channel()
    monkeypatch.setattr(sealing, "SCRYPT_COST", 16)
    found = set()
    for step in range(100):
        home = Path(shutil.copytree(farm.client_home(0), tmp_path / f"home-{step}"))
        failing = FailingOs(failure, after=step)
        with monkeypatch.context() as spoilt:
            spoilt.setattr(files, "os", failing)
            with contextlib.suppress(KeyFileError, Killed):
                keys.renew(home, client, PASSPHRASE)
        found.add(keys.load_credentials(home, client, PASSPHRASE).channel().certificate == old.certificate)
        assert {path.name for path in home.iterdir()} == {path.name for path in farm.client_home(0).iterdir()}
        if not failing.failed:
            break
    assert not failing.failed
    assert found == {True, False}


def test_a_renewal_that_meets_a_new_passphrase_leaves_the_files_alone(
    farm: Farm, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one file of the folder would open with the old one."""
    locked = files.locked

    @contextlib.contextmanager
    def late(folder: Path) -> Iterator[None]:
        monkeypatch.setattr(files, "locked", locked)
        keys.reseal(home, farm.config, PASSPHRASE, NEW)
        with locked(folder):
            yield

    monkeypatch.setattr(files, "locked", late)
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        keys.renew(home, farm.config.members[ME], PASSPHRASE)
    load_all(farm, home, NEW)


def test_a_file_that_moves_into_its_place_while_it_is_read_is_found(
    farm: Farm, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process renews: between the look which file counts and its opening, the new one has moved."""
    monkeypatch.setattr(files, "current", lambda path: path.with_name(f"{path.name}.next"))
    load_all(farm, home)


# -- who else may read and write ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [IDENTITY, TLS_KEY, SEALING, SHARE])
def test_a_key_file_that_others_may_write_is_refused_and_one_that_they_read_is_told(
    farm: Farm, home: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    load = loaders(farm, home)[name]
    for mode in (0o602, 0o620, 0o666):
        (home / name).chmod(mode)
        refusal = rf"{name} can be written by others \(mode 0{mode:o}\).*chmod 600"
        with pytest.raises(KeyFileError, match=refusal):
            load(PASSPHRASE)
    assert "can be read" not in caplog.text
    for mode in (0o604, 0o640):
        caplog.clear()
        (home / name).chmod(mode)
        load(PASSPHRASE)
        assert f"{name} can be read by others (mode 0{mode:o})" in caplog.text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_stock_openssl_opens_the_key_files(tmp_path: Path) -> None:
    """Sealed at the real cost: OpenSSL refuses a file whose scrypt takes more than 32 MiB."""
    party, key = a_party("x")
    channel = certify(party, key, datetime.datetime.now(datetime.UTC))
    (tmp_path / "identity.crt").write_bytes(party.certificate.public_bytes(Encoding.PEM))
    with patch.multiple(sealing, SCRYPT_COST=REAL_COST[0], SCRYPT_PASSES=REAL_COST[1]):
        (tmp_path / TLS_KEY).write_bytes(sealing.seal(channel.key, PASSPHRASE) + channel.certificate_pem)
        (tmp_path / IDENTITY).write_bytes(sealing.seal(key, PASSPHRASE))

    def openssl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, check=False)

    right = f"pass:{PASSPHRASE.decode()}"
    for name, public in ((TLS_KEY, channel.key.public_key()), (IDENTITY, key.public_key())):
        shown = openssl("pkey", "-in", name, "-passin", right, "-pubout")
        assert shown.stdout == public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert openssl("pkey", "-in", name, "-passin", "pass:wrong passphrase").returncode != 0
        text = openssl("asn1parse", "-in", name).stdout
        assert b"scrypt" in text
        assert b"aes-256-cbc" in text
    for purpose, good in (("sslclient", True), ("sslserver", False)):
        chain = ("-x509_strict", "-CAfile", "identity.crt", "-purpose", purpose, TLS_KEY)
        assert (openssl("verify", *chain).returncode == 0) == good


# -- reseal ------------------------------------------------------------------------------------------


def test_resealing_changes_the_passphrase_and_nothing_else(farm: Farm, home: Path) -> None:
    assert keys.reseal(home, farm.config, PASSPHRASE, NEW) == 5
    load_all(farm, home, NEW)
    with pytest.raises(KeyFileError):
        load_all(farm, home, PASSPHRASE)
    assert {path.name for path in home.iterdir()} == {path.name for path in farm.member_home(ME).iterdir()}
    for name in (IDENTITY, TLS_KEY, SEALING, SHARE, share_file(FOUNDED, ATTESTATION)):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


def test_a_failed_resealing_changes_nothing(farm: Farm, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyFileError):
        keys.reseal(home, farm.config, b"wrong", NEW)
    with pytest.raises(KeyFileError, match="the new passphrase is empty"):
        keys.reseal(home, farm.config, PASSPHRASE, b"")
    with pytest.raises(KeyFileError, match="the new passphrase has 7 bytes: keys need one of 8 or more"):
        keys.reseal(home, farm.config, PASSPHRASE, b"seven..")
    load_all(farm, home)
    written: list[Path] = []

    def full(path: Path, data: bytes) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        path.write_bytes(data)

    with monkeypatch.context() as spoilt:
        spoilt.setattr(files, "write_private", full)
        with pytest.raises(KeyFileError, match="No space left"):
            keys.reseal(home, farm.config, PASSPHRASE, NEW)
    load_all(farm, home)
    assert keys.reseal(home, farm.config, PASSPHRASE, NEW) == 5  # what was left behind is no obstacle


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), Killed()], ids=["fails", "killed"])
def test_wherever_resealing_ends_exactly_one_passphrase_opens_the_folder(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    monkeypatch.setattr(sealing, "SCRYPT_COST", 16)
    opened_by = set()
    for step in range(100):
        home = Path(shutil.copytree(farm.client_home(0), tmp_path / f"home-{step}"))
        failing = FailingOs(failure, after=step)
        told: list[tuple[str, list[bytes]]] = []
        with monkeypatch.context() as spoilt:
            spoilt.setattr(files, "os", failing)
            try:
                keys.reseal(home, farm.config, PASSPHRASE, NEW)
            except KeyFileError as error:
                told.append((str(error), openers(farm, home)))  # while the disk still fails
            except Killed:
                pass
        opener = openers(farm, home)
        assert len(opener) == 1, f"step {step}: {opener}"
        for text, then in told:
            assert then == opener
            assert ("new passphrase opens it" in text) == (then == [NEW])
        opened_by.update(opener)
        names = {path.name for path in home.iterdir()}
        assert names == {path.name for path in farm.client_home(0).iterdir()}
        keys.reseal(home, farm.config, opener[0], b"newer still")
        if not failing.failed:
            break
    assert not failing.failed
    assert opened_by == {PASSPHRASE, NEW}


def openers(farm: Farm, home: Path) -> list[bytes]:
    """Which of the two passphrases open the folder of the first client."""
    found = []
    for passphrase in (PASSPHRASE, NEW):
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
