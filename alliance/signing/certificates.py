"""X.509 certificates (RFC 5280): for the key of a certificate request, and the authority's own.

The authority is the purpose's key, named after the alliance and the purpose. A certificate request (PKCS#10)
proves that its sender has the key. Of the rest of it only the DNS names count; whoever asks for anything else
in it is refused rather than served without.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from alliance.config.fields import only, texts, value
from alliance.config.identity import key_usage
from alliance.errors import ConfigError
from alliance.signing import rules, shares
from alliance.signing.occasion import BACKDATED_SECONDS, Occasion

USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
"""What a certificate's key may do in TLS; in the order in which requests name them."""
CSR_BYTES_MAX = 16 * 1024
DAYS_MAX = 36_500

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the parser of certificate requests raises."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """``csr`` is a certificate request in DER. Raises ConfigError, also when its own signature is wrong."""

    KIND: ClassVar[str] = "x509"
    csr: bytes
    days: int
    usages: tuple[str, ...]

    def __post_init__(self) -> None:
        rules.count("the days", self.days, DAYS_MAX)
        if not self.usages or list(self.usages) != [one for one in USAGES if one in self.usages]:
            raise ConfigError(f"usages are some of {', '.join(USAGES)}, in this order")
        _, names = _read(self.csr)
        rules.several("DNS names", names, rules.DNS_NAME)

    @property
    def dns_names(self) -> tuple[str, ...]:
        return _read(self.csr)[1]

    @property
    def summary(self) -> str:
        return (
            f"an X.509 certificate for {', '.join(self.dns_names)}, {self.days} days, {'+'.join(self.usages)}"
        )

    def to_table(self) -> dict[str, Any]:
        return {"csr": base64.b64encode(self.csr).decode(), "days": self.days, "usages": list(self.usages)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> CertificateRequest:
        """Raises ConfigError."""
        only(table, ("csr", "days", "usages"), where)
        try:
            csr = base64.b64decode(value(table, "csr", str, where), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(f"{where}: 'csr' is not base64") from None
        return cls(csr, value(table, "days", int, where), texts(table, "usages", where))

    def message(self, occasion: Occasion) -> bytes:
        """The bytes to be signed."""
        key, names = _read(self.csr)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName(map(x509.DNSName, names))
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(occasion.public_key)
        builder = (
            _builder(occasion, subject, key, self.days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([USAGES[one] for one in self.usages]), critical=False)
            .add_extension(alternatives, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority, critical=False)
        )
        return shares.to_be_signed(occasion.key, lambda stand_in: builder.sign(stand_in, hashes.SHA256()))

    def document(self, occasion: Occasion, message: bytes, signature: bytes) -> bytes:
        """The certificate in PEM."""
        return _pem(occasion, message, signature)


@dataclass(frozen=True, slots=True)
class AuthorityRequest:
    """The authority's own certificate, for those who are to trust it. It certifies no other key than the
    purpose's.
    """

    KIND: ClassVar[str] = "ca"
    days: int

    def __post_init__(self) -> None:
        rules.count("the days", self.days, DAYS_MAX)

    @property
    def summary(self) -> str:
        return f"the authority's own certificate, {self.days} days"

    def to_table(self) -> dict[str, Any]:
        return {"days": self.days}

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> AuthorityRequest:
        """Raises ConfigError."""
        only(table, ("days",), where)
        return cls(value(table, "days", int, where))

    def message(self, occasion: Occasion) -> bytes:
        """The bytes to be signed."""
        key = occasion.public_key
        builder = (
            _builder(occasion, issuer(occasion), key, self.days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(key_cert_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        return shares.to_be_signed(occasion.key, lambda stand_in: builder.sign(stand_in, hashes.SHA256()))

    def document(self, occasion: Occasion, message: bytes, signature: bytes) -> bytes:
        """The certificate in PEM."""
        return _pem(occasion, message, signature)


@dataclass(frozen=True, slots=True)
class CertificatePolicy:
    """What one member allows. ``ca_days_max`` is None as long as ``ca`` is not true."""

    KINDS: ClassVar[tuple[str, ...]] = (CertificateRequest.KIND, AuthorityRequest.KIND)
    dns_names: tuple[str, ...]
    usages: tuple[str, ...]
    days_max: int
    ca_days_max: int | None

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> CertificatePolicy:
        """Raises ConfigError."""
        only(table, ("dns_names", "usages", "days_max", "ca", "ca_days_max"), where)
        authority = table.get("ca", False)
        if not isinstance(authority, bool):
            raise ConfigError(f"{where}: 'ca' is true or false")
        if not authority and "ca_days_max" in table:
            raise ConfigError(f"{where}: 'ca_days_max' says nothing without 'ca = true'")
        return cls(
            rules.dns_patterns(table, "dns_names", where),
            rules.choice(table, "usages", USAGES, where),
            rules.most(table, "days_max", where),
            rules.most(table, "ca_days_max", where) if authority else None,
        )

    def judge(self, request: object) -> None:
        """Raises Refused."""
        if isinstance(request, AuthorityRequest):
            if self.ca_days_max is None:
                raise rules.Refused("a certificate of an authority is not allowed")
            rules.require_within("the number of days", request.days, self.ca_days_max)
            return
        if not isinstance(request, CertificateRequest):
            raise rules.Refused("this key signs X.509 certificates only")
        for name in request.dns_names:
            rules.require("the name", name, rules.allows_name(self.dns_names, name))
        for usage in request.usages:
            rules.require("the usage", usage, usage in self.usages)
        rules.require_within("the number of days", request.days, self.days_max)


def issuer(occasion: Occasion) -> x509.Name:
    """How the authority is called: ``O = the alliance's name, CN = the purpose``."""
    parts = ((NameOID.ORGANIZATION_NAME, occasion.alliance), (NameOID.COMMON_NAME, occasion.purpose))
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def csr_der(data: bytes) -> bytes:
    """The certificate request of a file in PEM or DER, as DER. Raises ConfigError."""
    try:
        pem = b"-----BEGIN" in data[:CSR_BYTES_MAX]
        return x509.load_pem_x509_csr(data).public_bytes(Encoding.DER) if pem else data
    except ValueError:
        raise ConfigError("this is no certificate request: name what 'openssl req -new' made") from None


def _read(csr: bytes) -> tuple[rules.Key, tuple[str, ...]]:
    """The key, and the DNS names, which only the common name gives if there is no extension for them."""
    if len(csr) > CSR_BYTES_MAX:
        raise ConfigError(f"a certificate request has {CSR_BYTES_MAX:,} bytes at most, not {len(csr):,}")
    try:
        request = x509.load_der_x509_csr(csr)
        key, signed = rules.key(request.public_key()), request.is_signature_valid
        subject, extensions = list(request.subject), list(request.extensions)
    except _UNREADABLE:
        raise ConfigError("this is no certificate request: name what 'openssl req -new' made") from None
    if not signed:
        raise ConfigError(
            "the certificate request's own signature is wrong: its sender has not shown the key"
        )
    names: tuple[str, ...] = ()
    for extension in extensions:
        alternatives = extension.value
        if not isinstance(alternatives, x509.SubjectAlternativeName):
            raise ConfigError(f"the certificate request asks for more than names: {_called(extension.oid)}")
        names = tuple(alternatives.get_values_for_type(x509.DNSName))
        if len(names) != len(list(alternatives)):
            raise ConfigError("the certificate request has names that are no DNS names")
    common = [str(one.value) for one in subject if one.oid == NameOID.COMMON_NAME]
    if len(common) != len(subject) or len(common) > 1 or (names and not set(common) <= set(names)):
        raise ConfigError(
            "the subject of a certificate request may be a common name (CN) that is one of its DNS names,"
            " and nothing else"
        )
    return key, names or tuple(common)


def _called(oid: x509.ObjectIdentifier) -> str:
    return f"{oid._name} ({oid.dotted_string})"


def _builder(occasion: Occasion, subject: x509.Name, key: rules.Key, days: int) -> x509.CertificateBuilder:
    begin = datetime.fromtimestamp(occasion.seconds, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer(occasion))
        .public_key(key)
        .serial_number(occasion.serial)
        .not_valid_before(begin - timedelta(seconds=BACKDATED_SECONDS))
        .not_valid_after(begin + timedelta(days=days))
    )


def _pem(occasion: Occasion, message: bytes, signature: bytes) -> bytes:
    der = shares.x509_certificate(occasion.key, message, signature)
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
