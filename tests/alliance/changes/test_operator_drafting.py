"""Whose keys decide: operators that come, rotate and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.changes import approval, drafting, offering, operator_drafting, simulation
from alliance.changes.change_file import ChangeFile
from alliance.changes.offered_keys import (
    OfferedOperator,
    read_operator,
)
from alliance.errors import ConfigError
from alliance.keys import sealing
from alliance.keys.folder import OPERATOR
from tests.alliance.changes.operators import NORTH, SOUTH
from tests.alliance.changes.paper import TIME_MS, Paper
from tests.alliance.farm import PASSPHRASE
from tests.alliance.founding.applicants import applicants

UNTIL_MS = TIME_MS + 1_000_000


def offered(paper: Paper, organisation: str, key: Ed25519PrivateKey | None = None) -> OfferedOperator:
    """A new key of the organisation, which is kept on paper as its operator's from now on."""
    key = key or Ed25519PrivateKey.generate()
    paper.operators[organisation] = key
    return OfferedOperator.made_with(key, paper.control.alliance_id, organisation)


def change(paper: Paper, **wanted: object) -> ChangeFile:
    return operator_drafting.operators(paper.control, NORTH, UNTIL_MS, **wanted)  # type: ignore[arg-type]


def organisations(paper: Paper) -> list[str]:
    return [row.organisation for row in paper.control.directory.operators]


def test_an_organisation_comes_rotates_its_key_and_goes(paper: Paper) -> None:
    paper.agree(change(paper, added=[("f", offered(paper, "east"))]))
    assert "east" in organisations(paper)
    old = paper.operators["east"]
    rotates = change(paper, rotated=[("f", offered(paper, "east"))])
    paper.agree(rotates)
    assert paper.control.directory.operator("east").key != old.public_key().public_bytes_raw()
    new = paper.operators["east"]
    back = change(paper, rotated=[("f", offered(paper, "east", old))])
    assert "no key comes back" in simulation.forecast(paper.control, back, []).refusal
    paper.operators["east"] = new
    paper.agree(change(paper, removed=["east", "east"]))
    assert "east" not in organisations(paper)


def test_what_takes_other_sizes_says_so_and_does_both_at_once(paper: Paper) -> None:
    """Three operators stand no faulty one: whoever removes the others says so in the same change."""
    more = [("f", offered(paper, name)) for name in ("east", "west", "mid", "far")]
    paper.agree(change(paper, added=more))
    with pytest.raises(ConfigError, match=r"10 operators are too few for 4 faulty ones.*--faulty 3 at most"):
        change(paper, faulty=4)
    paper.agree(change(paper, faulty=3))
    with pytest.raises(ConfigError, match=r"6 operators are too few for 3 .* with 6, say --faulty 1 at most"):
        change(paper, removed=["east", "west", "mid", "far"])
    paper.agree(change(paper, removed=["east", "west", "mid", "far"], faulty=1))
    assert (len(organisations(paper)), paper.control.directory.policy.faulty) == (6, 1)


def test_a_policy_change_warns_of_keys_that_get_lost(paper: Paper) -> None:
    told = simulation.forecast(paper.control, change(paper, rotated=[("f", offered(paper, SOUTH))]), [])
    assert told.consequences is not None
    assert told.consequences.epoch is None
    freeze, never = told.consequences.warnings
    assert freeze.startswith(
        "of 6 operators then 4 approve a change: when more than 2 of their keys are lost"
    )
    assert "never admitted again" in never


Make = Callable[[Paper], ChangeFile]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: change(p, removed=["nord"]), "no organisation 'nord'"),
        (lambda p: change(p, removed=[SOUTH]), "'member-2' runs member-2: remove that first"),
        (lambda p: change(p, added=[("f", offered(p, SOUTH))]), "f: .*'alliance operator rotate' gives it"),
        (
            lambda p: change(p, rotated=[("f", offered(p, "member-12"))]),
            "no organisation 'member-12'; did you mean .*'alliance operator add' brings one in",
        ),
        (
            lambda p: change(p, added=[("f", replace(offered(p, "east"), alliance_id=bytes(32)))]),
            "f is for another alliance, 0000",
        ),
        (
            lambda p: change(p, added=[("f", offered(p, "east", p.operators[SOUTH]))]),
            "the key is an operator's in this alliance already",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(paper: Paper, make: Make, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        make(paper)


def test_one_operator_does_not_come_under_two_names(paper: Paper) -> None:
    """Whoever held two votes would decide alone: the file refuses it, and so do the members."""
    key = Ed25519PrivateKey.generate()
    both = [("f", offered(paper, name, key)) for name in ("east", "west")]
    with pytest.raises(ConfigError, match="an operator's in this alliance already"):
        change(paper, added=both)
    operations = [one for pair in both for one in change(paper, added=[pair]).operations]
    forged = drafting.proposal(paper.control, NORTH, operations, UNTIL_MS)
    assert "has its own" in simulation.forecast(paper.control, forged, paper.signed(forged)).refusal


def test_a_file_is_read_as_it_was_made_and_no_altered_byte_is_taken(tmp_path: Path) -> None:
    path = offering.offer_operator(tmp_path / "east", "east", b"a" * 32, PASSPHRASE)
    key = sealing.unseal_signing(sealing.read(path.parent / OPERATOR), path, PASSPHRASE)
    assert read_operator(path) == OfferedOperator.made_with(key, b"a" * 32, "east")
    text = path.read_text()
    for at in range(len(text)):
        with pytest.raises(ConfigError):
            OfferedOperator.from_toml(text[:at] + ("7" if text[at] != "7" else "8") + text[at + 1 :], "f")
    with pytest.raises(ConfigError, match="is no name"):
        offering.offer_operator(tmp_path / "x", "East", b"a" * 32, PASSPHRASE)


def test_a_members_request_brings_its_operators_key_too(tmp_path: Path) -> None:
    anna = applicants()[0]
    for request, brings in ((anna.asks(b"a" * 32), True), (anna.request, False)):
        path = tmp_path / "anna.request"
        path.write_text(request.to_toml())
        if brings:
            assert read_operator(path) == OfferedOperator.made_with(anna.operator, b"a" * 32, "anna-ag")
        else:
            with pytest.raises(ConfigError, match="brings no operator's key to an alliance that exists"):
                read_operator(path)


def test_an_operators_approval_goes_with_its_key(paper: Paper) -> None:
    """What an operator has approved of before it was removed or rotated is proposed anew."""
    policy = drafting.set_policy(paper.control, SOUTH, {"clients_max": 3}, UNTIL_MS)
    paper.order(*paper.signed(policy), *paper.signed(policy, "member-3", "member-4"))
    old = paper.operators[SOUTH]
    paper.agree(change(paper, rotated=[("f", offered(paper, SOUTH))]))
    assert paper.control.opened == ()
    last = approval.sign(policy, paper.operators["member-5"], "member-5").command_on(policy, "f")
    assert "no open change" in paper.order(last)[0]
    stale = approval.sign(policy, old, SOUTH).command_on(policy, "f")
    assert "the signature is not one of 'member-2'" in paper.order(stale)[0]
    assert paper.control.directory.policy.clients_max == 1024
