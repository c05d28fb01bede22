"""``alliance sign``: real servers, desks of four members, one of whom lies, and programs of the outside."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from alliance.proofs.receipt import Receipt
from tests.cli.conftest import Run
from tests.docs.documents import ROOT, blocks
from tests.docs.test_examples import shell
from tests.worlds.processes import Cluster, ServerProcess

PAGE = ROOT / "docs" / "guides" / "signing.md"
HONEST, LIAR = ("member-1", "member-2", "member-3"), "member-4"

needs_tools = pytest.mark.skipif(
    shutil.which("openssl") is None or shutil.which("ssh-keygen") is None,
    reason="needs the commands openssl and ssh-keygen (Debian: apt-get install openssl openssh-client)",
)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Those of the page."""
    folder = tmp_path_factory.mktemp("policies")
    paths = []
    for block in blocks("toml"):
        if block.document == PAGE:
            paths.append(folder / f"{tomllib.loads(block.body)['purpose']}.toml")
            paths[-1].write_text(block.body)
    assert len(paths) == 3
    return paths


@pytest.fixture(scope="module")
def desks(cluster: Cluster, policies: list[Path]) -> Iterator[dict[str, ServerProcess]]:
    given = [word for path in policies for word in ("--policy", str(path))]
    running: dict[str, ServerProcess] = {}
    try:
        for name in (*HONEST, LIAR):
            module = "tests.signing.liar" if name == LIAR else "alliance"
            words = ("sign", "serve")
            running[name] = ServerProcess(
                cluster.member(name), "-o", "json", *given, module=module, words=words
            )
        for desk in running.values():
            desk.await_ready()
        yield running
        for name in HONEST:
            running[name].process.terminate()
        for name in HONEST:
            assert running[name].wait() == 0, running[name].stderr()
    finally:
        for desk in running.values():
            desk.close()


@needs_tools
def test_the_page_does_what_it_says(
    cluster: Cluster, desks: dict[str, ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "farm").symlink_to(cluster.folder)
    (asked,) = (b for b in blocks("sh") if b.document == PAGE and "sign jwt" in b.body)
    done = shell(asked.body, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gate.pem: OK" in done.stdout
    assert "using rsa-sha2-256" in done.stdout
    assert done.stderr.count("signed by member-") == 4
    listed = [line for line in done.stdout.splitlines() if line.startswith("slot ")]
    assert [line.split("'")[1] for line in listed[-4:]] == ["tokens", "web", "web", "logins"]
    # A verifier of tokens, as it comes out of the box: the time, the audience and the issuer are right.
    token, key = (tmp_path / "token.jwt").read_text(), (tmp_path / "farm" / "public-tokens.pem").read_text()
    claims = jwt.decode(token, key, ["RS256"], audience="gate", issuer="https://farm.example")
    assert (claims["role"], claims["exp"] - claims["iat"]) == ("reader", 900)
    assert (tmp_path / "token.jwt").stat().st_mode & 0o077 == 0
    wrong = (tmp_path / "farm" / "public-web.pem").read_text()
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, wrong, ["RS256"], audience="gate")
    # OpenSSH trusts what anna signs because the alliance has certified her key, and nobody else's word.
    (tmp_path / "allowed").write_text(f"anna cert-authority {(tmp_path / 'ca.pub').read_text()}")
    (tmp_path / "letter").write_text("open the gate\n")
    sign = "ssh-keygen -q -Y sign -n file -f id-cert.pub letter"
    verify = "ssh-keygen -Y verify -n file -f allowed -s letter.sig -I {} < letter"
    done = shell(f"{sign}; {verify.format('anna')}", tmp_path)
    assert "Good" in done.stdout, done.stderr
    assert shell(verify.format("eve"), tmp_path).returncode != 0


def jwt_words(cluster: Cluster, *more: str | Path) -> list[str | Path]:
    folder = cluster.client_folder("client-1")
    return [
        *("sign", "jwt", folder, "--purpose", "tokens", "--issuer", "https://farm.example"),
        *("--audience", "gate", *more),
    ]


def test_what_policies_do_not_allow_is_refused_and_stays_on_the_record(
    cluster: Cluster, desks: dict[str, ServerProcess], policies: list[Path], inside: Run, tmp_path: Path
) -> None:
    kept, out = tmp_path / "receipt.json", tmp_path / "token.jwt"
    words = jwt_words(cluster, "--subject", "root", "--out", out, "--receipt", kept, "-o", "json")
    result = inside(*words)
    assert (result.code, result.out) == (6, b"")
    error = json.loads(result.error)["error"]
    assert "'tokens' is not signed: 3 members must agree" in error
    assert "member-4: the subject 'root' is not allowed" in error
    assert not out.exists()
    receipt = Receipt.from_json(kept.read_bytes())
    cluster.await_level(*cluster.names)  # another client knows of no receipt
    listing = ("sign", "audit", cluster.client_folder("client-2"), "--start", str(receipt.slot), "-o", "json")
    given = [word for path in policies for word in ("--policy", path)]
    result = inside(*listing, *given)
    line = json.loads(result.text.splitlines()[0])
    assert (line["slot"], line["client"], line["kind"]) == (receipt.slot, "client-1", "jwt")
    assert line["verdict"] == "the subject 'root' is not allowed"
    again = inside(*listing, *given)
    assert (again.code, again.text.splitlines()[0]) == (0, result.text.splitlines()[0])


def test_who_gives_bad_shares_is_named(
    cluster: Cluster, desks: dict[str, ServerProcess], inside: Run
) -> None:
    """Three must sign certificates: without one of the honest three the liar would be needed."""
    folder = cluster.client_folder("client-1")
    desks[HONEST[0]].pause()
    try:
        for patience in ("3", "12", "48"):  # a busy machine takes longer to answer
            result = inside("sign", "ca", folder, "--purpose", "web", "--timeout", patience)
            assert (result.code, result.out) == (3, b"")
            if "3 members must agree, 2 did" in result.error and "at fault" in result.error:
                break
    finally:
        desks[HONEST[0]].resume()
    assert "at fault: member-4: a bad share: " in result.error
    assert "at fault: member-1" not in result.error


def test_wrong_usage_orders_nothing(
    cluster: Cluster, policies: list[Path], inside: Run, tmp_path: Path
) -> None:
    """No desk is asked, and no passphrase either."""
    client, member = cluster.client_folder("client-1"), cluster.member("member-1")
    (tmp_path / "old").write_text("old")
    (tmp_path / "attestation.toml").write_text(policies[0].read_text().replace('"tokens"', '"attestation"'))
    web = ("sign", "x509", client, "--purpose", "web", "--csr", tmp_path / "old")
    ssh = ("sign", "ssh", client, "--purpose", "logins", "--principal", "anna", "--key", tmp_path / "old")
    for arguments, says in (
        (jwt_words(cluster, "--subject", "x", "--claim", "exp=1"), "the claim 'exp' is set"),
        (jwt_words(cluster, "--subject", "x", "--claim", "role"), "write --claim NAME=TEXT"),
        (jwt_words(cluster, "--subject", "x", "--claim", "a=1", "--claim", "a=2"), "is there twice"),
        (jwt_words(cluster, "--subject", "x", "--lifetime", "0"), "the lifetime"),
        (jwt_words(cluster, "--subject", "x", "--out", tmp_path / "old"), "overwrite it with --force"),
        (web, "no certificate request"),
        ((*web, "--usage", "mail"), "there is no --usage 'mail'"),
        (ssh, "no SSH public key"),
        (("sign", "ca", client, "--purpose", "attestation"), "the attestation key signs no documents"),
        (("sign", "ca", client, "--purpose", "wob"), "no key for 'wob'; did you mean 'web'"),
        (("sign", "ca", tmp_path / "none", "--purpose", "web"), "does not exist"),
        (("sign", "serve", member), "no --policy"),
        (("sign", "serve", client, "--policy", policies[0]), "is a client's folder"),
        (("sign", "serve", member, "--policy", tmp_path / "none"), "cannot be read"),
        (("sign", "serve", member, "--policy", tmp_path / "attestation.toml"), "signs no documents"),
        (("sign", "serve", member, "--policy", policies[0], "--policy", policies[0]), "two policies"),
        (("sign", "audit", client, "--policy", tmp_path / "old"), "is not TOML"),
    ):
        result = inside(*arguments, passphrase=None)
        assert (result.code, result.out) == (2, b""), arguments
        assert says in result.error
    assert (tmp_path / "old").read_text() == "old"
