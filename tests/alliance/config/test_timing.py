"""The table [timing] of alliance.toml: what may stand in it, and that members and clients heed it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alliance.client import Client
from alliance.config import file as config_file
from alliance.config.file import AllianceConfig
from alliance.config.timing import DEFAULT_TIMING, Timing
from alliance.errors import ConfigError
from alliance.server.server import Server
from fab_paxos import Replica
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Chain, Farm
from tests.alliance.network import Office, Villain, at, serving
from tests.alliance.outcome_lies import silent


def with_timing(farm: Farm, lines: str) -> str:
    """As an operator would add it, at the end of the file."""
    return f"{farm.config.to_toml()}\n{lines}\n"


def test_without_it_all_is_as_by_default(farm: Farm) -> None:
    assert "timing" not in farm.config.to_toml()
    assert farm.config.timing == DEFAULT_TIMING == Timing(0.5, 0.5)
    assert AllianceConfig.from_toml(with_timing(farm, "[timing]")).timing == DEFAULT_TIMING


def test_it_comes_back_as_it_was_written_and_founds_no_other_alliance(farm: Farm) -> None:
    patient = AllianceConfig.from_toml(with_timing(farm, "[timing]\nview_timeout_seconds = 2"))
    assert patient == replace(farm.config, timing=Timing(view_timeout_seconds=2.0))
    assert AllianceConfig.from_toml(patient.to_toml()) == patient
    assert patient.alliance_id == farm.config.alliance_id
    both = replace(farm.config, timing=Timing(30.0, 0.1, 2.5, 5000, 3600.0))
    assert AllianceConfig.from_toml(both.to_toml()).timing == both.timing


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ("[timing]\nview_timeout = 1", "unknown key 'view_timeout'; did you mean 'view_timeout_seconds'"),
        ("[timing]\nview_timeout_seconds = 0.09", r"must be a number from 0\.1 to 30\.0"),
        ("[timing]\nview_timeout_seconds = 30.1", "must be a number"),
        ("[timing]\nview_timeout_seconds = -1", "must be a number"),
        ("[timing]\nheartbeat_seconds = 0", "'heartbeat_seconds' must be a number"),
        ("[timing]\nheartbeat_seconds = nan", "must be a number"),
        ("[timing]\nheartbeat_seconds = inf", "must be a number"),
        ("[timing]\nheartbeat_seconds = true", "must be a number"),
        ('[timing]\nheartbeat_seconds = "1"', "must be a number"),
        ("[timing]\nheartbeat_seconds = [1]", "must be a number"),
        ("[[timing]]\nheartbeat_seconds = 1", r"write \[timing\]"),
        ("[timing]\ntenure_slots = 99", "'tenure_slots' must be a whole number from 100 on"),
        ("[timing]\ntenure_slots = 1000.0", "'tenure_slots' must be"),
        ("[timing]\ntenure_slots = true", "'tenure_slots' must be"),
        ("[timing]\ntenure_seconds = 9.9", r"'tenure_seconds' must be a number from 10\.0 to"),
        ("[timing]\ntenure_seconds = inf", "'tenure_seconds' must be a number"),
    ],
)
def test_what_is_wrong_with_it_is_said(farm: Farm, lines: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        AllianceConfig.from_toml(with_timing(farm, lines))


def test_the_engine_of_a_member_gets_it(farm: Farm, tmp_path: Path) -> None:
    home = tmp_path / "member-1"
    shutil.copytree(farm.member_home(0), home)
    (home / config_file.FILE).write_text(
        with_timing(
            farm,
            "[timing]\nview_timeout_seconds = 3.5\nheartbeat_seconds = 0.25\n"
            "tenure_slots = 700\ntenure_seconds = 60",
        )
    )
    server = Server.open(home, PASSPHRASE, keep_slots=3)
    assert isinstance(server.term.engine, Replica)
    engine = server.term.engine.rooms.config
    server._journal.close()
    assert (engine.view_timeout_seconds, engine.heartbeat_seconds) == (3.5, 0.25)
    assert (engine.tenure_slots, engine.tenure_seconds, engine.retain_slots) == (700, 60.0, 3)


def test_a_client_leaves_a_silent_server_after_four_view_time_outs(
    farm: Farm, tmp_path: Path, chain: Chain, run: Run, caplog: Any
) -> None:
    office = Office(tmp_path / "journal.sqlite", chain)

    async def scenario() -> None:
        async with serving(farm, 0, Villain(silent)) as mute, serving(farm, 1, office) as port:
            members = (at(farm.config, 0, mute), at(farm.config, 1, port), *farm.config.members[2:])
            config = replace(farm.config, members=members, timing=Timing(view_timeout_seconds=0.1))
            async with Client(config, farm.clients[0], tmp_path) as client:
                await client.propose(b"one")

    with caplog.at_level(logging.DEBUG, "alliance.client.submitter"):
        run(scenario())
    office.journal.close()
    assert "member-1: no outcome within 0.4 s" in caplog.text
