"""One scenario with real servers, as briefly as it goes: ``make bench`` works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from tests.worlds.founding import cheaply


@pytest.mark.campaign
def test_the_latency_of_real_servers_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = "latency,locks,broadcast,batches"
    with cheaply():
        assert main(["run", "--smoke", "--only", only, "-o", "json", "--to", str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert json.loads(capsys.readouterr().out) == kept
    latency, reply, lock, broadcast, load = kept["rows"]
    assert latency["commands"] > 0
    assert 0 < latency["learned_p50"] < latency["receipt_p50"]
    for row in (reply, lock, broadcast, load):
        assert row["failed"] == row["unfinished"] == 0
        assert row["commands_per_second"] > 0
        assert row["server_cpu_us"] > 0
    assert lock["p50_ms"] > 0
    assert reply["p50_ms"] > 0
