"""The certificate of an identity, which is the one that the product makes, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.identity import certify_itself
from consensus.control.certificate import certificate, certified, signature_in
from consensus.control.changes import ChangeKind
from tests.consensus.alliance import Log, add_client, certified_by, public, put_member, secret


@pytest.mark.parametrize("name", ["a", "anna", "a" * 23, "a" * 40, "a" * 63])
@pytest.mark.parametrize("key", [f"key {number}" for number in range(12)])
def test_it_is_what_an_identity_makes_of_itself(name: str, key: str) -> None:
    """Serial numbers of each length are among them, and lengths in one octet and in two."""
    made = certify_itself(name, secret(key))
    encoded = made.public_bytes(Encoding.DER)
    assert certified(name, public(key)) == made.tbs_certificate_bytes
    assert certificate(name, public(key), signature_in(encoded)) == encoded


def test_serial_numbers_of_each_length_were_among_them() -> None:
    lengths = {certify_itself("a", secret(f"key {n}")).serial_number.bit_length() for n in range(12)}
    assert len(lengths) > 3


@pytest.mark.parametrize(
    "wrong",
    [
        b"x",
        certified_by("other", "new"),
        certified_by("new", "other"),
        certified_by("new", "new")[:-1] + b"\x00",
    ],
    ids=["none", "another name", "another key", "another signature"],
)
def test_a_row_with_another_certificate_is_refused(wrong: bytes) -> None:
    """Everybody who writes alliance.toml would have to read it: no operator stops them by what is none."""
    log = Log()
    adds = replace(add_client("new", "org-a"), certificate=wrong)
    assert "the certificate of 'new' is not the one" in log.edit("org-a", adds)
    put = put_member("new", "org-a")
    put = replace(put, row=replace(put.row, certificate=wrong))
    assert "the certificate of 'new'" in log.propose("org-a", log.change(ChangeKind.FULL, put))[1]
