"""The same targets, guided by coverage: needs ``pip install -e '.[fuzz]'`` (atheris), which is optional.

``python -m tests.campaigns.fuzz.guided --seconds 60`` runs each target in a process of its own, because
libFuzzer ends its process. Exits as ``tests.campaigns.fuzz.run`` does.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from random import Random

from tests.campaigns.fuzz import EXECUTIONS_MIN, NAMES

PACKAGES = ["alliance", "fab_paxos", "quorum"]
INPUT_BYTES_MAX = 64 * 1024


def one(name: str, seconds: int, seed: int, folder: Path) -> None:
    """Fuzzes one target in this process, and does not return."""
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        from tests.campaigns.fuzz.targets import found_alliance, targets
    (target,) = [target for target in targets(*found_alliance(folder / "alliance")) if target.name == name]
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(target.corpus):
        (corpus / str(number)).write_bytes(data)

    def mutate(data: bytes, _: int, number: int) -> bytes:
        dice = Random(number)
        try:
            return target.mutate(dice, data or dice.choice(target.corpus), target.corpus)[:INPUT_BYTES_MAX]
        except Exception:  # libFuzzer's own inputs need not have the structure
            return target.mutate(dice, dice.choice(target.corpus), target.corpus)[:INPUT_BYTES_MAX]

    def run(data: bytes) -> None:
        target.run(data)

    words = [f"-max_total_time={seconds}", f"-seed={seed + 1}", "-print_final_stats=1"]
    words += [f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup([name, *words], run, custom_mutator=mutate)
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.fuzz.guided", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=NAMES)
    parser.add_argument("--folder", type=Path, help="run the target in this process, with its files here")
    options = parser.parse_args(arguments)
    if options.folder is not None:
        one(options.target, options.seconds, options.seed, options.folder)
    failed = False
    for name in [options.target] if options.target else NAMES:
        with tempfile.TemporaryDirectory() as folder:
            words = [
                "--target",
                name,
                "--seconds",
                options.seconds,
                "--seed",
                options.seed,
                "--folder",
                folder,
            ]
            command = [sys.executable, "-m", "tests.campaigns.fuzz.guided", *map(str, words)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        count = re.search(r"stat::number_of_executed_units:\s*(\d+)", told)
        executions = int(count[1]) if count else 0
        coverage = re.findall(r"\bcov: (\d+)", told)
        sys.stdout.write(f"{name}: executions={executions} coverage={coverage[-1] if coverage else '?'}\n")
        sys.stdout.flush()
        if done.returncode != 0 or executions < EXECUTIONS_MIN:
            failed = True
            sys.stderr.write(
                f"FAILED {name}: {told[-3000:]}\n" if done.returncode else f"FAILED {name}: too few\n"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
