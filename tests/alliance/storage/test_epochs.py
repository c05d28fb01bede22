"""Who took part in past epochs: kept once, proven by the alliance's key, and what was said is judged so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alliance.config.control import at, founded
from alliance.config.file import AllianceConfig
from alliance.config.rows import member_row
from alliance.errors import ConfigError, InvalidEvidence
from alliance.evidence import PortableEvidence, verify
from alliance.evidence.portable import TWO_STATEMENTS, SignedBytes
from alliance.storage import epochs
from alliance.storage.journal_epochs import EpochMembership
from consensus.control.directory import config_digest
from quorum import MembershipStatement, VoteStatement
from tests.alliance.farm import Farm
from tests.alliance.newcomers import newcomer
from verifiable_log.ordering_state import Snapshot

LATER = newcomer("later")


def changed(farm: Farm, epoch: int, end: Snapshot | None = None) -> tuple[AllianceConfig, EpochMembership]:
    """Epoch 1 and those after it have another second member; each is certified by the one before.

    The log and state at whose end it begins are some, or those of ``end``.
    """
    start = 100 * epoch if end is None else end.slot
    parts = (b"r" * 32, b"s" * 32) if end is None else (end.frontier.root, end.statement.state_digest)
    begun, party = founded(farm.config), LATER.party
    second = replace(
        farm.config.members[1],
        name=party.name,
        identity=party.identity,
        certificate=party.certificate,
        receiver=None,
    )
    row = member_row(second)
    members = (begun.directory.members[0], row, *begun.directory.members[2:])
    state = replace(
        begun,
        directory=replace(begun.directory, members=members),
        epoch=epoch,
        start=start,
        slot=start,
    )
    config = at(farm.config, state)
    says = MembershipStatement(epoch, 0, start, *parts, config_digest(config.canonical))
    before = replace(farm.config.context, epoch=epoch - 1)
    return config, EpochMembership(config.canonical, farm.certify(says, before))


@pytest.fixture
def home(farm: Farm, tmp_path: Path) -> Path:
    """Of a member that took part in three epochs."""
    for config, membership in ((farm.config, None), changed(farm, 1), changed(farm, 2)):
        epochs.keep(tmp_path, config, membership)
    return tmp_path


def test_each_epoch_is_found_again(farm: Farm, home: Path) -> None:
    (one, _), (two, _) = changed(farm, 1), changed(farm, 2)
    for present in (farm.config, one, two):
        for epoch, config in enumerate((farm.config, one, two)):
            assert epochs.of_epoch(home, present, epoch) == config
    names = {path.name for path in (home / epochs.FOLDER).iterdir()}
    assert names == {"0.toml", "1.toml", "1.certificate", "2.toml", "2.certificate"}
    with pytest.raises(
        ConfigError, match=r"3\.toml does not exist, .*alliance\.toml is of epoch 2: a member"
    ):
        epochs.of_epoch(home, two, 3)


def test_who_takes_part_no_more_is_known_from_all_epochs_that_are_kept(farm: Farm, home: Path) -> None:
    (one, _), (two, _) = changed(farm, 1), changed(farm, 2)
    replaced = farm.config.members[1]
    for present in (one, two):
        assert epochs.former_members(home, present) == (replaced,)
    back = replace(farm.config, epoch=3)
    assert epochs.former_members(home, back) == (one.members[1],)
    (home / "epochs" / "1.certificate").write_bytes(b"damaged")
    assert epochs.former_members(home, two) == ()
    assert epochs.former_members(home / "elsewhere", farm.config) == ()


def test_it_is_kept_as_it_began(farm: Farm, home: Path) -> None:
    kept = (home / "epochs" / "0.toml").read_bytes()
    first, *others = farm.config.members
    edited = replace(farm.config, members=(replace(first, address="127.0.0.1:1"), *others))
    for config in (edited, replace(edited, revision=1)):
        epochs.keep(home, config, None)
    assert (home / "epochs" / "0.toml").read_bytes() == kept
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    epochs.keep(elsewhere, replace(edited, revision=1), None)
    assert list(elsewhere.iterdir()) == []


def test_what_nobody_has_certified_is_refused(farm: Farm, home: Path) -> None:
    folder, (one, membership) = home / "epochs", changed(farm, 1)
    good = {name: (folder / name).read_bytes() for name in ("0.toml", "1.toml", "1.certificate")}
    forged = replace(membership.certificate, signature=bytes(256))
    moved = replace(one, members=(replace(one.members[0], address="127.0.0.1:1"), *one.members[1:]))
    for epoch, name, content, says in (
        (1, "1.certificate", forged.encode(), "does not prove who took part in epoch 1"),
        (1, "1.certificate", (folder / "2.certificate").read_bytes(), "does not prove"),
        (1, "1.certificate", b"", "does not prove"),
        (1, "1.toml", moved.to_toml().encode(), "does not prove"),
        (1, "1.toml", (folder / "2.toml").read_bytes(), "not of the beginning of epoch 1"),
        (1, "1.toml", good["0.toml"], "not of the beginning of epoch 1"),
        (1, "1.toml", good["1.toml"][:-90], "was altered|not TOML|certificate"),
        (0, "0.toml", good["1.toml"], "not of the beginning of epoch 0"),
        (0, "0.toml", replace(farm.config, revision=1).to_toml().encode(), "not of the beginning"),
        (0, "0.toml", b"\xff", "cannot be read"),
    ):
        (folder / name).write_bytes(content)
        present = changed(farm, 2)[0]
        with pytest.raises(ConfigError, match=says):
            epochs.of_epoch(home, present, epoch)
        (folder / name).write_bytes(good[name])
    (folder / "1.certificate").unlink()
    with pytest.raises(ConfigError, match=r"1\.certificate cannot be read"):
        epochs.of_epoch(home, farm.config, 1)


def test_evidence_is_judged_with_the_members_of_its_epoch(farm: Farm, home: Path) -> None:
    """The second member of epoch 0 is gone since; what the two signed in each epoch convicts each alone."""
    present, old = changed(farm, 2)[0], farm.members[1]
    for epoch, culprit in ((0, old), (1, LATER), (2, LATER)):
        config = epochs.of_epoch(home, present, epoch)
        statements = [VoteStatement(4, 9, root * 32).encode(config.context) for root in (b"a", b"b")]
        said = tuple(SignedBytes(one, culprit.signing_key.sign(one)) for one in statements)
        evidence = PortableEvidence(config.context, TWO_STATEMENTS, culprit.party.name, said)
        assert verify(config, evidence).culprit == culprit.party.name
        for other in {0, 1, 2} - {epoch}:
            with pytest.raises(InvalidEvidence, match="of another alliance or epoch"):
                verify(epochs.of_epoch(home, present, other), evidence)
