"""`make mutants SAMPLE=300`: wrong versions of a package, each of which a test must notice.

Every test is run once, to see which functions it calls and how long it takes. Then every mutant meets the
tests that call its function, those that call little and are fast first, until one fails. Each run is a forked
process: of one that has collected the tests when a function is changed, whose code is exchanged; of one that
has not imported the package yet when something outside of functions is changed.

One line a survivor on standard output, then the figures. Exits 1 below the share that must be killed. A
mutant that takes twice as long as its tests do, or much memory, counts as killed.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import os
import pickle
import resource
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.campaigns.mutants.mutants import Mutant, mutants_of

THIRD_PARTIES = ("hypothesis", "sympy", "cryptography.x509", "Crypto.PublicKey.RSA", "gmpy2")
MEMORY_MAX = 4 << 30
KILLED_MIN = 0.9
SURVIVED, KILLED = 0, 1


@dataclass
class Test:
    """What one run of a test has shown."""

    name: str
    seconds: float
    functions: frozenset[tuple[str, int]]  # file and first line


@dataclass
class Plan:
    options: Namespace
    mutants: list[Mutant]
    survivors: list[Mutant] = field(default_factory=list)
    killed: int = 0


class Session:
    """The pytest plugin: runs the tests as this module's docstring says, in place of running them once."""

    def __init__(self, plan: Plan, shared: Path) -> None:
        self._plan, self._shared = plan, shared

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Takes the place of pytest's own loop."""
        items = {item.nodeid: item for item in session.items}
        tests = [test for item in session.items if (test := self._observe(item)) is not None]
        _say(f"{len(tests)} of {len(items)} tests take part, {sum(t.seconds for t in tests):.0f} s")
        inside = [mutant for mutant in self._plan.mutants if mutant.function]

        def start(mutant: Mutant) -> tuple[Callable[[], int], float]:
            function = _function(mutant)
            place = (function.__code__.co_filename, function.__code__.co_firstlineno)
            chosen = _chosen(tests, self._plan.options.budget, lambda test: place in test.functions)
            code = _code_of(mutant, function)

            def trial() -> int:
                function.__code__ = code
                return _first_failure([items[test.name] for test in chosen])

            return trial, sum(test.seconds for test in chosen)

        results = _all(inside, start, self._plan.options.workers)
        self._shared.write_bytes(pickle.dumps((tests, results)))
        return True

    def _observe(self, item: pytest.Item) -> Test | None:
        """Run a test alone. None if it takes too long here, fails, or calls nothing of the package."""
        called: set[tuple[str, int]] = set()
        root = str(Path.cwd() / self._plan.options.package) + os.sep

        def note(frame: Any, event: str, argument: object) -> None:
            if frame.f_code.co_filename.startswith(root):
                called.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

        def run() -> bytes:
            sys.settrace(note)
            began = time.process_time()
            failed = any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))
            sys.settrace(None)
            return pickle.dumps((failed, time.process_time() - began, frozenset(called)))

        answer = _forked(run, self._plan.options.slowest)
        if not answer:
            return None
        failed, seconds, functions = pickle.loads(answer)  # noqa: S301  # from our own child
        if failed:
            _say(f"left out, it fails: {item.nodeid}")
        return None if failed or not functions else Test(item.nodeid, seconds, functions)


def _chosen(tests: list[Test], budget: float, wanted: Callable[[Test], bool]) -> list[Test]:
    """Those that call little and are fast come first, up to so many seconds in all."""
    ranked = sorted(filter(wanted, tests), key=lambda test: len(test.functions) * (test.seconds + 0.02))
    chosen: list[Test] = []
    for test in ranked:
        if sum(known.seconds for known in chosen) + test.seconds <= budget:
            chosen.append(test)
    return chosen


def _first_failure(items: Sequence[pytest.Item]) -> int:
    for item in items:
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=None)):
            return KILLED
    return SURVIVED


# -- exchanging code ----------------------------------------------------------------------------------


def _function(mutant: Mutant) -> FunctionType:
    """The living function, out of whatever was wrapped around it."""
    found: Any = importlib.import_module(mutant.module)
    for name in mutant.function.split("."):
        found = vars(found)[name]
    for wrapper in ("fget", "__func__", "func", "__wrapped__"):
        if not isinstance(found, FunctionType):
            found = getattr(found, wrapper, found)
    if not isinstance(found, FunctionType):
        raise TypeError(f"no function: {mutant.name}")
    return found


def _code_of(mutant: Mutant, function: FunctionType) -> CodeType:
    whole = compile(mutant.tree(), function.__code__.co_filename, "exec")
    (code,) = (c for c in _codes(whole) if c.co_qualname == function.__code__.co_qualname)
    return code


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


class _Importer(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the wrong module in place of the right one."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> Any:
        if fullname != self._mutant.module:
            return None
        file = self._mutant.path.resolve()
        package = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=self, submodule_search_locations=package
        )

    def exec_module(self, module: ModuleType) -> None:
        tree: ast.Module = self._mutant.tree()
        exec(compile(tree, str(self._mutant.path.resolve()), "exec"), module.__dict__)  # noqa: S102


# -- processes ----------------------------------------------------------------------------------------


def _forked(run: Callable[[], bytes], seconds: float) -> bytes:
    """What `run` returns in a child of its own, or nothing if it takes longer (in time of the processor)."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        _limit(seconds)
        with os.fdopen(writable, "wb") as pipe:
            pipe.write(run())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def _limit(seconds: float) -> None:
    """And no words: a thousand mutants have nothing to say."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    whole = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))


def _all(
    mutants: list[Mutant], start: Callable[[Mutant], tuple[Callable[[], int], float]], workers: int
) -> list[bool]:
    """Whether each was killed."""
    killed = [False] * len(mutants)
    running: dict[int, int] = {}

    def reap() -> None:
        child, status = os.wait()
        number = running.pop(child)
        killed[number] = status != 0
        if not killed[number]:
            _say(f"survived: {mutants[number].name}")
        if sum(1 for _ in running) == 0 or number % 100 == 0:
            sys.stderr.write(f"{number} of {len(mutants)}\n")

    for number, mutant in enumerate(mutants):
        trial, seconds = start(mutant)
        if len(running) == workers:
            reap()
        child = os.fork()
        if child == 0:
            _limit(2 * seconds + 3)
            try:
                result = trial()
            except BaseException:  # whatever it is, the mutant did it
                result = KILLED
            os._exit(result)
        running[child] = number
    while running:
        reap()
    return killed


def _outside(plan: Plan, tests: list[Test]) -> list[bool]:
    """The mutants outside of functions: the package is imported anew for each."""

    def start(mutant: Mutant) -> tuple[Callable[[], int], float]:
        file = str(mutant.path.resolve())
        budget = plan.options.budget
        chosen = _chosen(tests, budget, lambda test: any(name == file for name, _ in test.functions))

        def trial() -> int:
            sys.meta_path.insert(0, _Importer(mutant))
            words = [*_WORDS, "--exitfirst", *(test.name for test in chosen)]
            return KILLED if pytest.main(words) else SURVIVED

        return trial, sum(test.seconds for test in chosen) + 5

    return _all([m for m in plan.mutants if not m.function], start, plan.options.workers)


_WORDS = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:capture", "-q"]


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.mutants.run", description=__doc__)
    parser.add_argument("--package", default="shoup_rsa", help="default shoup_rsa")
    parser.add_argument("--only", nargs="*", default=[""], help="mutants whose description contains one")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, drawn by --seed; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of tests for each mutant")
    parser.add_argument("--slowest", type=float, default=2.0, help="seconds; slower tests take no part")
    parser.add_argument("--killed-min", type=float, default=KILLED_MIN)
    parser.add_argument("--tests", nargs="*", help="files of tests; default: tests/<package>")
    options = parser.parse_args(arguments)
    options.tests = options.tests or [f"tests/{options.package}"]
    mutants = [
        mutant
        for path in sorted(Path(options.package).rglob("*.py"))
        for mutant in mutants_of(".".join(path.with_suffix("").parts).removesuffix(".__init__"), path)
        if any(words in mutant.name for words in options.only)
    ]
    every = len(mutants)
    if 0 < options.sample < every:
        chosen = sorted(Random(options.seed).sample(range(every), options.sample))
        mutants = [mutants[number] for number in chosen]
    plan = Plan(options, mutants)
    for name in THIRD_PARTIES:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "results"
        child = os.fork()
        if child == 0:
            pytest.main([*_WORDS, *options.tests], plugins=[Session(plan, shared)])
            os._exit(0)
        os.waitpid(child, 0)
        tests, inside = pickle.loads(shared.read_bytes())  # noqa: S301  # from our own child
    killed = sum(inside) + sum(_outside(plan, tests))
    share = killed / len(mutants)
    _say(f"{options.package}: mutants={len(mutants)} of {every} killed={killed} share={share:.1%}")
    return 0 if share >= options.killed_min else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
