"""One attempt at handing the keys on, as the log has it: the same for everybody, and nothing in it is secret.

All keys of the alliance go at once: the agreement key first, then those of the purposes in the order of
alliance.toml. Encoding, for the process that works with it::

    alliance_id[32] | epoch u64 | dealing u64 | change_id[32] | attempt u8 | keys list of blob
    | thresholds list of u16 | faulty_max u16 | dealers list of text | receivers list of (text | blob)
    | posted list of (text | blob)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from alliance.config.file import AllianceConfig
from alliance.keys.shares import Generation
from consensus.control import ControlState
from consensus.control.encoding import Reader, blob, listed, text, u8, u16, u64
from consensus.control.pending import Transcript
from consensus.control.rows import NAME_BYTES_MAX
from consensus.limits import ATTEMPTS_MAX, RECEIVER_BYTES_MAX
from quorum import QuorumSystem
from quorum.redistribution import Redistribution, Unusable
from quorum.system import MEMBER_COUNT_MAX
from quorum.threshold_rsa import AgreementKey, read_agreement_key
from verifiable_log.limits import COMMAND_BYTES_MAX

KEY_BYTES_MAX = 1024 * 1024
KEYS_MAX = 64
_CONTEXT = b"alliance-handover/1\x00"


def keys_of(config: AllianceConfig) -> tuple[AgreementKey, ...]:
    """All public keys, in their order."""
    return (config.key, *(key for _, key in config.purpose_keys))


def write_keys(keys: Sequence[AgreementKey]) -> bytes:
    return listed(blob(key.to_bytes()) for key in keys)


def read_keys(reader: Reader) -> tuple[AgreementKey, ...]:
    """Raises MalformedControl, InvalidAgreementKey."""
    return tuple(map(read_agreement_key, reader.listed(lambda r: r.blob(KEY_BYTES_MAX), KEYS_MAX)))


def next_threshold(threshold: int, before: QuorumSystem, after: QuorumSystem) -> int:
    """How many of the next members sign with a purpose's key, for which so many of the present ones do.

    It keeps its meaning where it has one: most are correct (2f + 1), all correct ones suffice (n - f), one is
    correct (f + 1). Another number stays, as far as that is between the least and the greatest of these.
    """
    for meaning in ("mostly_correct", "report", "one_correct"):
        if threshold == getattr(before, meaning):
            return int(getattr(after, meaning))
    return min(max(threshold, after.one_correct), after.report)


@dataclass(frozen=True)
class Attempt:
    """``epoch`` is the next one. ``keys`` are the present public keys, ``thresholds`` of the next ones.

    ``keys`` are empty where nobody knows them any more: then only who has its shares can be ready.
    ``dealers`` are the present members, ``receivers`` the next ones with their receiver keys, in the order of
    their numbers. ``posted`` are (dealer, dealing), in the order of the log. Where new keys take the place of
    the present ones there are no dealers, and one dealing is posted: the change's own.
    """

    alliance_id: bytes
    epoch: int
    dealing: int
    change_id: bytes
    attempt: int
    keys: tuple[AgreementKey, ...]
    thresholds: tuple[int, ...]
    faulty_max: int
    dealers: tuple[str, ...]
    receivers: tuple[tuple[str, bytes], ...]
    posted: tuple[tuple[str, bytes], ...]

    @classmethod
    def under_way(cls, state: ControlState, config: AllianceConfig) -> Attempt:
        """Of the change that is being dealt for. Raises ValueError when there is none."""
        active, before, after = state.dealt_for, state.directory, state.target
        dealers = tuple(row.name for row in before.members)
        posted = tuple((one.member, one.dealing) for one in active.dealings)
        if active.new_keys is not None:
            dealers, posted = (), (("", active.new_keys.dealing),)
        thresholds = [next_threshold(key.threshold, before.system, after.system) for key in keys_of(config)]
        return cls(
            state.alliance_id,
            state.epoch + 1,
            state.dealing + 1,
            active.approved.change_id,
            active.attempt,
            keys_of(config),
            (after.system.decision, *thresholds[1:]),
            after.faulty_max,
            dealers,
            tuple((row.name, row.receiver) for row in after.members),
            posted,
        )

    @classmethod
    def that_was(
        cls,
        state: ControlState,
        transcript: Transcript,
        config: AllianceConfig,
        before: tuple[AgreementKey, ...],
    ) -> Attempt:
        """Of the transcript by which the others have their shares. ``before``: the keys that were dealt."""
        return cls(
            state.alliance_id,
            transcript.epoch + 1,
            state.dealing,
            transcript.change_id,
            transcript.attempt,
            before,
            tuple(key.threshold for key in keys_of(config)),
            config.key.corruptions,
            transcript.dealers,
            transcript.receivers,
            tuple((one.member, one.dealing) for one in transcript.dealings),
        )

    @property
    def brings_new_keys(self) -> bool:
        """Whether nothing is handed on, and the one dealing that is posted has other keys."""
        return not self.dealers

    @property
    def generation(self) -> Generation:
        """Of the shares to come."""
        return Generation(self.dealing, self.attempt)

    @cached_property
    def redistribution(self) -> Redistribution:
        """Raises Unusable.

        The last attempt deals anew, where there is a doubt that the shares fit together: two have failed.
        """
        context = _CONTEXT + self.alliance_id + u64(self.epoch) + self.change_id + u8(self.attempt)
        try:
            return Redistribution(
                self.keys,
                self.thresholds,
                self.faulty_max,
                tuple(key for _, key in self.receivers),
                self.attempt,
                context,
                restart=self.attempt == ATTEMPTS_MAX - 1,
            )
        except Unusable as error:
            if not error.absent:
                raise
            named = "; ".join(f"{name}: {reason}" for name, reason in self.named(error.absent))
            raise Unusable(f"{error} ({named}): abort the change, and replace these members") from None

    def named(self, members: Mapping[int, str]) -> tuple[tuple[str, str], ...]:
        """What is said of next members, by their names."""
        return tuple((self.receivers[number][0], text) for number, text in sorted(members.items()))

    def numbered(self) -> list[tuple[int, bytes]]:
        """``posted``, by the dealers' numbers."""
        numbers = {name: number for number, name in enumerate(self.dealers)}
        return [(numbers[name], dealing) for name, dealing in self.posted]

    def receiver_of(self, name: str) -> tuple[int, bytes]:
        """A next member's number and receiver key. Raises ValueError for one that is none."""
        for number, (member, receiver) in enumerate(self.receivers):
            if member == name:
                return number, receiver
        raise ValueError(f"'{name}' is no member of the next epoch")

    def encode(self) -> bytes:
        """For the process."""
        return (
            self.alliance_id
            + u64(self.epoch)
            + u64(self.dealing)
            + self.change_id
            + u8(self.attempt)
            + write_keys(self.keys)
            + listed(map(u16, self.thresholds))
            + u16(self.faulty_max)
            + listed(map(text, self.dealers))
            + listed(text(name) + blob(key) for name, key in self.receivers)
            + listed(text(name) + blob(dealing) for name, dealing in self.posted)
        )

    @classmethod
    def read(cls, reader: Reader) -> Attempt:
        """Raises MalformedControl, InvalidAgreementKey."""
        return cls(
            reader.fixed(32),
            reader.number(8),
            reader.number(8),
            reader.fixed(32),
            reader.number(1),
            read_keys(reader),
            reader.listed(lambda r: r.number(2), KEYS_MAX),
            reader.number(2),
            reader.listed(lambda r: r.text(NAME_BYTES_MAX), MEMBER_COUNT_MAX),
            reader.listed(lambda r: (r.text(NAME_BYTES_MAX), r.blob(RECEIVER_BYTES_MAX)), MEMBER_COUNT_MAX),
            reader.listed(lambda r: (r.text(NAME_BYTES_MAX), r.blob(COMMAND_BYTES_MAX)), MEMBER_COUNT_MAX),
        )
