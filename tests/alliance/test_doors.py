"""What an import brings along: clients and receipts need no engine, and the door of all needs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import alliance
from alliance import errors
from alliance.execution import errors as execution_errors
from alliance.signing import errors as signing_errors
from verifiable_log import InvalidSubmission


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


def test_the_errors_that_clients_meet_are_at_the_top_door() -> None:
    """Those of servers, their keepers and commands are not; a new one has to find its place."""
    of_servers = {
        errors.PortTaken,
        errors.JournalError,
        errors.StateError,
        errors.StateDiverged,
        errors.NoLongerMember,
        errors.IdentityConflict,
        errors.SignerError,
        errors.InvalidCeremony,
        errors.InvalidEvidence,
        errors.NoShare,
        errors.WrongShareEpoch,
        errors.ServerLied,  # clients go on to the next server by themselves
        errors.NotReported,  # of commands
        errors.ChangeRefused,
        errors.NotInEffect,
    }
    modules = (errors, execution_errors, signing_errors)
    known = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, errors.AllianceError)
    }
    for error in known:
        assert (error.__name__ in alliance.__all__) != (error in of_servers), error
    for name in alliance.__all__:
        assert getattr(alliance, name) is not None
    assert alliance.InvalidSubmission is InvalidSubmission


@pytest.mark.parametrize(
    ("error", "carried"),
    [
        (errors.OutcomeUnknown, {"submission": "Submission"}),
        (execution_errors.ReplyMissing, {"receipt": "Receipt"}),
        (execution_errors.CommandRefused, {"reply": "Reply"}),
        (signing_errors.SharesMissing, {"receipt": "Receipt"}),
        (signing_errors.SigningRefused, {"refusals": "tuple[tuple[str, str], ...]", "receipt": "Receipt"}),
    ],
)
def test_what_errors_carry_has_a_type(error: type[Exception], carried: dict[str, str]) -> None:
    """For those who check types: an editor, too."""
    annotations = dict(error.__init__.__annotations__)
    assert annotations.items() >= carried.items()


def test_the_top_door_loads_errors_alone() -> None:
    assert loaded("import alliance") == {"alliance", "alliance.errors", "alliance.version"}
