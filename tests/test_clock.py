from __future__ import annotations

import pytest

from vintage_colorizer.clock import Clock


class Hands:
    """A time that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_a_slow_start_makes_no_wild_estimate(hands: Hands) -> None:
    clock = Clock(hands)
    clock.note(0, 50, "coloring")
    estimates = []
    for frame in range(1, 50):  # the first after 3 s, then 10 a second
        hands.time = 102.9 + frame / 10
        clock.note(frame, 50, "coloring")
        estimates.append(clock.seconds_left)
    assert estimates[:29] == [None] * 29
    for frame, seconds in list(enumerate(estimates, start=1))[31:]:
        assert seconds == pytest.approx((50 - frame) / 10)
    assert clock.rate == pytest.approx(10)


def test_what_an_earlier_run_did_does_not_count(hands: Hands) -> None:
    clock = Clock(hands)
    for step in range(11):
        clock.note(900 + step, 1000)
        hands.time += 0.5
    assert clock.rate == pytest.approx(2) and clock.seconds_left == pytest.approx(45)


def test_another_stage_starts_anew(hands: Hands) -> None:
    clock = Clock(hands)
    for step in range(11):
        clock.note(step, 20, "scanning")
        hands.time += 1
    assert (clock.rate, clock.left()) == (1, ", 10 s left")
    clock.note(0, 20, "coloring")
    assert (clock.rate, clock.seconds_left, clock.left()) == (None, None, "")


def test_without_a_total_there_is_a_rate_alone(hands: Hands) -> None:
    clock = Clock(hands)
    for step in range(5):
        clock.note(step)
        hands.time += 1
    assert (clock.rate, clock.seconds_left, clock.left()) == (1, None, "")


def test_nothing_is_said_where_nothing_moves(hands: Hands) -> None:
    clock = Clock(hands)
    for _ in range(100):
        clock.note(7, 10)
        hands.time += 60
    assert (clock.rate, clock.left()) == (None, "")


@pytest.mark.parametrize(("seconds", "words"), [(9.6, "10 s"), (99, "99 s"), (500, "8 min"), (99_360, "27.6 h")])
def test_times_are_in_words(seconds: float, words: str) -> None:
    clock = Clock()
    clock.seconds_left = seconds
    assert clock.left() == f", {words} left"
