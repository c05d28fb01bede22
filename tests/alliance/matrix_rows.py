"""What becomes of every spoilt field: refused (with which cause), or let in and without effect.

Each row: a field of PeerMessage, then verdicts and the ways of spoiling (``matrix``) that meet them. A way
may meet several, as a changed byte of a submission does. ``ignored``: unsigned, so it gets in, and the engine
stays as it was. ``true``: a true message, of another slot or view. Members refuse in a ``log_frame`` whatever
only listeners are told; what those say of it is in ``client/test_brought_state.py``.
"""

from __future__ import annotations


def parsed(rows: str) -> dict[tuple[str, ...], dict[str, set[str]]]:
    """The ways of spoiling by path and verdict."""
    table = {}
    for line in rows.strip().replace("\n    |", " |").splitlines():
        name, *verdicts = line.split(" | ")
        pairs = (verdict.split(": ") for verdict in verdicts)
        table[tuple(name.split("."))] = {verdict: set(ways.split()) for verdict, ways in pairs}
    return table


ROWS = """
propose | form: empty | ignored: old slot view | signature: alliance epoch
propose.view | signature: largest more view
propose.slot | form: largest zero | signature: less more old slot
propose.root | form: cut empty huge longer | signature: changed old slot zeros
propose.batch | signature: empty old slot
propose.batch.submissions | form: changed cut empty longer zeros | limit: huge many
    | signature: changed dropped empty old slot twice
propose.batch.time_ms | form: largest | signature: less more old slot zero
propose.signature | form: cut empty huge longer | signature: alliance changed epoch old slot view zeros
accepted | form: empty | ignored: old slot view | signature: alliance epoch member
accepted.view | signature: largest more view
accepted.slot | form: largest zero | signature: less more old slot
accepted.root | form: cut empty huge longer | signature: changed old slot zeros
accepted.signature | form: cut empty huge longer
    | signature: alliance changed epoch member old slot view zeros
certify_request | form: empty | ignored: old slot view
certify_request.view | ignored: largest more view
certify_request.slot | form: largest zero | ignored: less more old slot
endorsement | form: empty | ignored: alliance epoch member old slot view
endorsement.tag | form: largest less more zero
endorsement.fields | form: cut empty huge longer | ignored: changed old slot view zeros
endorsement.share | form: empty | ignored: alliance changed cut epoch longer member old slot view zeros
    | limit: huge
certified | certificate: alliance epoch | form: empty | ignored: slot | true: old view
certified.tag | form: largest less more zero
certified.epoch | certificate: epoch largest more
certified.fields | certificate: changed old slot view zeros | form: cut empty huge longer
certified.signature | certificate: alliance changed cut epoch longer old slot view zeros | form: empty
    | limit: huge
prove_share | form: empty | ignored: old slot view
prove_share.tag | form: largest less more zero
prove_share.fields | form: cut empty huge longer | ignored: changed old slot view zeros
status | form: empty | ignored: old slot view
status.view | ignored: largest more view
status.accepted | form: largest zero | ignored: less more old slot
status.decided | form: largest less zero | ignored: more
status.certified | form: largest more | ignored: less zero
status.active | ignored: changed
status.stable | form: largest more | ignored: less zero
status.no_proofs_wanted | ignored: changed
status.clock_ms | form: largest | ignored: more
fetch | form: empty | ignored: old slot
fetch.first_slot | form: largest zero | ignored: less more old slot
log_frame | certificate: alliance epoch | form: empty | true: old slot view
log_frame.first_slot | form: largest zero | ignored: less more
log_frame.batches | form: empty | ignored: dropped old reversed slot twice | limit: many
log_frame.batches.submissions | form: changed cut empty longer zeros | ignored: changed dropped empty twice
    | limit: huge many
log_frame.batches.time_ms | form: largest | ignored: less more zero
log_frame.certificate | certificate: alliance epoch | form: empty | true: view
log_frame.certificate.tag | form: largest less more zero
log_frame.certificate.epoch | certificate: epoch largest more
log_frame.certificate.fields | certificate: changed view zeros | form: cut empty huge longer
log_frame.certificate.signature | certificate: alliance changed cut epoch longer view zeros | form: empty
    | limit: huge
log_frame.cover | form: cut empty huge longer | ignored: changed dropped empty old reversed slot twice zeros
    | limit: many
log_frame.peaks | form: changed cut empty huge longer zeros
log_frame.epoch | form: largest more
log_frame.revision | form: largest more
log_frame.offer | form: alliance epoch member old slot view
log_frame.offer.checkpoint | form: alliance empty epoch member old slot view
log_frame.offer.checkpoint.tag | form: alliance epoch largest member more old slot view zero
log_frame.offer.checkpoint.epoch | form: alliance epoch largest member more old slot view zero
log_frame.offer.checkpoint.fields
    | form: alliance changed cut empty epoch huge longer member old slot view zeros
log_frame.offer.checkpoint.signature
    | form: alliance changed cut empty epoch huge longer member old slot view zeros
log_frame.offer.peaks
    | form: alliance changed cut dropped empty epoch huge longer member old reversed slot twice view zeros
log_frame.offer.leaves
    | form: alliance changed cut dropped empty epoch huge longer member old reversed slot twice view zeros
log_frame.offer.certificate | form: alliance empty epoch member old slot view
log_frame.offer.certificate.tag | form: alliance epoch largest member more old slot view zero
log_frame.offer.certificate.epoch | form: alliance epoch largest member more old slot view zero
log_frame.offer.certificate.fields
    | form: alliance changed cut empty epoch huge longer member old slot view zeros
log_frame.offer.certificate.signature
    | form: alliance changed cut empty epoch huge longer member old slot view zeros
log_frame.offer.cover
    | form: alliance changed cut dropped empty epoch huge longer member old reversed slot twice view zeros
log_frame.state_part | form: alliance epoch member old slot view
log_frame.state_part.slot | form: alliance epoch largest member more old slot view zero
log_frame.state_part.first | form: alliance epoch largest member more old slot view zero
log_frame.state_part.items
    | form: alliance changed cut dropped empty epoch huge longer member old reversed slot twice view zeros
forward | client: alliance | form: empty | ignored: old slot
forward.submissions | client: alliance changed | form: changed cut empty longer zeros | stranger: changed
    | ignored: dropped old reversed slot twice | limit: huge many
report | form: empty | ignored: old slot view | signature: alliance epoch member
report.view | form: zero | signature: largest less more view
report.base | signature: alliance empty epoch
report.base.tag | form: largest less more zero
report.base.epoch | signature: epoch largest more
report.base.fields | form: changed cut empty huge longer | signature: changed zeros
report.base.signature | form: empty | limit: huge | signature: alliance changed cut epoch longer zeros
report.entries | form: reversed twice | limit: many | signature: dropped empty old slot
report.entries.slot | form: largest less more zero
report.entries.view | form: largest | signature: more
report.entries.batch_digest | form: cut empty huge longer | signature: changed zeros
report.signature | form: cut empty huge longer
    | signature: alliance changed epoch member old slot view zeros
new_view | form: empty | ignored: view | signature: alliance epoch | true: old slot
new_view.view | form: largest less more view zero
new_view.reports | form: view | limit: many
    | signature: alliance dropped empty epoch old reversed slot twice
new_view.reports.member | signature: largest less more zero
new_view.reports.report | form: empty view | signature: alliance epoch old slot
new_view.reports.report.view | form: largest less more view zero
new_view.reports.report.base | signature: alliance empty epoch
new_view.reports.report.base.tag | form: largest less more zero
new_view.reports.report.base.epoch | signature: epoch largest more
new_view.reports.report.base.fields | form: changed cut empty huge longer | signature: changed zeros
new_view.reports.report.base.signature | form: empty | limit: huge
    | signature: alliance changed cut epoch longer zeros
new_view.reports.report.entries | form: reversed twice | limit: many | signature: dropped empty old slot
new_view.reports.report.entries.slot | form: largest less more zero
new_view.reports.report.entries.view | form: largest | signature: more
new_view.reports.report.entries.batch_digest | form: cut empty huge longer | signature: changed zeros
new_view.reports.report.signature | form: cut empty huge longer
    | signature: alliance changed epoch old slot view zeros
new_view.vector | form: cut empty huge longer | limit: many
    | signature: changed dropped empty old reversed slot twice zeros
new_view.signature | form: cut empty huge longer | signature: alliance changed epoch old slot view zeros
fetch_batches | form: empty | ignored: old slot
fetch_batches.digests | form: cut empty huge longer | ignored: changed dropped old reversed slot twice zeros
    | limit: many
batches | form: empty | ignored: slot | true: old
batches.batches | form: dropped empty | ignored: slot | limit: many twice | true: old
batches.batches.submissions | client: changed | form: changed cut empty longer zeros | stranger: changed
    | ignored: dropped empty old slot twice | limit: huge many
batches.batches.time_ms | form: largest | ignored: less more old slot zero
progress | certificate: alliance epoch | form: empty | ignored: view | true: old slot
progress.view | ignored: largest less more view zero
progress.reports_digest | form: cut empty huge longer | ignored: alliance changed epoch old slot zeros
progress.base | certificate: alliance epoch | ignored: empty
progress.base.tag | form: largest less more zero
progress.base.epoch | certificate: epoch largest more
progress.base.fields | certificate: changed zeros | form: cut empty huge longer
progress.base.signature | certificate: alliance changed cut epoch longer zeros | form: empty | limit: huge
progress.vector | form: cut empty huge longer
    | ignored: changed dropped empty old reversed slot twice zeros | limit: many
progress.certificate | certificate: alliance epoch | form: empty | ignored: old slot view
progress.certificate.tag | form: largest less more zero
progress.certificate.epoch | certificate: epoch largest more
progress.certificate.fields | certificate: alliance changed epoch old slot view zeros
    | form: cut empty huge longer
progress.certificate.signature | certificate: alliance changed cut epoch longer old slot view zeros
    | form: empty | limit: huge
offer | certificate: alliance epoch | form: empty | true: old slot view
offer.checkpoint | certificate: alliance epoch | form: empty | ignored: old slot
offer.checkpoint.tag | form: largest less more zero
offer.checkpoint.epoch | certificate: epoch largest more
offer.checkpoint.fields | certificate: changed old slot zeros | form: cut empty huge longer
offer.checkpoint.signature | certificate: alliance changed cut epoch longer old slot zeros | form: empty
    | limit: huge
offer.peaks | form: cut empty huge longer | ignored: changed dropped empty old reversed slot twice zeros
    | limit: many
offer.leaves | form: cut empty huge longer
    | ignored: changed dropped empty old reversed slot twice zeros
    | limit: many
offer.certificate | certificate: alliance epoch | form: empty | true: view
offer.certificate.tag | form: largest less more zero
offer.certificate.epoch | certificate: epoch largest more
offer.certificate.fields | certificate: changed view zeros | form: cut empty huge longer
offer.certificate.signature | certificate: alliance changed cut epoch longer view zeros | form: empty
    | limit: huge
offer.cover | form: cut empty huge longer | ignored: changed dropped empty old reversed slot twice zeros
    | limit: many
fetch_state | form: empty | ignored: old slot
fetch_state.slot | form: largest zero | ignored: less more old slot
fetch_state.first | ignored: largest less more zero
state_part | form: empty | ignored: old slot
state_part.slot | form: largest zero | ignored: less more old slot
state_part.first | ignored: largest more
state_part.items | form: empty
    | ignored: changed cut dropped empty longer old reversed slot twice zeros
    | limit: huge many
"""

EVIDENCE_ROWS = """
report.entries.root | form: cut empty huge longer | signature: changed zeros
report.entries.signature | form: cut empty huge longer | signature: changed digest zeros
report.openings | evidence: dropped empty view | form: twice | limit: many
report.openings.view | evidence: largest less more view zero
report.openings.reports_digest | evidence: changed | form: cut empty huge longer
report.openings.base | evidence: empty
report.openings.base.tag | form: largest less more zero
report.openings.base.epoch | certificate: largest less more zero
report.openings.base.fields | evidence: changed zeros | form: cut empty huge longer
report.openings.base.signature | certificate: changed cut longer zeros | form: empty | limit: huge
report.openings.vector | evidence: changed dropped empty twice zeros | form: cut empty huge longer
    | limit: many
report.openings.certificate | evidence: view | form: empty
report.openings.certificate.tag | form: largest less more zero
report.openings.certificate.epoch | certificate: largest less more zero
report.openings.certificate.fields | evidence: changed view zeros | form: cut empty huge longer
report.openings.certificate.signature | certificate: changed cut longer view zeros | form: empty
    | limit: huge
new_view.reports.report.entries.root | form: cut empty huge longer | signature: changed zeros
new_view.reports.report.entries.signature | form: cut empty huge longer
    | signature: changed digest zeros
new_view.reports.report.openings | evidence: dropped empty view | form: twice | limit: many
new_view.reports.report.openings.view | evidence: largest less more view zero
new_view.reports.report.openings.reports_digest | evidence: changed | form: cut empty huge longer
new_view.reports.report.openings.base | evidence: empty
new_view.reports.report.openings.base.tag | form: largest less more zero
new_view.reports.report.openings.base.epoch | certificate: largest less more zero
new_view.reports.report.openings.base.fields | evidence: changed zeros | form: cut empty huge longer
new_view.reports.report.openings.base.signature | certificate: changed cut longer zeros | form: empty
    | limit: huge
new_view.reports.report.openings.vector | evidence: changed dropped empty twice zeros
    | form: cut empty huge longer | limit: many
new_view.reports.report.openings.certificate | evidence: view | form: empty
new_view.reports.report.openings.certificate.tag | form: largest less more zero
new_view.reports.report.openings.certificate.epoch | certificate: largest less more zero
new_view.reports.report.openings.certificate.fields | evidence: changed view zeros
    | form: cut empty huge longer
new_view.reports.report.openings.certificate.signature | certificate: changed cut longer view zeros
    | form: empty | limit: huge
"""
