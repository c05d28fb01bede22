"""Wrong versions of a member's part in handing the keys on."""

from __future__ import annotations

from tests.campaigns.planted.planting import Bug, Edit, at

_KEYS = "quorum.redistribution:Redistribution"
_STEPS = "alliance.resharing.steps"
_WORK = "alliance.resharing.work"


def _bug(name: str, *edits: Edit) -> Bug:
    return Bug(name, "resharing", edits)


RESHARING = [
    _bug(
        "a kept dealing is posted for another change",
        at(f"{_WORK}:_deal", "not kept.startswith(redistribution.digest)", "False"),
    ),
    _bug(
        "shares of another change pass for those of this one",
        at(f"{_WORK}:_are_there", "note.transcript == digest_of(keys)", "True"),
    ),
    _bug(
        "a receiver key that was dealt to is the next one",
        at(f"{_WORK}:_next_receiver", "one not in task.reserved", "True"),
    ),
    _bug(
        "the next receiver's secret is not kept",
        at(f"{_WORK}:_next_receiver", "handover.keep_receiver(", "str("),
    ),
    _bug(
        "shares are not noted before they are written",
        at(f"{_WORK}:_receive", "handover.note_received(folder, generation, note)", "pass"),
    ),
    _bug(
        "shares that are under way are tidied up",
        at(
            f"{_STEPS}:tidy",
            "if one != waits_for and one.epoch == now + 1]\n    if",
            "if one.epoch == now + 1]\n    if",
        ),
    ),
    _bug(
        "what counts is judged by a state of the past",
        at(f"{_STEPS}:tidy", "counts.epoch > now", "False"),
    ),
    _bug(
        "a used receiver's secret stays",
        at(f"{_STEPS}:tidy", "used.append((note.receiver, successor, counts))", "pass"),
    ),
    _bug(
        "a receiver's secret goes before the log has the next one",
        at(f"{_STEPS}:tidy", "note.receiver != successor and ", ""),
        at(
            f"{_STEPS}:carry_out",
            "handover.erase_receiver(folder, used, successor, generation)",
            "(folder / handover.receiver_file(used)).unlink()",
        ),
    ),
    _bug(
        "who has dealt deals again",
        at(f"{_STEPS}:_dealing", "any(one.member == name for one in active.dealings)", "False"),
    ),
    _bug(
        "who has said that it is ready says so again",
        at(f"{_STEPS}:_receiving", "if name not in said:", "if True:"),
    ),
    _bug(
        "who is not ready at the end says so behind it",
        at(f"{_STEPS}:_receiving", "over = state.slot == state.end", "over = False"),
    ),
    _bug(
        "shares that came late do not count",
        at(f"{_STEPS}:due", "steps.append(Switch(arrived))", "pass"),
    ),
    _bug(
        "a late share is judged with the keys of now",
        at(
            "alliance.resharing.attempt:Attempt.that_was",
            "transcript.attempt,\n        before,",
            "transcript.attempt,\n        keys_of(config),",
        ),
    ),
    _bug(
        "the last attempt deals on with shares that are in doubt",
        at(
            "alliance.resharing.attempt:Attempt.redistribution",
            "restart=self.attempt == ATTEMPTS_MAX - 1",
            "restart=False",
        ),
    ),
    _bug(
        "the first bad dealing ends the judgement",
        at(f"{_KEYS}.judge", "continue", "break"),
    ),
]
