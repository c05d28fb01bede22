"""Writes the pages of docs/reference that are tables of what the code says; ``--check`` only compares.

A page says at its top which modules it is made of. Nothing on these pages is written by hand.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from textwrap import fill
from types import ModuleType

import quorum.statement
from alliance.net import limits as net_limits
from consensus import limits as control_limits
from fab_paxos import limits as engine_limits
from quorum import PROFILES, QuorumSystem
from quorum.system import least_member_count
from quorum.tags import Tag
from shoup_rsa import InvalidKey, ThresholdPublicKey, _arith
from shoup_rsa.redistribution import InvalidReceiver, Order, ReceiverKey, Redistribution, dealing_length
from shoup_rsa.sizes import check_modulus
from verifiable_log import limits as log_limits

HERE = Path(__file__).resolve().parent
OUT = HERE / "reference"
FAULTS = range(1, 6)
SIZES = ("decision", "report", "forcing", "one_correct")
KEY_BITS = 2048
SHARED = ((4, 3), (6, 5), (7, 5), (7, 6), (11, 9), (16, 11), (16, 13), (31, 21), (31, 25))
"""(n, k) of the keys whose sizes are shown."""


def limits() -> str:
    """Every constant of these modules, with the reason that stands below it there."""
    return _page(
        [
            _head(
                "Limits",
                "[verifiable_log/limits.py](../../verifiable_log/limits.py), "
                "[consensus/limits.py](../../consensus/limits.py) and "
                "[fab_paxos/limits.py](../../fab_paxos/limits.py)",
            ),
            "They are part of the protocol: a batch over a limit is refused by every correct member, so all "
            "members must run with the same values.",
            _table(("constant", "value", "reason"), _rows(log_limits, control_limits, engine_limits)),
            "## What others make a server hold\n\n"
            + fill(
                "From [alliance/net/limits.py](../../alliance/net/limits.py). Every server holds to its own; "
                "[attacks](../concepts/attacks.md) says what they are for.",
                110,
            ),
            _table(("bound", "value", "reason"), _rows(net_limits)),
        ]
    )


def _rows(*modules: ModuleType) -> list[tuple[str, str, str]]:
    return [
        (f"`{name}`", str(value), reason)
        for module in modules
        for name, value, reason in _constants(module)
        if not isinstance(value, dict)
    ]


def _constants(module: ModuleType) -> Iterator[tuple[str, int, str]]:
    """(name, value, what is said of it in the string below) for each constant, in order."""
    body = ast.parse(inspect.getsource(module)).body
    for node, below in itertools.pairwise(body):
        match node, below:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(reason))):
                yield name, getattr(module, name), _flat(reason)


def sizes() -> str:
    """The quorum sizes for each number of faults: of the smallest alliance, and of one member more."""
    systems = [
        QuorumSystem(least + more, f, profile)
        for profile in PROFILES
        for f in FAULTS
        for least in (least_member_count(f, profile),)
        for more in (0, 1)
    ]
    rows = [
        (s.profile, str(s.member_count), str(s.faulty_max), *(str(getattr(s, size)) for size in SIZES))
        for s in systems
    ]
    return _page(
        [
            _head("Sizes", "[quorum/system.py](../../quorum/system.py)"),
            "How many of `n` members suffice for what, when at most `f` are faulty: for each `f` the "
            "smallest alliance, and one with a member more. What the names mean is in "
            "[the protocol](../concepts/protocol.md#1-model-and-sizes).",
            _table(("profile", "n", "f", *SIZES), rows),
        ]
    )


def key_sizes() -> str:
    """What shares and redistributions of keys take, by the functions that say so."""
    shares, changes = [], []
    for parties, threshold in SHARED:
        dealt = _key(parties, threshold, protocol=3)
        first = _order(_key(parties, threshold, protocol=2))
        converted = _key(parties, threshold, protocol=3, secret_bits=first.form.secret_bits)
        sizes = str(parties), str(threshold)
        of_both = (key.form.share_bits for key in (dealt, converted) if key.form)
        shares.append((*sizes, *map(str, of_both), str(converted.share_bits_max)))
        order = _order(converted)
        receivers = tuple(_receiver(order.receiver_bits, number) for number in range(1, parties + 1))
        length = dealing_length(Redistribution(order, receivers))
        numbers = (order.form.mask_bound.bit_length(), order.receiver_bits, length, threshold * length)
        changes.append((*sizes, *map(str, numbers), str(len(receivers[0].to_bytes()))))
    return _page(
        [
            _head(
                "Sizes of keys",
                "[shoup_rsa/integer_form.py](../../shoup_rsa/integer_form.py), "
                "[order.py](../../shoup_rsa/redistribution/order.py) and "
                "[message.py](../../shoup_rsa/redistribution/message.py)",
            ),
            f"What keys of {KEY_BITS} bits take that are shared among `n` members, `k` of whom sign, with no "
            "index above `n`. What the numbers are is in [threshold RSA](shoup_rsa.md#handing-a-key-on).",
            "## A share of the key",
            f"In bits; in Protocols 1 and 2 it has {KEY_BITS}. `converted` is a key of Protocol 2 that was "
            "handed on once; it keeps these sizes however often it is handed on to the same `n` and `k`. "
            "`at most` is what one corrupt dealer can make of the shares of one epoch.",
            _table(("n", "k", "dealt in Protocol 3", "converted", "at most"), shares),
            "## A redistribution to the same members",
            "Of a converted key. Masks and receivers' moduli in bits, the others in bytes; `k` dealings are "
            "what a log keeps of each.",
            _table(
                ("n", "k", "mask", "receiver's modulus", "dealing", "k dealings", "receiver key"), changes
            ),
        ]
    )


def _key(parties: int, threshold: int, *, protocol: int, secret_bits: int = KEY_BITS) -> ThresholdPublicKey:
    """A public key with the least numbers that have the form of one: sizes depend on no others."""
    modulus = _modulus()
    least = next(number for number in count(2) if _arith.jacobi(number, modulus) == -1)
    integers = {"index_bound": parties, "secret_bits": secret_bits} if protocol == 3 else {}
    sizes = (parties, threshold, parties - threshold, 0)
    return ThresholdPublicKey(modulus, 65537, *sizes, 4, (4,) * parties, least, protocol, **integers)


@cache
def _modulus() -> int:
    for modulus in count((1 << KEY_BITS - 1) | 1, 2):
        with suppress(InvalidKey):
            check_modulus(modulus)
            return modulus
    raise AssertionError("numbers of the form of a modulus are many")


@cache
def _receiver(bits: int, number: int) -> ReceiverKey:
    lowest = _receiver(bits, number - 1).modulus + 2 if number > 1 else (1 << bits - 1) | 1
    for modulus in count(lowest, 2):
        with suppress(InvalidReceiver):
            return ReceiverKey(modulus, 4)
    raise AssertionError("numbers of the form of a receiver's modulus are many")


def _order(key: ThresholdPublicKey) -> Order:
    return Order(key, key.parties, key.threshold, key.corruptions, key.parties, attempt=0, context=b"")


def statements() -> str:
    """Every tag: those with a kind of statement, with its layout; and those that are reserved."""
    kinds = {
        kind.TAG: kind
        for kind in vars(quorum.statement).values()
        if inspect.isclass(kind) and isinstance(getattr(kind, "TAG", None), Tag)
    }
    rows, reserved = [], []
    for tag in Tag:
        number, signed = f"0x{tag:02x}", "jointly" if tag.is_joint else "by one party"
        if tag.reserved:
            reserved.append((number, tag.name, signed, tag.purpose))
            continue
        kind = kinds[tag]
        fields = [
            f"{field.name} u64" if field.type in (int, "int") else f"{field.name}[32]"
            for field in dataclasses.fields(kind)
        ]
        meaning = _flat((inspect.getdoc(kind) or "").split("\n\n")[0])
        rows.append((number, tag.name, signed, ", ".join(fields), str(kind.LAYOUT.size), meaning))
    return _page(
        [
            _head(
                "Statements",
                "[quorum/tags.py](../../quorum/tags.py) and [quorum/statement.py](../../quorum/statement.py)",
            ),
            "Everything that is ever signed, by the members jointly with a threshold RSA signature, or by "
            "one party with its Ed25519 key. The bytes around the fields are specified in "
            "[the protocol](../concepts/protocol.md#3-statements-what-is-signed). They are frozen.",
            _table(("tag", "statement", "signed", "fields", "bytes of fields", "meaning"), rows),
            "These tags are reserved for what later versions sign. This version refuses them, like numbers "
            "that are in neither table.",
            _table(("tag", "statement", "signed", "purpose"), reserved),
        ]
    )


def _head(title: str, sources: str) -> str:
    return f"# {title}\n\n" + fill(f"Written by `python docs/tables.py` from {sources}.", 110)


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return (
        "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        .replace("| --- ", "|---")
        .replace("--- |", "---|")
    )


def _page(parts: list[str]) -> str:
    """The parts with a blank line between them, and lines of prose that fit beside code."""
    whole = [part if part[0] in "#|" else fill(part, 110, break_long_words=False) for part in parts]
    return "\n\n".join(whole) + "\n"


def _flat(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def main() -> int:
    pages = {
        "limits.md": limits(),
        "sizes.md": sizes(),
        "key_sizes.md": key_sizes(),
        "statements.md": statements(),
    }
    stale = [n for n, text in pages.items() if not (OUT / n).exists() or (OUT / n).read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.stderr.write(
                f"not current: {', '.join(stale)}; run 'python docs/tables.py' and commit the result\n"
            )
        return 1 if stale else 0
    for name in stale:
        (OUT / name).write_text(pages[name], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
