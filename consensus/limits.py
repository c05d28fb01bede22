"""Bounds that engines share, and those on changes of who takes part, each with its reason.

They are part of the protocol: what the log says takes effect by them, so all members must hold the same
values.
"""

from __future__ import annotations

WINDOW_SLOTS = 128
"""Slots that an acceptor keeps above the certified one: with the batch size, its memory (128 MiB). What the
log says of clients and epochs takes effect so many slots later: until then everybody has decided it."""

CLIENT_IDS_MAX = 32768
"""Clients that an alliance ever has, with those removed and other keys that are gone: half of the items of a
checkpoint's state. Each organisation has an equal part."""

EDITS_MAX = 8
"""Edits and proposals of one organisation within EDIT_SLOTS: one in 1,024 slots, and some in a row."""

EDIT_SLOTS = 8192
"""After so many slots an organisation has its EDITS_MAX again."""

EDIT_MS = 600_000
"""So it has after so much agreed time: in an idle log, slots pass slowly."""

OPERATIONS_MAX = 512
"""Operations of one edit or change: all members and organisations of the largest alliance."""

APPLICATIONS_MAX = 64
"""Applications of one member that have addresses of their own."""

CERTIFICATE_BYTES_MAX = 1024
"""The certificate of an identity: some 420 bytes, and a name."""

RECEIVER_BYTES_MAX = 4096
"""A receiver key: one for shared keys of 8192 bits has 3482."""

OPEN_CHANGES_MAX = 2
"""Changes of one organisation that wait for approval: no operator fills the state for the others."""

DEADLINE_SLOTS = 10_000
"""So many slots an attempt at a change has at least: after an outage, agreed time may leap."""

OVERLOOKED_MS = 16_000
"""So long a leader may overlook what waits until it is suspected (``overlooked_heartbeats`` of an engine). An
attempt at a change has so much agreed time for each of f faulty leaders, and twice as much besides."""

ATTEMPTS_MAX = 3
"""Attempts at handing the keys on, after which a change is aborted and proposed anew, or not."""

RECOVERY_ATTEMPT = ATTEMPTS_MAX
"""The number of the attempt in which shares are dealt by an act of recovery: of none that is in the log."""

RECOVERIES_MAX = 64
"""Of one alliance in its life: their acts stay in the state."""

KEY_CHANGES_MAX = 64
"""Times that an alliance gets other public keys: every one is in the proof of each later membership."""

DEALT_MEMBERS_MAX = 31
"""Members that keys are handed on to: more would take minutes, and megabytes of the log."""
