"""The examples around shoup_rsa, as the processes that their pages tell readers to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import rmtree, which

import pytest

from shoup_rsa import SigningRequest, read_public_key
from shoup_rsa.scheme import Scheme
from tests.docs.documents import ROOT, blocks
from tests.docs.test_examples import shell
from tests.worlds.processes import environment

RELEASE = ROOT / "examples" / "release_signature" / "release.py"
AUTHORITY = ROOT / "examples" / "certificate_authority" / "authority.py"
MEMBER = AUTHORITY.with_name("member.py")

pytestmark = pytest.mark.skipif(
    which("openssl") is None, reason="needs the openssl command (Debian: apt-get install openssl)"
)


def follow(page: str, folder: Path) -> str:
    """Runs the two commands of a page; what they say, on both channels."""
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "README.md").symlink_to(ROOT / "README.md")
    (block,) = (b for b in blocks("sh") if b.document == ROOT / "examples" / page / "README.md")
    assert len(block.body.strip().splitlines()) == 2
    done = shell(block.body, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def program(*words: object, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, input=typed, capture_output=True, env=environment(), timeout=120)


def test_a_release(tmp_path: Path) -> None:
    said = follow("release_signature", tmp_path)
    assert "Verified OK" in said
    folder = tmp_path / "release-key"
    for name in ("ada", "ben", "cleo", "dan", "eve"):
        assert (folder / f"{name}.key").stat().st_mode & 0o777 == 0o600
    refused = program(RELEASE, "share", folder, "ada", ROOT / "README.md", typed=b"wrong\n")
    assert refused.returncode == 1
    assert b"passphrase" in refused.stderr
    other = tmp_path / "other"
    other.write_bytes(b"another release")
    for name in ("ada", "cleo", "eve"):
        share = (folder / f"README.md.{name}.share").read_bytes()
        (folder / f"other.{name}.share").write_bytes(share)
    refused = program(RELEASE, "join", folder, other)
    assert refused.returncode == 1
    assert b"do not belong to other: ada, cleo, eve" in refused.stderr
    assert not (folder / "other.sig").exists()
    (folder / "other.ada.share").write_bytes(b"damaged")
    refused = program(RELEASE, "join", folder, other)
    assert refused.returncode == 1
    assert b"3 maintainers must sign other; so far 2 have" in refused.stderr


def test_an_authority(tmp_path: Path) -> None:
    assert "server.example.pem: OK" in follow("certificate_authority", tmp_path)
    folder = tmp_path / "authority"
    assert (folder / "server.example.key").stat().st_mode & 0o777 == 0o600
    refused = program(AUTHORITY, folder, "bank.com")
    assert refused.returncode == 1
    assert refused.stderr.count(b"names are under .example here, not bank.com") == 5
    assert b"3 shares with distinct indices are needed, 0 were given" in refused.stderr
    assert not (folder / "bank.com.pem").exists()
    rmtree(folder / "member-1")
    rmtree(folder / "member-4")
    assert program(AUTHORITY, folder, "second.example").returncode == 0
    assert (folder / "second.example.pem").exists()
    public_key = read_public_key((folder / "authority.key").read_bytes())
    token = SigningRequest(public_key.key_id, Scheme.PKCS1V15_SHA256, b"a document of another kind")
    refused = program(MEMBER, folder / "member-2", typed=token.to_bytes())
    assert (refused.returncode, refused.stdout) == (1, b"")
