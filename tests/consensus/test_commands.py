"""Control commands as bytes: what is none has no effect, and a reason, whoever sends it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.control.changes import ChangeKind
from consensus.control.commands import (
    MAGIC,
    Abort,
    Approve,
    ControlCommand,
    Deal,
    Edit,
    Propose,
    Ready,
    SignedCommand,
    command_message,
)
from consensus.control.edits import LimitClient, RemoveClient, SetAddress
from consensus.control.encoding import MalformedControl
from consensus.control.operations import (
    DropMember,
    DropOperator,
    PutPolicy,
    Reinstate,
    SetSystem,
    Suspend,
)
from consensus.control.rows import ClientLimits, PolicyRow
from consensus.limits import CLIENT_IDS_MAX
from quorum import Context
from tests.consensus.alliance import (
    ALLIANCE,
    Log,
    add_client,
    client_id,
    put_member,
    put_operator,
)
from verifiable_log.limits import COMMAND_BYTES_MAX

LOG = Log()
EVERY_EDIT = (
    SetAddress("m-a", "x:1", (("kv", "x:2"),)),
    add_client("new", "org-a"),
    RemoveClient(client_id("c-a")),
    LimitClient(client_id("c-a"), ClientLimits(1, 1)),
)
EVERY_OPERATION = (
    put_member("m-g", "org-a"),
    DropMember("m-a"),
    Suspend("m-b"),
    Reinstate("m-b"),
    put_operator("org-g", "org-g"),
    DropOperator("org-g"),
    PutPolicy(PolicyRow(1, 2, 30, 4)),
    SetSystem("lean", 1),
)
COMMANDS: tuple[ControlCommand, ...] = (
    Edit("org-a", 1, EVERY_EDIT),
    Propose("org-a", 1, LOG.change(ChangeKind.FULL, *EVERY_OPERATION)),
    Approve("org-a", bytes(32)),
    Abort("org-a", bytes(32)),
    Deal("m-a", bytes(32), 2, b"dealing"),
    Ready("m-a", bytes(32), 2, b"t" * 32, b"key", b"s" * 64, b"shares"),
)
ENCODED = tuple(LOG.sign(command) for command in COMMANDS)


@pytest.mark.parametrize(("command", "encoded"), list(zip(COMMANDS, ENCODED, strict=True)))
def test_a_command_comes_back_from_its_bytes(command: ControlCommand, encoded: bytes) -> None:
    signed = SignedCommand.decode(encoded)
    assert signed.command == command
    assert signed.encode() == encoded


def test_the_encoding_is_frozen() -> None:
    """Signatures that operators keep, and states in checkpoints, are made over these bytes."""
    body = MAGIC + bytes([3]) + b"\x00\x05org-a" + b"\x07" * 32
    assert SignedCommand(Approve("org-a", b"\x07" * 32), b"s" * 64).encode() == body + b"s" * 64
    message = command_message(ALLIANCE, Approve("org-a", b"\x07" * 32))
    assert message == Context(ALLIANCE, 0).frame(0x46, sha256(body).digest())
    digest = sha256(b"".join(command.body() for command in COMMANDS)).hexdigest()
    assert digest == "1a67db2d5c70813bc8be0c0667a5a60dcc673f499186cab04276adfee7e1b3a2"


@pytest.mark.parametrize("encoded", ENCODED)
def test_a_command_that_ends_early_or_late_is_none(encoded: bytes) -> None:
    for length in range(len(MAGIC), len(encoded), 7):
        with pytest.raises(MalformedControl):
            SignedCommand.decode(encoded[:length])
    with pytest.raises(MalformedControl, match="1 bytes too many"):
        SignedCommand.decode(encoded + b"\x00")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ENCODED), st.data())
def test_altered_bytes_have_no_effect_and_a_reason(encoded: bytes, data: st.DataObject) -> None:
    """Where the bytes are still a command, the signature is not one on it."""
    place = data.draw(st.integers(len(MAGIC), len(encoded) - 1))
    altered = encoded[:place] + data.draw(st.binary(min_size=1, max_size=3)) + encoded[place + 1 :]
    log = Log()
    before = log.state
    (told,) = log.slot(altered)
    if altered != encoded:
        assert told.refusal
        assert (log.state.directory, log.state.accounts) == (before.directory, before.accounts)
        assert log.state.opened == ()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_behind_the_magic_are_refused(rest: bytes) -> None:
    (told,) = Log().slot(MAGIC + rest)
    assert told.command is None
    assert told.refusal.startswith("this is no control command: ")


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        (MAGIC + b"\x00", "kind 0"),
        (MAGIC + b"\x07", "more than 6"),
        (MAGIC + b"\x03\x00\x00" + bytes(96), "is no name"),
        (MAGIC + b"\x03\x00\x05or g\x07" + bytes(96), "printable"),
        (MAGIC + b"\x03\x00\x40" + b"a" * 64 + bytes(96), "more than 63"),
        (MAGIC + b"\x05\x00\x01a" + bytes(32) + b"\x03", "more than 2"),
        (MAGIC + b"\x01\x00\x01a" + bytes(8) + b"\xff\xff", "more than 512"),
        (MAGIC + b"\x01\x00\x01a" + bytes(8) + b"\x00\x01\x09", "no edit of number 9"),
        (MAGIC + b"\x02\x00\x01a" + bytes(8) + b"\x04", "no kind 4"),
        (
            MAGIC + b"\x02\x00\x01a" + bytes(8) + b"\x01" + bytes(56) + b"\x00\x01\x0a",
            "no operation of number 10",
        ),
    ],
)
def test_malformed_commands_say_what_is_wrong(altered: bytes, why: str) -> None:
    assert why in Log().slot(altered)[0].refusal


@pytest.mark.parametrize(
    ("address", "applications", "why"),
    [
        ("x", (), "no address"),
        ("x:0", (), "no address"),
        ("x:65536", (), "no address"),
        ('x"y:1', (), "no address"),
        ("x:1", (("k v", "x:2"),), "is no name"),
        ("x:1", (("kv", "x"),), "no address"),
        ("x:1", (("kv", "x:1"),), "at one address"),
        ("x:1", (("a", "x:2"), ("b", "x:2")), "at one address"),
        ("x:1", (("b", "x:2"), ("a", "x:3")), "by name, each once"),
        ("x:1", (("a", "x:2"), ("a", "x:3")), "by name, each once"),
        ("x:1", tuple((f"app-{n:02}", f"x:{n + 2}") for n in range(65)), "at most 64"),
    ],
)
def test_a_place_that_alliance_toml_cannot_say_is_none(
    address: str, applications: tuple[tuple[str, str], ...], why: str
) -> None:
    """What everybody reads again must not stop everybody."""
    with pytest.raises(MalformedControl, match=why):
        SetAddress("m-a", address, applications)


@pytest.mark.parametrize("row", ["", "01", "010001", "01000100000078", "0100010000007800000a"])
def test_a_policy_with_a_field_left_out_is_none(row: str) -> None:
    """An omitted field, and bytes too many, fail closed: no default is filled in."""
    policy = PolicyRow(1, 1, 120, 0).encode().hex()
    assert len(policy) == 18
    propose = Propose("org-a", 1, LOG.change(ChangeKind.POLICY, PutPolicy(PolicyRow(1, 1, 120, 0))))
    encoded = (MAGIC + propose.body()).hex()
    assert encoded.endswith("07" + policy)
    (told,) = Log().slot(bytes.fromhex(encoded.removesuffix(policy) + row) + bytes(64))
    assert told.refusal


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((256,), "255 operators"),
        ((-1,), "255 operators"),
        ((1, CLIENT_IDS_MAX + 1), "32768 clients"),
        ((1, 1, 9), "10 to 604800 seconds"),
        ((1, 1, 604801), "10 to 604800 seconds"),
        ((1, 1, 120, 65536), "65,535 days"),
    ],
)
def test_a_policy_out_of_bounds_is_none(values: tuple[int, ...], why: str) -> None:
    with pytest.raises(MalformedControl, match=why):
        PolicyRow(*values)


def test_of_a_submission_the_first_control_command_counts() -> None:
    """Each costs a signature to check, and a submission pays for one."""
    log = Log()
    first, second = log.sign(Abort("org-a", bytes(32))), log.sign(Edit("org-a", 1, EVERY_EDIT[:1]))
    told = log.submit([[b"ordinary", second, b"alliance-control", first, second]])
    assert [(one.index, one.accepted) for one in told] == [(1, True), (3, False), (4, False)]
    assert "one control command" in told[1].refusal
    assert log.state.accounts["org-a"].counter == 1


def test_commands_of_others_and_repetitions_are_not_looked_at() -> None:
    log = Log()
    command = log.sign(Edit("org-a", 1, EVERY_EDIT[:1]))
    assert log.slot(b"x" + command, MAGIC[:-1], b"") == ()
    assert log.state.directory == Log().state.directory


def test_the_largest_dealing_fits_into_a_command() -> None:
    log = Log()
    log.agree(log.change(ChangeKind.FULL))
    change_id = log.state.dealt_for.approved.change_id
    overhead = len(log.sign(Deal("m-a", change_id, 0, b"")))
    assert log.do(Deal("m-a", change_id, 0, bytes(COMMAND_BYTES_MAX - overhead))) == [""]
    items = log.state.items()
    assert len(items) > 4
    assert type(log.state).read(items) == log.state
