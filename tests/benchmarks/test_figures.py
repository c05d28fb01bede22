"""What the kernel counts, and what is printed of it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from benchmarks import applications, checkpoints, plot, simulator, suite, verdict
from benchmarks.__main__ import main
from benchmarks.histogram import Histogram
from benchmarks.measure import Measured
from benchmarks.peers import etcd, race
from benchmarks.report import Report, Row
from benchmarks.sockets import traffic
from benchmarks.usage import Usage, used
from verifiable_log.client_windows import CLIENT_ITEM_BYTES_MAX


def _load(section: str, label: str, commands: int, cpu: float = 1.0) -> Row:
    usage = Usage(cpu, 4096 * commands, 100 * 2**20, {})
    histogram = Histogram.of([0.010])
    return Row.of_load(section, label, Measured(2.0, commands, 0, 0, "", histogram, usage, 0.5))


def test_costs_are_per_command() -> None:
    row = _load(suite.BATCHES, "1000 x 16", 400_000, cpu=4.0)
    assert row.figures["commands_per_second"] == 200_000
    assert row.figures["server_cpu_us"] == pytest.approx(10.0)
    assert row.figures["client_cpu_us"] == pytest.approx(1.25)
    assert row.figures["disk_bytes"] == 4096
    assert row.figures["p50_ms"] == pytest.approx(10, rel=0.02)


def test_targets_say_met_missed_and_not_measured() -> None:
    report = Report()
    report.add(_load(suite.BATCHES, "1000 x 16", 400_000, cpu=16.0))
    report.add(_load(suite.SMALL, "256 connections", 10_000))
    report.add(_load(verdict.PEERS, "etcd, 256 connections", 40_000))
    lines = {line.strip()[:20]: line for line in verdict.text(report).splitlines()}
    assert " yes " in lines["batching clients, 10"]
    assert " no, 4.0 x " in lines["256 small clients, b"], "the better peer of the run is the bar"
    assert "etcd 20,000" in lines["256 small clients, b"]
    assert " no, 2.0 x " in lines["server CPU per comma"]
    assert " - " in lines["gap when the leader "]


def test_locks_and_broadcast_are_compared_with_their_like() -> None:
    report = Report()
    report.add(_load(suite.BATCHES, "1 x 1", 4_000))
    report.add(_load(applications.LOCKS, "locks of 1", 100))
    report.add(_load(applications.LOCKS, "locks of 64", 200))
    report.add(_load(applications.BROADCAST, "broadcast to 8", 3_000))
    for label, commands in (
        ("one client", 1_000),
        ("locks of 1", 400),
        ("locks of 64", 50),
        ("broadcast to 8", 6_000),
    ):
        report.add(_load(verdict.PEERS, f"etcd, {label}", commands))
    race.ratios(report)
    ratios = {row.label: (row.figures["ours"], row.figures["throughput"]) for row in report.find(race.RATIOS)}
    assert ratios == {
        "etcd, one client": ("1 x 1", 4.0),
        "etcd, locks of 1": ("locks of 1", 0.25),
        "etcd, locks of 64": ("locks of 64", 4.0),
        "etcd, broadcast to 8": ("broadcast to 8", 0.5),
    }
    lines = {line.strip()[:27]: line for line in verdict.text(report).splitlines()}
    assert " no, 1.5 x " in lines["certified locks, one client"]
    assert "etcd 200" in lines["certified locks, one client"]


def test_etcds_fields_are_written_and_read() -> None:
    message = etcd.number(2, 300) + etcd.field(11, b"x" * 200) + etcd.number(3, 0) + etcd.field(11, b"")
    assert etcd.read_fields(message) == {2: [300], 11: [b"x" * 200, b""], 3: [0]}


def test_lost_commands_are_told_beside_the_table() -> None:
    usage = Usage(0.0, 0, 0, {})
    measured = Measured(1.0, 10, 3, 2, "Unreachable: no server", Histogram(), usage, 0.0)
    report = Report(rows=[Row.of_load(suite.SMALL, "64 connections", measured)])
    assert "! 64 connections: 3 commands failed, 2 had no answer in time. Unreachable" in report.text()
    assert json.loads(report.to_json())["rows"][0]["failed"] == 3


def test_a_picture_is_drawn_where_matplotlib_is(tmp_path: Path) -> None:
    report = Report(rows=[_load(suite.BATCHES, "1 x 1", 100), _load(suite.RATES_SINGLE, "50/s", 100)])
    path = tmp_path / "bench.png"
    if plot.write(report, path):
        assert path.read_bytes().startswith(b"\x89PNG")
    else:
        assert not path.exists()


def test_the_kernel_counts_bytes_on_the_wire() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        peer, _ = server.accept()
        with peer:
            before = used([os.getpid()])
            client.sendall(bytes(50_000))
            received = 0
            while received < 50_000:
                received += len(peer.recv(50_000))
            usage = used([os.getpid()]).since(before)
            if not traffic([os.getpid()]):
                pytest.skip("this kernel does not tell")
            assert usage.peer_bytes == 50_000, "both ends are ours"
            assert usage.client_bytes == 0
    assert usage.resident_max > 2**20


def test_the_simulator_is_asked_for_its_speed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(simulator, "_ROOT", tmp_path)
    makefile = tmp_path / "Makefile"
    makefile.write_text("sim:\n\t@echo 'sim: ok seeds=$(SEEDS) events_per_second=4321 trace=ab'\n")
    row = simulator.speed(7)
    assert row.figures["events_per_second"] == 4321
    assert row.figures["schedules"] == 7
    makefile.write_text("sim:\n\t@echo 'FAILED seed 3'; false\n")
    with pytest.raises(simulator.BenchmarkFailed, match="FAILED seed 3"):
        simulator.speed(7)


def test_unknown_scenarios_are_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--only", "latency,hats"])
    assert ended.value.code == 2
    assert "no scenario 'hats'; there are latency, locks" in capsys.readouterr().err


def test_a_checkpoint_of_busy_clients_is_measured_within_the_turns_and_beside_them() -> None:
    at_once, beside = (
        checkpoints.row(20, at_once=once, before=2, after=150).figures for once in (True, False)
    )
    assert at_once["saved_after_turns"] == 0
    assert beside["saved_after_turns"] > 0
    for figures in (at_once, beside):
        assert figures["certified_bytes"] == 20 * CLIENT_ITEM_BYTES_MAX
        assert figures["file_bytes"] > figures["certified_bytes"]
        assert 0 < figures["p50"] <= figures["p99"] <= figures["longest"]
