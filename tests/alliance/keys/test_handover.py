"""What a handover of keys must not lose, wherever it ends: receivers' secrets, and what was dealt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alliance.errors import KeyFileError
from alliance.keys import files, handover, shares
from alliance.keys.shares import sealing_file
from shoup_rsa.redistribution import ReceiverSecret, generate_receiver
from tests.alliance.farm import PASSPHRASE
from tests.alliance.keys.disks import RecordingOs, content, done, ends, put
from tests.alliance.keys.generations import AGAIN, NEW, OLD, endorsers

BITS = 512


@pytest.fixture(scope="module")
def mine() -> list[ReceiverSecret]:
    """Of this epoch, and of the next one."""
    return [generate_receiver(BITS) for _ in range(2)]


def keep(folder: Path, secret: ReceiverSecret) -> None:
    handover.keep_receiver(folder, secret.key.fingerprint, secret.secret_to_bytes(), PASSPHRASE)


def opened(folder: Path, secret: ReceiverSecret) -> bool:
    """Whether it is there; then it is the right one."""
    fingerprint = secret.key.fingerprint
    if fingerprint not in handover.receivers(folder):
        return False
    found = ReceiverSecret.from_secret_bytes(handover.open_receiver(folder, fingerprint, PASSPHRASE))
    assert found.key == secret.key
    return True


def received(folder: Path, mine: list[ReceiverSecret]) -> None:
    """The state in which the first secret has served its purpose."""
    for secret in mine:
        keep(folder, secret)
    shares.add_shares(folder, NEW, endorsers(NEW), PASSPHRASE)


def erase(folder: Path, mine: list[ReceiverSecret]) -> None:
    first, second = (secret.key.fingerprint for secret in mine)
    handover.erase_receiver(folder, first, second, NEW)


def test_wherever_keeping_a_receivers_secret_ends_it_is_whole_or_not_there(
    home: Path, mine: list[ReceiverSecret]
) -> None:
    outcomes = set()
    for left in ends(home, lambda folder: keep(folder, mine[0])):
        outcomes.add(opened(left, mine[0]))
        keep(left, mine[0])  # a restart keeps the same one, or makes another: nothing was posted
        assert opened(left, mine[0])
    assert outcomes == {True, False}


def test_a_secret_is_durable_when_its_key_may_be_posted(home: Path, mine: list[ReceiverSecret]) -> None:
    for left in done(home, lambda folder: keep(folder, mine[0])):
        assert opened(left, mine[0])
    keep(home, mine[0])
    before = content(home)
    keep(home, mine[0])
    assert content(home) == before


def test_a_receivers_secret_stays_until_its_share_and_its_successor_are_there(
    home: Path, mine: list[ReceiverSecret]
) -> None:
    first, second = (secret.key.fingerprint for secret in mine)
    keep(home, mine[0])
    for successor, generation, says in (
        (second, NEW, r"no shares of generation 1\.0"),
        (second, OLD, "no secret of the receiver's next key"),
        (first, OLD, "no secret of the receiver's next key"),
    ):
        with pytest.raises(KeyFileError, match=says):
            handover.erase_receiver(home, first, successor, generation)
        assert opened(home, mine[0])
    received(home, mine)
    erase(home, mine)
    assert handover.receivers(home) == (second,)
    erase(home, mine)  # as whoever was killed before it could say so
    assert opened(home, mine[1])


def test_wherever_erasing_a_receivers_secret_ends_it_can_be_ended(
    home: Path, mine: list[ReceiverSecret]
) -> None:
    received(home, mine)
    outcomes = set()
    for left in ends(home, lambda folder: erase(folder, mine)):
        try:
            outcomes.add(opened(left, mine[0]))
        except KeyFileError:
            outcomes.add(False)  # half of it is overwritten
        assert opened(left, mine[1])
        erase(left, mine)
        assert handover.receivers(left) == (mine[1].key.fingerprint,)
        assert not (left / handover.receiver_file(mine[0].key.fingerprint)).exists()
    for left in done(home, lambda folder: erase(folder, mine)):
        assert not (left / handover.receiver_file(mine[0].key.fingerprint)).exists()
    assert outcomes == {True, False}


def test_no_file_that_comes_back_holds_an_erased_receivers_secret(
    home: Path, mine: list[ReceiverSecret], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ciphertexts lie with everybody: who finds the secret has the share."""
    disk = RecordingOs(home, 10_000)
    monkeypatch.setattr(files, "os", disk)
    received(home, mine)
    before = content(home)
    erase(home, mine)
    monkeypatch.undo()
    name, fingerprint = handover.receiver_file(mine[0].key.fingerprint), mine[0].key.fingerprint
    back = put(content(home), home.parent / "back")
    for found in (*disk.deleted, *content(home).values()):
        (back / name).write_bytes(found)
        with pytest.raises(KeyFileError):
            handover.open_receiver(back, fingerprint, PASSPHRASE)
    (back / name).write_bytes(before[name])
    (back / name).chmod(0o600)
    assert opened(back, mine[0])


def test_secrets_in_each_others_files_are_refused(home: Path, mine: list[ReceiverSecret]) -> None:
    for secret in mine:
        keep(home, secret)
    whole = content(home)
    names = [handover.receiver_file(secret.key.fingerprint) for secret in mine]
    for name, other in (names, names[::-1], (names[0], sealing_file(OLD))):
        (home / name).write_bytes(whole[other])
        with pytest.raises(KeyFileError, match=f"{name} is the file '{other}' under another name"):
            handover.open_receiver(home, bytes.fromhex(name[len("receiver-") : -len(".pem")]), PASSPHRASE)
        (home / name).write_bytes(whole[name])
    with pytest.raises(KeyFileError, match=r"receiver-00.*\.pem is missing"):
        handover.open_receiver(home, bytes(32), PASSPHRASE)


# -- dealings ----------------------------------------------------------------------------------------


class Dealer:
    """Deals something else each time, as every honest member does."""

    def __init__(self) -> None:
        self.dealt: list[bytes] = []

    def __call__(self) -> bytes:
        self.dealt.append(b"dealing %d" % len(self.dealt))
        return self.dealt[-1]


def test_wherever_dealing_ends_the_same_bytes_are_posted_ever_after(home: Path) -> None:
    """What was posted before the end is what ``keep_dealing`` gave: it gives nothing else any more."""
    posted: list[bytes] = []

    def deal_and_post(folder: Path) -> None:
        posted.clear()
        posted.append(handover.keep_dealing(folder, NEW, Dealer()))

    outcomes = set()
    for left in ends(home, deal_and_post):
        dealer = Dealer()
        again = handover.keep_dealing(left, NEW, dealer)
        if posted:
            assert (posted, dealer.dealt) == ([again], [])
        outcomes.add(len(dealer.dealt))
        assert handover.keep_dealing(left, NEW, dealer) == again
        assert handover.dealings(left) == (NEW,)
    assert outcomes == {0, 1}


def test_each_attempt_is_dealt_once_and_forgotten_by_itself(home: Path) -> None:
    dealer = Dealer()
    first, second = (handover.keep_dealing(home, towards, dealer) for towards in (NEW, AGAIN))
    assert first != second
    handover.forget_dealing(home, NEW)
    handover.forget_dealing(home, NEW)
    assert handover.dealings(home) == (AGAIN,)
    assert handover.keep_dealing(home, AGAIN, dealer) == second
    with pytest.raises(ValueError, match="a dealing has at most"):
        handover.keep_dealing(home, NEW, lambda: bytes(handover.DEALING_BYTES_MAX + 1))
    assert handover.dealings(home) == (AGAIN,)


def test_a_damaged_dealing_is_not_posted(home: Path) -> None:
    handover.keep_dealing(home, NEW, Dealer())
    path = home / handover.dealing_file(NEW)
    whole = path.read_bytes()
    for data in (b"", whole[:-1], whole[:32], whole + b"x", bytes([whole[0] ^ 1]) + whole[1:]):
        path.write_bytes(data)
        dealer = Dealer()
        with pytest.raises(KeyFileError, match=r"dealing-1\.0\.bin is damaged, and may have been posted"):
            handover.keep_dealing(home, NEW, dealer)
        assert not dealer.dealt


def test_what_is_kept_survives_a_copy_of_the_folder(home: Path, mine: list[ReceiverSecret]) -> None:
    received(home, mine)
    dealt = handover.keep_dealing(home, NEW, Dealer())
    other = Path(shutil.copytree(home, home.parent / "other"))
    assert opened(other, mine[0])
    assert handover.keep_dealing(other, NEW, Dealer()) == dealt
