"""Joining: all is checked, then all is kept, wherever it is interrupted; afterwards the members can sign."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from alliance.cli.members import party_of
from alliance.config import file as config_file
from alliance.config.file import ATTESTATION, FILE, AllianceConfig
from alliance.config.founding import AGREEMENT
from alliance.config.parties import Client
from alliance.errors import AllianceError, ConfigError, KeyFileError
from alliance.founding import by_request, dealer, party
from alliance.founding.by_request import DEALING_FILE
from alliance.founding.join import FIRST, join
from alliance.founding.outcome import public_files
from alliance.founding.request import request_as_client
from alliance.keys import files, handover, sealing, secret_file
from alliance.keys import folder as keys
from alliance.keys.opening import OPENING, load_opening_key
from alliance.keys.revision import FOUNDED, load_founded
from alliance.keys.share_status import share_status
from alliance.keys.shares import (
    Generation,
    erase_shares,
    generations,
    load_endorser,
    sealing_file,
    switch_to,
)
from quorum.receivers import ReceiverKey, ReceiverSecret
from quorum.threshold_rsa import ThresholdRsaEndorser
from tests.alliance.farm import PASSPHRASE
from tests.alliance.founding.applicants import KEY_SIZE, NAMES
from tests.alliance.founding.conftest import CLIENT, Contents, Founded, ask, plan
from tests.alliance.keys.failing import FailingOs, Killed
from tests.worlds.founding import cheap_key_files, dealt

MESSAGE = b"what all of them agree on"


def hand_out(folder: Path, config: AllianceConfig) -> None:
    """Another alliance in the place of the one that is there."""
    for name, content in public_files(config).items():
        (folder / name).write_bytes(content)


def test_all_join_and_then_sign_together(founded: Founded, tmp_path: Path) -> None:
    agreed: list[bytes] = []
    attested: list[ThresholdRsaEndorser] = []
    for index, name in enumerate(NAMES):
        home = founded.home(name, tmp_path)
        joined = join(home, founded.public, PASSPHRASE)
        assert (joined.config, joined.party, joined.anew) == (
            founded.config,
            founded.config.members[index],
            True,
        )
        config = config_file.load(home)
        assert keys.member_party(config, home) == (index, founded.config.members[index])
        keys.load_credentials(home, config.members[index], PASSPHRASE)
        agreed.append(load_endorser(home, config, index, PASSPHRASE).endorse(MESSAGE, proven=True))
        attested.append(load_endorser(home, config, index, PASSPHRASE, ATTESTATION))
        assert not (home / OPENING).exists()
        receiver = ReceiverSecret.from_secret_bytes(
            handover.open_receiver(home, _receiver_key(founded, index).fingerprint, PASSPHRASE)
        )
        assert receiver.key == _receiver_key(founded, index)
    for key, shares in (
        (founded.config.key, agreed),
        (
            founded.config.purpose_key(ATTESTATION),
            [one.endorse(MESSAGE, proven=False) for one in attested],
        ),
    ):
        decoded = [_signature_share(key, share) for share in shares]
        signature = key.combine(MESSAGE, decoded[-key.threshold :])
        key.verify(MESSAGE, signature)
        assert key.combine(MESSAGE, decoded[: key.threshold]) == signature


def _signature_share(key: object, share: bytes) -> object:
    from shoup_rsa import SignatureShare

    return SignatureShare.from_bytes(key, share)  # type: ignore[arg-type]


def _receiver_key(founded: Founded, index: int) -> ReceiverKey:
    receiver = founded.config.members[index].receiver
    assert receiver is not None
    return ReceiverKey.from_bytes(receiver.key)


def test_a_client_joins_without_shares(founded: Founded, tmp_path: Path) -> None:
    home = founded.home(CLIENT, tmp_path)
    public = tmp_path / "farm"
    shutil.copytree(founded.public, public, ignore=shutil.ignore_patterns(DEALING_FILE))
    assert join(home, public, PASSPHRASE).party == founded.config.clients[0]
    config = config_file.load(home)
    keys.load_credentials(home, config.client(CLIENT), PASSPHRASE)
    assert not list(home.glob("share*"))
    assert not join(home, public, PASSPHRASE).anew


def test_a_client_joins_an_alliance_that_has_let_it_in_later(founded: Founded, tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "dieter", tmp_path / "elsewhere"
    alliance_id = founded.config.alliance_id
    request = party.ask_as_client(home, "dieter", PASSPHRASE, "bert-ag", alliance_id)
    with pytest.raises(ConfigError, match="no client 'dieter': ask the operator of 'bert-ag' whether"):
        join(home, founded.public, PASSPHRASE)
    assert isinstance(request.party, Client)
    later = replace(founded.config, clients=(*founded.config.clients, request.party), revision=4)
    public = Path(shutil.copytree(founded.public, tmp_path / "farm"))
    (public / FILE).write_text(later.to_toml())
    with pytest.raises(ConfigError, match=r"founded\.toml is missing, which says how the alliance began"):
        join(home, public, PASSPHRASE)
    assert not (home / FILE).exists()
    (public / FOUNDED).write_text(founded.config.to_toml())
    assert join(home, public, PASSPHRASE).party == request.party
    assert config_file.load(home).to_toml() == later.to_toml()
    assert load_founded(home) == founded.config
    keys.load_credentials(home, later.client("dieter"), PASSPHRASE)
    party.ask_as_client(elsewhere, "dieter", PASSPHRASE, "bert-ag", bytes(32))
    with pytest.raises(ConfigError, match="is of another alliance than 'dieter' has asked"):
        join(elsewhere, public, PASSPHRASE)


def test_a_member_that_comes_later_takes_what_is_public_and_no_share(
    founded: Founded, tmp_path: Path, contents: Contents
) -> None:
    """Its shares come by the log; it needs no one-time key, and nobody's dealing file."""
    home, elsewhere = tmp_path / "gustav", tmp_path / "elsewhere"
    asks = "gustav", "gustav-ag", "gustav.example:7400", KEY_SIZE, PASSPHRASE, None
    party.ask_as_member(elsewhere, *asks, alliance_id=bytes(32))
    with pytest.raises(ConfigError, match="is of another alliance than 'gustav' has asked"):
        join(elsewhere, founded.public, PASSPHRASE)
    request = party.ask_as_member(home, *asks, alliance_id=founded.config.alliance_id)
    assert not (home / OPENING).exists()
    joined = join(home, founded.public, PASSPHRASE)
    assert (joined.party, joined.anew) == (request.party, True)
    assert config_file.load(home) == founded.config
    assert party_of(home, founded.config) == request.party  # who is to serve there
    assert generations(home) == ()
    assert len(handover.receivers(home)) == 1
    before = contents(home)
    assert not join(home, founded.public, PASSPHRASE).anew
    assert contents(home) == before


def test_to_join_twice_changes_nothing(founded: Founded, tmp_path: Path, contents: Contents) -> None:
    home = founded.home("bert", tmp_path)
    assert join(home, founded.public, PASSPHRASE).anew
    before = contents(home)
    assert not join(home, founded.public, PASSPHRASE).anew
    assert contents(home) == before
    edited = replace(config_file.load(home), timing=replace(founded.config.timing, view_timeout_seconds=9.0))
    (home / FILE).write_text(edited.to_toml())
    assert not join(home, founded.public, PASSPHRASE).anew
    assert config_file.load(home) == edited  # what its owner has changed since stays


def test_the_passphrase_can_be_changed_before_anything_else(founded: Founded, tmp_path: Path) -> None:
    home = founded.home("anna", tmp_path)
    join(home, founded.public, PASSPHRASE)
    count = keys.reseal(home, founded.config, PASSPHRASE, b"another passphrase")
    assert count == 5  # identity, channel, operator, sealing key, receiver
    fingerprint = _receiver_key(founded, 0).fingerprint
    assert handover.open_receiver(home, fingerprint, b"another passphrase")
    with pytest.raises(KeyFileError, match="passphrase"):
        handover.open_receiver(home, fingerprint, PASSPHRASE)
    # Interrupted at its last step, joining has left the one-time key.
    secret = secret_file.unseal(founded.homes / "anna" / OPENING, PASSPHRASE)
    (home / OPENING).write_bytes(secret_file.seal(OPENING, secret, b"another passphrase"))
    assert keys.reseal(home, founded.config, b"another passphrase", PASSPHRASE) == 6
    assert join(home, founded.public, PASSPHRASE).anew
    assert not (home / OPENING).exists()


class Quick(FailingOs):
    """It does not wait for the disk, and counts what separates one state of the folder from the next."""

    COUNTED = ("fsync", "replace", "unlink")

    def __getattr__(self, name: str) -> Any:
        return self._counted(lambda *_: None) if name == "fsync" else super().__getattr__(name)


@pytest.mark.parametrize(
    ("failure", "each"), [(Killed(), 1), (OSError(28, "No space left on device"), 5)], ids=["killed", "full"]
)
def test_wherever_it_ends_the_same_command_goes_on(
    founded: Founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, each: int
) -> None:
    """Until all is there, the one-time key is there, by which it can be had; afterwards it is gone."""
    for step in range(0, 100, each):
        home = founded.home("carl", tmp_path / str(step))
        failing = Quick(failure, after=step)
        with monkeypatch.context() as spoilt:
            spoilt.setattr(files, "os", failing)
            try:
                join(home, founded.public, PASSPHRASE)
            except (Killed, AllianceError):
                assert failing.failed
        there = (home / FILE).exists()
        assert there or secret_file.unseal(home / OPENING, PASSPHRASE)
        with monkeypatch.context() as quick:
            quick.setattr(files, "os", Quick(failure, after=10_000))
            joined = join(home, founded.public, PASSPHRASE)  # which opens each of the shares that it has kept
        assert joined.anew or there
        assert not (home / OPENING).exists()
        assert (home / FILE).read_text() == founded.config.to_toml()
        assert not list(home.glob("*.next"))
        if not failing.failed:
            break
    assert not failing.failed
    assert step >= 20


# -- what is refused, and writes nothing -------------------------------------------------------------


@pytest.fixture(scope="session")
def another(founded: Founded, tmp_path_factory: pytest.TempPathFactory, stocked: None) -> Path:
    """Another alliance of the same requests: the dealer dealt twice."""
    folder = tmp_path_factory.mktemp("another") / "farm"
    system = founded.config.system
    dealt_anew = [
        (AGREEMENT, *dealt(system, system.decision, KEY_SIZE, stock=1)[0]),
        (ATTESTATION, *dealt(system, system.mostly_correct, KEY_SIZE, place=1)[0]),
    ]
    with cheap_key_files(), patch.object(dealer, "deal", lambda *_: dealt_anew):
        by_request.found_for(plan(founded.requests), list(founded.requests.values()), folder)
    return folder


def altered(founded: Founded, to: Path, change: Callable[[AllianceConfig], AllianceConfig]) -> Path:
    """What the dealer wrote, with another alliance.toml, whose alliance_id fits."""
    folder = Path(shutil.copytree(founded.public, to / "farm"))
    config = change(founded.config)
    members = tuple(
        replace(was, name=one.name, organisation=one.organisation, identity=one.identity)
        for was, one in zip(config.founding.members, config.members, strict=True)
    )
    hand_out(folder, replace(config, founding=replace(config.founding, members=members)))
    return folder


def _anna(**changes: object) -> Callable[[AllianceConfig], AllianceConfig]:
    def change(config: AllianceConfig) -> AllianceConfig:
        first, *rest = config.members
        return replace(config, members=(replace(first, **changes), *rest))  # type: ignore[arg-type]

    return change


def _other_operator(config: AllianceConfig) -> AllianceConfig:
    (name, _), *rest = config.founding.operators
    operators = ((name, bytes.fromhex("d7" * 32)), *rest)
    return replace(config, founding=replace(config.founding, operators=operators))


def test_a_client_joins_under_the_organisation_that_it_asked_for(founded: Founded, tmp_path: Path) -> None:
    assert founded.config.client(CLIENT).organisation == "bert-ag"
    public = altered(founded, tmp_path, lambda config: replace(config, clients=(_of_anna(config),)))
    with pytest.raises(ConfigError, match=f"the organisation of '{CLIENT}' is not as requested"):
        join(Path(shutil.copytree(founded.homes / CLIENT, tmp_path / CLIENT)), public, PASSPHRASE)


def _of_anna(config: AllianceConfig) -> Client:
    return replace(config.client(CLIENT), organisation="anna-ag")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_anna(address="mallory.example:7400"), "the address of 'anna' is not as requested"),
        (_anna(receiver=None), "the receiver of 'anna' is not as requested"),
        (_anna(organisation="bert-ag"), "the organisation of 'anna' is not as requested"),
        (_anna(name="annie"), "no member 'anna'|bears another name"),
        (_other_operator, "the operator key of 'anna-ag' is not as requested"),
        (
            lambda config: replace(config, members=config.members[::-1]),
            "deals to other members|another alliance",
        ),
    ],
)
def test_an_alliance_that_is_not_as_requested_is_refused(
    founded: Founded,
    tmp_path: Path,
    contents: Contents,
    change: Callable[[AllianceConfig], AllianceConfig],
    match: str,
) -> None:
    home = founded.home("anna", tmp_path)
    before = contents(home)
    public = altered(founded, tmp_path, change)
    with pytest.raises(ConfigError, match=match):
        join(home, public, PASSPHRASE)
    assert contents(home) == before


def test_an_alliance_without_this_party_is_refused(founded: Founded, tmp_path: Path) -> None:
    request = ask(tmp_path, "emil")
    with pytest.raises(ConfigError, match="the operator key of 'emil-ag' is not as requested"):
        join(tmp_path / "emil", founded.public, PASSPHRASE)
    with pytest.raises(ConfigError, match="the identity of 'anna' is not as requested"):
        join(_again(founded, tmp_path, "anna"), founded.public, PASSPHRASE)
    stranger = founded.home(CLIENT, tmp_path)
    config = replace(founded.config, clients=())
    shutil.copytree(founded.public, tmp_path / "farm")
    hand_out(tmp_path / "farm", config)
    with pytest.raises(ConfigError, match="no client 'carola': it was founded without this request"):
        join(stranger, tmp_path / "farm", PASSPHRASE)
    assert request.kind == "member"


def _again(founded: Founded, to: Path, name: str) -> Path:
    """The folder of another request by the same organisation."""
    operator = founded.homes / name / keys.OPERATOR
    key = sealing.unseal_signing(sealing.read(operator), operator, PASSPHRASE)
    ask(to, name, key)
    return to / name


def test_a_dealing_of_another_alliance_or_member_is_refused(
    founded: Founded, another: Path, tmp_path: Path, contents: Contents
) -> None:
    home = founded.home("anna", tmp_path)
    before = contents(home)
    mixed = Path(shutil.copytree(founded.public, tmp_path / "farm"))
    text = (founded.public / DEALING_FILE).read_text()
    theirs = (another / DEALING_FILE).read_text()
    own_id = founded.config.alliance_id.hex()
    their_id = config_file.load(another).alliance_id.hex()
    for dealing, match in (
        (theirs, "of another alliance than alliance.toml beside it"),
        (theirs.replace(their_id, own_id), "deals other keys"),
        (text.replace('"name": "anna"', '"name": "annie"'), "deals to other members"),
        (text.replace("a", "b", 1), "alliance.dealing"),
        (text[: len(text) // 2], "no dealing file, or a truncated one"),
        ("", "no dealing file"),
    ):
        (mixed / DEALING_FILE).write_text(dealing)
        with pytest.raises(ConfigError, match=match):
            join(home, mixed, PASSPHRASE)
    (mixed / DEALING_FILE).unlink()
    with pytest.raises(ConfigError, match="get it from the dealer"):
        join(home, mixed, PASSPHRASE)
    (mixed / FILE).unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        join(home, mixed, PASSPHRASE)
    assert contents(home) == before
    join(home, founded.public, PASSPHRASE)


def test_who_has_joined_one_alliance_does_not_join_another(
    founded: Founded, another: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = founded.home("dora", tmp_path)
    join(home, founded.public, PASSPHRASE)
    with pytest.raises(ConfigError, match="has joined another alliance: make another request"):
        join(home, another, PASSPHRASE)
    begun = founded.home("emil", tmp_path)
    with monkeypatch.context() as spoilt:
        spoilt.setattr(files, "write_whole", _full)
        with pytest.raises(KeyFileError, match="and join again"):
            join(begun, founded.public, PASSPHRASE)
    with pytest.raises(ConfigError, match="began to join another alliance, or its shares are damaged"):
        join(begun, another, PASSPHRASE)
    assert join(begun, founded.public, PASSPHRASE).anew


def test_a_backup_of_the_one_time_key_is_told_and_brings_no_erased_share_back(
    founded: Founded, tmp_path: Path
) -> None:
    """The dealing file lies with everybody: the two together are a share."""
    home, member = founded.home("anna", tmp_path), founded.config.member_index("anna")
    join(home, founded.public, PASSPHRASE)
    assert not share_status(home, founded.config, member, PASSPHRASE).one_time_key
    shutil.copy(founded.homes / "anna" / OPENING, home / OPENING)
    assert share_status(home, founded.config, member, PASSPHRASE).one_time_key
    newer = Generation(1)
    name = sealing_file(newer)
    files.write_private(home / name, secret_file.seal(name, bytes(32), PASSPHRASE))
    switch_to(home, newer)
    erase_shares(home, FIRST)
    with pytest.raises(KeyFileError):
        join(home, founded.public, PASSPHRASE)
    assert generations(home) == (newer,)


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_folder_that_is_not_whole_is_refused(founded: Founded, tmp_path: Path) -> None:
    home = founded.home("anna", tmp_path)
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        join(home, founded.public, b"another passphrase")
    asked = home / "anna.request"
    asked.rename(tmp_path / "kept")
    with pytest.raises(
        ConfigError, match=r"has no anna\.request: name a folder that 'alliance request' made"
    ):
        join(home, founded.public, PASSPHRASE)
    shutil.copy(founded.homes / "bert" / "bert.request", asked)
    with pytest.raises(ConfigError, match="is the request of 'bert'"):
        join(home, founded.public, PASSPHRASE)
    (tmp_path / "kept").rename(asked)
    theirs = founded.homes / "bert"
    for name, match in (
        (OPENING, "opening.pem is not of this request"),
        (keys.IDENTITY, "are not those of 'anna'"),
    ):
        kept = (home / name).read_bytes()
        shutil.copy(theirs / name, home / name)
        with pytest.raises(KeyFileError, match=match):
            join(home, founded.public, PASSPHRASE)
        (home / name).write_bytes(kept)
    (home / OPENING).rename(tmp_path / "kept")
    with pytest.raises(KeyFileError, match=r"opening\.pem is missing"):
        join(home, founded.public, PASSPHRASE)
    (tmp_path / "kept").rename(home / OPENING)
    join(home, founded.public, PASSPHRASE)


def test_a_one_time_key_of_another_request_is_not_taken_for_ones_own(
    founded: Founded, tmp_path: Path
) -> None:
    with pytest.raises(KeyFileError, match="not of this request"):
        load_opening_key(founded.homes / "anna", bytes(32), PASSPHRASE)
    home = founded.home("anna", tmp_path)
    (home / OPENING).write_bytes(secret_file.seal(OPENING, bytes(31), PASSPHRASE))
    with pytest.raises(KeyFileError, match="is damaged"):
        load_opening_key(home, bytes(32), PASSPHRASE)


def test_a_member_does_not_join_as_a_client(founded: Founded, tmp_path: Path) -> None:
    home = founded.home("anna", tmp_path)
    identity = keys.load_credentials(home, founded.config.members[0], PASSPHRASE).signing_key
    (home / "anna.request").write_text(request_as_client("anna", identity).to_toml())
    with pytest.raises(ConfigError, match="no client 'anna'"):
        join(home, founded.public, PASSPHRASE)
