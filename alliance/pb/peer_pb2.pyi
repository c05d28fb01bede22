from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENGINE_UNSPECIFIED: _ClassVar[Engine]
    FAB_PAXOS: _ClassVar[Engine]
ENGINE_UNSPECIFIED: Engine
FAB_PAXOS: Engine

class Certificate(_message.Message):
    __slots__ = ("tag", "epoch", "fields", "signature")
    TAG_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    tag: int
    epoch: int
    fields: bytes
    signature: bytes
    def __init__(self, tag: _Optional[int] = ..., epoch: _Optional[int] = ..., fields: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("submissions", "time_ms")
    SUBMISSIONS_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    submissions: _containers.RepeatedScalarFieldContainer[bytes]
    time_ms: int
    def __init__(self, submissions: _Optional[_Iterable[bytes]] = ..., time_ms: _Optional[int] = ...) -> None: ...

class LogFrame(_message.Message):
    __slots__ = ("first_slot", "batches", "certificate", "cover", "peaks", "epoch", "revision", "offer", "state_part")
    FIRST_SLOT_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    COVER_FIELD_NUMBER: _ClassVar[int]
    PEAKS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    STATE_PART_FIELD_NUMBER: _ClassVar[int]
    first_slot: int
    batches: _containers.RepeatedCompositeFieldContainer[Batch]
    certificate: Certificate
    cover: _containers.RepeatedScalarFieldContainer[bytes]
    peaks: _containers.RepeatedScalarFieldContainer[bytes]
    epoch: int
    revision: int
    offer: Offer
    state_part: StatePart
    def __init__(self, first_slot: _Optional[int] = ..., batches: _Optional[_Iterable[_Union[Batch, _Mapping]]] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., cover: _Optional[_Iterable[bytes]] = ..., peaks: _Optional[_Iterable[bytes]] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., state_part: _Optional[_Union[StatePart, _Mapping]] = ...) -> None: ...

class Propose(_message.Message):
    __slots__ = ("view", "slot", "root", "batch", "signature")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    view: int
    slot: int
    root: bytes
    batch: Batch
    signature: bytes
    def __init__(self, view: _Optional[int] = ..., slot: _Optional[int] = ..., root: _Optional[bytes] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("view", "slot", "root", "signature")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    view: int
    slot: int
    root: bytes
    signature: bytes
    def __init__(self, view: _Optional[int] = ..., slot: _Optional[int] = ..., root: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class CertifyRequest(_message.Message):
    __slots__ = ("view", "slot")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    view: int
    slot: int
    def __init__(self, view: _Optional[int] = ..., slot: _Optional[int] = ...) -> None: ...

class Endorsement(_message.Message):
    __slots__ = ("tag", "fields", "share")
    TAG_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    tag: int
    fields: bytes
    share: bytes
    def __init__(self, tag: _Optional[int] = ..., fields: _Optional[bytes] = ..., share: _Optional[bytes] = ...) -> None: ...

class ProveShare(_message.Message):
    __slots__ = ("tag", "fields")
    TAG_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    tag: int
    fields: bytes
    def __init__(self, tag: _Optional[int] = ..., fields: _Optional[bytes] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("view", "accepted", "decided", "certified", "active", "stable", "no_proofs_wanted", "clock_ms")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    CERTIFIED_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    NO_PROOFS_WANTED_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    view: int
    accepted: int
    decided: int
    certified: int
    active: bool
    stable: int
    no_proofs_wanted: bool
    clock_ms: int
    def __init__(self, view: _Optional[int] = ..., accepted: _Optional[int] = ..., decided: _Optional[int] = ..., certified: _Optional[int] = ..., active: bool = ..., stable: _Optional[int] = ..., no_proofs_wanted: bool = ..., clock_ms: _Optional[int] = ...) -> None: ...

class Fetch(_message.Message):
    __slots__ = ("first_slot",)
    FIRST_SLOT_FIELD_NUMBER: _ClassVar[int]
    first_slot: int
    def __init__(self, first_slot: _Optional[int] = ...) -> None: ...

class Forward(_message.Message):
    __slots__ = ("submissions",)
    SUBMISSIONS_FIELD_NUMBER: _ClassVar[int]
    submissions: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, submissions: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ReportedEntry(_message.Message):
    __slots__ = ("slot", "view", "batch_digest", "root", "signature")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    BATCH_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    slot: int
    view: int
    batch_digest: bytes
    root: bytes
    signature: bytes
    def __init__(self, slot: _Optional[int] = ..., view: _Optional[int] = ..., batch_digest: _Optional[bytes] = ..., root: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("view", "base", "entries", "signature", "openings")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    OPENINGS_FIELD_NUMBER: _ClassVar[int]
    view: int
    base: Certificate
    entries: _containers.RepeatedCompositeFieldContainer[ReportedEntry]
    signature: bytes
    openings: _containers.RepeatedCompositeFieldContainer[Progress]
    def __init__(self, view: _Optional[int] = ..., base: _Optional[_Union[Certificate, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[ReportedEntry, _Mapping]]] = ..., signature: _Optional[bytes] = ..., openings: _Optional[_Iterable[_Union[Progress, _Mapping]]] = ...) -> None: ...

class MemberReport(_message.Message):
    __slots__ = ("member", "report")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    member: int
    report: Report
    def __init__(self, member: _Optional[int] = ..., report: _Optional[_Union[Report, _Mapping]] = ...) -> None: ...

class NewView(_message.Message):
    __slots__ = ("view", "reports", "vector", "signature")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    view: int
    reports: _containers.RepeatedCompositeFieldContainer[MemberReport]
    vector: _containers.RepeatedScalarFieldContainer[bytes]
    signature: bytes
    def __init__(self, view: _Optional[int] = ..., reports: _Optional[_Iterable[_Union[MemberReport, _Mapping]]] = ..., vector: _Optional[_Iterable[bytes]] = ..., signature: _Optional[bytes] = ...) -> None: ...

class FetchBatches(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, digests: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Batches(_message.Message):
    __slots__ = ("batches",)
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[Batch]
    def __init__(self, batches: _Optional[_Iterable[_Union[Batch, _Mapping]]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("view", "reports_digest", "base", "vector", "certificate")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    REPORTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    view: int
    reports_digest: bytes
    base: Certificate
    vector: _containers.RepeatedScalarFieldContainer[bytes]
    certificate: Certificate
    def __init__(self, view: _Optional[int] = ..., reports_digest: _Optional[bytes] = ..., base: _Optional[_Union[Certificate, _Mapping]] = ..., vector: _Optional[_Iterable[bytes]] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("checkpoint", "peaks", "leaves", "certificate", "cover")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    PEAKS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    COVER_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Certificate
    peaks: _containers.RepeatedScalarFieldContainer[bytes]
    leaves: _containers.RepeatedScalarFieldContainer[bytes]
    certificate: Certificate
    cover: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, checkpoint: _Optional[_Union[Certificate, _Mapping]] = ..., peaks: _Optional[_Iterable[bytes]] = ..., leaves: _Optional[_Iterable[bytes]] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., cover: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FetchState(_message.Message):
    __slots__ = ("slot", "first")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    slot: int
    first: int
    def __init__(self, slot: _Optional[int] = ..., first: _Optional[int] = ...) -> None: ...

class StatePart(_message.Message):
    __slots__ = ("slot", "first", "items")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    slot: int
    first: int
    items: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, slot: _Optional[int] = ..., first: _Optional[int] = ..., items: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PeerMessage(_message.Message):
    __slots__ = ("propose", "accepted", "certify_request", "endorsement", "certified", "prove_share", "status", "fetch", "log_frame", "forward", "report", "new_view", "fetch_batches", "batches", "progress", "offer", "fetch_state", "state_part")
    PROPOSE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    CERTIFY_REQUEST_FIELD_NUMBER: _ClassVar[int]
    ENDORSEMENT_FIELD_NUMBER: _ClassVar[int]
    CERTIFIED_FIELD_NUMBER: _ClassVar[int]
    PROVE_SHARE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FETCH_FIELD_NUMBER: _ClassVar[int]
    LOG_FRAME_FIELD_NUMBER: _ClassVar[int]
    FORWARD_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    NEW_VIEW_FIELD_NUMBER: _ClassVar[int]
    FETCH_BATCHES_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    FETCH_STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_PART_FIELD_NUMBER: _ClassVar[int]
    propose: Propose
    accepted: Accepted
    certify_request: CertifyRequest
    endorsement: Endorsement
    certified: Certificate
    prove_share: ProveShare
    status: Status
    fetch: Fetch
    log_frame: LogFrame
    forward: Forward
    report: Report
    new_view: NewView
    fetch_batches: FetchBatches
    batches: Batches
    progress: Progress
    offer: Offer
    fetch_state: FetchState
    state_part: StatePart
    def __init__(self, propose: _Optional[_Union[Propose, _Mapping]] = ..., accepted: _Optional[_Union[Accepted, _Mapping]] = ..., certify_request: _Optional[_Union[CertifyRequest, _Mapping]] = ..., endorsement: _Optional[_Union[Endorsement, _Mapping]] = ..., certified: _Optional[_Union[Certificate, _Mapping]] = ..., prove_share: _Optional[_Union[ProveShare, _Mapping]] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., fetch: _Optional[_Union[Fetch, _Mapping]] = ..., log_frame: _Optional[_Union[LogFrame, _Mapping]] = ..., forward: _Optional[_Union[Forward, _Mapping]] = ..., report: _Optional[_Union[Report, _Mapping]] = ..., new_view: _Optional[_Union[NewView, _Mapping]] = ..., fetch_batches: _Optional[_Union[FetchBatches, _Mapping]] = ..., batches: _Optional[_Union[Batches, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., fetch_state: _Optional[_Union[FetchState, _Mapping]] = ..., state_part: _Optional[_Union[StatePart, _Mapping]] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("messages", "engine", "epoch")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedScalarFieldContainer[bytes]
    engine: Engine
    epoch: int
    def __init__(self, messages: _Optional[_Iterable[bytes]] = ..., engine: _Optional[_Union[Engine, str]] = ..., epoch: _Optional[int] = ...) -> None: ...

class SignedStatement(_message.Message):
    __slots__ = ("tag", "fields", "signature")
    TAG_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    tag: int
    fields: bytes
    signature: bytes
    def __init__(self, tag: _Optional[int] = ..., fields: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Memory(_message.Message):
    __slots__ = ("statements",)
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    statements: _containers.RepeatedCompositeFieldContainer[SignedStatement]
    def __init__(self, statements: _Optional[_Iterable[_Union[SignedStatement, _Mapping]]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Handshake(_message.Message):
    __slots__ = ("memory", "greeting", "welcome", "farewell", "engine", "epoch")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    GREETING_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    FAREWELL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    memory: Memory
    greeting: SignedStatement
    welcome: Welcome
    farewell: str
    engine: Engine
    epoch: int
    def __init__(self, memory: _Optional[_Union[Memory, _Mapping]] = ..., greeting: _Optional[_Union[SignedStatement, _Mapping]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., farewell: _Optional[str] = ..., engine: _Optional[_Union[Engine, str]] = ..., epoch: _Optional[int] = ...) -> None: ...
