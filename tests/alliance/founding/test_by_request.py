"""Founding by request files: who may be together, and what the dealer never holds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from alliance.config import file as config_file
from alliance.config.file import ATTESTATION
from alliance.errors import ConfigError
from alliance.founding import by_request, party
from alliance.founding.request import Request
from alliance.keys import handover, sealing, secret_file
from alliance.keys.folder import IDENTITY, OPERATOR, TLS_KEY
from alliance.keys.opening import OPENING
from quorum import QuorumSystem
from quorum.receivers import ReceiverSecret, generate_receiver, receiver_bits
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.redistribution import Order
from tests.alliance.farm import PASSPHRASE
from tests.alliance.founding.applicants import KEY_SIZE, NAMES, Applicant, applicants, client
from tests.alliance.founding.conftest import CLIENT, Contents, Founded, plan
from tests.worlds.founding import cheaply, dealt

Change = Callable[[list[Applicant]], object]


def asked(members: list[Applicant], *more: Request) -> dict[str, Request]:
    requests = [*(member.request for member in members), *more]
    return {f"{at}.request": request for at, request in enumerate(requests)}


def test_what_was_asked_for_is_what_is_founded(founded: Founded) -> None:
    config = config_file.load(founded.public)
    assert config == founded.config
    assert [*config.members, *config.clients] == [request.party for request in founded.requests.values()]
    assert [member.organisation for member in config.members][::5] == ["anna-ag", "anna-ag"]
    assert [name for name, _ in config.founding.operators] == [f"{name}-ag" for name in NAMES[:5]]
    for member in config.members:
        assert member.receiver is not None
    assert config.attestation.threshold == 3
    assert {path.name for path in founded.public.iterdir()} == {
        *("alliance.toml", "public.pem", "public-attestation.pem", "alliance.dealing")
    }


def spellings(secret: bytes) -> list[bytes]:
    return [secret, secret[::-1], secret.hex().encode(), base64.b64encode(secret)[:-4]]


def test_the_dealer_holds_no_secret_of_a_party_and_leaves_none_of_its_own(founded: Founded) -> None:
    """Neither in the request files, which are all that it has of them, nor in what it writes."""
    secrets: list[bytes] = []
    for name in NAMES[::2]:
        home = founded.homes / name
        for file in (IDENTITY, *([OPERATOR] if (home / OPERATOR).exists() else [])):
            key = sealing.unseal_signing(sealing.read(home / file), home / file, PASSPHRASE)
            secrets.append(key.private_bytes_raw())
        channel = sealing.unseal_channel(sealing.read(home / TLS_KEY), home / TLS_KEY, PASSPHRASE)
        secrets.append(channel.private_numbers().private_value.to_bytes(32, "big"))
        secrets.append(secret_file.unseal(home / OPENING, PASSPHRASE))
        (fingerprint,) = handover.receivers(home)
        receiver = ReceiverSecret.from_secret_bytes(handover.open_receiver(home, fingerprint, PASSPHRASE))
        secrets += [
            prime.to_bytes(receiver.key.bits // 16, "big") for prime in (receiver._first, receiver._second)
        ]
    (_, endorsers), primes = dealt(founded.config.system, 5, KEY_SIZE)
    secrets += [prime.to_bytes(128, "big") for prime in primes]
    secrets += [endorser._share._secret.to_bytes(256, "big") for endorser in endorsers]
    needles = [spelling for secret in secrets for spelling in spellings(secret)]
    files = [*founded.public.iterdir(), *map(Path, founded.requests)]
    assert len(needles) > 100
    for path in files:
        data = path.read_bytes().replace(b"\n", b"")
        assert not any(needle in data for needle in needles), path


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda them: them[1].__init__("anna", "bert-ag", them[1].receiver),
            "0.request and 1.request .* name",
        ),
        (lambda them: setattr(them[1], "identity", them[0].identity), "0.request and 1.request .* same key"),
        (lambda them: setattr(them[1], "opening", them[0].opening), "same one-time key"),
        (lambda them: setattr(them[1], "receiver", them[0].receiver), "same receiver key"),
        (lambda them: setattr(them[1], "operator", them[0].operator), "0.request and 1.request .* same key"),
        (lambda them: setattr(them[1], "operator", them[2].identity), "same key"),
        (
            lambda them: setattr(them[1], "organisation", "anna-ag"),
            "1.request: 'anna-ag' has another operator",
        ),
        (lambda them: them.__delitem__(slice(3)), "5f-1 = 4 members"),
    ],
)
def test_requests_that_cannot_be_together_are_named(change: Change, match: str) -> None:
    members = applicants()
    change(members)
    with pytest.raises(ConfigError, match=match):
        plan(asked(members))


def test_requests_that_clash_by_what_they_ask_for_are_named() -> None:
    members = applicants()
    with pytest.raises(ConfigError, match=r"0.request and 6.request have the same name"):
        plan(asked(members, client("anna")))
    with pytest.raises(ConfigError, match=r"0.request and 1.request have the same name"):
        plan({"0.request": members[0].request, "1.request": members[0].request})
    same_address = replace(
        members[1].request, seat=replace(members[1].request.seat, address="anna.example:7400")
    )
    with pytest.raises(ConfigError, match=r"0.request and 1.request have the same address"):
        plan({"0.request": members[0].request, "1.request": same_address})
    with pytest.raises(ConfigError, match="--bits must be 2048 to 8192"):
        plan(asked(members), key_size=1000)
    with pytest.raises(ConfigError, match="no name"):
        by_request.plan(asked(members), name="The Farm", faults=1, key_size=KEY_SIZE)
    with pytest.raises(ConfigError, match=r"'attestation' must be 2 .* to 5"):
        plan(asked(members), attest=6)
    assert plan(asked(members, client("x")), attest=2).client_names == ["x"]
    with pytest.raises(
        ConfigError, match=r"6.request: 'bart-ag' is to answer for 'x'.* did you mean 'bert-ag'"
    ):
        plan(asked(members, client("x", "bart-ag")))


def test_a_receiver_key_too_short_for_the_shared_keys_is_named() -> None:
    members = applicants()
    members[3].receiver = generate_receiver(2560)
    with pytest.raises(
        ConfigError, match=r"^3.request: the receiver key of 'dora' has 2560 .* need 3328: it makes"
    ):
        plan(asked(members))
    with pytest.raises(
        ConfigError, match=r"^0.request: .* 4352: it makes another request with --key-bits 3072"
    ):
        plan(asked(applicants()), key_size=3072)


@pytest.mark.parametrize("size", [2048, 2176, 3072, 4096, 8192])
def test_receivers_are_long_enough_for_any_first_redistribution(size: int) -> None:
    """In alliances of at most 31 members, whatever the threshold."""
    for members in range(6, 32):
        for faults in range(1, (members - 1) // 5 + 1):
            system = QuorumSystem(members, faults)
            for threshold in (system.decision, system.one_correct, system.report):
                order = Order(_key(system, threshold, size), members, threshold, faults, members, 0, b"")
                assert order.receiver_bits <= receiver_bits(size)


def _key(system: QuorumSystem, threshold: int, size: int) -> ThresholdPublicKey:
    """One whose sizes alone are right: dealing so many takes hours."""
    key = object.__new__(ThresholdPublicKey)
    fields = {
        "modulus": (1 << size) - 1,
        "public_exponent": 65537,
        "verification_base": 4,
        "nonresidue": 2,
        "parties": system.member_count,
        "threshold": threshold,
        "corruptions": system.faulty_max,
        "epoch": 0,
        "protocol": 2,
        "index_bound": 0,
        "secret_bits": 0,
        "verification_keys": (),
    }
    for name, value in fields.items():
        object.__setattr__(key, name, value)
    return key


def test_a_file_that_is_no_request_is_named(founded: Founded, tmp_path: Path) -> None:
    good = Path(next(iter(founded.requests)))
    for name, data in {
        "none.request": None,
        "binary.request": b"\xff\xfe\x00",
        "long.request": good.read_bytes() + b"#" * 20_000,
        "key.request": (good.parent / IDENTITY).read_bytes(),
    }.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(ConfigError, match=f"{name}"):
            by_request.read_requests([good, path])
    with pytest.raises(ConfigError, match="named twice"):
        by_request.read_requests([good, good])


def test_line_ends_of_mail_do_no_harm(founded: Founded, tmp_path: Path) -> None:
    good = Path(next(iter(founded.requests)))
    path = tmp_path / "mailed.request"
    path.write_bytes(good.read_bytes().replace(b"\n", b"\r\n"))
    assert by_request.read_request(path) == by_request.read_request(good)


def test_nothing_stays_when_it_fails(
    founded: Founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "deep" / "farm"
    requests = list(founded.requests.values())
    with cheaply(), monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail)
        with pytest.raises(ConfigError, match="cannot be written"):
            by_request.found_for(plan(founded.requests), requests, target)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ConfigError, match="not empty"):
        by_request.found_for(plan(founded.requests), requests, tmp_path)


def test_the_threshold_of_the_attestation_key_is_as_chosen(founded: Founded) -> None:
    system = founded.config.system
    for attest, threshold in ((None, 3), (2, 2), (5, 5)):
        assert plan(founded.requests, attest=attest).thresholds(system) == ((ATTESTATION, threshold),)
    for attest in (0, 1, 6):
        with pytest.raises(ConfigError, match="threshold of 'attestation' must be 2"):
            plan(founded.requests, attest=attest)


# -- a party's own folder ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": "Anna"}, "is no name"),
        ({"name": "../anna"}, "is no name"),
        ({"organisation": "a b"}, "is no name"),
        ({"address": "anna"}, "is no address"),
        ({"address": "anna:99999"}, "is no address"),
        ({"key_size": 1024}, "2048 to 8192"),
        ({"key_size": 2049}, "2048 to 8192"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    asks = {"name": "anna", "organisation": "anna-ag", "address": "anna.example:7400", "key_size": KEY_SIZE}
    with pytest.raises(ConfigError, match=match):
        party.ask_as_member(tmp_path / "anna", passphrase=PASSPHRASE, **(asks | changes))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_partys_folder_holds_what_it_asked_with_and_no_alliance(founded: Founded) -> None:
    anna, fritz = founded.homes / "anna", founded.homes / "fritz"
    for home, more in ((anna, {OPERATOR, "anna.request"}), (fritz, {"fritz.request"})):
        (fingerprint,) = handover.receivers(home)
        common = {"member.name", IDENTITY, TLS_KEY, OPENING, handover.receiver_file(fingerprint)}
        assert {path.name for path in home.iterdir()} == common | more
    assert {path.name for path in (founded.homes / CLIENT).iterdir()} == {
        *("client.name", IDENTITY, TLS_KEY, "carola.request")
    }
    for path in anna.glob("*.pem"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert anna.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ConfigError, match=r"'alliance join .*anna ITS-FOLDER'"):
        config_file.load(anna)


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ConfigError, match="not empty"):
        party.ask_as_client(tmp_path, "carola", PASSPHRASE)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_of_two_at_once_the_second_leaves_to_the_first_what_is_there(
    founded: Founded, tmp_path: Path, contents: Contents, stocked: None
) -> None:
    """Both have found the folder empty, and both may fail at any time."""

    def ask_client(folder: Path) -> None:
        party.ask_as_client(folder, "carola", PASSPHRASE)

    def ask_member(folder: Path) -> None:
        party.ask_as_member(folder, "anna", "anna-ag", "a:1", KEY_SIZE, PASSPHRASE)

    def deal(folder: Path) -> None:
        with cheaply():
            by_request.found_for(plan(founded.requests), list(founded.requests.values()), folder)

    iterdir = Path.iterdir
    for number, command in enumerate((ask_client, ask_member, deal)):
        folder = tmp_path / str(number)
        command(folder)
        before, empty = contents(folder), [True]

        def once_empty(path: Path, empty: list[bool] = empty) -> Iterator[Path]:
            return iter(()) if empty and empty.pop() else iterdir(path)

        with (
            patch.object(Path, "iterdir", once_empty),
            pytest.raises(ConfigError, match="written by another command"),
        ):
            command(folder)
        assert before
        assert contents(folder) == before


def test_half_a_folder_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stocked: None) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("write_keys", "write_opening_key"):
        with monkeypatch.context() as patch:
            patch.setattr(party, name, fail)
            with pytest.raises(ConfigError, match="cannot be written"):
                party.ask_as_member(tmp_path / "anna", "anna", "anna-ag", "a:1", KEY_SIZE, PASSPHRASE)
        assert list(tmp_path.iterdir()) == []
