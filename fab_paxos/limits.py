"""Bounds of the engine, each with its reason; those on what it orders are in ``verifiable_log.limits``.

They are part of the protocol: a batch over a limit is refused by every correct member, so all members
must hold the same values.
"""

from __future__ import annotations

from consensus.limits import WINDOW_SLOTS as WINDOW_SLOTS

PROPOSE_AHEAD_SLOTS = WINDOW_SLOTS // 2
"""A leader stays this near to its certified slot, so that members a little behind it still follow."""

PIPELINE_SLOTS = 4
"""Undecided proposals under way: hides one round trip; further ones would only make smaller batches."""

CERTIFICATE_SLOTS = 32
"""Without any CertifyRequest of the leader, members endorse at least so often."""

CHECKPOINT_SLOTS = 1024
"""Slots from one checkpoint to the next: what a restart reads again, and how far below a pruned log ends."""

SNAPSHOT_ITEMS_PER_TURN = 16
"""Items of a checkpoint's state that are written down and hashed in one turn: 1 to 3 ms, and as nothing waits
for a checkpoint, it may take many turns."""

FETCH_PROPOSALS_MAX = 16
"""Proposals sent in answer to one Fetch; who is behind asks again."""

ANSWER_BYTES_PER_BEAT = 8 * 1024 * 1024
"""Bytes that one member gets within a heartbeat for asking: catching up has 16 MiB a second of each peer,
and asking for the sake of asking costs no more than that."""

SHARES_PER_BEAT = 2
"""Shares of one member and slot that may spoil a combination within a heartbeat: the first, and the one that
should have brought its proof."""
