"""``alliance renew``: a new certificate from the folder's own key; what servers that run do about theirs."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from alliance.keys import folder as keys
from alliance.keys.channel import utc_now
from tests.cli.conftest import Run
from tests.worlds.processes import PASSPHRASE, Cluster

LONG_AGO = datetime.datetime(2020, 2, 3, tzinfo=datetime.UTC)
SECRET = PASSPHRASE.encode()


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(("kind", "name"), [("members", "member-2"), ("clients", "client-1")])
def test_a_folder_gets_a_new_certificate_and_nothing_else_changes(
    inside: Run, home: Cluster, kind: str, name: str
) -> None:
    folder = home.folder / kind / name
    party = keys.folder_party(home.config, folder)
    keys.renew(folder, party, SECRET, lambda: LONG_AGO)
    before = _contents(folder)
    end = utc_now() + datetime.timedelta(days=90)
    result = inside("renew", folder)
    assert result.code == 0
    new, old = f"valid until {end:%Y-%m-%d}", "was valid until 2020-05-03"
    assert result.text == f"{name} has a new TLS certificate, {new}; the old one {old}.\n"
    after = _contents(folder)
    assert {file for file in before if before[file] != after[file]} == {"tls.pem"}
    channel = keys.load_credentials(folder, party, SECRET).channel()
    again = json.loads(inside("renew", folder, "-o", "json").text)
    assert again == {
        "folder": str(folder),
        "name": name,
        "old_expires": f"{channel.expires:%Y-%m-%dT%H:%M:%SZ}",
        "expires": again["expires"],
    }
    (folder / "tls.pem").unlink()
    assert inside("renew", folder).text.endswith("; the old one could not be read.\n")
    keys.load_credentials(folder, party, SECRET)


def test_what_cannot_be_renewed_is_refused_and_stays(inside: Run, home: Cluster, tmp_path: Path) -> None:
    folder, other = home.member("member-1"), home.member("member-2")
    before = _contents(folder)
    for result, says in (
        (inside("renew", folder, passphrase="guess"), "wrong passphrase"),
        (inside("renew", folder, passphrase=None), "set ALLIANCE_PASSPHRASE"),
        (inside("renew", home.folder), "is no member's or client's folder: name one such as"),
        (inside("renew", tmp_path), "does not exist"),
    ):
        assert (result.code, result.out) == (2, b"")
        assert says in result.error
    assert _contents(folder) == before
    shutil.copy(other / "identity.pem", folder)
    assert "are not those of 'member-1'" in inside("renew", folder).error
    (folder / "identity.pem").unlink()
    assert "identity.pem is missing: restore it from a backup" in inside("renew", folder).error


def test_a_server_that_runs_takes_up_what_was_renewed(alliance: Run, cluster: Cluster) -> None:
    member = cluster.config.members[0]
    host, _, port = member.address.rpartition(":")

    def served() -> x509.Certificate:
        return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode())

    before = served()
    assert served() == before
    assert alliance("renew", cluster.member(member.name)).code == 0
    assert served().public_key() != before.public_key()
    with cluster.client("client-1") as client:
        client.propose(b"after the renewal")
        (first, *_) = client.status()
    assert (first.name, first.certificate_expires // 86400) == (
        member.name,
        int(utc_now().timestamp()) // 86400 + 90,
    )


def test_status_tells_until_when_certificates_are_valid(alliance: Run, cluster: Cluster) -> None:
    told = json.loads(alliance("status", cluster.client_folder("client-1"), "-o", "json").text)
    left = [member["certificate_expires"] - utc_now().timestamp() for member in told["members"]]
    assert all(89 * 86400 < seconds < 91 * 86400 for seconds in left)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_servers_speak_tls_1_3_and_nothing_older(cluster: Cluster) -> None:
    for version, agreed in (("-tls1_2", False), ("-tls1_3", True)):
        done = subprocess.run(
            ["openssl", "s_client", version, "-connect", cluster.config.members[1].address],
            input=b"",
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert (b"Cipher is TLS_" in done.stdout) == agreed, done.stdout
        assert agreed or b"Cipher is (NONE)" in done.stdout


def test_processes_that_hold_keys_leave_no_core_file(cluster: Cluster) -> None:
    server = cluster.servers["member-1"].pid
    signers = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    assert signers
    for pid in (server, *signers):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 +bytes", limits, re.MULTILINE), limits


def test_a_key_file_that_others_may_write_is_refused(inside: Run, home: Cluster) -> None:
    folder = home.client_folder("client-1")
    (folder / "identity.pem").chmod(0o666)
    result = inside("status", folder)
    assert result.code == 2
    assert "identity.pem can be written by others (mode 0666)" in result.error
