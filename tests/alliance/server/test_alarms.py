"""An alarm has a beginning and an end, and somebody may have seen it."""

from __future__ import annotations

from alliance.server.alarms import ENDED_MAX, Alarm, Alarms


class Moments:
    """Each time that it is looked at, it is a second later."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def test_an_alarm_stands_until_a_good_handshake() -> None:
    alarms = Alarms(Moments())
    for _ in range(3):
        alarms.raised(4, "it forgot")
    assert alarms.all() == [Alarm(4, "it forgot", 1_000, times=3)]
    assert (alarms.told(4), alarms.told(5)) == ("it forgot", "")
    assert alarms.ended(5) is None
    assert alarms.ended(4) is not None
    assert alarms.all() == [Alarm(4, "it forgot", 1_000, times=3, ended_ms=2_000)]
    assert alarms.told(4) == "it forgot (ended 1970-01-01 00:00:02Z)"
    assert alarms.told(5) == ""


def test_one_that_has_ended_is_told_for_an_hour_unless_it_has_been_seen() -> None:
    """Also if somebody with the same identity greets well at once."""
    for seen in (False, True):
        moments = Moments()
        alarms = Alarms(moments)
        alarms.raised(4, "two machines")
        alarms.ended(4)
        if seen:
            alarms.acknowledge()
        moments.seconds += 3_500
        assert ("two machines (ended" in alarms.told(4)) is not seen
        moments.seconds += 200
        assert alarms.told(4) == ""


def test_what_comes_back_is_a_new_alarm_that_nobody_has_seen() -> None:
    alarms = Alarms(Moments())
    alarms.raised(4, "it forgot")
    alarms.acknowledge()
    assert alarms.told(4) == ""
    alarms.raised(4, "it forgot")
    assert alarms.told(4) == "", "the same one goes on"
    alarms.ended(4)
    alarms.raised(4, "it forgot")
    assert alarms.told(4) == "it forgot"
    alarms.raised(4, "two machines")
    assert alarms.told(4) == "two machines"
    assert [alarm.acknowledged for alarm in alarms.all()] == [True, False, False]
    assert [alarm.since_ms for alarm in alarms.all()] == sorted(alarm.since_ms for alarm in alarms.all())


def test_a_member_that_forgets_in_ever_new_ways_fills_nothing() -> None:
    alarms = Alarms()
    for number in range(10 * ENDED_MAX):
        alarms.raised(4, f"its start number {number}")
    assert len(alarms.all()) == ENDED_MAX + 1
