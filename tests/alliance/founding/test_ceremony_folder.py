"""Dealers' working folders: each step once, whatever is killed; nothing that is secret in the clear."""

from __future__ import annotations

import errno
import itertools
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from alliance.config import file as config_file
from alliance.config.file import ATTESTATION
from alliance.config.parties import Client
from alliance.errors import AllianceError, ConfigError, InvalidCeremony, KeyFileError
from alliance.founding import ceremony, ceremony_folder, join
from alliance.founding.ceremony_folder import KEY, PENDING, deal, finish, open_all
from alliance.founding.ceremony_plan import CeremonyPlan
from alliance.founding.commitment import Commitment
from alliance.founding.opening import Opening
from alliance.keys import files, sealing
from alliance.keys.folder import OPERATOR
from alliance.keys.opening import OPENING
from alliance.keys.shares import load_endorser
from quorum import Endorsement, ReplyStatement, combine
from quorum.factors import new_nonce
from tests.alliance.farm import PASSPHRASE
from tests.alliance.founding.applicants import NAMES, client
from tests.alliance.founding.conftest import Founded, ask
from tests.alliance.founding.hall import ANNA, BERT, Hall, dealing_from_stock
from tests.alliance.keys.failing import FailingOs, Killed
from tests.worlds.primes import SAFE_PRIMES_1024


@pytest.fixture(scope="module")
def hall(founded: Founded) -> Hall:
    """The parties that asked one dealer ask several here."""
    operators = {}
    for name in NAMES[:3]:
        path = founded.homes / name / OPERATOR
        operators[f"{name}-ag"] = sealing.unseal_signing(sealing.read(path), path, PASSPHRASE)
    return Hall.open(founded.requests, operators)


def commit(hall: Hall, folder: Path, dealer: str) -> Commitment:
    with dealing_from_stock(hall.plan, dealer):
        return deal(folder, hall.plan, hall.operators[dealer], PASSPHRASE)


def commit_again(hall: Hall, folder: Path, dealer: str) -> Commitment:
    """The same in no time: what it deals was dealt before."""
    with patch.object(ceremony_folder, "_dealt", lambda *_: hall.pending[dealer]):
        return deal(folder, hall.plan, hall.operators[dealer], PASSPHRASE)


def show(hall: Hall, folder: Path, dealer: str, *commitments: Commitment) -> Opening:
    return open_all(folder, hall.plan, commitments, hall.operators[dealer], PASSPHRASE)


@pytest.fixture
def folders(hall: Hall, tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "anna", tmp_path / "bert"


@pytest.fixture
def committed(hall: Hall, folders: tuple[Path, Path]) -> tuple[Commitment, Commitment]:
    return commit(hall, folders[0], ANNA), commit(hall, folders[1], BERT)


def test_a_ceremony_from_its_folders_to_members_that_sign(
    hall: Hall,
    founded: Founded,
    folders: tuple[Path, Path],
    committed: tuple[Commitment, Commitment],
    tmp_path: Path,
) -> None:
    for folder, dealer in zip(folders, (ANNA, BERT), strict=True):
        show(hall, folder, dealer, *committed[::-1])
        assert {path.name for path in folder.iterdir()} == {f"{dealer}.commitment", f"{dealer}.opening"}
    openings = [
        ceremony_folder.read_opening(folder / f"{dealer}.opening")
        for folder, dealer in zip(folders, (ANNA, BERT), strict=True)
    ]
    farm = tmp_path / "farm"
    config = finish(farm, hall.plan, openings, committed)
    assert config_file.load(farm) == config
    assert (farm / "public.pem").read_bytes() == config.key.to_pem()
    statement = ReplyStatement(1, 1, bytes(32))
    endorsements = []
    for index, name in enumerate(NAMES[:3]):
        home = founded.home(name, tmp_path / "homes")
        joined = join.join(home, farm, PASSPHRASE)
        assert (joined.anew, joined.plan) == (True, hall.plan)
        assert not (home / OPENING).exists()
        share = load_endorser(home, config, index, PASSPHRASE, ATTESTATION)
        signature = share.endorse(statement.encode(config.context), proven=False)
        endorsements.append(Endorsement(statement, index, signature))
    combine(config.attestation, endorsements).verify(config.attestation)
    assert not join.join(home, farm, PASSPHRASE).anew


def test_a_member_joins_nothing_but_what_the_dealers_have_signed(
    hall: Hall, founded: Founded, tmp_path: Path
) -> None:
    """Whoever hands out the folder can hold back, and nothing else."""
    farm, other = tmp_path / "farm", tmp_path / "other"
    finish(farm, hall.plan, hall.openings())
    home = founded.home("anna", tmp_path / "homes")
    # Another alliance of the same parties beside the files of this one:
    again = hall.openings(hall.sealed_again(BERT, range(6)))
    later = replace(hall.plan, created="2031-01-01T00:00:00Z")
    with pytest.raises(InvalidCeremony, match="for another plan"):
        finish(other, later, again)
    assert not other.exists()
    text = (farm / "alliance.toml").read_text()
    unknown = config_file.AllianceConfig.from_toml(text)
    elsewhere = replace(unknown.members[1], address="mallory.example:1")
    mallory = client("mallory", "anna-ag").party
    assert isinstance(mallory, Client)
    for forged in (
        replace(unknown, founding=replace(unknown.founding, created=later.created)),
        # What the alliance_id does not bind:
        replace(unknown, clients=()),
        replace(unknown, clients=(*unknown.clients, mallory)),
        replace(unknown, clients=tuple(replace(one, organisation="anna-ag") for one in unknown.clients)),
        replace(unknown, members=(unknown.members[0], elsewhere, *unknown.members[2:])),
        replace(unknown, timing=replace(unknown.timing, view_timeout_seconds=9.0)),
    ):
        (farm / "alliance.toml").write_text(forged.to_toml())
        with pytest.raises(ConfigError, match=r"not the alliance that ceremony\.plan and the openings found"):
            join.join(home, farm, PASSPHRASE)
    (farm / "alliance.toml").write_text(text)
    # An opening that is altered, missing, or another's:
    path = farm / f"{BERT}.opening"
    kept = path.read_text()
    path.write_text(kept.replace('"nonce": "', '"nonce": "0', 1))
    with pytest.raises(ConfigError, match="a field is missing or wrong"):
        join.join(home, farm, PASSPHRASE)
    path.write_text((farm / f"{ANNA}.opening").read_text())
    with pytest.raises(InvalidCeremony, match=f"the opening of '{BERT}' is missing"):
        join.join(home, farm, PASSPHRASE)
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read as an opening"):
        join.join(home, farm, PASSPHRASE)
    path.write_text(kept)
    # A plan without this request:
    ask(tmp_path / "strangers", "anna")
    with pytest.raises(ConfigError, match="without this request of 'anna'"):
        join.join(tmp_path / "strangers" / "anna", farm, PASSPHRASE)
    assert not list(tmp_path.glob("**/share*"))
    assert join.join(home, farm, PASSPHRASE).anew


# -- once, and no more than once -------------------------------------------------------------------------


def test_dealing_again_gives_the_same_commitment(
    hall: Hall, folders: tuple[Path, Path], committed: tuple[Commitment, Commitment]
) -> None:
    path = folders[0] / f"{ANNA}.commitment"
    before = path.read_bytes()
    assert commit(hall, folders[0], ANNA) == committed[0]
    path.unlink()  # it was lost: the pending file gives it again
    assert commit(hall, folders[0], ANNA) == committed[0]
    assert path.read_bytes() == before
    show(hall, folders[0], ANNA, *committed)
    assert commit(hall, folders[0], ANNA) == committed[0]


def test_what_was_lost_is_never_dealt_a_second_time(
    hall: Hall, folders: tuple[Path, Path], committed: tuple[Commitment, Commitment]
) -> None:
    (folders[0] / KEY).unlink()
    with pytest.raises(ConfigError, match=r"ceremony-key.pem is missing.*begin anew"):
        commit(hall, folders[0], ANNA)
    with pytest.raises(ConfigError, match="nothing to be opened"):
        show(hall, folders[0], ANNA, *committed)
    (folders[1] / PENDING).write_bytes(b"damaged")
    with pytest.raises(KeyFileError, match=r"ceremony.pending is damaged"):
        show(hall, folders[1], BERT, *committed)


def test_opening_again_gives_the_same_and_never_another(
    hall: Hall, folders: tuple[Path, Path], committed: tuple[Commitment, Commitment]
) -> None:
    shown = show(hall, folders[0], ANNA, *committed)
    assert show(hall, folders[0], ANNA, *committed) == shown
    second = hall.commit(replace(hall.pending[BERT], nonces=(new_nonce(), new_nonce())))
    with pytest.raises(InvalidCeremony, match="told different things") as caught:
        show(hall, folders[0], ANNA, committed[0], second)
    assert (caught.value.dealers, caught.value.proven) == ((BERT,), True)


def test_nothing_is_shown_before_all_commitments_are_there(
    hall: Hall, folders: tuple[Path, Path], committed: tuple[Commitment, Commitment]
) -> None:
    for given in ((), committed[:1], (committed[0], replace(committed[1], factors=committed[0].factors))):
        with pytest.raises(InvalidCeremony):
            show(hall, folders[0], ANNA, *given)
    strange = hall.commit(replace(hall.pending[ANNA], nonces=(new_nonce(), new_nonce())))
    with pytest.raises(InvalidCeremony, match="is not that of this folder"):
        show(hall, folders[0], ANNA, strange, committed[1])
    assert not (folders[0] / f"{ANNA}.opening").exists()
    show(hall, folders[0], ANNA, *committed)


def test_each_has_its_own_key_passphrase_and_plan(
    hall: Hall, folders: tuple[Path, Path], committed: tuple[Commitment, Commitment]
) -> None:
    with pytest.raises(ConfigError, match="operator key of none of the plan's dealers: anna-ag, bert-ag"):
        deal(folders[0], hall.plan, hall.operators["carl-ag"], PASSPHRASE)
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        open_all(folders[0], hall.plan, committed, hall.operators[ANNA], b"another passphrase")
    with pytest.raises(KeyFileError, match="8 or more"):
        deal(folders[0], hall.plan, hall.operators[ANNA], b"short")
    for step in (
        lambda key: deal(folders[0], hall.plan, key, PASSPHRASE),
        lambda key: open_all(folders[0], hall.plan, committed, key, PASSPHRASE),
    ):
        with pytest.raises(ConfigError, match=f"the working folder of '{ANNA}', .* operator key of '{BERT}'"):
            step(hall.operators[BERT])
    other = replace(hall.plan, nonce=bytes(16))
    with pytest.raises(ConfigError, match="holds the dealing for another plan: name a new folder"):
        deal(folders[0], other, hall.operators[ANNA], PASSPHRASE)
    agreed = tuple(replace(one, plan=other.digest).signed(hall.operators[one.dealer]) for one in committed)
    with pytest.raises(ConfigError, match="holds the dealing for another plan"):
        open_all(folders[0], other, agreed, hall.operators[ANNA], PASSPHRASE)


def test_a_folder_of_something_else_is_left_alone(
    hall: Hall, committed: tuple[Commitment, Commitment], tmp_path: Path
) -> None:
    """In one of its own, what is half written is deleted."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "notes.next").write_text("data")
    (precious / f"{BERT}.commitment").write_text(committed[1].to_toml())
    for step in (lambda: commit(hall, precious, ANNA), lambda: show(hall, precious, ANNA, *committed)):
        with pytest.raises(ConfigError, match="not empty, and no working folder of 'anna-ag': name a new"):
            step()
    assert (precious / "notes.next").read_text() == "data"
    assert len(list(precious.iterdir())) == 2


# -- crashes ---------------------------------------------------------------------------------------------


def test_killed_at_any_step_there_is_one_commitment(hall: Hall, tmp_path: Path) -> None:
    for after in itertools.count():
        folder, failing = tmp_path / str(after), FailingOs(Killed(), after=after)
        with patch.object(files, "os", failing), suppress(Killed):
            commit_again(hall, folder, ANNA)
        seen = [Commitment.from_toml(path.read_text(), "") for path in folder.glob("*.commitment")]
        first = commit_again(hall, folder, ANNA)
        assert seen in ([], [first])
        if not failing.failed:
            break
    assert after > 12


def test_killed_at_any_step_there_is_one_opening_and_nothing_secret_stays(hall: Hall, tmp_path: Path) -> None:
    mine, other = hall.commitments
    commit_again(hall, tmp_path / "begun", ANNA)
    with patch.object(ceremony, "check_own", lambda *_: None):
        for after in itertools.count():
            folder, failing = tmp_path / str(after), FailingOs(Killed(), after=after)
            shutil.copytree(tmp_path / "begun", folder)
            with patch.object(files, "os", failing), suppress(Killed):
                show(hall, folder, ANNA, mine, other)
            before = [path.read_bytes() for path in folder.glob("*.opening")]
            first = show(hall, folder, ANNA, mine, other).to_json().encode()
            assert before in ([], [first])
            assert {path.name for path in folder.iterdir()} == {f"{ANNA}.commitment", f"{ANNA}.opening"}
            if not failing.failed:
                break
    assert after > 8


def test_a_full_disk_says_what_to_do(hall: Hall, tmp_path: Path) -> None:
    full = FailingOs(OSError(errno.ENOSPC, "No space left on device"), after=3)
    with (
        patch.object(files, "os", full),
        pytest.raises(KeyFileError, match="No space left on device; check its owner and space, and repeat"),
    ):
        commit_again(hall, tmp_path / "anna", ANNA)


# -- secrets ---------------------------------------------------------------------------------------------


def test_no_secret_is_ever_written(
    hall: Hall, folders: tuple[Path, Path], committed: tuple[Commitment, Commitment]
) -> None:
    """Neither primes nor shares; and no modulus before the opening."""
    pending = ceremony_folder._pending(folders[0], hall.plan, ANNA, PASSPHRASE)
    opened = pending.to_json().encode()
    moduli = [key.modulus for _, key in pending.dealing.keys]
    for path in folders[0].iterdir():
        assert path.stat().st_mode & 0o077 == 0
        content = path.read_bytes()
        assert not any(spelt in content for number in moduli for spelt in spellings(number))
    show(hall, folders[0], ANNA, *committed)
    content = (folders[0] / f"{ANNA}.opening").read_bytes()
    primes = SAFE_PRIMES_1024[:2]
    for text in (opened, content):
        assert not any(spelt in text for number in primes for spelt in spellings(number))


def spellings(number: int) -> list[bytes]:
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return [raw, raw.hex().encode(), str(number).encode(), raw.hex().upper().encode()]


def test_errors_and_names_tell_no_secret(hall: Hall) -> None:
    opening = hall.openings()[0]
    assert opening.nonces[0].hex() not in repr(opening)
    assert "sealed" not in repr(opening).lower()


# -- files of the outside --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plan", "commitment", "opening"])
def test_files_have_one_spelling_and_say_what_they_are_not(hall: Hall, tmp_path: Path, kind: str) -> None:
    texts = {
        "plan": hall.plan.to_toml(),
        "commitment": hall.commitments[0].to_toml(),
        "opening": hall.openings()[0].to_json(),
    }
    read, text = getattr(ceremony_folder, f"read_{kind}"), texts.pop(kind)
    lines = text.splitlines(keepends=True)
    spoilt = ["", "{", "[]", "format = 1\n", '{"format": 1}', text[:-1], text + "\n", text[:100]]
    spoilt += [*texts.values(), "a" + ".a" * 5_000 + " = 1", "[" * 5_000]
    for number, line in enumerate(lines[:10]):
        spoilt.append("".join(lines[:number] + lines[number + 1 :]))
        spoilt.append("".join([*lines[:number], line.replace('"', "", 1), *lines[number + 1 :]]))
        spoilt.append("".join([*lines[:number], line.replace("= ", "= 7 #", 1), *lines[number + 1 :]]))
    path = tmp_path / "file"
    path.write_text(text)
    read(path)
    for other in spoilt:
        if other != text:
            path.write_text(other)
            with pytest.raises(AllianceError) as caught:
                judged(hall, read(path))
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 500
    path.write_bytes(b"\xff\xfe" + text.encode())
    with pytest.raises(ConfigError, match="cannot be read as"):
        read(path)
    with pytest.raises(ConfigError, match="cannot be read as"):
        read(tmp_path / "nothing")


def judged(hall: Hall, found: CeremonyPlan | Commitment | Opening) -> None:
    """What is in form is refused for what it says."""
    if isinstance(found, Commitment):
        ceremony.all_commitments(hall.plan, [found, hall.commitments[1]])
    if isinstance(found, Opening):
        ceremony.all_openings(hall.plan, [found, hall.openings()[1]])
