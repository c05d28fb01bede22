from alliance.pb import peer_pb2 as _peer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplyRequest(_message.Message):
    __slots__ = ("application", "slot", "client_seq", "command_index", "proven")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    COMMAND_INDEX_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    application: str
    slot: int
    client_seq: int
    command_index: int
    proven: bool
    def __init__(self, application: _Optional[str] = ..., slot: _Optional[int] = ..., client_seq: _Optional[int] = ..., command_index: _Optional[int] = ..., proven: bool = ...) -> None: ...

class SignedOutcome(_message.Message):
    __slots__ = ("status", "time_ms", "command_digest", "payload", "share", "rank", "count", "path", "epoch", "revision")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    status: int
    time_ms: int
    command_digest: bytes
    payload: bytes
    share: bytes
    rank: int
    count: int
    path: _containers.RepeatedScalarFieldContainer[bytes]
    epoch: int
    revision: int
    def __init__(self, status: _Optional[int] = ..., time_ms: _Optional[int] = ..., command_digest: _Optional[bytes] = ..., payload: _Optional[bytes] = ..., share: _Optional[bytes] = ..., rank: _Optional[int] = ..., count: _Optional[int] = ..., path: _Optional[_Iterable[bytes]] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class DigestsRequest(_message.Message):
    __slots__ = ("application",)
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    application: str
    def __init__(self, application: _Optional[str] = ...) -> None: ...

class StateDigest(_message.Message):
    __slots__ = ("slot", "digest")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    slot: int
    digest: bytes
    def __init__(self, slot: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class StateDigests(_message.Message):
    __slots__ = ("executed", "digests")
    EXECUTED_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    executed: int
    digests: _containers.RepeatedCompositeFieldContainer[StateDigest]
    def __init__(self, executed: _Optional[int] = ..., digests: _Optional[_Iterable[_Union[StateDigest, _Mapping]]] = ...) -> None: ...

class SnapshotsRequest(_message.Message):
    __slots__ = ("application", "proven")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    application: str
    proven: bool
    def __init__(self, application: _Optional[str] = ..., proven: bool = ...) -> None: ...

class SnapshotsReply(_message.Message):
    __slots__ = ("shares", "certificates")
    SHARES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[_peer_pb2.Certificate]
    certificates: _containers.RepeatedCompositeFieldContainer[_peer_pb2.Certificate]
    def __init__(self, shares: _Optional[_Iterable[_Union[_peer_pb2.Certificate, _Mapping]]] = ..., certificates: _Optional[_Iterable[_Union[_peer_pb2.Certificate, _Mapping]]] = ...) -> None: ...

class ChunkRequest(_message.Message):
    __slots__ = ("application", "slot", "tree", "index")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    application: str
    slot: int
    tree: bytes
    index: int
    def __init__(self, application: _Optional[str] = ..., slot: _Optional[int] = ..., tree: _Optional[bytes] = ..., index: _Optional[int] = ...) -> None: ...

class ChunkReply(_message.Message):
    __slots__ = ("data", "path")
    DATA_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    path: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, data: _Optional[bytes] = ..., path: _Optional[_Iterable[bytes]] = ...) -> None: ...
