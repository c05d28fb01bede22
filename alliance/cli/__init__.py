"""The command line. ``main`` is the console script: commands run, errors become one line and an exit code.

Conventions of every command: data on standard output, talk on standard error; ``-o json`` for scripts, where
an error is one JSON object on standard error; no traceback for anything that a user can cause. Modules of
this package import the rest of alliance inside their functions, so that ``--help`` and ``verify`` are quick.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alliance.cli.streams import hush, open_closed_streams
from alliance.errors import AllianceError

if TYPE_CHECKING:
    import typer

USAGE, INTERRUPTED = 2, 130
READER_GONE = 0
"""Whoever read a listing has read enough, as ``head`` does; whether we notice is a matter of timing."""


def main(app: typer.Typer | None = None, program: str = "alliance") -> None:
    """Runs the command that ``sys.argv`` names, of alliance's own ones or of another program's, and exits."""
    # gRPC's core otherwise writes its own lines to stderr; it reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # TLS 1.3 alone: of the older versions only what needs an RSA certificate, of which an alliance has none.
    os.environ.setdefault("GRPC_SSL_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384")
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and commands may not fit the locale
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Inherited: so a shell without job control starts what is in the background. Commands that go on
        # until they are interrupted could not be ended that way.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(hush(run(sys.argv[1:], app, program)))


def run(arguments: Sequence[str], app: typer.Typer | None = None, program: str = "alliance") -> int:
    """Runs one command of ``app`` (alliance's own, if none is given); returns its exit code."""
    import typer

    if app is None:
        from alliance.cli.app import app as own

        app = own

    # Click's own exceptions: which package they are in depends on typer's version.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        code = app(args=list(arguments), prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except AllianceError as error:
        return _fail(arguments, str(error), error.exit_code)
    except usage_error as error:
        return _fail(arguments, _usage(error), USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(arguments, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        return hush(READER_GONE)
    except SystemExit as end:
        # So typer ends when the reader of a pipe has gone, and after shell completion.
        if isinstance(end.__context__, BrokenPipeError):
            return hush(READER_GONE)
        return hush(end.code if isinstance(end.code, int) else 1)
    except OSError as error:
        return _fail(arguments, str(error), 1)
    except ValueError as error:
        if not _is_invalid_submission(error):
            raise
        return _fail(arguments, str(error), USAGE)
    if code == INTERRUPTED:  # typer has caught the KeyboardInterrupt
        return _fail(arguments, "interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are to be JSON; must be known also when the arguments do not parse."""
    for at, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument in ("-ojson", "-o=json", "--output=json"):
            return True
        if argument in ("-o", "--output") and list(arguments[at + 1 : at + 2]) == ["json"]:
            return True
    return False


def _fail(arguments: Sequence[str], message: str, code: int) -> int:
    message = " ".join(message.split())
    if wants_json(arguments):
        line = json.dumps({"error": message, "exit_code": code})
    else:
        line = f"alliance: {message}"
    hush(code)
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    return hush(code)


def _usage(error: BaseException) -> str:
    """What is wrong with the arguments, and where to read on."""
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "alliance"
    return f"{text.rstrip('.')}; see '{command} --help'"


def _is_invalid_submission(error: ValueError) -> bool:
    from verifiable_log.submission import InvalidSubmission

    return isinstance(error, InvalidSubmission)
