"""Mutual TLS with pinned identities: who is at the other end, by certificate and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar, cast

import grpc
import grpc.aio
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import DecodeError

from alliance.config.file import AllianceConfig
from alliance.config.identity import read_certificate
from alliance.config.parties import Client, Member, Party
from alliance.keys.channel import ChannelKey, Credentials, is_certified_by
from alliance.net import dialled, forks
from alliance.net.problems import plainly
from alliance.wire.bounds import ENVELOPE_BYTES_MAX

_COMMON: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", ENVELOPE_BYTES_MAX),
    ("grpc.max_send_message_length", ENVELOPE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A megabyte could become a thousand, and its length is looked at afterwards.
    ("grpc.per_message_decompression", 0),
]
SERVER_OPTIONS: list[tuple[str, Any]] = [
    *_COMMON,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
]
CLIENT_OPTIONS: list[tuple[str, Any]] = [
    *_COMMON,
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Not a pause, but how long one attempt may take: some round trips to the other side of the world.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # Also how much longer a program may take to end, since gRPC waits for the pause that it is in.
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]

PROTOCOL = "2"
_PROTOCOL_KEY = "alliance-protocol"
GREETING = ((_PROTOCOL_KEY, PROTOCOL),)
"""The metadata with which a caller opens a stream, and the initial metadata with which a server takes it up.
gRPC also gives a caller empty metadata when there is no connection at all or the call was refused, so their
arrival alone says nothing."""

CONNECT_SECONDS = 3.0
CERTIFICATES_KEPT = 4096


class NotServed(Exception):
    """The other side did not take up the stream; the text is one line and says why."""


class OtherProtocol(NotServed):
    """The other side speaks another version of the protocol."""


Parsed = TypeVar("Parsed", covariant=True)


class _MessageType(Protocol[Parsed]):
    def FromString(self, data: bytes) -> Parsed: ...  # noqa: N802


def parser(kind: _MessageType[Parsed]) -> Callable[[bytes], Parsed | None]:
    """A deserializer that gives None for bytes that are no such message.

    One that raises would have gRPC print a traceback and hand out None all the same.
    """

    def parse(data: bytes) -> Parsed | None:
        try:
            return kind.FromString(data)
        except DecodeError:
            return None

    return parse


async def established(call: Any) -> None:
    """Waits until the other side serves this stream. Raises NotServed, after CONNECT_SECONDS if it must,
    and OtherProtocol.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            metadata = tuple(await call.initial_metadata())
            if not any(key == _PROTOCOL_KEY for key, _ in metadata):
                code, details = await call.code(), await call.details()
                raise NotServed(one_line(plainly(f"{code.name.lower()}: {details}")))
            if problem := protocol_problem(metadata):
                raise OtherProtocol(problem)
    except TimeoutError:
        raise NotServed(f"no answer within {CONNECT_SECONDS:g} s") from None
    except grpc.aio.AioRpcError as error:
        raise NotServed(one_line(error.details() or error.code().name.lower())) from None


def hang_up(call: Any) -> None:
    """Ends a stream that was written to, whatever has become of it.

    gRPC takes one of whose messages could not be sent for done, and does not cancel it any more. If the other
    side ended it with messages that were not read, gRPC waits for somebody to read them, and it, they, and a
    task would be kept for ever.
    """
    if not call.cancel():
        call._cython_call.cancel("hung up")


def protocol_problem(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Empty if who sent this greeting speaks our protocol; otherwise what to do, in one line."""
    theirs = dict(metadata).get(_PROTOCOL_KEY, "1")  # version 0.1.0 opened streams without a greeting
    if theirs == PROTOCOL:
        return ""
    return (
        f"it speaks protocol {one_line(str(theirs))[:20]}, this side {PROTOCOL}: they have different"
        " versions of alliance; install the newer one on both sides"
    )


async def require_protocol(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Ends a stream of a caller that speaks another protocol, which is told why."""
    if problem := protocol_problem(context.invocation_metadata() or ()):
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"the caller cannot be served: {problem}")


def one_line(text: str) -> str:
    """A stranger's text, fit for a log or a terminal: printable, one line, 200 characters at most."""
    return "".join(character if character.isprintable() else " " for character in text[:200]).strip()


def server_credentials(identities: Identities, mine: Credentials) -> grpc.ServerCredentials:
    """Only the members and clients of this alliance get through the handshake.

    Each handshake is made with the certificate, and with the parties, that count at the time.
    """
    served: tuple[ChannelKey, bytes] = mine.channel(), identities.roots

    def configuration(channel: ChannelKey, roots: bytes) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(channel.key_pem, channel.certificate_pem)], roots)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        """None: what there is will do. gRPC asks at each handshake, in a thread of its own."""
        nonlocal served
        channel, roots = now = mine.channel(), identities.roots
        if channel is served[0] and roots is served[1]:
            return None
        served = now
        return configuration(channel, roots)

    return grpc.dynamic_ssl_server_credentials(configuration(*served), renewed, True)  # type: ignore[arg-type]


def bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials) -> bool:
    """Whether the server can listen there."""
    try:
        return server.add_secure_port(address, credentials) != 0
    except RuntimeError:
        return False


def open_channel(member: Member, mine: Credentials) -> grpc.aio.Channel:
    """A channel that only this member can answer. Raises RuntimeError as ``use_grpc``."""
    return _open(member, mine.channel())


def _open(member: Member, channel: ChannelKey) -> grpc.aio.Channel:
    forks.use_grpc()
    credentials = grpc.ssl_channel_credentials(
        member.certificate.public_bytes(Encoding.PEM), channel.key_pem, channel.certificate_pem
    )
    options = [*CLIENT_OPTIONS, ("grpc.ssl_target_name_override", member.name)]
    bare = grpc.aio.secure_channel(member.address, credentials, options)
    return cast("grpc.aio.Channel", dialled.Channel(bare, member.name, member.address))


LEAVING_SECONDS = 10.0
"""Calls to who is no member any more may go on for so long; then they are cancelled."""


class Channels:
    """Channels to members, opened when first used, and another when the certificate for them is renewed.

    What was begun on a channel goes on there, as long as it leads to a member.
    """

    def __init__(self, mine: Credentials) -> None:
        self._mine = mine
        self._open: dict[tuple[bytes, str], tuple[ChannelKey, grpc.aio.Channel]] = {}
        self._retired: list[tuple[bytes, grpc.aio.Channel]] = []
        self._members: frozenset[bytes] | None = None  # None: whoever is asked for
        self._leaving: dict[asyncio.Task[None], grpc.aio.Channel] = {}

    def __len__(self) -> int:
        return len(self._open)

    def to(self, member: Member) -> grpc.aio.Channel:
        """Raises RuntimeError as ``use_grpc``."""
        there, mine = (member.identity, member.address), self._mine.channel()
        held = self._open.get(there)
        if held is not None:
            if held[0] is mine:
                return held[1]
            self._retired.append((member.identity, held[1]))
        channel = _open(member, mine)
        if self._members is None or member.identity in self._members:
            self._open[there] = mine, channel
        else:  # it went a moment ago, and the caller does not know yet
            self._leave(channel)
        return channel

    def keep_to(self, config: AllianceConfig) -> None:
        """As ``leave_others``, and to who is none of these members no connection is kept from now on."""
        self._members = frozenset(member.identity for member in config.members)
        self.leave_others(config)

    def leave_others(self, config: AllianceConfig) -> None:
        """Ends the connections to all who are none of these members, when their calls have had a moment."""
        members = frozenset(member.identity for member in config.members)
        gone = [channel for identity, channel in self._retired if identity not in members]
        self._retired = [held for held in self._retired if held[0] in members]
        for there in [there for there in self._open if there[0] not in members]:
            gone.append(self._open.pop(there)[1])
        for channel in gone:
            self._leave(channel)

    def _leave(self, channel: grpc.aio.Channel) -> None:
        async def leave() -> None:
            await asyncio.sleep(LEAVING_SECONDS)
            await channel.close()

        task = asyncio.ensure_future(leave())
        self._leaving[task] = channel
        task.add_done_callback(self._leaving.pop)

    async def close(self) -> None:
        leaving = dict(self._leaving)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        held = [channel for _, channel in (*self._retired, *self._open.values())]
        self._open.clear()
        self._retired.clear()
        for channel in (*held, *leaving.values()):
            await channel.close()


class Identities:
    """From a connection to the member or client whose identity certified it.

    A party that will be a member, and is none yet, counts as a client. ``roots`` are the certificates of all
    of them, in PEM (another object when there are others), and ``parties`` their identities.
    """

    def __init__(self, config: AllianceConfig) -> None:
        self.update(config)

    def update(
        self, config: AllianceConfig, incoming: Sequence[Client] = (), former: Sequence[Member] = ()
    ) -> None:
        """These are the members and clients from now on. ``former`` members are known as such and no more."""
        parties: list[Party] = [*incoming, *config.clients, *config.members]
        gone = {member.identity: member for member in former}
        gone = {identity: gone[identity] for identity in gone.keys() - {party.identity for party in parties}}
        self._former = frozenset(gone)
        self._by_issuer = {party.certificate.subject: party for party in (*gone.values(), *parties)}
        self._members = {member.identity: index for index, member in enumerate(config.members)}
        self._party_of = lru_cache(CERTIFICATES_KEPT)(self._look_up)
        kept = (*gone.values(), *parties)
        self.roots = b"".join(party.certificate.public_bytes(Encoding.PEM) for party in kept)
        self.parties = frozenset(party.identity for party in parties)

    def member(self, context: grpc.aio.ServicerContext[Any, Any]) -> int | None:
        """The member's index, or None when somebody else is at the other end."""
        party = self.known(context)
        return None if party is None else self._members.get(party.identity)

    def client(self, context: grpc.aio.ServicerContext[Any, Any]) -> Party | None:
        party = self.known(context)
        return None if party is None or party.identity in self._members else party

    def known(self, context: grpc.aio.ServicerContext[Any, Any]) -> Party | None:
        """The member or client, or None when somebody else is at the other end."""
        party = self._party(context)
        return None if party is None or party.identity in self._former else party

    def former(self, context: grpc.aio.ServicerContext[Any, Any]) -> Party | None:
        """Who was a member of an earlier epoch and is none of this one, or None."""
        party = self._party(context)
        return party if party is not None and party.identity in self._former else None

    def _party(self, context: grpc.aio.ServicerContext[Any, Any]) -> Party | None:
        for pem in context.auth_context().get("x509_pem_cert", ()):
            return self._party_of(pem)
        return None

    def _look_up(self, pem: bytes) -> Party | None:
        """Each call on a connection brings the same certificate: it is checked once.

        gRPC tells of the certificate that opened the connection and not of who certified it.
        """
        try:
            certificate = read_certificate(pem)
        except ValueError:
            return None
        party = self._by_issuer.get(certificate.issuer)
        return party if party is not None and is_certified_by(party, certificate) else None
