"""Bounds on what others may make a server hold, each with its reason.

They are each server's own: members may differ in them.
"""

from __future__ import annotations

from alliance.wire.bounds import ENVELOPE_BYTES_MAX

CONNECTIONS_MAX = 2048
"""Connections of one process, those of strangers included: one that is silent costs some 40 KB."""

CONNECTIONS_PART = 0.7
"""So much of its file descriptors a process gives to those who connect; the rest is for files and peers."""

STRANGERS_PER_ADDRESS_MAX = 128
"""Connections of one address that nobody of the alliance has shown to be its own. The oldest are closed."""

STRANGERS_SUSPECT_MAX = 2
"""The same of an address from which somebody was cut off within BARRED_SECONDS."""

HANDSHAKE_SECONDS = 5.0
"""A connection that has made no call by then is closed."""

CONNECTIONS_PER_HOLDER_MAX = 128
"""A client's folder may serve as many commands that run at the same time."""

CALLS_PER_CONNECTION_MAX = 32
"""Further ones wait at the caller, as HTTP/2 has it."""

CALLS_PER_HOLDER_MAX = 64
"""Open calls of one party, of all methods together: more than its processes need, fewer than would hurt."""

CALLS_MAX = 2048
"""Open calls of a process. Beyond it only parties that have none get one, so that no crowd keeps one out."""

CALLS_PENDING_MAX = 32
"""Calls that wait to be looked at: what a busy process looks at within a tenth of a second."""

WINDOW_BYTES = 256 * 1024
"""What gRPC takes of a call before its handler reads (``grpc.http2.lookahead_bytes``). What is longer takes a
round trip more."""

REQUEST_BYTES_MAX = 64 * 1024
"""A request of a method that is not named below."""

SUBMISSIONS_BYTES_MAX = 1024 * 1024 + 16 * 1024
"""A frame of submissions: two of the largest."""

ORDER_BYTES_MAX = 2 * 1024 * 1024
"""What is asked of a signing desk: a receipt as JSON, whose bytes are in base 64 or in hexadecimal."""

METHOD_BYTES_MAX = {
    "/alliance.v1.Client/Submit": SUBMISSIONS_BYTES_MAX,
    "/alliance.v1.Peer/Exchange": ENVELOPE_BYTES_MAX,
    "/alliance.v1.Signing/Share": ORDER_BYTES_MAX,
}
"""The largest message that is read, by method."""

CONNECTION_BYTES_MAX = 16 * 1024 * 1024
"""Bytes in flight of one connection: some of the largest frames."""

CLIENT_BYTES_MAX = 24 * 1024 * 1024
"""Bytes in flight of one client, on all of its connections."""

MEMBER_BYTES_MAX = 32 * 1024 * 1024
"""Bytes in flight of one member: its envelopes are larger."""

PROCESS_BYTES_MAX = 128 * 1024 * 1024
"""Bytes in flight of all together. Beyond it whoever has most is cut off."""

DIALLED_BYTES_MAX = 64 * 1024 * 1024
"""Bytes that have come on a connection that this process has dialled, and that make no whole message yet."""

SLACK_BYTES = 256 * 1024
"""What a connection may have in flight besides its calls: a handshake, headers, calls about to begin."""

CALL_BYTES = 512
"""Headers of a call: counted when they come in, and not in flight."""

MESSAGE_BYTES = 64
"""Frames of a message, in the same way."""

OVERHEAD = 64
"""And one byte in so many for the records of TLS."""

LEAK_BYTES_PER_SECOND = 16 * 1024
"""What a connection brings that is no message: pings, updates of windows. So much is taken off unseen."""

BARRED_SECONDS = 5.0
"""Whoever was cut off is not served for so long."""

REQUEST_SECONDS = 10.0
"""The request of a call that has one is to arrive within this time."""

IDLE_SECONDS = 60.0
"""A client's stream that brings nothing for so long is ended; the client opens another when it needs one."""

TAKEN_SECONDS = 20.0
"""The call of somebody who does not take an answer within this time is reset."""
