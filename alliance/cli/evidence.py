"""``alliance verify-evidence``: what a judge does with a file that a member kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alliance.cli.output import Format, Output, emit, lesson, prose, read_file, say
from alliance.errors import InvalidEvidence

if TYPE_CHECKING:
    from alliance.config.file import AllianceConfig
    from alliance.evidence.portable import PortableEvidence
    from alliance.evidence.verdict import Conviction

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
    from alliance.evidence.portable import EVIDENCE_BYTES_MAX, TWO_SUBMISSIONS, PortableEvidence
    from alliance.storage import epochs

    known = config.load(alliance)
    data = read_file(file, "a file of a member's folder 'evidence'", EVIDENCE_BYTES_MAX)
    try:
        evidence = PortableEvidence.from_json(data)
        if evidence.context.alliance_id != known.alliance_id:
            judges: Iterable[AllianceConfig] = (known,)  # who says what is wrong
        elif evidence.kind == TWO_SUBMISSIONS:
            judges = epochs.all_known(alliance, known)
        else:
            judges = (epochs.of_epoch(alliance, known, evidence.context.epoch),)
        verdict = _judged(evidence, judges)
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


def _judged(evidence: PortableEvidence, judges: Iterable[AllianceConfig]) -> Conviction:
    """By the first of these memberships that convicts. Raises what the first of all says, if none does."""
    from alliance.evidence.verdict import verify

    refusal: InvalidEvidence | None = None
    for config in judges:
        try:
            return verify(config, evidence)
        except InvalidEvidence as error:
            refusal = refusal or error
    raise refusal or InvalidEvidence("nobody is known who could judge it")
