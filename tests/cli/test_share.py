"""``alliance share status``: what a member's operator reads of its shares, and when it says no."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import pytest

from alliance.cli import share
from alliance.keys import handover, shares
from alliance.keys.share_status import KeyStatus, ShareStatus
from alliance.keys.shares import Generation, load_endorser
from quorum.threshold_rsa import ThresholdRsaEndorser
from shoup_rsa import generate_threshold_key
from tests.cli.conftest import Run
from tests.worlds.founding import cheap_key_files
from tests.worlds.processes import PASSPHRASE, Cluster

WRITTEN = 1_800_000_000
SECRET = PASSPHRASE.encode()


def test_every_share_is_tried_out(inside: Run, home: Cluster) -> None:
    folder = home.member("member-2")
    os.utime(folder / "share-0.0-agreement.pem", (WRITTEN, WRITTEN))
    result = inside("share", "status", folder, "-o", "json")
    assert (result.code, result.err) == (0, "")
    told = json.loads(result.text)
    assert (told["member"], told["ok"], told["epoch"], told["attempt"]) == ("member-2", True, 0, 0)
    assert (told["alliance_epoch"], told["others"], told["dealings"]) == (0, [], [])
    assert told["receivers"] == [fingerprint.hex() for fingerprint in handover.receivers(folder)]
    assert len(told["receivers"]) == 1
    assert told["one_time_key"] is False
    agreement, attestation = told["keys"]
    assert agreement == {
        "purpose": "agreement",
        "index": 2,
        "parties": 6,
        "threshold": 5,
        "key_id": home.config.key.key_id.hex(),
        "fingerprint": hashlib.sha256(home.config.key.to_der()).hexdigest(),
        "written": WRITTEN,
        "problem": "",
    }
    assert (attestation["purpose"], attestation["threshold"], attestation["problem"]) == (
        "attestation",
        3,
        "",
    )
    text = inside("share", "status", folder).text
    assert text.startswith("member-2 holds shares of epoch 0; the alliance's keys are of epoch 0\n")
    assert "agreement: share 2 of 6, any 5 sign; written 2027-01-15, " in text
    assert f"SHA-256 of public.pem in DER {agreement['fingerprint']}" in text
    assert text.count("; works\n") == 2


def test_how_old_a_share_is_and_what_lies_beside_it_are_lines() -> None:
    key = KeyStatus("web", 3, 6, 4, "ab", "cd", 0.0, "")
    found = ShareStatus(1, 0, 1, (key,), (("0.0", "to be erased"),), ("ef",), ("2.0",), True)
    assert share._lines("member-3", found, 2 * share.DAY_SECONDS + 1.0) == [
        "member-3 holds shares of epoch 1; the alliance's keys are of epoch 1",
        "web: share 3 of 6, any 4 sign; written 1970-01-01, 2 days ago; works",
        "  key id ab",
        "  SHA-256 of public-web.pem in DER cd",
        "beside them: shares of generation 0.0, to be erased",
        "kept for a handover: the secret of the receiver's key ef",
        "kept for a handover: what was dealt towards generation 2.0",
        "left from the founding: opening.pem, by which its shares open once more: 'alliance join' again"
        " erases it",
    ]
    broken = dataclasses.replace(key, index=None, written=None, problem="it is missing")
    assert share._of_key(broken, 0.0)[0] == (
        "web: no share of 6, any 4 sign; no file; does not work: it is missing"
    )
    assert share._age(key, 1.0) == "written 1970-01-01, today"


def test_what_lies_beside_the_shares_is_told(inside: Run, home: Cluster) -> None:
    """Shares of other keys do for that: what is beside is not opened."""
    folder = home.member("member-1")
    dealing = generate_threshold_key(4, 3, 1, 512, epoch=1, insecure_small_key=True)
    later = {"agreement": ThresholdRsaEndorser(dealing.key_shares[0])}
    with cheap_key_files():
        shares.add_shares(folder, Generation(1), later, SECRET)
        shares.add_shares(folder, Generation(1, 1), later, SECRET)
        handover.keep_receiver(folder, bytes(32), b"secret", SECRET)
    handover.keep_dealing(folder, Generation(1), lambda: b"dealt")
    sealing = folder / "sealing-1.1.pem"
    sealing.write_bytes(bytes(sealing.stat().st_size))
    result = inside("share", "status", folder, "-o", "json")
    assert result.code == 0
    told = json.loads(result.text)
    assert dict(told["others"]) == {
        "1.0": "counts not yet: of a handover that goes on, or was given up",
        "1.1": "opens for nobody: half written, or half erased",
    }
    assert (told["receivers"][0], len(told["receivers"]), told["dealings"]) == (bytes(32).hex(), 2, ["1.0"])
    shares.switch_to(folder, Generation(1))
    result = inside("share", "status", folder)
    assert result.code == 2
    assert "generation 0.0, went out of use: to be erased, here and in every backup" in result.text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("share-0.0-attestation.pem", "share-0.0-attestation.pem is missing"),
        ("sealing-0.0.pem", "sealing-0.0.pem is missing"),
        ("share.current", "share.current is missing"),
    ],
)
def test_a_share_that_does_not_work_ends_with_2(inside: Run, home: Cluster, name: str, says: str) -> None:
    folder = home.member("member-1")
    (folder / name).unlink()
    result = inside("share", "status", folder)
    assert result.code == 2
    assert says in result.error
    assert ("attestation: no share of 6" in result.text) == name.startswith("share-")
    assert ("agreement: share 1 of 6" in result.text) == name.startswith("share-")


def test_a_share_that_signs_wrongly_is_found(
    inside: Run, home: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.member("member-1")
    other = load_endorser(home.member("member-2"), home.config, 1, SECRET)
    sign = ThresholdRsaEndorser.test_itself

    def with_anothers_share(endorser: ThresholdRsaEndorser) -> None:
        if endorser.key == other.key:
            endorser._share = _Liar(endorser._share, other._share)  # type: ignore[assignment]
        sign(endorser)

    monkeypatch.setattr(ThresholdRsaEndorser, "test_itself", with_anothers_share)
    result = inside("share", "status", folder)
    assert result.code == 2
    assert "share-0.0-agreement.pem opens, but what it signs is refused (the proof of" in result.error
    assert "attestation: share 1 of 6, any 3 sign" in result.text


class _Liar:
    """A share whose machine computes with another secret, and makes its proof all the same."""

    def __init__(self, shown: object, used: object) -> None:
        self._shown, self._used = shown, used

    def __getattr__(self, name: str) -> object:
        return getattr(self._shown, name)

    def sign_share(self, message: bytes, **options: object) -> object:
        made = self._used.sign_share(message, **options)  # type: ignore[attr-defined]
        return dataclasses.replace(made, index=self._shown.index)  # type: ignore[attr-defined]


def test_what_is_wrong_is_said_before_anything_is_opened(inside: Run, home: Cluster, tmp_path: Path) -> None:
    folder = home.member("member-1")
    for result, says in [
        (
            inside("share", "status", folder, passphrase="guess"),
            "sealing-0.0.pem does not open: wrong passphrase",
        ),
        (inside("share", "status", home.client_folder("client-1")), "is a client's folder"),
        (inside("share", "status", tmp_path), "does not exist"),
    ]:
        assert (result.code, result.out) == (2, b"")
        assert says in result.error
    for path in (*folder.glob("sealing-*"), *folder.glob("share*")):
        path.unlink()
    result = inside("share", "status", folder, "-o", "json")
    assert result.code == 2
    assert "holds no share of the alliance's keys" in json.loads(result.error)["error"]


def test_a_backup_is_made_checked_and_goes_out_of_use(
    inside: Run, home: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file, secret = home.member("member-2"), tmp_path / "b", tmp_path / "secret"
    secret.write_text(PASSPHRASE)
    made = inside("share", "backup", folder, "--to", file, "-o", "json")
    assert (made.code, made.err) == (0, "")
    told = json.loads(made.text)
    assert (told["member"], told["dealing"], told["keys"]) == ("member-2", 0, ["agreement", "attestation"])
    assert (
        f"last backup: made {told['made']}, of the shares that count"
        in inside("share", "status", folder).text
    )
    other = home.member("member-1")
    assert "not opened" in inside("share", "check", file, other).text
    passphrase = ("--operator-passphrase-file", secret)
    opened = inside("share", "check", file, other, "--operator", folder / "operator.pem", *passphrase)
    assert (opened.code, "every share works" in opened.text) == (0, True)
    wrong = inside("share", "check", file, other, "--operator", other / "operator.pem", *passphrase)
    assert wrong.code == 2
    assert "opens with the operator key that 'member-2' had" in wrong.error
    (folder / "share.backup").write_text(f"7.0 {told['made']}\n")
    assert "of generation 7.0, which went out of use: destroy it" in inside("share", "status", folder).text
    file.write_text(file.read_text().replace('"0.0"', '"3.0"'))
    assert inside("share", "check", file, other).code == 2


def test_a_backup_is_never_written_over_another_one_nor_into_the_folder(
    inside: Run, home: Cluster, tmp_path: Path
) -> None:
    folder = home.member("member-2")
    (tmp_path / "b").write_text("")
    for to, says in [(tmp_path / "b", "exists: name another file"), (folder / "b", "is in the folder")]:
        result = inside("share", "backup", folder, "--to", to)
        assert (result.code, says in result.error) == (2, True), result.err
