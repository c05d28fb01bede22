"""What is computed while keys are handed on, and what of it needs a member's secrets: one task at a time.

Whatever leaves is durable before: a dealing before it is posted, a receiver's secret before its key is, and
shares before their owner says that it has them. The same task again gives the same dealing, the same shares
and the same receiver's key, wherever the first one was interrupted.

Encodings, between the member's process and the one that works::

    task      kind u8 | name text | identity[32] | passphrase blob | purposes list of text | current text
              | dealt keys list of blob | reserved list of [32] | attempt
    answer    keys list of blob | culprits list of (name text | reason blob)
              | absent list of (name text | reason blob) | command blob
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.errors import KeyFileError
from alliance.keys import handover, sealing, secret_file, shares
from alliance.keys.folder import IDENTITY
from alliance.keys.handover import Received
from alliance.keys.shares import Generation
from alliance.resharing.attempt import KEYS_MAX, Attempt, read_keys, write_keys
from alliance.resharing.steps import fingerprint
from consensus.control.commands import ControlCommand, Deal, Ready, SignedCommand, command_message
from consensus.control.encoding import Reader, blob, listed, text, u8
from consensus.control.rows import NAME_BYTES_MAX, receiver_statement
from consensus.control.transcript import transcript_digest
from quorum import Context, EpochReadyStatement
from quorum.new_keys import NewKeysDealing
from quorum.receivers import InvalidReceiver, ReceiverSecret, generate_receiver
from quorum.redistribution import Dealt, NoNewShare, Unusable, next_receiver_bits
from quorum.system import MEMBER_COUNT_MAX
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey, ThresholdRsaEndorser, WrongEpoch
from verifiable_log.limits import COMMAND_BYTES_MAX

PASSPHRASE_BYTES_MAX = 64 * 1024
REASON_BYTES_MAX = 4096


class Kind(IntEnum):
    """JUDGE needs no secret. RECEIVE makes the shares durable; READY does, too, and says so."""

    JUDGE = 1
    DEAL = 2
    RECEIVE = 3
    READY = 4


@dataclass(frozen=True)
class Task:
    """``purposes`` name the keys in their order, ``current`` is the generation of the shares that count.

    ``dealt_keys``: the next public keys, where the alliance has certified them already. ``reserved`` are
    fingerprints of receiver keys that cannot be the member's next one.
    """

    kind: Kind
    name: str
    identity: bytes
    attempt: Attempt
    purposes: tuple[str, ...]
    passphrase: bytes = field(default=b"", repr=False)
    current: Generation | None = None
    dealt_keys: tuple[AgreementKey, ...] = ()
    reserved: frozenset[bytes] = frozenset()

    def encode(self) -> bytes:
        return (
            u8(self.kind)
            + text(self.name)
            + self.identity
            + blob(self.passphrase)
            + listed(map(text, self.purposes))
            + text("" if self.current is None else str(self.current))
            + write_keys(self.dealt_keys)
            + listed(sorted(self.reserved))
            + self.attempt.encode()
        )

    @classmethod
    def decode(cls, encoded: bytes) -> Task:
        """Raises ValueError."""
        reader = Reader(encoded)
        kind, name, identity = Kind(reader.number(1)), reader.text(NAME_BYTES_MAX), reader.fixed(32)
        passphrase = reader.blob(PASSPHRASE_BYTES_MAX)
        purposes = reader.listed(lambda r: r.text(NAME_BYTES_MAX), KEYS_MAX)
        current = Generation.parse(reader.text(NAME_BYTES_MAX))
        dealt_keys = read_keys(reader)
        reserved = frozenset(reader.listed(lambda r: r.fixed(32), MEMBER_COUNT_MAX))
        attempt = Attempt.read(reader)
        reader.end()
        return cls(kind, name, identity, attempt, purposes, passphrase, current, dealt_keys, reserved)


@dataclass(frozen=True)
class Answer:
    """``keys`` are the next public keys; none as long as the dealings are not enough.

    ``culprits`` are (dealer, reason) of dealings that do not count, ``absent`` (next member, reason) of those
    to whom nothing is dealt. ``command`` is a signed control command.
    """

    keys: tuple[AgreementKey, ...] = ()
    culprits: tuple[tuple[str, str], ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    command: bytes = b""

    def encode(self) -> bytes:
        reasons = b"".join(
            listed(text(name) + blob(reason.encode()[:REASON_BYTES_MAX]) for name, reason in named)
            for named in (self.culprits, self.absent)
        )
        return write_keys(self.keys) + reasons + blob(self.command)

    @classmethod
    def decode(cls, encoded: bytes) -> Answer:
        """Raises ValueError."""
        reader = Reader(encoded)
        keys = read_keys(reader)
        culprits, absent = _reasons(reader), _reasons(reader)
        command = reader.blob(COMMAND_BYTES_MAX)
        reader.end()
        return cls(keys, culprits, absent, command)


def _reasons(reader: Reader) -> tuple[tuple[str, str], ...]:
    def read(one: Reader) -> tuple[str, str]:
        return one.text(NAME_BYTES_MAX), one.blob(REASON_BYTES_MAX).decode("utf-8", "replace")

    return reader.listed(read, MEMBER_COUNT_MAX)


def work(folder: Path, task: Task) -> Answer:
    """Does one task. Raises KeyFileError, which says why it cannot be done, and OSError."""
    try:
        match task.kind:
            case Kind.JUDGE:
                return _judge(task)[1]
            case Kind.DEAL:
                return Answer(command=_deal(folder, task))
            case Kind.RECEIVE:
                return _receive(folder, task)[0]
            case Kind.READY:
                return _ready(folder, task)
    except Unusable as error:
        raise KeyFileError(str(error)) from None
    except NoNewShare as error:
        named = ", ".join(task.attempt.dealers[index - 1] for index in error.culprits) or "nobody"
        raise KeyFileError(
            f"the dealings give this member no share, which takes somebody who knows the primes of a key:"
            f" {named} dealt something else than what is in public. Others may be ready without it"
        ) from None


# -- dealing -------------------------------------------------------------------------------------------


def _deal(folder: Path, task: Task) -> bytes:
    """The signed command: the one that is kept, if it is of this very attempt, or a new one, durable."""
    attempt, towards = task.attempt, task.attempt.generation
    redistribution = attempt.redistribution

    def make() -> bytes:
        if task.current is None:
            raise KeyFileError("this member has no shares to hand on")
        held = _open_shares(folder, task, task.current, attempt.keys, attempt.dealers.index(task.name))
        try:
            dealing = redistribution.deal(held)
        except (WrongEpoch, InvalidAgreementKey) as error:
            raise KeyFileError(f"these shares are not those to be handed on: {error}") from None
        command = Deal(task.name, attempt.change_id, attempt.attempt, dealing)
        return redistribution.digest + _signed(attempt, _identity(folder, task), command)

    size = redistribution.dealing_bytes + _DEAL_EXTRA_BYTES
    if size > COMMAND_BYTES_MAX:
        raise KeyFileError(
            f"a dealing of these {len(attempt.keys)} keys to {len(attempt.receivers)} members has {size}"
            f" bytes, and a command at most {COMMAND_BYTES_MAX}: abort the change, and have fewer members"
        )
    kept = handover.keep_dealing(folder, towards, make)
    if not kept.startswith(redistribution.digest):  # of another change, which was given up
        handover.forget_dealing(folder, towards)
        kept = handover.keep_dealing(folder, towards, make)
    return kept[len(redistribution.digest) :]


_DEAL_EXTRA_BYTES = 256
"""What is around a dealing in a command: a name, digests, a signature."""


def _open_shares(
    folder: Path, task: Task, generation: Generation, keys: Sequence[AgreementKey], member: int
) -> list[ThresholdRsaEndorser]:
    sealing_key = secret_file.unseal(folder / shares.sealing_file(generation), task.passphrase)
    return [
        shares.open_share(folder / shares.share_file(generation, purpose), sealing_key, key, member)
        for purpose, key in zip(task.purposes, keys, strict=True)
    ]


# -- receiving -----------------------------------------------------------------------------------------


def _judge(task: Task) -> tuple[Dealt | NewKeysDealing | None, Answer]:
    attempt = task.attempt
    if attempt.brings_new_keys:
        return _judge_new_keys(task)
    if not attempt.keys:
        raise KeyFileError(
            "the public keys of the dealing before this one are not known here any more, and without them"
            " nobody can tell which dealings are right: this member has a share again when the keys are next"
            " handed on ('alliance refresh')"
        )
    judgement = attempt.redistribution.judge(attempt.numbered())
    culprits = tuple((attempt.dealers[dealer], reason) for dealer, reason in judgement.culprits)
    keys = () if judgement.dealt is None else judgement.dealt.keys
    if keys and task.dealt_keys and keys != task.dealt_keys:
        raise KeyFileError(
            "what the log says of the last dealing gives other public keys than the alliance has certified"
        )
    return judgement.dealt, Answer(keys, culprits, attempt.named(attempt.redistribution.absent))


def _judge_new_keys(task: Task) -> tuple[NewKeysDealing, Answer]:
    attempt = task.attempt
    try:
        dealing = NewKeysDealing.decode(attempt.posted[0][1])
        if not task.dealt_keys:
            members = len(attempt.receivers)
            dealing.require(attempt.keys, members, attempt.thresholds, attempt.faulty_max, attempt.dealing)
        elif task.dealt_keys != dealing.keys or len(dealing.sealed) != len(attempt.receivers):
            raise InvalidAgreementKey("they are not those that the alliance has certified")
    except InvalidAgreementKey as error:
        raise KeyFileError(
            f"the new keys of the change cannot be used: {error}. Whoever made them was wrong:"
            " abort the change"
        ) from None
    return dealing, Answer(dealing.keys)


def _receive(folder: Path, task: Task) -> tuple[Answer, list[ThresholdRsaEndorser]]:
    """Shares that are durable, or none as long as the dealings are not enough."""
    attempt, generation = task.attempt, task.attempt.generation
    member, receiver = attempt.receiver_of(task.name)
    if _are_there(folder, task, task.dealt_keys):
        return Answer(task.dealt_keys), _open_shares(folder, task, generation, task.dealt_keys, member)
    dealt, answer = _judge(task)
    if dealt is None:
        return answer, []
    if _are_there(folder, task, answer.keys):
        return answer, _open_shares(folder, task, generation, answer.keys, member)
    absent = {} if attempt.brings_new_keys else attempt.redistribution.absent
    if (reason := absent.get(member)) is not None:
        raise KeyFileError(f"nothing was dealt to this member, whose receiver key does not fit: {reason}")
    secret = _open_receiver(folder, fingerprint(receiver), task)
    try:
        received = dealt.receive(member, secret)
    except InvalidAgreementKey as error:
        what = "the receiver's secret does not open what was dealt"
        if attempt.brings_new_keys:
            what = "what is sealed to this member is no share of the new keys, as others may say, too"
        raise KeyFileError(f"{what}: {error}") from None
    shares.erase_shares(folder, generation)  # of another change, which was given up
    note = Received(digest_of(answer.keys), fingerprint(receiver))
    handover.note_received(folder, generation, note)
    shares.add_shares(folder, generation, dict(zip(task.purposes, received, strict=True)), task.passphrase)
    return answer, list(received)


def _are_there(folder: Path, task: Task, keys: Sequence[AgreementKey]) -> bool:
    """Whether the shares of these next keys are. Those that count already are not replaced, in any case."""
    generation = task.attempt.generation
    if not keys or generation not in shares.generations(folder):
        return False
    note = handover.received(folder).get(generation)
    return generation == task.current or (note is not None and note.transcript == digest_of(keys))


def _open_receiver(folder: Path, name: bytes, task: Task) -> ReceiverSecret:
    try:
        return ReceiverSecret.from_secret_bytes(handover.open_receiver(folder, name, task.passphrase))
    except InvalidReceiver as error:
        raise KeyFileError(
            f"{folder / handover.receiver_file(name)} holds no receiver's key: {error}"
        ) from None


# -- being ready ---------------------------------------------------------------------------------------


def _ready(folder: Path, task: Task) -> Answer:
    answer, held = _receive(folder, task)
    if not held:
        return answer
    attempt = task.attempt
    digest = digest_of(answer.keys)
    statement = EpochReadyStatement(attempt.change_id, attempt.attempt, digest)
    message = statement.encode(Context(attempt.alliance_id, attempt.epoch))
    signatures = listed(blob(endorser.endorse(message, proven=True)) for endorser in held)
    receiver = _next_receiver(folder, task, answer.keys).key.to_bytes()
    identity = _identity(folder, task)  # opened once for both: that takes a tenth of a second
    signature = identity.sign(receiver_statement(task.name, task.identity, receiver))
    command = Ready(task.name, attempt.change_id, attempt.attempt, digest, receiver, signature, signatures)
    return replace(answer, command=_signed(attempt, identity, command))


def _next_receiver(folder: Path, task: Task, keys: Sequence[AgreementKey]) -> ReceiverSecret:
    """One that an earlier attempt has made and did not use, or a new one, durable."""
    bits = next_receiver_bits(keys)
    for one in handover.receivers(folder):
        if one not in task.reserved:
            secret = _open_receiver(folder, one, task)
            if secret.key.bits == bits:
                return secret
    secret = generate_receiver(bits)
    handover.keep_receiver(folder, secret.key.fingerprint, secret.secret_to_bytes(), task.passphrase)
    return secret


def digest_of(keys: Sequence[AgreementKey]) -> bytes:
    """The transcript that a Ready names."""
    return transcript_digest([key.to_bytes() for key in keys])


def _signed(attempt: Attempt, identity: Ed25519PrivateKey, command: ControlCommand) -> bytes:
    message = command_message(attempt.alliance_id, command, attempt.epoch - 1)
    return SignedCommand(command, identity.sign(message)).encode()


def _identity(folder: Path, task: Task) -> Ed25519PrivateKey:
    path = folder / IDENTITY
    key = sealing.unseal_signing(sealing.read(path), path, task.passphrase)
    if key.public_key().public_bytes_raw() != task.identity:
        raise KeyFileError(f"the key in {path} is not the identity of '{task.name}'")
    return key
