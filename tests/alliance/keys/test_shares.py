"""Shares by epoch: exactly one counts wherever a step ends, and what is erased opens for nobody.

Every step of the disk is cut short, by a kill and by lost power: trap 11 of keys that live.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alliance.config.file import ATTESTATION
from alliance.config.founding import AGREEMENT
from alliance.errors import KeyFileError, NoShare, WrongShareEpoch
from alliance.keys import files, handover, secret_file, shares
from alliance.keys import folder as keys
from alliance.keys.opening import OPENING
from alliance.keys.share_status import share_status
from alliance.keys.shares import CURRENT, Generation, sealing_file, share_file
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.keys.disks import STEPS_MAX, RecordingOs, content, done, ends, put
from tests.alliance.keys.failing import FailingOs
from tests.alliance.keys.generations import AGAIN, ME, NEW, OLD, Opener, endorsers

NEW_PASSPHRASE = b"another one"
RECEIVER = bytes(range(32))


@pytest.fixture
def opener(farm: Farm) -> Opener:
    return Opener(farm.config, PASSPHRASE)


def add(folder: Path) -> None:
    shares.add_shares(folder, NEW, endorsers(NEW), PASSPHRASE)


def switch(folder: Path) -> None:
    shares.switch_to(folder, NEW)


def erase(folder: Path) -> None:
    shares.erase_shares(folder, OLD)


# -- the life of a share -----------------------------------------------------------------------------


def test_a_share_goes_through_its_life(opener: Opener, home: Path) -> None:
    assert (opener.counted(home), shares.generations(home)) == (OLD, (OLD,))
    add(home)
    assert (opener.counted(home), shares.generations(home)) == (OLD, (OLD, NEW))
    assert opener.opens(home, NEW)
    switch(home)
    assert (opener.counted(home), opener.opens(home, OLD)) == (NEW, True)
    erase(home)
    assert (opener.counted(home), shares.pieces(home)) == (NEW, (NEW,))
    assert not any(str(OLD) in name for name in content(home))
    erase(home)  # as whoever was killed before it could say that it is done
    assert opener.counted(home) == NEW


def test_a_share_of_the_newest_dealing_is_awaited_until_it_counts(home: Path, tmp_path: Path) -> None:
    assert [shares.is_awaited(folder, 0) for folder in (home, tmp_path)] == [False, False]
    assert [shares.is_awaited(folder, 1) for folder in (home, tmp_path)] == [True, True]
    add(home)
    assert shares.is_awaited(home, 1)
    switch(home)
    assert [shares.is_awaited(home, dealing) for dealing in (0, 1, 2)] == [False, False, True]


def test_an_attempt_is_kept_until_it_is_erased_beside_the_next_one(opener: Opener, home: Path) -> None:
    add(home)
    shares.add_shares(home, AGAIN, endorsers(AGAIN), PASSPHRASE)
    assert shares.generations(home) == (OLD, NEW, AGAIN)
    assert opener.opens(home, NEW)
    shares.erase_shares(home, NEW)
    shares.switch_to(home, AGAIN)
    erase(home)
    assert (opener.counted(home), shares.pieces(home)) == (AGAIN, (AGAIN,))


def test_what_would_lose_a_share_is_refused(opener: Opener, home: Path) -> None:
    before = content(home)
    with pytest.raises(KeyFileError, match=r"shares of generation 0\.0 count, and are not erased"):
        erase(home)
    with pytest.raises(KeyFileError, match=r"no shares of generation 1\.0: those that count stay"):
        switch(home)
    with pytest.raises(KeyFileError, match=r"has shares of generation 0\.0 already"):
        shares.add_shares(home, OLD, endorsers(OLD), PASSPHRASE)
    for generation in (OLD, Generation(2)):
        with pytest.raises(ValueError, match="consists of shares of epoch"):
            shares.add_shares(home, generation, endorsers(NEW), PASSPHRASE)
    with pytest.raises(KeyFileError, match="passphrase is empty"):
        shares.add_shares(home, NEW, endorsers(NEW), b"")
    assert content(home) == before
    assert opener.counted(home) == OLD


# -- wherever it ends --------------------------------------------------------------------------------


def test_trap_11_wherever_adding_ends_the_old_shares_count_and_the_new_ones_are_whole_or_not_there(
    opener: Opener, home: Path
) -> None:
    outcomes = set()
    for left in ends(home, add):
        assert opener.counted(left) == OLD
        there = NEW in shares.generations(left)
        assert opener.opens(left, NEW) == there
        outcomes.add(there)
        if not there:
            add(left)  # what a restart does: it makes the same share again
        switch(left)
        assert opener.counted(left) == NEW
        assert not list(left.glob("*.next"))
    assert outcomes == {True, False}


def test_trap_11_wherever_the_switch_ends_one_generation_counts(opener: Opener, home: Path) -> None:
    add(home)
    outcomes = []
    for left in ends(home, switch):
        outcomes.append(opener.counted(left))
        switch(left)
        assert opener.counted(left) == NEW
    assert set(outcomes) == {OLD, NEW}


def test_trap_11_wherever_erasing_ends_it_can_be_ended(opener: Opener, home: Path) -> None:
    add(home)
    switch(home)
    outcomes = set()
    for left in ends(home, erase):
        assert opener.counted(left) == NEW
        outcomes.add(opener.opens(left, OLD))
        if not any(content(left).get(sealing_file(OLD), b"")):
            assert shares.generations(left) == (NEW,)  # overwritten is gone, and keeps nobody from rekeying
        erase(left)
        assert opener.counted(left) == NEW
        assert set(content(left)) == {CURRENT, sealing_file(NEW), *shares_of(NEW)}
    assert outcomes == {True, False}


def test_trap_11_wherever_the_first_shares_end_there_are_none_or_they_count(
    opener: Opener, tmp_path: Path, cheap_scrypt: None
) -> None:
    (tmp_path / "empty").mkdir()
    outcomes = set()
    for left in ends(
        tmp_path / "empty", lambda folder: shares.write_shares(folder, 0, endorsers(OLD), PASSPHRASE)
    ):
        try:
            outcomes.add(str(opener.counted(left)))
        except NoShare:
            outcomes.add("none")
        except KeyFileError as error:
            assert "share.current is missing" in str(error)  # noqa: PT017
            outcomes.add("all but the pointer")
    assert outcomes == {"0.0", "none", "all but the pointer"}


def test_trap_11_what_is_done_is_durable(opener: Opener, home: Path) -> None:
    for left in done(home, add):
        assert (opener.counted(left), opener.opens(left, NEW)) == (OLD, True)
    add(home)
    for left in done(home, switch):
        assert opener.counted(left) == NEW
    switch(home)
    for left in done(home, erase):
        assert (opener.counted(left), shares.pieces(left)) == (NEW, (NEW,))


def test_trap_11_rekey_with_two_epochs_is_all_or_nothing_wherever_it_ends(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = without_shares(farm, tmp_path)
    shares.write_shares(home, 0, endorsers(OLD), PASSPHRASE)
    add(home)
    handover.keep_receiver(home, RECEIVER, b"a receiver's secret", PASSPHRASE)
    sealed = keys._resealed(home, farm.config, PASSPHRASE, NEW_PASSPHRASE)
    monkeypatch.setattr(
        keys, "_resealed", lambda *_: sealed
    )  # the same bytes each time: fewer folders to see
    old, new = content(home), content(home) | sealed
    kept = secrets_in(farm, home, PASSPHRASE)
    outcomes = set()
    for left in ends(home, lambda folder: rekey(farm, folder)):
        seen = {name: files.current(left / name).read_bytes() for name in old}
        assert seen in (old, new)
        files.settle(left)
        assert content(left) == seen
        outcomes.add(seen == new)
    assert outcomes == {True, False}
    for folder, right, wrong in (
        (home, PASSPHRASE, NEW_PASSPHRASE),
        (left, NEW_PASSPHRASE, PASSPHRASE),
    ):
        assert len(kept) == 4
        assert secrets_in(farm, folder, right) == kept
        assert secrets_in(farm, folder, wrong) == []
        assert Opener(farm.config, right).counted(folder) == OLD


def test_secrets_that_are_half_erased_keep_nobody_from_a_new_passphrase(farm: Farm, tmp_path: Path) -> None:
    """A kill came between overwriting and deleting them."""
    home = without_shares(farm, tmp_path)
    shares.write_shares(home, 0, endorsers(OLD), PASSPHRASE)
    for name in (sealing_file(NEW), handover.receiver_file(RECEIVER), OPENING):
        files.write_private(home / name, bytes(100))
    assert keys.reseal(home, farm.config, PASSPHRASE, NEW_PASSPHRASE) == 4
    assert Opener(farm.config, NEW_PASSPHRASE).counted(home) == OLD


def without_shares(farm: Farm, folder: Path) -> Path:
    home = Path(shutil.copytree(farm.member_home(ME), folder / "home"))
    for path in (home / CURRENT, home / keys.OPERATOR, *home.glob("share-*"), *home.glob("sealing-*")):
        path.unlink()
    return home


def rekey(farm: Farm, folder: Path) -> None:
    assert keys.reseal(folder, farm.config, PASSPHRASE, NEW_PASSPHRASE) == 6


def secrets_in(farm: Farm, folder: Path, passphrase: bytes) -> list[bytes]:
    """What the passphrase opens: nothing, or all that there is of identity, sealing keys and receiver."""
    found = []
    files.settle(folder)
    with contextlib.suppress(KeyFileError):
        identity = keys.load_credentials(folder, farm.config.members[ME], passphrase).signing_key
        found.append(identity.private_bytes_raw())
    for name in (sealing_file(OLD), sealing_file(NEW), handover.receiver_file(RECEIVER)):
        with contextlib.suppress(KeyFileError):
            found.append(secret_file.unseal(folder / name, passphrase))
    return found


def test_a_disk_that_fails_is_told_and_the_next_attempt_succeeds(
    opener: Opener, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(STEPS_MAX):
        work = Path(shutil.copytree(home, home.parent / f"failing-{step}"))
        failing = FailingOs(OSError(28, "No space left on device"), after=step)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(files, "os", failing)
                add(work)
        except OSError:
            assert failing.failed
            assert opener.counted(work) == OLD
            if NEW not in shares.generations(work):
                add(work)
        assert opener.opens(work, NEW)
        if not failing.failed:
            return


# -- erased ------------------------------------------------------------------------------------------


def shares_of(generation: Generation) -> list[str]:
    return [share_file(generation, purpose) for purpose in (AGREEMENT, ATTESTATION)]


def test_trap_11_no_file_that_comes_back_opens_an_erased_share(
    farm: Farm, tmp_path: Path, cheap_scrypt: None
) -> None:
    """The shares themselves come back, and whatever a deleted file held when it was deleted.

    Also what was encrypted under the passphrase of before, which somebody may know.
    """
    home = without_shares(farm, tmp_path)
    disk = RecordingOs(home, 10_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "os", disk)
        shares.write_shares(home, 0, endorsers(OLD), PASSPHRASE)
        given_up = secret_file.unseal(home / sealing_file(OLD), PASSPHRASE)
        given_up = secret_file.seal(sealing_file(OLD), given_up, NEW_PASSPHRASE)
        files.write_private(
            home / f"{sealing_file(OLD)}.next", given_up
        )  # as a kill before the change leaves it
        keys.reseal(home, farm.config, PASSPHRASE, NEW_PASSPHRASE)
        shares.add_shares(home, NEW, endorsers(NEW), NEW_PASSPHRASE)
        switch(home)
        before = content(home)
        erase(home)
    openers = [Opener(farm.config, passphrase) for passphrase in (PASSPHRASE, NEW_PASSPHRASE)]
    returned = content(home) | {name: before[name] for name in shares_of(OLD)}
    back = put(returned, tmp_path / "back")
    for found in (*disk.deleted, *content(home).values()):
        (back / sealing_file(OLD)).write_bytes(found)
        assert not any(opener.opens(back, OLD) for opener in openers)
    assert any(opener.opens(back, NEW) for opener in openers)
    (back / sealing_file(OLD)).write_bytes(before[sealing_file(OLD)])  # the one that was overwritten
    assert openers[1].opens(back, OLD)


def test_a_sealing_key_fits_into_one_sector(home: Path) -> None:
    """So that lost power leaves it as it was, or overwritten."""
    assert (home / sealing_file(OLD)).stat().st_size <= 512


def test_a_file_that_is_overwritten_while_it_is_read_is_read_anew(
    farm: Farm, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened, and another process ended a change of the passphrase before it was read."""
    path = home / "late.pem"
    path.write_bytes(b"old")
    path.chmod(0o600)
    opened, done = keys.sealing._opened, []

    def late(path: Path) -> object:
        file = opened(path)
        if not done:
            done.append(True)
            with files.locked(home):
                files.replace_together(home, {path.name: b"new"})
        return file

    monkeypatch.setattr(keys.sealing, "_opened", late)
    assert keys.sealing.read(path) == b"new"
    assert done


# -- both, one, none ---------------------------------------------------------------------------------


def test_a_member_without_a_share_is_told_apart_from_one_with_damaged_files(
    opener: Opener, home: Path
) -> None:
    whole = content(home)
    for name in whole:
        (home / name).unlink()
        with pytest.raises(KeyFileError, match=f"{name} is missing") as caught:
            opener.load(home, OLD)
        assert not isinstance(caught.value, NoShare)
        (home / name).write_bytes(whole[name])
        (home / name).chmod(0o600)
    opener.load(home, OLD)
    for name in whole:
        if name != CURRENT:
            (home / name).unlink()
    for _ in range(2):  # with a pointer to what is lost, and without
        with pytest.raises(NoShare, match=r"holds no share of the alliance's keys: restore share\.current"):
            opener.load(home, OLD)
        (home / CURRENT).unlink(missing_ok=True)


def test_the_layout_of_earlier_versions_is_refused(opener: Opener, tmp_path: Path) -> None:
    (tmp_path / "share.pem").write_bytes(b"-----BEGIN SHOUP RSA KEY SHARE-----\n")
    with pytest.raises(KeyFileError, match=r"share\.pem is as an earlier version wrote it.*alliance init"):
        opener.load(tmp_path, OLD)


def test_a_share_of_another_epoch_says_which_side_is_old(opener: Opener, home: Path) -> None:
    with pytest.raises(WrongShareEpoch, match=r"is of epoch 0, .* of epoch 1: .* went out of use") as caught:
        opener.load(home, NEW)
    assert (caught.value.found, caught.value.expected) == (0, 1)
    add(home)
    switch(home)
    with pytest.raises(
        WrongShareEpoch, match=r"is of epoch 1, .* of epoch 0: get the present alliance\.toml"
    ):
        opener.load(home, OLD)
    with pytest.raises(KeyFileError, match="belongs to the key"):  # of the other attempt to reach this epoch
        opener.load(home, AGAIN)


def test_the_status_says_what_each_generation_is_and_which_side_is_old(opener: Opener, home: Path) -> None:
    for generation in (NEW, AGAIN):
        shares.add_shares(home, generation, endorsers(generation), PASSPHRASE)
    told = share_status(home, opener.at(OLD), ME, PASSPHRASE)
    assert (told.epoch, told.attempt, told.alliance_epoch, told.problem) == (0, 0, 0, "")
    assert [what.partition(":")[0] for _, what in told.others] == ["counts not yet"] * 2
    assert [(key.purpose, key.index, key.parties, key.threshold) for key in told.keys] == [
        (AGREEMENT, ME + 1, 4, 3),
        (ATTESTATION, ME + 1, 4, 2),
    ]
    shares.switch_to(home, AGAIN)
    told = share_status(home, opener.at(AGAIN), ME, PASSPHRASE)
    assert (told.epoch, told.attempt, told.alliance_epoch, told.problem) == (1, 1, 1, "")
    assert dict(told.others) == {
        "0.0": "went out of use: to be erased, here and in every backup",
        "1.0": "of another attempt to reach this epoch: to be erased",
    }
    told = share_status(home, opener.at(OLD), ME, PASSPHRASE)
    assert told.problem.endswith("of epoch 0: get the present alliance.toml from another member")
    assert [key.index for key in told.keys] == [None, None]


@pytest.mark.parametrize(
    "pointer", [b"", b"0", b"0.0.0", b"00.0\n", b"../0.0\n", b"\xff\n", b"-1.0\n", b"0.0 1.0"]
)
def test_a_damaged_pointer_is_named(opener: Opener, home: Path, pointer: bytes) -> None:
    (home / CURRENT).write_bytes(pointer)
    with pytest.raises(KeyFileError, match=r"share\.current is damaged: it names no generation of shares"):
        opener.load(home, OLD)
    with pytest.raises(KeyFileError, match=r"share\.current is damaged"):
        erase(home)


def test_a_pointer_to_what_is_not_there_names_the_file(opener: Opener, home: Path) -> None:
    (home / CURRENT).write_bytes(b"7.0\n")
    with pytest.raises(KeyFileError, match=r"sealing-7\.0\.pem is missing"):
        opener.load(home, OLD)


def test_exchanged_and_cut_files_are_refused_by_name(opener: Opener, home: Path) -> None:
    add(home)
    whole = content(home)
    names = [name for name in whole if name != CURRENT]
    cases = [(name, whole[other]) for name in names for other in names if other != name]
    cases += [(name, whole[name][:end]) for name in names for end in (0, 1, 40, len(whole[name]) // 2, -2)]
    cases += [(name, whole[name] + whole[name]) for name in names]
    for name, data in cases:
        (home / name).write_bytes(data)
        generation = NEW if str(NEW) in name else OLD
        (home / CURRENT).write_bytes(f"{generation}\n".encode())
        with pytest.raises(KeyFileError, match=name.replace(".", r"\.")) as caught:
            opener.load(home, generation)
        assert "\n" not in str(caught.value)
        (home / name).write_bytes(whole[name])
    opener.counted(home)


def test_an_altered_sealing_key_is_refused_at_every_byte(home: Path) -> None:
    path = home / sealing_file(OLD)
    data = path.read_bytes()
    key = secret_file.unseal(path, PASSPHRASE)
    assert len(key) == 32
    same = 0
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        try:
            assert secret_file.unseal(path, PASSPHRASE) == key
            same += 1  # a line end, or a bit of base64 that nothing depends on
        except KeyFileError as error:
            assert str(path) in str(error)  # noqa: PT017
    assert same <= 2
    path.write_bytes(data)
    for wrong in (b"wrong", PASSPHRASE + b"\n", b""):
        with pytest.raises(KeyFileError, match="passphrase"):
            secret_file.unseal(path, wrong)


@pytest.mark.parametrize("field", [(1, 17), (1, 255), (1, 0), (2, 5), (2, 255), (2, 0), (31, 200)])
def test_what_opening_costs_is_bounded(
    home: Path, monkeypatch: pytest.MonkeyPatch, field: tuple[int, int]
) -> None:
    """The fields of the cost and of the name's length: refused before anything is computed."""
    path = home / sealing_file(OLD)
    begin, *lines, end = path.read_bytes().splitlines()
    data = bytearray(base64.b64decode(b"".join(lines)))
    data[field[0]] = field[1]
    path.write_bytes(b"\n".join([begin, base64.b64encode(data), end, b""]))
    monkeypatch.setattr(secret_file, "_cipher", None)
    with pytest.raises(KeyFileError, match=r"sealing-0\.0\.pem is damaged"):
        secret_file.unseal(path, PASSPHRASE)


def test_another_version_of_a_secret_is_named(home: Path) -> None:
    path = home / sealing_file(OLD)
    begin, *lines, end = path.read_bytes().splitlines()
    data = b"\x02" + base64.b64decode(b"".join(lines))[1:]
    path.write_bytes(b"\n".join([begin, base64.b64encode(data), end, b""]))
    with pytest.raises(KeyFileError, match="has version 2: use the version of alliance that wrote it"):
        secret_file.unseal(path, PASSPHRASE)


def test_no_secret_prints(opener: Opener, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = secret_file.unseal(home / sealing_file(OLD), PASSPHRASE)
    endorser = shares.load_endorser(home, opener.at(OLD), ME, PASSPHRASE)
    texts = [repr(endorser), str(endorser), repr(opener.at(OLD)), caplog.text]
    (home / share_file(OLD, AGREEMENT)).write_bytes(b"nonsense")
    with pytest.raises(KeyFileError) as caught:
        opener.load(home, OLD)
    texts += [str(caught.value), repr(caught.value)]
    secret = endorser._share._secret
    for needle in (key.hex(), repr(key), str(secret), f"{secret:x}", PASSPHRASE.decode()):
        assert not any(needle in text for text in texts)
    sealed = b"".join(content(home).values())
    assert key not in sealed
    assert key.hex().encode() not in sealed


def test_purposes_without_a_share_are_named(opener: Opener, home: Path) -> None:
    config = opener.at(OLD)
    config = replace(config, purpose_keys=(*config.purpose_keys, ("web", config.purpose_key(ATTESTATION))))
    with pytest.raises(KeyFileError, match=r"share-0\.0-web\.pem is missing"):
        shares.load_endorser(home, config, ME, PASSPHRASE, "web")
    with pytest.raises(KeyFileError, match=r"is the share of member 3, not of 1"):
        shares.load_endorser(home, config, 0, PASSPHRASE)
