"""Generates alliance/pb from the .proto files beside this one; ``--check`` only compares.

The folder of a source is the Python package of its generated code, so imports need no rewriting.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "alliance" / "pb"


def generate(into: Path) -> None:
    sources = sorted(str(path.relative_to(HERE)) for path in HERE.rglob("*.proto"))
    options = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", f"-I{HERE}", *options, *sources]):
        sys.exit("protoc failed: see above")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.name: path.read_bytes() for path in (Path(folder) / "alliance" / "pb").iterdir()}
    committed = {
        path.name: path.read_bytes() for path in OUT.glob("*_pb2*.py*") if not path.name.endswith(".pyc")
    }
    if "--check" in sys.argv[1:]:
        stale = sorted(
            name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
        )
        if stale:
            sys.stderr.write(f"not current: {', '.join(stale)}; run 'make protos' and commit the result\n")
            return 1
        return 0
    for name in committed.keys() - fresh.keys():
        (OUT / name).unlink()
    for name, content in fresh.items():
        (OUT / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
