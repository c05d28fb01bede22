"""`make bench-crypto`: what threshold RSA costs, beside the goals, the peers and one exponentiation.

Everything is measured in ONE run, as CPU time of this thread: the least of several rounds, in which all rows
take turns, so that a busy machine disturbs all of them alike. A goal is an absolute figure of one machine;
the ratio to the backend's own exponentiation is what carries over to another. Key generation is a mean, in
CPU time. The scaling is wall-clock time: two threads against one.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import math
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import shoup_rsa
from shoup_rsa import (
    CompositeKeyShare,
    CompositePublicKey,
    Dealing,
    SignatureShare,
    _arith,
    dealer,
    generate_threshold_key,
)
from shoup_rsa import redistribution as handing_on

MESSAGE = b"what a quorum signs"
PEERS = (
    ("a Go library, without proofs", "2.3-2.4 (blinded 4.7)", "-", "-", "0.16 / 0.31 / 1.94"),
    ("another Go library", "-", "7.8", "6.3", "0.25 / 0.38 / 1.89"),
    ("a C library on GMP", "-", "5.6", "4.4", "0.056 / 0.126 / 0.58"),
    ("a Java library, unsound proofs", "-", "9.2", "7.5-12.7", "-"),
)
"""ms at 2048 bits: share, share with proof, check of one, combination at (4,3) / (6,5) / (16,11)."""

# What one exponentiation of 2048 bits took on the machine on which the goals were set, in ms: in constant
# time, and for a public exponent.
REFERENCE_SECRET = {"libcrypto": 1.45, "gmpy2": 2.55}
REFERENCE_PUBLIC = {"libcrypto": 1.45, "gmpy2": 2.1}
SECRET, PUBLIC = "one secret exponentiation", "one public exponentiation"
INTEGER = "one secret exponentiation, integer form"
TODAY, DESK = "share, blinded, n = 6", "share, blinded, n = 6, integer form"
DESK_RATE = 400
"""Shares a second and core of a signing desk, on the machine on which the goals were set."""

COMPOSITE_RATIO = 0.35
"""What a share of two factors of 2048 bits may take of the time of a share of one factor of 4096 bits."""

SEED_4096 = 37
"""A seed that comes across two safe primes of 2048 bits within seconds."""


@dataclass(frozen=True)
class Row:
    """One line of the table. Times in `unit`; `goal` and `stretch` are None where the design has none."""

    name: str
    measured: float
    unit: str
    goal: float | None
    stretch: float | None
    ratio: float | None = None
    goal_ratio: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is met: by the ratio where there is one, since machines differ."""
        if self.goal is None:
            return None
        if self.ratio is not None and self.goal_ratio is not None:
            return self.ratio <= self.goal_ratio
        return self.measured >= self.goal if self.unit in ("x", "/s") else self.measured <= self.goal


@dataclass(frozen=True)
class Task:
    """What is repeated, and the goals for it in ms at 2048 bits."""

    name: str
    work: Callable[[], object]
    goal: dict[str, float]
    stretch: float | None = None
    repeat: int = 1
    public: bool = False
    """Whether it consists of public exponentiations, and is compared with one of these."""
    beside: str = ""
    """Another task that it is compared with instead."""


def least_times(tasks: list[Task], rounds: int) -> dict[str, float]:
    """Milliseconds of CPU for each task, the least of all rounds."""
    least = {task.name: float("inf") for task in tasks}
    for task in tasks:
        task.work()
    gc.disable()
    for _ in range(rounds):
        for task in tasks:
            start = time.thread_time()
            for _ in range(task.repeat):
                task.work()
            least[task.name] = min(least[task.name], (time.thread_time() - start) / task.repeat * 1000)
    gc.enable()
    return least


def integer_tasks(dealing: Dealing, today: Dealing) -> list[Task]:
    """What the integer form of a key costs beside today's, whose exponents are a tenth shorter.

    No message is known before it is signed: masks are all that is prepared, and random numbers for proofs.
    """
    key, share, before = dealing.public_key, dealing.key_shares[0], today.key_shares[0]
    base, numbers = pow(3, 5000, key.modulus), itertools.count()
    return [
        Task(
            INTEGER,
            lambda: _arith.signed_secret_power(base, share._secret, key.modulus),
            {backend: 1.15 * reference for backend, reference in REFERENCE_SECRET.items()},
        ),
        Task(TODAY, lambda: before.sign_share(b"%d" % next(numbers)), {}),
        Task(
            DESK,
            lambda: share.sign_share(b"%d" % next(numbers)),
            {backend: 1.15 * reference for backend, reference in REFERENCE_SECRET.items()},
            beside=TODAY,
        ),
        Task(
            "the same with proof, v^r precomputed",
            lambda: share.sign_share(b"%d" % next(numbers), proof="compact"),
            {},
        ),
    ]


def tasks_for(small: Dealing, large: Dealing) -> list[Task]:
    """The rows of the design's table, on (4, 3) and (16, 11)."""
    key, share = small.public_key, small.key_shares[0]
    base = pow(3, 5000, key.modulus)
    compact = share.sign_share(MESSAGE, proof="compact")
    shares4 = [member.sign_share(MESSAGE) for member in small.key_shares[:3]]
    shares16 = [member.sign_share(MESSAGE) for member in large.key_shares[:11]]
    proven16 = [member.sign_share(MESSAGE, proof="batchable") for member in large.key_shares[:11]]

    def with_prepared_proof() -> SignatureShare:
        return share.sign_share(MESSAGE, proof="compact")

    def optimistic() -> bytes:
        return key.combine(MESSAGE, [share.sign_share(MESSAGE), *shares4[1:]])

    signature = key.combine(MESSAGE, shares4)
    return [
        Task(SECRET, lambda: _arith.secret_power(base, share._secret, key.modulus), {}),
        Task(PUBLIC, lambda: _arith.power(base, share._secret, key.modulus), {}, public=True),
        Task("share, blinded", lambda: share.sign_share(MESSAGE), {"libcrypto": 1.5, "gmpy2": 2.805}, 0.35),
        Task("share with proof, v^r precomputed", with_prepared_proof, {"libcrypto": 3.3}, 0.8),
        Task(
            "check of one proof",
            lambda: key.verify_share(MESSAGE, compact),
            {"libcrypto": 2.3, "gmpy2": 3.1},
            0.8,
            public=True,
        ),
        Task(
            "check of 11 proofs in a batch",
            lambda: large.public_key.verify_shares(MESSAGE, proven16),
            {"libcrypto": 6.9, "gmpy2": 6.9},
            2.0,
            public=True,
        ),
        Task(
            "combine and verify, n = 4",
            lambda: key.combine(MESSAGE, shares4),
            {"libcrypto": 0.08, "gmpy2": 0.08},
            repeat=10,
            public=True,
        ),
        Task(
            "combine and verify, n = 16",
            lambda: large.public_key.combine(MESSAGE, shares16),
            {"libcrypto": 0.38, "gmpy2": 0.38},
            repeat=3,
            public=True,
        ),
        Task("certificate, n = 4: own share, combination", optimistic, {"libcrypto": 1.6}, 0.5),
        Task("verify a signature", lambda: key.verify(MESSAGE, signature), {}, repeat=20, public=True),
    ]


def two_threads(dealing: Dealing, count: int = 10) -> float:
    """How many times as much two threads sign as one, in the same time: the least time of many short ones."""
    share = dealing.key_shares[1]

    def sign(_: int) -> None:
        share.sign_share(MESSAGE)

    least = {1: float("inf"), 2: float("inf")}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(60):
            for threads in least:
                start = time.perf_counter()
                if threads == 1:
                    list(map(sign, range(count)))
                else:
                    list(pool.map(sign, range(count)))
                least[threads] = min(least[threads], time.perf_counter() - start)
    return least[1] / least[2]


def mean_of_keys(key_size: int, count: int, seed: int) -> tuple[float, float]:
    """(seconds of CPU to deal a key to four members, the same without luck), the means of `count` keys.

    How many candidates are tested until two safe primes are found is luck, and varies by a factor of several.
    Without luck: the seconds for each candidate times the number of candidates that there are for two primes.
    """
    tried = 0
    start = time.thread_time()
    for number in range(count):
        dice = random.Random(seed + number)  # noqa: S311
        stages: dict[str, int] = {}
        generate_threshold_key(4, 3, 1, key_size, random_below=dice.randrange, progress=stages.__setitem__)
        tried += stages["first prime"] + stages["second prime"]
    seconds = time.thread_time() - start
    return seconds / count, seconds / tried * 2 * _candidates(key_size // 2)


def _candidates(bits: int) -> float:
    """How many candidates survive the sieve for one safe prime of that many bits, on average."""
    windows = 4
    dice = random.Random(bits)  # noqa: S311
    starts = [6 * ((1 << (bits - 4)) + dice.getrandbits(bits - 6)) + 5 for _ in range(windows)]
    survivors = sum(len(dealer._sieve(start, bits)) for start in starts) / windows
    # The conjecture of Bateman and Horn: p' and 2 p' + 1 are both prime for one in (ln p')^2 / 1.32 numbers.
    return survivors * (bits * math.log(2)) ** 2 / (6 * 1.3203) / dealer._window_length(bits)


def measure(backend: str, rounds: int) -> list[Row]:
    """All rows on one backend. The keys are predictable: they are for measuring only."""
    shoup_rsa.use_backend(backend)
    deal = random.Random(4).randrange  # noqa: S311
    small = generate_threshold_key(4, 3, 1, 2048, random_below=deal)
    large = generate_threshold_key(16, 11, 5, 2048, random_below=deal)
    integers = generate_threshold_key(6, 5, 1, 2048, protocol=3, random_below=deal)
    today = generate_threshold_key(6, 5, 1, 2048, random_below=deal)
    for dealing in (small, integers):
        dealing.key_shares[0].precompute(rounds + 1)
    tasks = tasks_for(small, large) + integer_tasks(integers, today)
    least = least_times(tasks, rounds)
    rows = []
    for task in tasks:
        goal = task.goal.get(backend)
        if task.name == "share, blinded":
            goal_ratio: float | None = 1.1
        else:
            reference = (REFERENCE_PUBLIC if task.public else REFERENCE_SECRET)[backend]
            goal_ratio = goal / reference if goal is not None else None
        ratio = least[task.name] / least[task.beside or (PUBLIC if task.public else SECRET)]
        rows.append(Row(task.name, least[task.name], "ms", goal, task.stretch, ratio, goal_ratio))
    most = 1000 / DESK_RATE / REFERENCE_SECRET[backend]
    rate, ratio = 1000 / least[DESK], least[DESK] / least[SECRET]
    rows.append(Row("a signing desk's shares", rate, "/s", DESK_RATE, None, ratio, most))
    scaling_goal = 1.9 if backend == "libcrypto" else None
    rows.append(Row("two threads against one", two_threads(small), "x", scaling_goal, None))
    return rows


def key_rows(keys: int) -> list[Row]:
    """Key generation by the present backend: 2048, 3072 and 4096 bits."""
    goals = {2048: (1.0, 0.3), 3072: (6.0, 1.5), 4096: (18.0, 5.0)}
    counts = {2048: keys, 3072: max(keys // 4, 1), 4096: max(keys // 12, 1)}
    rows = []
    for size, goal in goals.items():
        mean, expected = mean_of_keys(size, counts[size], size)
        rows.append(Row(f"key of {size} bits, mean of {counts[size]}", mean, "s", None, None))
        rows.append(Row("the same without luck", expected, "s", *goal))
    return rows


def redistribution_rows(
    backend: str, parties: int, threshold: int, corruptions: int, goals: tuple[float | None, ...]
) -> list[Row]:
    """What handing a key of 2048 bits on to the same members costs each of them."""
    shoup_rsa.use_backend(backend)
    deal_from = random.Random(4).randrange  # noqa: S311
    dealing = generate_threshold_key(
        parties, threshold, corruptions, 2048, protocol=3, random_below=deal_from
    )
    order = handing_on.Order(dealing.public_key, parties, threshold, corruptions, parties, 0, b"")
    secrets = [handing_on.generate_receiver(order.receiver_bits) for _ in range(parties)]
    change = handing_on.Redistribution(order, tuple(secret.key for secret in secrets))
    shares = dealing.key_shares[:threshold]
    posted = [(share.index, handing_on.deal(change, share).to_bytes(change)) for share in shares]
    outcome = handing_on.conclude(change, handing_on.judge(change, posted).valid)
    if outcome is None:
        raise RuntimeError("honest dealings must have an outcome")
    base, exponent = pow(3, 5000, order.key.modulus), (1 << 2048) - 1
    tasks = [
        Task(SECRET, lambda: _arith.secret_power(base, exponent, order.key.modulus), {}, repeat=5),
        Task("a receiver's key", lambda: handing_on.generate_receiver(order.receiver_bits), {}),
        Task("a dealing", lambda: handing_on.deal(change, shares[0]), {}),
        Task(f"check of {threshold} dealings", lambda: handing_on.judge(change, posted), {}),
        Task("the new public key", lambda: handing_on.conclude(change, outcome.dealings), {}),
        Task("own new share", lambda: handing_on.receive(outcome, 1, secrets[0]), {}),
    ]
    least = least_times(tasks, 3)
    rows = []
    for task, goal in zip(tasks[1:], (None, *goals[:2], None, goals[2]), strict=True):
        goal_ratio = goal * 1000 / REFERENCE_SECRET[backend] if goal is not None else None
        ratio = least[task.name] / least[SECRET]
        rows.append(Row(task.name, least[task.name] / 1000, "s", goal, None, ratio, goal_ratio))
    return rows


def composite_rows(backend: str) -> list[Row]:
    """A key of two dealers, 2048 bits each, beside one dealer's of 4096 bits, at (6, 5)."""
    shoup_rsa.use_backend(backend)
    deal_from = random.Random(4).randrange  # noqa: S311
    dealings = [generate_threshold_key(6, 5, 1, 2048, factors=2, random_below=deal_from) for _ in range(2)]
    key = CompositePublicKey(tuple(dealing.public_key for dealing in dealings))
    rows = zip(*(dealing.key_shares for dealing in dealings), strict=True)
    shares = [CompositeKeyShare(key, row) for row in rows]
    deal_from = random.Random(SEED_4096).randrange  # noqa: S311
    alone = generate_threshold_key(6, 5, 1, 4096, random_below=deal_from)
    made = [share.sign_share(MESSAGE) for share in shares[:5]]
    made_alone = [share.sign_share(MESSAGE) for share in alone.key_shares[:5]]
    signature = key.combine(MESSAGE, made)
    one, join_one = "share, one factor of 4096 bits", "combine and verify, one factor"
    tasks = [
        Task(one, lambda: alone.key_shares[0].sign_share(MESSAGE), {}),
        Task("share, two factors of 2048 bits", lambda: shares[0].sign_share(MESSAGE), {}, beside=one),
        Task(join_one, lambda: alone.public_key.combine(MESSAGE, made_alone), {}, repeat=3),
        Task("combine and verify, two", lambda: key.combine(MESSAGE, made), {}, repeat=3, beside=join_one),
        Task("verify a signature, either", lambda: key.verify(MESSAGE, signature), {}, repeat=20),
    ]
    least = least_times(tasks, 10)
    found = [Row(task.name, least[task.name], "ms", None, None) for task in tasks]
    for place, goal_ratio in ((1, COMPOSITE_RATIO), (3, None)):
        before = least[tasks[place].beside or one]
        goal = before * goal_ratio if goal_ratio else None
        ratio = least[tasks[place].name] / before
        found[place] = replace(found[place], goal=goal, ratio=ratio, goal_ratio=goal_ratio)
    return found


def show(title: str, rows: list[Row]) -> None:
    """One table."""
    heads = ("measured", "must", "stretch", "x one power", "must", "")
    print(f"\n{title}\n{'':42}" + "".join(f"{head:>12}" for head in heads))
    for row in rows:
        verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
        cells = [f"{row.measured:.3f} {row.unit}"]
        cells += [f"{number:g}" if number is not None else "-" for number in (row.goal, row.stretch)]
        cells += [f"{number:.3f}" if number is not None else "-" for number in (row.ratio, row.goal_ratio)]
        print(f"{row.name:42}" + "".join(f"{cell:>12}" for cell in [*cells, verdict]) + _distance(row))


def _distance(row: Row) -> str:
    """How far it still is to the stretch goal."""
    if row.stretch is None:
        return ""
    return f"  {row.measured / row.stretch:.1f} x stretch"


def main() -> int:
    """Exit code 0 when every goal is reached, 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("all", "gmpy2", "libcrypto"), default="all")
    parser.add_argument("--rounds", type=int, default=25, help="rounds of measuring (default 25)")
    parser.add_argument(
        "--keys", type=int, default=24, help="keys of 2048 bits to deal; 0: none (default 24)"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    wanted = ("gmpy2", "libcrypto") if arguments.backend == "all" else (arguments.backend,)
    tables: dict[str, list[Row]] = {}
    for backend in wanted:
        try:
            name = shoup_rsa.use_backend(backend)
        except RuntimeError as error:
            print(f"{backend}: {error}", file=sys.stderr)
            continue
        tables[name] = measure(backend, arguments.rounds)
        tables[f"redistribution (6, 5), {name}"] = redistribution_rows(backend, 6, 5, 1, (0.2, 0.6, 0.06))
        tables[f"redistribution (16, 11), {name}"] = redistribution_rows(
            backend, 16, 11, 5, (None, 4.0, None)
        )
        tables[f"composite keys, {name}"] = composite_rows(backend)
    if arguments.keys > 0:
        tables[f"key generation, {shoup_rsa.backend()}"] = key_rows(arguments.keys)
    if arguments.output == "json":
        rows = {
            name: [asdict(row) | {"reached": row.reached} for row in table] for name, table in tables.items()
        }
        print(json.dumps({"key_size": 2048, "tables": rows, "peers": PEERS}, indent=1))
    else:
        for name, table in tables.items():
            show(name if "key" in name else f"{name}, 2048 bits", table)
        print("\npeers, as measured where the goals were set; ms at 2048 bits")
        for peer in (("", "share", "with proof", "check one", "combine 4,3 / 6,5 / 16,11"), *PEERS):
            print(f"{peer[0]:42}" + "".join(f"{cell:>24}" for cell in peer[1:]))
    missed = [row.name for table in tables.values() for row in table if row.reached is False]
    print(f"missed: {', '.join(missed) or 'none'}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
