"""What an operator reads in a server's log."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from alliance.server.server import Server
from fab_paxos.effects import ViewRecord
from tests.alliance.farm import PASSPHRASE, Chain, Farm


def test_who_leads_from_now_on_is_logged(farm: Farm, tmp_path: Path, chain: Chain, caplog: Any) -> None:
    home = tmp_path / "member-1"
    shutil.copytree(farm.member_home(0), home)
    server = Server.open(home, PASSPHRASE)
    with caplog.at_level(logging.INFO, "alliance"):
        server.term.world.persist([ViewRecord(1, chain.election(0))])
        server.term.world.persist([ViewRecord(8, chain.election(7))])
    server._journal.close()
    assert [record.getMessage() for record in caplog.records] == [
        "view 1: leader is now member-2",
        "view 8: leader is now member-3",
    ]
