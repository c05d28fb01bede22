"""A fork copies a client's memory and none of its threads: the copies say so, and fresh clients work."""

from __future__ import annotations

import os
from pathlib import Path

from alliance.client.sequence import BLOCK, Sequence
from tests.alliance.conftest import Run
from tests.alliance.farm import Farm
from tests.alliance.network import Office, run_program, serving

PROGRAM = """
import os, signal, sys
import alliance, asyncio
import alliance.sync
signal.alarm(50)  # what hangs ends with a code that is not 0
folder, passphrase = sys.argv[1], sys.argv[2].encode()

def attempt(who, work):
    try:
        print(who, work(), flush=True)
    except Exception as error:
        print(who, type(error).__name__, str(error).partition(":")[0], flush=True)

def fork(child, end=sys.exit):
    if pid := os.fork():
        print("exit code", os.waitpid(pid, 0)[1], flush=True)
    else:
        signal.alarm(40)
        child()
        end(0)

made = alliance.sync.connect(folder, passphrase)
stream = made.listen()
native = asyncio.run(alliance.connect(folder, passphrase))

def copies():
    attempt("copy", lambda: made.propose(b"x"))
    attempt("copy", lambda: next(made.propose_all([b"x"])))
    attempt("copy", lambda: next(made.listen()))
    attempt("copy", made.status)
    attempt("stream", lambda: next(stream))
    attempt("native copy", lambda: asyncio.run(native.propose(b"x")))
    stream.close()
    made.close()

def child():
    copies()
    with alliance.sync.connect(folder, passphrase) as fresh:
        attempt("fresh", lambda: fresh.propose(b"child").command.decode())

def late():
    copies()
    attempt("late", lambda: alliance.sync.connect(folder, passphrase))

fork(child)
attempt("parent", lambda: made.propose(b"before").command.decode())
attempt("stream", lambda: next(stream).command.decode())
fork(late, end=os._exit)  # as multiprocessing does; a call that is open when gRPC is torn down crashes
stream.close()
fork(lambda: None)
attempt("parent", lambda: made.propose(b"after").command.decode())
made.close()
"""

COPY = "RuntimeError this client was made before this process was forked, and works in its parent alone"
STREAM = "RuntimeError this iterator was made before this process was forked"
COPIES = [*4 * [f"copy {COPY}"], f"stream {STREAM}", f"native copy {COPY}"]
LATE = "RuntimeError this process was forked from one that had used gRPC, which does not survive that"


def test_every_process_has_its_own_clients(farm: Farm, tmp_path: Path, office: Office, run: Run) -> None:
    """Also under gunicorn --preload and multiprocessing. After gRPC was used, a child can have none."""

    async def scenario() -> None:
        async with serving(farm, 0, office) as port:
            code, out, err = await run_program(farm, tmp_path / "client", port, PROGRAM)
        assert (code, err) == (0, "")
        assert out.splitlines() == [
            *COPIES,
            "fresh child",
            "exit code 0",
            "parent before",
            "stream child",
            *COPIES,
            f"late {LATE}",
            "exit code 0",
            "exit code 0",
            "parent after",
        ]

    run(scenario())


def test_a_fork_leaves_the_reserved_numbers_to_the_parent(tmp_path: Path) -> None:
    numbers = Sequence(tmp_path)
    first = numbers.next()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, b"%d" % numbers.next())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 20))
    os.close(reading)
    os.close(writing)
    ours = [numbers.next() for _ in range(2 * BLOCK)]
    assert theirs == first + BLOCK
    assert theirs not in ours
