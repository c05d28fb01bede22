"""A drill with real processes: an alliance loses two of its six members, is recovered, and goes on.

Six servers order commands; shares were backed up before. Then all are killed, and two folders are destroyed.
Every step of 'alliance recover' is a command of its own, as people type it. The servers that are started from
the resulting folders go on with the old log, and order more for a client that knows nothing of it all; what
was certified before still verifies, and the act is there for everybody to see.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alliance.config import file as config_file
from alliance.keys import handover
from alliance.proofs.receipt import Receipt, load_public_key
from tests.worlds.processes import PASSPHRASE, Cluster, command, environment

LOST = ("member-5", "member-6")
BEFORE, AFTER = 5, 3
STEP_SECONDS = 120.0
READY_COMMANDS_MAX = 1000


@dataclass
class Drill:
    """``home`` is empty. ``took`` are the seconds of each step."""

    home: Path
    took: dict[str, float] = field(default_factory=dict)

    @property
    def survivors(self) -> list[str]:
        return [f"member-{number}" for number in range(1, 5)]

    def alliance(self, *words: str | Path) -> str:
        """A command; it must end with 0. Its standard output."""
        secret = self.home / "secret"
        done = self.run(*words, *(["--operator-passphrase-file", secret] if "--operator" in words else []))
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words),
            capture_output=True,
            text=True,
            env=environment(PASSPHRASE),
            cwd=self.home,
            timeout=STEP_SECONDS,
            check=False,
        )

    def step(self, name: str, since: float) -> float:
        now = time.monotonic()
        self.took[name] = now - since
        return now

    def play(self) -> Receipt:
        """All of it; the receipt of the first command, which outlives everything."""
        (self.home / "secret").write_text(PASSPHRASE)
        began = time.monotonic()
        farm = self.home / "farm"
        with Cluster.found(farm) as cluster:
            cluster.start()
            with cluster.client("client-1") as client:
                first, *_ = [client.propose(b"before %d" % number) for number in range(BEFORE)]
            for name in LOST:
                self.alliance("share", "backup", cluster.member(name), "--to", f"{name}.backup")
            cluster.kill()
            began = self.step("run", began)
            self.lose(cluster)
            began = self.step("lose", began)
            self.recover(cluster)
            began = self.step("recover", began)
            used = {name: set(handover.receivers(cluster.member(name))) for name in cluster.names}
            cluster.start()
            with cluster.client("client-1") as client:
                for number in range(AFTER):
                    client.propose(b"after %d" % number)
            began = self.step("go on", began)
            self.await_receivers(cluster, used)
            self.step("be ready", began)
            self.look(cluster, first)
        return first

    def await_receivers(self, cluster: Cluster, used: Mapping[str, set[bytes]]) -> None:
        """While commands are ordered: until each member has erased what it received its shares by, because
        the log has its key for the next time."""
        with cluster.client("client-2") as client:
            for number in range(READY_COMMANDS_MAX):
                there = {name: set(handover.receivers(cluster.member(name))) for name in used}
                if all(len(there[name]) == 1 and not there[name] & used[name] for name in used):
                    return
                client.propose(b"meanwhile %d" % number)
        raise AssertionError(
            f"after {READY_COMMANDS_MAX} commands some have the receivers of before: {there}"
        )

    def lose(self, cluster: Cluster) -> None:
        """Two disks die. Their organisations keep the operator keys elsewhere, and make new members."""
        config = cluster.config
        for name in LOST:
            shutil.copy(cluster.member(name) / "operator.pem", self.home / f"{name}.operator.pem")
            shutil.rmtree(cluster.member(name))
            address = config.members[config.member_index(name)].address
            place = ("--organisation", name, "--address", address, "--alliance", "farm/alliance.toml")
            operator = ("--operator", f"{name}.operator.pem")
            self.alliance("request", name, *place, *operator, "--directory", cluster.member(name))
        for name in self.survivors:
            shutil.move(cluster.member(name) / "operator.pem", self.home / f"{name}.operator.pem")

    def recover(self, cluster: Cluster) -> None:
        member, survivors = cluster.member, self.survivors
        for name in survivors:
            self.alliance("recover", "report", member(name))
        reports = [f"{name}.report" for name in survivors]
        replace = [word for name in LOST for word in ("--replace", member(name) / f"{name}.request")]
        self.alliance("recover", "plan", "farm.recovery", *reports, *replace)
        longest = reports[0]
        shown = self.run(
            "recover", "approve", "farm.recovery", longest, "--operator", "member-1.operator.pem"
        )
        assert shown.returncode == 2, shown
        assert "--lost member-5,member-6" in shown.stderr
        for name in (*survivors[1:], "member-5"):
            key = ("--operator", f"{name}.operator.pem")
            self.alliance("recover", "approve", "farm.recovery", longest, *key, "--lost", ",".join(LOST))
        approvals = [f"{name}.approval" for name in (*survivors[1:], "member-5")]
        holders: list[tuple[Sequence[str | Path], str]] = [((member(name),), name) for name in survivors]
        holders.append((("member-5.backup", "--operator", "member-5.operator.pem"), "member-5"))
        for (holder, *more), _ in holders:
            self.alliance("recover", "deal", holder, longest, "farm.recovery", *approvals, *more)
        dealings = [f"{name}.dealing" for _, name in holders]
        self.refuses_too_few(member(survivors[0]), longest, dealings)
        for (holder, *more), _ in holders:
            self.alliance("recover", "sign", holder, longest, *dealings, *more)
        shares = [f"{name}.share" for _, name in holders]
        over = self.run("serve", member(survivors[0]))
        assert over.returncode == 4, over
        assert "alliance recover finish" in over.stderr
        for name in (*survivors, *LOST):
            told = self.alliance("recover", "finish", member(name), longest, *dealings, *shares)
            assert "is now in epoch 1" in told, told

    def refuses_too_few(self, folder: Path, report: str, dealings: Sequence[str]) -> None:
        refused = self.run("recover", "sign", folder, report, *dealings[:4])
        assert refused.returncode == 2, refused
        assert "4 members' shares have dealt" in refused.stderr, refused.stderr

    def look(self, cluster: Cluster, first: Receipt) -> None:
        """What whoever comes later can see."""
        config = config_file.load(cluster.member("member-6"))
        assert (config.epoch, config.dealing) == (1, 1), config.membership
        first.verify(load_public_key((cluster.folder / "public.pem").read_bytes()))
        told = self.alliance("epochs", cluster.client_folder("client-1"), "-o", "json")
        assert '"recoveries": [{"epoch": 0' in told, told
        heard = self.alliance("listen", cluster.client_folder("client-2"), "--count", str(BEFORE + AFTER))
        assert [f"before {n}" in heard for n in range(BEFORE)] == [True] * BEFORE, heard
        assert [f"after {n}" in heard for n in range(AFTER)] == [True] * AFTER, heard
