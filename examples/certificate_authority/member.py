"""One member of the authority: a signing request on standard input, its share on standard output.

    member.py FOLDER    with FOLDER/share.key and FOLDER/passphrase

It signs what it understands and finds right, and nothing else: the authority's own certificate, its lists of
revocations, and certificates for names under .example. Whoever asks cannot talk it into more.
"""

import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from shoup_rsa import KeyShare, Scheme, ShoupError, SigningRequest, open_key_share

ZONE = ".example"
_SHA256_WITH_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")  # RFC 4055, section 5


def review(request: SigningRequest, modulus: int) -> str:
    """What the request is, in words. Raises ValueError when this member will not sign it."""
    if request.scheme is not Scheme.PKCS1V15_SHA256:
        raise ValueError("only RS256 is signed here")
    signature = modulus.bit_length() // 8
    bits = b"\x03\x82" + (signature + 1).to_bytes(2, "big") + bytes(1 + signature)
    body = request.message + _SHA256_WITH_RSA + bits
    unsigned = b"\x30\x82" + len(body).to_bytes(2, "big") + body  # a document whose signature is all zeros
    try:
        certificate = x509.load_der_x509_certificate(unsigned)
        public_key = certificate.public_key()
        extensions = certificate.extensions
    except ValueError:
        x509.load_der_x509_crl(unsigned)
        return "a list of revocations"
    try:
        authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    if authority:
        if not isinstance(public_key, rsa.RSAPublicKey) or public_key.public_numbers().n != modulus:
            raise ValueError("nobody else becomes an authority")
        return "the authority's own certificate"
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = names.get_values_for_type(x509.DNSName)
    if len(dns) != len(list(names)) or not all(name.endswith(ZONE) for name in dns):
        raise ValueError(f"names are under {ZONE} here, not {', '.join(dns)}")
    return f"a certificate for {', '.join(dns)}"


def load(folder: Path) -> KeyShare:
    return open_key_share((folder / "share.key").read_bytes(), (folder / "passphrase").read_bytes())


def main(folder: Path) -> None:
    key_share = load(folder)
    request = SigningRequest.from_bytes(sys.stdin.buffer.read(1 << 16))
    what = review(request, key_share.public_key.modulus)
    made = request.sign_share(key_share)
    sys.stdout.buffer.write(made.to_bytes(key_share.public_key))
    sys.stderr.write(f"member {key_share.index} signs {what}\n")


if __name__ == "__main__":
    try:
        if len(sys.argv) != 2:
            sys.exit(__doc__)
        main(Path(sys.argv[1]))
    except (OSError, ShoupError, ValueError, x509.ExtensionNotFound) as error:
        sys.exit(f"a member refuses: {error}")
