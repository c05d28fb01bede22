"""The digest of a dealing's public keys."""

from __future__ import annotations

from hashlib import sha256

from consensus.control.transcript import transcript_digest


def test_the_digest_is_of_the_bytes_that_are_written_down():
    encoded = b"alliance-transcript/1\x00" + bytes((0, 2, 0, 0, 0, 1)) + b"a" + bytes((0, 0, 0, 2)) + b"bc"
    assert transcript_digest((b"a", b"bc")) == sha256(encoded).digest()


def test_each_list_of_keys_has_a_digest_of_its_own():
    lists = (), (b"",), (b"", b""), (b"a", b"bc"), (b"ab", b"c"), (b"abc",), (b"bc", b"a")
    assert len({transcript_digest(keys) for keys in lists}) == len(lists)
