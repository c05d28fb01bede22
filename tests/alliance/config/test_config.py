"""alliance.toml: what is read is what was written, and everything else is refused with a reason."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from alliance.config import file as module
from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError
from alliance.keys import folder as keys
from quorum import QuorumSystem
from quorum.threshold_rsa import AgreementKey
from tests.alliance.farm import Farm


@pytest.fixture(scope="module")
def text(farm: Farm) -> str:
    return farm.config.to_toml()


def refuse(text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        AllianceConfig.from_toml(text)
    assert "\n" not in str(caught.value)


def swap(text: str, old: str, new: str, count: int = 1) -> str:
    assert old in text
    return text.replace(old, new, count)


def line(text: str, key: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{key} = "))


def test_it_comes_back_as_it_was_written(farm: Farm, text: str) -> None:
    again = AllianceConfig.from_toml(text)
    assert again.to_toml() == text
    assert again.alliance_id == farm.config.alliance_id
    assert again.context == farm.config.context
    assert (again.members, again.clients, again.system) == (
        farm.config.members,
        farm.config.clients,
        farm.config.system,
    )
    assert again.scheme.key == farm.config.key


def test_every_folder_holds_the_same_file(farm: Farm) -> None:
    for home in (farm.folder, farm.member_home(3), farm.client_home(0)):
        assert module.load(home) == farm.config


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("faulty_maxx", "faulty_max"), ("agreement-key", "agreement_key"), ("epocj", "epoch")],
)
def test_an_unknown_key_is_refused_with_a_suggestion(text: str, wrong: str, right: str) -> None:
    refuse(swap(text, f"{right} = ", f"{wrong} = "), f"unknown key '{wrong}'; did you mean '{right}'")
    refuse(swap(text, "address = ", "adress = "), "unknown key 'adress'; did you mean 'address'")
    refuse(swap(text, "[[clients]]", "[[clinets]]"), "unknown key 'clinets'; did you mean 'clients'")
    refuse("zzz = 1\n" + text, "unknown key 'zzz'$")


def test_whoever_alters_members_sizes_or_key_founds_another_alliance(farm: Farm, text: str) -> None:
    stranger = keys.generate_keys("member-2", datetime.datetime.now(datetime.UTC))
    member = farm.config.members[1]
    for members in (
        (farm.config.members[0], replace(member, identity=stranger.identity), *farm.config.members[2:]),
        (farm.config.members[0], replace(member, certificate=stranger.certificate), *farm.config.members[2:]),
        (farm.config.members[0], replace(member, name="member-9"), *farm.config.members[2:]),
        (farm.config.members[1], farm.config.members[0], *farm.config.members[2:]),
    ):
        altered = replace(farm.config, members=members)
        assert altered.alliance_id != farm.config.alliance_id
        lie = swap(altered.to_toml(), altered.alliance_id.hex(), farm.config.alliance_id.hex())
        refuse(lie, "was altered")
    refuse(swap(text, 'name = "farm"', 'name = "barn"'), "was altered")
    refuse(swap(text, line(text, "created"), 'created = "2020-01-01T00:00:00Z"'), "was altered")


def test_the_attestation_key_is_one_of_its_own_for_f_plus_1_members(farm: Farm, text: str) -> None:
    assert farm.config.attestation.threshold == farm.config.system.one_correct
    ((name, attestation),) = farm.config.purpose_keys

    def refuse_keys(match: str, *purposes: tuple[str, AgreementKey]) -> None:
        refuse(replace(farm.config, purpose_keys=purposes).to_toml(), match)

    refuse_keys("is the agreement key", ("attestation", farm.config.key))
    refuse_keys("is there twice", (name, attestation), (name, attestation))
    refuse_keys("is the attestation key", (name, attestation), ("web", attestation))
    refuse_keys("no further purpose", (name, attestation), ("agreement", attestation))
    refuse_keys("is no name", ("Attestation", attestation))
    refuse_keys("more than 16", *((f"purpose-{number}", attestation) for number in range(17)))
    refuse(
        swap(text, 'name = "attestation"\nkey = "', 'name = "attestation"\nkey = "x'),
        "for 'attestation' is no",
    )
    refuse(swap(text, 'name = "attestation"\nkey = ', 'name = "attestation"\nkex = '), "unknown key 'kex'")
    without = replace(farm.config, purpose_keys=())
    assert without.alliance_id != farm.config.alliance_id
    with pytest.raises(ConfigError, match="created by a version without"):
        without.purpose_key("attestation")


def test_applications_may_be_elsewhere(farm: Farm, text: str) -> None:
    member = farm.config.members[0]
    assert member.application_address("kv") == "127.0.0.1:7500"
    there = replace(member, applications=(("kv", "anna.example:7700"),))
    moved = replace(farm.config, members=(there, *farm.config.members[1:]))
    again = AllianceConfig.from_toml(moved.to_toml())
    assert (again, again.alliance_id) == (moved, farm.config.alliance_id)
    assert again.members[0].application_address("kv") == "anna.example:7700"
    assert again.members[0].application_address("lock") == "127.0.0.1:7500"
    given = 'applications = { "kv" = "anna.example:7700" }'
    for wrong in ('"kv"', '{ "kv" = 1 }', '{ "K V" = "a:1" }', "[]"):
        refuse(swap(moved.to_toml(), given, f"applications = {wrong}"), "write applications = ")
    refuse(swap(moved.to_toml(), given, 'applications = { "kv" = "anna" }'), "is no address")


def test_addresses_and_clients_may_change(farm: Farm, text: str) -> None:
    moved = AllianceConfig.from_toml(swap(text, "127.0.0.1:7400", "farm.example.org:443"))
    assert moved.alliance_id == farm.config.alliance_id
    fewer = replace(farm.config, clients=farm.config.clients[:1])
    assert AllianceConfig.from_toml(fewer.to_toml()).alliance_id == farm.config.alliance_id


def test_sizes_that_do_not_fit_are_refused(farm: Farm, text: str) -> None:
    refuse(swap(text, "faulty_max = 1", "faulty_max = 2"), "5f\\+1")
    refuse(swap(text, "faulty_max = 1", "faulty_max = -1"), "0 or more")
    refuse(swap(text, "faulty_max = 1", "faulty_max = 0"), "agreement key is for 5 of 6")
    refuse(swap(text, "epoch = 0", "epoch = 1"), "epoch 0")
    refuse(swap(text, "epoch = 0", "epoch = -1"), "epoch")
    fewer = replace(farm.config, members=farm.config.members[:5], system=QuorumSystem(5, 0))
    refuse(swap(fewer.to_toml(), "faulty_max = 0", "faulty_max = 1"), "5f\\+1")
    refuse(text.split("[[members]]")[0] + "members = []\n", "1 to 255 members|1\\.\\.255|255")


def test_two_of_a_kind_are_refused(text: str, farm: Farm) -> None:
    twice = text + "\n[[clients]]\n" + text.rsplit("[[clients]]\n", 1)[1]
    refuse(twice, "two clients have the same name")
    refuse(swap(text, 'name = "member-2"', 'name = "member-1"'), "two members have the same name")
    one, two = farm.config.members[:2]
    refuse(swap(text, two.identity.hex(), one.identity.hex()), "two members have the same identity")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("format", "format = 2", "format 2"),
        ("name", 'name = "Farm"', "no name"),
        ("name", 'name = ""', "no name"),
        ("name", 'name = "a\\nb"', "no name"),
        ("name", "name = 5", "not a string"),
        ("created", 'created = "yesterday"', "must be a time"),
        ("created", 'created = "2020-01-01T00:00:00Z\\""', "must be a time"),
        ("epoch", "epoch = true", "not a whole number"),
        ("epoch", "epoch = 0.0", "not a whole number"),
        ("epoch", "", "missing"),
        ("agreement_key", 'agreement_key = "AAAA"', "no threshold public key"),
        ("agreement_key", 'agreement_key = "?"', "no threshold public key"),
        ("alliance_id", 'alliance_id = "00"', "was altered"),
        ("address", 'address = "7400"', "no address"),
        ("address", 'address = "host:0"', "no address"),
        ("address", 'address = "host:65536"', "no address"),
        ("address", 'address = "host:\u00b2"', "no address"),
        ("address", 'address = "host:\u0665"', "no address"),
        ("address", "address = 'ho\"st:1'", "no address"),
        ("address", 'address = "a b:1"', "no address"),
        ("address", 'address = "a\\\\b:1"', "no address"),
        ("identity", 'identity = "00"', "Ed25519"),
        ("identity", 'identity = "xx"', "Ed25519"),
        ("certificate", 'certificate = "x"\n_rest = """', "unknown key|no X.509"),
    ],
)
def test_a_wrong_value_is_refused(text: str, key: str, value: str, match: str) -> None:
    refuse(swap(text, line(text, key), value), match)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("curve", ["SM2", "secp112r1"])
def test_a_certificate_for_a_key_of_an_unknown_kind_is_refused(text: str, curve: str) -> None:
    asked = ["req", "-x509", "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-nodes"]
    made = subprocess.run(
        ["openssl", *asked, "-subj", "/CN=x", "-keyout", os.devnull],
        capture_output=True,
        check=True,
        text=True,
    )
    first = text.index("-----BEGIN CERTIFICATE-----")
    end = text.index("-----END CERTIFICATE-----", first) + len("-----END CERTIFICATE-----")
    refuse(text[:first] + made.stdout.strip() + text[end:], "a key of an unknown kind")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "format = 1",
        "not toml",
        "a = " + "[" * 20_000,
        "a = " + "9" * 10_000,
        "members = 1\nformat = 1",
        "\x00",
    ],
    ids=range(7),
)
def test_what_is_no_alliance_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        AllianceConfig.from_toml(text)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        module.load(tmp_path)
    file = tmp_path / module.FILE
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        module.load(tmp_path)
    with pytest.raises(ConfigError, match="is not a folder"):
        module.load(file)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 1)
    with pytest.raises(ConfigError, match="larger than"):
        module.load(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError):
        module.load(tmp_path)


def test_unknown_names_are_answered_with_a_suggestion(farm: Farm) -> None:
    assert [farm.config.member_index(member.name) for member in farm.config.members] == list(range(6))
    with pytest.raises(ConfigError, match="did you mean 'member-"):
        farm.config.member_index("menber-1")
    with pytest.raises(ConfigError, match="did you mean 'client-"):
        farm.config.client("cleint-1")
