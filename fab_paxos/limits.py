"""Bounds on everything that comes from outside, each with its reason.

They are part of the protocol: a batch over a limit is refused by every correct member, so all members
must hold the same values.
"""

from __future__ import annotations

COMMAND_BYTES_MAX = 256 * 1024
"""A command is an instruction, not a file: put large data elsewhere and order its digest."""

SUBMISSION_COMMANDS_MAX = 4096
"""One client signature then covers enough commands that its cost per command vanishes."""

SUBMISSION_BYTES_MAX = 512 * 1024
"""At least one largest command fits, and two submissions fit into a batch."""

BATCH_BYTES_MAX = 1024 * 1024
"""About one flush of a journal: larger batches add latency and no throughput."""

BATCH_SUBMISSIONS_MAX = 4096
"""Keeps a batch path at 12 hashes and bounds the signatures checked for one proposal."""

WINDOW_SLOTS = 128
"""Slots that an acceptor keeps above the certified one: with the batch size, its memory (128 MiB)."""

PROPOSE_AHEAD_SLOTS = WINDOW_SLOTS // 2
"""A leader stays this near to its certified slot, so that members a little behind it still follow."""

TIME_MS_MAX = 2**48
"""A time stamp of a batch, in milliseconds since 1970: enough for 8,900 years, and exact in any language."""

PIPELINE_SLOTS = 4
"""Undecided proposals under way: hides one round trip; further ones would only make smaller batches."""

CERTIFICATE_SLOTS = 32
"""Without any flag of the leader, members endorse at least so often."""

CHECKPOINT_SLOTS = 1024
"""Slots from one checkpoint to the next: what a restart reads again, and how far below a pruned log ends."""

STATE_PART_BYTES = 1024 * 1024
"""A checkpoint's state is sent in parts of this size; each part is checked by itself."""

STATE_ITEMS_MAX = 65536
"""Clients of which a checkpoint may speak: bounds the list of hashes that announces its state (2 MiB)."""

CLIENT_WINDOW = 1024
"""Sequence numbers that are remembered for each client; older ones count as expired."""

POOL_SUBMISSIONS_MAX = 256
"""Submissions of one client that wait at one member: a flooding client fills only its own queue."""

POOL_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of one client that wait at one member."""

POOLS_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of all clients together that wait at one member. Beyond it only clients that have nothing waiting get
a submission in, so that no crowd keeps a single client out."""

FETCH_PROPOSALS_MAX = 16
"""Proposals sent in answer to one Fetch; who is behind asks again."""

SHARES_PER_BEAT = 2
"""Shares of one member and slot that may spoil a combination within a heartbeat: the first, and the one that
should have brought its proof."""
