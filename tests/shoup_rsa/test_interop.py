"""Programs of other people take what a quorum made: openssl and ssh-keygen."""

from __future__ import annotations

import base64
import hashlib
import struct
import textwrap
from pathlib import Path

import pytest
from Crypto.Hash import SHA512
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.x509.verification import PolicyBuilder, Store

from shoup_rsa import Dealing, Scheme, SigningRequest
from tests.shoup_rsa.outside import NEEDS_OPENSSL, NEEDS_SSH, leaf, name, revocations, root, run, signer

PEM = serialization.Encoding.PEM
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
EACH_PADDING = pytest.mark.parametrize("chosen", [padding.PKCS1v15(), PSS], ids=["pkcs1v15", "pss"])
SERVER = rsa.generate_private_key(65537, 2048)


@NEEDS_OPENSSL
@EACH_PADDING
def test_openssl_verifies_a_chain_and_a_revocation_list(
    real: Dealing, tmp_path: Path, chosen: padding.PSS | padding.PKCS1v15
) -> None:
    key, sha256 = signer(real), hashes.SHA256()
    authority = root(key.public_key()).sign(key, sha256, rsa_padding=chosen)
    server = leaf(SERVER.public_key(), key.public_key()).sign(key, sha256, rsa_padding=chosen)
    nobody = revocations().sign(key, sha256, rsa_padding=chosen)
    gone = revocations(server.serial_number).sign(key, sha256, rsa_padding=chosen)
    for file, document in (("root", authority), ("server", server), ("nobody", nobody), ("gone", gone)):
        (tmp_path / file).write_bytes(document.public_bytes(PEM))
    found = PolicyBuilder().store(Store([authority])).build_server_verifier(x509.DNSName("server.example"))
    assert found.verify(server, []) == [server, authority], "the verifier of cryptography"
    assert "server: OK" in run(tmp_path, "openssl", "verify", "-x509_strict", "-CAfile", "root", "server")
    assert "verify OK" in run(tmp_path, "openssl", "crl", "-in", "nobody", "-CAfile", "root", "-noout")
    checked = ["openssl", "verify", "-crl_check", "-CAfile", "root", "-CRLfile"]
    assert "server: OK" in run(tmp_path, *checked, "nobody", "server")
    with pytest.raises(AssertionError, match="certificate revoked"):
        run(tmp_path, *checked, "gone", "server")
    der = server.public_bytes(serialization.Encoding.DER)
    damaged = der[:-1] + bytes((der[-1] ^ 1,))
    (tmp_path / "damaged").write_bytes(x509.load_der_x509_certificate(damaged).public_bytes(PEM))
    with pytest.raises(AssertionError, match="signature failure"):
        run(tmp_path, "openssl", "verify", "-CAfile", "root", "damaged")


@NEEDS_OPENSSL
@EACH_PADDING
def test_openssl_takes_a_request_by_the_quorum(
    real: Dealing, tmp_path: Path, chosen: padding.PSS | padding.PKCS1v15
) -> None:
    """`openssl req` checks the signature, and another authority (`openssl x509 -req`) certifies the key."""
    builder = x509.CertificateSigningRequestBuilder(name("quorum.example"))
    request = builder.sign(signer(real), hashes.SHA256(), rsa_padding=chosen)
    (tmp_path / "request").write_bytes(request.public_bytes(PEM))
    (tmp_path / "public.pem").write_bytes(real.public_key.to_pem())
    assert "OK" in run(tmp_path, "openssl", "req", "-in", "request", "-verify", "-noout")
    key = SERVER.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "ca.key").write_bytes(key)
    ca = root(SERVER.public_key()).sign(SERVER, hashes.SHA256())
    (tmp_path / "ca").write_bytes(ca.public_bytes(PEM))
    signing = ["-CA", "ca", "-CAkey", "ca.key", "-set_serial", "5", "-days", "1", "-out", "made"]
    run(tmp_path, "openssl", "x509", "-req", "-in", "request", *signing)
    assert "made: OK" in run(tmp_path, "openssl", "verify", "-CAfile", "ca", "made")
    said = run(tmp_path, "openssl", "x509", "-in", "made", "-noout", "-pubkey")
    assert said == (tmp_path / "public.pem").read_text()


@NEEDS_SSH
def test_ssh_keygen_reads_a_certificate(real: Dealing, tmp_path: Path) -> None:
    user = ed25519.Ed25519PrivateKey.generate().public_key()
    builder = serialization.SSHCertificateBuilder().public_key(user).key_id(b"ada@example")
    builder = builder.type(serialization.SSHCertificateType.USER).valid_principals([b"ada"])
    certificate = builder.valid_after(0).valid_before(2**40).serial(7).sign(signer(real))
    (tmp_path / "ada-cert.pub").write_bytes(certificate.public_bytes() + b"\n")
    (tmp_path / "ca.pub").write_bytes(openssh(real) + b"\n")
    said = run(tmp_path, "ssh-keygen", "-L", "-f", "ada-cert.pub")
    fingerprint = run(tmp_path, "ssh-keygen", "-l", "-f", "ca.pub").split()[1]
    assert f"Signing CA: RSA {fingerprint} (using rsa-sha2-512)" in said
    assert 'Key ID: "ada@example"' in said
    damaged = bytearray(base64.b64decode(certificate.public_bytes().split()[1]))
    damaged[-300] ^= 1
    kind = certificate.public_bytes().split()[0]
    (tmp_path / "bad-cert.pub").write_bytes(kind + b" " + base64.b64encode(damaged) + b"\n")
    with pytest.raises(AssertionError):
        run(tmp_path, "ssh-keygen", "-L", "-f", "bad-cert.pub")


@NEEDS_SSH
@pytest.mark.parametrize("scheme", [Scheme.PKCS1V15_SHA256, Scheme.PKCS1V15_SHA512])
def test_ssh_keygen_verifies_a_signature(real: Dealing, tmp_path: Path, scheme: Scheme) -> None:
    """The format in which git signs (PROTOCOL.sshsig), put together here from its description."""
    message, space = b"release 1.0\n", b"file"
    fields = (space, b"", b"sha512", hashlib.sha512(message).digest())
    signed = b"SSHSIG" + b"".join(map(ssh_string, fields))
    request = SigningRequest(real.public_key.key_id, scheme, signed)
    signature = request.combine(real.public_key, [request.sign_share(s) for s in real.key_shares[1:]])
    algorithm = b"rsa-sha2-" + scheme.value[2:].encode()
    body = b"SSHSIG" + struct.pack(">I", 1) + ssh_string(base64.b64decode(openssh(real).split()[1]))
    body += b"".join(map(ssh_string, fields[:3])) + ssh_string(ssh_string(algorithm) + ssh_string(signature))
    text = "\n".join(textwrap.wrap(base64.b64encode(body).decode(), 70))
    armoured = f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"
    (tmp_path / "signature").write_text(armoured)
    (tmp_path / "allowed").write_bytes(b"quorum " + openssh(real) + b"\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "quorum", "-n", "file", "-s", "signature"]
    assert "Good" in run(tmp_path, *command, input=message)
    with pytest.raises(AssertionError):
        run(tmp_path, *command, input=b"release 1.1\n")


def test_pycryptodome_verifies_what_cryptography_asked_for(real: Dealing) -> None:
    made = signer(real).sign(b"m", padding.PKCS1v15(), hashes.SHA512())
    pkcs1_15.new(RSA.import_key(real.public_key.to_pem())).verify(SHA512.new(b"m"), made)


def openssh(dealing: Dealing) -> bytes:
    public = serialization.load_der_public_key(dealing.public_key.to_der())
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def ssh_string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
