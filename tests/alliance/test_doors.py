"""What an import brings along: clients and receipts need no engine, and the door of all needs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded(statement: str) -> set[str]:
    """The modules of ours that a fresh interpreter has after this import."""
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    ours = ("alliance", "fab_paxos", "verifiable_log", "quorum", "shoup_rsa")
    return {name for name in done.stdout.split() if name.partition(".")[0] in ours}


@pytest.mark.parametrize(
    "statement",
    [
        "import alliance.client",
        "import alliance.sync",
        "import alliance.proofs.receipt",
        "import alliance.execution.client",
        "import alliance.signing.client",
        "from alliance import Client, Receipt, connect",
    ],
)
def test_a_client_loads_no_engine(statement: str) -> None:
    modules = loaded(statement)
    assert "verifiable_log" in modules
    assert not [name for name in modules if name.startswith(("fab_paxos", "alliance.storage"))]


def test_the_top_door_loads_errors_alone() -> None:
    assert loaded("import alliance") == {"alliance", "alliance.errors", "alliance.version"}
