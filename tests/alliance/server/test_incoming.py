"""Who will be a member by an approved change is let in and heard before: that, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from alliance.config.control import founded
from alliance.config.directory import Directory
from alliance.config.parties import Client
from alliance.keys.ed25519 import has_signed
from alliance.server.gate import Gate
from alliance.server.revisions import Revisions
from alliance.server.vouching import Voucher
from consensus.control import ControlState
from consensus.control.changes import Change, ChangeKind
from consensus.control.checked import CheckedControl
from consensus.control.operations import PutMember, Suspend
from consensus.control.pending import ActiveChange, ApprovedChange
from tests.alliance.farm import Farm
from tests.alliance.newcomers import client_of, newcomer
from verifiable_log import UnsignedSubmission
from verifiable_log.submission import InvalidSubmission


class Scene:
    """What the log says to one server, and what comes of it at its door."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        directory, nobody = Directory(farm.config), Any
        self.gate = Gate(farm.config)
        self.told: list[tuple[Client, ...]] = []
        directory.tell_incoming(self.told.append)
        voucher = Voucher(folder, directory, 0, nobody, nobody)  # type: ignore[arg-type]
        first = CheckedControl(founded(farm.config), has_signed)
        self._revisions = Revisions(folder, first, directory, self.gate, voucher, lambda _: None)
        self._revisions.start()

    def decide(self, state: ControlState) -> None:
        self._revisions.decided(None, CheckedControl(state, has_signed))  # type: ignore[arg-type]


def test_the_newcomers_of_approved_changes_are_expected_until_they_are_not(
    farm: Farm, tmp_path: Path
) -> None:
    scene, new, state = Scene(farm, tmp_path), newcomer("member-3", "member-3"), founded(farm.config)
    party = new.party
    old = state.directory.members[2]
    der = party.certificate.public_bytes(Encoding.DER)
    row = replace(old, identity=party.identity, certificate=der)
    moved = replace(state.directory.members[3], address="elsewhere:7400")
    operations = PutMember(row, b"p" * 64), PutMember(moved), Suspend("member-5")
    change = ApprovedChange(b"c" * 32, Change(ChangeKind.FULL, 0, bytes(32), 0, 0, operations), 9)
    unsigned = UnsignedSubmission(party.client_id, 1, (b"ready",))
    submission = unsigned.sign(new.signing_key.sign(unsigned.message(farm.config.context)))

    scene.decide(state)
    assert scene.told == []
    with pytest.raises(InvalidSubmission, match="never admitted"):
        scene.gate.admit_submission(party.client_id, submission.encoded)

    active = replace(state, active=ActiveChange(change, 9, 0))
    scene.decide(active)
    scene.decide(replace(active, slot=10))
    assert scene.told == [(client_of(new),)]  # who has moved, or is suspended, is there already
    scene.gate.admit_submission(party.client_id, submission.encoded)

    scene.decide(replace(active, end=200, scheduled=(change,)))
    assert len(scene.told) == 1
    scene.decide(replace(state, slot=11))
    assert scene.told[1:] == [()]
