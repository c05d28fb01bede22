"""An alliance whose keys were made by two dealers each: everything is as with an ordinary key, but longer."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from alliance.config.file import AllianceConfig
from alliance.config.key_check import KEY_BITS_MIN
from alliance.errors import ConfigError
from alliance.founding.plan import Founding
from alliance.proofs.receipt import Receipt, load_public_key
from alliance.server.member_log import MemberLog
from alliance.signing import AuthorityRequest
from alliance.signing.order import order_of, to_command
from alliance.signing.shares import Shares
from alliance.wire import peer_messages
from alliance.wire.bounds import SHARE_BYTES_MAX
from fab_paxos.messages import Certified, Endorsed
from quorum import (
    AcceptedStatement,
    CombineFailed,
    Endorsement,
    InvalidEndorsement,
    InvalidStatement,
    QuorumSystem,
    decode_joint,
)
from quorum.factors import FACTORS_MAX, KEY_BITS_MAX, compose
from quorum.threshold_rsa import InvalidAgreementKey, ThresholdRsaEndorser, factors_of
from shoup_rsa import KeyShare
from shoup_rsa.integer_form import INDEX_BOUND_MAX, SLACK_BITS, IntegerForm
from shoup_rsa.key_data import KeyData
from shoup_rsa.share import share_length
from shoup_rsa.sizes import _SECRET_BITS_SPARE as SECRET_BITS_SPARE
from shoup_rsa.sizes import KEY_SIZES
from tests.alliance.farm import CLIENTS, MEMBERS, PASSPHRASE, Chain, Farm
from tests.signing.samples import certificate, login, token
from tests.worlds import factors
from tests.worlds.signed_gate import live_through, signed_world
from tests.worlds.timed import SECOND

SIX = QuorumSystem(6, 1)
EXAMPLE = Path(__file__).parents[2] / "examples" / "verify_receipt.py"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Farm:
    """As the other tests' farm, of the same names; its keys have two factors."""
    folder = tmp_path_factory.mktemp("composite") / "farm"
    addresses = [f"127.0.0.1:{7400 + index}" for index in range(len(MEMBERS))]
    purposes = (("documents", 2),)
    founding = Founding("farm", MEMBERS, addresses, CLIENTS, 1, factors.FACTOR_BITS, purposes)
    with factors.cheap_key_files():
        return Farm.open(folder, factors.found(founding, folder, PASSPHRASE))


@pytest.fixture
def receipt(farm: Farm) -> Receipt:
    return Chain(farm).grow(3).receipt(2, 0, 0, 3)


def test_the_file_says_which_factors(farm: Farm) -> None:
    again = AllianceConfig.from_toml(farm.config.to_toml())
    assert (again.key, again.purpose_keys) == (farm.config.key, farm.config.purpose_keys)
    assert [len(factors_of(key)) for _, key in (("", again.key), *again.purpose_keys)] == [2, 2, 2]
    assert (again.key.key_size, again.key.signature_length) == (4096, 512)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_stock_openssl_verifies_a_receipt(farm: Farm, receipt: Receipt, tmp_path: Path) -> None:
    receipt.verify(load_public_key(farm.config.key.to_pem()))
    public = farm.folder / "public.pem"
    for name, content in (("message", receipt.message), ("signature", receipt.signature)):
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "dgst", "-sha256", "-verify", public, "-signature", "signature", "message"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Verified OK\n")


def test_the_program_of_90_lines_verifies_a_receipt(farm: Farm, receipt: Receipt, tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text(receipt.to_json())
    command = [sys.executable, EXAMPLE, farm.folder / "public.pem", tmp_path / "receipt.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:9]) == (0, "verified:"), done.stderr


def test_shares_and_certificates_pass_the_wire(farm: Farm) -> None:
    statement = AcceptedStatement(0, 1, bytes(32))
    message = statement.encode(farm.config.context)
    proven = farm.endorsers[2].endorse(message, proven=True)
    assert len(proven) < SHARE_BYTES_MAX
    endorsed = Endorsed(Endorsement(statement, 2, proven))
    assert peer_messages.decode(2, peer_messages.encode(endorsed)) == endorsed
    farm.config.scheme.verify_endorsement(endorsed.endorsement)
    certified = Certified(farm.certify(statement))
    assert len(certified.certificate.signature) == 512
    assert peer_messages.decode(0, peer_messages.encode(certified)) == certified


def test_a_share_carries_all_factors_or_is_none(farm: Farm) -> None:
    """Half of one, halves of two members, and a share of one factor's own key are all refused by name."""
    statement = AcceptedStatement(0, 1, bytes(32))
    message = statement.encode(farm.config.context)
    mine, other = (farm.endorsers[member].endorse(message, proven=True) for member in (2, 3))
    half = 4 + (len(mine) - 4) // 2
    alone = factors.factor(SIX, SIX.decision, 0).endorsers[2].endorse(message, proven=True)
    for false in (mine[:half], mine[:half] + other[half:], alone, alone[:4] + alone[4:] * 2):
        with pytest.raises(InvalidEndorsement, match="member 2"):
            farm.config.scheme.verify_endorsement(Endorsement(statement, 2, false))
    good = [farm.endorse(member, statement) for member in range(4)]
    for false in (mine[:half], mine[:half] + other[half:]):
        with pytest.raises(CombineFailed) as caught:
            farm.config.scheme.combine([*good, Endorsement(statement, 4, false)])
        assert caught.value.culprits == (4,)


def test_documents_of_a_purpose(farm: Farm) -> None:
    """X.509 by its own authority, a token, and an SSH certificate."""
    chain, config = Chain(farm), farm.config
    endorsers = factors.composite(SIX, 2, 2)[1]
    signed = {}
    requests = {"web": certificate(), "ca": AuthorityRequest(30), "token": token(), "login": login()}
    for number, (kind, request) in enumerate(requests.items(), 1):
        chain.add(farm.submission(number, to_command("documents", request)))
        order = order_of(config, chain.receipt(number, 0, 0, number))
        shares = Shares(order.occasion.key, order.message)
        for member in (1, 4):
            shares.add(member, endorsers[member].endorse(order.message, proven=True))
        signed[kind] = order.document(shares.signature())
    authority = x509.load_pem_x509_certificate(signed["ca"])
    x509.load_pem_x509_certificate(signed["web"]).verify_directly_issued_by(authority)
    assert authority.public_key() == load_public_key(config.purpose_key("documents").to_pem())
    key = jwt.PyJWK(config.purpose_key("documents").to_jwk())
    unchecked = {"verify_iat": False, "verify_exp": False, "verify_aud": False}
    assert jwt.decode(signed["token"].decode(), key, ["RS256"], options=unchecked)["iss"]
    identity = serialization.load_ssh_public_identity(signed["login"])
    assert isinstance(identity, serialization.SSHCertificate)
    identity.verify_cert_signature()


def test_a_factor_in_two_keys_is_refused(farm: Farm) -> None:
    (_, attestation), (_, documents) = farm.config.purpose_keys
    mixed = compose([factors_of(documents)[0], factors.factor(SIX, 2, 3).key])
    assert mixed != documents
    pairs = (("attestation", attestation), ("documents", mixed))
    ids = (("agreement", farm.config.key.key_id), *((name, key.key_id) for name, key in pairs))
    other = replace(farm.config, purpose_keys=pairs, founding=replace(farm.config.founding, keys=ids))
    with pytest.raises(ConfigError, match="has the modulus of the attestation key"):
        AllianceConfig.from_toml(other.to_toml())


def test_a_simulated_alliance_decides_changes_its_leader_and_catches_up() -> None:
    world = signed_world(SIX, 7, factors=2)
    live_through(world)
    assert {tuple(sorted(member.decisions())) for member in world.members} == {(1, 2, 3, 4, 5)}


def test_a_slot_that_nobody_can_sign_is_certified_with_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prime of a cheating dealer's modulus is in what these slots' statements are encoded as."""
    sign, refused = ThresholdRsaEndorser.endorse, set()

    def choosy(endorser: ThresholdRsaEndorser, message: bytes, *, proven: bool) -> bytes:
        head = len(world.scheme.context.frame(0, b""))
        statement = decode_joint(message[head - 41], message[head:])
        if isinstance(statement, AcceptedStatement) and statement.slot in (2, 3):
            refused.add((endorser.member, statement.slot))
            raise InvalidStatement("factor 2: the encoded message has a common factor with the modulus")
        return sign(endorser, message, proven=proven)

    monkeypatch.setattr(ThresholdRsaEndorser, "endorse", choosy)
    world = signed_world(SIX, 7, factors=2)
    for number in range(4):
        world.submit(1 + number % 3, world.write(1, number))
        world.advance(world.now + 2 * SECOND)
    world.check_all()
    assert {member for member, _ in refused} == set(range(6))
    assert {member.engine.status.certified for member in world.members} == {4}


def test_a_server_says_that_the_key_is_wrong_and_not_more_often_than_needed(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    log = MemberLog(farm.config)
    for _ in range(3):
        log.wrong_key("factor [2] fails")
    assert [one.getMessage() for one in caplog.records] == ["nothing can be certified: factor [2] fails"]


def test_the_longest_share_that_a_key_can_have_passes_the_wire() -> None:
    """For all sizes and numbers of factors, and as many redistributions as a key can bear."""
    longest = 0
    for bits, count in itertools.product(KEY_SIZES, range(1, FACTORS_MAX + 1)):
        if bits >= KEY_BITS_MIN and (count == 1 or count * bits <= KEY_BITS_MAX):
            form = IntegerForm(INDEX_BOUND_MAX, INDEX_BOUND_MAX - 1, bits + SECRET_BITS_SPARE)
            sizes = SimpleNamespace(
                encoding_version=3, signature_length=bits // 8, share_bits_max=form.share_bits + SLACK_BITS
            )
            longest = max(longest, count * share_length(cast(KeyData, sizes), "compact"))
    assert SHARE_BYTES_MAX // 2 < longest < SHARE_BYTES_MAX


def test_a_share_is_composed_of_one_members_right_shares_of_all_factors() -> None:
    key, held = factors.composite(SIX, 2)
    dealt = [factors.factor(SIX, 2, place).endorsers for place in (0, 1)]
    (first, second), others = ([endorsers[member] for endorsers in dealt] for member in (0, 1))
    assert ThresholdRsaEndorser.compose(key, [first, second]).member == held[0].member == 0
    wrong = ThresholdRsaEndorser(KeyShare(second.key, 1, 12345))  # type: ignore[arg-type]
    for parts, match in (
        ([first, wrong], "factor 2: key share 1 does not match its verification key"),
        ([first, others[1]], "member 2's"),
        ([second, first], "of another key"),
        ([first], "2 key shares"),
        ([held[0], second], "2 key shares"),
    ):
        with pytest.raises(InvalidAgreementKey, match=match):
            ThresholdRsaEndorser.compose(key, parts)
    with pytest.raises(InvalidAgreementKey, match="has no factors"):
        ThresholdRsaEndorser.compose(first.key, [first])
    with pytest.raises(InvalidAgreementKey, match="one modulus"):
        compose([key, second.key])
