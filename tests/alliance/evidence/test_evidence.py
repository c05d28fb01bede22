"""Evidence as a file: each kind convicts its culprit, nothing altered convicts anybody; files are kept."""

from __future__ import annotations

import json
import logging
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alliance.config.file import AllianceConfig
from alliance.errors import InvalidEvidence
from alliance.evidence import portable as kinds
from alliance.evidence.folder import FILES_PER_CULPRIT_MAX, FOLDER, EvidenceFolder
from alliance.evidence.portable import BESIDES, EVIDENCE_BYTES_MAX, PortableEvidence, SignedBytes, export
from alliance.evidence.verdict import Conviction, verify
from alliance.server.server import Server
from alliance.wire.peer_messages import encode
from fab_paxos.evidence import BrokenLog, Evidence, TwoReports, TwoStatements, TwoSubmissions, WrongNewView
from fab_paxos.selection import ReportedEntry
from quorum import Context, ProposeStatement, VoteStatement
from tests.alliance.conftest import Run
from tests.alliance.farm import PASSPHRASE, Farm
from tests.alliance.offences import (
    LEADER,
    VIEW,
    history,
    new_view,
    offences,
    propose,
    repetition,
    report,
    story,
)
from verifiable_log import Batch
from verifiable_log.batch import NOOP
from verifiable_log.merkle import EMPTY, slot_leaf

KINDS = list(BESIDES)


@pytest.fixture(scope="module")
def pieces(farm: Farm) -> dict[str, PortableEvidence]:
    return {
        kind: export(farm.config.context, culprit, evidence, told)
        for kind, (culprit, evidence, told) in offences(farm).items()
    }


def judged(config: AllianceConfig, evidence: PortableEvidence) -> Conviction:
    """By way of the file."""
    return verify(config, PortableEvidence.from_json(evidence.to_json()))


def judge(farm: Farm, culprit: str, evidence: Evidence | TwoSubmissions) -> Conviction:
    return judged(farm.config, export(farm.config.context, culprit, evidence, history([])))


# -- each kind convicts --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_convicts_its_culprit(farm: Farm, pieces: dict[str, PortableEvidence], kind: str) -> None:
    piece = pieces[kind]
    assert (piece.kind, PortableEvidence.from_json(piece.to_json().encode())) == (kind, piece)
    verdict = judged(farm.config, piece)
    assert (verdict.culprit, verdict.kind) == (piece.culprit, kind)
    assert verdict.is_client == (kind == kinds.TWO_SUBMISSIONS)
    assert verdict.text.startswith(f"{piece.culprit} ")
    assert verdict.text.isprintable()


@pytest.mark.parametrize(
    ("decided", "slot", "of"), [(0, 2, 1), (4, 5, 1), (6, 12, 6), (6, 12, 7), (2, 40, 39)]
)
def test_a_repetition_is_proven_wherever_the_first_one_is(
    farm: Farm, decided: int, slot: int, of: int
) -> None:
    """Of a slot that the history has, or of one after it; the proposal may be far beyond it."""
    evidence, told = repetition(farm, decided, slot, of)
    verdict = judged(farm.config, export(farm.config.context, "member-3", evidence, told))
    assert f"in slot {slot} of view {VIEW}, though its log holds it in slot {of}" in verdict.text


def test_the_first_slot_needs_no_proposal_before_it(farm: Farm) -> None:
    batches, _ = story(farm, 1)
    evidence = BrokenLog(None, EMPTY, propose(farm, 1, batches[0], b"w" * 32))
    assert "slot 1" in judge(farm, "member-3", evidence).text
    piece = export(farm.config.context, "member-3", evidence, history([]))
    with pytest.raises(InvalidEvidence):
        judged(farm.config, replace(piece, peaks=(bytes(32),)))


# -- nobody is convicted by what a correct party may sign ------------------------------------------------


def refused(farm: Farm, culprit: str, evidence: Evidence | TwoSubmissions) -> str:
    with pytest.raises(InvalidEvidence) as caught:
        judge(farm, culprit, evidence)
    return str(caught.value)


def test_words_that_agree_or_are_about_different_things_prove_nothing(farm: Farm) -> None:
    batches, frontiers = story(farm, 3)
    first = propose(farm, 2, batches[1], frontiers[2].root)
    for other in (
        first,
        farm.accepted(VIEW, 2, first.root, LEADER),
        farm.accepted(VIEW, 3, b"a" * 32, LEADER),
        farm.accepted(VIEW + 1, 2, b"a" * 32, LEADER),
        propose(farm, 3, batches[2], frontiers[3].root),
    ):
        assert "do not contradict" in refused(farm, "member-3", TwoStatements(first, other))


def test_a_word_convicts_only_who_signed_it_and_a_proposal_only_who_leads(farm: Farm) -> None:
    first, second = (farm.accepted(VIEW, 2, root, 4) for root in (b"a" * 32, b"b" * 32))
    judge(farm, "member-5", TwoStatements(first, second))
    for name in ("member-1", "member-3", "member-6"):
        assert "not signed" in refused(farm, name, TwoStatements(first, second))
    assert "no member" in refused(farm, "client-1", TwoStatements(first, second))
    batches, _ = story(farm, 2)
    foreign = [propose(farm, 2, batch, b"r" * 32, signer=4) for batch in batches]
    other = farm.accepted(VIEW, 2, b"a" * 32, 4)
    assert "does not lead" in refused(farm, "member-5", TwoStatements(foreign[0], other))


def test_proposals_that_continue_each_other_prove_nothing(farm: Farm) -> None:
    batches, frontiers = story(farm, 5)
    right = [propose(farm, slot, batches[slot - 1], frontiers[slot].root) for slot in range(1, 6)]
    assert "root is right" in refused(farm, "member-3", BrokenLog(right[3], frontiers[4], right[4]))
    assert "root is right" in refused(farm, "member-3", BrokenLog(None, EMPTY, right[0]))
    assert "follow each other" in refused(farm, "member-3", BrokenLog(right[2], frontiers[3], right[4]))
    assert "follow each other" in refused(farm, "member-3", BrokenLog(None, EMPTY, right[4]))
    elsewhere = propose(farm, 4, batches[3], b"e" * 32)
    assert "not the one" in refused(farm, "member-3", BrokenLog(elsewhere, frontiers[4], right[4]))
    earlier = propose(farm, 4, batches[3], frontiers[4].root, view=VIEW - 6)
    wrong = propose(farm, 5, batches[4], b"w" * 32)
    assert "not the one" in refused(farm, "member-3", BrokenLog(earlier, frontiers[4], wrong))


def test_a_place_in_another_log_is_no_repetition(farm: Farm) -> None:
    evidence, told = repetition(farm, 6, 9, 3)
    elsewhere = propose(farm, 9, evidence.propose.batch, b"e" * 32)
    piece = export(farm.config.context, "member-3", replace(evidence, propose=elsewhere), told)
    with pytest.raises(InvalidEvidence, match="not in the log"):
        judged(farm.config, piece)
    true = export(farm.config.context, "member-3", evidence, told)
    first, second = true.places
    for places in ((second, second), (first, first), (second, first), (first,), (first, second, second)):
        with pytest.raises(InvalidEvidence):
            judged(farm.config, replace(true, places=places))


def test_two_reports_that_can_both_be_true_prove_nothing(farm: Farm) -> None:
    """A certificate came in between: the base grew, entries became void."""
    entries = tuple(ReportedEntry(slot, 1, b"d" * 32) for slot in (3, 4, 5))
    for other in (entries[:1], entries[1:], (), entries):
        pair = TwoReports(4, report(farm, 4, *entries), report(farm, 4, *other))
        assert "both be true" in refused(farm, "member-5", pair)
    changed = (ReportedEntry(3, 2, b"e" * 32), entries[2])
    pair = TwoReports(4, report(farm, 4, *entries), report(farm, 4, *changed))
    assert "reported two" in judge(farm, "member-5", pair).text
    pair = TwoReports(4, report(farm, 4, *entries), report(farm, 4, *changed, view=VIEW + 1))
    assert "both be true" in refused(farm, "member-5", pair)


def test_a_new_view_that_follows_proves_nothing(farm: Farm) -> None:
    forced = ReportedEntry(2, 1, b"d" * 32)
    reports = tuple((member, report(farm, member, forced)) for member in range(5))
    follows = (NOOP.digest, b"d" * 32)
    assert "follows" in refused(farm, "member-3", WrongNewView(new_view(farm, reports, *follows)))
    for vector in ((), (b"d" * 32,), (*follows, NOOP.digest), follows[::-1]):
        judge(farm, "member-3", WrongNewView(new_view(farm, reports, *vector)))
    for wrong in (reports[:4], (*reports[1:], reports[1]), reports[::-1]):
        judge(farm, "member-3", WrongNewView(new_view(farm, wrong, *follows)))


def test_a_true_new_view_cannot_be_read_in_another_way(farm: Farm) -> None:
    """Whoever relays a NewView can exchange a Report for an equal one of another view: the leader signed
    neither its view nor its signature, and is not convicted of it."""
    reports = tuple((member, report(farm, member)) for member in range(5))
    true = new_view(farm, reports)
    swapped = ((0, report(farm, 0, view=VIEW - 1)), *reports[1:])
    assert "follows" in refused(farm, "member-3", WrongNewView(replace(true, reports=swapped)))
    piece = export(farm.config.context, "member-3", WrongNewView(true), history([]))
    for altered in (
        replace(piece, reports=piece.reports[:4]),
        replace(piece, reports=(*piece.reports[:4], (5, piece.reports[4][1]))),
        replace(piece, vector=(bytes(32),)),
        replace(piece, reports=((2**40, piece.reports[0][1]), *piece.reports[1:])),
    ):
        with pytest.raises(InvalidEvidence):
            judged(farm.config, altered)


def test_one_submission_twice_proves_nothing(farm: Farm) -> None:
    first, other = farm.submission(7, b"a"), farm.submission(8, b"b")
    foreign = farm.submission(7, b"b", client=1)
    for second in (first, other):
        assert "two submissions" in refused(farm, "client-1", TwoSubmissions(first, second))
    assert "not signed" in refused(farm, "client-1", TwoSubmissions(first, foreign))
    assert "no client" in refused(farm, "member-1", TwoSubmissions(first, farm.submission(7, b"b")))


# -- hostile files ---------------------------------------------------------------------------------------


def altered(value: Any) -> Iterator[Any]:
    """Other values of the same type, deep inside as well, and of other types."""
    match value:
        case bool() | None:
            pass
        case int():
            yield from (value + 1, value - 1, 0, 2**61, 2**64, float(value), str(value), True)
        case str():
            yield from (value[:-2], value + "00", value[:-1] + ("0" if value[-1:] != "0" else "1"), "", "zz")
            yield from (value.upper(), f" {value}", ("0" if value[:1] != "0" else "1") + value[1:])
        case list():
            yield from (value[:-1], [*value, *value[-1:]], [], {}, [None], [*value, "00" * 32])
            for place, item in enumerate(value):
                for other in altered(item):
                    yield [*value[:place], other, *value[place + 1 :]]
        case dict():
            yield value | {"more": 1}
            for key, item in value.items():
                yield {name: kept for name, kept in value.items() if name != key}
                for other in altered(item):
                    yield value | {key: other}
    yield from (None, [[]], 10**400)


@pytest.mark.parametrize("kind", KINDS)
def test_every_altered_field_is_refused(farm: Farm, pieces: dict[str, PortableEvidence], kind: str) -> None:
    table = pieces[kind].to_dict()
    tried = 0
    for other in altered(table):
        if other != table or json.dumps(other) != json.dumps(table):
            tried += 1
            with pytest.raises(InvalidEvidence) as caught:
                verify(farm.config, PortableEvidence.from_json(json.dumps(other)))
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 500
    assert tried > 100


@pytest.mark.parametrize("kind", KINDS)
def test_under_the_name_of_another_kind_it_is_refused(
    farm: Farm, pieces: dict[str, PortableEvidence], kind: str
) -> None:
    for other in KINDS:
        for piece in (pieces[kind], pieces[other]):
            if other != kind:
                with pytest.raises(InvalidEvidence):
                    judged(farm.config, replace(piece, kind=other if piece is pieces[kind] else kind))


def test_evidence_of_another_alliance_or_epoch_is_refused(
    farm: Farm, pieces: dict[str, PortableEvidence]
) -> None:
    for piece in pieces.values():
        for context in (Context(b"o" * 32, 0), Context(farm.config.alliance_id, 1)):
            with pytest.raises(InvalidEvidence, match="another alliance"):
                judged(farm.config, replace(piece, context=context))
        later = replace(farm.config, epoch=1)
        if piece.kind == kinds.TWO_SUBMISSIONS:  # a client signs for the alliance
            assert judged(later, piece) == judged(farm.config, piece)
        else:
            with pytest.raises(InvalidEvidence, match="another alliance"):
                judged(later, piece)
        foreign = tuple(SignedBytes(word.statement[:-1], word.signature) for word in piece.statements)
        with pytest.raises(InvalidEvidence, match="not signed"):
            judged(farm.config, replace(piece, statements=foreign))


def test_words_of_another_form_that_the_culprit_did_sign_are_refused(
    farm: Farm, pieces: dict[str, PortableEvidence]
) -> None:
    key = farm.members[LEADER].signing_key
    good = pieces[kinds.TWO_STATEMENTS].statements[0].statement
    other = Context(b"o" * 32, 0).frame(good[12], good[-80:])
    for statement in (
        b"",
        b"hello",
        good[:12],
        good + b"x",
        good[:-1],
        other,
        good[:12] + b"\x01" + good[13:],
    ):
        word = SignedBytes(statement, key.sign(statement))
        for kind in (kinds.TWO_STATEMENTS, kinds.BROKEN_LOG, kinds.WRONG_NEW_VIEW):
            with pytest.raises(InvalidEvidence):
                judged(farm.config, replace(pieces[kind], statements=(word, *pieces[kind].statements[1:])))


def test_a_file_of_evidence_is_frozen() -> None:
    context = Context(b"\x11" * 32, 2)
    said = (ProposeStatement(3, 4, b"\xaa" * 32, b"\xbb" * 32), VoteStatement(3, 4, b"\xcc" * 32))
    signed = tuple(SignedBytes(one.encode(context), b"signed") for one in said)
    piece = PortableEvidence(context, kinds.TWO_STATEMENTS, "member-4", signed)
    head, place = b"alliance/v1\x00".hex(), "1" * 64 + "0" * 15 + "2" + "0" * 15 + "3" + "0" * 15 + "4"
    assert json.loads(piece.to_json()) == {
        "format": "alliance-evidence/3",
        "alliance_id": "1" * 64,
        "epoch": 2,
        "kind": "two-statements",
        "culprit": "member-4",
        "statements": [
            {
                "tag": "PROPOSE",
                "statement": head + "40" + place + "a" * 64 + "b" * 64,
                "signature": b"signed".hex(),
            },
            {"tag": "VOTE", "statement": head + "41" + place + "c" * 64, "signature": b"signed".hex()},
        ],
    }
    assert PortableEvidence.from_json(piece.to_json()) == piece
    with pytest.raises(InvalidEvidence, match="it was altered"):
        PortableEvidence.from_json(piece.to_json().replace("PROPOSE", "REPORT"))


@pytest.mark.parametrize("version", [1, 2])
def test_evidence_of_an_earlier_version_is_refused_by_its_name(version: int) -> None:
    old = {"format": f"alliance-evidence/{version}", "kind": "two-words", "words": []}
    with pytest.raises(InvalidEvidence, match=f"the format 'alliance-evidence/{version}', which earlier"):
        PortableEvidence.from_json(json.dumps(old))


def test_what_is_no_statement_is_named_by_its_tag(farm: Farm, pieces: dict[str, PortableEvidence]) -> None:
    key, piece = farm.members[LEADER].signing_key, pieces[kinds.TWO_STATEMENTS]
    for tag, name in (
        (0x01, "ACCEPTED"),
        (0x48, r"the reserved tag 0x48 \(POE_REPORT\)"),
        (0x7F, "unknown tag 0x7f"),
    ):
        statement = farm.config.context.frame(tag, bytes(48))
        signed = SignedBytes(statement, key.sign(statement))
        with pytest.raises(InvalidEvidence, match=f"of no known form: .*{name}"):
            judged(farm.config, replace(piece, statements=(signed, *piece.statements[1:])))


HOSTILE = [
    "",
    "null",
    "[]",
    "[" * 100_000,
    '{"format":' * 50_000,
    "1" * 10_000,
    "NaN",
    '{"format": "alliance-evidence/2"}',
    '{"format": "alliance-evidence/3"}',
    '{"format": "alliance-evidence/3", "kind": []}',
    '{"format": "alliance-evidence/3", "kind": "two-statements"}',
    '{"format": ["alliance-evidence/3"]}',
    '{"format": "alliance-evidence/3\\n"}',
    b"\xff\xfe\x00",
    b"x" * (EVIDENCE_BYTES_MAX + 1),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(InvalidEvidence) as caught:
        PortableEvidence.from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=80).map(bytes.hex),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["statement", "signature", "member", "body", "slot", "index", "submission"]),
            inner,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_fields_of_any_type_are_refused(
    farm: Farm, pieces: dict[str, PortableEvidence], data: st.DataObject
) -> None:
    table = pieces[data.draw(st.sampled_from(KINDS))].to_dict()
    name = data.draw(st.sampled_from(sorted(table)))
    try:
        other = PortableEvidence.from_json(json.dumps(table | {name: data.draw(json_values)}))
        verify(farm.config, other)
    except InvalidEvidence:
        return
    assert other.to_dict() == table


# -- keeping -----------------------------------------------------------------------------------------------


def two_words(farm: Farm, slot: int, member: int = 4) -> TwoStatements:
    first, second = (farm.accepted(0, slot, root, member) for root in (b"a" * 32, b"b" * 32))
    return TwoStatements(first, second)


def test_files_are_private_named_by_the_offence_and_not_repeated(farm: Farm, tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path, farm.config)
    for culprit, evidence, told in offences(farm).values():
        path = folder.keep(culprit, evidence, told)
        assert path is not None
        assert path.parent == tmp_path / FOLDER
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert judged(farm.config, PortableEvidence.from_json(path.read_bytes())).culprit == culprit
        assert folder.keep(culprit, evidence, told) is None
    assert folder.counts == {"member-3": 5, "member-5": 1, "client-1": 1}
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {
        "member-3.two-statements.view-8-slot-4.json",
        "member-3.broken-log.view-8-slot-5.json",
        "member-3.repetition.view-8-slot-9.json",
        "member-3.two-new-views.view-8.json",
        "member-3.wrong-new-view.view-8.json",
        "member-5.two-reports.view-8.json",
        "client-1.two-submissions.number-7.json",
    }
    again = EvidenceFolder(tmp_path, farm.config)
    assert again.counts == folder.counts
    assert all(again.keep(*offence) is None for offence in offences(farm).values())


def test_who_lies_without_end_does_not_fill_the_disk(farm: Farm, tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path, farm.config)
    for slot in range(1, 3 * FILES_PER_CULPRIT_MAX):
        folder.keep("member-5", two_words(farm, slot), history([]))
    assert len(list((tmp_path / FOLDER).iterdir())) == FILES_PER_CULPRIT_MAX
    assert folder.keep("member-4", two_words(farm, 1, member=3), history([])) is not None


def test_strange_files_in_the_folder_count_for_nobody(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    for name in ("member-5", "member-9.two-statements.view-1.json", ".member-5.x.y.json.part", "\udcff.json"):
        (tmp_path / FOLDER / name).write_bytes(b"")
    folder = EvidenceFolder(tmp_path, farm.config)
    assert not folder.counts
    assert folder.keep("member-5", two_words(farm, 1), history([])) is not None


def test_what_cannot_be_kept_is_logged_and_stops_nothing(
    farm: Farm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    folder = EvidenceFolder(tmp_path, farm.config)
    for _ in range(3):
        assert folder.keep("member-5", two_words(farm, 1), history([])) is None
    assert not folder.counts
    unsigned = TwoStatements(*(replace(word, signature=b"") for word in (two_words(farm, 1).first,) * 2))
    assert EvidenceFolder(tmp_path / "home", farm.config).keep("member-5", unsigned, history([])) is None
    evidence, _ = repetition(farm, 6, 9, 3)
    assert EvidenceFolder(tmp_path / "home", farm.config).keep("member-3", evidence, history([])) is None
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    assert all("could not be kept" in record.getMessage() for record in caplog.records)
    assert not (tmp_path / "home").exists()
    for slot in range(1, 3 * FILES_PER_CULPRIT_MAX):  # no liar fills the log with what a full disk refuses
        folder.keep("member-4", two_words(farm, slot, member=3), history([]))
    assert len(caplog.records) == 3 + FILES_PER_CULPRIT_MAX


def test_a_server_keeps_counts_and_tells(
    farm: Farm, tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """From the bytes on the link to the file: what two members relay convicts their leader."""
    home = Path(shutil.copytree(farm.member_home(5), tmp_path / "home"))
    proposals = []
    for number in (1, 2):
        batch = Batch.of([farm.submission(number)], int(1000 * time.time()))
        root = EMPTY.append(slot_leaf(1, batch.digest)).root
        proposals.append(encode(propose(farm, 1, batch, root, signer=0, view=0)))
    expected = home / FOLDER / "member-1.two-statements.view-0-slot-1.json"

    async def scenario() -> None:
        for _ in range(2):  # and again after a restart: one file, counted
            server = Server.open(home, PASSPHRASE)
            try:
                for _ in range(3):
                    for sender, data in zip((1, 2), proposals, strict=True):
                        server.term.receiver.received(sender, data)
                server.term.receiver.serve(lambda: 0.0)
                server.term.turn()
                assert {member for member, _ in server.term.log.offences} == {0}
                assert server._evidence.counts == {"member-1": 1}
            finally:
                await server.stop()

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert judged(farm.config, PortableEvidence.from_json(expected.read_bytes())).culprit == "member-1"
    (line,) = [record for record in caplog.records if str(expected) in record.getMessage()]
    assert (line.levelno, line.name) == (logging.WARNING, "alliance.server")
    assert [path.name for path in (home / FOLDER).iterdir()] == [expected.name]
