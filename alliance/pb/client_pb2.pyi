from alliance.pb import peer_pb2 as _peer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Submissions(_message.Message):
    __slots__ = ("submissions",)
    SUBMISSIONS_FIELD_NUMBER: _ClassVar[int]
    submissions: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, submissions: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("slot", "index", "batch_size", "batch_path", "log_path", "time_ms")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    BATCH_PATH_FIELD_NUMBER: _ClassVar[int]
    LOG_PATH_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    slot: int
    index: int
    batch_size: int
    batch_path: _containers.RepeatedScalarFieldContainer[bytes]
    log_path: _containers.RepeatedScalarFieldContainer[bytes]
    time_ms: int
    def __init__(self, slot: _Optional[int] = ..., index: _Optional[int] = ..., batch_size: _Optional[int] = ..., batch_path: _Optional[_Iterable[bytes]] = ..., log_path: _Optional[_Iterable[bytes]] = ..., time_ms: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "detail")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Refusal.Reason]
        CONFLICT: _ClassVar[Refusal.Reason]
        EXPIRED: _ClassVar[Refusal.Reason]
        BUSY: _ClassVar[Refusal.Reason]
        INVALID: _ClassVar[Refusal.Reason]
        UNPROVEN: _ClassVar[Refusal.Reason]
    UNSPECIFIED: Refusal.Reason
    CONFLICT: Refusal.Reason
    EXPIRED: Refusal.Reason
    BUSY: Refusal.Reason
    INVALID: Refusal.Reason
    UNPROVEN: Refusal.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: Refusal.Reason
    detail: str
    def __init__(self, reason: _Optional[_Union[Refusal.Reason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("client_seq", "placement", "refusal")
    CLIENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    client_seq: int
    placement: Placement
    refusal: Refusal
    def __init__(self, client_seq: _Optional[int] = ..., placement: _Optional[_Union[Placement, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class Outcomes(_message.Message):
    __slots__ = ("certificate", "outcomes", "epoch", "revision")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    certificate: _peer_pb2.Certificate
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    epoch: int
    revision: int
    def __init__(self, certificate: _Optional[_Union[_peer_pb2.Certificate, _Mapping]] = ..., outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class ListenRequest(_message.Message):
    __slots__ = ("first_slot", "with_state")
    FIRST_SLOT_FIELD_NUMBER: _ClassVar[int]
    WITH_STATE_FIELD_NUMBER: _ClassVar[int]
    first_slot: int
    with_state: bool
    def __init__(self, first_slot: _Optional[int] = ..., with_state: bool = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PeerStatus(_message.Message):
    __slots__ = ("name", "connected", "rejected", "alarm")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    ALARM_FIELD_NUMBER: _ClassVar[int]
    name: str
    connected: bool
    rejected: int
    alarm: str
    def __init__(self, name: _Optional[str] = ..., connected: bool = ..., rejected: _Optional[int] = ..., alarm: _Optional[str] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("culprit", "files")
    CULPRIT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    culprit: str
    files: int
    def __init__(self, culprit: _Optional[str] = ..., files: _Optional[int] = ...) -> None: ...

class Offence(_message.Message):
    __slots__ = ("member", "name", "times")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    member: str
    name: str
    times: int
    def __init__(self, member: _Optional[str] = ..., name: _Optional[str] = ..., times: _Optional[int] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("name", "version", "view", "leader", "accepted", "decided", "certified", "uptime_seconds", "peers", "blamed", "evidence", "offences", "epoch", "revision", "clients", "without_share", "certificate_expires", "connections", "connections_max", "calls", "calls_max", "bytes_in_flight", "bytes_in_flight_max", "descriptors", "descriptors_max", "calls_refused", "connections_cut", "clock_ahead_ms", "suspected", "journal_checked", "journal_checked_seconds_ago", "filled", "applications", "refresh_hindrance")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    CERTIFIED_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    BLAMED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    OFFENCES_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_SHARE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_EXPIRES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_MAX_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CALLS_MAX_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FLIGHT_MAX_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_MAX_FIELD_NUMBER: _ClassVar[int]
    CALLS_REFUSED_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_CUT_FIELD_NUMBER: _ClassVar[int]
    CLOCK_AHEAD_MS_FIELD_NUMBER: _ClassVar[int]
    SUSPECTED_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_CHECKED_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_CHECKED_SECONDS_AGO_FIELD_NUMBER: _ClassVar[int]
    FILLED_FIELD_NUMBER: _ClassVar[int]
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    REFRESH_HINDRANCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    view: int
    leader: str
    accepted: int
    decided: int
    certified: int
    uptime_seconds: float
    peers: _containers.RepeatedCompositeFieldContainer[PeerStatus]
    blamed: _containers.RepeatedScalarFieldContainer[str]
    evidence: _containers.RepeatedCompositeFieldContainer[Evidence]
    offences: _containers.RepeatedCompositeFieldContainer[Offence]
    epoch: int
    revision: int
    clients: int
    without_share: bool
    certificate_expires: int
    connections: int
    connections_max: int
    calls: int
    calls_max: int
    bytes_in_flight: int
    bytes_in_flight_max: int
    descriptors: int
    descriptors_max: int
    calls_refused: int
    connections_cut: int
    clock_ahead_ms: int
    suspected: _containers.RepeatedScalarFieldContainer[str]
    journal_checked: int
    journal_checked_seconds_ago: float
    filled: int
    applications: _containers.RepeatedCompositeFieldContainer[ApplicationStatus]
    refresh_hindrance: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., view: _Optional[int] = ..., leader: _Optional[str] = ..., accepted: _Optional[int] = ..., decided: _Optional[int] = ..., certified: _Optional[int] = ..., uptime_seconds: _Optional[float] = ..., peers: _Optional[_Iterable[_Union[PeerStatus, _Mapping]]] = ..., blamed: _Optional[_Iterable[str]] = ..., evidence: _Optional[_Iterable[_Union[Evidence, _Mapping]]] = ..., offences: _Optional[_Iterable[_Union[Offence, _Mapping]]] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ..., clients: _Optional[int] = ..., without_share: bool = ..., certificate_expires: _Optional[int] = ..., connections: _Optional[int] = ..., connections_max: _Optional[int] = ..., calls: _Optional[int] = ..., calls_max: _Optional[int] = ..., bytes_in_flight: _Optional[int] = ..., bytes_in_flight_max: _Optional[int] = ..., descriptors: _Optional[int] = ..., descriptors_max: _Optional[int] = ..., calls_refused: _Optional[int] = ..., connections_cut: _Optional[int] = ..., clock_ahead_ms: _Optional[int] = ..., suspected: _Optional[_Iterable[str]] = ..., journal_checked: _Optional[int] = ..., journal_checked_seconds_ago: _Optional[float] = ..., filled: _Optional[int] = ..., applications: _Optional[_Iterable[_Union[ApplicationStatus, _Mapping]]] = ..., refresh_hindrance: _Optional[str] = ...) -> None: ...

class ApplicationStatus(_message.Message):
    __slots__ = ("name", "snapshot", "alarm")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ALARM_FIELD_NUMBER: _ClassVar[int]
    name: str
    snapshot: int
    alarm: str
    def __init__(self, name: _Optional[str] = ..., snapshot: _Optional[int] = ..., alarm: _Optional[str] = ...) -> None: ...

class AlarmsRequest(_message.Message):
    __slots__ = ("acknowledge",)
    ACKNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    acknowledge: bool
    def __init__(self, acknowledge: bool = ...) -> None: ...

class Alarm(_message.Message):
    __slots__ = ("member", "reason", "since_ms", "times", "ended_ms", "acknowledged")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    member: str
    reason: str
    since_ms: int
    times: int
    ended_ms: int
    acknowledged: bool
    def __init__(self, member: _Optional[str] = ..., reason: _Optional[str] = ..., since_ms: _Optional[int] = ..., times: _Optional[int] = ..., ended_ms: _Optional[int] = ..., acknowledged: bool = ...) -> None: ...

class AlarmsReply(_message.Message):
    __slots__ = ("alarms",)
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    alarms: _containers.RepeatedCompositeFieldContainer[Alarm]
    def __init__(self, alarms: _Optional[_Iterable[_Union[Alarm, _Mapping]]] = ...) -> None: ...

class StepDownRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StepDownReply(_message.Message):
    __slots__ = ("led", "leader", "view")
    LED_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    led: bool
    leader: str
    view: int
    def __init__(self, led: bool = ..., leader: _Optional[str] = ..., view: _Optional[int] = ...) -> None: ...

class MembershipRequest(_message.Message):
    __slots__ = ("have_epoch", "have_revision")
    HAVE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    HAVE_REVISION_FIELD_NUMBER: _ClassVar[int]
    have_epoch: int
    have_revision: int
    def __init__(self, have_epoch: _Optional[int] = ..., have_revision: _Optional[int] = ...) -> None: ...

class MembershipPart(_message.Message):
    __slots__ = ("config", "clients", "clients_bytes", "certificate", "epoch", "revision", "keys", "key_change")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    KEY_CHANGE_FIELD_NUMBER: _ClassVar[int]
    config: bytes
    clients: bytes
    clients_bytes: int
    certificate: _peer_pb2.Certificate
    epoch: int
    revision: int
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    key_change: KeyChange
    def __init__(self, config: _Optional[bytes] = ..., clients: _Optional[bytes] = ..., clients_bytes: _Optional[int] = ..., certificate: _Optional[_Union[_peer_pb2.Certificate, _Mapping]] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ..., keys: _Optional[_Iterable[bytes]] = ..., key_change: _Optional[_Union[KeyChange, _Mapping]] = ...) -> None: ...

class KeyChange(_message.Message):
    __slots__ = ("config", "certificate", "keys")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    config: bytes
    certificate: _peer_pb2.Certificate
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, config: _Optional[bytes] = ..., certificate: _Optional[_Union[_peer_pb2.Certificate, _Mapping]] = ..., keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class VotesRequest(_message.Message):
    __slots__ = ("epoch", "view", "slot", "root")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    view: int
    slot: int
    root: bytes
    def __init__(self, epoch: _Optional[int] = ..., view: _Optional[int] = ..., slot: _Optional[int] = ..., root: _Optional[bytes] = ...) -> None: ...

class MemberVote(_message.Message):
    __slots__ = ("member", "signature")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    member: int
    signature: bytes
    def __init__(self, member: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class VotesReply(_message.Message):
    __slots__ = ("votes", "epoch", "revision")
    VOTES_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    votes: _containers.RepeatedCompositeFieldContainer[MemberVote]
    epoch: int
    revision: int
    def __init__(self, votes: _Optional[_Iterable[_Union[MemberVote, _Mapping]]] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class MembershipShareRequest(_message.Message):
    __slots__ = ("epoch", "revision")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    revision: int
    def __init__(self, epoch: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class MembershipShareReply(_message.Message):
    __slots__ = ("share",)
    SHARE_FIELD_NUMBER: _ClassVar[int]
    share: bytes
    def __init__(self, share: _Optional[bytes] = ...) -> None: ...
