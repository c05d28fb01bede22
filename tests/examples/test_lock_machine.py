"""The lock service's machine does what its dumb twin does, whatever it is told."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.lock_service import machine as machine_module
from examples.lock_service import operations
from examples.lock_service.encoding import Invalid, Mode
from examples.lock_service.machine import LockMachine
from examples.lock_service.operations import (
    TTL_MS_MIN,
    Acquire,
    Answer,
    Ask,
    Close,
    Done,
    Grant,
    Lease,
    Listing,
    Open,
    Operation,
    Page,
    Queued,
    Reason,
    Refused,
    Release,
    Renew,
)
from tests.examples import lock_twin

ANNA, BERT = b"a" * 32, b"b" * 32
ONE, TWO, THREE = (bytes([number]) * 16 for number in (1, 2, 3))
X, S = Mode.EXCLUSIVE, Mode.SHARED


@dataclass(frozen=True)
class Said:
    client_id: bytes
    payload: bytes
    time_ms: int


class Service:
    """The machine and its twin, told the same; what they answer must be the same."""

    def __init__(self) -> None:
        self.machine = LockMachine()
        self.twin = lock_twin.State()
        self.now = 1_000_000
        self.tokens: dict[str, int] = defaultdict(int)

    def say(self, client_id: bytes, operation: Operation) -> Answer:
        return self.tell(client_id, operations.encode(operation))

    def tell(self, client_id: bytes, payload: bytes) -> Answer:
        answer = operations.decode_answer(self.machine.apply(Said(client_id, payload, self.now)))
        expected, self.twin = lock_twin.step(self.twin, client_id, payload, self.now)
        assert answer == expected
        return answer

    def reborn(self) -> None:
        """The machine is written down and read again."""
        snapshot = self.machine.snapshot()
        self.machine = LockMachine()
        self.machine.restore(snapshot)
        assert self.machine.snapshot() == snapshot


def opened(*sessions: tuple[bytes, bytes], ttl_ms: int = 10_000) -> Service:
    service = Service()
    for client_id, session in sessions:
        assert isinstance(service.say(client_id, Open(session, ttl_ms)), Lease)
    return service


def granted(answer: Answer) -> int:
    assert isinstance(answer, Grant), answer
    return answer.token


# -- the story, told once -------------------------------------------------------------------------------


def test_the_next_one_has_the_lock_when_its_holder_lets_go_and_the_token_rises() -> None:
    service = opened((ANNA, ONE), (BERT, TWO))
    first = granted(service.say(ANNA, Acquire(ONE, X, 0, "door")))
    assert service.say(BERT, Acquire(TWO, X, 0, "door")) == Refused(Reason.TAKEN)
    assert isinstance(service.say(BERT, Acquire(TWO, X, 5000, "door")), Queued)
    assert service.say(ANNA, Release(ONE, first, "door")) == Done()
    assert granted(service.say(BERT, Ask(TWO, "door"))) > first
    assert service.say(ANNA, Ask(ONE, "door")) == Refused(Reason.NOT_HELD)


def test_who_dies_lets_go_when_agreed_time_says_so() -> None:
    service = opened((ANNA, ONE), (BERT, TWO), ttl_ms=5000)
    first = granted(service.say(ANNA, Acquire(ONE, X, 0, "door")))
    service.say(BERT, Renew(TWO))
    waits = service.say(BERT, Acquire(TWO, X, 60_000, "door"))
    assert isinstance(waits, Queued)
    service.now += 4999
    service.say(BERT, Renew(TWO))
    assert isinstance(service.say(BERT, Ask(TWO, "door")), Queued)
    service.now += 1
    assert service.now == waits.next_ms
    assert granted(service.say(BERT, Ask(TWO, "door"))) > first
    assert service.say(ANNA, Renew(ONE)) == Refused(Reason.NO_SESSION)
    assert service.say(ANNA, Release(ONE, first, "door")) == Refused(Reason.NO_SESSION)


def test_who_waited_long_enough_is_not_served_any_more() -> None:
    service = opened((ANNA, ONE), (BERT, TWO))
    token = granted(service.say(ANNA, Acquire(ONE, X, 0, "door")))
    service.say(BERT, Acquire(TWO, X, 2000, "door"))
    service.now += 2000
    service.say(ANNA, Release(ONE, token, "door"))
    assert service.say(BERT, Ask(TWO, "door")) == Refused(Reason.NOT_HELD)
    assert service.machine.locks == {}


def test_readers_share_and_do_not_starve_a_writer() -> None:
    service = opened((ANNA, ONE), (BERT, TWO), (BERT, THREE))
    first = granted(service.say(ANNA, Acquire(ONE, S, 0, "book")))
    assert isinstance(service.say(BERT, Acquire(TWO, X, 9000, "book")), Queued)
    late = service.say(BERT, Acquire(THREE, S, 9000, "book"))
    assert isinstance(late, Queued)
    assert late.ahead == 1
    service.say(ANNA, Release(ONE, first, "book"))
    second = granted(service.say(BERT, Ask(TWO, "book")))
    service.say(BERT, Close(TWO))
    assert first < second < granted(service.say(BERT, Ask(THREE, "book")))


def test_tokens_rise_for_a_lock_that_was_forgotten() -> None:
    service = opened((ANNA, ONE))
    last = 0
    for _ in range(5):
        token = granted(service.say(ANNA, Acquire(ONE, X, 0, "door")))
        assert token > last
        last = token
        service.say(ANNA, Release(ONE, token, "door"))
        assert service.machine.locks == {}


def test_a_foreign_session_is_no_session() -> None:
    service = opened((ANNA, ONE))
    token = granted(service.say(ANNA, Acquire(ONE, X, 0, "door")))
    for operation in (Release(ONE, token, "door"), Close(ONE), Renew(ONE), Ask(ONE, "door")):
        assert service.say(BERT, operation) == Refused(Reason.NO_SESSION)
    assert granted(service.say(ANNA, Ask(ONE, "door"))) == token


def test_mistakes_change_nothing_and_are_told() -> None:
    service = opened((ANNA, ONE), (BERT, TWO))
    token = granted(service.say(ANNA, Acquire(ONE, X, 0, "door")))
    other = granted(service.say(ANNA, Acquire(ONE, X, 0, "gate")))
    before = service.machine.snapshot()
    for who, operation, reason in (
        (ANNA, Open(ONE, 5000), Reason.SESSION_EXISTS),
        (ANNA, Acquire(ONE, S, 0, "door"), Reason.OTHER_MODE),
        (ANNA, Release(ONE, other, "door"), Reason.WRONG_TOKEN),
        (ANNA, Release(ONE, token, "unknown"), Reason.NOT_HELD),
        (BERT, Release(TWO, token, "door"), Reason.NOT_HELD),
        (BERT, Ask(TWO, "door"), Reason.NOT_HELD),
        (BERT, Acquire(TWO, X, 0, "door"), Reason.TAKEN),
    ):
        assert service.say(who, operation) == Refused(reason)
        assert service.machine.snapshot() == before


def test_listing_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "PAGE_LOCKS", 2)
    machine = LockMachine()
    machine.apply(Said(ANNA, operations.encode(Open(ONE, 5000)), 7))
    for name in ("c", "a", "b"):
        machine.apply(Said(ANNA, operations.encode(Acquire(ONE, X, 0, name)), 7))
    first = operations.decode_answer(machine.query(operations.encode(Listing(""))))
    assert isinstance(first, Page)
    assert ([lock.name for lock in first.locks], first.more) == (["a", "b"], True)
    second = operations.decode_answer(machine.query(operations.encode(Listing("b"))))
    assert isinstance(second, Page)
    assert ([lock.holders for lock in second.locks], second.more) == ([((ANNA, 1, 5007),)], False)
    assert operations.decode_answer(machine.query(operations.encode(Close(ONE)))) == Refused(Reason.MALFORMED)


# -- the twin -------------------------------------------------------------------------------------------

SMALL = [
    (ANNA, Acquire(ONE, X, 0, "l")),
    (ANNA, Acquire(ONE, S, 0, "l")),
    (ANNA, Release(ONE, 0, "l")),
    (ANNA, Release(ONE, 1, "l")),
    (BERT, Acquire(TWO, X, 1500, "l")),
    (BERT, Acquire(TWO, S, 1500, "l")),
    (BERT, Renew(TWO)),
    (BERT, Close(TWO)),
    (BERT, Acquire(THREE, S, 4000, "l")),
    (BERT, Ask(THREE, "l")),
]


def test_all_short_stories_with_three_sessions_and_one_lock() -> None:
    """Ten commands, time passing before each or not: every story of three commands, and what follows."""
    for story in itertools.product(itertools.product(SMALL, (0, 1500)), repeat=3):
        service = opened((ANNA, ONE), (BERT, TWO), (BERT, THREE), ttl_ms=2000)
        for (client_id, operation), passes in story:
            service.now += passes
            service.say(client_id, operation)
        service.reborn()
        service.say(BERT, Listing(""))


def random_word(dice: Random) -> Operation:
    session, name = dice.choice((ONE, TWO)), dice.choice(("a", "b", "c"))
    match dice.randrange(10):
        case 0 | 1:
            return Open(session, TTL_MS_MIN + dice.randrange(4000))
        case 2:
            return Renew(session)
        case 3:
            return Close(session) if dice.random() < 0.3 else Listing(dice.choice(("", "a")))
        case 4 | 5 | 6:
            return Acquire(session, dice.choice((X, S)), dice.choice((0, 500, 3000)), name)
        case 7:
            return Ask(session, name)
        case _:
            return Release(session, dice.choice((0, 0, 0, 1, 5)), name)


@pytest.mark.parametrize("seed", range(8))
def test_long_stories_agree_with_the_twin(seed: int) -> None:
    """Restored from its bytes now and then, the machine goes on in the same way; tokens rise."""
    dice, service = Random(seed), Service()
    clients = [bytes([number]) * 32 for number in range(3)]
    newest: dict[str, tuple[int, bytes]] = {}
    for _ in range(400):
        service.now += dice.choice((0, 0, 10, 300, 2500))
        answer = service.say(dice.choice(clients), random_word(dice))
        if isinstance(answer, Grant):
            token, holder = newest.get(answer.name, (0, b""))
            who = answer.client_id + answer.session
            assert answer.token > token or answer.mode is S or who == holder
            newest[answer.name] = max((token, holder), (answer.token, who))
        if dice.random() < 0.1:
            service.reborn()


# -- what is hostile ------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: operations.MAGIC + rest)))
def test_any_bytes_are_answered(payloads: list[bytes]) -> None:
    service = opened((ANNA, ONE))
    for payload in payloads:
        service.tell(ANNA, payload)
        operations.decode_answer(service.machine.query(payload))


def test_every_altered_command_is_refused_or_another_command() -> None:
    service = opened((ANNA, ONE))
    for operation in (Open(TWO, 5000), Acquire(ONE, X, 7, "door"), Release(ONE, 9, "door"), Listing("x")):
        encoded = operations.encode(operation)
        assert operations.decode(encoded) == operation
        for end in range(len(encoded)):
            assert service.tell(ANNA, encoded[:end]) == Refused(Reason.MALFORMED)
        assert service.tell(ANNA, encoded + b"\0") == Refused(Reason.MALFORMED)
        for at in range(len(encoded)):
            altered = encoded[:at] + bytes([encoded[at] ^ 0x80]) + encoded[at + 1 :]
            try:
                assert (
                    operations.encode(operations.decode(altered)) == altered
                )  # one encoding for each command
            except Invalid:
                assert service.tell(ANNA, altered) == Refused(Reason.MALFORMED)


@pytest.mark.parametrize("name", ["", "a b", "../x", "ä", "-", "x" * 129, "x" * 300, "a\n"])
def test_a_name_that_is_none_is_not_sent(name: str) -> None:
    with pytest.raises(Invalid):
        operations.encode(Ask(ONE, name))


def test_a_snapshot_that_is_torn_or_altered_is_refused() -> None:
    service = opened((ANNA, ONE), (BERT, TWO))
    service.say(ANNA, Acquire(ONE, X, 0, "door"))
    service.say(BERT, Acquire(TWO, S, 500, "door"))
    snapshot = service.machine.snapshot()
    for end in range(len(snapshot)):
        with pytest.raises(Invalid):
            service.machine.restore(snapshot[:end])
    with pytest.raises(Invalid):
        service.machine.restore(snapshot + b"\0")
    for at in range(len(snapshot)):
        altered = snapshot[:at] + bytes([snapshot[at] ^ 1]) + snapshot[at + 1 :]
        try:
            other = LockMachine()
            other.restore(altered)
            assert other.snapshot() == altered
        except Invalid:
            pass
    assert service.machine.snapshot() == snapshot


def test_a_client_fills_its_own_share_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "CLAIMS_PER_CLIENT_MAX", 20)
    machine = LockMachine()

    def say(client_id: bytes, operation: Operation, time_ms: int = 5) -> Answer:
        return operations.decode_answer(machine.apply(Said(client_id, operations.encode(operation), time_ms)))

    for number in range(machine_module.SESSIONS_PER_CLIENT_MAX):
        assert isinstance(say(ANNA, Open(number.to_bytes(16, "big"), 5000)), Lease)
    assert say(ANNA, Open(b"x" * 16, 5000)) == Refused(Reason.TOO_MANY)
    session = bytes(16)
    for number in range(20):
        granted(say(ANNA, Acquire(session, X, 0, f"l{number}")))
    assert say(ANNA, Acquire(session, X, 0, "one-more")) == Refused(Reason.TOO_MANY)
    assert isinstance(say(BERT, Open(ONE, 5000)), Lease)
    granted(say(BERT, Acquire(ONE, X, 0, "one-more")))
    for _ in range(2000):
        say(BERT, Renew(ONE))
    assert len(machine._ends) < 4 * machine_module.SESSIONS_PER_CLIENT_MAX
