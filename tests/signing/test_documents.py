"""Documents out of the members' shares, judged by programs that know nothing of alliances."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from alliance.config.file import AllianceConfig
from alliance.errors import InvalidRequest
from alliance.signing import AuthorityRequest, Order, Request
from alliance.signing.order import order_of, to_command
from alliance.signing.shares import Shares
from tests.alliance.farm import TIME_MS, Chain, Farm
from tests.signing.conftest import Registry, signers
from tests.signing.samples import SSH_KEY, certificate, holder, login, token

MEMBERS = (4, 1)


@pytest.fixture
def signed(farm: Farm, config: AllianceConfig, registry: Registry) -> Signed:
    return Signed(farm, config, registry)


class Signed:
    """Has a request ordered and signed by two members."""

    def __init__(self, farm: Farm, config: AllianceConfig, registry: Registry) -> None:
        self._farm = farm
        self._config = config
        self._registry = registry

    def order(self, purpose: str, request: Request) -> Order:
        return order_of(self._config, self._registry.receipt(to_command(purpose, request)))

    def document(self, order: Order) -> bytes:
        shares = Shares(order.occasion.key, order.message)
        for member in MEMBERS:
            shares.add(member, signers()[member].endorse(order.message, proven=True))
        assert shares.members == tuple(sorted(MEMBERS))
        assert shares.enough
        return order.document(shares.signature())


def test_a_token(signed: Signed) -> None:
    order = signed.order("tokens", token(claims=(("role", "reader"), ("team", "grün"))))
    document = signed.document(order)
    key = jwt.PyJWK(order.occasion.key.to_jwk())
    # The farm's clock is not this machine's.
    claims = jwt.decode(
        document.decode(),
        key,
        ["RS256"],
        audience="gate",
        issuer="https://farm.example",
        options={"verify_iat": False, "verify_exp": False, "require": ["exp", "iat", "jti"]},
    )
    seconds = TIME_MS // 1000
    assert claims == {
        "iss": "https://farm.example",
        "sub": "deploy/gate",
        "aud": "gate",
        "iat": seconds,
        "exp": seconds + 900,
        "jti": str(1 << 24),
        "role": "reader",
        "team": "grün",
    }
    assert jwt.get_unverified_header(document)["kid"] == order.occasion.key.jwk_thumbprint


def test_a_token_for_several(signed: Signed) -> None:
    order = signed.order("tokens", token(audiences=("gate", "barn")))
    claims = jwt.decode(signed.document(order), options={"verify_signature": False})
    assert claims["aud"] == ["gate", "barn"]


def test_certificates(signed: Signed) -> None:
    own = signed.order("web", AuthorityRequest(3650))
    authority = x509.load_pem_x509_certificate(signed.document(own))
    order = signed.order("web", certificate("gate.farm.example", "a.hosts.farm.example"))
    made = x509.load_pem_x509_certificate(signed.document(order))
    authority.verify_directly_issued_by(authority)
    made.verify_directly_issued_by(authority)
    assert authority.subject.rfc4514_string() == "CN=web,O=farm"
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (own.occasion.serial, order.occasion.serial) == (authority.serial_number, made.serial_number)
    assert made.public_key() == holder().public_key()
    begin = datetime.fromtimestamp(TIME_MS // 1000, UTC)
    assert made.not_valid_before_utc == begin - timedelta(seconds=300)
    assert made.not_valid_after_utc == begin + timedelta(days=90)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not made.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gate.farm.example", "a.hosts.farm.example"]
    # As strictly as a web server's certificate is judged.
    verifier = x509.verification.PolicyBuilder().store(x509.verification.Store([authority])).time(begin)
    chain = verifier.build_server_verifier(x509.DNSName("a.hosts.farm.example")).verify(made, [])
    assert chain == [made, authority]


def test_ssh_certificates(signed: Signed) -> None:
    order = signed.order("logins", login(principals=("anna", "deploy-7")))
    found = serialization.load_ssh_public_identity(signed.document(order))
    assert isinstance(found, serialization.SSHCertificate)
    found.verify_cert_signature()
    assert found.signature_key() == order.occasion.public_key
    assert found.type is serialization.SSHCertificateType.USER
    assert (found.serial, found.key_id) == (1 << 24, f"farm/logins/{1 << 24}".encode())
    assert found.valid_principals == [b"anna", b"deploy-7"]
    assert (found.valid_after, found.valid_before) == (TIME_MS // 1000 - 300, TIME_MS // 1000 + 86400)
    assert (found.critical_options, found.extensions) == ({}, {b"permit-pty": b""})
    assert found.public_key().public_bytes(*_SSH).decode() == SSH_KEY
    host = signed.order("logins", login(type="host", extensions=()))
    found = serialization.load_ssh_public_identity(signed.document(host))
    assert isinstance(found, serialization.SSHCertificate)
    assert found.type is serialization.SSHCertificateType.HOST


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_ssh_keys_of_other_kinds(signed: Signed, curve: ec.EllipticCurve) -> None:
    key = ec.derive_private_key(9, curve).public_key()
    order = signed.order("logins", login(key=key.public_bytes(*_SSH).decode()))
    found = serialization.load_ssh_public_identity(signed.document(order))
    assert isinstance(found, serialization.SSHCertificate)
    found.verify_cert_signature()
    assert found.public_key() == key


def test_two_orders_of_one_request_are_two_documents(signed: Signed) -> None:
    for purpose, request in (("tokens", token()), ("web", certificate()), ("logins", login())):
        first, second = signed.order(purpose, request), signed.order(purpose, request)
        assert first.request == second.request
        assert first.message != second.message
        assert first.digest != second.digest


def test_numbers_are_unique_as_places_are(signed: Signed) -> None:
    occasion = signed.order("tokens", token()).occasion
    places = [(1, 0, 0), (1, 0, 4095), (1, 1, 0), (1, 4095, 4095), (2, 0, 0), (2**40 - 1, 4095, 4095)]
    numbers = [
        replace(occasion, slot=slot, position=position, command_index=index).number
        for slot, position, index in places
    ]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 2**64 - 1


def test_serial_numbers_cannot_be_foretold_and_are_the_same_by_every_receipt(
    farm: Farm, config: AllianceConfig
) -> None:
    """They depend on all that was ordered before, and on nothing that comes later."""
    found = set()
    for before in (b"one thing", b"another"):
        chain = Chain(farm)
        for seq, command in enumerate([before] * 5 + [to_command("web", certificate())] + [b"later"] * 3, 1):
            chain.add(farm.submission(seq, command))
        receipts = [chain.receipt(6, 0, 0, certified) for certified in (6, 7, 9)]
        occasions = {order_of(config, receipt).occasion for receipt in receipts}
        (occasion,) = occasions
        assert occasion.root == chain.root(6)
        assert occasion.serial != replace(occasion, command_index=1).serial
        found.add(occasion.serial)
    assert len(found) == 2
    assert all(2**128 < serial < 2**159 for serial in found)


def test_a_time_for_which_there_is_no_date(config: AllianceConfig, registry: Registry) -> None:
    receipt = registry.receipt(to_command("web", certificate()))
    late = replace(receipt, placement=replace(receipt.placement, time_ms=2**48))
    with pytest.raises(InvalidRequest, match="no document can be made"):
        order_of(config, late)


def test_a_bad_share_has_a_name(farm: Farm, signed: Signed) -> None:
    order = signed.order("tokens", token())
    shares = Shares(order.occasion.key, order.message)
    good = signers()[1].endorse(order.message, proven=True)
    for bad in (
        b"",
        good[:-1],
        signers()[1].endorse(order.message, proven=False),
        signers()[1].endorse(order.message + b".", proven=True),
        signers()[2].endorse(order.message, proven=True),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            shares.add(1, bad)
    assert shares.members == ()
    shares.add(1, good)
    shares.add(1, good)
    assert not shares.enough


_SSH = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
