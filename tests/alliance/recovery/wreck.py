"""An alliance that has lost two of its six members, on disk; and its recovery, step by step.

Members 1 to 4 are there, each with a journal: member 1 knows the most certified slots, member 2 fewer, member
3 has accepted what nobody has certified, and member 4 has a checkpoint. Member 5 is gone, and there is a
backup of its shares; member 6 is gone altogether. Of four members, the first two and the last two are such.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config import control as config_control
from alliance.config.file import AllianceConfig
from alliance.founding.party import ask_as_member, largest_key
from alliance.founding.request import Request
from alliance.keys import sealing
from alliance.keys.channel import utc_now
from alliance.keys.ed25519 import has_signed
from alliance.keys.folder import OPERATOR
from alliance.recovery import ceremony
from alliance.recovery.act_file import ActFile
from alliance.recovery.backup import back_up
from alliance.recovery.ceremony import Conclusion
from alliance.recovery.finish import Finished, finish
from alliance.recovery.holding import Holder
from alliance.recovery.parts import Approval, Dealing, Share
from alliance.recovery.planning import Wanted, make_act
from alliance.recovery.report import Furthest, Survivor, make_report, open_report
from alliance.storage.journal import Journal
from consensus.control import CheckedControl
from consensus.control.recovery import RecoveryApproval
from fab_paxos.effects import CheckpointRecord, EntryRecord, ProvenRecord
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from verifiable_log.client_windows import ClientWindows
from verifiable_log.ordering_state import Checkpoint, Snapshot

SURVIVORS = ("member-1", "member-2", "member-3", "member-4")
LOST = ("member-5", "member-6")
SLOTS, BEHIND, BEYOND = 7, 4, 2


def stable(chain: Chain, slot: int) -> Checkpoint:
    """A checkpoint with what the log up to there says of the alliance itself."""
    farm, windows = chain.farm, ClientWindows()
    control = CheckedControl(config_control.founded(farm.config), has_signed)
    for entry in chain.entries[:slot]:
        for submission in entry.batch.submissions:
            windows.admit(entry.slot, submission)
        control, _ = control.apply(entry)
    state = (*windows.state(), *control.items())
    snapshot = Snapshot(chain.frontiers[slot], state, windows.places())
    return Checkpoint(snapshot, farm.certify(snapshot.statement))


@dataclass
class Wreck:
    """``home`` has the folders ``members``, ``new`` and the backup."""

    home: Path
    config: AllianceConfig
    operators: dict[str, Ed25519PrivateKey]
    requests: dict[str, Request] = field(default_factory=dict)

    @classmethod
    def of(cls, farm: Farm, chain: Chain, home: Path) -> Wreck:
        """``chain`` has SLOTS + BEYOND slots at least."""
        shutil.copytree(farm.folder / "members", home / "members")
        operators = {}
        for number, member in enumerate(farm.config.members):
            path = farm.member_home(number) / OPERATOR
            operators[member.name] = sealing.unseal_signing(sealing.read(path), path, PASSPHRASE)
        wreck = cls(home, farm.config, operators)
        for number, name in enumerate(wreck.survivors):
            certified = BEHIND if number == 1 else SLOTS
            wreck.write_journal(chain, name, certified, SLOTS + BEYOND if number == 2 else certified)
        last, saved = wreck.survivors[-1], wreck.lost[0]
        journal = Journal(wreck.member(last) / "journal.sqlite", farm.config.alliance_id, last)
        journal.append([CheckpointRecord(stable(chain, BEHIND))])
        journal.close()
        number = len(wreck.survivors)
        wreck.backup.write_text(
            back_up(wreck.member(saved), farm.config, number, PASSPHRASE, utc_now()).to_json()
        )
        for name in wreck.lost:
            shutil.rmtree(wreck.member(name))
            wreck.requests[name] = ask_as_member(
                home / "new" / name,
                name,
                name,
                f"{name}:1",
                largest_key(farm.config),
                PASSPHRASE,
                operators[name],
                wreck.config.alliance_id,
            )
        return wreck

    def write_journal(self, chain: Chain, name: str, certified: int, accepted: int) -> None:
        journal = Journal(self.member(name) / "journal.sqlite", self.config.alliance_id, name)
        journal.append([EntryRecord(entry) for entry in chain.entries[:accepted]])
        journal.append([ProvenRecord(certified, chain.certificate(certified))])
        journal.close()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.config.members)

    @property
    def survivors(self) -> tuple[str, ...]:
        return self.names[:-2]

    @property
    def lost(self) -> tuple[str, ...]:
        return self.names[-2:]

    @property
    def backup(self) -> Path:
        """Of the shares of the first one that is lost."""
        return self.home / f"{self.lost[0]}.backup"

    def member(self, name: str) -> Path:
        return self.home / "members" / name

    def folder(self, name: str) -> Path:
        """In which it goes on."""
        return self.home / "new" / name if name in self.lost else self.member(name)

    @cached_property
    def told(self) -> list[bytes]:
        """The reports, as files."""
        return [make_report(self.member(name), PASSPHRASE) for name in self.survivors]

    @cached_property
    def reports(self) -> list[Survivor]:
        return [open_report(data, name) for name, data in zip(self.survivors, self.told, strict=True)]

    @cached_property
    def log(self) -> Furthest:
        return ceremony.furthest(self.reports)

    @property
    def wanted(self) -> Wanted:
        return Wanted(replaced=[(name, self.requests[name]) for name in self.lost])

    @cached_property
    def act(self) -> ActFile:
        return make_act(self.log, self.reports, self.wanted)

    def approvals(self, names: Sequence[str] = SURVIVORS) -> list[Approval]:
        act = self.act.act
        signed = {
            name: self.operators[name].sign(act.message(self.config.alliance_id, name)) for name in names
        }
        return [Approval(act.digest, RecoveryApproval(name, one)) for name, one in signed.items()]

    @cached_property
    def holders(self) -> dict[str, Holder]:
        held = {name: Holder.of_folder(self.member(name), self.log, PASSPHRASE) for name in self.survivors}
        saved = self.lost[0]
        return held | {saved: Holder.of_backup(self.backup, self.log, self.operators[saved])}

    @cached_property
    def dealings(self) -> list[Dealing]:
        agreed = ceremony.enough(self.log, self.act.act, self.approvals())
        return [holder.deal(self.log, self.act.act, agreed) for holder in self.holders.values()]

    @cached_property
    def concluded(self) -> Conclusion:
        return ceremony.conclude(self.log, self.dealings)

    @cached_property
    def shares(self) -> list[Share]:
        return [holder.sign(self.concluded) for holder in self.holders.values()]

    def finish(self, name: str) -> Finished:
        return finish(self.folder(name), self.concluded, self.shares, PASSPHRASE)
