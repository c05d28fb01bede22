"""Wrong versions of what a member remembers: the order of saying and writing, the journal, and its starts."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_J = "alliance.storage.journal:Journal"
_CLAIM = "alliance.storage.journal_claim:"
_FILE = "alliance.storage.checkpoint_file:CheckpointFile"
_REPLAY = "alliance.storage.journal_replay:"
_ROWS = "alliance.storage.journal_records:"
_I = "alliance.server.incarnation:Incarnation"
_MARK = "alliance.storage.journal_marker:Mark"
_FILES = "alliance.storage.journal_files:"
_CHECK = "alliance.storage.journal_check:JournalCheck"
_LATEST = "alliance.server.latest_statements:LatestStatements"


def _bug(name: str, *edits: Edit, harmless: str = "") -> Bug:
    return Bug(name, "journal", edits, harmless)


def _start(name: str, *edits: Edit) -> Bug:
    return Bug(name, "starts", edits)


WRITING = [
    _bug(
        "a reply leaves before the sync",
        at(
            "alliance.server.driver:Driver.turn",
            "for effect in effects:\n        _CARRY_OUT[type(effect)](self._world, effect)",
            "pass",
            "if self._late and",
            "for effect in effects:\n        _CARRY_OUT[type(effect)](self._world, effect)\n"
            "    if self._late and",
        ),
    ),
    _bug(
        "what was put off is not written before the journal is read",
        at(
            "alliance.server.driver:_needs_the_journal",
            "return type(effect) in READS_JOURNAL",
            "return False",
        ),
    ),
    _bug(
        "an entry may be put off",
        at("alliance.server.driver:_needs_the_journal", "return not lazily", "return False"),
    ),
    _bug("commits are not synced", at(f"{_J}._open", "PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF")),
    _bug(
        "half a group of records may survive",
        at(
            f"{_J}.append",
            "self._position = self._write(record, self._position)",
            "self._position = self._write(record, self._position)\n"
            '            self._db.execute("COMMIT"); self._db.execute("BEGIN")',
        ),
    ),
    _bug(
        "after a failed write the next one is taken",
        at(f"{_J}._durably", "if self._failed:", "if False:"),
    ),
    _bug(
        "the position is not written",
        at(f"{_J}.append", 'self._write_note("position", self._position.pack())', "pass"),
    ),
    _bug("an entry that is replaced stays", at(f"{_J}._write", "INSERT OR REPLACE", "INSERT OR IGNORE")),
    _bug(
        "a cut is not carried out",
        at(f"{_J}._write", 'self._db.execute("DELETE FROM entries WHERE slot > ?", (slot,))', "pass"),
    ),
    _bug(
        "the silence after a cut is not written",
        at(
            f"{_J}._write",
            "last=min(position.last, slot), muted_up_to=muted_up_to",
            "last=min(position.last, slot)",
        ),
    ),
    _bug(
        "a new view keeps the old NewView's digest",
        at(f"{_J}._write", 'new_view=b"", muted_up_to=0', "silent=0"),
    ),
    _bug("the election proof is not kept", at(f"{_J}._write", "election=proof", 'election=b""')),
    _bug(
        "a certificate from beyond the log replaces that of the log",
        at(
            f"{_J}._write",
            "proven=slot, beyond=pack_certificate(certificate)",
            "proven=slot, certificate=pack_certificate(certificate)",
        ),
    ),
    _bug(
        "a leap leaves the old log in place",
        at(f"{_J}._write", "self._write_base(checkpoint.snapshot.frontier)", "pass"),
    ),
    _bug(
        "clients that changed since the last checkpoint are not written",
        at(f"{_FILE}.save", "for first in range(0, len(changed), PORTION_ITEMS):", "for first in ():"),
    ),
    _bug(
        "pruning forgets one slot too many",
        at(f"{_J}._write_base", "WHERE slot <= ?", "WHERE slot <= 1 + ?"),
    ),
]

_EPOCHS = "alliance.storage.journal_epochs:"
_ENTRY = "alliance.storage.epoch_entry:"

ENTERING = [
    _bug(
        "what was heard in the epoch before is kept",
        at(f"{_J}._enter", "WHERE key = ? OR key GLOB ?", "WHERE key = ? AND key <> ?"),
    ),
    _bug(
        "the view of the epoch before goes on",
        at(f"{_EPOCHS}EpochRecord.enter", "last=slot, epoch", "last=slot, view=position.view, epoch"),
    ),
    _bug(
        "the end of an epoch is taken as a base in the next",
        at(
            f"{_REPLAY}_state",
            "certificate if certificate is None or certificate.epoch == position.epoch else None",
            "certificate",
        ),
    ),
    _bug(
        "an epoch begins from a log that is not the decided one",
        at(
            f"{_EPOCHS}EpochRecord.__post_init__",
            "(self._decision.slot, self._decision.root) == (begins.slot, begins.root)",
            "True",
        ),
    ),
    _bug(
        "an epoch begins from another state than was certified",
        at(
            f"{_EPOCHS}EpochRecord.__post_init__",
            "Checkpoint(self.checkpoint.snapshot, self.membership.certificate)",
            "pass",
        ),
    ),
    _bug(
        "an epoch begins again",
        at(f"{_EPOCHS}EpochRecord.enter", "membership.epoch <= position.epoch or ", ""),
    ),
    _bug(
        "an epoch begins before what was certified in another",
        at(f"{_EPOCHS}EpochRecord.enter", " or slot < position.proven", ""),
    ),
    _bug(
        "the member's files change before its journal does",
        at(
            f"{_ENTRY}enter",
            "journal.append([*before, record])\n    _finish(folder, config, journal.shares)",
            "_finish(folder, config, record.shares)\n    journal.append([*before, record])",
        ),
    ),
    _bug(
        "the shares of the epoch before are kept",
        at(f"{_ENTRY}_finish", "if earlier < counting:", "if False:"),
    ),
]

READING = [
    _bug(
        "the seal of an entry is not checked",
        at(
            f"{_ROWS}sealed",
            "if seal != _entry_seal(slot, view, root, digest, signature):",
            "if False:",
        ),
    ),
    _bug(
        "the seal leaves out the view",
        at(f"{_ROWS}_entry_seal", '">QQI", slot, view, len(root)', '">QQI", slot, 0, len(root)'),
    ),
    _bug(
        "the batch of an entry is not compared with its digest",
        at(f"{_ROWS}opened", "if batch.digest != digest:", "if False:"),
    ),
    _bug(
        "the seals of the journal's notes are not checked",
        at(f"{_J}._read_note", "if row[1] != note_seal(key, value):", "if False:"),
    ),
    _bug(
        "a lost end of the log goes unnoticed",
        at(f"{_REPLAY}replay", "if expected - 1 != position.last:", "if False:"),
    ),
    _bug(
        "a missing entry goes unnoticed",
        at(f"{_REPLAY}replay", "if row[0] != expected:", "if False:"),
        harmless="the entries are counted, and their roots compared, too",
    ),
    _bug(
        "the clients' windows are not replayed",
        at(f"{_REPLAY}replay", "windows.admit(entry.slot, submission)", "True"),
    ),
    _bug(
        "the log is not compared with its checkpoint",
        at(
            f"{_REPLAY}_read_heads",
            "if log.size != checkpoint.slot or log.root() != checkpoint.snapshot.frontier.root:",
            "if False:",
        ),
        harmless="each row is sealed, and the newest certificate compared with the log",
    ),
    _bug(
        "a lost journal is taken for a new one",
        at(f"{_MARK}.check_files", "self.reached is not None and self.reached.commits", "False"),
        at(f"{_MARK}.check_commits", "self.reached is not None and known < self.reached.commits", "False"),
        at(f"{_MARK}.check", "self.reached is not None and not known.covers(self.reached)", "False"),
        at(
            f"{_CLAIM}claim",
            'db.execute("PRAGMA page_count").fetchone()[0] > 1 or used',
            "False",
        ),
    ),
    _bug(
        "damage in the WAL is taken for a torn tail",
        at(f"{_FILES}_check_behind", "if commits is not None:", "if False:"),
    ),
    _bug(
        "a bad frame of the WAL goes unnoticed beside a good one",
        at(f"{_FILES}_good_frames", "range(first, high, 2)", "range(first, high, 3)"),
    ),
    _bug(
        "a WAL whose header is damaged is taken for an empty one",
        at(f"{_FILES}_read_wal", 'if any(part.strip(b"\\0")', 'if False and any(part.strip(b"\\0")'),
    ),
    _bug(
        "pages that are in no file are not missed",
        at(f"{_FILES}_check_main", "if missing:", "if False:"),
        harmless="SQLite does not open a main file that is shorter than it says",
    ),
    _bug(
        "a member without its mark goes on",
        at(f"{_MARK}.check_files", "self.reached is None and (here or wal.exists())", "False"),
    ),
    _bug(
        "a running member does not compare its log with the certified one",
        at(f"{_CHECK}.portion", "self._read.root != self._goal.root", "False"),
    ),
    _bug(
        "a certificate of another log is passed over",
        at(f"{_CHECK}.compare", "ours is not None and ours != theirs.root", "False"),
    ),
    _bug(
        "another member's journal is taken",
        at(f"{_CLAIM}claim", 'if read_note("member") != member:', "if False:"),
    ),
]

STARTS = [
    _start(
        "an older journal passes for the newest",
        at(f"{_MARK}.check_commits", "self.reached is not None and known < self.reached.commits", "False"),
        at(f"{_MARK}.check", "self.reached is not None and not known.covers(self.reached)", "False"),
    ),
    _start(
        "the mark is not written",
        at(f"{_J}._durably", "self._mark.write(self._reached)", "pass"),
    ),
    _start(
        "the mark is written before the journal",
        at(
            f"{_J}._durably",
            'self._db.execute("COMMIT")\n        self._commits += 1',
            'self._commits += 1; self._mark.write(self._reached)\n        self._db.execute("COMMIT")',
        ),
    ),
    _start(
        "both records of the mark are written in one place",
        at(f"{_MARK}.write", "reached.commits % 2 * BLOCK_BYTES", "0"),
    ),
    _start(
        "a journal without a name is written on",
        at(f"{_J}._durably", "self.check_presence()", "pass"),
    ),
    _start(
        "what was heard is not made durable",
        at(f"{_J}.append", "for key, value in (notes or {}).items():", "for key, value in ():"),
    ),
    _start(
        "a vote takes the place of a proposal that was heard",
        at(f"{_LATEST}.note", "isinstance(statement, ProposeStatement)", "False"),
    ),
    _start(
        "a start is not counted",
        at(f"{_J}.begin", 'self._write_note("starts", self._starts.pack())', "pass"),
    ),
    _start(
        "any session passes for one of this journal",
        at(f"{_ROWS}Starts.include", "return end <= 0 or", "return True or"),
    ),
    _start(
        "what was said of a log that was cut is forgotten",
        at(
            f"{_ROWS}Position.accepted", "max((self.said_view, self.said_slot), (view, slot))", "(view, slot)"
        ),
    ),
    _start(
        "a word that the journal does not know is passed over",
        at(f"{_I}._examine", "if not known:", "if False:"),
    ),
    _start(
        "a peer's invented words stop a member",
        at(
            f"{_I}._examine",
            "shown.verify(self._config.members[self._me].identity_key, self._config.context)",
            "pass",
        ),
    ),
    _start(
        "a member that was doubted votes before all know of it",
        at(f"{_I}._settle", "system.member_count if self._doubted_by else system.report", "system.report"),
    ),
    _start(
        "a start that two peers took is passed over",
        at(
            "alliance.server.incarnation:passed_over_max",
            "max(0, min(system.faulty_max,",
            "1 + max(0, min(system.faulty_max,",
        ),
    ),
    _start(
        "a greeting need not be signed",
        at(
            f"{_I}._take",
            "came.verify(self._config.members[peer].identity_key, self._config.context)",
            "pass",
        ),
    ),
    _start(
        "a greeting for another peer is taken",
        at(f"{_I}._take", "(greeting.member, greeting.peer) != (peer, self._me)", "greeting.member != peer"),
    ),
    _start(
        "an older start may follow a newer one",
        at(f"{_I}._take", "if greeting.incarnation <= held.statement.incarnation:", "if False:"),
    ),
    _start(
        "two starts that greet at once are both taken",
        at(f"{_I}._take", "if held is not shown:", "if False:"),
    ),
    _start(
        "a greeting is not made durable",
        at(f"{_I}._take", "self._journal.keep(self._greeting_of(peer), came.pack())", "pass"),
    ),
    _start(
        "a member votes before enough peers know of its start",
        at(f"{_I}._settle", "else system.report", "else system.report - 1"),
    ),
]

JOURNAL = [*WRITING, *ENTERING, *READING, *STARTS]
