"""Receipts and evidence of past epochs: whoever the members are today, they are what they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from alliance.config.file import FILE, AllianceConfig
from alliance.evidence.portable import PortableEvidence, export
from alliance.keys.revision import FOUNDED
from alliance.proofs.receipt import Receipt, load_public_key
from alliance.proofs.votes import Vote
from alliance.storage import epochs
from alliance.storage.history import History
from alliance.storage.journal_epochs import EpochMembership
from fab_paxos.evidence import TwoStatements, TwoSubmissions
from quorum import VoteStatement
from tests.alliance.epochs import new_member, next_epoch, proof
from tests.alliance.farm import Chain, Farm
from tests.cli.conftest import Run

EPOCHS = 5


class Past(NamedTuple):
    """Six epochs, each with another first member; ``folder`` is one that has seen them all."""

    farms: list[Farm]
    folder: Path

    @property
    def present(self) -> AllianceConfig:
        return self.farms[-1].config

    def receipt(self, epoch: int, *voters: int, by: int | None = None) -> Receipt:
        """Made in this epoch, with the votes of these members of it, or of the epoch ``by``."""
        chain = Chain(self.farms[epoch]).grow(3)
        made = chain.receipt(2, 0, 0, 3)
        said = made.certificate.statement
        vote = VoteStatement(said.view, said.slot, said.root).encode(made.context)
        members = self.farms[epoch if by is None else by].members
        return replace(
            made, votes=tuple(Vote(member, members[member].signing_key.sign(vote)) for member in voters)
        )


@pytest.fixture(scope="module")
def past(farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("past")
    farms, removed = [farm], ("client-2",)
    epochs.keep(folder, farm.config, None)
    for number in range(1, EPOCHS + 1):
        old, end = farms[-1], 100 * number
        new, membership = next_epoch(
            old,
            {0: new_member(f"member-{number}0")},
            handed_on=number == 2,
            start=end,
            removed=removed if number > 2 else (),
        )
        certificate = proof(old, new, membership, slot=end).certificate
        epochs.keep(folder, new.config, EpochMembership(membership.config, certificate))
        farms.append(new)
    (folder / FILE).write_text(farms[-1].config.to_toml())
    (folder / FOUNDED).write_text(farm.config.to_toml())
    (folder / "public.pem").write_bytes(farm.config.key.to_pem())
    return Past(farms, folder)


def test_epoch_receipt_of_0_in_5(past: Past, inside: Run, tmp_path: Path) -> None:
    """Under the one public key; and its votes are those of the members of its own epoch."""
    path, key = tmp_path / "r.json", load_public_key(past.present.key.to_pem())
    for epoch in (0, 2, EPOCHS):
        receipt = past.receipt(epoch, 0, 3)
        receipt.verify(key)
        path.write_text(receipt.to_json())
        told = inside("verify", "--key", past.folder / "public.pem", path, "--alliance", past.folder)
        assert (told.code, told.err) == (0, "")
        assert told.text.endswith("…, and by 2 members' votes\n")
        assert (f"signature of epoch {epoch}" in told.text) == (epoch > 0)
    table = json.loads(inside("verify", "--key", past.folder / "public.pem", path, "-o", "json").out)
    assert (table["epoch"], table["votes_checked"]) == (EPOCHS, 0)


@pytest.mark.parametrize(
    ("epoch", "voters", "by", "says"),
    [
        (0, (0, 3), 5, "not signed by member 1"),
        (5, (0, 3), 0, "not signed by member 1"),
        (0, (3,), None, "1 votes of members of epoch 0, and 2 at least"),
        (3, (), None, "0 votes of members of epoch 3"),
    ],
)
def test_votes_of_others_or_too_few_prove_nothing(
    past: Past, inside: Run, tmp_path: Path, epoch: int, voters: tuple[int, ...], by: int | None, says: str
) -> None:
    path = tmp_path / "r.json"
    path.write_text(past.receipt(epoch, *voters, by=by).to_json())
    told = inside("verify", "--key", past.folder / "public.pem", path, "--alliance", past.folder)
    assert told.code == 1
    assert says in told.error
    assert inside("verify", "--key", past.folder / "public.pem", path).code == 0


def test_a_folder_that_does_not_know_the_members_says_where_they_are(
    past: Past, inside: Run, tmp_path: Path
) -> None:
    """Of the first epoch every folder knows them."""
    path, home = tmp_path / "r.json", tmp_path / "client"
    home.mkdir()
    for name in (FILE, FOUNDED):
        (home / name).write_bytes((past.folder / name).read_bytes())
    for epoch, code in ((0, 0), (2, 2), (5, 0)):
        path.write_text(past.receipt(epoch, 0, 3).to_json())
        told = inside("verify", "--key", past.folder / "public.pem", path, "--alliance", home)
        assert told.code == code
    path.write_text(past.receipt(2, 0, 3).to_json())
    told = inside("verify", "--key", past.folder / "public.pem", path, "--alliance", home)
    assert "2.toml does not exist" in told.error
    assert "keeps who did, in its folder 'epochs'" in told.error


def evidence(past: Past, epoch: int, culprit: int) -> PortableEvidence:
    """Two votes of this member in this epoch."""
    farm = past.farms[epoch]
    votes = [farm.accepted(4, 100 * epoch + 9, root * 32, culprit) for root in (b"a", b"b")]
    name = farm.config.members[culprit].name
    return export(farm.config.context, name, TwoStatements(*votes), History.__new__(History))


def test_evidence_of_each_epoch_convicts_its_member(past: Past, inside: Run, tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    for epoch in (0, 2, EPOCHS):
        piece, farm = evidence(past, epoch, 0), past.farms[epoch]
        path.write_text(piece.to_json())
        told = inside("verify-evidence", "--alliance", past.folder, path)
        assert told.code == 0
        assert told.text.startswith(f"proven: {farm.config.members[0].name} accepted one log")
    path.write_text(replace(piece, context=past.farms[0].config.context).to_json())
    assert inside("verify-evidence", "--alliance", past.folder, path).code == 1


@pytest.mark.parametrize("epoch", [0, 5])
def test_evidence_against_a_client_that_left_convicts_it(
    past: Past, inside: Run, tmp_path: Path, epoch: int
) -> None:
    """Whatever the epoch of the member that kept it: a client signs for the alliance."""
    path = tmp_path / "e.json"
    assert "client-2" not in {client.name for client in past.present.clients}
    one, other = (past.farms[0].submission(7, command, client=1) for command in (b"a", b"b"))
    piece = export(
        past.farms[epoch].config.context, "client-2", TwoSubmissions(one, other), History.__new__(History)
    )
    path.write_text(piece.to_json())
    told = inside("verify-evidence", "--alliance", past.folder, path)
    assert told.code == 0
    assert "client-2 signed two different submissions" in told.text
    path.write_text(replace(piece, culprit="client-1").to_json())
    refused = inside("verify-evidence", "--alliance", past.folder, path)
    assert refused.code == 1
    assert "not signed by client-1" in refused.error


def test_alliance_toml_has_the_keys_of_all_epochs(farm: Farm, inside: Run, tmp_path: Path) -> None:
    """A receipt is checked by the key of its epoch; one by old shares behind their end is none."""
    new, _ = next_epoch(farm, start=4, stock=1)
    toml, path = tmp_path / FILE, tmp_path / "r.json"
    toml.write_text(new.config.to_toml())
    for slots, by, epoch, code in ((3, farm, 0, 0), (6, farm, 0, 1), (6, new, 1, 0)):
        receipt = Chain(by).grow(slots).receipt(2, 0, 0, slots)
        path.write_text(receipt.to_json())
        told = inside("verify", "--key", toml, path)
        assert (told.code, receipt.context.epoch) == (code, epoch), told.err
        assert (code == 0) or "another one came at slot 4" in told.error
        other = tmp_path / "other.pem"
        other.write_bytes((farm if by is new else new).config.key.to_pem())
        assert "if it has got new keys" in inside("verify", "--key", other, path).error
