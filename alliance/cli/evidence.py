"""``alliance verify-evidence``: what a judge does with a file that a member kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alliance.cli.output import Format, Output, emit, lesson, prose, read_file, say
from alliance.errors import InvalidEvidence

EPILOG = lesson(
    """
    alliance verify-evidence --alliance farm member-1.two-statements.view-0-slot-7.json
    """,
    "0 proven  ·  1 not proven: altered, truncated, of another alliance, or no evidence  ·  2 the file or the"
    " alliance cannot be read",
)


def register(app: typer.Typer) -> None:
    app.command("verify-evidence", help=prose(verify_evidence), epilog=EPILOG)(verify_evidence)


def verify_evidence(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="One of a member's folder 'evidence'.", show_default=False),
    ],
    alliance: Annotated[
        Path,
        typer.Option(
            "--alliance",
            metavar="DIR",
            help="A folder with the alliance's alliance.toml, and 'epochs' for past members.",
            show_default=False,
        ),
    ],
    output: Output = Format.TEXT,
) -> None:
    """Check a piece of evidence: that a member or client signed what no correct one ever signs.

    Needs the file and the alliance's alliance.toml, which must come from somebody you trust; contacts nobody,
    and it does not matter who kept the file.
    """
    from alliance.config import file as config
    from alliance.evidence.portable import EVIDENCE_BYTES_MAX, PortableEvidence
    from alliance.evidence.verdict import verify
    from alliance.storage import epochs

    known = config.load(alliance)
    data = read_file(file, "a file of a member's folder 'evidence'", EVIDENCE_BYTES_MAX)
    try:
        evidence = PortableEvidence.from_json(data)
        if evidence.context.alliance_id == known.alliance_id:
            known = epochs.of_epoch(alliance, known, evidence.context.epoch)
        verdict = verify(known, evidence)
    except InvalidEvidence as error:
        raise InvalidEvidence(f"{file} proves nothing: {error}") from None
    if output is Format.JSON:
        emit(
            {
                "valid": True,
                "culprit": verdict.culprit,
                "role": "client" if verdict.is_client else "member",
                "kind": verdict.kind,
                "verdict": verdict.text,
                "alliance": known.name,
                "alliance_id": known.alliance_id.hex(),
            }
        )
    else:
        say(f"proven: {verdict.text}; signed by it, in alliance '{known.name}'")
