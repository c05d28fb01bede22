"""Bounds on what is ordered and on what is kept for it, each with its reason.

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

TIME_MS_MAX = 2**48
"""A time stamp of a batch, in milliseconds since 1970: enough for 8,900 years, and exact in any language."""

STATE_PART_BYTES = 1024 * 1024
"""A checkpoint's state is sent in parts of this size; each part is checked by itself."""

LISTEN_PART_BYTES = 256 * 1024
"""The same for listeners, of whom a server has many: who reads slowly makes it hold no more than that."""

STATE_ITEM_BYTES_MAX = 64 * 1024
"""An item of a checkpoint's state, of whatever kind: a part of it is never more than this below its size."""

STATE_ITEMS_MAX = 65536
"""Items of a checkpoint's state, one for each client: bounds the list of hashes that announces it (2 MiB)."""

CLIENT_WINDOW = 1024
"""Sequence numbers that are remembered for each client; older ones count as expired."""

POOL_SUBMISSIONS_MAX = 256
"""Submissions of one client that wait at one member: a flooding client fills only its own queue."""

POOL_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of one client that wait at one member."""

POOLS_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of all clients together that wait at one member. Beyond it only clients that have nothing waiting get
a submission in, and organisations with less than SUBMISSION_BYTES_MAX waiting: no crowd keeps others out."""
