"""alliance.toml: what is read is what was written, and everything else is refused with a reason."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config import file as module
from alliance.config.file import AllianceConfig
from alliance.config.founding import FoundingMember, FoundingRecord
from alliance.config.identity import certify_itself
from alliance.config.receiver import Receiver
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
    refuse(swap(text, f"\n{right} = ", f"\n{wrong} = "), f"unknown key '{wrong}'; did you mean '{right}'")
    refuse(swap(text, "address = ", "adress = "), "unknown key 'adress'; did you mean 'address'")
    refuse(swap(text, "[[clients]]", "[[clinets]]"), "unknown key 'clinets'; did you mean 'clients'")
    refuse(swap(text, "operator = ", "operater = "), "unknown key 'operater'; did you mean 'operator'")
    refuse("zzz = 1\n" + text, "unknown key 'zzz'$")


def test_the_alliance_id_is_the_digest_of_what_was_fixed_when_it_was_created() -> None:
    """Frozen: every member, client and verifier computes it, whatever version it runs."""
    record = FoundingRecord(
        "farm",
        "2030-01-01T00:00:00Z",
        QuorumSystem(6, 1),
        tuple(FoundingMember(f"m-{at}", f"o-{at // 2}", bytes([at]) * 32) for at in range(6)),
        tuple((f"o-{at}", bytes([16 + at]) * 32) for at in range(3)),
        (("agreement", b"\x20" * 32), ("attestation", b"\x21" * 32)),
    )
    parts: list[bytes | int] = [
        b"farm",
        b"2030-01-01T00:00:00Z",
        b"fab_paxos",
        b"classic",
        b"signed",
        6,
        1,
        6,
    ]
    for at in range(6):
        parts += [b"m-%d" % at, b"o-%d" % (at // 2), 1, bytes([at]) * 32]
    parts += [3, b"o-0", b"\x10" * 32, b"o-1", b"\x11" * 32, b"o-2", b"\x12" * 32]
    parts += [2, b"agreement", b"\x20" * 32, b"attestation", b"\x21" * 32]
    framed = [part if isinstance(part, bytes) else part.to_bytes(4) for part in parts]
    whole = b"alliance/v2 founding\x00" + b"".join(len(part).to_bytes(4) + part for part in framed)
    assert record.alliance_id == sha256(whole).digest()
    assert record.alliance_id.hex() == "98144dfd80e7a597aaf20c10825033ceb10ed024fb1ff24ab0399f9de63034a2"
    table = tomllib.loads("\n".join(record.to_lines()))["founding"]
    assert FoundingRecord.from_table(table, "here") == record


def test_the_profile_is_one_of_two_and_must_fit_the_sizes(farm: Farm, text: str) -> None:
    lean = replace(farm.config.founding, system=QuorumSystem(6, 1, "lean"))
    assert FoundingRecord.from_table(tomllib.loads("\n".join(lean.to_lines()))["founding"], "here") == lean
    refuse(swap(text, line(text, "profile"), 'profile = "thin"'), "the profile is 'classic' or 'lean'")
    refuse(swap(text, line(text, "profile"), "profile = 1"), "'profile'")
    refuse(swap(text, line(text, "profile"), 'profile = "lean"'), "was altered")
    many = swap(text, "faulty_max = 1", "faulty_max = 2")
    refuse(swap(many, line(text, "profile"), 'profile = "lean"'), "n >= 5f-1 = 9 members are needed")


def test_whoever_alters_what_was_fixed_creates_another_alliance(farm: Farm, text: str) -> None:
    founding = farm.config.founding
    one, two, *rest = founding.members
    (owner, operator), *operators = founding.operators
    (purpose, key_id), *ids = founding.keys
    for change in (
        {"name": "barn"},
        {"created": "2020-01-01T00:00:00Z"},
        {"system": QuorumSystem(6, 0)},
        {"system": QuorumSystem(6, 1, "lean")},
        {"members": (two, one, *rest)},
        {"members": (replace(one, name="member-9"), two, *rest)},
        {"members": (replace(one, organisation=two.organisation), two, *rest)},
        {"members": (replace(one, identity=operator), two, *rest)},
        {"operators": ((owner, one.identity), *operators)},
        {"operators": (("other", operator), *operators)},
        {"keys": ((purpose, bytes(32)), *ids)},
        {"keys": ((purpose, key_id), *ids, ("web", bytes(32)))},
    ):
        altered = replace(farm.config, founding=replace(founding, **change))  # type: ignore[arg-type]
        assert altered.alliance_id != farm.config.alliance_id, change
        lie = swap(altered.to_toml(), altered.alliance_id.hex(), farm.config.alliance_id.hex())
        refuse(lie, "was altered|once, and no other|same key")


def test_what_this_version_cannot_do_is_refused_by_name(text: str) -> None:
    for key, value in (
        ("engine", '"poe"'),
        ("votes", '"mac"'),
        ("weight", "2"),
    ):
        refuse(swap(text, line(text, key), f"{key} = {value}"), f"this version supports {key} = ")
    for key in ("epoch", "revision", "dealing"):
        refuse(swap(text, line(text, key), f"{key} = 1"), r"the table \[membership\] is missing")
        refuse(swap(text, line(text, key), f"{key} = -1"), f"'{key}' counts from 0 to")


def test_the_members_and_keys_are_those_of_the_founding(farm: Farm, text: str) -> None:
    one, two, *rest = farm.config.members
    made = keys.NewIdentity(two.name)
    for members in (
        (one, replace(two, identity=made.identity, certificate=made.certificate, receiver=None), *rest),
        (one, replace(two, organisation="other"), *rest),
        (two, one, *rest),
        (one, two, *rest[:-1]),
    ):
        altered = replace(farm.config, members=members)
        assert altered.alliance_id == farm.config.alliance_id
        refuse(altered.to_toml(), "its members are not those of")
    refuse(replace(farm.config, purpose_keys=()).to_toml(), "its keys are not those of")
    ((_, attestation),) = farm.config.purpose_keys
    refuse(replace(farm.config, key=attestation).to_toml(), "its keys are not those of")


def test_an_identitys_certificate_is_its_own(farm: Farm, text: str) -> None:
    one, two, *rest = farm.config.members
    made, renamed = keys.NewIdentity(two.name), certify_itself("member-9", farm.members[1].signing_key)
    for certificate, match in (
        (made.certificate, "is not for its identity key"),
        (one.certificate, "is not for its identity key"),
        (renamed, "bears another name"),
        (farm.members[1].channel().certificate, "is not for its identity key"),
    ):
        members = (one, replace(two, certificate=certificate), *rest)
        refuse(replace(farm.config, members=members).to_toml(), match)
    own = two.certificate.public_bytes(Encoding.DER)
    spoilt = x509.load_der_x509_certificate(own[:-1] + bytes([own[-1] ^ 1]))
    refuse(
        replace(farm.config, members=(one, replace(two, certificate=spoilt), *rest)).to_toml(), "was altered"
    )
    assert certify_itself(two.name, farm.members[1].signing_key) == two.certificate
    assert two.certificate.not_valid_after_utc.year == 9999


def test_no_key_is_there_twice(farm: Farm, text: str) -> None:
    """Among members, clients and operators: whoever holds one must not speak as two."""
    member, client = farm.config.members[0], farm.config.clients[0]
    impostor = replace(
        client, identity=member.identity, certificate=certify_itself(client.name, farm.members[0].signing_key)
    )
    refuse(replace(farm.config, clients=(impostor,)).to_toml(), "two parties have the same identity")
    founding = farm.config.founding
    operators = ((founding.operators[0][0], member.identity), *founding.operators[1:])
    altered = replace(farm.config, founding=replace(founding, operators=operators))
    refuse(altered.to_toml(), "two identities or operators have the same key")
    named = ((founding.operators[0][0], client.identity), *founding.operators[1:])
    altered = replace(farm.config, founding=replace(founding, operators=named))
    refuse(altered.to_toml(), "two parties have the same identity")


def test_a_receiver_key_stands_there_only_as_its_member_has_signed_it(farm: Farm) -> None:
    one, *rest = farm.config.members
    key, other = b"an encoded receiver key", b"another"

    def signed(member: int, content: bytes) -> Receiver:
        party, by = farm.config.members[member], farm.members[member].signing_key
        return Receiver(content, by.sign(Receiver.statement(party.name, party.identity, content)))

    good = replace(farm.config, members=(replace(one, receiver=signed(0, key)), *rest))
    assert AllianceConfig.from_toml(good.to_toml()) == good
    assert good.alliance_id == farm.config.alliance_id  # it changes with each handing on
    for wrong in (
        signed(1, key),
        Receiver(other, signed(0, key).signature),
        Receiver(key, bytes(64)),
        Receiver(key, b""),
        signed(0, bytes(5000)),
    ):
        altered = replace(farm.config, members=(replace(one, receiver=wrong), *rest))
        refuse(altered.to_toml(), "receiver key of 'member-1' is not one that its identity has signed")
    for field in ("receiver_key", "receiver_signature"):
        text = good.to_toml()
        refuse(swap(text, f"{line(text, field)}\n", ""), f"'{field}' is missing")
        refuse(swap(text, line(text, field), f'{field} = "no such digits"'), "receiver key of 'member-1'")


def test_each_organisation_is_there_once(farm: Farm) -> None:
    founding = farm.config.founding
    for operators in (founding.operators[1:], (*founding.operators, ("nobody", b"\x09" * 32))):
        altered = replace(farm.config, founding=replace(founding, operators=operators))
        refuse(altered.to_toml(), "list each organisation that runs a member, once")


def test_the_first_format_is_refused_with_what_to_do(text: str) -> None:
    refuse(
        swap(text, "format = 2", "format = 1"),
        "an earlier version created.*Create a new alliance with 'alliance init'",
    )
    refuse('format = 1\nname = "farm"\n', "Create a new alliance")
    refuse(swap(text, "format = 2", "format = 3"), "format 3, this version reads format 2: use the version")


def refounded(config: AllianceConfig, *purposes: tuple[str, AgreementKey]) -> AllianceConfig:
    ids = tuple((name, key.key_id) for name, key in (("agreement", config.key), *purposes))
    return replace(config, purpose_keys=purposes, founding=replace(config.founding, keys=ids))


def test_the_attestation_key_is_one_of_its_own_for_2f_plus_1_members(farm: Farm, text: str) -> None:
    assert farm.config.attestation.threshold == farm.config.system.mostly_correct
    ((name, attestation),) = farm.config.purpose_keys

    def refuse_keys(match: str, *purposes: tuple[str, AgreementKey]) -> None:
        refuse(refounded(farm.config, *purposes).to_toml(), match)

    refuse_keys("same key_id", ("attestation", farm.config.key))
    refuse_keys("same name", (name, attestation), (name, attestation))
    refuse_keys("same key_id", (name, attestation), ("web", attestation))
    refuse_keys("same name", (name, attestation), ("agreement", attestation))
    refuse_keys("is no name", ("Attestation", attestation))
    refuse_keys("at most 17", *((f"purpose-{number}", attestation) for number in range(17)))
    refuse(
        swap(text, 'name = "attestation"\nkey = "', 'name = "attestation"\nkey = "x'),
        "for 'attestation' is no",
    )
    refuse(swap(text, 'name = "attestation"\nkey = ', 'name = "attestation"\nkex = '), "unknown key 'kex'")
    with pytest.raises(ConfigError, match="has no key for 'attestation'"):
        refounded(farm.config).purpose_key("attestation")


def test_applications_may_be_elsewhere(farm: Farm, text: str) -> None:
    member = farm.config.members[0]
    assert member.application_address("kv") == "127.0.0.1:13000"
    there = replace(member, applications=(("kv", "anna.example:7700"),))
    moved = replace(farm.config, members=(there, *farm.config.members[1:]))
    again = AllianceConfig.from_toml(moved.to_toml())
    assert (again, again.alliance_id) == (moved, farm.config.alliance_id)
    assert again.members[0].application_address("kv") == "anna.example:7700"
    assert again.members[0].application_address("lock") == "127.0.0.1:8700"
    given = 'applications = { "kv" = "anna.example:7700" }'
    for wrong in ('"kv"', '{ "kv" = 1 }', '{ "K V" = "a:1" }', "[]"):
        refuse(swap(moved.to_toml(), given, f"applications = {wrong}"), "write applications = ")
    refuse(swap(moved.to_toml(), given, 'applications = { "kv" = "anna" }'), "is no address")
    both = 'applications = { "kv" = "anna.example:7700", "lock" = "anna.example:7700" }'
    refuse(swap(moved.to_toml(), given, both), "'kv' and 'lock' are both at anna.example:7700")
    same = f'applications = {{ "kv" = "{member.address}" }}'
    refuse(swap(moved.to_toml(), given, same), f"the server and 'kv' are both at {member.address}")


def test_applications_of_neighbours_do_not_meet(farm: Farm) -> None:
    """What is documented, and what the repository brings."""
    names = ("kv", "lock", "sign")
    places = {m.application_address(name) for m in farm.config.members for name in names}
    assert len(places | {m.address for m in farm.config.members}) == 6 * (len(names) + 1)
    member = farm.config.members[0]
    ports = {int(member.application_address(f"app-{at}").rpartition(":")[2]) for at in range(1000)}
    assert ports == {7400 + 100 * place for place in range(1, 65)}
    with pytest.raises(ConfigError, match="there is no port 66600 for 'kv' at member-1: give it an address"):
        replace(member, address="127.0.0.1:61000").application_address("kv")


def test_a_client_belongs_to_an_organisation_that_runs_a_member(farm: Farm, text: str) -> None:
    first = farm.config.founding.operators[0][0]
    assert {client.organisation for client in farm.config.clients} == {first}
    head, tail = text.split("[[clients]]", 1)
    refuse(
        head + "[[clients]]" + tail.replace(f'organisation = "{first}"\n', ""), "'organisation' is missing"
    )
    stray = replace(farm.config.clients[0], organisation="member-11")
    refuse(replace(farm.config, clients=(stray,)).to_toml(), "runs no member; did you mean 'member-1'")


def test_addresses_and_clients_may_change(farm: Farm, text: str) -> None:
    moved = AllianceConfig.from_toml(swap(text, "127.0.0.1:7400", "farm.example.org:443"))
    assert moved.alliance_id == farm.config.alliance_id
    fewer = replace(farm.config, clients=farm.config.clients[:1])
    assert AllianceConfig.from_toml(fewer.to_toml()).alliance_id == farm.config.alliance_id


def test_sizes_that_do_not_fit_are_refused(farm: Farm, text: str) -> None:
    refuse(swap(text, "faulty_max = 1", "faulty_max = 2"), "5f\\+1")
    refuse(swap(text, "faulty_max = 1", "faulty_max = -1"), "0 or more")
    refuse(swap(text, "faulty_max = 1", "faulty_max = 0"), "was altered")
    founding = replace(farm.config.founding, system=QuorumSystem(6, 0))
    refuse(replace(farm.config, founding=founding).to_toml(), "agreement key is for 5 of 6")
    nobody = re.sub(r"\[\[founding\.members\]\][^\[]*", "", text)
    refuse(re.sub(r"\[\[founding\.organisations\]\][^\[]*", "", nobody), "1 to 255 members|1\\.\\.255|255")


def test_two_of_a_kind_are_refused(text: str, farm: Farm) -> None:
    twice = text + "\n[[clients]]\n" + text.rsplit("[[clients]]\n", 1)[1]
    refuse(twice, "two clients have the same name")
    refuse(
        swap(text, 'name = "member-2"', 'name = "member-1"', 9),
        "two founding members have the same name|once, and no",
    )


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("format", "format = 3", "format 3"),
        ("format", 'format = "2"', "format '2'"),
        ("name", 'name = "Farm"', "no name"),
        ("name", 'name = ""', "no name"),
        ("name", 'name = "a\\nb"', "no name"),
        ("name", "name = 5", "not a string"),
        ("created", 'created = "yesterday"', "must be a time"),
        ("created", 'created = "2020-01-01T00:00:00Z\\""', "must be a time"),
        ("epoch", "epoch = true", "not a whole number"),
        ("epoch", "epoch = 0.0", "not a whole number"),
        ("epoch", "", "missing"),
        ("revision", "", "missing"),
        ("weight", "weight = true", "not a whole number"),
        ("key_id", 'key_id = "AA"', "64 hex digits"),
        ("operator", 'operator = "00"', "Ed25519"),
        ("organisation", 'organisation = "A b"', "no name"),
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
        ("identity", f'identity = "{"AB" * 32}"', "lower case|Ed25519"),
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
        "format = 2",
        "not toml",
        "a = " + "[" * 20_000,
        "a = " + "9" * 10_000,
        "members = 1\nformat = 2",
        "\x00",
        "a" + ".a" * 50_000 + " = 1",  # minutes, if it were read
        "[" + "a" + ".a" * 50_000 + "]",
    ],
    ids=range(9),
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
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 1000)
    file.write_text("#" * 1001)
    with pytest.raises(ConfigError, match="larger than"):
        module.load(tmp_path)
    file.unlink()
    file.symlink_to("/dev/zero")  # which has no size, and no end
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
